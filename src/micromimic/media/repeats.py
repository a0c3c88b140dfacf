"""Repeated frames: a recording whose rate is higher than that of its pictures."""

from __future__ import annotations

from array import array
from typing import Final

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from micromimic.media.frames import GrayImage, Notice

SAMPLES: Final = 4096
"""Pixels that are compared of each picture."""
LONGEST_RUN: Final = 8
"""More pictures in a row that are the same are a still, not a repetition."""
MIN_SHARE: Final = 0.1
"""Fewer repeated frames than this are no matter of the rate."""
_BLOCK: Final = 24
_OFF_PLACE: Final = 1.5
_NEAR: Final = 1 / 6
_WINDOW: Final = 25
_LEVEL: Final = 90
_LEAST_LEVEL: Final = 0.02


class RepeatWatch:
    """Looks for frames that show the picture before again, in a regular pattern.

    A copy is the same bit by bit, or, where it went through a lossy encoder as predicted frame
    after predicted frame, far nearer to its predecessor than its neighbours are to theirs. It
    counts only where the new pictures in between come at an even rate: a still face in a strongly
    compressed video does not repeat itself regularly.
    """

    def __init__(self) -> None:
        self._change = array("f")
        self._near = bytearray()
        self._before: tuple[GrayImage, NDArray[np.int16], int] | None = None

    def add(self, gray: GrayImage, picture: av.VideoFrame) -> None:
        """Look at the next frame; its grey picture is kept until the next call."""
        apart = max(1, int((gray.size / SAMPLES) ** 0.5))
        sample = gray[apart // 2 :: apart, apart // 2 :: apart].astype(np.int16)
        kind = picture.pict_type
        if self._before is not None:
            gray_before, sample_before, kind_before = self._before
            change = float(np.abs(sample - sample_before).mean())
            if change == 0 and not np.array_equal(gray, gray_before):
                change = 0.5 / SAMPLES
            self._change.append(change)
            # Frames of other kinds differ by how they are encoded, too.
            self._near.append(kind == kind_before and kind != PictureType.B)
        self._before = gray, sample, kind

    def notice(self, seconds: float) -> Notice | None:
        """What to tell of the frames seen.

        Args:
            seconds: from the first frame to the last.
        """
        if len(self._change) < _BLOCK:
            return None
        repeated, regular = self._repeats()
        counted, frames = int((repeated & regular).sum()), len(repeated) + 1
        if counted < MIN_SHARE * frames:
            return None
        rate = len(repeated) / seconds
        new = rate * (1 - counted / int(regular.sum()))
        return Notice(
            "repeated_frames",
            f"expected a new picture in each frame, got {counted} of {frames} frames that "
            f"repeat the one before; the recording shows about {new:.3g} pictures a second, not "
            f"{rate:.3g}, and times are no finer than that; record at a rate that the camera "
            "keeps, or use the original file",
        )

    def _repeats(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Of all frames but the first: which repeat, and where they do so regularly."""
        change = np.frombuffer(self._change, np.float32)
        near = np.frombuffer(self._near, np.bool_)
        repeated = change == 0
        if near.sum() >= _WINDOW:
            level = _levels(change[near])
            repeated[near] |= (change[near] < _NEAR * level) & (level >= _LEAST_LEVEL)
        places = np.flatnonzero(np.concatenate([[True], ~repeated, [True]]))
        runs = np.diff(places)  # frames for each new picture
        regular = np.zeros(len(repeated), bool)
        for start in range(0, len(runs) if len(runs) >= _BLOCK else 0, _BLOCK):
            # the last block begins earlier, so that it is as long as the others
            first = min(start, len(runs) - _BLOCK)
            block, ends = runs[first : first + _BLOCK], places[first : first + _BLOCK + 1]
            off = ends - np.linspace(ends[0], ends[-1], len(ends))
            if 1 < block.max() <= LONGEST_RUN and np.ptp(off) <= 2 * _OFF_PLACE:
                regular[max(0, ends[0] - 1) : ends[-1] - 1] = True
        return repeated, regular


def _levels(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much changes around each frame where a picture is new."""
    padded = np.pad(change, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)
    return np.percentile(windows[:: _WINDOW // 2], _LEVEL, axis=1).astype(np.float32)[
        np.arange(len(change)) // (_WINDOW // 2)
    ]
