"""The data folder holds what the records own, and nothing else of ours.

In ``incoming/`` and ``recordings/`` everything that carries an id was made here. It stays where a
record owns it or this process is writing it, and goes otherwise, whatever its name. What carries no
id, or lies elsewhere in the data folder, is somebody else's: it is left, and named.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import select

from micromimic.core.errors import UnavailableError
from micromimic.workstation.records.base import INCOMING, RECORDINGS
from micromimic.workstation.records.database import DATABASE_NAME
from micromimic.workstation.records.folder_lock import LOCK_NAME, folder_lock
from micromimic.workstation.records.held import held_ids
from micromimic.workstation.records.removal import remove_paths
from micromimic.workstation.records.scrub import ScrubRecords
from micromimic.workstation.records.tables import analyses, recordings

NUMBERS: Final = frozenset(
    {"events.json", "events.csv", "events.eaf", "curve.csv", "review.json", "frames.bin"}
)
"""Files that outlive the video; everything else in a recording's folder may show the face."""
RESULTS: Final = NUMBERS | {"report.html", "proxy.mp4"}
"""Files of a complete analysis."""
PICTURES: Final = "events"
"""Folder of a complete analysis, if there are any."""
_ID: Final = re.compile("[0-9a-f]{32}")
_TOP: Final = re.compile(
    rf"{re.escape(DATABASE_NAME)}(-wal|-shm|-journal)?|{re.escape(LOCK_NAME)}|.*\.due"
    rf"|{INCOMING}|{RECORDINGS}"
)


class SweepRecords(ScrubRecords):
    """What is in the data folder."""

    def sweep(self) -> int:
        """Remove what no record owns and this process is not writing.

        Where another process, a server, has the data folder nothing is done: it knows best.

        Returns:
            Files removed.

        Raises:
            UnavailableError: some could not be removed.
        """
        try:
            with folder_lock(self.data) as ours:
                return remove_paths(self._unowned()) if ours else 0
        except OSError as error:
            raise UnavailableError(
                f"expected a data folder that can be written, got {self.data}: {error.strerror}; "
                "check its permissions"
            ) from error

    def foreign(self) -> list[Path]:
        """What lies in the data folder and was not made here: nothing of it is ever removed."""
        inside = [*_inside(self.incoming), *_inside(self.data / RECORDINGS)]
        return [
            *(path for path in _inside(self.data) if not _TOP.fullmatch(path.name)),
            *(path for path in inside if not _ID.search(path.name)),
        ]

    def restrict_access(self) -> list[Path]:
        """Take the data folder, and all that was made here, from everybody but its owner.

        Returns:
            What could not be changed: it belongs to somebody else.
        """
        if os.name != "posix":  # elsewhere the user's own folders are private by themselves
            return []
        foreign = set(self.foreign())
        failed = []
        places = [self.data, *(path for path in _inside(self.data) if path not in foreign)]
        for folder in (self.incoming, self.data / RECORDINGS):
            for top in _inside(folder):
                if top not in foreign:
                    places += [top, *(top.rglob("*") if _is_folder(top) else ())]
        for path in places:
            try:
                _restrict(path)
            except FileNotFoundError:  # moved or removed meanwhile
                continue
            except OSError:
                failed.append(path)
        return failed

    def _unowned(self) -> list[Path]:
        # In this order: what is seen in a folder was being written then, or is in the records by
        # the time that nobody writes it any more.
        incoming = _inside(self.incoming)
        kept = [(path, _inside(path)) for path in _inside(self.data / RECORDINGS)]
        held = held_ids()
        answers = analyses.c.recording_id
        query = select(recordings.c.id, recordings.c.extension, recordings.c.media, answers)
        query = query.outerjoin(analyses, answers == recordings.c.id)
        with self.database.read() as connection:
            owned = {
                row.id: _owned(row.extension, row.media, answered=row.recording_id is not None)
                for row in connection.execute(query)
            }
        left = [path for path in incoming if not held.intersection(_ids(path))]
        for path, content in kept:
            if held.intersection(_ids(path)):
                continue
            if path.name not in owned or not _is_folder(path):
                left.append(path)
            else:
                left += [item for item in content if item.name not in owned[path.name]]
        return [path for path in left if _ids(path) or path.parent.parent != self.data]


def _owned(extension: str, media: str, *, answered: bool) -> frozenset[str]:
    """Names in a recording's folder."""
    if media != "kept":
        return NUMBERS if answered else frozenset()
    return frozenset({f"video{extension}"}) | (RESULTS | {PICTURES} if answered else frozenset())


def results_lost(folder: Path, extension: str) -> bool:
    """Whether files of an analysis are not there, or empty as after a power cut, but its video is.

    Args:
        folder: of the recording.
        extension: of its video.
    """
    there = _has_content(folder / f"video{extension}")
    return there and not all(_has_content(folder / name) for name in RESULTS)


def media_of(folder: Path) -> Iterator[Path]:
    """What goes when retention is over."""
    return (path for path in _inside(folder) if path.name not in NUMBERS)


def _inside(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if _is_folder(folder) else []


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _ids(path: Path) -> set[str]:
    return set(_ID.findall(path.name))


def _has_content(path: Path) -> bool:
    try:
        return path.lstat().st_size > 0
    except OSError:
        return False


def _restrict(path: Path) -> None:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return
    if stat.S_IMODE(mode) & 0o077:
        path.chmod(0o700 if stat.S_ISDIR(mode) else 0o600)
