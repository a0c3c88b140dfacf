"""What a recording may ask for before any of it is decoded: a small file can state anything."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError

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
