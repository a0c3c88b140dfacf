"""What to watch, by its name."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from micromimic.errors import InputError
from micromimic.media.live import LiveSource
from micromimic.media.live_mailbox import Clock

if TYPE_CHECKING:
    from micromimic.media.live_camera import CameraOptions

STREAM_SCHEMES: Final = ("rtsp", "rtsps", "http", "https")
"""Addresses that are read as streams."""

_DEVICE: Final = re.compile(r"/dev/video\d+")
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def open_live(
    source: int | str | Path | LiveSource | None,
    *,
    fps: float | None = None,
    camera: CameraOptions | None = None,
    clock: Clock = time.monotonic,
    track: int | None = None,
) -> LiveSource:
    """Open a live source.

    Args:
        source: None: frames are pushed (``PushSource``); a number, digits or ``/dev/video0``: a
            camera; ``rtsp://`` or ``http(s)://``: a stream; any other text or path: a video file or
            folder of frames at its own speed (write ``./0`` for a file named 0); a ``LiveSource``
            is returned as it is.
        fps: for a file it overrides the timestamps, for a folder it is needed.
        camera: size and rate to ask a camera for.
        clock: arrival times.
        track: which of a file's video tracks, from 1; nothing else has a choice.

    Raises:
        InputError: it cannot be opened, with the remedy.

    >>> open_live(None).name
    'pushed frames'
    >>> open_live("ftp://here/film.mp4")
    Traceback (most recent call last):
    ...
    micromimic.errors.InputError: expected rtsp://, rtsps://, http:// or https://, got ftp://; ...
    """
    if source is None:
        from micromimic.media.live_push import PushSource  # noqa: PLC0415 - see below

        return PushSource(clock=clock)
    if isinstance(source, str) and _is_path(source):
        source = Path(source)
    if isinstance(source, Path):
        return _open_file(source, fps, clock, track)
    if track is not None:
        raise InputError(
            f"expected a video file to choose track {track} of, got another source; leave --track "
            "out"
        )
    if isinstance(source, str):
        return _open_text(source, camera, clock)
    if isinstance(source, int) and not isinstance(source, bool):
        return _open_camera(source, camera, clock)
    if all(callable(getattr(source, name, None)) for name in ("next", "reopen", "close")):
        return cast(LiveSource, source)
    raise InputError(
        f"expected a camera's number, a path, an address or a live source, got "
        f"{type(source).__name__}; pass 0 for the first camera"
    )


def _is_path(text: str) -> bool:
    number = text.isascii() and text.isdigit()
    return not (number or _DEVICE.fullmatch(text) or _ADDRESS.match(text))


def _open_text(text: str, camera: CameraOptions | None, clock: Clock) -> LiveSource:
    if text.isascii() and text.isdigit():
        return _open_camera(int(text), camera, clock)
    if _DEVICE.fullmatch(text):
        return _open_camera(text, camera, clock)
    scheme = text.partition("://")[0].lower()
    if scheme not in STREAM_SCHEMES:
        known = ", ".join(f"{name}://" for name in STREAM_SCHEMES[:-1])
        raise InputError(
            f"expected {known} or {STREAM_SCHEMES[-1]}://, got {scheme}://; "
            "pass the address of a stream of these kinds, or a file"
        )
    from micromimic.media.live_stream import StreamSource  # noqa: PLC0415

    return StreamSource(text, clock=clock)


# Each kind is imported when it is asked for: cv2 and av take their time.
def _open_file(path: Path, fps: float | None, clock: Clock, track: int | None) -> LiveSource:
    from micromimic.media.live_file import FileSource  # noqa: PLC0415

    return FileSource(path, fps, clock=clock, track=track)


def _open_camera(device: int | str, options: CameraOptions | None, clock: Clock) -> LiveSource:
    from micromimic.media.live_camera import CameraOptions, CameraSource  # noqa: PLC0415

    return CameraSource(device, options or CameraOptions(), clock=clock)
