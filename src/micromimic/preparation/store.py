"""The files of prepared clips: one a clip, with the stamp of what it was made of."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np

from micromimic.datasets.manifest import Clip
from micromimic.errors import InputError, OutputError
from micromimic.files import write_whole
from micromimic.models.learner import View
from micromimic.preparation.clip import PrepareConfig, Prepared
from micromimic.preparation.sources import source_files

FORMAT: Final = 1
"""Raised when the same source and settings give other views: all files are made again."""


@dataclass(frozen=True)
class Stored:
    """What a file holds: the views that were asked for, and what they were made of."""

    stamp: str
    prepared: Prepared


def file_of(clip: Clip, cache: Path) -> Path:
    """Where a clip is kept: named after it as far as every file system allows, unlike any other."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", clip.key)[:100]
    return cache / f"{name}-{hashlib.sha256(clip.key.encode()).hexdigest()[:8]}.npz"


def stamp_of(clip: Clip, config: PrepareConfig) -> str:
    """What a prepared clip is made of, as a hash.

    Raises:
        InputError: if its source is gone.
    """
    try:
        files = [(file.name, file.stat()) for file in source_files(clip)]
    except OSError as error:
        raise InputError(
            f"expected {error.filename}, got {error.strerror or error}; check the path"
        ) from None
    source = {
        "format": FORMAT,
        "config": asdict(config),
        "clip": [clip.kind, clip.onset, clip.apex, clip.offset, clip.fps],
        "files": [(name, state.st_size, state.st_mtime_ns) for name, state in files],
    }
    return hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()


def write_prepared(path: Path, stamp: str, prepared: Prepared) -> None:
    """Write a file whole.

    Raises:
        OutputError: if it cannot be written.
    """
    about = {"stamp": stamp, "apex": prepared.apex, "notes": prepared.notes}
    arrays = {view: prepared.view(view) for view in get_args(View)}
    made = {name: array for name, array in arrays.items() if array is not None}
    content = io.BytesIO()
    np.savez(content, about=np.array(json.dumps(about)), **made)  # type: ignore[arg-type]
    try:
        write_whole(path, content.getvalue())
    except OutputError as error:
        raise OutputError(str(error).replace("--out", "--cache")) from None


def read_prepared(path: Path, views: Collection[View]) -> Stored | None:
    """The views of a file that it has, checked to the last bit; None if it is missing or damaged.

    Args:
        path: the file.
        views: what to read; the file may hold more, which is left alone.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            about = json.loads(str(data["about"]))
            arrays: dict[str, Any] = {view: data[view] for view in views if view in data}
        return Stored(about["stamp"], Prepared(about["apex"], **arrays, notes=(*about["notes"],)))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def remove(path: Path) -> None:
    """Remove a file that no longer fits its source.

    Raises:
        OutputError: if it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected to replace {path}, got {error.strerror or error}; choose another --cache"
        ) from None
