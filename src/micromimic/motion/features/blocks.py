"""Blocks of a face: how a clip's pixels are shared out among local histograms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError


def block_numbers(length: int, parts: int) -> NDArray[np.int64]:
    """(length,) which of ``parts`` equal, non-overlapping blocks each place along an axis is in.

    Block i starts at ``i * length // parts``, so sizes differ by one at most and none is left out.

    >>> block_numbers(7, 3)
    array([0, 0, 1, 1, 2, 2, 2])
    """
    starts = np.arange(parts + 1) * length // parts
    return np.asarray(np.repeat(np.arange(parts), np.diff(starts)))


def grid_numbers(height: int, width: int, blocks: tuple[int, int]) -> NDArray[np.int64]:
    """(H, W) the block of each pixel, counted row by row."""
    rows, columns = blocks
    return block_numbers(height, rows)[:, None] * columns + block_numbers(width, columns)


def checked_volume(
    volume: NDArray[np.generic], blocks: tuple[int, ...], radii: tuple[int, ...]
) -> NDArray[np.uint8]:
    """The clip, contiguous, if every block has a pixel whose neighbours lie inside the clip."""
    data = np.asarray(volume)
    if data.ndim != 3 or data.dtype != np.uint8:
        raise ValueError(f"volume must be (T, H, W) uint8, got {data.shape} {data.dtype}")
    if min(blocks) < 1 or min(radii) < 1:
        raise ValueError(f"blocks and radii must be 1 or more, got {blocks} and {radii}")
    rows, columns, *spans = blocks
    along = (("wide", 2, columns, radii[0]), ("high", 1, rows, radii[1]))
    for name, axis, parts, radius in along:
        needed = max(2 * radius + 1, parts * (radius + 1))
        if data.shape[axis] < needed:
            raise InputError(
                f"expected faces {needed} pixels {name} or more for {parts} blocks and radius "
                f"{radius}, got {data.shape[axis]}; take larger crops or fewer blocks"
            )
    needed = max(2 * radii[2] + 1, (spans[0] if spans else 1) * (radii[2] + 1))
    if len(data) < needed:
        raise InputError(
            f"expected a clip of {needed} frames or more for radius {radii[2]} in time, got "
            f"{len(data)}; interpolate it to {max(needed, 10)} frames (motion.tim.interpolate)"
        )
    return np.ascontiguousarray(data)
