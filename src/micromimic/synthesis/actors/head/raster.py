"""Vertices to pixels: what each pixel of a picture sees of a mesh, and values there.

`look` tells which triangle a pixel sees, in numpy, for what is prepared once: portraits, painted
surfaces, what is hidden. `rasterise` fills triangles with values at sub-pixel places and in
perspective, for every frame: OpenCV 5 does that 25 times as fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import apply_affine
from micromimic.core.errors import MissingExtraError
from micromimic.synthesis.actors.base import Array, Mask, Picture
from micromimic.synthesis.actors.head.data import Numbers

_DENSITY: Final = 1.45
"""Samples a pixel along a triangle's longest edge: above the root of 2 no pixel is missed."""
_NEAR: Final = 1.0
_FAR: Final = 1.0e4
_PIVOT: Final = 3.0
"""Depth, canonical units, of the axis that the head turns about: between eyes and nose, so that a
turn leaves the face where it is."""


@dataclass(frozen=True)
class Seen:
    """Which triangle each pixel sees; p pixels see one."""

    shape: tuple[int, int]  # (H, W) of the picture
    rows: Numbers  # (p,)
    columns: Numbers  # (p,)
    corners: Numbers  # (p, 3) vertices of the triangle that each sees
    weights: Array  # (p, 3) of the corners at the pixel's centre
    triangles: Numbers  # (p,) its number

    def values(self, of_vertices: NDArray[np.floating]) -> Array:
        """(p, c) of (n, c): values at vertices, interpolated at the pixels that see something."""
        parts = (of_vertices[self.corners[:, k]] * self.weights[:, k, None] for k in range(3))
        return np.asarray(sum(parts))

    def picture(self, of_pixels: NDArray[np.generic], empty: float = 0.0) -> Picture:
        """(H, W[, c]) of (p[, c])."""
        out = np.full((*self.shape, *of_pixels.shape[1:]), empty, dtype=np.float32)
        out[self.rows, self.columns] = of_pixels
        return out


def look(
    places: Array, depth: Array, triangles: NDArray[np.integer], shape: tuple[int, int]
) -> Seen:
    """What an orthographic camera sees.

    (n, 2) pixel coordinates of the vertices and (n,) depth towards the camera; the (m, 3) triangles
    that face it are counter-clockwise for those who look at the front (x right, y down).
    """
    a, b, c = (places[triangles[:, k]] for k in range(3))
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    inside = (high > -1).all(1) & (low[:, 0] < shape[1]) & (low[:, 1] < shape[0])
    drawn = np.flatnonzero(inside & (_cross(b - a, c - a) < 0))
    pixels, heights, owners = _samples(places[triangles[drawn]], depth[triangles[drawn]], shape)
    size = shape[0] * shape[1]
    nearest = np.full(size, -np.inf)
    np.maximum.at(nearest, pixels, heights)
    owner = np.full(size, -1, dtype=np.intp)
    first = heights == nearest[pixels]
    owner[pixels[first]] = drawn[owners[first]]
    where = np.flatnonzero(owner >= 0)
    rows, columns = np.divmod(where, shape[1])
    corners = np.asarray(triangles[owner[where]], dtype=np.intp)
    a, b, c = (places[corners[:, k]] for k in range(3))
    at = np.column_stack([columns, rows])
    area = _cross(b - a, c - a)
    second, third = _cross(at - a, c - a) / area, _cross(b - a, at - a) / area
    # a pixel's centre may lie just outside the triangle that it sees
    weights = np.clip(np.column_stack([1.0 - second - third, second, third]), -0.5, 1.5)
    weights /= weights.sum(1, keepdims=True)
    return Seen(shape, rows, columns, corners, weights, owner[where])


