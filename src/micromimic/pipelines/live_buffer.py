"""Frames between the thread that reads the source and the one that tracks; what is dropped, how.

While the machine keeps up nothing is. When it does not, every 2nd, 3rd, ... frame is taken, so that
those that remain are evenly spaced: the spotter needs an even rate more than a high one.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from micromimic.media.live import Arrival

MOST_FRAMES: Final = 1024
MOST_BYTES: Final = 192 * 2**20
WAITING_FRAMES: Final = 8
"""Frames that wait where none may be dropped."""


class Thinning:
    """Every how many-th frame is taken.

    Args:
        limit_s: seconds for which a frame may wait.

    >>> thinning = Thinning(0.5)
    >>> [thinning.step(now, waiting_s=0.3) for now in (1.0, 1.1, 1.3, 1.4, 1.7)]
    [1, 1, 2, 2, 3]
    """

    MOST: Final = 16
    SUSTAINED_S: Final = 0.2
    """Seconds of high backlog before a step up: a moment's stall is caught up without."""
    RAISE_S: Final = 0.3
    """Seconds until it is seen whether a step has helped."""
    CALM_S: Final = 5.0
    """Seconds of low backlog before a step down."""
    LONGEST_CALM_S: Final = 80.0

    def __init__(self, limit_s: float) -> None:
        self._limit = limit_s
        self._calm_s = self.CALM_S
        self._calm_since: float | None = None
        self._high_since: float | None = None
        self._judged = -math.inf
        self._waited = 0.0
        self._lowered = -math.inf
        self.every = 1

    def step(self, now: float, waiting_s: float) -> int:
        """Every how many-th frame is to be taken now.

        Args:
            now: seconds of any clock that rises.
            waiting_s: how long the oldest frame has waited.
        """
        if waiting_s > 0.5 * self._limit:
            self._calm_since = None
            if self._high_since is None:
                self._high_since, self._waited = now, waiting_s
            sustained = now - self._high_since >= self.SUSTAINED_S
            if sustained and now - self._judged >= self.RAISE_S:
                if waiting_s > self._waited - 0.02 * self._limit:
                    self._raise(now)
                self._judged, self._waited = now, waiting_s
            return self.every
        self._high_since = None
        if waiting_s > 0.2 * self._limit:
            self._calm_since = None
        elif self.every > 1:
            self._calm_since = now if self._calm_since is None else self._calm_since
            if now - self._calm_since >= self._calm_s:
                self.every -= 1
                self._lowered, self._calm_since = now, now
        return self.every

    def _raise(self, now: float) -> None:
        """The backlog does not fall: take fewer frames."""
        # Too early back means back again and again: wait longer each time.
        soon = now - self._lowered < 2 * self._calm_s
        self._calm_s = min(2 * self._calm_s, self.LONGEST_CALM_S) if soon else self.CALM_S
        self.every = min(self.every + 1, self.MOST)


class Gap:
    """In place of a frame: the source was gone for a while."""


class FrameBuffer:
    """A bounded queue of arrivals that thins out what it cannot hold, and counts it.

    Args:
        seconds: for which a frame may wait; then new ones are refused.
        may_drop: False makes the source wait instead: for files that need not keep a pace.
        clock: as the arrivals'.
    """

    def __init__(
        self, seconds: float, *, may_drop: bool = True, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._may_drop = may_drop
        self._clock = clock
        self._thinning = Thinning(seconds)
        self._items: deque[Arrival | Gap] = deque()
        self._bytes = 0
        self._ended = False
        self._changed = threading.Condition()
        self.received = 0
        """Frames so far, those included that the source itself has dropped."""
        self.dropped = 0

    @property
    def thinning(self) -> int:
        """Every how many-th frame is taken now."""
        return self._thinning.every

    def put(self, arrival: Arrival) -> None:
        """Add a frame, or drop it; waits only where none may be dropped."""
        with self._changed:
            number = arrival.frame.index
            self.dropped += max(0, number - self.received)
            self.received = max(self.received, number) + 1
            if not self._may_drop:
                self._changed.wait_for(lambda: self._ended or len(self._items) < WAITING_FRAMES)
            elif self._refuse(number):
                self.dropped += 1
                return
            if self._ended:
                self.dropped += 1
                return
            self._items.append(arrival)
            self._bytes += arrival.frame.gray.nbytes
            self._changed.notify_all()

    def _refuse(self, number: int) -> bool:
        now = self._clock()
        oldest = next((item for item in self._items if isinstance(item, Arrival)), None)
        waiting = 0.0 if oldest is None else now - oldest.arrived
        before = self._thinning.every
        every = self._thinning.step(now, waiting)
        if every > before:
            self._halve()
        full = len(self._items) >= MOST_FRAMES or self._bytes >= MOST_BYTES
        return full or waiting > self._seconds or number % every != 0

    def _halve(self) -> None:
        """Let every second waiting frame go: what came too densely is what the backlog is."""
        kept: deque[Arrival | Gap] = deque()
        go = False
        for item in self._items:
            if isinstance(item, Arrival) and go:
                self._bytes -= item.frame.gray.nbytes
                self.dropped += 1
            else:
                kept.append(item)
            go = not go
        self._items = kept

    def gap(self) -> None:
        """The source is gone; what comes later does not follow what came before."""
        with self._changed:
            self._items.append(Gap())
            self._changed.notify_all()

    def take(self, timeout: float) -> Arrival | Gap | None:
        """The oldest, or None after ``timeout`` seconds without one.

        Raises:
            EOFError: nothing is left and nothing will come.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._ended, timeout)
            if self._items:
                item = self._items.popleft()
                if isinstance(item, Arrival):
                    self._bytes -= item.frame.gray.nbytes
                self._changed.notify_all()
                return item
            if self._ended:
                raise EOFError
            return None

    def end(self, *, discard: bool = False) -> None:
        """Nothing more will come; what waits is still taken, unless it is to be discarded."""
        with self._changed:
            self._ended = True
            if discard:
                self.dropped += sum(isinstance(item, Arrival) for item in self._items)
                self._items.clear()
            self._changed.notify_all()
