"""Where each frame of a video lies, kept from its analysis: single frames are then sought, not
counted from the start.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from array import array
from pathlib import Path
from typing import Final

import numpy as np

from micromimic.core.errors import InputError
from micromimic.core.files import write_whole
from micromimic.media.decoding.decoder import FrameIndex
from micromimic.media.video import FrameSource, VideoSource

PLACE: Final = "events/index/frames.npz"
"""In a recording's folder: it goes with the pictures, which it helps to make."""


def keep_index(frames: FrameSource, folder: Path) -> None:
    """After a first pass; of a source whose timestamps do not identify frames there is none."""
    index = frames.index if isinstance(frames, VideoSource) else None
    if index is None:
        return
    steps = np.diff(np.asarray(index.pts, np.int64), prepend=0)
    content = io.BytesIO()
    np.savez_compressed(content, steps=steps, keys=np.asarray(index.keys, np.int64))
    write_whole(folder / PLACE, content.getvalue())


def use_index(frames: FrameSource, folder: Path) -> None:
    """Before single frames are read; analyses of before have none, and their frames are counted.

    `InputError` where it is damaged.
    """
    if not isinstance(frames, VideoSource) or not (folder / PLACE).is_file():
        return
    try:
        with np.load(folder / PLACE, allow_pickle=False) as kept:
            pts, keys = np.cumsum(kept["steps"]), kept["keys"].tolist()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"expected the index that an analysis left as {PLACE}, got a damaged one "
            f"({type(error).__name__}); remove that file, and frames are counted"
        ) from None
    frames.resume(FrameIndex(array("q", pts.tolist()), keys))
