"""A recording's folder: the video that came, and beside it what the worker made of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

from micromimic.core.files import sync_folder, sync_tree
from micromimic.workstation.records import folder as data_folder

RESULTS: Final = tuple(sorted(data_folder.RESULTS))


def clear_results(folder: Path) -> None:
    """Remove what an earlier attempt left; the video stays, and what came from elsewhere."""
    if not folder.is_dir():
        return
    for item in folder.iterdir():
        if item.stem == "video" or item.name == data_folder.IMPORTED:
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


def read_results(out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The contents of ``events.json`` and ``review.json`` of a worker's complete results.

    OSError where a file is missing, ValueError where there is something that no worker makes.
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
    """Move complete results beside the video, in place of earlier ones; on the disk then."""
    sync_tree(out)
    for item in sorted(out.iterdir()):
        target = folder / item.name
        if target.is_dir():
            shutil.rmtree(target)
        item.replace(target)
    sync_folder(folder)
