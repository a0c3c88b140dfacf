"""Onset-to-apex motion of the canonical face as a 28 x 28 map, of two frames or a few around each.

Brightness is matched locally first (a 3 % light drift alone ruins TV-L1), then TV-L1 (Zach, Pock,
Bischof 2007, doi 10.1007/978-3-540-74936-3_22), then the rigid residue of the head is removed,
and the field is pooled to the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS, canvas_to_unit, follow, scale_of
from micromimic.core.errors import InputError
from micromimic.core.types import FlowMap
from micromimic.face.align import face_canvas
from micromimic.face.crops import FaceFollower
from micromimic.face.landmarks import DlibLandmarks, LandmarkBackend
from micromimic.motion.apex import locate, to_gray

Image = NDArray[np.float32]


@dataclass(frozen=True)
class FlowConfig:
    resolution: float = 4.0  # canvas pixels a unit
    margin: float = 2.0  # canonical units around the face's square that flow is computed on
    # canonical units, the neighbourhood whose brightness and contrast are matched
    match_sigma: float = 4.0
    data_weight: float = 0.15  # TV-L1's lambda; larger trusts the pictures more
    pool_sigma: float = 0.4  # canonical units, smoothing before pooling


def match_brightness(onset: Image, apex: Image, sigma: float) -> Image:
    """Give the apex picture the onset's local mean and contrast. ``onset, apex``: (H, W) grey
    levels of the same face; ``sigma``: pixels, Gaussian neighbourhood. Returns (H, W) the matched
    apex picture."""

    def local(picture: Image) -> tuple[Image, Image]:
        mean = cv2.GaussianBlur(picture, (0, 0), sigma)
        square = cv2.GaussianBlur(picture * picture, (0, 0), sigma)
        return mean, np.sqrt(np.maximum(square - mean * mean, 0))

    mean_onset, spread_onset = local(onset)
    mean_apex, spread_apex = local(apex)
    # Flat skin has no contrast to match: there the ratio is held at 1.
    ratio = (spread_onset + 2.0) / (spread_apex + 2.0)
    return np.asarray((apex - mean_apex) * ratio + mean_onset, dtype=np.float32)


def tv_l1(onset: Image, apex: Image, data_weight: float = 0.15) -> Image:
    """Dense flow from onset to apex. ``onset, apex``: (H, W) grey levels, 0 to 255. Returns (H, W,
    2) pixels, right and down."""
    solver = cv2.optflow.DualTVL1OpticalFlow.create(
        lambda_=data_weight,
        nscales=3,
        warps=3,
        epsilon=0.02,
        innnerIterations=15,
        outerIterations=4,
    )
    # The solver takes float pictures as 0 to 1 and scales them itself.
    first, second = ((np.clip(p, 0, 255) / 255).astype(np.float32) for p in (onset, apex))
    return np.asarray(solver.calc(first, second, None), dtype=np.float32)


def strain_of(uv: NDArray[np.floating], spacing: float = 1.0) -> NDArray[np.float32]:
    """Optical strain magnitude of a flow field (Liong et al., 2014). ``uv``: (..., 2, H, W)
    displacement. Returns (..., H, W): ``sqrt(e_xx^2 + e_yy^2 + 2 e_xy^2)``."""
    u_y, u_x = np.gradient(uv[..., 0, :, :], spacing, axis=(-2, -1))
    v_y, v_x = np.gradient(uv[..., 1, :, :], spacing, axis=(-2, -1))
    return np.asarray(np.sqrt(u_x**2 + v_y**2 + 0.5 * (u_y + v_x) ** 2), np.float32)


def remove_rigid(uv: NDArray[np.floating], rigid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Subtract the translation and rotation that most of the face agrees on. A head neither grows
    nor shrinks within a third of a second, so scaling is left alone: it would explain raised cheeks
    by lowered brows (``benchmarks/flow.py`` measures what is recovered). ``uv``: (2, H, W)
    displacement; ``rigid``: (H, W) True where the face is looked at. Returns (2, H, W)."""
    height, width = uv.shape[1:]
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    x, y = (x - width / 2) / width, (y - height / 2) / width
    one, zero = np.ones_like(x), np.zeros_like(x)
    basis = np.stack([np.stack([-y, x]), np.stack([one, zero]), np.stack([zero, one])])
    rows = basis[:, :, rigid].reshape(len(basis), -1)
    target = uv[:, rigid].astype(np.float64).ravel()
    weighted, solution = rows, np.zeros(len(basis))
    for _ in range(8):
        solution = np.linalg.lstsq(weighted @ rows.T, weighted @ target, rcond=None)[0]
        error = np.abs(target - solution @ rows)
        scale = 1.4826 * float(np.median(error)) + 1e-6
        weighted = rows / (1.0 + (error / scale) ** 2)
    return np.asarray(uv - np.tensordot(solution, basis, 1))


def rigid_units(size: int, resolution: float, margin: float) -> NDArray[np.bool_]:
    """(size, size) True on the mean canonical face but for eyes, mouth and chin."""
    matrix = canvas_to_unit(resolution, margin)
    axis = matrix[0, 0] * np.arange(size) + matrix[0, 2]
    x, y = np.meshgrid(axis, axis)
    face = ((x - 13.4) / 12.0) ** 2 + ((y - 13.0) / 14.0) ** 2 < 1
    eyes = np.zeros_like(face)
    for centre in (5.9, 20.9):
        eyes |= (np.abs(x - centre) < 3.6) & (np.abs(y - 6.6) < 2.4)
    return np.asarray(face & ~eyes & (y < 16.5))


