"""Name the movement between two frames, for those who spot by other means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import (
    apply_affine,
    canonical_to_image,
    canvas_to_unit,
    compose,
    follow,
    invert_affine,
    scale_of,
)
from micromimic.errors import InputError
from micromimic.face.align import Template, face_canvas, face_layout
from micromimic.face.geometry import reduce_face
from micromimic.face.landmarks import DlibLandmarks, LandmarkBackend
from micromimic.models.onnx import load_model
from micromimic.motion.apex import locate, to_gray
from micromimic.motion.flow import FlowConfig, flow_map
from micromimic.types import FlowMap, Recognition

MIN_SIMILARITY = 0.6
"""Correlation of the rigid parts below which the apex does not show the onset's face."""


def recognize(
    onset_frame: NDArray[np.uint8],
    apex_frame: NDArray[np.uint8],
    *,
    landmarks: NDArray[np.floating] | None = None,
    model: Path | None = None,
    backend: LandmarkBackend | None = None,
) -> Recognition:
    """What the movement from onset to apex shows.

    Args:
        onset_frame, apex_frame: pictures of one size, (H, W) grey or (H, W, 3) RGB, uint8.
        landmarks: (68, 2) pixels in the onset frame; found by ``backend`` when None.
        model: an ONNX file; None is the shipped flow-capsnet.
        backend: landmark library; dlib when None.

    Returns:
        Label, calibrated probabilities, whether it is uncertain, and the capsules' votes.

    Raises:
        InputError: pictures of different sizes or kinds, or the same face cannot be followed
            from one to the other.
        NoFaceError: no face in the onset frame.

    Example:
        >>> import micromimic
        >>> micromimic.recognize(onset, apex).label  # doctest: +SKIP
        'surprise'
    """
    flow = flow_between(onset_frame, apex_frame, landmarks=landmarks, backend=backend)
    return load_model(model).predict(flow.channels()[None])[0]


def flow_between(
    onset_frame: NDArray[np.uint8],
    apex_frame: NDArray[np.uint8],
    *,
    landmarks: NDArray[np.floating] | None = None,
    backend: LandmarkBackend | None = None,
    config: FlowConfig | None = None,
) -> FlowMap:
    """The onset-to-apex flow map of two frames; arguments and errors as in ``recognize``."""
    onset, apex = to_gray(onset_frame), to_gray(apex_frame)
    if onset.shape != apex.shape:
        raise InputError(
            f"expected frames of one size, got {onset.shape} and {apex.shape}; "
            "take both from the same video"
        )
    if landmarks is None:
        landmarks = locate(onset, backend or DlibLandmarks())
    config = config or FlowConfig()
    transform = canonical_to_image(landmarks)
    layout = face_layout(apply_affine(invert_affine(transform), landmarks), config.resolution)
    to_unit = canvas_to_unit(config.resolution)
    start = compose(transform, to_unit)
    factor = max(1, int(scale_of(start)))
    first, to_reduced = reduce_face(onset, start, layout.size, factor)
    second, _ = reduce_face(apex, start, layout.size, factor)
    if first is None or second is None:
        raise InputError("expected the face inside the frame, got landmarks outside; check them")
    matrix = compose(to_reduced, start)
    template = Template(Template.picture(first, matrix, layout), layout)
    result = template.find(second, matrix, 8, MIN_SIMILARITY)
    if result.similarity < MIN_SIMILARITY:
        raise InputError(
            f"expected the onset's face again in the apex frame, got a match of only "
            f"{result.similarity:.2f}; take frames of one person less than a second apart"
        )
    moved = compose(invert_affine(to_reduced), result.canvas_to_image)
    moved = compose(moved, invert_affine(to_unit))
    faces = [
        face_canvas(picture, matrix_, config.resolution, config.margin)
        for picture, matrix_ in ((onset, transform), (apex, follow(transform, moved)))
    ]
    return flow_map(faces[0], faces[1], scale=float(scale_of(transform)), config=config)
