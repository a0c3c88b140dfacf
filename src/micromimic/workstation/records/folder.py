"""A data folder: the names of what lies in it, and removing from it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from micromimic.core.errors import MissingExtraError, UnavailableError

DATABASE_NAME: Final = "micromimic.db"
LOCK_NAME: Final = "server.lock"
RECORDINGS: Final = "recordings"
INCOMING: Final = "incoming"
"""Where uploads in progress are."""
ENVIRONMENT: Final = "MICROMIMIC_DATA"
_TABLES: Final = frozenset(
    {"events.json", "events.csv", "events.eaf", "curve.csv", "review.json", "frames.bin"}
)
IMPORTED: Final = "imported.eaf"
"""Tiers that came from ELAN and are not ours; of no analysis, and it outlives the video."""
NUMBERS: Final = _TABLES | {"track.npz", IMPORTED}
"""Files that outlive the video; everything else may show the face, or let the voice be heard."""
RESULTS: Final = _TABLES | {"report.html", "proxy.mp4"}
"""Files of a complete analysis; earlier ones have no more."""
PICTURES: Final = "events"
"""Folder of a complete analysis, if there are any."""
_OF_MEDIA: Final = frozenset({PICTURES, "waveform.json"})

_ID: Final = re.compile("[0-9a-f]{32}")
_RETRIES: Final = 40
_PAUSE_S: Final = 0.05
_CHANGING: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
"""What removing a folder says while somebody still writes into it."""


def default_data_dir() -> Path:
    """The data folder: ``MICROMIMIC_DATA`` where set, else the user's own for applications."""
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser()
    try:
        from platformdirs import user_data_dir  # noqa: PLC0415 - of the web extra
    except ModuleNotFoundError:
        raise MissingExtraError(
            "expected the package platformdirs, got none; pip install 'micromimic[web]'"
        ) from None
    return Path(user_data_dir("micromimic", appauthor=False))


def ids_in(path: Path) -> set[str]:
    """The ids in a name: what carries one was made here."""
    return set(_ID.findall(path.name))


def content(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing where it is none, or a link."""
    return sorted(folder.iterdir()) if is_folder(folder) else []


def is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def owned_names(extension: str, media: str, *, answered: bool) -> frozenset[str]:
    """Names that a recording's folder may hold."""
    if media != "kept":
        return NUMBERS if answered else frozenset({IMPORTED})
    results = RESULTS | NUMBERS | _OF_MEDIA if answered else frozenset()
    return frozenset({f"video{extension}", IMPORTED}) | results


def media_of(folder: Path) -> Iterator[Path]:
    """What goes of a recording when retention is over."""
    return (path for path in content(folder) if path.name not in NUMBERS)


def results_lost(folder: Path, extension: str) -> bool:
    """Whether files of a recording's analysis are missing, or empty as after a power cut, while its
    video is there.
    """
    there = _has_content(folder / f"video{extension}")
    return there and not all(_has_content(folder / name) for name in RESULTS)


def remove_paths(paths: Iterable[Path]) -> int:
    """Remove files and folders, whatever is in them; how many files there were.

    What is not there counts as removed; of links the link goes, not what it leads to. A folder into
    which a worker still writes is tried again for two seconds: the worker is ended meanwhile.
    `UnavailableError` where something stays; everything else was removed then.
    """
    removed = 0
    failures: list[OSError] = []
    for path in paths:
        try:
            removed += _remove(path)
        except OSError as error:
            failures.append(error)
    if failures:
        first = failures[0]
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        raise UnavailableError(
            f"expected to remove {first.filename}, got: {first.strerror}{more}; check its "
            "permissions and try again"
        ) from first
    return removed


def _remove(path: Path) -> int:
    if not is_folder(path):
        existed = path.is_symlink() or path.exists()
        path.unlink(missing_ok=True)
        return int(existed)
    files = sum(len(names) for _, _, names in os.walk(path))
    for attempt in range(_RETRIES + 1):
        try:
            shutil.rmtree(path)
            break
        except OSError as error:
            if not path.exists():
                break
            if error.errno not in _CHANGING or attempt == _RETRIES:
                raise
            time.sleep(_PAUSE_S)
    return files


def _has_content(path: Path) -> bool:
    try:
        return path.lstat().st_size > 0
    except OSError:
        return False