def flow_map(
    onset: NDArray[np.number],
    apex: NDArray[np.number],
    *,
    scale: float = 1.0,
    config: FlowConfig | None = None,
) -> FlowMap:
    """The flow map between two stabilised faces. ``onset, apex``: (S, S) grey levels on canvases of
    ``config.resolution`` and ``config.margin``; ``scale``: image pixels a canonical unit, carried
    into the result. Returns u, v in canonical units and strain, 28 x 28."""
    config = config or FlowConfig()
    size = round((UNITS + 2 * config.margin) * config.resolution)
    if onset.shape != (size, size) or apex.shape != (size, size):
        raise ValueError(f"canvases must be ({size}, {size}), got {onset.shape} and {apex.shape}")
    first, second = onset.astype(np.float32), apex.astype(np.float32)
    second = match_brightness(first, second, config.match_sigma * config.resolution)
    field = tv_l1(first, second, config.data_weight)
    field = cv2.GaussianBlur(field, (0, 0), config.pool_sigma * config.resolution)
    uv = np.moveaxis(field, 2, 0) / config.resolution
    uv = remove_rigid(uv, rigid_units(size, config.resolution, config.margin))
    strain = strain_of(uv, 1.0 / config.resolution)
    pooled = pool(np.concatenate([uv, strain[None]]), config)
    return FlowMap(pooled[:2], pooled[2], scale)


def pool(planes: NDArray[np.floating], config: FlowConfig) -> NDArray[np.float32]:
    """Mean over each cell of the 28 x 28 map. ``planes``: (c, S, S) on the flow's canvas. Returns
    (c, 28, 28)."""
    edge = round(config.margin * config.resolution)
    inner = planes[:, edge : planes.shape[1] - edge, edge : planes.shape[2] - edge]
    shrunk = [
        cv2.resize(
            np.ascontiguousarray(p, dtype=np.float32), (UNITS, UNITS), interpolation=cv2.INTER_AREA
        )
        for p in inner
    ]
    return np.stack(shrunk)


Shown = tuple[NDArray[np.uint8], NDArray[np.float64]]
"""A grey frame (H, W), and the (2, 3) map from canonical units to its pixels."""


def flow_between(
    onset_frame: NDArray[np.uint8],
    apex_frame: NDArray[np.uint8],
    *,
    landmarks: NDArray[np.floating] | None = None,
    backend: LandmarkBackend | None = None,
    config: FlowConfig | None = None,
) -> FlowMap:
    """The onset-to-apex flow map of two frames. ``onset_frame, apex_frame``: pictures of one size,
    (H, W) grey or (H, W, 3) RGB, uint8; ``landmarks``: (68, 2) pixels in the onset frame; found by
    ``backend`` when None."""
    first, second = places_in_pair(onset_frame, apex_frame, landmarks=landmarks, backend=backend)
    return flow_of_spans(
        [(to_gray(onset_frame), first)],
        [(to_gray(apex_frame), second)],
        scale=float(scale_of(first)),
        config=config,
    )


def places_in_pair(
    onset_frame: NDArray[np.uint8],
    apex_frame: NDArray[np.uint8],
    *,
    landmarks: NDArray[np.floating] | None = None,
    backend: LandmarkBackend | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the face lies in both frames: (2, 3) maps from canonical units to image pixels.
    Arguments and errors are those of ``flow_between``."""
    onset, apex = to_gray(onset_frame), to_gray(apex_frame)
    if onset.shape != apex.shape:
        raise InputError(
            f"expected frames of one size, got {onset.shape} and {apex.shape}; "
            "take both from the same video"
        )
    if landmarks is None:
        landmarks = locate(onset, backend or DlibLandmarks())
    follower = FaceFollower.from_landmarks(onset, landmarks)
    followed = follower.next(apex)
    if not followed.found:
        raise InputError(
            f"expected the onset's face again in the apex frame, got a match of only "
            f"{followed.similarity:.2f}; take frames of one person less than a second apart"
        )
    return follower.start, followed.transform


def average_reach(onset: int, apex: int, fps: float, seconds: float = 0.01) -> int:
    """Frames either side of onset and apex to average: noise falls, the two stay apart."""
    return min(round(seconds * fps), max(0, (apex - onset) // 4))


def flow_of_spans(
    onset: Sequence[Shown],
    apex: Sequence[Shown],
    *,
    scale: float = 1.0,
    config: FlowConfig | None = None,
) -> FlowMap:
    """The flow map from the mean of the frames around the onset to that around the apex. The face
    keeps one shape in all of them, the middle onset frame's: what a tracker changes in it within a
    movement is as likely the movement. ``scale``: image pixels a canonical unit, carried into the
    result."""
    config = config or FlowConfig()
    shape = onset[len(onset) // 2][1]
    faces = ([face_of(*shown, shape, config) for shown in frames] for frames in (onset, apex))
    return flow_of_faces(*faces, scale=scale, config=config)


def face_of(
    gray: NDArray[np.uint8],
    place: NDArray[np.float64],
    shape: NDArray[np.float64],
    config: FlowConfig,
) -> NDArray[np.uint8]:
    """The face of one frame as flow sees it. ``place``: (2, 3) canonical units to the frame's
    pixels; ``shape``: the map whose shape of the face is kept."""
    return face_canvas(gray, follow(shape, place), config.resolution, config.margin)


def flow_of_faces(
    onset: Sequence[NDArray[np.uint8]],
    apex: Sequence[NDArray[np.uint8]],
    *,
    scale: float,
    config: FlowConfig,
) -> FlowMap:
    """The flow map from the mean of some faces of `face_of` to that of others."""
    first, second = (np.stack(faces).mean(0, dtype=np.float32) for faces in (onset, apex))
    return flow_map(first, second, scale=scale, config=config)
