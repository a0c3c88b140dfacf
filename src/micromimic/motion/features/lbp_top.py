"""Local binary patterns of a clip: on three orthogonal planes (LBP-TOP), on six points (LBP-SIP).

With four neighbours a plane, both look at the same six points around a pixel: left, right, above,
below, before and after. Their six comparisons are made once and counted together, a histogram of 64
patterns a block; the histograms of both descriptors are sums over it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.motion.features.blocks import checked_volume, grid_numbers

Picture = NDArray[np.uint8]

# (t, y, x) steps, in units of the radii. Bit b of a pattern is set where point b is not darker than
# the centre. In the plane XY the circle runs from right over above, left to below.
_POINTS: Final = ((0, 0, 1), (0, -1, 0), (0, 0, -1), (0, 1, 0), (1, 0, 0), (-1, 0, 0))
_RIGHT, _ABOVE, _LEFT, _BELOW, _AFTER, _BEFORE = range(6)
_PATTERNS: Final = 1 << len(_POINTS)
_XY: Final = (_RIGHT, _ABOVE, _LEFT, _BELOW)
_XT: Final = (_RIGHT, _AFTER, _LEFT, _BEFORE)
_YT: Final = (_AFTER, _ABOVE, _BEFORE, _BELOW)
_T: Final = (_AFTER, _BEFORE)


def lbp_top(
    volume: Picture,
    *,
    blocks: tuple[int, int] = (5, 5),
    radii: tuple[int, int, int] = (1, 1, 4),
    neighbours: int = 4,
) -> NDArray[np.float32]:
    """LBP-TOP (Zhao and Pietikainen 2007, doi 10.1109/TPAMI.2007.1110).

    ``radii`` are R_X, R_Y, R_T, distances along the axes, as the notation LBP-TOP(P_XY, P_XT, P_YT,
    R_X, R_Y, R_T) of the source and its authors' program have them. (The baseline of MEGC 2019
    writes the same 1, 1, 4 as R_XY, R_XT, R_YT.) Four neighbours of a centre (x, y, t) lie on the
    axes, so none is interpolated, in this order, bit 0 first:

    - XY: (x + R_X, y), (x, y - R_Y), (x - R_X, y), (x, y + R_Y)
    - XT: (x + R_X, t), (x, t + R_T), (x - R_X, t), (x, t - R_T)
    - YT: (y, t + R_T), (y - R_Y, t), (y, t - R_T), (y + R_Y, t)

    A bit is set where the neighbour is not darker than the centre. Centres are all pixels whose six
    neighbours lie inside the clip, the same for the three planes; neighbours may lie in another
    block than their centre. With ten frames and R_T = 4 the centres are those of frames 4 and 5.

    ``volume``: (T, H, W) uint8, T of 2 R_T + 1 or more; ``radii``: R_X, R_Y, R_T in pixels and
    frames. Returns (rows * columns * 3 * 16,): by block, row by row; in it the planes XY, XT, YT;
    in each the 16 patterns' shares of the block's centres, summing to 1.

    >>> clip = np.random.default_rng(0).integers(0, 256, (12, 40, 40), dtype=np.uint8)
    >>> lbp_top(clip).shape
    (1200,)
    """
    if neighbours != 4:
        raise ValueError(
            f"expected 4 neighbours, got {neighbours}; more would lie between pixels and need "
            "interpolation, which is not offered"
        )
    return _shares(volume, blocks, radii, (_XY, _XT, _YT))


def lbp_top_by_planes(
    volume: Picture, *, blocks: tuple[int, int] = (5, 5), radii: tuple[int, int, int] = (1, 1, 4)
) -> NDArray[np.float32]:
    """`lbp_top` with one radius a plane, R_XY, R_XT, R_YT, along both of the plane's axes.

    So the article's notation reads, letter by letter. A plane's centres are all pixels whose
    neighbours at its radius lie inside the clip; everything else is as there.

    >>> clip = np.random.default_rng(0).integers(0, 256, (12, 40, 40), dtype=np.uint8)
    >>> bool((lbp_top_by_planes(clip, radii=(2, 2, 2)) == lbp_top(clip, radii=(2, 2, 2))).all())
    True
    """
    parts = [
        _shares(volume, blocks, (radius, radius, radius), (plane,)).reshape(-1, 1 << len(plane))
        for radius, plane in zip(radii, (_XY, _XT, _YT), strict=True)
    ]
    return np.concatenate(parts, axis=1).ravel()


def lbp_sip(
    volume: Picture, *, blocks: tuple[int, int] = (5, 5), radii: tuple[int, int, int] = (1, 1, 4)
) -> NDArray[np.float32]:
    """LBP-SIP, six intersection points (Wang, See, Phan and Oh, ACCV 2014).

    The three planes of LBP-TOP share their neighbours two by two: of twelve, six differ. The four
    in the frame make one pattern and the two in time, (t + R_T, t - R_T), another: 20 numbers a
    block instead of 48. Order of points, bits and centres as in `lbp_top`. ``volume``: (T, H, W)
    uint8, T of 2 R_T + 1 or more; ``radii``: R_X, R_Y, R_T in pixels and frames. Returns (rows *
    columns * 20,): by block, row by row; in it 16 shares of the pattern in the frame, summing to 1,
    and 4 of the pattern in time, summing to 1.

    >>> still = np.zeros((9, 20, 20), np.uint8)
    >>> lbp_sip(still, blocks=(1, 1))[[15, 19]]  # no neighbour is darker
    array([1., 1.], dtype=float32)
    """
    return _shares(volume, blocks, radii, (_XY, _T))


def _shares(
    volume: Picture,
    blocks: tuple[int, int],
    radii: tuple[int, int, int],
    groups: tuple[tuple[int, ...], ...],
) -> NDArray[np.float32]:
    counts = _count_patterns(volume, blocks, radii)
    # every centre has one pattern in each group, so all groups of a block have one sum
    totals = counts.sum(1, keepdims=True)
    parts = [counts @ _members(points) / totals for points in groups]
    return np.concatenate(parts, axis=1).astype(np.float32).ravel()


def _members(points: tuple[int, ...]) -> NDArray[np.int64]:
    """(64, 2 ** n) 1 where a pattern of six points shows that pattern of these n points."""
    patterns = np.arange(_PATTERNS)
    seen = np.zeros_like(patterns)
    for bit, point in enumerate(points):
        seen |= (patterns >> point & 1) << bit
    return np.asarray(seen[:, None] == np.arange(1 << len(points)), np.int64)


def _count_patterns(
    volume: Picture, blocks: tuple[int, int], radii: tuple[int, int, int]
) -> NDArray[np.int64]:
    """(blocks, 64) how many centres of each block show each pattern of the six points."""
    data = checked_volume(volume, blocks, radii)
    frames, height, width = data.shape
    reach_x, reach_y, reach_t = radii
    count = blocks[0] * blocks[1]
    # Pixels on the border, which have no neighbour, are counted in a block of their own: all other
    # steps then run over whole frames as flat memory, three times as fast as over rows.
    home = np.full((height, width), count * _PATTERNS, np.int64)
    inside = slice(reach_y, height - reach_y), slice(reach_x, width - reach_x)
    home[inside] = grid_numbers(height, width, blocks)[inside] * _PATTERNS
    label = home.ravel()
    flat, size = data.ravel(), height * width
    steps = [(t * reach_t * height + y * reach_y) * width + x * reach_x for t, y, x in _POINTS]
    code, mask = np.empty(size, np.uint8), np.empty(size, bool)
    counts = np.zeros((count + 1) * _PATTERNS, np.int64)
    for start in range(reach_t * size, (frames - reach_t) * size, size):
        centre = flat[start : start + size]
        code[:] = 0
        for step in reversed(steps):
            np.greater_equal(flat[start + step : start + step + size], centre, out=mask)
            np.add(code, code, out=code)
            np.add(code, mask.view(np.uint8), out=code)
        counts += np.bincount(label + code, minlength=len(counts))
    return counts.reshape(-1, _PATTERNS)[:count]
