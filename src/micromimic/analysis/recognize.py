"""Name the movement between two frames, for those who spot by other means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import follow, scale_of
from micromimic.core.errors import ModelError
from micromimic.core.types import Recognition
from micromimic.face.crops import face_crop
from micromimic.face.landmarks import LandmarkBackend
from micromimic.models.action_units import shipped_unit_model
from micromimic.models.onnx import opened_model
from micromimic.motion.apex import to_gray
from micromimic.motion.flow import flow_between, flow_of_spans, places_in_pair

__all__ = ["flow_between", "recognize"]


def recognize(
    onset_frame: NDArray[np.uint8],
    apex_frame: NDArray[np.uint8],
    *,
    landmarks: NDArray[np.floating] | None = None,
    model: str | Path | None = None,
    backend: LandmarkBackend | None = None,
) -> Recognition:
    """What the movement from onset to apex shows.

    Models are opened once a process, so that many pairs can be named in a loop.

    Parameters
    ----------
    onset_frame, apex_frame : ndarray
        Pictures of one size, (H, W) grey or (H, W, 3) RGB, uint8.
    landmarks : ndarray or None, optional
        (68, 2) pixels in the onset frame; found by ``backend`` when None.
    model : str or Path or None, optional
        An ONNX file of a model that looks at flow or at face crops; None is the shipped
        flow-capsnet.
    backend : LandmarkBackend or None, optional
        Landmark library; dlib when None.

    Returns
    -------
    Recognition
        Label, calibrated probabilities, whether it is uncertain, the capsules' votes where the
        model has them, and the action units that the movement looks like.

    Raises
    ------
    InputError
        Pictures of different sizes or kinds, or the same face cannot be followed from one to
        the other.
    NoFaceError
        No face in the onset frame.
    ModelError
        The model file is unusable, or looks at whole clips.

    Examples
    --------
    >>> import micromimic
    >>> micromimic.recognize(onset, apex).label  # doctest: +SKIP
    """
    chosen = opened_model(model)
    if chosen.view == "volume":
        raise ModelError(
            f"expected a model that looks at one or two frames, got {chosen.info.name}, which "
            "needs a whole clip; use analyze, or another model"
        )
    first, second = places_in_pair(onset_frame, apex_frame, landmarks=landmarks, backend=backend)
    shown = [(to_gray(onset_frame), first)], [(to_gray(apex_frame), second)]
    maps = flow_of_spans(*shown, scale=float(scale_of(first))).channels()[None]
    seen = maps if chosen.view == "flow" else face_crop(apex_frame, follow(first, second))[None]
    named = chosen.predict(seen)[0]
    return replace(named, action_units=shipped_unit_model().evidence(maps)[0])
