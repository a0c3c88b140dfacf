"""Run a generator in a thread, a bounded number of items ahead."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from micromimic.media.closing import Closing

T = TypeVar("T")

_POLL_S = 0.1


class Prefetch(Closing, Generic[T]):
    """Iterator over ``make()`` that computes up to ``ahead`` items in the background.

    The thread starts with the object and ends with ``close``, at the end of the items, or with an
    error, which is raised where the items are taken. Use it as a context manager.

    >>> with Prefetch(lambda: iter(range(3)), ahead=2) as items:
    ...     list(items)
    [0, 1, 2]
    """

    def __init__(self, make: Callable[[], Iterator[T]], ahead: int) -> None:
        self._make = make
        self._items: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(max(1, ahead))
        self._stop = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._work, name="micromimic-read", daemon=True)
        self._thread.start()

    def _put(self, item: tuple[T] | BaseException | None) -> bool:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._items.put(item, timeout=_POLL_S)
                return True
        return False

    def _work(self) -> None:
        source = self._make()
        try:
            for item in source:
                if not self._put((item,)):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that reads
            self._put(error)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if self._ended or self._stop.is_set():
            raise StopIteration
        item = self._items.get()
        if isinstance(item, tuple):
            return item[0]
        self._ended = True
        if item is None:
            raise StopIteration
        raise item

    def close(self) -> None:
        """Stop the thread and wait until it is gone; may be called twice."""
        self._stop.set()
        while self._thread.is_alive():
            with contextlib.suppress(queue.Empty):
                while True:
                    self._items.get_nowait()
            self._thread.join(_POLL_S)
