"""Removing files: all of them, or an error that names what is left."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from micromimic.errors import UnavailableError


def remove_paths(paths: Iterable[Path]) -> int:
    """Remove files and folders, whatever is in them; what is not there counts as removed.

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
        raise UnavailableError(
            f"expected to remove {first.filename}, got: {first.strerror}"
            + (f" (and {len(failures) - 1} more)" if len(failures) > 1 else "")
            + "; check its permissions and try again"
        ) from first
    return removed


def _remove(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        existed = path.is_symlink() or path.exists()
        path.unlink(missing_ok=True)
        return int(existed)
    files = sum(not item.is_dir() for item in path.rglob("*"))
    shutil.rmtree(path)
    return files
