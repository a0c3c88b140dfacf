"""The live page's WebSocket: grey frames in, messages out, nothing kept unless it was asked for.

The client sends ``{"type": "start", ...}`` (see `LiveStart`), then frames as binary messages: 8
bytes of float64, little endian, the capture time in seconds, then ``width * height`` bytes of grey;
``{"type": "stop"}`` ends it. A `LiveMarker` between them marks a moment. The server sends the
messages of `analysis.live.messages`, one JSON object each; where a video is kept, ``{"type":
"kept", "recording_id": ...}`` follows the ``end``, and the recording has the markers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
from collections.abc import Coroutine, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import anyio
import cv2
import numpy as np
from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.websockets import WebSocketDisconnect

from micromimic.core.errors import InputError, MicromimicError
from micromimic.core.strict_json import json_text
from micromimic.media.live.push import MIN_SIDE, PushSource
from micromimic.media.live.source import LiveSource
from micromimic.workstation.context import MAX_LIVE_SESSIONS, Workstation, workstation
from micromimic.workstation.errors import response_for
from micromimic.workstation.live import wire
from micromimic.workstation.live.recorder import VideoRecorder
from micromimic.workstation.live.wire import (
    BROKEN,
    NOT_ALLOWED,
    NOT_UNDERSTOOD,
    TRY_LATER,
    WAITING,
    close,
    send,
)
from micromimic.workstation.records.markers import add_markers
from micromimic.workstation.schemas import ID_PATTERN, PRINTABLE, WRITTEN
from micromimic.workstation.uploads import Upload, check_consent

if TYPE_CHECKING:
    from micromimic.analysis.live.session import LiveSession

MAX_PIXELS: Final = 1280 * 960
START_S: Final = 5.0
"""Seconds that the start message may take."""
MOST_MARKERS: Final = 2000
MARKERS: Final = "live"
"""Tier and origin of the markers that were set while a video was taken."""
HEAD: Final = struct.Struct("<d")
_LOG: Final = logging.getLogger("micromimic.workstation")

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
        """As an upload says it now; every frame's time is its own, so ``fps`` stays out."""
        said = self.model_dump(include={"session_id", "consent", "noted_by", "note"})
        return Upload(name=f"live {datetime.now(UTC):%Y-%m-%d %H.%M.%S}.mp4", **said)


class LiveMarker(BaseModel):
    """A moment that is marked, by the frames' clock; ``unmark`` takes the same one back."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["marker", "unmark"]
    label: str = Field(pattern=PRINTABLE, min_length=1, max_length=200)
    time: float = Field(allow_inf_nan=False)


class LiveStop(BaseModel):
    """The client's last message."""

    type: Literal["stop"]


_TEXT: Final[TypeAdapter[LiveMarker | LiveStop]] = TypeAdapter(LiveMarker | LiveStop)


