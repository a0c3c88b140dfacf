"""Affine fits, and the part of a frame that holds the face."""

from __future__ import annotations

from math import ceil, floor

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]


def fit_affine(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares affine map from points to points. ``source, target``: (n, 2), n at least 3.
    Returns (2, 3).

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

    Averaging before sampling keeps all of a large face's pixels in the measurement, where bilinear
    sampling alone would throw most of them away. ``canvas_to_image``: (2, 3). Returns the picture
    (None where the face lies outside the frame) and the (2, 3) map from image pixels to its pixels.
    """
    # Plain numbers: this is done for every frame, and numpy takes longer than the picture.
    edge = size - 1.0
    spans = []
    for (a, b, first), pixels in zip(canvas_to_image.tolist(), gray.shape[::-1], strict=True):
        if not 0 <= first + (a + b) * edge / 2 < pixels:
            return None, np.eye(2, 3)
        corners = (first, first + a * edge, first + b * edge, first + (a + b) * edge)
        spans.append((min(corners), max(corners), pixels))
    if factor == 1:
        return gray, np.eye(2, 3)
    pad = 0.05 * max(high - low for low, high, _ in spans)
    starts, counts = [], []
    for low, high, pixels in spans:
        starts.append(max(0, floor(low - pad)) // factor * factor)
        counts.append((min(pixels, ceil(high + pad)) - starts[-1]) // factor)
    if min(counts) < 8:
        return None, np.eye(2, 3)
    (left, top), (wide, high) = starts, counts
    part = gray[top : top + high * factor, left : left + wide * factor]
    small = cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA)
    scale = 1.0 / factor
    shift = 0.5 * scale - 0.5
    return small, np.array([[scale, 0.0, shift - left * scale], [0.0, scale, shift - top * scale]])
