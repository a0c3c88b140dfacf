"""The apex of a clip whose onset and offset are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import (
    apply_affine,
    canonical_to_image,
    canvas_to_unit,
    compose,
    invert_affine,
)
from micromimic.errors import InputError, NoFaceError
from micromimic.face.align import Template, face_layout, warp_to_canvas
from micromimic.face.landmarks import DlibLandmarks, LandmarkBackend
from micromimic.face.regions import cell_boxes
from micromimic.motion.curve import motion_curve

RESOLUTION = 4.0


def apex_of_clip(
    frames: Sequence[NDArray[np.uint8]],
    onset: int = 0,
    offset: int | None = None,
    *,
    method: Literal["robust", "article"] = "robust",
    smoothing: float = 3.0,
    backend: LandmarkBackend | None = None,
) -> int:
    """Frame of the strongest expression between a known onset and offset.

    ``article`` is the rule as published: the ten cells stay where the onset frame's landmarks put
    them, and the apex is where M(t) is largest. It breaks under head and light drift. ``robust``
    stabilises the face to sub-pixel first, normalises each cell's brightness and smooths M.

    Args:
        frames: pictures of one size, (H, W) grey or (H, W, 3) RGB, uint8.
        onset, offset: indices of the first and last frame of the movement; offset None is the
            last frame.
        method: ``robust`` or ``article``.
        smoothing: frames, Gaussian sigma of the robust curve (3 suits 200 frames a second).
        backend: landmark library; dlib when None.

    Returns:
        Index of the apex in ``frames``.

    Raises:
        InputError: fewer than three frames, or frames of different sizes.
        NoFaceError: no face in the onset frame.
        ValueError: onset and offset out of order.
    """
    gray = [to_gray(frame) for frame in frames]
    last = len(gray) - 1 if offset is None else offset
    if not 0 <= onset < last < len(gray):
        raise ValueError(f"expected 0 <= onset < offset < {len(gray)}, got {onset} and {last}")
    gray = gray[onset : last + 1]
    if len(gray) < 3:
        raise InputError(
            f"expected a clip of at least 3 frames, got {len(gray)}; widen the interval"
        )
    if len({picture.shape for picture in gray}) > 1:
        raise InputError("expected frames of one size, got several; resize them first")
    landmarks = locate(gray[0], backend or DlibLandmarks())
    cells = _fixed_cells(gray, landmarks) if method == "article" else _stable_cells(gray, landmarks)
    curve = motion_curve(cells, robust=method == "robust", smoothing=smoothing)
    return onset + int(np.argmax(curve))


def to_gray(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) grey of a grey or RGB picture.

    Raises:
        InputError: if it is neither.
    """
    picture = np.asarray(frame)
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
        raise InputError(
            f"expected uint8 pictures (H, W) or (H, W, 3), got {picture.dtype} {picture.shape}; "
            "convert them first"
        )
    if picture.ndim == 2:
        return np.ascontiguousarray(picture)
    if picture.shape[2] == 1:
        return np.ascontiguousarray(picture[..., 0])
    return np.asarray(cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def locate(gray: NDArray[np.uint8], backend: LandmarkBackend) -> NDArray[np.float64]:
    """(68, 2) landmarks of the largest face, in pixels.

    Raises:
        NoFaceError: if there is none.
    """
    longest = max(gray.shape)
    for side in (320, 640, 1280):
        if side <= 2 * max(longest, 320):
            boxes = backend.detect(gray, side)
            if boxes:
                return backend.landmarks(gray, boxes[0])
    raise NoFaceError(
        "expected a face in the onset frame, found none; show the face frontal and at least "
        "40 pixels wide"
    )


def _fixed_cells(
    frames: list[NDArray[np.uint8]], landmarks: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(T, 10, k) raw pixels of the cells where the first frame's landmarks put them."""
    boxes = cell_boxes(landmarks)
    side = max(4, round(float((boxes[:, 2] - boxes[:, 0]).mean())))
    height, width = frames[0].shape
    side = min(side, height, width)
    limit = np.array([width - side, height - side])
    corners = np.clip(np.rint(boxes[:, :2]), 0, limit).astype(int)
    return np.stack(
        [[frame[y : y + side, x : x + side].ravel() for x, y in corners] for frame in frames]
    ).astype(np.float32)


def _stable_cells(
    frames: list[NDArray[np.uint8]], landmarks: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(T, 10, k) pixels of the cells in the stabilised face."""
    transform = canonical_to_image(landmarks)
    layout = face_layout(apply_affine(invert_affine(transform), landmarks), RESOLUTION)
    matrix = compose(transform, canvas_to_unit(RESOLUTION))
    picture = warp_to_canvas(frames[0], matrix, layout.size).astype(np.float32)
    template = Template(picture, layout)
    rows = []
    for frame in frames:
        result = template.register(frame, matrix, 3)
        matrix = result.canvas_to_image
        rows.append(result.canvas.ravel()[layout.cells])
    return np.stack(rows).astype(np.float32)
