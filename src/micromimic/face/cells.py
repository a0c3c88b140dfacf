"""The article's ten facial cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cell_boxes(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """The ten cells: squares whose side w is half the mouth's width.

    Two are centred on the lip corners, one stands on the chin point, two lie directly above the
    lip-corner cells (beside the nose wings), two outside the outer eye corners, and three on the
    brow line: its centre and one w to either side.

    Source: Li et al. 2018, doi 10.1109/TAFFC.2017.2667642; the article, fig. 2a.

    ``landmarks``: (68, 2) in any upright frame: pixels or canonical units. Returns (10, 4) left,
    top, right, bottom in the same frame, in the order of ``labels.CELLS``.

    >>> marks = np.zeros((68, 2)); marks[48], marks[54], marks[8] = (4, 20), (16, 20), (10, 30)
    >>> cell_boxes(marks)[[0, 2]]
    array([[ 1., 17.,  7., 23.],
           [ 7., 24., 13., 30.]])
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks must be (68, 2), got {points.shape}")
    right, left = points[48], points[54]
    side = float(np.linalg.norm(left - right)) / 2
    brows = np.array([(points[21, 0] + points[22, 0]) / 2, points[17:27, 1].mean()])
    centres = np.array(
        [
            right,
            left,
            points[8] - [0, side / 2],
            right - [0, side],
            left - [0, side],
            points[36] - [side / 2, 0],
            points[45] + [side / 2, 0],
            brows + np.array([-side, 0]),
            brows,
            brows + np.array([side, 0]),
        ]
    )
    half = side / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def cell_pixels(boxes: NDArray[np.floating], size: int) -> NDArray[np.intp]:
    """Flat pixel indices of each cell on a square canvas, all cells of one shape. ``boxes``: (10,
    4) in canvas pixels. Returns (10, k*k) indices into ``canvas.ravel()``; cells at the border are
    pushed inside."""
    side = max(4, round(float((boxes[:, 2] - boxes[:, 0]).mean())))
    side = min(side, size)
    corner = np.clip(np.rint((boxes[:, :2] + boxes[:, 2:]) / 2 - side / 2), 0, size - side)
    grid = np.arange(side)
    rows = corner[:, 1, None].astype(int) + grid
    columns = corner[:, 0, None].astype(int) + grid
    return (rows[:, :, None] * size + columns[:, None, :]).reshape(len(boxes), -1).astype(np.intp)
