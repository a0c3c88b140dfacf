"""Run a generator in a thread, a bounded number of items ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Generic, Self, TypeVar

from micromimic.core.closing import Closing
from micromimic.core.mailbox import Mailbox

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

    def __init__(
        self, make: Callable[[], Iterator[T]], ahead: int, *, patient: bool = True
    ) -> None:
        self._make = make
        self._patient = patient
        self.items = Mailbox[T](max(1, ahead))
        self.thread = threading.Thread(target=self._work, name="micromimic-read", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        source = self._make()
        try:
            for item in source:
                if not self.items.offer(item, wait=self._patient) and self._patient:
                    return
            self.items.end()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that reads
            self.items.end(error)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self.items)

    def close(self) -> None:
        """Stop the thread and wait until it is gone; may be called twice."""
        self.items.close()
        while self.thread.is_alive():
            self.thread.join(_POLL_S)
