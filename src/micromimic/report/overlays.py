"""What is laid over a face, or made of two: cells, flow arrows, the vote's heat, what changed.

Cells and arrows are SVG paths in steps of 1 / ``BOX`` canonical units from the corner of a picture
that shows ``margin`` units around the face's square; the rest are pictures.
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

BOX: Final = 20
_HEAT: Final = 1  # pixels a unit: it is smooth
_STEPS: Final = (1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0)
_LONGEST: Final = 4.5  # units that the longest arrow spans
_SPACING: Final = 2  # units between arrows
_SMALLEST: Final = 0.25  # share of the largest movement below which there is no arrow
_HEAD: Final = 0.6
_OPAQUE: Final = 0.8
_BRIGHTER: Final = np.array([178, 34, 34], np.uint8)
_DARKER: Final = np.array([24, 78, 163], np.uint8)


def _check(image: Picture) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"image must be (H, W, 3) uint8, got {image.shape} {image.dtype}")


def scaled(image: Picture, width: int) -> Picture:
    """The picture at another width, its proportions kept; sharp lines are drawn after scaling."""
    _check(image)
    if width < 1:
        raise ValueError(f"width must be at least 1 pixel, got {width}")
    factor = width / image.shape[1]
    size = (width, max(1, round(image.shape[0] * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size, interpolation=method), dtype=np.uint8)


def cells_path(cells: FloatArray, margin: float) -> str:
    """The outlines of cells (N, 4: left, top, right, bottom in units)."""
    boxes = np.rint(BOX * (np.asarray(cells, dtype=np.float64) + margin)).astype(int).tolist()
    return "".join(f"M{x} {y}H{right}V{bottom}H{x}z" for x, y, right, bottom in boxes)


def flow_peak(flow: FlowMap) -> float:
    """Size of the largest movement, canonical units: the 99th percentile, as one cell may err."""
    return float(np.percentile(np.hypot(*np.asarray(flow.uv, dtype=np.float64)), 99))


def magnification(flow: FlowMap) -> float:
    """By how much to magnify arrows so that the longest spans about 4.5 units.

    One of 1, 2, 3, 5, 8, 10, 15, 20, 30, 50: a number to read off, not a precise one.

    >>> uv = np.zeros((2, 28, 28)); uv[0, 12:16, 12:16] = 0.4
    >>> magnification(FlowMap(uv, np.zeros((28, 28))))
    10.0
    """
    peak = flow_peak(flow)
    if not peak > 0:
        return 1.0
    return max((s for s in _STEPS if s * peak <= _LONGEST * 1.001), default=1.0)


def arrows_path(flow: FlowMap, magnify: float, margin: float) -> str:
    """The flow as arrows, ``magnify`` times longer than the movement; a head has the same size
    whatever the length."""
    uv, peak = np.asarray(flow.uv, dtype=np.float64), flow_peak(flow)
    if not peak > 0:
        return ""
    axis = np.arange(_SPACING // 2, UNITS, _SPACING)
    rows, columns = (places.ravel() for places in np.meshgrid(axis, axis, indexing="ij"))
    size = np.hypot(*uv[:, rows, columns])
    shown = size >= _SMALLEST * peak
    rows, columns, size = rows[shown], columns[shown], size[shown]
    # An outlier is drawn cut off: it would cover the others.
    along = magnify * (uv[:, rows, columns] * np.minimum(1.0, 1.5 * peak / size)).T
    length = magnify * np.minimum(size, 1.5 * peak)
    starts = np.stack([columns, rows], axis=1) + 0.5
    back = along * (np.minimum(_HEAD, 0.5 * length) / length)[:, None]
    across = 0.55 * np.stack([-back[:, 1], back[:, 0]], axis=1)
    ends = starts + along
    points = np.stack([starts, ends, ends - back - across, ends - back + across], axis=1)
    parts = []
    for start, end, left, right in np.rint(BOX * (points + margin)).astype(int):
        steps = (end - start, left - end, end - left, right - end)
        (a, b), (c, d), (e, f), (g, h) = (step.tolist() for step in steps)
        parts.append(f"M{start[0]} {start[1]}l{a} {b}m{c} {d} {e} {f} {g} {h}")
    return "".join(parts).replace(" -", "-")


def heat_layer(votes: FloatArray, margin: float) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA to lay over a greyed face with ``margin`` units around the 28 x 28 square: a
    (g, g) map, where brighter and warmer is more. The largest value gets the full colour if it is
    at least twice the uniform share (1 / g^2), and less below, so that a map without any preference
    colours nothing strongly."""
    level = _heat_level(np.asarray(votes, dtype=np.float32))
    square = cv2.resize(level, (_HEAT * UNITS, _HEAT * UNITS), interpolation=cv2.INTER_CUBIC)
    layer = np.pad(np.clip(square, 0, 1), round(_HEAT * margin))
    soft = np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.6 * _HEAT))
    shades = np.round(255 * (0.25 + 0.7 * soft)).astype(np.uint8)
    table = cv2.cvtColor(cv2.applyColorMap(shades, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    alpha = np.round(255 * _OPAQUE * np.sqrt(soft)).astype(np.uint8)
    return np.dstack([np.asarray(table, dtype=np.uint8), alpha])


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
