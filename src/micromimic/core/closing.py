"""What must be closed, closed by ``with``."""

from __future__ import annotations

from typing import Self


class Closing:
    """Base of what holds a file or a thread: leaving ``with`` calls ``close``.

    >>> class Door(Closing):
    ...     def close(self):
    ...         print("closed")
    >>> with Door():
    ...     pass
    closed
    """

    def close(self) -> None:
        """Free everything; may be called twice."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
