"""Files are written whole or not at all, and are on the disk before anybody is told.

What is being written has a name of its own, ``.micromimic-<16 hex>.<ending>``, and is locked by who
writes it. A process that is killed leaves it without the lock, by which the next one to write into
that folder knows that nobody will finish it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from micromimic.core.errors import OutputError

_OURS: Final = re.compile(r"\.micromimic-[0-9a-f]{16}\.\w+|\.(?:.+\.)?[0-9a-f]{8}\.part")
"""Names of what is being written; the second kind is of versions up to 2.1."""
_UNLOCKED_S: Final = 3600.0
"""Age of what nobody writes any more, where the system knows no locks."""
_swept: set[Path] = set()


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file completely or leave what was there; text as UTF-8, missing folders are made."""
    write_pieces(path, [content.encode("utf-8") if isinstance(content, str) else content])


def write_pieces(path: Path, pieces: Iterable[bytes], *, private: bool = False) -> None:
    """The same of what comes piece by piece; ``private``: for its owner's eyes only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with begun(path.parent) as partial:
            if private:
                partial.chmod(0o600)
            with partial.open("wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    except OSError as error:
        raise OutputError(
            f"expected to write {path}, got: {error.strerror}; choose another --out"
        ) from error


@contextmanager
def begun(folder: Path, ending: str = ".part", *, as_folder: bool = False) -> Iterator[Path]:
    """A new file or folder to write into, in a folder that exists; gone afterwards unless moved.

    What killed processes left in the folder is removed, once a process.
    """
    place = folder.absolute()
    if place not in _swept:
        _swept.add(place)
        sweep_left(folder)
    while True:
        path = folder / f".micromimic-{uuid.uuid4().hex[:16]}{ending}"
        if as_folder:
            path.mkdir()
        else:
            path.touch(exist_ok=False)
        with _locked(path, wait=True) as lock:
            # Somebody may have swept it between the two lines above.
            if lock is False or not path.exists():
                continue
            try:
                yield path
            finally:
                _remove(path)
            return


@contextmanager
def new_folder(out: Path, last: str = "") -> Iterator[Path]:
    """A folder to fill that becomes ``out``, which must be new or empty: all of it, or nothing.

    Where the file ``last`` is, the rest is too.
    """
    try:
        sweep_left(out)
        there = out.exists()
        if there and (not out.is_dir() or any(out.iterdir())):
            got = "one with something in it" if out.is_dir() else "a file"
            raise OutputError(
                f"expected a new or empty folder, got {got}, {out}; choose another --out or "
                "remove it"
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        # An empty folder may be another disk's: then everything is made inside.
        with begun(out if there else out.parent, as_folder=True) as staging:
            yield staging
            if not there:
                staging.rename(out)
                return
            for path in sorted(staging.iterdir(), key=lambda path: path.name == last):
                path.rename(out / path.name)
    except OSError as error:
        raise OutputError(
            f"expected to write {out}, got: {error.strerror or error}; choose a writable --out "
            "with room"
        ) from error


def sweep_left(folder: Path) -> int:
    """Remove what killed processes had begun to write in a folder, not what is in use; how many."""
    try:
        found = [path for path in folder.iterdir() if _OURS.fullmatch(path.name)]
    except OSError:  # not there, or not to be read: nothing of ours can be found
        return 0
    removed = 0
    for path in found:
        with contextlib.suppress(OSError), _locked(path, wait=False) as lock:
            if lock or (lock is None and time.time() - path.lstat().st_mtime > _UNLOCKED_S):
                _remove(path)
                removed += 1
    return removed


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable; where none can be opened (Windows) the system does."""
    if hasattr(os, "O_DIRECTORY"):
        _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_tree(folder: Path) -> None:
    """Make everything in a folder durable: a disk may accept data that it cannot keep."""
    for place, _, names in os.walk(folder):
        for name in names:
            # For writing, since Windows flushes no other handle.
            _sync(Path(place) / name, os.O_RDWR | getattr(os, "O_BINARY", 0))
        sync_folder(Path(place))


def _sync(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool | None]:
    """Lock a file or folder; False where another has it, None where there are no such locks."""
    if sys.platform == "win32":
        yield None
        return
    import fcntl  # noqa: PLC0415 - of some systems only

    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            lock: bool | None = True
        except BlockingIOError:
            lock = False
        except OSError:  # a network's file system
            lock = None
        yield lock
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
