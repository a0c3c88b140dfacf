"""The apex of a clip whose onset and offset are known, by the article's motion curve M(t).

Source: Li et al. 2018, "Towards Reading Hidden Emotions", doi 10.1109/TAFFC.2017.2667642, as used
by Quang, Chun, Tokuyama, FG 2019, doi 10.1109/FG.2019.8756544.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import cv2
import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

from micromimic.core.errors import InputError, NoFaceError
from micromimic.face.align import FaceLayout
from micromimic.face.cells import cell_boxes
from micromimic.face.crops import FaceFollower, Followed
from micromimic.face.landmarks import DlibLandmarks, LandmarkBackend

Array = NDArray[np.float64]


def cell_curves(
    cells: NDArray[np.number], onset: int = 0, offset: int | None = None, eps: int = 1
) -> Array:
    """M(t) of each cell.

    For frame t, onset o, offset f and neighbour t' = t - eps, per pixel ``d(t) = (|I_t - I_o| + 1)
    / (|I_t - I_t'| + 1) + (|I_t - I_f| + 1) / (|I_t - I_t'| + 1)``, averaged over the cell's
    pixels. ``cells``: (T, c, k) grey levels of c cells of k pixels in each frame; ``onset,
    offset``: frames of reference; offset None is the last frame. Returns (T, c); frames before
    ``onset + eps`` repeat the first value that has a neighbour, and the last ones the last.

    >>> pictures = np.zeros((3, 1, 4)); pictures[1] = 9
    >>> cell_curves(pictures)[:, 0]
    array([2. , 2. , 0.2])
    """
    pictures = np.asarray(cells, dtype=np.float64)
    last = len(pictures) - 1 if offset is None else offset
    if pictures.ndim != 3:
        raise ValueError(f"cells must be (T, c, k), got {pictures.shape}")
    if not 0 <= onset < last < len(pictures) or last - onset < abs(eps):
        raise ValueError(
            f"expected 0 <= onset < offset < {len(pictures)} at least {abs(eps)} apart, "
            f"got {onset} and {last}"
        )
    curve = np.zeros(pictures.shape[:2])
    first, end = onset + max(eps, 0), len(pictures) + min(eps, 0)
    for t in range(first, end):
        now = pictures[t]
        noise = np.abs(now - pictures[t - eps]) + 1
        rise = (np.abs(now - pictures[onset]) + 1) / noise
        fall = (np.abs(now - pictures[last]) + 1) / noise
        curve[t] = (rise + fall).mean(-1)
    curve[:first], curve[end:] = curve[first], curve[end - 1]
    return curve


def normalise_gain(cells: NDArray[np.number]) -> Array:
    """Give each cell in each frame the mean and spread that it has on average over time. This takes
    light drift and flicker out of the differences. ``cells``: (T, c, k). Returns (T, c, k)
    float."""
    pictures = np.asarray(cells, dtype=np.float64)
    mean = pictures.mean(2, keepdims=True)
    spread = pictures.std(2, keepdims=True) + 1.0
    level, contrast = mean.mean(0, keepdims=True), spread.mean(0, keepdims=True)
    return np.asarray((pictures - mean) / spread * contrast + level)


def motion_curve(
    cells: NDArray[np.number],
    onset: int = 0,
    offset: int | None = None,
    *,
    robust: bool = True,
    smoothing: float = 3.0,
    eps: int = 1,
) -> Array:
    """M(t) averaged over the cells. ``cells``: (T, c, k) grey levels. Returns (T,)."""
    if not robust:
        return np.asarray(cell_curves(cells, onset, offset, eps).mean(1))
    curve = cell_curves(normalise_gain(cells), onset, offset, eps).mean(1)
    return np.asarray(scipy.ndimage.gaussian_filter1d(curve, smoothing)) if smoothing > 0 else curve


Method = Literal["robust", "article"]

_BORDERS: Final = (0.25, 0.5)
"""Shares of the picture's longer side put around it where no face is found."""


