"""Removing files: all of them, or an error that names what is left."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from micromimic.core.errors import UnavailableError

_RETRIES: Final = 40
_PAUSE_S: Final = 0.05
_CHANGING: Final = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT)
"""What removing a folder says while somebody still writes into it."""


def remove_paths(paths: Iterable[Path]) -> int:
    """Remove files and folders, whatever is in them; what is not there counts as removed.

    Links are removed, not what they lead to. A folder into which a worker still writes is tried
    again for two seconds: the worker is ended meanwhile.

    Returns:
        Files removed.

    Raises:
        UnavailableError: something could not be removed; everything else was.
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
    if path.is_symlink() or not path.is_dir():
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
