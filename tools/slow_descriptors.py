"""The descriptors once more, slowly and plainly: loops over pixels, for tests and benchmarks.

Written from the definitions, sharing nothing with the fast versions: no array arithmetic, no table,
no common count. A thousand times slower.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Pixels = list[list[list[int]]]


def slow_lbp_top(
    volume: NDArray[np.uint8],
    blocks: tuple[int, int] = (5, 5),
    radii: tuple[int, int, int] = (1, 1, 4),
) -> NDArray[np.float32]:
    """`lbp_top.lbp_top`, pixel by pixel."""
    rx, ry, rt = radii
    xy = [(0, 0, rx), (0, -ry, 0), (0, 0, -rx), (0, ry, 0)]
    xt = [(0, 0, rx), (rt, 0, 0), (0, 0, -rx), (-rt, 0, 0)]
    yt = [(rt, 0, 0), (0, -ry, 0), (-rt, 0, 0), (0, ry, 0)]
    return _patterns(volume, blocks, radii, [xy, xt, yt])


def slow_lbp_sip(
    volume: NDArray[np.uint8],
    blocks: tuple[int, int] = (5, 5),
    radii: tuple[int, int, int] = (1, 1, 4),
) -> NDArray[np.float32]:
    """`lbp_top.lbp_sip`, pixel by pixel."""
    rx, ry, rt = radii
    frame = [(0, 0, rx), (0, -ry, 0), (0, 0, -rx), (0, ry, 0)]
    return _patterns(volume, blocks, radii, [frame, [(rt, 0, 0), (-rt, 0, 0)]])


def slow_gradients(
    volume: NDArray[np.uint8],
    blocks: tuple[int, int] = (5, 5),
    spans: int = 2,
    *,
    weighted: bool,
) -> NDArray[np.float32]:
    """`hog_top.hog_top` (weighted) and `hog_top.higo_top`, pixel by pixel."""
    pixels: Pixels = volume.tolist()
    shape = (spans, blocks[0], blocks[1])
    sums = {place: [[0.0] * 8 for _ in range(3)] for place in _all_places(shape)}
    for t, y, x in _centres(volume.shape, (1, 1, 1)):
        dx = pixels[t][y][x + 1] - pixels[t][y][x - 1]
        dy = pixels[t][y + 1][x] - pixels[t][y - 1][x]
        dt = pixels[t + 1][y][x] - pixels[t - 1][y][x]
        place = _place((t, y, x), volume.shape, shape)
        for plane, (a, b) in enumerate([(dx, dy), (dx, dt), (dy, dt)]):
            if a == 0 and b == 0:
                continue
            degrees = math.degrees(math.atan2(b, a))
            number = math.floor((degrees + 11.25) / 22.5) % 8
            sums[place][plane][number] += math.sqrt(a * a + b * b) if weighted else 1.0
    values = []
    for place in _all_places(shape):
        for histogram in sums[place]:
            total = sum(histogram)
            values += [value / total if total else 0.0 for value in histogram]
    return np.array(values, np.float32)


def _patterns(
    volume: NDArray[np.uint8],
    blocks: tuple[int, int],
    radii: tuple[int, int, int],
    circles: list[list[tuple[int, int, int]]],
) -> NDArray[np.float32]:
    pixels: Pixels = volume.tolist()
    shape = (1, blocks[0], blocks[1])
    counts = {place: [[0] * 2 ** len(circle) for circle in circles] for place in _all_places(shape)}
    for t, y, x in _centres(volume.shape, radii):
        centre = pixels[t][y][x]
        histograms = counts[_place((t, y, x), volume.shape, shape)]
        for histogram, circle in zip(histograms, circles, strict=True):
            pattern = 0
            for bit, (dt, dy, dx) in enumerate(circle):
                if pixels[t + dt][y + dy][x + dx] >= centre:
                    pattern += 2**bit
            histogram[pattern] += 1
    values = []
    for place in _all_places(shape):
        for histogram in counts[place]:
            total = sum(histogram)
            values += [count / total for count in histogram]
    return np.array(values, np.float32)


def _centres(sizes: tuple[int, ...], radii: tuple[int, int, int]) -> Iterator[tuple[int, int, int]]:
    """Every t, y, x that has all its neighbours inside."""
    rx, ry, rt = radii
    for t in range(rt, sizes[0] - rt):
        for y in range(ry, sizes[1] - ry):
            for x in range(rx, sizes[2] - rx):
                yield t, y, x


def _all_places(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    return [(s, r, c) for s in range(shape[0]) for r in range(shape[1]) for c in range(shape[2])]


def _place(
    point: tuple[int, int, int], sizes: tuple[int, ...], shape: tuple[int, int, int]
) -> tuple[int, int, int]:
    """Span, row and column of the block that holds t, y, x: the last one that starts before."""
    span, row, column = (
        max(part for part in range(parts) if part * size // parts <= at)
        for at, size, parts in zip(point, sizes, shape, strict=True)
    )
    return span, row, column
