"""Where on the face a class comes from: capsule votes split among the ten cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.labels import CELLS

_W: Final = 5.7
CENTRES: Final[Mapping[str, tuple[float, float]]] = {
    "mouth_corner_right": (7.7, 20.3),
    "mouth_corner_left": (19.1, 20.3),
    "chin": (13.4, 26.0),
    "nose_wing_right": (7.7, 20.3 - _W),
    "nose_wing_left": (19.1, 20.3 - _W),
    "outer_eye_right": (2.6 - _W / 2, 6.6),
    "outer_eye_left": (24.2 + _W / 2, 6.6),
    "brow_right": (13.4 - _W, 2.0),
    "brow_centre": (13.4, 2.0),
    "brow_left": (13.4 + _W, 2.0),
}
"""Canonical x, y of the cells' centres on the mean face."""


def region_shares(
    votes: NDArray[np.floating], cells: NDArray[np.floating] | None = None
) -> dict[str, float]:
    """Split (g, g) votes among the ten cells: every place goes to the nearest cell's centre.

    Place (row, column) is centred at ``(column + 0.5) * 28 / g`` units to the right and likewise
    down; ``cells`` are (10, 4) left, top, right, bottom in canonical units, None the mean face's.
    The shares sum to 1; all are 0 without votes.

    >>> votes = np.zeros((7, 7)); votes[5, 1] = 1.0
    >>> shares = region_shares(votes)
    >>> max(shares, key=shares.get)
    'mouth_corner_right'
    """
    places = np.asarray(votes, np.float64)
    if places.ndim != 2 or places.shape[0] != places.shape[1]:
        raise ValueError(f"votes must be (g, g), got {places.shape}")
    if not (np.isfinite(places).all() and (places >= 0).all()):
        raise ValueError("votes must be finite and not below 0, got others; pass shares")
    centres = np.array(list(CENTRES.values()))
    if cells is not None:
        boxes = np.asarray(cells, np.float64)
        if boxes.shape != (len(CELLS), 4):
            raise ValueError(f"cells must be ({len(CELLS)}, 4), got {boxes.shape}")
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    points = vote_centres(len(places))
    nearest = np.linalg.norm(points[:, :, None] - centres, axis=3).argmin(2)
    total = places.sum()
    sums = np.bincount(nearest.ravel(), places.ravel(), len(CELLS)) / (total if total > 0 else 1.0)
    return {name: float(share) for name, share in zip(CELLS, sums, strict=True)}


def vote_centres(grid: int) -> NDArray[np.float64]:
    """(g, g, 2) canonical x, y of each place of the vote grid, which tiles the 28 x 28 square."""
    axis = (np.arange(grid) + 0.5) * UNITS / grid
    x, y = np.meshgrid(axis, axis)
    return np.stack([x, y], axis=2)
