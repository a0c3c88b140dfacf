"""A recording's folder: the video that came, and beside it what the worker made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from micromimic.core.files import sync_folder, sync_tree
from micromimic.workstation.records import sweep

RESULTS: Final = tuple(sorted(sweep.RESULTS))


def made_here(folder: Path) -> Iterator[Path]:
    """Everything in a recording's folder but the video itself."""
    if folder.is_dir():
        yield from (item for item in folder.iterdir() if item.stem != "video")


def clear_results(folder: Path) -> None:
    """Remove what an earlier attempt left; the video stays.

    Raises:
        OSError: something cannot be removed.
    """
    for item in made_here(folder):
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


def read_result(out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of ``events.json`` and ``review.json`` of a worker's complete results.

    Raises:
        OSError: a file is missing.
        ValueError: there is something that a worker does not make.
    """
    for item in out.rglob("*"):
        # A worker that a video has taken over could point at any file of this machine.
        if item.is_symlink() or not (item.is_file() or item.is_dir()):
            raise ValueError(f"expected files in the results, got {item.name}")
    for name in RESULTS:
        if not (out / name).is_file():
            raise FileNotFoundError(f"expected {name} in the results, got none")
    payload, review = (
        json.loads((out / name).read_text(encoding="utf-8"))
        for name in ("events.json", "review.json")
    )
    return payload, review


def place_results(out: Path, folder: Path) -> None:
    """Move complete results beside the video, in place of an earlier attempt's; on the disk then.

    Raises:
        OSError: a file cannot be moved.
    """
    sync_tree(out)
    for item in sorted(out.iterdir()):
        target = folder / item.name
        if target.is_dir():
            shutil.rmtree(target)
        item.replace(target)
    sync_folder(folder)