def _samples(
    corners: Array, heights: Array, shape: tuple[int, int]
) -> tuple[Numbers, Array, Numbers]:
    """Points all over (m, 3, 2) triangles: their pixel, depth and triangle."""
    edges = corners - np.roll(corners, 1, axis=1)
    longest = np.hypot(edges[..., 0], edges[..., 1]).max(1)
    steps = np.maximum(1, np.ceil(longest * _DENSITY)).astype(int)
    found = [(np.zeros(0, np.intp), np.zeros(0), np.zeros(0, np.intp))]
    for count in np.unique(steps):
        same = np.flatnonzero(steps == count)
        i, j = (grid.ravel() for grid in np.mgrid[0 : count + 1, 0 : count + 1])
        keep = i + j <= count
        mix = np.stack([i, j, count - i - j], axis=1)[keep] / count
        at = np.rint(np.einsum("sk,tkc->tsc", mix, corners[same])).astype(np.intp)
        inside = (at >= 0).all(-1) & (at[..., 0] < shape[1]) & (at[..., 1] < shape[0])
        owner = np.broadcast_to(same[:, None], inside.shape)
        pixel = at[..., 1] * shape[1] + at[..., 0]
        found.append((pixel[inside], (heights[same] @ mix.T)[inside], owner[inside]))
    pixels, depths, owners = (np.concatenate(part) for part in zip(*found, strict=True))
    return pixels, depths, owners


def _cross(a: Array, b: Array) -> Array:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])


class Window(NamedTuple):
    """A part of the picture, image pixels, sampled finely."""

    left: int
    top: int
    width: int
    height: int
    fine: tuple[int, int] = (1, 1)  # samples in a pixel, across and down

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of samples."""
        return self.height * self.fine[1], self.width * self.fine[0]

    @property
    def area(self) -> tuple[slice, slice]:
        return np.s_[self.top : self.top + self.height, self.left : self.left + self.width]


class Points(NamedTuple):
    image: Array  # (n, 2) image pixels
    depth: Array  # (n,) distance from the camera, canonical units


@dataclass(frozen=True)
class Camera:
    unit_px: float  # image pixels of a canonical unit at the depth of the eyes
    middle: tuple[float, float]  # (x, y) image point of the face's middle
    distance: float  # from the eyes, canonical units; a metre is 240 of them

    def project(
        self, vertices: Array, yaw: float = 0.0, pitch: float = 0.0, pose: Array | None = None
    ) -> Points:
        """(n, 3) vertices, canonical units from the middle of the face with y up, in the picture.

        First the head turns (radians; by yaw what is near goes right, by pitch down), then it moves
        in the picture by ``pose``, a (2, 3) rigid map.
        """
        turn = turn_of(yaw, pitch)
        turned = vertices @ turn.T
        turned += (0.0, 0.0, _PIVOT) - turn @ (0.0, 0.0, _PIVOT)
        depth = self.distance - turned[:, 2]
        size = (self.unit_px * self.distance / depth)[:, None]
        flat = turned[:, :2] * size * (1.0, -1.0) + self.middle
        return Points(apply_affine(np.eye(2, 3) if pose is None else pose, flat), depth)


def turn_of(yaw: float, pitch: float) -> Array:
    """(3, 3) first about the vertical, then about the horizontal."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    around_y = np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    cos, sin = np.cos(pitch), np.sin(pitch)
    around_x = np.array([[1.0, 0.0, 0.0], [0.0, cos, -sin], [0.0, sin, cos]])
    return np.asarray(around_x @ around_y)


def rasterise(
    points: Points,
    triangles: NDArray[np.int32],
    values: Picture,
    window: Window,
    *,
    both_sides: bool = False,
) -> tuple[Picture, Mask]:
    """What each sample of a window sees of the triangles that face the camera, or of all.

    (n, 3) values at the vertices give (h, w, 3) in perspective, 0 where nothing is drawn, and
    (h, w) where something is.
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
    view, angle = np.eye(4, dtype=np.float32), np.pi / 2
    vertices = vertices.astype(np.float32)
    cv2.triangleRasterize(
        vertices, triangles, values, out, depth, view, angle, _NEAR, _FAR, settings
    )
    return out, depth < 0.99 * _FAR
