"""One process at a time has a data folder: a server while it runs, or who clears it up."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

LOCK_NAME: Final = "server.lock"
_WAIT_S: Final = 1.0
"""Clearing up takes less, so that a server that starts meanwhile waits for it."""
_PAUSE_S: Final = 0.05
_guard = threading.Lock()
_ours: dict[Path, tuple[int, IO[str]]] = {}


@contextmanager
def folder_lock(data: Path, *, wait_s: float = _WAIT_S) -> Iterator[bool]:
    """Hold a data folder; the system gives it back however the process ends.

    Yields:
        Whether it is this process's, in this thread or another; False where a server has it.

    Raises:
        OSError: the folder cannot be written.
    """
    place = data.absolute()
    end = time.monotonic() + wait_s
    while not (taken := _take(place)) and time.monotonic() < end:
        time.sleep(_PAUSE_S)
    try:
        yield taken
    finally:
        if taken:
            _give(place)


def _take(place: Path) -> bool:
    with _guard:
        if place in _ours:
            count, lock = _ours[place]
            _ours[place] = count + 1, lock
            return True
        lock = (place / LOCK_NAME).open("a+")
        try:
            _lock(lock)
        except OSError:
            lock.close()
            return False
        _ours[place] = 1, lock
        return True


def _give(place: Path) -> None:
    with _guard:
        count, lock = _ours[place]
        if count > 1:
            _ours[place] = count - 1, lock
        else:
            del _ours[place]
            lock.close()


def _lock(lock: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - of one system only

        lock.seek(0)
        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 - of the other systems only

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
