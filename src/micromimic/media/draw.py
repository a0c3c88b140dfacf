"""Overlays on a face crop: the ten cells, flow arrows, the vote's heat map, what changed.

All functions take and return RGB pictures and leave their input as it is. Geometry comes in
canonical units; canonical point p lies at pixel ``(p + margin) * pixels_per_unit - 0.5``.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.types import FloatArray, FlowMap

Array = NDArray[np.float64]

Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]

ARROW: Final[Colour] = (255, 214, 64)
CELL: Final[Colour] = (255, 255, 255)
_DARK: Final[Colour] = (20, 24, 32)
_BRIGHTER: Final = np.array([178, 34, 34], np.uint8)
_DARKER: Final = np.array([24, 78, 163], np.uint8)
_SHIFT: Final = 4  # cv2 takes sub-pixel points as integers of 1/16 pixel


def _check(image: Picture) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")


def to_pixels(points: FloatArray, pixels_per_unit: float, margin: float) -> Array:
    """Canonical points (..., 2) as pixels of a crop."""
    return (np.asarray(points, dtype=np.float64) + margin) * pixels_per_unit - 0.5


def _fixed(points: Array) -> NDArray[np.int32]:
    return np.asarray(np.round(points * (1 << _SHIFT)), dtype=np.int32)


def scaled(image: Picture, width: int) -> Picture:
    """The picture at another width, its proportions kept; sharp lines are drawn after scaling."""
    _check(image)
    if width < 1:
        raise ValueError(f"width must be at least 1 pixel, got {width}")
    factor = width / image.shape[1]
    size = (width, max(1, round(image.shape[0] * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)


def draw_cells(
    image: Picture, cells: FloatArray, pixels_per_unit: float, margin: float, colour: Colour = CELL
) -> Picture:
    """Outline cells (N, 4: left, top, right, bottom in units) on the picture. A dark line under the
    light one keeps them visible on any skin and background."""
    _check(image)
    out = image.copy()
    boxes = np.asarray(cells, dtype=np.float64).reshape(-1, 2, 2)
    corners = _fixed(to_pixels(boxes, pixels_per_unit, margin)).tolist()
    for shade, width, weight in ((_DARK, 3, 0.45), (colour, 1, 0.85)):
        layer = out.copy()
        for first, last in corners:
            cv2.rectangle(layer, first, last, shade, width, cv2.LINE_AA, shift=_SHIFT)
        out = np.asarray(cv2.addWeighted(layer, weight, out, 1 - weight, 0), dtype=np.uint8)
    return out


def flow_peak(flow: FlowMap) -> float:
    """Size of the largest movement, canonical units: the 99th percentile, as one cell may err."""
    return float(np.percentile(np.hypot(*np.asarray(flow.uv, dtype=np.float64)), 99))


def magnification(flow: FlowMap, longest: float = 4.5) -> float:
    """By how much to magnify arrows so that the longest spans about ``longest`` units.

    One of 1, 2, 3, 5, 8, 10, 15, 20, 30, 50: a number to read off, not a precise one.

    >>> uv = np.zeros((2, 28, 28)); uv[0, 12:16, 12:16] = 0.4
    >>> magnification(FlowMap(uv, np.zeros((28, 28))))
    10.0
    """
    peak = flow_peak(flow)
    steps = (1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0)
    if not peak > 0:
        return 1.0
    return max((s for s in steps if s * peak <= longest * 1.001), default=1.0)


def draw_arrows(
    image: Picture,
    flow: FlowMap,
    pixels_per_unit: float,
    margin: float,
    magnify: float,
    *,
    spacing: int = 2,
    smallest: float = 0.25,
    colour: Colour = ARROW,
) -> Picture:
    """Draw the flow as arrows, ``magnify`` times longer than the movement. ``flow``: canonical
    units; ``margin``: units around the 28 x 28 square; ``spacing``: units between arrows."""
    _check(image)
    out = image.copy()
    uv = np.asarray(flow.uv, dtype=np.float64)
    size = np.hypot(uv[0], uv[1])
    peak = flow_peak(flow)
    if not peak > 0:
        return out
    heavy = max(1, round(pixels_per_unit / 6))
    axis = np.arange(spacing // 2, UNITS, spacing)
    rows, columns = (places.ravel() for places in np.meshgrid(axis, axis, indexing="ij"))
    shown = size[rows, columns] >= smallest * peak
    rows, columns = rows[shown], columns[shown]
    starts = np.stack([columns, rows], axis=1) + 0.5
    # An outlier is drawn cut off: it would cover the others.
    cut = np.minimum(1.0, 1.5 * peak / size[rows, columns])
    ends = starts + magnify * (uv[:, rows, columns] * cut).T
    lines = _arrows(
        to_pixels(starts, pixels_per_unit, margin),
        to_pixels(ends, pixels_per_unit, margin),
        head=0.6 * pixels_per_unit,
    )
    for shade, width in ((_DARK, heavy + 1), (colour, heavy)):
        cv2.polylines(out, list(_fixed(lines)), False, shade, width, cv2.LINE_AA, _SHIFT)
    return out


def _arrows(starts: Array, ends: Array, head: float) -> Array:
    """(3 n, 2, 2) lines of (n, 2) arrows; a head has the same size whatever the length."""
    along = ends - starts
    length = np.hypot(*along.T)[:, None]
    along = np.divide(along, length, out=np.zeros_like(along), where=length > 1e-6)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    reach = np.minimum(head, 0.5 * length)
    back = ends - reach * along
    tips = [back + side * reach * across for side in (-0.55, 0.55)]
    pairs = [(starts, ends), *((ends, tip) for tip in tips)]
    return np.stack([np.stack(pair, axis=1) for pair in pairs], axis=1).reshape(-1, 2, 2)


def draw_heat(
    image: Picture, votes: FloatArray, pixels_per_unit: float, margin: float, strength: float = 0.8
) -> Picture:
    """Lay a (g, g) map over the 28 x 28 square of a greyed face: brighter and warmer is more. The
    largest value gets the full colour if it is at least twice the uniform share (1 / g^2), and less
    below, so that a map without any preference colours nothing strongly."""
    _check(image)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    level = _heat_level(np.asarray(votes, dtype=np.float32))
    side = max(1, round(UNITS * pixels_per_unit))
    square = np.clip(cv2.resize(level, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
    height, width = image.shape[:2]
    layer: NDArray[np.float32] = np.zeros((height, width), np.float32)
    left = round(margin * pixels_per_unit)
    part = np.asarray(square[: height - left, : width - left], dtype=np.float32)
    layer[left : left + part.shape[0], left : left + part.shape[1]] = part
    soft = np.asarray(cv2.GaussianBlur(layer, (0, 0), max(0.5, 0.6 * pixels_per_unit)))
    shades = np.round(255 * (0.25 + 0.7 * soft)).astype(np.uint8)
    table = cv2.cvtColor(cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    weight = np.asarray(strength * np.sqrt(soft), dtype=np.float32)
    return np.asarray(cv2.blendLinear(grey, table, 1 - weight, weight), dtype=np.uint8)


def _heat_level(votes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(g, g) in 0..1: from the median up to the largest, damped where nothing stands out."""
    uniform = float(votes.sum()) / votes.size
    low = min(float(np.median(votes)), uniform)
    span = float(votes.max()) - low
    if not span > 1e-9 or not uniform > 0:
        return np.zeros_like(votes)
    lead = min(1.0, max(0.0, float(votes.max()) / uniform - 1))
    return np.asarray(lead * np.clip((votes - low) / span, 0, 1), dtype=np.float32)


