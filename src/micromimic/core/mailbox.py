"""What goes from one thread to another, or from a thread to an event loop."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Final, Generic, Self, TypeVar

from micromimic.core.closing import Closing

Clock = Callable[[], float]
"""Seconds that only rise, as ``time.monotonic``."""

T = TypeVar("T")
_SLICE_S: Final = 0.5
"""A wait without a limit could not be interrupted everywhere."""


class Mailbox(Closing, Generic[T]):
    """A bounded queue of any number of writers and one reader; it can end, fail and be closed.

    What happens when it is full is the writer's choice: ``put`` never waits and never refuses, but
    lets the older half of what is of passing interest go; ``offer`` refuses, or waits for room.

    So many items may wait at ``most``, which may be changed later; what ``put`` adds and does not
    pass is taken all the same. What ``passes`` may go for newer items; the newest of each type
    stays. ``take`` measures by the clock.

    >>> box = Mailbox(2, passes=lambda item: isinstance(item, int))
    >>> [box.put(item) for item in (1, 2, "an event", 3)], box.end()
    ([True, True, True, True], None)
    >>> list(box), box.dropped[int]
    ([2, 'an event', 3], 1)
    >>> box.take(1.0)
    Traceback (most recent call last):
    ...
    EOFError: nothing more comes
    """

    def __init__(
        self,
        most: int,
        passes: Callable[[T], bool] = lambda item: False,
        clock: Clock = time.monotonic,
    ) -> None:
        self.most = most
        self.dropped: Counter[type] = Counter()
        """Items that ``put`` has let go, by type."""
        self._passes = passes
        self._clock = clock
        self._items: deque[T] = deque()
        self._passing = 0
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._ring: Callable[[], object] | None = None

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """The oldest item, as long as it takes; iteration stops where ``take`` says EOFError."""
        while True:
            try:
                item = self.take(_SLICE_S)
            except EOFError:
                raise StopIteration from None
            if item is not None:
                return item

    def oldest(self) -> T | None:
        """What is taken next; it stays."""
        with self._changed:
            return self._items[0] if self._items else None

    def put(self, item: T) -> bool:
        """Add without waiting; False after the end."""
        with self._changed:
            if self._ended:
                return False
            if self._passes(item):
                if self._passing >= self.most:
                    self._let_go()
                self._passing += 1
            self._items.append(item)
            self._tell()
            return True

    def offer(self, item: T, *, wait: bool = False) -> bool:
        """Add where there is room, or wait for it; False if there is none, or after the end."""
        with self._changed:
            while wait and not self._ended and len(self._items) >= self.most:
                self._changed.wait()
            if self._ended or len(self._items) >= self.most:
                return False
            self._passing += self._passes(item)
            self._items.append(item)
            self._tell()
            return True

    def sift(self, stays: Callable[[T], bool]) -> int:
        """Let go what does not stay, from the oldest on; how much that was."""
        with self._changed:
            before = len(self._items)
            self._items = deque(item for item in self._items if stays(item))
            self._passing = sum(map(self._passes, self._items))
            self._tell()
            return before - len(self._items)

    def take(self, timeout: float, due: Callable[[T], float] | None = None) -> T | None:
        """The oldest item, not before it is due; None if there was none within ``timeout`` s."""
        limit = self._clock() + timeout
        with self._changed:
            while self._items or not self._ended:
                now = at = self._clock()
                if self._items and (due is None or (at := due(self._items[0])) <= now):
                    return self._pop()
                if now >= limit:
                    return None
                self._changed.wait((min(at, limit) if self._items else limit) - now)
            raise self._ending()

    async def receive(self) -> T:
        """The oldest item, awaited on an event loop."""
        import asyncio  # noqa: PLC0415 - whoever awaits has it; a recording's frames need none

        loop = asyncio.get_running_loop()
        while True:
            with self._changed:
                if self._items:
                    return self._pop()
                if self._ended:
                    raise self._ending()
                news = asyncio.Event()
                self._ring = partial(loop.call_soon_threadsafe, news.set)
            await news.wait()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes; what waits is still taken, then the error is raised, or EOFError."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            self._tell()

    def close(self) -> None:
        """Drop what waits, and end; may be called twice, from any thread."""
        with self._changed:
            self._items.clear()
            self._passing = 0
            # An error's traceback holds the frames that it went through, and they this: a circle.
            self._ended, self._error = True, None
            self._tell()

    def _pop(self) -> T:
        item = self._items.popleft()
        self._passing -= self._passes(item)
        self._changed.notify_all()
        return item

    def _ending(self) -> BaseException:
        return self._error or EOFError("nothing more comes")

    def _let_go(self) -> None:
        """The older half of what passes, but the newest of each type."""
        newest = {type(item): id(item) for item in self._items}
        surplus = (self._passing + 1) // 2
        kept: deque[T] = deque()
        for item in self._items:
            if surplus > 0 and self._passes(item) and newest[type(item)] != id(item):
                surplus -= 1
                self._passing -= 1
                self.dropped[type(item)] += 1
            else:
                kept.append(item)
        self._items = kept

    def _tell(self) -> None:
        self._changed.notify_all()
        ring, self._ring = self._ring, None
        if ring is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended in the meantime
                ring()
