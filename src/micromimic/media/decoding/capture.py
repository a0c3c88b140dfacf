"""How fast the camera took the frames, where a file plays them at another speed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO, Final

import av
import av.container

from micromimic.media.formats import LEAST_FPS, MOST_FPS
from micromimic.media.frames import Notice

_KEY: Final = re.compile(r"(?:^|[^a-z])capture[-_. ]?(?:fps|(?:frame[-_. ]?)?rate)$", re.IGNORECASE)
"""Names under which phones and cameras write it, ``com.android.capture.fps`` before all."""

_RATE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)(?:/(\d+))?\s*(?:fps)?\s*", re.IGNORECASE)

_CLIP_XML: Final = re.compile(rb"captureFps\s*=\s*[\"'](\d+(?:\.\d+)?)([pi]?)[\"']")
"""Where Sony's cameras write it: a description of the clip beside the tracks."""

_MOST_BOXES, _MOST_BYTES = 1000, 2**20
_STRETCH: Final = 1.5  # rates closer than this are one rate: clocks drift, and frames are dropped
_LIVELY_FPS: Final = 60.0
"""Up to here a camera may lower its rate by itself, in the dark, while it records sound."""


def captured_fps(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path
) -> float | None:
    """Frames a second that the camera took; None where they are played at that speed."""
    stated = _stated(container, stream, path)
    played = stream.average_rate or stream.guessed_rate
    if stated is None or not played or not LEAST_FPS <= stated <= MOST_FPS:
        return None
    if max(stated / played, played / stated) < _STRETCH:
        return None
    if container.streams.audio and stated <= _LIVELY_FPS:
        return None  # what is stretched has no sound
    return stated


def capture_notice(captured: float, played: float) -> Notice:
    """For a file whose times are not the camera's."""
    return Notice(
        "capture_rate",
        f"The file plays {played:.5g} frames/s and states {captured:.5g} as captured: all times "
        f"and durations are those of {captured:.5g} frames/s. If that is wrong, say the camera's "
        "rate with --fps.",
    )


def _stated(
    container: av.container.InputContainer, stream: av.VideoStream, path: Path
) -> float | None:
    for name, value in (*container.metadata.items(), *stream.metadata.items()):
        number = _RATE.fullmatch(value)
        if _KEY.search(name) and number:
            return float(number[1]) / max(1, int(number[2] or 1))
    if "mov" in container.format.name.split(","):
        with path.open("rb") as file:
            found = _CLIP_XML.search(_description(file))
        if found:
            return float(found[1]) / (2 if found[2] == b"i" else 1)
    return None


def _description(file: BinaryIO) -> bytes:
    """What stands in the ``meta`` box beside the tracks of an MP4 file (ISO 14496-12, 8.11)."""
    end = file.seek(0, 2)
    file.seek(0)
    for _ in range(_MOST_BOXES):
        head = file.read(8)
        size, kind, length = int.from_bytes(head[:4], "big"), head[4:], 8
        if size == 1:
            size, length = int.from_bytes(file.read(8), "big"), 16
        if size < length or file.tell() + size - length > end:  # the end, or cut off
            break
        if kind == b"meta":
            return file.read(min(size - length, _MOST_BYTES))
        file.seek(size - length, 1)
    return b""
