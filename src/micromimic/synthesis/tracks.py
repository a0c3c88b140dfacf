"""The full truth of a clip: where everything is in each frame.

``truth.json`` says what was planted and when; the arrays here say where each landmark lies, how the
head is posed, how far each action unit has moved, and what each micro-expression does to the face
at its apex.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.actors.base import Scene


@dataclass(frozen=True)
class Tracks:
    """One clip's arrays; pixels are the video's, frames without the person are NaN."""

    landmarks: NDArray[np.float32]  # (frames, 68, 2) the iBUG/300-W points, px
    # (frames, 2, 3) canonical units to px, for the face without its expression
    poses: NDArray[np.float64]
    closure: NDArray[np.float32]  # (frames,) how closed the lids are, 0 to 1
    # (frames, n_units) largest displacement of each of ``UNIT_NAMES`` by expressions and speech
    # (lids: ``closure``), px
    units: NDArray[np.float32]
    flows: NDArray[np.float32]  # (events, h, w, 2) of each micro-expression, as of `Scene.field`

    def save(self, path: Path) -> None:
        """Write a NumPy archive, with the units' names beside the arrays."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with path.open("wb") as file:
            np.savez_compressed(file, names=np.array(UNIT_NAMES), **arrays)


def tracks_of(scene: Scene) -> Tracks:
    """The arrays of a clip."""
    plan = scene.plan
    times = plan.times
    landmarks = np.array([scene.landmarks(time) for time in times], dtype=np.float32)
    poses = np.array([scene.face_pose(time) for time in times])
    for number, time in enumerate(times):
        if plan.is_absent(time):
            landmarks[number], poses[number] = np.nan, np.nan
    flows = [scene.field(event) for event in range(len(plan.micro))]
    shape = (0, -(-plan.config.height // 2), -(-plan.config.width // 2), 2)
    return Tracks(
        landmarks,
        poses,
        np.array([plan.closure(time) for time in times], dtype=np.float32),
        np.array([scene.units_px(time) for time in times], dtype=np.float32),
        np.stack(flows) if flows else np.zeros(shape, np.float32),
    )
