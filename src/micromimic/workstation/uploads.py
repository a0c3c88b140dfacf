"""Videos that come in: streamed to disk, limited, checked, and kept whole or not at all.

A file grows in a folder of its future id in ``incoming/``, is flushed to the disk, moved into its
recording's folder, and only then recorded together with its job. A server that dies between the
steps leaves files without a record, which the next start sweeps away.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path, PurePosixPath
from typing import Annotated, BinaryIO, Final
from uuid import uuid4

import anyio
from anyio import to_thread
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect, Request

from micromimic.core.errors import InputError, RefusedError
from micromimic.core.files import sync_folder
from micromimic.workstation.errors import DISK_FULL, ApiError
from micromimic.workstation.records import people, recordings
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.folder import INCOMING
from micromimic.workstation.records.folder_lock import writing_files
from micromimic.workstation.records.models import Consent, Recording
from micromimic.workstation.schemas import ID_PATTERN, PRINTABLE, WRITTEN
from micromimic.workstation.settings import Settings
from micromimic.workstation.sniffing import HEAD_BYTES, ending_for, sniff_not_video

PIECE_BYTES: Final = 1 << 20
"""Written at once."""
RESERVE_BYTES: Final = 64 << 20
"""Room on the disk that uploads never take: the database needs some."""
SILENCE_S: Final = 60.0
"""A client that sends nothing for longer is given up."""
DRAIN_BYTES: Final = 64 << 20
DRAIN_S: Final = 3.0
"""A refused body is read on so far, since many clients look for an answer only after sending."""
LONGEST_NAME: Final = 120
_LONGEST_FILE: Final = 60
"""Of a name on the disk: systems count bytes, of which a character may have four."""
_CUT_OFF: Final = "expected the whole file, got a connection that ended early; send it again"
_EMPTY: Final = "expected a file, got one of 0 bytes; choose another"


def shown_name(name: str) -> str:
    """A client's name for a file, fit to be shown: no folders, no characters that steer a display.

    Control characters and those that turn the direction of writing are removed; long names are
    cut, their ending kept.

    >>> shown_name("../a/b\\u202e\\x00 c.mp4"), shown_name(""), len(shown_name("x" * 500 + ".mov"))
    ('b c.mp4', 'video', 120)
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isspace() or unicodedata.category(c)[0] != "C" else "" for c in last)
    clean = " ".join(kept.split())
    if len(clean) > LONGEST_NAME:
        ending = PurePosixPath(clean).suffix[:8]
        clean = clean[: LONGEST_NAME - len(ending)].rstrip() + ending
    return clean or "video"


class Upload(BaseModel):
    """What is said about a video beside its bytes.

    ``consent`` is for a video of no session; with ``session_id``, the session's consent counts.
    """

    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, AfterValidator(shown_name)] = Field(
        "",
        max_length=1000,
        validate_default=True,
        description="Of the file, for people; only shown.",
    )
    session_id: str | None = Field(None, pattern=ID_PATTERN)
    consent: bool = Field(False, description="The person filmed has agreed.")
    noted_by: str = Field("", pattern=PRINTABLE, max_length=200)
    note: str = Field("", pattern=WRITTEN, max_length=2000)
    fps: float | None = Field(
        None, gt=0, le=10000, allow_inf_nan=False, description="Against the file's own timing."
    )
    person: int | None = Field(
        None, ge=1, le=1000, description="Who of several, from 1 for who is seen largest."
    )
    retention_days: int | None = Field(
        None, ge=0, le=36500, description="0 keeps video and pictures until they are removed."
    )

    def own_consent(self) -> Consent | None:
        """Consent given with the upload; None where a session's counts."""
        if self.session_id is not None or not self.consent:
            return None
        return Consent(given=True, noted_by=self.noted_by, note=self.note)


