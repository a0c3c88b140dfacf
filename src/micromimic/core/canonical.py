"""The canonical face: one coordinate frame for flow maps, cells, the generator and the models.

Units: the face's square is 28 x 28 units, x right, y down, with up to 7 units of margin a side.
Eye centres lie at (5.9, 6.6) and (20.9, 6.6), the mouth's centre at (13.4, 20.3): the frame of the
published 28 x 28 flow maps (cell k of a map is centred at k + 0.5 units). A *canvas* is this frame
sampled at ``resolution`` pixels a unit; its pixel p is centred at (p + 0.5) / resolution - margin.
Image coordinates follow OpenCV: pixel centres are integers.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

UNITS: Final = 28
MARGIN: Final = 7.0
EYE_RIGHT: Final = (5.9, 6.6)
EYE_LEFT: Final = (20.9, 6.6)
MOUTH: Final = (13.4, 20.3)
INTEROCULAR: Final = EYE_LEFT[0] - EYE_RIGHT[0]


def anchor_points(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """(3, 2) of (68, 2) iBUG landmarks: centres of the right eye (image-left), left eye and mouth.

    The mouth's is the mean of its outer and inner corners, which an opening mouth moves least.
    """
    points = np.asarray(landmarks, dtype=np.float64)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks must be (68, 2), got {points.shape}")
    right, left = points[36:42].mean(0), points[42:48].mean(0)
    return np.stack([right, left, points[[48, 54, 60, 64]].mean(0)])


def canonical_to_image(landmarks: NDArray[np.floating]) -> NDArray[np.float64]:
    """(2, 3) map from canonical units to image pixels, through eyes and mouth of 68 landmarks.

    >>> marks = np.zeros((68, 2)); marks[36:42] = 100, 100; marks[42:48] = 250, 100
    >>> marks[48:] = 175, 237
    >>> canonical_to_image(marks).round(2) + 0.0
    array([[10.,  0., 41.],
           [ 0., 10., 34.]])
    """
    target = anchor_points(landmarks)
    units = np.array([EYE_RIGHT, EYE_LEFT, MOUTH])
    edges = target[1:] - target[0]
    if abs(np.linalg.det(edges)) < 1e-6:
        raise ValueError("eyes and mouth lie on a line; expected the landmarks of a face")
    linear = edges.T @ np.linalg.inv((units[1:] - units[0]).T)
    return np.column_stack([linear, target[0] - linear @ units[0]])


def apply_affine(matrix: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Apply a (2, 3) affine map to (..., 2) points."""
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], dtype=np.float64)


def invert_affine(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Inverse of a (2, 3) affine map."""
    (a, b, x), (c, d, y) = matrix.tolist()  # numpy takes ten times as long for so few numbers
    area = a * d - b * c
    a, b, c, d = d / area, -b / area, -c / area, a / area
    return np.array([[a, b, -a * x - b * y], [c, d, -c * x - d * y]])


def canvas_to_unit(resolution: float, margin: float = MARGIN) -> NDArray[np.float64]:
    """(2, 3) map from canvas pixels to canonical units.

    >>> apply_affine(canvas_to_unit(4.0, margin=0.0), np.array([0.0, 0.0]))
    array([0.125, 0.125])
    """
    scale = 1.0 / resolution
    shift = 0.5 * scale - margin
    return np.array([[scale, 0.0, shift], [0.0, scale, shift]])


def follow(
    onset: NDArray[np.floating],
    apex: NDArray[np.floating],
    point: tuple[float, float] = (13.4, 8.0),
) -> NDArray[np.float64]:
    """The onset's map, shifted to where the apex's has one point (the bridge of the nose).

    Flow between onset and apex is measured with one shape of the face for both: a tracker's small
    changes of shape are as likely raised cheeks as a turn of the head. Maps are (2, 3), canonical
    units to image pixels.

    >>> follow(np.eye(2, 3), np.array([[2.0, 0, 1], [0, 1, 3]]))
    array([[ 1. ,  0. , 14.4],
           [ 0. ,  1. ,  3. ]])
    """
    place = np.array(point)
    shift = apply_affine(apex, place) - apply_affine(onset, place)
    return np.column_stack([onset[:, :2], onset[:, 2] + shift])


def scale_of(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """(...) length scales of (..., 2, 3) affine maps: the root of what they do to areas.

    >>> float(scale_of(np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 1.0]])))
    2.0
    """
    linear = np.asarray(matrix, dtype=np.float64)[..., :2]
    area = linear[..., 0, 0] * linear[..., 1, 1] - linear[..., 0, 1] * linear[..., 1, 0]
    return np.asarray(np.sqrt(np.abs(area)))


def compose(outer: NDArray[np.floating], inner: NDArray[np.floating]) -> NDArray[np.float64]:
    """The (2, 3) affine map ``outer(inner(x))``."""
    (a, b, x), (c, d, y) = outer.tolist()  # as in `invert_affine`
    (e, f, u), (g, h, v) = inner.tolist()
    across = [a * e + b * g, a * f + b * h, a * u + b * v + x]
    return np.array([across, [c * e + d * g, c * f + d * h, c * u + d * v + y]])


def canvas_size(resolution: float, margin: float = MARGIN) -> int:
    """Side of a canvas in pixels.

    >>> canvas_size(4.0)
    168
    """
    return round((UNITS + 2 * margin) * resolution)
