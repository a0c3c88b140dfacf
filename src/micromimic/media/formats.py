"""Which files are pictures and videos, and what a small file may ask for before it is decoded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError

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


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF or WebP, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(12)
    tiff = start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return tiff or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


MOST_PIXELS: Final = 40_000_000  # of one picture: 8K is 33 million
LEAST_FPS: Final = 0.1
MOST_FPS: Final = 10_000.0
"""Frames a second: filters reach over half a second and take memory by it."""


def check_size(width: int, height: int, path: str | Path) -> None:
    """Refuse pictures that would fill the memory."""
    if width * height > MOST_PIXELS:
        raise InputError(
            f"expected pictures of at most {MOST_PIXELS // 10**6} megapixels, got "
            f"{width} x {height} in {path}; scale them down"
        )


def check_rate(fps: float | None) -> None:
    """Refuse what no camera does; None passes."""
    if fps is not None and not LEAST_FPS <= fps <= MOST_FPS:
        raise InputError(
            f"expected a frame rate from {LEAST_FPS:g} to {MOST_FPS:g}, got {fps:g}; pass the "
            "camera's frames a second with --fps"
        )