def change(onset: Picture, apex: Picture) -> Array:
    """(H, W) apex less onset in grey levels, after the light of the one is fitted to the other."""
    _check(onset)
    _check(apex)
    if onset.shape != apex.shape:
        raise ValueError(f"pictures must have one size, got {onset.shape} and {apex.shape}")
    before, after = _luma(onset), _luma(apex)
    # every second pixel each way: what `_luma` leaves is smooth
    x, y = (luma[::2, ::2].ravel() for luma in (before, after))
    still = np.ones(len(x), dtype=bool)
    slope, level = 1.0, 0.0
    for _ in range(3):  # what moved must not steer the fit
        some, other = x[still], y[still]
        if np.ptp(some) < 1:
            slope, level = 1.0, float(np.median(y - x))
            break
        centre = float(some.mean())
        apart = some - centre
        slope = float(np.einsum("i,i", apart, other) / np.einsum("i,i", apart, apart))
        level = float(other.mean()) - slope * centre
        rest = np.abs(y - slope * x - level)
        still = rest <= 3 * np.median(rest) + 1e-6
    return after - slope * before - level


def difference_gain(changed: Array) -> float:
    """By how much to magnify a `change` so that it can be seen: 1 to 16."""
    size = np.abs(changed)
    middle, peak = np.percentile(size, [50, 99.5]).tolist()
    noise = 1.4826 * middle
    wanted = min(110 / max(peak, 1e-6), 20 / max(noise, 1e-6))  # noise stays pale
    return float(np.clip(round(wanted), 1, 16))


def draw_difference(onset: Picture, changed: Array, gain: float) -> Picture:
    """What became brighter (red) and darker (blue) from onset to apex, ``gain`` times magnified.
    The face stays faintly visible. ``changed``: its `change`, without that of the light."""
    level = np.clip(gain / 127.0 * changed, -1, 1).astype(np.float32)
    pale = cv2.convertScaleAbs(_luma(onset), alpha=0.19, beta=205.0)
    rest = cv2.merge([pale, pale, cv2.convertScaleAbs(pale, alpha=1.005)])
    tint = np.where((level > 0)[..., None], _BRIGHTER, _DARKER)
    size = np.abs(level)
    return np.asarray(cv2.blendLinear(rest, tint, 1 - size, size), dtype=np.uint8)


def _luma(image: Picture) -> Array:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    wide = max(0.8, image.shape[1] / 220)  # a pixel's own noise is nothing that moved
    soft = cv2.GaussianBlur(grey.astype(np.float64), (0, 0), wide)
    return np.asarray(soft, dtype=np.float64)
