"""Sub-pixel stabilisation: each frame is registered to a template of the canonical face.

The registration is inverse-compositional Lucas-Kanade with a similarity map, gain and bias, robust
weights, on the parts that expressions move least (nose, temples). Then each of the ten cells is
registered by a translation with its own gain and bias: that is the motion signal. An affine map
would take a smile's raised cheeks for a change of pose, so it only follows slow turns of the head,
when the template is renewed.

Source: Baker & Matthews, IJCV 2004, doi 10.1023/B:VISI.0000011205.11775.fd.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor, sqrt
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import (
    MARGIN,
    MOUTH,
    canvas_size,
    canvas_to_unit,
    compose,
    invert_affine,
    scale_of,
)
from micromimic.face.cells import cell_boxes, cell_pixels

Gray = NDArray[np.uint8]
Affine = NDArray[np.float64]


def fit_affine(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Least-squares affine map from points to points. ``source, target``: (n, 2), n at least 3.
    Returns (2, 3)."""
    design = np.column_stack([source, np.ones(len(source))])
    return np.asarray(np.linalg.lstsq(design, target, rcond=None)[0].T, dtype=np.float64)


def reduce_face(
    gray: Gray, canvas_to_image: NDArray[np.float64], size: int, factor: int
) -> tuple[Gray | None, NDArray[np.float64]]:
    """The face's part of the frame, averaged down by a whole factor. Averaging before sampling
    keeps all of a large face's pixels in the measurement, where bilinear sampling alone would throw
    most of them away. ``canvas_to_image``: (2, 3). Returns the picture (None where the face lies
    outside the frame) and the (2, 3) map from image pixels to its pixels."""
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


_Pixel = TypeVar("_Pixel", np.uint8, np.float32)
_TOLERANCE: Final = 0.02  # canvas pixels; once a step moves less, registration stops


