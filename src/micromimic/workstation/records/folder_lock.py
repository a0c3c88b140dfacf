"""Who writes in a data folder: one process at a time has it, and which ids it is writing."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from micromimic.workstation.records.folder import LOCK_NAME

_WAIT_S: Final = 1.0
"""Clearing up takes less, so that a server that starts meanwhile waits for it."""
_PAUSE_S: Final = 0.05
_guard = threading.Lock()
_locks: dict[Path, IO[str]] = {}
_holders: Counter[Path] = Counter()
_being_written: Counter[str] = Counter()


@contextmanager
def folder_lock(data: Path, *, wait_s: float = _WAIT_S) -> Iterator[bool]:
    """Hold a data folder; the system gives it back however the process ends.

    Yields whether it is this process's, in this thread or another; False where a server has it.
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


@contextmanager
def writing_files(id: str) -> Iterator[None]:  # noqa: A002 - as in the records
    """Keep the files of an upload or a recording from being swept away while this process writes
    them; begin before the first of them is made.
    """
    with _guard:
        _being_written[id] += 1
    try:
        yield
    finally:
        with _guard:
            _being_written[id] -= 1
            if not _being_written[id]:
                del _being_written[id]


def ids_being_written() -> frozenset[str]:
    with _guard:
        return frozenset(_being_written)


def _take(place: Path) -> bool:
    with _guard:
        if place not in _locks:
            lock = (place / LOCK_NAME).open("a+")
            try:
                _lock(lock)
            except OSError:
                lock.close()
                return False
            _locks[place] = lock
        _holders[place] += 1
        return True


def _give(place: Path) -> None:
    with _guard:
        _holders[place] -= 1
        if not _holders[place]:
            _locks.pop(place).close()


def _lock(lock: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - of one system only

        lock.seek(0)
        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 - of the other systems only

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
