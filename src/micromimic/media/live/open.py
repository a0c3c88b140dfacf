"""What to watch, by its name: what is no camera and no stream is a file at its own speed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, cast

from micromimic.core.errors import InputError
from micromimic.media.live.camera import CameraOptions, CameraSource
from micromimic.media.live.push import PushSource
from micromimic.media.live.source import FileSource, LiveSource
from micromimic.media.live.stream import StreamSource

STREAM_SCHEMES: Final = ("rtsp", "rtsps", "http", "https")  # addresses that are read as streams

_DEVICE: Final = re.compile(r"/dev/video\d+")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def open_live(
    source: int | str | Path | LiveSource | None,
    *,
    fps: float | None = None,
    camera: CameraOptions | None = None,
    track: int | None = None,
) -> LiveSource:
    """Open a live source. ``source``: None: frames are pushed (``PushSource``); a number, digits or
    ``/dev/video0``: a camera; ``rtsp://`` or ``http(s)://``: a stream; any other text or path: a
    video file or folder of frames at its own speed (write ``./0`` for a file named 0); a
    ``LiveSource`` is returned as it is; ``track``: which of a file's video tracks, from 1; nothing
    else has a choice."""
    if source is None:
        return PushSource()
    if isinstance(source, str) and source.isascii() and source.isdigit():
        source = int(source)
    device = isinstance(source, int) and not isinstance(source, bool)
    scheme = None
    if isinstance(source, str):
        device = _DEVICE.fullmatch(source) is not None
        scheme = _SCHEME.match(source)
    if isinstance(source, Path | str) and not device and scheme is None:
        return FileSource(source, fps, track=track)
    if track is not None:
        raise InputError(
            f"expected a video file to choose track {track} of, got another source; leave --track "
            "out"
        )
    if scheme is not None and scheme[1].lower() not in STREAM_SCHEMES:
        known = ", ".join(f"{name}://" for name in STREAM_SCHEMES[:-1])
        raise InputError(
            f"expected {known} or {STREAM_SCHEMES[-1]}://, got {scheme[0].lower()}; "
            "pass the address of a stream of these kinds, or a file"
        )
    if scheme is not None:
        return StreamSource(cast(str, source))
    if device:
        return CameraSource(cast(int | str, source), camera)
    if all(callable(getattr(source, name, None)) for name in ("next", "reopen", "close")):
        return cast(LiveSource, source)
    raise InputError(
        f"expected a camera's number, a path, an address or a live source, got "
        f"{type(source).__name__}; pass 0 for the first camera"
    )
