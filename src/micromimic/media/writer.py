"""Write a video, whole or not at all."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from micromimic.media.whole_video import WholeVideo

_NEUTRAL: Final = 128
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG
TICKS: Final = 90_000  # ticks a second of a timed video
_LOSSLESS: Final = {"qp": "0", "preset": "ultrafast"}


class VideoWriter(WholeVideo):
    """H.264 in the container that the ending names (``.mp4``, ``.mkv``, ``.mov``).

    ``lossless`` keeps every bit of the luma that analysis reads: a grey frame comes back exactly.
    RGB frames are first converted to full-range YUV (4:2:0, or 4:4:4 for odd sizes), so colour
    comes back within rounding. There is a keyframe at least each second, and no frame reordering,
    so that seeking is quick and exact. The file appears under its name when the writer is left
    without an error; until then, and after an error, there is nothing there. ``width, height``:
    pixels, any parity.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float,
        width: int,
        height: int,
        lossless: bool = True,
        *,
        crf: int = 18,
        preset: str = "veryfast",
        timed: bool = False,
    ) -> None:
        self._size = width, height
        odd = width % 2 == 1 or height % 2 == 1
        self._format = "yuv444p" if odd else "yuv420p"
        self.frames = 0
        self._begin(Path(path))
        rate = Fraction(fps).limit_denominator(1001)
        options = _LOSSLESS if lossless else {"crf": str(crf), "preset": preset, "bf": "0"}
        self._stream = self._container.add_stream("libx264", rate=rate, options=options)
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = self._format
        context = self._stream.codec_context
        context.gop_size = max(1, round(fps))
        context.color_range = _FULL_RANGE
        self._tick = Fraction(1, TICKS) if timed else 1 / rate
        context.time_base = self._tick
        self._timed = timed
        self._last = -1

    def write(self, frame: NDArray[np.uint8], time: float | None = None) -> None:
        """Append one frame: (H, W) grey or (H, W, 3) RGB, uint8.

        ``time``: seconds from the first frame, rising; for a ``timed`` video and only there.
        """
        if (time is not None) != self._timed:
            raise ValueError("expected a time for each frame of a timed video, and for no other")
        width, height = self._size
        if frame.dtype != np.uint8 or frame.shape not in ((height, width), (height, width, 3)):
            raise ValueError(
                f"frame must be ({height}, {width}) or ({height}, {width}, 3) uint8, got "
                f"{frame.shape} {frame.dtype}"
            )
        picture = self._from_gray(frame) if frame.ndim == 2 else self._from_rgb(frame)
        picture.pts = self._last = self._place(time)
        picture.time_base = self._tick
        picture.color_range = _FULL_RANGE
        self.frames += 1
        self._mux(picture)

    def _place(self, time: float | None) -> int:
        """In ticks; two times within one tick become two ticks."""
        return self.frames if time is None else max(self._last + 1, round(time * TICKS))

    def _from_gray(self, gray: NDArray[np.uint8]) -> av.VideoFrame:
        picture = av.VideoFrame(*self._size, self._format)
        for number, plane in enumerate(picture.planes):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            if number == 0:
                rows[: gray.shape[0], : gray.shape[1]] = gray
            else:
                rows[:] = _NEUTRAL
        return picture

    def _from_rgb(self, rgb: NDArray[np.uint8]) -> av.VideoFrame:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        return picture.reformat(format=self._format, dst_color_range=_FULL_RANGE)
