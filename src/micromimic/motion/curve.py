"""The article's motion curve M(t): normalised frame differences in the ten cells.

Source: Li et al. 2018, "Towards Reading Hidden Emotions", doi 10.1109/TAFFC.2017.2667642, as used
by Quang, Chun, Tokuyama, FG 2019, doi 10.1109/FG.2019.8756544.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

Array = NDArray[np.float64]


def cell_curves(
    cells: NDArray[np.number], onset: int = 0, offset: int | None = None, eps: int = 1
) -> Array:
    """M(t) of each cell.

    For frame t, onset o, offset f and neighbour t' = t - eps, per pixel ``d(t) = (|I_t - I_o| + 1)
    / (|I_t - I_t'| + 1) + (|I_t - I_f| + 1) / (|I_t - I_t'| + 1)``, averaged over the cell's
    pixels. ``cells``: (T, c, k) grey levels of c cells of k pixels in each frame; ``onset,
    offset``: frames of reference; offset None is the last frame. Returns (T, c); frames before
    ``onset + eps`` repeat the first value that has a neighbour, and the last ones the last.

    >>> pictures = np.zeros((3, 1, 4)); pictures[1] = 9
    >>> cell_curves(pictures)[:, 0]
    array([2. , 2. , 0.2])
    """
    pictures = np.asarray(cells, dtype=np.float64)
    last = len(pictures) - 1 if offset is None else offset
    if pictures.ndim != 3:
        raise ValueError(f"cells must be (T, c, k), got {pictures.shape}")
    if not 0 <= onset < last < len(pictures) or last - onset < abs(eps):
        raise ValueError(
            f"expected 0 <= onset < offset < {len(pictures)} at least {abs(eps)} apart, "
            f"got {onset} and {last}"
        )
    curve = np.zeros(pictures.shape[:2])
    first, end = onset + max(eps, 0), len(pictures) + min(eps, 0)
    for t in range(first, end):
        now = pictures[t]
        noise = np.abs(now - pictures[t - eps]) + 1
        rise = (np.abs(now - pictures[onset]) + 1) / noise
        fall = (np.abs(now - pictures[last]) + 1) / noise
        curve[t] = (rise + fall).mean(-1)
    curve[:first], curve[end:] = curve[first], curve[end - 1]
    return curve


def normalise_gain(cells: NDArray[np.number]) -> Array:
    """Give each cell in each frame the mean and spread that it has on average over time.

    This takes light drift and flicker out of the differences. ``cells``: (T, c, k). Returns (T, c,
    k) float.
    """
    pictures = np.asarray(cells, dtype=np.float64)
    mean = pictures.mean(2, keepdims=True)
    spread = pictures.std(2, keepdims=True) + 1.0
    level, contrast = mean.mean(0, keepdims=True), spread.mean(0, keepdims=True)
    return np.asarray((pictures - mean) / spread * contrast + level)


def motion_curve(
    cells: NDArray[np.number],
    onset: int = 0,
    offset: int | None = None,
    *,
    robust: bool = True,
    smoothing: float = 3.0,
    eps: int = 1,
) -> Array:
    """M(t) averaged over the cells. ``cells``: (T, c, k) grey levels. Returns (T,)."""
    if not robust:
        return np.asarray(cell_curves(cells, onset, offset, eps).mean(1))
    curve = cell_curves(normalise_gain(cells), onset, offset, eps).mean(1)
    return np.asarray(gaussian_filter1d(curve, smoothing)) if smoothing > 0 else curve