class Refused(Exception):  # noqa: N818 - the end of a conversation, not a fault of ours
    """The conversation ends here, with the WebSocket's closing code and one line for people."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def open_session(source: LiveSource, model: Path | None = None) -> LiveSession:
    """A live session on a source, not started; None is the shipped model."""
    from micromimic.analysis.live.session import LiveConfig, live  # noqa: PLC0415 - all of it

    cv2.setNumThreads(1)  # reading, tracking and flow have a thread each already
    return live(source, config=LiveConfig(waiting=WAITING, model=model))


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    here = workstation(socket)
    await socket.accept()
    slot = object()
    try:
        start = await _receive_start(socket, here)
        if len(here.live) >= MAX_LIVE_SESSIONS:
            raise Refused(
                TRY_LATER,
                f"expected at most {MAX_LIVE_SESSIONS} live sessions at once, got one more; end "
                "another first",
            )
        here.live.add(slot)
        await _close_with_reason(socket, await _Conversation(socket, here, start).run())
    except (Refused, MicromimicError, WebSocketDisconnect) as error:
        await _close_with_reason(socket, error)
    finally:
        here.live.discard(slot)


async def _close_with_reason(socket: WebSocket, error: Exception | None) -> None:
    """Say why it ends to a client that is still there.

    The error is handed on and never raised again: its traceback would hold the frames that hold it.
    """
    code = 1000
    if error is not None and not isinstance(error, WebSocketDisconnect):
        known = isinstance(error, Refused | MicromimicError)
        code = error.code if isinstance(error, Refused) else BROKEN
        with contextlib.suppress(WebSocketDisconnect):
            await send(socket, _error_message(str(error) if known else _api_line(error)))
    await close(socket, code)


async def _receive_start(socket: WebSocket, here: Workstation) -> LiveStart:
    """What the client wants.

    Until then it has no session, only a place to wait, which the next one may need: its time is up.
    """
    limit = asyncio.timeout(START_S)
    here.starting.add(socket, lambda: limit.reschedule(0))
    try:
        message = await _receive(socket, limit, f"a start message, got nothing for {START_S:g} s")
    finally:
        here.starting.remove(socket)
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


async def _receive(
    socket: WebSocket, limit: asyncio.Timeout, wanted: str
) -> MutableMapping[str, Any]:
    """The next message; a client that does not send what it should is given up."""
    try:
        async with limit:  # not wait_for: in Python 3.11 that may swallow a cancellation
            message = await socket.receive()
    except TimeoutError:
        raise Refused(NOT_ALLOWED, f"expected {wanted}; start again") from None
    finally:
        del limit  # it holds the task, and that what is raised here: a circle
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    return message


class _Conversation:
    """From start to kept: a reader and a writer on the event loop, the session in its threads."""

    def __init__(self, socket: WebSocket, here: Workstation, start: LiveStart) -> None:
        self._socket, self._here, self._start = socket, here, start
        self._source = PushSource("browser")
        self._session: LiveSession | None = None
        self._recorder: VideoRecorder | None = None
        self._markers: list[tuple[str, float]] = []
        self._problem_sent = False

    async def run(self) -> Exception | None:
        tasks: list[asyncio.Task[None]] = []
        try:
            await _uninterrupted(asyncio.to_thread(self._open_recorder))
            tasks += map(asyncio.create_task, (self._write(), self._read()))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1].done() and tasks[1].exception() is None:  # asked to stop: let it finish
                await asyncio.wait(tasks[:1])
        finally:
            error, kept = await _uninterrupted(self._end(tasks))
        if error is None and kept is not None:
            await self._send_problem()  # the last frames may have met a limit after the last word
            await send(self._socket, kept)
        return error

    async def _end(self, tasks: list[asyncio.Task[None]]) -> tuple[Exception | None, str | None]:
        """End both tasks, the session and the video's file; what went wrong, what is kept."""
        for task in tasks:
            task.cancel()
        endings = await asyncio.gather(*reversed(tasks), return_exceptions=True)
        kept = await asyncio.to_thread(self._close)
        if self._session is not None:
            endings.append(self._session.take_error())
        return next((error for error in endings if isinstance(error, Exception)), None), kept

    def _open_recorder(self) -> None:
        start = self._start
        if start.keep == "video":
            try:
                check_consent(start.about(), self._here.store)
                self._recorder = VideoRecorder(
                    self._here.settings, start.width, start.height, start.fps
                )
            except (MicromimicError, OSError) as error:
                raise Refused(NOT_ALLOWED, _api_line(error)) from None

    def _open_session(self) -> LiveSession:
        session = self._here.open_live(self._source)
        session.start()
        self._session = session
        return session

    def _close(self) -> str | None:
        try:
            if self._session is not None:
                self._session.close()
        finally:
            kept = self._keep()
        return kept

    def _keep(self) -> str | None:
        """Make the video a recording; the message about it, None where nothing was to keep."""
        recorder = self._recorder
        if recorder is None:
            return None
        try:
            recording = recorder.finish(self._start.about(), self._here.store)
        except (MicromimicError, OSError) as error:
            _LOG.warning("a live video was not kept: %s", error)
            return _error_message(_api_line(error))
        if recording is None:
            return _error_message("expected frames to keep, got none; nothing was kept")
        self._here.wake()
        counts = {"frames": recorder.frames, "left_out": recorder.left_out}
        counts["markers"] = self._keep_markers(recording.id, recorder.origin)
        return json_text({"type": "kept", "recording_id": recording.id, **counts})

    def _keep_markers(self, recording_id: str, origin: float) -> int:
        """Hang the markers on the recording; how many there are."""
        moments = [
            {"tier": MARKERS, "label": label, "onset_s": max(0.0, round(time - origin, 6))}
            for label, time in self._markers
        ]
        if not moments:
            return 0
        try:
            return len(add_markers(self._here.store, recording_id, moments, origin=MARKERS))
        except MicromimicError as error:
            _LOG.warning("the markers of a live video were not kept: %s", error)
            return 0

    async def _read(self) -> None:
        width, height = self._start.width, self._start.height
        size = HEAD.size + width * height
        silence = wire.SILENCE_S
        wanted = f"frames, got nothing for {silence:g} s"
        while True:
            message = await _receive(self._socket, asyncio.timeout(silence), wanted)
            data = message.get("bytes")
            if data is None:
                text = _read_text(message.get("text"))
                if isinstance(text, LiveStop):
                    self._source.end()
                    return
                self._mark(text)
                continue
            if len(data) != size:
                raise Refused(
                    NOT_UNDERSTOOD,
                    f"expected frames of {size} bytes (8 of time, {width} x {height} of grey), "
                    f"got {len(data)}; start another session for another size",
                )
            (time,) = HEAD.unpack_from(data)
            picture = np.frombuffer(data, np.uint8, offset=HEAD.size).reshape(height, width)
            try:
                self._source.put(picture, time)
            except InputError as error:
                raise Refused(NOT_UNDERSTOOD, str(error)) from None
            if self._recorder is not None:
                self._recorder.put(picture, time)

    def _mark(self, given: LiveMarker) -> None:
        marker = (given.label, given.time)
        if given.type == "unmark" and marker in self._markers:
            self._markers.remove(marker)
        elif given.type == "marker" and len(self._markers) == MOST_MARKERS:
            raise Refused(NOT_ALLOWED, f"expected at most {MOST_MARKERS} markers, got one more")
        elif given.type == "marker":
            self._markers.append(marker)

    async def _write(self) -> None:
        session = await _uninterrupted(asyncio.to_thread(self._open_session))
        with contextlib.suppress(EOFError):
            while True:
                content = (await session.mailbox.receive()).to_dict()
                if content["type"] == "status":
                    content["lost_points"] = session.curve_dropped
                await send(self._socket, json_text(content))
                await self._send_problem()

    async def _send_problem(self) -> None:
        """Say once why the video ends before the session does."""
        if self._recorder is not None and self._recorder.problem and not self._problem_sent:
            self._problem_sent = True
            await send(self._socket, _error_message(self._recorder.problem))


async def _uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Await what must be done to its end, however often this task is being cancelled meanwhile."""
    task, cancelled = asyncio.create_task(work), False
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    return task.result()


def _read_text(text: str | None) -> LiveMarker | LiveStop:
    try:
        return _TEXT.validate_json(text or "")
    except ValidationError:
        raise Refused(
            NOT_UNDERSTOOD, 'expected a frame, a marker or {"type": "stop"}, got other text'
        ) from None


def _error_message(line: str) -> str:
    return json_text({"type": "error", "message": " ".join(line.split())})


def _api_line(error: Exception) -> str:
    """An error as the API would tell it, which logs what is unexpected."""
    return str(json.loads(bytes(response_for(error).body))["error"]["message"])
