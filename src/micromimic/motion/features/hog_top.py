"""Histograms of gradients of a clip on three orthogonal planes: HOG-TOP and HIGO-TOP.

Li, Hong, Moilanen, Huang, Pfister, Zhao and Pietikainen, "Towards Reading Hidden Emotions",
IEEE Transactions on Affective Computing 9(4), 2018, doi 10.1109/TAFFC.2017.2667642. HOG adds up
gradients by their orientation; HIGO (image gradient orientation) counts pixels, each one vote
whatever its contrast, which takes away much of the light's part.
"""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.motion.features.blocks import block_numbers, checked_volume, grid_numbers

BINS: Final = 8
_LEVELS: Final = 511  # a difference of two 8-bit values lies between -255 and 255
_PLANES: Final = ((0, 1), (0, 2), (1, 2))
"""Axes of the planes XY, XT, YT among the derivatives along x, y and t."""


def hog_top(
    volume: NDArray[np.uint8], *, blocks: tuple[int, int] = (5, 5), spans: int = 2
) -> NDArray[np.float32]:
    """HOG-TOP: gradients' sizes by orientation, on the planes XY, XT and YT.

    Derivatives are differences of the two neighbours along an axis (kernel -1, 0, 1). On a plane
    with derivatives a and b (XY: x and y, XT: x and t, YT: y and t) the gradient has the size
    ``sqrt(a^2 + b^2)`` and the orientation ``atan2(b, a)``, taken modulo half a turn. Bin k of 8 is
    centred at ``k pi / 8``, so that upright and level edges, the commonest, and edges at rest lie
    in the middle of a bin; no gradient of whole numbers lies on a bin's limit. Centres are all
    pixels with neighbours on every side, the same for the three planes.

    Time is cut in two spans, as the source's best settings do: the rise and the fall of a movement
    have opposite orientations on XT and YT, and one histogram would mix them.

    ``volume``: (T, H, W) uint8, T of 2 * spans or more, and 3 or more. Returns (spans * rows *
    columns * 3 * 8,): by span; in it by block, row by row; in it the planes XY, XT, YT; in each the
    bins, summing to 1 (all 0 where nothing has a gradient).

    >>> ramp = np.tile(np.arange(12, dtype=np.uint8), (3, 12, 1))  # brighter to the right
    >>> hog_top(ramp, blocks=(1, 1), spans=1).reshape(3, 8)[:, [0, 4]]
    array([[1., 0.],
           [1., 0.],
           [0., 0.]], dtype=float32)
    """
    return _histograms(volume, blocks, spans, "size")


def higo_top(
    volume: NDArray[np.uint8], *, blocks: tuple[int, int] = (5, 5), spans: int = 2
) -> NDArray[np.float32]:
    """HIGO-TOP: pixels counted by their gradient's orientation, on the planes XY, XT and YT.

    As `hog_top` in everything but the vote: 1 for each pixel that has a gradient on the plane.
    ``volume``: (T, H, W) uint8, T of 2 * spans or more, and 3 or more. Returns (spans * rows *
    columns * 3 * 8,), in the order of `hog_top`.

    >>> clip = np.random.default_rng(0).integers(0, 128, (10, 40, 40), dtype=np.uint8)
    >>> bool((higo_top(2 * clip) == higo_top(clip)).all())  # contrast does not matter
    True
    """
    return _histograms(volume, blocks, spans, "one")


def _histograms(
    volume: NDArray[np.uint8], blocks: tuple[int, int], spans: int, vote: Literal["size", "one"]
) -> NDArray[np.float32]:
    data = checked_volume(volume, (*blocks, spans), (1, 1, 1)).astype(np.int16)
    frames, height, width = data.shape
    count = blocks[0] * blocks[1]
    # one bin more a block: pixels without a gradient, dropped at the end
    home = grid_numbers(height, width, blocks)[1:-1, 1:-1].ravel() * (BINS + 1)
    bins, sizes = _tables()
    sums = np.zeros((spans, len(_PLANES), count * (BINS + 1)))
    span_of = block_numbers(frames, spans)
    for t in range(1, frames - 1):
        now = data[t]
        steps = (
            (now[1:-1, 2:] - now[1:-1, :-2]).ravel(),
            (now[2:, 1:-1] - now[:-2, 1:-1]).ravel(),
            (data[t + 1] - data[t - 1])[1:-1, 1:-1].ravel(),
        )
        for plane, (first, second) in enumerate(_PLANES):
            place = (steps[first].astype(np.int32) * _LEVELS) + steps[second] + _LEVELS**2 // 2
            weights = sizes[place] if vote == "size" else None
            sums[span_of[t], plane] += np.bincount(
                home + bins[place], weights, minlength=sums.shape[2]
            )
    kept = sums.reshape(spans, len(_PLANES), count, BINS + 1)[..., :BINS].swapaxes(1, 2)
    totals = kept.sum(-1, keepdims=True)
    return np.asarray(kept / np.where(totals > 0, totals, 1), np.float32).ravel()


@cache
def _tables() -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Orientation bin (8 for none) and size of each gradient (a, b), at ``511 a + b`` + offset."""
    steps = np.arange(_LEVELS) - _LEVELS // 2
    a, b = np.meshgrid(steps, steps, indexing="ij")
    bins = np.rint(np.arctan2(b, a) * (BINS / np.pi)).astype(np.int64) % BINS
    bins[(a == 0) & (b == 0)] = BINS
    return bins.astype(np.uint8).ravel(), np.hypot(a, b).ravel()
