"""A copy of a video that a browser can step through: every frame once, at its own time."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.media.whole_video import WholeVideo

LONG_SIDE: Final = 960  # pixels along a proxy's longer side, at most
TICKS: Final = 90_000
"""Ticks a second: a whole number a frame at 24, 25, 29.97, 30, 50, 59.94, 60, 100, 200 fps."""
KEY_EVERY: Final = 12  # frames from key frame to key frame: a step backwards decodes at most these

_BT601: Final = 6  # FFmpeg's number for its matrix: what OpenCV converts with
_LIMITED_RANGE: Final = 1


def proxy_size(width: int, height: int, long_side: int = LONG_SIDE) -> tuple[int, int]:
    """Width and height of a proxy: even, at most ``long_side``, never enlarged.

    >>> proxy_size(1920, 1080), proxy_size(641, 481), proxy_size(1, 1)
    ((960, 540), (640, 480), (2, 2))
    """
    share = min(1.0, long_side / max(width, height))
    across, down = (max(2, int(side * share / 2 + 0.25) * 2) for side in (width, height))
    return across, down


class ProxyWriter(WholeVideo):
    """H.264 (MP4, 4:2:0, BT.601) without reordered frames, seekable from any twelfth frame.

    Frame n of the proxy shows frame n of the source at the same time, to 1/90,000 s, whatever the
    source's rate. The file appears under its name when the writer is left without an error; until
    then, and after an error, there is nothing there. ``width, height``: of the pictures that will
    come, pixels; ``rate``: frames a second, a hint for the encoder.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        *,
        long_side: int = LONG_SIDE,
        rate: float = 25.0,
        crf: int = 23,
        preset: str = "superfast",
    ) -> None:
        self.size = proxy_size(width, height, long_side)
        self.frames = 0
        self._source = height, width
        self._last = -1
        self._time = -math.inf
        self._begin(path, format="mp4", options={"movflags": "+faststart"})
        options = {"crf": str(crf), "preset": preset, "bf": "0", "sc_threshold": "0"}
        stream = self._container.add_stream(
            "libx264", rate=max(1, min(1000, round(rate))), options=options
        )
        stream.width, stream.height = self.size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.gop_size = KEY_EVERY
        context.thread_count = 1
        context.time_base = Fraction(1, TICKS)
        context.color_range = _LIMITED_RANGE
        context.colorspace = _BT601
        self._stream = stream

    def write(self, rgb: NDArray[np.uint8], time: float) -> None:
        """Append one frame. ``rgb``: (H, W, 3) uint8 RGB."""
        if rgb.dtype != np.uint8 or rgb.shape != (*self._source, 3):
            raise ValueError(
                f"frame must be ({self._source[0]}, {self._source[1]}, 3) uint8, got {rgb.shape} "
                f"{rgb.dtype}"
            )
        if not time > self._time:
            raise ValueError(f"times must rise, got {time} after {self._time}")
        self._time = time
        if (rgb.shape[1], rgb.shape[0]) != self.size:
            rgb = cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA)
        planes = cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420)
        picture = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        # Two frames less than a tick apart stay two frames.
        self._last = picture.pts = max(self._last + 1, round(time * TICKS))
        picture.time_base = Fraction(1, TICKS)
        self.frames += 1
        self._mux(picture)
