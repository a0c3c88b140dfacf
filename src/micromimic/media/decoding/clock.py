"""Times that rise strictly, whatever a container says."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

JUMP_BACK_S: Final = 0.5
"""A fall of the timestamps by more than this is a new start of the clock, not disorder."""

LONGEST_S: Final = 1e9
"""No recording spans thirty years: such a time is damage, and too coarse a number to add to."""


class Clock:
    """Turns presentation timestamps into seconds from 0 that rise strictly.

    Good timestamps pass unchanged. A missing one, or one that does not rise, is replaced: the first
    by half a step after the frame before (so that the next good one still fits), further ones by
    whole steps. After a fall of more than half a second the clock goes on from there.
    ``time_base``: seconds in one tick; ``step``: seconds from frame to frame where timestamps are
    of no use; ``origin``: the timestamp that became 0; None as long as there was none;
    ``repaired``: how many were replaced.

    >>> clock = Clock(Fraction(1, 10), step=0.2)
    >>> [round(clock.seconds(pts), 3) for pts in (100, 102, None, 104, 104, 106)]
    [0.0, 0.2, 0.3, 0.4, 0.5, 0.6]
    >>> clock.repaired
    2
    """

    def __init__(self, time_base: Fraction, step: float) -> None:
        self._base = time_base
        self._step = step
        self.origin: int | None = None
        self._shift = 0.0
        self._last: float | None = None
        self._run = 0
        self.repaired = 0

    def seconds(self, pts: int | None) -> float:
        """Time of the next frame, seconds."""
        time = self._honest(pts)
        if self._last is None:
            time = 0.0 if time is None else time
        elif time is None or time <= self._last:
            if time is not None and self._last - time > JUMP_BACK_S:
                self._shift += self._last + self._step - time
                time = self._last + self._step
            else:
                # A file without any times is even; elsewhere the next good one must still fit.
                between = self._run == 0 and self.origin is not None
                time = self._last + self._step * (0.5 if between else 1.0)
            self._run += 1
            self.repaired += 1
        else:
            self._run = 0
        self._last = time
        return time

    def _honest(self, pts: int | None) -> float | None:
        if pts is None:
            return None
        if self.origin is None:
            self.origin = pts
        time = float((pts - self.origin) * self._base) + self._shift
        return time if abs(time) <= LONGEST_S else None