def apex_of_clip(
    frames: Sequence[NDArray[np.uint8]],
    onset: int = 0,
    offset: int | None = None,
    *,
    method: Method = "robust",
    smoothing: float = 3.0,
    backend: LandmarkBackend | None = None,
) -> int:
    """Frame of the strongest expression between a known onset and offset.

    ``article`` is the rule as published: the ten cells stay where the onset frame's landmarks put
    them, and the apex is where M(t) is largest. It breaks under head and light drift. ``robust``
    stabilises the face to sub-pixel first, normalises each cell's brightness and smooths M.

    Parameters
    ----------
    frames : Sequence[ndarray]
        Pictures of one size, (H, W) grey or (H, W, 3) RGB, uint8.
    onset, offset : int, optional
        Indices of the first and last frame of the movement; offset None is the last frame.
    method : Method, optional
        ``robust`` or ``article``.
    smoothing : float, optional
        Frames, Gaussian sigma of the robust curve (3 suits 200 frames a second).
    backend : LandmarkBackend or None, optional
        Landmark library; dlib when None.

    Returns
    -------
    int
        Index of the apex in ``frames``.

    Raises
    ------
    InputError
        Fewer than three frames, or frames of different sizes.
    NoFaceError
        No face in the onset frame.
    ValueError
        Onset and offset out of order.
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
    if method == "article":
        cells = fixed_cells(gray, [landmarks])
    else:
        follower = FaceFollower.from_landmarks(gray[0], landmarks)
        cells = stable_cells([follower.next(frame) for frame in gray], follower.layout)
    return onset + apex_of_cells(cells, method=method, smoothing=smoothing)


def apex_of_cells(
    cells: NDArray[np.number], *, method: Method = "robust", smoothing: float = 3.0, eps: int = 1
) -> int:
    """Frame in which M(t) is largest, the first one (the onset) apart: it has no neighbour before.
    ``cells``: (T, 10, k) grey levels from onset to offset, of ``fixed_cells`` for ``article`` and
    of ``stable_cells`` for ``robust``."""
    curve = motion_curve(cells, robust=method == "robust", smoothing=smoothing, eps=eps)
    return 1 + int(np.argmax(curve[1:]))


def to_gray(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W) grey of a grey or RGB picture."""
    picture = np.asarray(frame)
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
        raise InputError(
            f"expected uint8 pictures (H, W) or (H, W, 3), got {picture.dtype} {picture.shape}; "
            "convert them first, 16 bits by those in use: 12 with >> 4"
        )
    if picture.ndim == 2:
        return np.ascontiguousarray(picture)
    if picture.shape[2] == 1:
        return np.ascontiguousarray(picture[..., 0])
    return np.asarray(cv2.cvtColor(picture[..., :3], cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def locate(gray: NDArray[np.uint8], backend: LandmarkBackend) -> NDArray[np.float64]:
    """(68, 2) landmarks of the largest face, in pixels. Where there is none, the picture is
    searched again with its edges drawn out: in the databases' cropped copies a face may fill it,
    and detectors want some room around one."""
    for share in (0.0, *_BORDERS):
        pad = round(share * max(gray.shape))
        wide = np.ascontiguousarray(gray)  # as libraries of landmarks want it
        if pad:
            wide = cv2.copyMakeBorder(gray, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        longest = max(wide.shape)
        for side in (320, 640, 1280):
            if side <= 2 * max(longest, 320):
                boxes = backend.detect(wide, side)
                if boxes:
                    return np.asarray(backend.landmarks(wide, boxes[0]) - pad)
    raise NoFaceError(
        "expected a face in the onset frame, found none; show the face frontal and at least "
        "40 pixels wide"
    )


def fixed_cells(
    frames: Sequence[NDArray[np.uint8]], landmarks: Sequence[NDArray[np.float64]]
) -> NDArray[np.float32]:
    """(T, 10, k) raw pixels of the cells where landmarks put them. ``landmarks``: (68, 2) pixels in
    each frame, or in the first alone, where the cells then stay. The first frame's decide the
    cells' side."""
    height, width = frames[0].shape
    first = cell_boxes(landmarks[0])
    side = max(4, round(float((first[:, 2] - first[:, 0]).mean())))
    side = min(side, height, width)
    limit = np.array([width - side, height - side])
    marks = list(landmarks) * len(frames) if len(landmarks) == 1 else landmarks
    rows = []
    for frame, points in zip(frames, marks, strict=True):
        corners = np.clip(np.rint(cell_boxes(points)[:, :2]), 0, limit).astype(int)
        rows.append([frame[y : y + side, x : x + side].ravel() for x, y in corners])
    return np.array(rows, np.float32)


def stable_cells(followed: Sequence[Followed], layout: FaceLayout) -> NDArray[np.float32]:
    """(T, 10, k) pixels of the cells in the stabilised face."""
    rows = [frame.canvas.ravel()[layout.cells] for frame in followed]
    return np.stack(rows).astype(np.float32)
