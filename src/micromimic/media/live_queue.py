"""Arrivals between the thread that makes them and the thread that takes them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from micromimic.media.live import Arrival

Clock = Callable[[], float]
"""Seconds that only rise, as ``time.monotonic``."""

QUEUE_BYTES: Final = 48 * 2**20
_BYTES_PER_PIXEL: Final = 4  # grey, and what colour is made from


def queue_length(width: int, height: int, wanted: int = 64) -> int:
    """Frames that may wait: ``wanted``, or as many as 48 MiB hold, but at least 4.

    >>> queue_length(640, 480), queue_length(3840, 2160)
    (40, 4)
    """
    return max(4, min(wanted, QUEUE_BYTES // (_BYTES_PER_PIXEL * max(1, width * height))))


class LiveQueue:
    """A bounded queue that can fail and be closed; both wake whoever waits.

    Args:
        length: arrivals that may wait; may be changed later.
        clock: what ``due`` and ``timeout`` are measured by.

    >>> queue = LiveQueue(2)
    >>> queue.take(0.0) is None
    True
    >>> queue.close()
    >>> queue.take(0.0)
    Traceback (most recent call last):
    ...
    EOFError: the source was closed
    """

    def __init__(self, length: int, clock: Clock = time.monotonic) -> None:
        self.length = length
        self._clock = clock
        self._items: deque[Arrival] = deque()
        self._error: Exception | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Arrival) -> bool:
        """Add without waiting; False if it is full, has failed or is closed."""
        with self._changed:
            if self._done or len(self._items) >= self.length:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    def put_waiting(self, item: Arrival) -> bool:
        """Add when there is room; False if it was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._done or len(self._items) < self.length)
            if self._done:
                return False
            self._items.append(item)
            self._changed.notify_all()
            return True

    @property
    def _done(self) -> bool:
        return self._closed or self._error is not None

    def take(self, timeout: float, due: Callable[[Arrival], float] | None = None) -> Arrival | None:
        """The oldest arrival, not before it is due; None if there was none within ``timeout`` s.

        Raises:
            EOFError: it was closed.
            Exception: what ``fail`` was given, after all arrivals before it were taken.
        """
        limit = self._clock() + timeout
        with self._changed:
            while not self._closed:
                now = self._clock()
                at = limit
                if self._items:
                    at = now if due is None else due(self._items[0])
                    if at <= now:
                        self._changed.notify_all()
                        return self._items.popleft()
                elif self._error is not None:
                    raise self._error
                if now >= limit:
                    return None
                self._changed.wait(min(at, limit) - now)
        raise EOFError("the source was closed")

    def fail(self, error: Exception) -> None:
        """Nothing more comes, and why: raised where arrivals are taken."""
        with self._changed:
            if self._error is None:
                self._error = error
            self._changed.notify_all()

    def reset(self) -> None:
        """Forget arrivals and failure, to begin again; a closed queue stays closed."""
        with self._changed:
            self._items.clear()
            self._error = None
            self._changed.notify_all()

    def close(self) -> None:
        """Drop what waits; may be called twice, from any thread."""
        with self._changed:
            self._closed = True
            # Its traceback holds the frames that it went through, and they hold this: a circle.
            self._error = None
            self._items.clear()
            self._changed.notify_all()
