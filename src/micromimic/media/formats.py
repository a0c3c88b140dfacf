"""Which file endings are pictures and which are videos, and natural order of names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

IMAGE_ENDINGS: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm", ".jp2"}
)
"""Endings read as frames of a folder."""

VIDEO_ENDINGS: Final = frozenset(
    {".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv"}
    | {".ts", ".mts", ".m2ts", ".3gp", ".ogv", ".gif", ".mxf", ".y4m", ".vob", ".asf"}
)
"""Endings taken as videos in a folder of videos; a file named by itself may have any ending."""


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that reads runs of digits as numbers.

    >>> sorted(["img10.png", "img2.png", "img1.png"], key=natural_key)
    ['img1.png', 'img2.png', 'img10.png']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), p) if p.isdecimal() else (1, 0, p.lower()) for p in parts)


def _files(folder: Path, endings: frozenset[str]) -> list[Path]:
    found = (
        p
        for p in folder.iterdir()
        if p.suffix.lower() in endings and not p.name.startswith(".") and p.is_file()
    )
    return sorted(found, key=lambda p: natural_key(p.name))


def image_files(folder: Path) -> list[Path]:
    """Pictures in a folder, in natural order; hidden and other files are ignored."""
    return _files(folder, IMAGE_ENDINGS)


def video_files(folder: Path) -> list[Path]:
    """Videos in a folder, in natural order; hidden and other files are ignored."""
    return _files(folder, VIDEO_ENDINGS)
