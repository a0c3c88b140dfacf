"""Writes the results of one input: all files, or none."""

from __future__ import annotations

import errno
from contextlib import ExitStack
from pathlib import Path

from micromimic.core.errors import OutputError
from micromimic.core.files import begun, sync_folder, sync_tree
from micromimic.core.results import Analysis

FILES = ("events.json", "events.csv", "events.eaf", "curve.csv", "report.html")
"""What a results folder holds."""


def write_analysis(analysis: Analysis, folder: str | Path) -> None:
    """Write the five files of one analysis into a folder.

    They are written into a hidden folder beside it and moved when all are complete; earlier
    results stay until then, and come back if moving fails. Other files in the folder stay.

    Parameters
    ----------
    analysis : Analysis
        What to write, as of `micromimic.analyze`.
    folder : str or Path
        Created with its parents if it does not exist.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full.
    """
    # What draws and renders is not needed to know what a results folder holds.
    from micromimic.report.elan import write_eaf  # noqa: PLC0415
    from micromimic.report.page import write_report  # noqa: PLC0415
    from micromimic.report.tables import (  # noqa: PLC0415
        write_curve_csv,
        write_events_csv,
        write_events_json,
    )

    folder = Path(folder).absolute()
    missing = _missing(folder.parent)
    done = False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with begun(folder.parent, as_folder=True) as staging:
            write_events_json(analysis, staging / "events.json")
            write_events_csv(analysis, staging / "events.csv")
            write_eaf(analysis, staging / "events.eaf", folder=folder)
            write_curve_csv(analysis.curve, staging / "curve.csv", analysis.limits)
            write_report(analysis, staging / "report.html")
            sync_tree(staging)  # before the old files go: a disk may accept what it cannot keep
            _move(staging, folder)
        done = True
    except OSError as error:
        raise _explain(error, folder) from error
    finally:
        if not done:
            _remove_empty(missing)


def _move(staging: Path, folder: Path) -> None:
    """Put complete files in place: one rename for a new folder, else file by file with undo."""
    if not folder.exists():
        staging.rename(folder)
        sync_folder(folder.parent)
        return
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
    earlier = staging / "earlier"
    earlier.mkdir()
    with ExitStack() as undo:  # after Ctrl-C too the earlier results come back
        for name in FILES:
            if (folder / name).exists():
                _set_aside(folder / name, earlier / name)
                undo.callback((earlier / name).replace, folder / name)
        for name in FILES:
            undo.callback((folder / name).unlink, missing_ok=True)
            (staging / name).replace(folder / name)
        sync_folder(folder)
        undo.pop_all()


def _set_aside(path: Path, earlier: Path) -> None:
    """Keep a file to come back to; it also stays in its place, in case this process is killed."""
    try:
        earlier.hardlink_to(path)
    except OSError:  # a disk without links
        path.replace(earlier)


def _missing(folder: Path) -> list[Path]:
    """Folders that would have to be created, the innermost first."""
    missing = []
    while not folder.exists() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # never created, or in use by another run: leave it
            return


def _explain(error: OSError, folder: Path) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        got, remedy = "a full disk", "free some space or choose another --out"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        got, remedy = "no permission to write there", "choose another --out or change its rights"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        got, remedy = "a file in its place", "choose another --out or move that file away"
    else:
        got, remedy = error.strerror or str(error), "choose another --out"
    return OutputError(f"expected a folder to write results into, {folder}, got {got}; {remedy}")
