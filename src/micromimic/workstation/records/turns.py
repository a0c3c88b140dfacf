"""A lock that serves in the order of asking: nobody starves while others hammer on it."""

from __future__ import annotations

from collections import deque
from threading import Lock


class Turns:
    """One at a time, first come first served.

    >>> turns = Turns()
    >>> turns.take(1.0), turns.take(0.01)
    (True, False)
    >>> turns.give()
    >>> turns.take(1.0)
    True
    """

    def __init__(self) -> None:
        self._guard = Lock()
        self._waiting: deque[Lock] = deque()
        self._taken = False

    def take(self, timeout: float) -> bool:
        """Wait for one's turn; False where it did not come within so many seconds."""
        mine = Lock()
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=timeout):
            return True
        with self._guard:
            if mine not in self._waiting:  # handed over in the very last moment
                return True
            self._waiting.remove(mine)
            return False

    def give(self) -> None:
        """Hand the turn to who has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False
