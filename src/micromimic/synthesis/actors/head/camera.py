"""Camera and rasteriser of the rendered clips: vertices to pixels, with depth and sub-pixel exact.

The triangles are filled by OpenCV 5 (`cv2.triangleRasterize`), in perspective and with a depth
buffer; everything before and after is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import apply_affine
from micromimic.core.errors import MissingExtraError

Array = NDArray[np.float64]
Plane = NDArray[np.float32]

_NEAR: Final = 1.0
_FAR: Final = 1.0e4
PIVOT: Final = 3.0
"""Depth, canonical units, of the axis that the head turns about: between eyes and nose, so that a
turn leaves the face where it is."""


class Window(NamedTuple):
    """A part of the picture, sampled finely.

    Args:
        left, top, width, height: image pixels.
        fine: samples in a pixel, across and down.
    """

    left: int
    top: int
    width: int
    height: int
    fine: tuple[int, int] = (1, 1)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of samples."""
        return self.height * self.fine[1], self.width * self.fine[0]

    @property
    def area(self) -> tuple[slice, slice]:
        """The window in the picture."""
        return np.s_[self.top : self.top + self.height, self.left : self.left + self.width]


class Points(NamedTuple):
    """Projected vertices.

    Args:
        image: (n, 2) image pixels.
        depth: (n,) distance from the camera, canonical units.
    """

    image: Array
    depth: Array


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, and what it sees.

    Args:
        unit_px: image pixels of a canonical unit at the depth of the eyes.
        middle: (x, y) image point of the face's middle.
        distance: from the eyes, canonical units; a metre is 240 of them.
    """

    unit_px: float
    middle: tuple[float, float]
    distance: float

    def project(self, vertices: Array, yaw: float, pitch: float, pose: Array) -> Points:
        """Vertices of the turned head in the picture.

        Args:
            vertices: (n, 3) canonical units from the middle of the face, y up.
            yaw: turn about the vertical, radians; what is near goes right.
            pitch: turn about the horizontal; what is near goes down.
            pose: (2, 3) rigid map in the picture, after the turn.
        """
        turned = vertices @ _turn(yaw, pitch).T
        turned += (0.0, 0.0, PIVOT) - _turn(yaw, pitch) @ (0.0, 0.0, PIVOT)
        depth = self.distance - turned[:, 2]
        size = (self.unit_px * self.distance / depth)[:, None]
        flat = turned[:, :2] * size * (1.0, -1.0) + self.middle
        return Points(apply_affine(pose, flat), depth)


def rasterise(
    points: Points,
    triangles: NDArray[np.int32],
    values: Plane,
    window: Window,
    *,
    both_sides: bool = False,
) -> tuple[Plane, Plane]:
    """What each sample of a window sees.

    Args:
        points: the vertices.
        triangles: (m, 3).
        values: (n, 3) at the vertices; interpolated in perspective.
        window: where.
        both_sides: draw triangles that face away, too.

    Returns:
        (h, w, 3) values, 0 where nothing is drawn, and (h, w) depth; `is_seen` tells which.

    Raises:
        MissingExtraError: with an OpenCV before 5.
    """
    if not hasattr(cv2, "triangleRasterize"):
        raise MissingExtraError(
            f"expected OpenCV 5 for rendered heads, got {cv2.__version__}; "
            "pip install 'opencv-contrib-python-headless>=5'"
        )
    rows, columns = window.shape
    # OpenCV looks along -z at a picture whose middle is the origin; with this focal length a
    # sample is one unit wide at the distance of half its rows
    corner = np.array([window.left, window.top])
    at = (points.image - corner + 0.5) * window.fine - (columns / 2, rows / 2)
    share = points.depth / (rows / 2)
    vertices = np.column_stack([at[:, 0] * share, -at[:, 1] * share, -points.depth])
    settings = cv2.TriangleRasterizeSettings()
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    side = cv2.RASTERIZE_CULLING_NONE if both_sides else cv2.RASTERIZE_CULLING_CW
    settings.setCullingMode(side)
    out = np.zeros((rows, columns, 3), np.float32)
    depth = np.full((rows, columns), _FAR, np.float32)
    cv2.triangleRasterize(
        vertices.astype(np.float32),
        triangles,
        values,
        out,
        depth,
        np.eye(4, dtype=np.float32),
        np.pi / 2,
        _NEAR,
        _FAR,
        settings,
    )
    return out, depth


def is_seen(depth: Plane) -> NDArray[np.bool_]:
    """Where something was drawn."""
    return np.asarray(depth < 0.99 * _FAR)


def _turn(yaw: float, pitch: float) -> Array:
    """(3, 3) first about the vertical, then about the horizontal."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    around_y = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    cos, sin = np.cos(pitch), np.sin(pitch)
    around_x = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return np.asarray(around_x @ around_y)
