"""The motion from onset to apex, of two frames or of a few around each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import follow, scale_of
from micromimic.core.errors import InputError
from micromimic.core.types import FlowMap
from micromimic.face.align import face_canvas
from micromimic.face.crops import FaceFollower
from micromimic.face.landmarks import DlibLandmarks, LandmarkBackend
from micromimic.motion.apex import locate, to_gray
from micromimic.motion.flow import FlowConfig, flow_map

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

    Arguments and errors are those of ``flow_between``.
    """
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
    """Frames either side of onset and apex to average: noise falls, the two stay apart.

    >>> average_reach(0, 40, 200.0), average_reach(0, 5, 200.0)
    (2, 1)
    """
    return min(round(seconds * fps), max(0, (apex - onset) // 4))


def flow_of_spans(
    onset: Sequence[Shown],
    apex: Sequence[Shown],
    *,
    scale: float = 1.0,
    config: FlowConfig | None = None,
) -> FlowMap:
    """The flow map from the mean of the frames around the onset to that around the apex.

    The face keeps one shape in all of them, the middle onset frame's: what a tracker changes in it
    within a movement is as likely the movement. ``scale``: image pixels a canonical unit, carried
    into the result.
    """
    config = config or FlowConfig()
    shape = onset[len(onset) // 2][1]
    first, second = (
        np.stack(
            [
                face_canvas(gray, follow(shape, place), config.resolution, config.margin)
                for gray, place in frames
            ]
        ).mean(0, dtype=np.float32)
        for frames in (onset, apex)
    )
    return flow_map(first, second, scale=scale, config=config)