def warp(
    picture: NDArray[_Pixel], to_picture: NDArray[np.floating], size: tuple[int, int]
) -> NDArray[_Pixel]:
    """A picture of another ``size`` (width, height), each pixel sampled where the (2, 3) map leads
    it: bilinear, borders repeated. ``picture``: (H, W) or (H, W, 3), uint8 or float32."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    edge = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(picture, to_picture, size, flags=flags, borderMode=edge))


def face_canvas(
    picture: Gray, transform: NDArray[np.floating], resolution: float, margin: float = MARGIN
) -> Gray:
    """The face of one frame on a canonical canvas. ``margin``: canonical units around the face's
    square."""
    size = canvas_size(resolution, margin)
    matrix = compose(np.asarray(transform, np.float64), canvas_to_unit(resolution, margin))
    shrink = int(scale_of(matrix))
    if shrink > 1:
        # Average before sampling, or most of a large face's pixels would be skipped.
        fine = canvas_to_unit(shrink, 0.0)
        fine[:, 2] -= 0.5  # canvas coordinates count from pixel centres, units from edges
        sampled = warp(picture, compose(matrix, fine), (size * shrink, size * shrink))
        return np.asarray(cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA))
    return warp(picture, matrix, (size, size))


@dataclass(frozen=True)
class FaceLayout:
    resolution: float  # canvas pixels a unit
    landmarks: NDArray[np.float64]  # (68, 2) canonical units
    cells: NDArray[np.intp]  # (10, k) flat indices of the ten cells
    rigid: NDArray[np.intp]  # (r,) flat indices of the rigid parts
    eyes: NDArray[np.intp]  # (e,) flat indices of both eyes' boxes

    @cached_property
    def size(self) -> int:
        return canvas_size(self.resolution)

    @cached_property
    def from_unit(self) -> Affine:
        """(2, 3) canonical units to canvas pixels."""
        return invert_affine(canvas_to_unit(self.resolution))


def face_layout(landmarks: NDArray[np.floating], resolution: float) -> FaceLayout:
    """Lay out cells, rigid parts and eyes of a face. ``landmarks``: (68, 2) canonical units."""
    size = canvas_size(resolution)
    to_unit = canvas_to_unit(resolution)
    to_canvas = invert_affine(to_unit)
    points = np.asarray(landmarks, dtype=np.float64) @ to_canvas[:, :2].T + to_canvas[:, 2]
    eyes = np.zeros((size, size), np.uint8)
    keep_out = np.zeros((size, size), np.uint8)
    for first, last in ((36, 42), (42, 48)):
        low, high = points[first:last].min(0), points[first:last].max(0)
        for mask, pad in ((eyes, 0.5 * resolution), (keep_out, 0.75 * resolution)):
            corner, opposite = np.rint(low - pad).astype(int), np.rint(high + pad).astype(int)
            cv2.rectangle(mask, corner.tolist(), opposite.tolist(), 1, -1)
    # Everything from just above the upper lip down moves with the mouth and the jaw.
    lip = int(points[33, 1] + 0.35 * (points[51, 1] - points[33, 1]))
    keep_out[lip:] = 1
    raised = 5.25 * resolution
    outline = np.vstack([points[1:16], points[15] - [0, raised], points[1] - [0, raised]])
    rigid = np.zeros((size, size), np.uint8)
    cv2.fillConvexPoly(rigid, cv2.convexHull(np.rint(outline).astype(np.int32)), 1)
    rigid = cv2.erode(rigid, np.ones((5, 5), np.uint8))
    rigid[keep_out > 0] = 0
    # Cheeks rise with a smile: below the eyes only the nose and what is beside it is rigid.
    axis = to_unit[0, 0] * np.arange(size) + to_unit[0, 2]
    rigid[axis > 11.0] &= (np.abs(axis - MOUTH[0]) < 6.0).astype(np.uint8)
    border = int(resolution)
    rigid[:border], rigid[-border:], rigid[:, :border], rigid[:, -border:] = 0, 0, 0, 0
    shape, cells = np.asarray(landmarks, np.float64), cell_pixels(cell_boxes(points), size)
    return FaceLayout(resolution, shape, cells, np.flatnonzero(rigid), np.flatnonzero(eyes))


@dataclass(frozen=True)
class Registration:
    canvas: Gray  # (S, S) uint8, the stabilised face
    canvas_to_image: Affine  # (2, 3) the refined map
    similarity: float  # correlation of rigid parts with the template's, -1 to 1
    brightness: float  # mean grey level of the rigid parts


class _Jacobian:
    """Robust least squares on the rigid pixels. ``rows``: (m, r) derivative of each pixel by each
    parameter."""

    def __init__(self, rows: NDArray[np.floating]) -> None:
        self._rows = np.ascontiguousarray(rows, dtype=np.float32)
        self._products = (self._rows[:, None] * self._rows).reshape(-1, rows.shape[1])

    def solve(self, error: NDArray[np.float32]) -> list[float]:
        """The m parameters that explain most of the (r,) error; outliers count little."""
        weight = error - _middle(error)
        weight /= np.float32(2.5 * (1.4826 * _middle(np.abs(weight)) + 0.5))
        weight *= weight
        weight += 1.0
        np.reciprocal(weight, out=weight)
        normal = (self._products @ weight).astype(np.float64)
        normal[:: len(self._rows) + 1] *= 1.001
        normal[:: len(self._rows) + 1] += 1e-6
        weight *= error
        target = (self._rows @ weight).astype(np.float64)
        solved = cv2.solve(normal.reshape(len(self._rows), -1), target[:, None])[1]
        return list(solved.ravel().tolist())


def _middle(values: NDArray[np.float32]) -> np.float32:
    """The median but for the mean of two where the number is even."""
    half = len(values) // 2
    return np.float32(np.partition(values, half)[half])


class Template:
    """A picture of the canonical face, with what registration against it needs. ``picture``: (S, S)
    float32 canvas."""

    def __init__(self, picture: NDArray[np.float32], layout: FaceLayout) -> None:
        self.layout = layout
        self._picture = picture
        gx = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
        gy = cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
        flat = picture.ravel()
        size = layout.size
        self._size = size
        rigid = layout.rigid
        row, column = np.divmod(rigid, size)
        # Coordinates are centred and scaled to keep the normal matrix well conditioned.
        x, y = (column - size / 2) / size, (row - size / 2) / size
        fx, fy = gx.ravel()[rigid], gy.ravel()[rigid]
        self._corner = (int(column.min()), int(row.min()))
        self._extent = (int(np.ptp(column)) + 1, int(np.ptp(row)) + 1)
        self._within = (row - self._corner[1]) * self._extent[0] + column - self._corner[0]
        self._rigid = flat[rigid]
        centred = self._rigid - self._rigid.mean()
        self._norm = float(np.linalg.norm(centred)) + 1e-6
        light = [centred, np.ones_like(fx)]
        affine = [fx * x, fx * y, fx, fy * x, fy * y, fy]
        similarity = [fx * x + fy * y, fy * x - fx * y, fx, fy]
        self._affine = _Jacobian(np.stack(affine + light))
        self._similarity = _Jacobian(np.stack(similarity + light))
        cells = layout.cells
        self._cells = flat[cells]
        self._cell_solver = _cell_solver(self._cells, gx.ravel()[cells], gy.ravel()[cells])
        self._eyes = flat[layout.eyes]
        self._eye_contrast = float(self._eyes.std()) + 5.0

    def register(
        self, gray: Gray, canvas_to_image: Affine, iterations: int, *, affine: bool = False
    ) -> Registration:
        """Refine the map of the frame before until the rigid parts coincide. ``affine`` lets the
        face stretch and shear too. Raised cheeks look like that: leave it to slow changes of pose,
        and measure brief movement without it."""
        for _ in range(iterations):
            error = self._rigid_pixels(gray, canvas_to_image) - self._rigid
            step = self._step(error, affine)
            canvas_to_image = compose(canvas_to_image, _inverse_step(step, self._size))
            a, b, c, d, e, f = map(abs, step)
            if c + f < _TOLERANCE and a + b + d + e < 0.06:
                break
        canvas = warp(gray, canvas_to_image, (self._size, self._size))
        pixels = canvas.take(self.layout.rigid).astype(np.float32)
        brightness = float(pixels.sum()) / len(pixels)
        pixels -= brightness
        spread = sqrt(float(pixels @ pixels)) + 1e-6
        similarity = float(pixels @ self._rigid) / (spread * self._norm)
        return Registration(canvas, canvas_to_image, similarity, brightness)

    def _rigid_pixels(self, gray: Gray, canvas_to_image: Affine) -> Gray:
        """(r,) what a full canvas would have there."""
        moved = canvas_to_image.copy()
        moved[:, 2] += moved[:, :2] @ self._corner
        return warp(gray, moved, self._extent).take(self._within)

    def find(
        self,
        gray: Gray,
        canvas_to_image: Affine,
        iterations: int,
        min_similarity: float,
        *,
        affine: bool = False,
    ) -> Registration:
        """Register, and where that fails look for a jump first; the better of both."""
        result = self.register(gray, canvas_to_image, iterations, affine=affine)
        if result.similarity >= min_similarity:
            return result
        shifted = compose(result.canvas_to_image, self.coarse_shift(result.canvas))
        return max(result, self.register(gray, shifted, 10), key=lambda r: r.similarity)

    @staticmethod
    def picture(gray: Gray, canvas_to_image: Affine, layout: FaceLayout) -> NDArray[np.float32]:
        """The (S, S) float32 canvas of one frame, to start a template from."""
        return warp(gray, canvas_to_image, (layout.size, layout.size)).astype(np.float32)

    def coarse_shift(self, canvas: Gray) -> Affine:
        """Canvas-to-canvas shift by phase correlation, for jumps that Lucas-Kanade cannot take.
        ``canvas``: (S, S) uint8, the badly registered face."""
        window = cv2.createHanningWindow((self._size, self._size), cv2.CV_32F)
        (x, y), _ = cv2.phaseCorrelate(self._picture, canvas.astype(np.float32), window)
        return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])

    def _step(self, error: NDArray[np.float32], affine: bool) -> list[float]:
        """The six parameters of an affine Gauss-Newton step."""
        if affine:
            return self._affine.solve(error)[:6]
        a, b, c, f = self._similarity.solve(error)[:4]
        return [a, -b, c, b, a, f]

    def cell_motion(self, canvas: Gray) -> NDArray[np.float32]:
        """Displacement of the ten cells from the template. Returns (10, 2) canvas pixels, right and
        down."""
        error = canvas.take(self.layout.cells) - self._cells
        return np.asarray(-np.matmul(self._cell_solver, error[..., None])[..., 0])

    def eye_change(self, canvas: Gray) -> float:
        """Mean absolute change of the eyes' boxes from the template, in shares of their contrast. A
        closing lid changes some .3 to 1, a widened eye .1."""
        error = canvas.take(self.layout.eyes) - self._eyes
        return float(np.abs(error - _middle(error)).mean()) / self._eye_contrast


def _cell_solver(
    cells: NDArray[np.float32], gx: NDArray[np.float32], gy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Pseudo-inverses (10, 2, k): u and v of each cell, whatever its gain and bias."""
    centred = cells - cells.mean(1, keepdims=True)
    jacobian = np.stack([gx, gy, centred, np.ones_like(gx)], axis=-1).astype(np.float64)
    normal = np.einsum("cki,ckj->cij", jacobian, jacobian)
    index = np.arange(4)
    normal[:, index, index] *= 1.001
    normal[:, index, index] += 1e-6
    solver = np.einsum("cij,ckj->cik", np.linalg.inv(normal), jacobian)
    return np.ascontiguousarray(solver[:, :2], dtype=np.float32)


def _inverse_step(step: list[float], size: int) -> Affine:
    """The canvas-to-canvas map that undoes a Gauss-Newton step."""
    a, b, c, d, e, f = step
    across = [1 + a / size, b / size, c - (a + b) / 2]
    return invert_affine(np.array([across, [d / size, 1 + e / size, f - (d + e) / 2]]))
