"""The live page's WebSocket: grey frames in, messages out, nothing kept unless it was asked for.

The client sends ``{"type": "start", ...}`` (see `LiveStart`), then frames as binary messages: 8
bytes of float64, little endian, the capture time in seconds, then ``width * height`` bytes of grey;
``{"type": "stop"}`` ends it. The server sends the messages of `pipelines.live_messages`, one JSON
object each; where a video is kept, ``{"type": "kept", "recording_id": ...}`` follows the ``end``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import anyio
import numpy as np
from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.websockets import WebSocketDisconnect

from micromimic.errors import InputError, MicromimicError
from micromimic.media.live_push import MIN_SIDE, PushSource
from micromimic.plain import json_text
from micromimic.web import live_wire
from micromimic.web.context import MAX_LIVE_SESSIONS, Watched, Workstation, workstation
from micromimic.web.errors import ApiError, response_for
from micromimic.web.live_keep import Keeper
from micromimic.web.live_wire import BROKEN, NOT_ALLOWED, NOT_UNDERSTOOD, TRY_LATER, close, send
from micromimic.web.schemas import ID_PATTERN, PRINTABLE, WRITTEN
from micromimic.web.uploads import Upload, check_consent

MAX_PIXELS: Final = 1280 * 960
START_S: Final = 5.0
"""Seconds that the start message may take."""
HEAD: Final = struct.Struct("<d")
_LOG: Final = logging.getLogger("micromimic.web")

T = TypeVar("T")

router = APIRouter()

Side = Annotated[int, Field(ge=MIN_SIDE, le=8192)]


class LiveStart(BaseModel):
    """The client's first message.

    ``keep``: ``nothing``, or ``video``, which needs consent: of the session named, or said here.
    """

    model_config = ConfigDict(extra="forbid")

    type: Literal["start"]
    width: Side
    height: Side
    fps: float = Field(30.0, gt=0, le=2000, allow_inf_nan=False)
    keep: Literal["nothing", "video"] = "nothing"
    session_id: str | None = Field(None, pattern=ID_PATTERN)
    consent: bool = False
    noted_by: str = Field("", pattern=PRINTABLE, max_length=200)
    note: str = Field("", pattern=WRITTEN, max_length=2000)

    def about(self) -> Upload:
        """As an upload says it; every frame's time is its own, so ``fps`` stays out."""
        return Upload(
            session_id=self.session_id,
            consent=self.consent,
            noted_by=self.noted_by,
            note=self.note,
        )


