"""Affine fits, and the part of a frame that holds the face."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import apply_affine

Gray = NDArray[np.uint8]


def fit_affine(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares affine map from points to points.

    Args:
        source, target: (n, 2), n at least 3.

    Returns:
        (2, 3).

    >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    >>> fit_affine(points, points * [2, 3] + 1).round(6) + 0.0
    array([[2., 0., 1.],
           [0., 3., 1.]])
    """
    design = np.column_stack([source, np.ones(len(source))])
    return np.asarray(np.linalg.lstsq(design, target, rcond=None)[0].T, dtype=np.float64)


def reduce_face(
    gray: Gray, canvas_to_image: NDArray[np.float64], size: int, factor: int
) -> tuple[Gray | None, NDArray[np.float64]]:
    """The face's part of the frame, averaged down by a whole factor.

    Averaging before sampling keeps all of a large face's pixels in the measurement, where
    bilinear sampling alone would throw most of them away.

    Args:
        gray: (H, W) uint8.
        canvas_to_image: (2, 3).
        size: side of the canvas.
        factor: 1 leaves the frame as it is.

    Returns:
        The picture (None where the face lies outside the frame) and the (2, 3) map from image
        pixels to its pixels.
    """
    edge = float(size - 1)
    corners = np.array([[0.0, 0.0], [edge, 0.0], [0.0, edge], [edge, edge]])
    corners = apply_affine(canvas_to_image, corners)
    height, width = gray.shape
    centre = corners.mean(0)
    if not (0 <= centre[0] < width and 0 <= centre[1] < height):
        return None, np.eye(2, 3)
    if factor == 1:
        return gray, np.eye(2, 3)
    pad = 0.05 * (corners.max(0) - corners.min(0)).max()
    low = np.maximum(0, np.floor(corners.min(0) - pad)).astype(int) // factor * factor
    high = np.minimum([width, height], np.ceil(corners.max(0) + pad)).astype(int)
    count = (high - low) // factor
    if (count < 8).any():
        return None, np.eye(2, 3)
    high = low + count * factor
    part = gray[low[1] : high[1], low[0] : high[0]]
    small = cv2.resize(part, (int(count[0]), int(count[1])), interpolation=cv2.INTER_AREA)
    scale = 1.0 / factor
    shift = 0.5 * scale - 0.5
    return small, np.array(
        [[scale, 0.0, shift - low[0] * scale], [0.0, scale, shift - low[1] * scale]]
    )
