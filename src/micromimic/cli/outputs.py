"""Fail on results that cannot be written before hours of work, not after."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from pathlib import Path

from micromimic.core.errors import OutputError


def check_writable(out: Path, *names: str) -> None:
    """OutputError where no folder can be made at or in ``out``, or a name cannot be a file's in it.

    Leaves nothing behind.
    """
    place, missing = out.absolute(), list(names)
    while not os.path.exists(place) and place != place.parent:  # noqa: PTH110 - never raises
        missing.append(place.name)
        place = place.parent
    try:
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.rmdir(tempfile.mkdtemp(prefix=".micromimic-", dir=place))  # noqa: PTH106
        for name in missing:
            with contextlib.suppress(FileNotFoundError):
                (place / name).lstat()  # too long, say
    except OSError as error:
        raise OutputError(
            f"expected to write results to {out}, got {error.strerror or error} at {place}; "
            "choose another folder with --out"
        ) from None


def check_file(out: Path, *beside: Path) -> None:
    """The same for a file, and others in its folder whose names are made from its own."""
    check_writable(out.parent, out.name, *(path.name for path in beside))
    for path in (out, *beside):
        if path.is_dir():
            raise OutputError(
                f"expected a file to write to, got the folder {path}; choose another --out"
            )


def check_folder(folder: Path) -> None:
    """The same for the results of one input: a name that is too long, or a file in its place."""
    from micromimic.report.write import FILES

    try:
        # The longest name that will lie in it, so that the whole path is tried.
        (folder / max(FILES, key=len)).lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(
            f"expected to write results to {folder}, got: {error.strerror or error}; choose "
            "another --out or rename the input"
        ) from None
