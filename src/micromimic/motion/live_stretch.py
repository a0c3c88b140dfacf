"""One unbroken stretch of tracking as its frames come in: when it ends, how even its time is."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from micromimic.face.signals import FaceRow
from micromimic.motion.live_window import Row, StretchWindow
from micromimic.motion.stretches import BRIDGE, LONGEST_STEPS, highest_rate, rounded_rate

SHORTEST_S: Final = 0.3
"""Shorter stretches are left out, as offline."""
EVEN: Final = 0.25
"""Steps off by less than this share are taken as even, as in `motion.stretches`."""
RATE_WINDOW_S: Final = 0.5
"""Seconds over which the rate now is measured."""
SLOWER, FASTER = 0.8, 1.25
"""Shares of the grid's rate beyond which another grid fits better."""
SAME_RATE: Final = 0.03
"""Rates no further apart than this share are one."""
LONGEST_STEP_S: Final = 2.0
"""A longer step is a gap, whatever is usual: no grid is laid over it."""


class LiveStretch:
    """Frames of one stretch, and the window that they are filtered in.

    Args:
        segment: number of the stretch of tracking.
        began: time of its first frame.
        keep_s: seconds of frames that are kept.
    """

    def __init__(self, segment: int, began: float, keep_s: float) -> None:
        self.segment = segment
        self.began = began
        self.decided = began - 1.0
        """Movements with apexes up to here had their second look."""
        self.window: StretchWindow | None = None
        self._keep_s = keep_s
        self._rows: deque[Row] = deque()
        self._new = 0
        self._gap = False

    def add(self, frame: int, row: FaceRow) -> None:
        """Take the next frame."""
        self._gap = False
        self._rows.append((frame, row))
        self._new += 1
        while len(self._rows) > self._new and row.time - self._rows[0][1].time > self._keep_s:
            self._rows.popleft()

    def lost_at(self, time: float) -> bool:
        """A frame without the face: whether that ends the stretch."""
        self._gap = True
        return not self._rows or time - self._rows[-1][1].time > BRIDGE

    def goes_on_with(self, row: FaceRow) -> bool:
        """Whether a frame belongs to this stretch."""
        if row.segment != self.segment:
            return False
        step = row.time - self._rows[-1][1].time
        if step <= BRIDGE:
            return True
        # A slow camera leaves long steps too; only a lost face or a pause of the source is a gap.
        known = [1 / self.window.rate] if self.window else [*self._steps(0), step]
        longest = min(LONGEST_STEP_S, LONGEST_STEPS * float(np.median(known)))
        return not self._gap and step <= longest

    def take(self) -> list[Row]:
        """Frames since the last call."""
        fresh = [self._rows[i] for i in range(len(self._rows) - self._new, len(self._rows))]
        self._new = 0
        return fresh

    def past(self) -> list[Row]:
        """Frames that were taken and are kept."""
        return [self._rows[i] for i in range(len(self._rows) - self._new)]

    def start_again(self) -> None:
        """All frames that are kept count as new."""
        self._new = len(self._rows)

    def better_grid(self, known: float | None) -> tuple[float, bool] | None:
        """Rate of a grid that fits better than the window's, and whether frames lie on it.

        Args:
            known: rate of this person's earlier stretches, kept where it still fits.

        Returns:
            None where the window's grid fits, or where there are too few frames to tell.
        """
        if self.window is None:
            return self._first_grid(known)
        rate = self.window.rate
        fresh = self._steps(len(self._rows) - self._new - 1)
        if not len(fresh):
            return None
        now = _rate(self._steps(self._since(RATE_WINDOW_S)))
        if now < SLOWER * rate:
            return now, False
        # Faster again: wait until all that is kept is fast, or the noise would seem less.
        if now > FASTER * rate and np.quantile(self._steps(0), 0.9) < SLOWER / rate:
            return self._first_grid(None)
        if self.window.even and not _even(fresh, now, rate):
            return rate, False
        return None

    def _first_grid(self, known: float | None) -> tuple[float, bool] | None:
        steps = self._steps(0)
        if len(steps) < 3 or steps.sum() < SHORTEST_S:
            return None
        now = _rate(steps)
        rate = known if known is not None and SLOWER * known < now < FASTER * known else now
        return rate, _even(steps, now, rate)

    def _since(self, seconds: float) -> int:
        """Number of the first frame of the last ``seconds``, and at least eight frames."""
        last = self._rows[-1][1].time
        first = max(0, len(self._rows) - 8)
        while first > 0 and last - self._rows[first - 1][1].time <= seconds:
            first -= 1
        return first

    def _steps(self, first: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Seconds between the frames from a number on."""
        first = max(0, first)
        times = [self._rows[i][1].time for i in range(first, len(self._rows))]
        return np.diff(np.array(times, np.float64))


def _even(steps: np.ndarray[tuple[int], np.dtype[np.float64]], now: float, rate: float) -> bool:
    """Whether frames lie on a grid: each step nearly its own, and all together on average."""
    fits = abs(now / rate - 1) < SAME_RATE
    return fits and bool(np.abs(steps * rate - 1).max(initial=0.0) < EVEN)


def _rate(steps: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Frames a second."""
    return rounded_rate(min(1 / float(np.median(steps)), highest_rate(steps)))
