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
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final
from uuid import uuid4

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect, Request

from micromimic.core.errors import RefusedError
from micromimic.core.files import sync_folder
from micromimic.workstation.errors import DISK_FULL, ApiError
from micromimic.workstation.kinds import HEAD_BYTES, ending_for, no_video, shown_name
from micromimic.workstation.records.base import INCOMING
from micromimic.workstation.records.held import holding
from micromimic.workstation.records.records import Consent, Recording
from micromimic.workstation.records.store import Store
from micromimic.workstation.settings import Settings

PIECE_BYTES: Final = 1 << 20
"""Written at once."""
RESERVE_BYTES: Final = 64 << 20
"""Room on the disk that uploads never take: the database needs some."""
SILENCE_S: Final = 60.0
"""A client that sends nothing for longer is given up."""
DRAIN_BYTES: Final = 64 << 20
DRAIN_S: Final = 3.0
"""A refused body is read on so far, since many clients look for an answer only after sending."""


@dataclass(frozen=True)
class Upload:
    """What is said about a video beside its bytes; see ``routes_recordings.UploadQuery``."""

    name: str = ""
    session_id: str | None = None
    consent: bool = False
    noted_by: str = ""
    note: str = ""
    fps: float | None = None
    retention_days: int | None = None

    def own_consent(self) -> Consent | None:
        """Consent said with the upload; None where a session's counts."""
        if self.session_id is not None or not self.consent:
            return None
        return Consent(given=True, noted_by=self.noted_by, note=self.note)