class Refused(Exception):  # noqa: N818 - the end of a conversation, not a fault of ours
    """The conversation ends here.

    Args:
        code: of the WebSocket's close.
        message: one line for people.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """One live session."""
    here = workstation(socket)
    await socket.accept()
    slot = object()
    try:
        conversation = _Conversation(socket, here)
        start = await conversation.start()
        if len(here.live) >= MAX_LIVE_SESSIONS:
            raise Refused(
                TRY_LATER,
                f"expected at most {MAX_LIVE_SESSIONS} live sessions at once, got one more; end "
                "another first",
            )
        here.live.add(slot)
        await conversation.run(start)
        await close(socket, 1000)
    except Refused as refusal:
        with contextlib.suppress(WebSocketDisconnect):
            await send(socket, json_text(_error(str(refusal))))
        await close(socket, refusal.code)
    except WebSocketDisconnect:
        pass  # the client has gone; there is nobody to tell
    finally:
        here.live.discard(slot)


class _Conversation:
    """From start to kept: a reader and a writer on the event loop, the session in its threads."""

    def __init__(self, socket: WebSocket, here: Workstation) -> None:
        self._socket = socket
        self._here = here
        self._source = PushSource("browser")
        self._keeper: Keeper | None = None
        self._told = False

    async def run(self, start: LiveStart) -> None:
        """From the start on; raises Refused where the client must be told why it ends."""
        if start.keep == "video":
            await self._open_keeper(start)
        error, kept = await self._watch(start)
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame: a circle otherwise
        if kept is not None:
            if kept["type"] == "kept":  # the last frames may have met a limit after the last word
                await self._tell_problem()
            await send(self._socket, json_text(kept))

    async def _watch(self, start: LiveStart) -> tuple[Exception | None, dict[str, Any] | None]:
        """From the first frame to the last word; what went wrong, what is kept."""
        opening = asyncio.create_task(asyncio.to_thread(self._open_session))
        writer = asyncio.create_task(self._write(opening))
        reader = asyncio.create_task(self._read(start))
        try:
            await asyncio.wait({writer, reader}, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() and reader.exception() is None:  # asked to stop: let it finish
                self._source.end()
                await asyncio.wait({writer})
        finally:
            # Threads and files are put in order even while this task is being cancelled.
            ending = asyncio.create_task(self._finish(start, opening, reader, writer))
            ended = await _settled(ending)
        return ended

    def _open_session(self) -> Watched:
        session = self._here.watch(self._source)
        session.start()
        return session

    async def _finish(
        self, start: LiveStart, opening: asyncio.Task[Watched], *tasks: asyncio.Task[None]
    ) -> tuple[Exception | None, dict[str, Any] | None]:
        """End both tasks, the session and the video's file; what went wrong, what is kept."""
        for task in tasks:
            task.cancel()
        endings = await asyncio.gather(*tasks, return_exceptions=True)
        broken: BaseException | None = None
        try:
            session = await opening
            await asyncio.to_thread(session.close)
            broken = session.take_error()
        except Exception as error:  # noqa: BLE001 - told to the client and logged below
            broken = error
        kept = await self._keep(start)
        told = [item for item in endings if isinstance(item, Exception) and item is not broken]
        if broken is not None:
            told.append(_broken(broken))
        return (told[0] if told else None), kept

    async def start(self) -> LiveStart:
        """What the client wants; raises Refused where it is not to be had.

        Until then it has no session, only a place to wait, which the next one may need.
        """
        async with self._silence("a start message", START_S) as limit:
            now = asyncio.get_running_loop().time
            self._here.starting.enter(self, lambda: limit.reschedule(now()))
            try:
                message = await self._receive()
            finally:
                self._here.starting.leave(self)
        text = message.get("text")
        if text is None:
            raise Refused(NOT_UNDERSTOOD, "expected a start message, got a frame; send start first")
        try:
            start = LiveStart.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "message"
            raise Refused(
                NOT_UNDERSTOOD,
                f"expected a start message, got one whose {where} is wrong: {first['msg'].lower()}",
            ) from None
        if start.width * start.height > MAX_PIXELS:
            raise Refused(
                NOT_ALLOWED,
                f"expected frames of at most {MAX_PIXELS} pixels, got {start.width} x "
                f"{start.height}; scale them down",
            )
        return start

    async def _open_keeper(self, start: LiveStart) -> None:
        def opened() -> Keeper:
            check_consent(start.about(), self._here.store)
            return Keeper(self._here.settings, start.width, start.height, start.fps)

        try:
            self._keeper = await asyncio.to_thread(opened)
        except (MicromimicError, OSError) as error:
            raise Refused(NOT_ALLOWED, _line(error)) from None

    @contextlib.asynccontextmanager
    async def _silence(self, wanted: str, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        """Give a client up that does not send what it should."""
        try:
            # Not wait_for: in Python 3.11 that may swallow a cancellation.
            async with asyncio.timeout(seconds) as limit:
                yield limit
        except TimeoutError:
            raise Refused(
                NOT_ALLOWED, f"expected {wanted}, got nothing for {seconds:g} s; start again"
            ) from None

    async def _receive(self) -> dict[str, Any]:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        return dict(message)

    async def _read(self, start: LiveStart) -> None:
        """Take frames until the client asks to stop."""
        size = HEAD.size + start.width * start.height
        while True:
            async with self._silence("frames", live_wire.SILENCE_S):
                message = await self._receive()
            data = message.get("bytes")
            if data is None:
                if _is_stop(message.get("text")):
                    return
                raise Refused(
                    NOT_UNDERSTOOD, 'expected a frame or {"type": "stop"}, got other text'
                )
            if len(data) != size:
                raise Refused(
                    NOT_UNDERSTOOD,
                    f"expected frames of {size} bytes (8 of time, {start.width} x {start.height} "
                    f"of grey), got {len(data)}; start another session for another size",
                )
            (time,) = HEAD.unpack_from(data)
            picture = np.frombuffer(data, np.uint8, offset=HEAD.size)
            picture = picture.reshape(start.height, start.width)
            try:
                self._source.put(picture, time)
            except InputError as error:
                raise Refused(NOT_UNDERSTOOD, str(error)) from None
            if self._keeper is not None:
                self._keeper.put(picture, time)

    async def _write(self, opening: asyncio.Task[Watched]) -> None:
        """Send messages until the session has ended."""
        session = await asyncio.shield(opening)
        with contextlib.suppress(EOFError):
            while True:
                content = (await session.mailbox.receive()).to_dict()
                if content["type"] == "status":
                    content["lost_points"] = session.curve_dropped
                await send(self._socket, json_text(content))
                await self._tell_problem()

    async def _tell_problem(self) -> None:
        """Say once why the video ends before the session does."""
        if self._keeper is not None and self._keeper.problem and not self._told:
            self._told = True
            await send(self._socket, json_text(_error(self._keeper.problem)))

    async def _keep(self, start: LiveStart) -> dict[str, Any] | None:
        """Make the video a recording; the message about it, None where nothing was to keep."""
        keeper = self._keeper
        if keeper is None:
            return None
        now = datetime.now(UTC).strftime("%Y-%m-%d %H.%M.%S")
        try:
            recording = await asyncio.to_thread(
                keeper.finish, start.about(), self._here.store, f"live {now}.mp4"
            )
        except (MicromimicError, OSError) as error:
            _LOG.warning("a live video was not kept: %s", error)
            return _error(_line(error))
        if recording is None:
            return _error("expected frames to keep, got none; nothing was kept")
        self._here.wake()
        return {
            "type": "kept",
            "recording_id": recording.id,
            "frames": keeper.frames,
            "left_out": keeper.left_out,
        }


async def _settled(task: asyncio.Task[T]) -> T:
    """Wait for a task that must finish, however often this one is being cancelled meanwhile."""
    cancelled = False
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


def _is_stop(text: str | None) -> bool:
    try:
        message = json.loads(text or "")
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("type") == "stop"


def _error(message: str) -> dict[str, Any]:
    return {"type": "error", "message": " ".join(message.split())}


def _line(error: Exception) -> str:
    """An error as the API would tell it."""
    told = json.loads(bytes(response_for(error).body))
    return str(told["error"]["message"])


def _broken(error: BaseException) -> Refused:
    if isinstance(error, MicromimicError | ApiError):
        return Refused(BROKEN, str(error))
    _LOG.error("a live session broke", exc_info=error)
    return Refused(BROKEN, "unexpected error in the server; see its log")
