"""A small renderer: triangles to pixels with a depth buffer, then light, all in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_DENSITY: Final = 1.45
"""Samples a pixel along a triangle's longest edge: above the root of 2 no pixel is missed."""


@dataclass(frozen=True)
class Seen:
    """Which triangle each pixel sees.

    Args:
        shape: (H, W) of the picture.
        rows, columns: (p,) pixels that see something.
        corners: (p, 3) vertices of the triangle that each sees.
        weights: (p, 3) of the corners at the pixel's centre.
        triangles: (p,) its number.
    """

    shape: tuple[int, int]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    corners: NDArray[np.intp]
    weights: Array
    triangles: NDArray[np.intp]

    def values(self, of_vertices: NDArray[np.floating]) -> Array:
        """(p, c) of (n, c): values at vertices, interpolated at the pixels that see something."""
        parts = (of_vertices[self.corners[:, k]] * self.weights[:, k, None] for k in range(3))
        return np.asarray(sum(parts))

    def picture(self, of_pixels: NDArray[np.generic], empty: float = 0.0) -> NDArray[np.float32]:
        """(H, W[, c]) of (p[, c])."""
        out = np.full((*self.shape, *of_pixels.shape[1:]), empty, dtype=np.float32)
        out[self.rows, self.columns] = of_pixels
        return out


def look(
    places: Array, depth: Array, triangles: NDArray[np.integer], shape: tuple[int, int]
) -> Seen:
    """What an orthographic camera sees.

    Args:
        places: (n, 2) pixel coordinates of the vertices.
        depth: (n,) towards the camera.
        triangles: (m, 3) vertex numbers, counter-clockwise for those who look at the front
            (x right, y down).
        shape: (H, W) of the picture.

    >>> square = np.array([[-9.0, -9], [-9, 9], [9, 9], [9, -9]])
    >>> seen = look(square, np.zeros(4), np.array([[0, 1, 2], [0, 2, 3]]), (4, 6))
    >>> len(seen.rows), bool(np.allclose(seen.values(square)[:, 0], seen.columns))
    (24, True)
    """
    front = _front(places, triangles, shape)
    pixels, heights, owners = _samples(places, depth, triangles, front, shape)
    size = shape[0] * shape[1]
    nearest = np.full(size, -np.inf)
    np.maximum.at(nearest, pixels, heights)
    owner = np.full(size, -1, dtype=np.intp)
    first = heights == nearest[pixels]
    owner[pixels[first]] = owners[first]
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


def _front(
    places: Array, triangles: NDArray[np.integer], shape: tuple[int, int]
) -> NDArray[np.intp]:
    """Triangles that face the camera within the picture."""
    a, b, c = (places[triangles[:, k]] for k in range(3))
    low, high = np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
    inside = (high > -1).all(1) & (low[:, 0] < shape[1]) & (low[:, 1] < shape[0])
    return np.flatnonzero(inside & (_cross(b - a, c - a) < 0))


def _samples(
    places: Array,
    depth: Array,
    triangles: NDArray[np.integer],
    chosen: NDArray[np.intp],
    shape: tuple[int, int],
) -> tuple[NDArray[np.intp], Array, NDArray[np.intp]]:
    """Points all over the triangles: their pixel, depth and triangle."""
    corners, heights = places[triangles[chosen]], depth[triangles[chosen]]
    edges = corners - np.roll(corners, 1, axis=1)
    longest = np.hypot(edges[..., 0], edges[..., 1]).max(1)
    steps = np.maximum(1, np.ceil(longest * _DENSITY)).astype(int)
    found: list[tuple[NDArray[np.intp], Array, NDArray[np.intp]]] = []
    for count in np.unique(steps):
        same = steps == count
        i, j = (grid.ravel() for grid in np.mgrid[0 : count + 1, 0 : count + 1])
        keep = i + j <= count
        mix = np.stack([i, j, count - i - j], axis=1)[keep] / count
        at = np.rint(np.einsum("sk,tkc->tsc", mix, corners[same])).astype(np.intp)
        inside = (at >= 0).all(-1) & (at[..., 0] < shape[1]) & (at[..., 1] < shape[0])
        owner = np.broadcast_to(chosen[same][:, None], inside.shape)
        pixel = at[..., 1] * shape[1] + at[..., 0]
        found.append((pixel[inside], (heights[same] @ mix.T)[inside], owner[inside]))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0), np.zeros(0, np.intp)
    pixels, depths, owners = (np.concatenate(part) for part in zip(*found, strict=True))
    return pixels, depths, owners


def shade(
    normals: Array,
    *,
    azimuth: float,
    elevation: float,
    ambient: float,
    gloss: NDArray[np.floating] | float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Light on a surface: one soft lamp, and what comes from everywhere.

    Args:
        normals: (p, 3) unit vectors, x right, y up, z to the camera.
        azimuth, elevation: of the lamp, radians from the camera.
        ambient: share of the light that comes from everywhere, most of it from above.
        gloss: strength of the highlight.

    Returns:
        (p,) factor of the colour, 1 where the lamp shines straight on, and (p,) highlight to add.
    """
    lamp = np.array(
        [
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ]
    )
    # light creeps around skin: the terminator is soft
    straight = np.clip(0.72 * (normals @ lamp) + 0.28, 0.0, None)
    everywhere = ambient * (0.85 + 0.15 * normals[:, 1])
    half = lamp + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    shine = np.clip(normals @ half, 0.0, None) ** 24 * gloss
    return (everywhere + (1.0 - ambient) * straight).astype(np.float32), shine.astype(np.float32)


def occlusion(depth: NDArray[np.float32], reach: float, strength: float) -> NDArray[np.float32]:
    """Darkening of places that lie deeper than what is around them: corners, nostrils, the lips.

    Args:
        depth: (H, W), pixels towards the camera.
        reach: pixels.
        strength: darkening for each pixel of depth, relative to the reach.

    Returns:
        (H, W) factor, 0 to 1.
    """
    around = cv2.GaussianBlur(depth, (0, 0), reach)
    deeper = np.clip(around - depth, 0.0, None) / reach
    return np.asarray(1.0 / (1.0 + strength * deeper), dtype=np.float32)


def _cross(a: Array, b: Array) -> Array:
    """(n,) z of the cross product of (n, 2) vectors."""
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
