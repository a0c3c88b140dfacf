"""Scene cuts: another picture altogether from one frame to the next."""

from __future__ import annotations

from collections import deque
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SAMPLES: Final = 4096  # pixels that are looked at of each picture
SIDE: Final = 16  # blocks a side, whose means are compared
LEAST_CHANGE: Final = 1.0  # grey levels: what changes less on average is noise
MOST_ALIKE: Final = 0.96  # neighbouring frames that correlate better show one scene
UNLIKE: Final = 0.5  # those that correlate worse never do, whatever the frames before did
SUDDEN: Final = 4.0  # a cut changes so many times more than any of the frames before it
_BEFORE: Final = 6


class CutWatch:
    """Says where a recording goes on with another picture.

    Light that changes, a moving head and a moving camera leave neighbouring frames alike, or come
    about over several. Dissolves do, too, and are no cuts here.

    >>> watch = CutWatch()
    >>> ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    >>> [watch.add(picture) for picture in (ramp, ramp + 9, ramp.T.copy(), ramp.T.copy())]
    [False, False, True, False]
    """

    def __init__(self) -> None:
        self._blocks: NDArray[np.float32] | None = None
        self._changes: deque[float] = deque(maxlen=_BEFORE)

    def add(self, gray: NDArray[np.uint8]) -> bool:
        """Whether a cut lies between the frame before and this one."""
        apart = max(1, int((gray.size / SAMPLES) ** 0.5))
        sample = gray[apart // 2 :: apart, apart // 2 :: apart].copy()
        blocks = cv2.resize(sample, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        centred = np.asarray(blocks, np.float32).ravel()
        centred -= centred.sum() / centred.size
        before, self._blocks = self._blocks, centred
        if before is None:
            return False
        change = cv2.norm(before, centred, cv2.NORM_L1) / centred.size
        usual = max(self._changes, default=0.0)
        self._changes.append(change)
        if change < LEAST_CHANGE:
            return False
        spread = cv2.norm(before) * cv2.norm(centred) + 1e-6
        alike = float(before @ centred) / spread
        return alike < UNLIKE or (alike < MOST_ALIKE and change > SUDDEN * usual)
