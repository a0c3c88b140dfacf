"""Repeated frames: a recording whose rate is higher than that of its pictures."""

from __future__ import annotations

from array import array
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.sparse import sparse
from micromimic.media.frames import GrayImage, Notice

Pixels = NDArray[np.float32]

SIDE: Final = 16  # blocks a side, whose changes are compared
MOVES: Final = 5.0
"""Grey levels: a block that changes less shows noise, and what an encoder made of it."""
REPEATS: Final = 0.15
"""A repeated frame changes less than this share of what the frame before or after changes..."""
CLEARLY: Final = 0.5
"""...or than this one, where there is hardly any frame in between: most new ones change most."""
LONGEST: Final = 8  # frames from one new picture to the next; more are a face that rests
LEAST: Final = 8
"""New pictures in movement that are needed, and half as many of them shown more than once; half of
both where repeated and new are clearly apart."""
MIN_SHARE: Final = 0.1  # fewer repeated frames than this are no matter of the rate


class RepeatWatch:
    """Looks for frames that show the picture before again.

    Only where something moves can a repetition be told from rest: there a new picture changes about
    as much as the next, and a repeated one next to nothing, whatever a lossy encoder of predicted
    frames has left in the background. So each frame's change is compared with that of the frames
    beside it, in the blocks that move in one of the three, and what counts is how many frames lie
    between one new picture and the next.
    """

    def __init__(self) -> None:
        self._sample: tuple[Pixels, float] | None = None  # of the frame before, and its mean
        self._key = False
        self._changes: list[Pixels | None] = []  # of blocks, in the last two frames
        self._shares = array("f")

    def add(self, gray: GrayImage, key: bool = False) -> None:
        """Look at the next frame. A ``key`` frame was encoded without the frame before: then it
        differs from that for this reason, too, unless all are encoded so."""
        sample = sparse(gray).astype(np.float32)
        light = cv2.mean(sample)[0] + 1.0
        before, self._sample = self._sample, (sample, light)
        anew, self._key = key and not self._key, key
        if before is None:
            return
        # A lamp's flicker is no movement, and beats with the rate of the frames.
        change = cv2.absdiff(before[0], sample * np.float32(before[1] / light))
        blocks = cv2.resize(change, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()
        if self._changes:
            beside = [*self._changes[:-1], None if anew else blocks]
            self._shares.append(_share(self._changes[-1], beside))
        self._changes = [*self._changes[-1:], None if anew else blocks]

    def pictures(self) -> float:
        """New pictures a frame, 1 where nothing shows that there are fewer."""
        shares = np.frombuffer(self._shares, np.float32)
        least, little, _, between, most = np.histogram(shares, (0, 0.1, 0.2, 0.4, 0.8, 1.01))[0]
        clear = between < 0.15 * most
        if not clear and least < 1.5 * little:
            return 1.0  # a few changes are small, none is next to nothing
        new = np.flatnonzero(shares >= (CLEARLY if clear else REPEATS))
        steps = np.diff(new)[np.isfinite(shares[new[:-1]] + shares[new[1:]])]
        steps = steps[steps <= LONGEST]
        need = LEAST // 2 if clear else LEAST
        if len(steps) < need:
            return 1.0
        # Where movement pauses, a new picture changes as little as a repeated one.
        steps = steps[steps <= np.median(steps) + 1]
        found = len(steps) / float(steps.sum())
        enough = found <= 1 - MIN_SHARE and 2 * (steps > 1).sum() >= need
        return found if enough else 1.0

    def notice(self, seconds: float) -> Notice | None:
        pictures = self.pictures()
        if pictures == 1:
            return None
        rate = (len(self._shares) + 1) / seconds
        return Notice(
            "repeated_frames",
            f"{1 - pictures:.0%} of the frames repeat the one before: the recording shows about "
            f"{pictures * rate:.3g} pictures a second, not {rate:.3g}, and times are no finer. If "
            "this is a copy, analyse the original; record at a rate that the camera keeps.",
        )


def _share(change: Pixels | None, beside: list[Pixels | None]) -> float:
    """Of what moves in a frame or beside it, how much changes in it."""
    if change is None:
        return np.inf
    most = change
    for other in beside:
        if other is not None:
            most = np.maximum(most, other)
    moving = np.asarray(most >= MOVES, np.float32)
    whole = float(most @ moving)
    return float(change @ moving) / whole if whole else np.nan