class Incoming:
    """A file that grows in ``incoming/`` and is gone unless it is kept; ends with ``discard``.

    Args:
        data: the data folder.
        suffix: of the file; writers of videos need theirs.
    """

    def __init__(self, data: Path, suffix: str = ".part") -> None:
        self.id = uuid4().hex
        folder = data / INCOMING / self.id
        with ExitStack() as stack:
            stack.enter_context(holding(self.id))
            for place in (folder.parent, folder):
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._held = stack.pop_all()
        self.path = folder / f"video{suffix}"
        self.size = 0
        self.head = b""
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    def write(self, piece: bytes) -> None:
        """Append; raises OSError ENOSPC before the disk is entirely full."""
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
        """Of what was written, as hex digits."""
        return self._hash.hexdigest()

    def adopt(self) -> None:
        """Take up a file that something else wrote under ``path``."""
        self.path.chmod(0o600)
        with self.path.open("rb") as file:
            self._hash = hashlib.file_digest(file, "sha256")
        self.size = self.path.stat().st_size

    def place(self, folder: Path, extension: str) -> Path:
        """Flush to the disk and move into the recording's folder, as ``video<extension>``."""
        if self._file is None:
            self._file = self.path.open("r+b")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        folder.mkdir(mode=0o700, parents=True)
        placed = folder / f"video{extension}"
        self.path.replace(placed)
        for changed in (folder, folder.parent, folder.parent.parent):
            sync_folder(changed)
        return placed

    def discard(self) -> None:
        """Remove what is still in ``incoming/``, and hold its id no longer."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk may refuse the last buffered bytes
                self._file.close()
        shutil.rmtree(self.path.parent, ignore_errors=True)
        self._held.close()


def keep(
    incoming: Incoming,
    about: Upload,
    store: Store,
    settings: Settings,
    *,
    name: str,
    extension: str,
    origin: str = "upload",
) -> Recording:
    """Make a finished file a recording with its job; on any failure nothing of it is left.

    Raises:
        RefusedError: no consent.
        StoreError: any other reason of the store.
        OSError: the disk.
    """
    folder = store.folder(incoming.id)
    days = settings.retention_days if about.retention_days is None else about.retention_days
    try:
        incoming.place(folder, extension)
        return store.add_recording(
            id=incoming.id,
            name=name,
            extension=extension,
            size_bytes=incoming.size,
            sha256=incoming.sha256,
            session_id=about.session_id,
            consent=about.own_consent(),
            fps=about.fps,
            origin=origin,
            expires_at=datetime.now(UTC) + timedelta(days=days) if days else None,
        )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def check_consent(about: Upload, store: Store) -> None:
    """Refuse before a byte is read.

    Raises:
        RefusedError: neither the session nor the upload says that the person has agreed.
        NotFoundError: no such session.
    """
    if about.session_id is not None:
        if not store.session(about.session_id).consent.given:
            raise RefusedError(
                "expected consent noted in the session, got none; note it before a video is kept"
            )
    elif not about.consent:
        raise RefusedError(
            "expected consent of the person filmed, got none; name a session with consent or pass "
            "consent=true"
        )


async def receive_upload(
    request: Request, about: Upload, store: Store, settings: Settings
) -> Recording:
    """Stream one request's body to disk and make it a recording.

    Raises:
        ApiError: 408 cut off or silent, 413 too large, 415 no video, 422 empty, 507 disk full.
        StoreError: as ``check_consent`` and ``keep``.
    """
    body = request.stream()
    try:
        _check_type(request)
        announced = _check_length(request, settings)
        await to_thread.run_sync(check_consent, about, store)
        incoming = await to_thread.run_sync(Incoming, settings.data)
        try:
            extension = await _stream(body, incoming, about.name, settings.max_bytes)
            if announced is not None and incoming.size != announced:
                raise ApiError(408, _CUT_OFF)
            return await to_thread.run_sync(
                lambda: keep(
                    incoming,
                    about,
                    store,
                    settings,
                    name=shown_name(about.name),
                    extension=extension,
                )
            )
        finally:
            incoming.discard()
    except ClientDisconnect:
        raise ApiError(408, _CUT_OFF) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            await _drain(request, body)
            raise ApiError(507, DISK_FULL) from error
        raise
    except Exception:
        await _drain(request, body)
        raise


_CUT_OFF: Final = "expected the whole file, got a connection that ended early; send it again"


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/octet-stream" and not kind.startswith("video/"):
        raise ApiError(
            415,
            f"expected the video itself as application/octet-stream, got {kind[:60]}; send the "
            "file as the body",
        )


def _check_length(request: Request, settings: Settings) -> int | None:
    """Content-Length, refused before anything is read where it says enough."""
    text = request.headers.get("content-length")
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    length = int(text[:20])
    if length == 0:
        raise _empty()
    if length > settings.max_bytes:
        raise _too_large(settings.max_bytes)
    if shutil.disk_usage(_existing(settings.data)).free < length + RESERVE_BYTES:
        raise ApiError(507, DISK_FULL)
    return length


def _existing(folder: Path) -> Path:
    return next(p for p in (folder, *folder.absolute().parents) if p.exists())


async def _stream(body: AsyncIterator[bytes], incoming: Incoming, name: str, max_bytes: int) -> str:
    """Write all of it; the ending to keep it under."""
    pending = bytearray()
    extension: str | None = None
    total = 0
    async for chunk in _patient(body):
        total += len(chunk)
        if total > max_bytes:
            raise _too_large(max_bytes)
        pending += chunk
        if extension is None and len(pending) >= HEAD_BYTES:
            extension = _recognise(name, bytes(pending[:HEAD_BYTES]))
        if len(pending) >= PIECE_BYTES and extension is not None:
            await to_thread.run_sync(incoming.write, bytes(pending))
            pending.clear()
    if total == 0:
        raise _empty()
    if extension is None:
        extension = _recognise(name, bytes(pending[:HEAD_BYTES]))
    await to_thread.run_sync(incoming.write, bytes(pending))
    return extension


async def _patient(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
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


async def _drain(request: Request, body: AsyncIterator[bytes]) -> None:
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
        async for chunk in body:
            seen += len(chunk)
            if seen > DRAIN_BYTES:
                return


def _recognise(name: str, head: bytes) -> str:
    what = no_video(head)
    extension = ending_for(name, head)
    if what is not None or extension is None:
        raise ApiError(
            415, f"expected a video, got {what or 'a file of an unknown kind'}; choose a video file"
        )
    return extension


def _empty() -> ApiError:
    message = "expected a video, got a file of 0 bytes; choose another file"
    return ApiError(422, message, code="refused")


def _too_large(max_bytes: int) -> ApiError:
    return ApiError(
        413,
        f"expected at most {max_bytes} bytes ({max_bytes / 1e9:.2g} GB), got more; cut the video "
        "or start the server with a larger --max-gb",
        headers={"Connection": "close"},
    )