class Incoming:
    """A file that grows in ``incoming/`` and is gone unless it is kept; ends with ``discard``.

    ``extension`` is what a recording keeps it under, once that is known.
    """

    def __init__(self, data: Path, extension: str = ".part") -> None:
        self.id, self.extension = uuid4().hex, extension
        folder = data / INCOMING / self.id
        with ExitStack() as stack:
            stack.enter_context(writing_files(self.id))
            for place in (folder.parent, folder):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._being_written = stack.pop_all()
        self.path = folder / f"video{extension}"
        self.size = 0
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    def write(self, piece: bytes) -> None:
        """Append; OSError ENOSPC before the disk is entirely full."""
        if self._file is None:
            self._file = self.path.open("xb")
            self.path.chmod(0o600)
        if shutil.disk_usage(self.path.parent).free < RESERVE_BYTES + len(piece):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file.write(piece)
        self._hash.update(piece)
        self.size += len(piece)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def adopt(self) -> None:
        """Take up a file that something else wrote under ``path``."""
        self.path.chmod(0o600)
        with self.path.open("rb") as file:
            self._hash = hashlib.file_digest(file, "sha256")
        self.size = self.path.stat().st_size

    def named(self, name: str) -> Path:
        """The finished file under the name that people know, for a reader that names it."""
        if self._file is not None:
            self._file.close()
        plain = shown_name(name or "the file")[-_LONGEST_FILE:].strip(". ") or "the file"
        return self.path.replace(self.path.with_name(plain))

    def place(self, folder: Path) -> None:
        """Flush to the disk and move into the recording's folder, as ``video<extension>``."""
        if self._file is None:
            self._file = self.path.open("r+b")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        folder.mkdir(mode=0o700, parents=True)
        self.path.replace(folder / f"video{self.extension}")
        for changed in (folder, folder.parent, folder.parent.parent):
            sync_folder(changed)

    def discard(self) -> None:
        """Remove what is still in ``incoming/``, and hold its id no longer."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk may refuse the last buffered bytes
                self._file.close()
        shutil.rmtree(self.path.parent, ignore_errors=True)
        self._being_written.close()


def keep(
    incoming: Incoming, about: Upload, store: Store, settings: Settings, *, origin: str = "upload"
) -> Recording:
    """Make a finished file a recording with its job; on any failure nothing of it is left."""
    folder = store.folder(incoming.id)
    days = settings.retention_days if about.retention_days is None else about.retention_days
    try:
        incoming.place(folder)
        return recordings.add_recording(
            store,
            id=incoming.id,
            name=about.name,
            extension=incoming.extension,
            size_bytes=incoming.size,
            sha256=incoming.sha256,
            session_id=about.session_id,
            consent=about.own_consent(),
            fps=about.fps,
            person=about.person,
            origin=origin,
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def check_consent(about: Upload, store: Store) -> None:
    """RefusedError, before a byte is read, where neither session nor upload says so."""
    consent = about.own_consent()
    if about.session_id is not None:
        consent = people.get_session(store, about.session_id).consent
    recordings.check_consent(consent)


async def receive_upload(
    request: Request, about: Upload, store: Store, settings: Settings
) -> Recording:
    """Stream one request's body to disk and make it a recording.

    ApiError: 408 cut off or silent, 413 too large, 415 no video, 422 empty, 507 disk full.
    """

    def look(incoming: Incoming, head: bytes) -> None:
        what, extension = sniff_not_video(head), ending_for(about.name, head)
        if what is not None or extension is None:
            got = what or "a file of an unknown kind"
            raise ApiError(415, f"expected a video, got {got}; choose a video file")
        incoming.extension = extension

    limit = settings.max_bytes, "cut the video or start the server with a larger --max-gb"
    async with _drained(request):
        _check_type(request)
        await to_thread.run_sync(check_consent, about, store)
        async with _received(request, settings, limit, look) as incoming:
            return await to_thread.run_sync(keep, incoming, about, store, settings)


@asynccontextmanager
async def received_file(
    request: Request, settings: Settings, name: str, max_bytes: float = inf
) -> AsyncIterator[Path]:
    """One request's body as a file of a name, gone afterwards; errors as of `receive_upload`.

    What the file holds and nobody can use is refused: the request itself was right.
    """
    limit = max_bytes, "import a part of it"
    async with _drained(request), _received(request, settings, limit) as incoming:
        try:
            yield await to_thread.run_sync(incoming.named, name)
        except InputError as error:
            raise RefusedError(str(error)) from None


@asynccontextmanager
async def _received(
    request: Request,
    settings: Settings,
    limit: tuple[float, str],
    look: Callable[[Incoming, bytes], None] = lambda incoming, head: None,
) -> AsyncIterator[Incoming]:
    """One request's body, whole; at its first bytes somebody may ``look``, and refuse it.

    ``limit``: how many bytes it may have, and what helps who has more.
    """
    announced = _announced(request, settings, limit)
    incoming = await to_thread.run_sync(Incoming, settings.data)
    pending, looked = bytearray(), False
    try:
        async for chunk in _until_silence(request.stream()):
            pending += chunk
            if incoming.size + len(pending) > limit[0]:
                raise _too_large(*limit)
            if not looked and len(pending) >= HEAD_BYTES:
                look(incoming, bytes(pending[:HEAD_BYTES]))
                looked = True
            if looked and len(pending) >= PIECE_BYTES:
                await to_thread.run_sync(incoming.write, bytes(pending))
                pending.clear()
        if not looked and pending:
            look(incoming, bytes(pending))
        await to_thread.run_sync(incoming.write, bytes(pending))
        if announced is not None and incoming.size != announced:
            raise ApiError(408, _CUT_OFF)
        if incoming.size == 0:
            raise ApiError(422, _EMPTY, code="refused")
        yield incoming
    finally:
        incoming.discard()


@asynccontextmanager
async def _drained(request: Request) -> AsyncIterator[None]:
    """Where a request is refused its body is read on, so that the answer is seen."""
    try:
        yield
    except ClientDisconnect:
        raise ApiError(408, _CUT_OFF) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            await _drain(request)
            raise ApiError(507, DISK_FULL) from error
        raise
    except Exception:
        await _drain(request)
        raise


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/octet-stream" and not kind.startswith("video/"):
        raise ApiError(
            415,
            f"expected the video itself as application/octet-stream, got {kind[:60]}; send the "
            "file as the body",
        )


def _announced(request: Request, settings: Settings, limit: tuple[float, str]) -> int | None:
    """Content-Length, refused before anything is read where it says enough."""
    text = request.headers.get("content-length")
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    length = int(text[:20])
    if length == 0:
        raise ApiError(422, _EMPTY, code="refused")
    if length > limit[0]:
        raise _too_large(*limit)
    existing = next(p for p in (settings.data, *settings.data.parents) if p.exists())
    if shutil.disk_usage(existing).free < length + RESERVE_BYTES:
        raise ApiError(507, DISK_FULL)
    return length


async def _until_silence(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The body's chunks; gives up on a client that has gone quiet."""
    while True:
        try:
            with anyio.fail_after(SILENCE_S):
                chunk = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise ApiError(
                408,
                f"expected the rest of the file, got nothing for {SILENCE_S:g} s; send it again",
            ) from None
        yield chunk


async def _drain(request: Request) -> None:
    """Read on for a while, so that the client comes to see the answer.

    Not where it waits for a go-ahead, nor where there would be no end to it.
    """
    announced = request.headers.get("content-length", "0")
    if "expect" in request.headers or not announced.isdecimal() or len(announced) > 18:
        return
    if int(announced) > DRAIN_BYTES:
        return
    seen = 0
    with contextlib.suppress(ClientDisconnect, RuntimeError), anyio.move_on_after(DRAIN_S):
        async for chunk in request.stream():
            seen += len(chunk)
            if seen > DRAIN_BYTES:
                return


def _too_large(most: float, remedy: str) -> ApiError:
    return ApiError(
        413,
        f"expected a file of at most {most / 1e6:.0f} MB, got more; {remedy}",
        headers={"Connection": "close"},
    )
