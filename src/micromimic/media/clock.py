"""Times that rise strictly: of a file, whatever its container says, and of a stream."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

JUMP_BACK_S: Final = 0.5
"""A fall of the timestamps by more than this is a new start of the clock, not disorder."""

LONGEST_S: Final = 1e9
"""No recording spans thirty years: such a time is damage, and too coarse a number to add to."""


class Clock:
    """Turns a file's timestamps into seconds from 0 that rise strictly.

    Good timestamps pass unchanged. A missing one, or one that does not rise, is replaced: the first
    by half a ``step`` after the frame before (so that the next good one still fits), further ones
    by whole steps. After a fall of more than half a second the clock goes on from there.

    >>> clock = Clock(Fraction(1, 10), step=0.2)
    >>> [round(clock.seconds(pts), 3) for pts in (100, 102, None, 104, 104, 106)]
    [0.0, 0.2, 0.3, 0.4, 0.5, 0.6]
    >>> clock.repaired
    2
    """

    def __init__(self, time_base: Fraction, step: float) -> None:
        self._ticks, self._per = time_base.numerator, time_base.denominator
        self._step = step
        self.origin: int | None = None  # the timestamp that became 0
        self._shift = 0.0
        self._last: float | None = None
        self._run = 0
        self.repaired = 0  # timestamps that were replaced

    def seconds(self, pts: int | None) -> float:
        time = self._valid(pts)
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

    def _valid(self, pts: int | None) -> float | None:
        if pts is None:
            return None
        if self.origin is None:
            self.origin = pts
        # Whole numbers: a Fraction takes ten times as long to say the same.
        time = (pts - self.origin) * self._ticks / self._per + self._shift
        return time if abs(time) <= LONGEST_S else None


JUMP_AHEAD_S: Final = 10.0
"""Timestamps this far ahead of the arrivals have jumped; no frame came that late."""

SAME_TICK_S: Final = 1e-9  # between frames that arrive within one tick of the computer's clock

CATCH_UP: Final = 1.25
"""A live stream that comes in bursts (HLS) is handed out at most this much faster than it ran."""


class StreamClock:
    """Turns a stream's timestamps into seconds from 0 that rise strictly, over reconnections too.
    ``live``: the stream cannot run ahead of real time by more than its own buffers; False for a
    recording, whose gaps are believed."""

    def __init__(self, live: bool = True) -> None:
        self.live = live
        self._last: float | None = None
        self._arrived = 0.0
        self.connect(Fraction(1), SAME_TICK_S)

    def connect(self, time_base: Fraction, step: float) -> None:
        """A connection begins, with a clock of its own: seconds a tick, and a frame if in doubt."""
        self._base, self._step = time_base, step
        self._origin: float | None = None

    def seconds(self, pts: int | None, arrived: float) -> float:
        """Time of the next frame: by its ticks, where it has any, and by when it came."""
        ticks = None if pts is None else float(pts * self._base)
        time = None if ticks is None or self._origin is None else ticks - self._origin
        waited, self._arrived = arrived - self._arrived, arrived
        if self._last is None:
            time, self._origin = 0.0, ticks
        elif time is None or (
            time - self._last < -JUMP_BACK_S
            or (self.live and time - self._last - waited > JUMP_AHEAD_S)
        ):
            # Without a time of its own, or with one of another clock: as long as it was waited for.
            time = self._last + (waited if waited > 0 else self._step)
            self._origin = self._origin if ticks is None else ticks - time
        elif time <= self._last:
            time = self._last + self._step / 2  # so that the next good one still fits
        self._last = time
        return time


class Pacer:
    """When a frame that has arrived is handed out, so that a burst becomes a flow again.

    >>> pace = Pacer(1.0)
    >>> [pace.due(time, arrived) for time, arrived in ((0.0, 9.0), (0.5, 9.1), (1.0, 11.0))]
    [9.0, 9.5, 11.0]
    """

    def __init__(self, speed: float = CATCH_UP) -> None:
        self.speed = speed
        self._time, self._due = 0.0, -math.inf

    def due(self, time: float, arrived: float) -> float:
        self._due = max(arrived, self._due + (time - self._time) / self.speed)
        self._time = time
        return self._due
