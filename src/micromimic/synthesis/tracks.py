"""The full truth of a clip: where everything is in each frame, for photographed and rendered faces.

``truth.json`` says what was planted and when; the arrays here say where each landmark lies, how the
head is posed, how far each action unit has moved, and what each micro-expression does to the face
at its apex.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import anchor_points, apply_affine, compose
from micromimic.core.errors import InputError
from micromimic.face.align import fit_affine
from micromimic.face.landmarks import DlibLandmarks, LandmarkBackend, box_area
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.actors.head.landmarks import head_landmarks
from micromimic.synthesis.actors.head.moving import Head, HeadScene
from micromimic.synthesis.actors.photo import SUPERSAMPLING
from micromimic.synthesis.clips import Actor, Scene
from micromimic.synthesis.databases.identities import ANCHORS
from micromimic.synthesis.schedule import ClipPlan

Array = NDArray[np.float64]

_LONG_SIDES: Final = (640, 320, 1280)


@dataclass(frozen=True)
class Tracks:
    """One clip's arrays; pixels are the video's, frames without the person are NaN.

    Args:
        landmarks: (frames, 68, 2) the iBUG/300-W points, px.
        poses: (frames, 2, 3) canonical units to px, for the face without its expression.
        closure: (frames,) how closed the lids are, 0 to 1.
        units: (frames, n_units) largest displacement of each of ``UNIT_NAMES`` by expressions and
            speech (lids: ``closure``), px.
        flows: (events, h, w, 2) what each micro-expression does to the resting face at its apex,
            px, on every second pixel: entry (i, j) belongs to the point (2 j + 0.5, 2 i + 0.5).
    """

    landmarks: NDArray[np.float32]
    poses: NDArray[np.float64]
    closure: NDArray[np.float32]
    units: NDArray[np.float32]
    flows: NDArray[np.float32]

    def __post_init__(self) -> None:
        frames = len(self.poses)
        shapes = {
            "landmarks": (frames, 68, 2),
            "poses": (frames, 2, 3),
            "closure": (frames,),
            "units": (frames, len(UNIT_NAMES)),
        }
        for name, shape in shapes.items():
            got = getattr(self, name).shape
            if got != shape:
                raise ValueError(f"{name} must be {shape}, got {got}")
        if self.flows.ndim != 4 or self.flows.shape[3] != 2:
            raise ValueError(f"flows must be (events, h, w, 2), got {self.flows.shape}")

    def save(self, path: Path) -> None:
        """Write a NumPy archive, with the units' names beside the arrays.

        Raises:
            OSError: if it cannot be written.
        """
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        with path.open("wb") as file:
            np.savez_compressed(file, names=np.array(UNIT_NAMES), **arrays)


def load_tracks(path: Path) -> Tracks:
    """Read what `Tracks.save` wrote.

    Raises:
        InputError: if the file is missing or holds something else.
    """
    try:
        with np.load(path) as data:
            names = tuple(data["names"].tolist())
            tracks = Tracks(**{field.name: data[field.name] for field in fields(Tracks)})
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"expected the arrays of a synthetic clip, got {path} ({error}); write it again"
        ) from None
    if names != UNIT_NAMES:
        raise InputError(
            f"expected action units {', '.join(UNIT_NAMES)} in {path}, got {', '.join(names)}; "
            "write it again"
        )
    return tracks


def photo_tracks(
    plan: ClipPlan, *, actor: Actor | None = None, backend: LandmarkBackend | None = None
) -> Tracks:
    """The arrays of a clip of `clips.render`.

    The landmarks of the resting picture are a landmark model's; from there on they move exactly as
    the pixels do.

    Args:
        plan: the clip.
        actor: who plays it; None is the runtime's face.
        backend: finds the resting face's landmarks; dlib when None.

    Raises:
        InputError: if no face is found in the resting picture.
    """
    scene = Scene(plan, actor)
    rest = _resting_landmarks(scene, backend or DlibLandmarks())
    landmarks, poses = [], []
    times = _times(plan)
    for time in times:
        points = scene.face.lowered(rest, scene.closure(time))
        shift, _ = scene.displacement(time)
        places = ((points - 0.5) / 2.0).astype(np.float32)[None]
        points = points + cv2.remap(shift, places, None, cv2.INTER_LINEAR)[0]
        pose = scene.pose.matrix(time)
        landmarks.append(apply_affine(pose, points))
        poses.append(compose(pose, scene.face.to_image))
    return _gather(
        plan,
        landmarks,
        poses,
        [scene.closure(time) for time in times],
        [scene.units_px(time) for time in times],
        [scene.fields[number] for number in _micro(plan)],
    )


def head_tracks(plan: ClipPlan, head: Head) -> Tracks:
    """The arrays of a clip of `rendered.render_head`.

    Args:
        plan: the clip.
        head: who plays it.

    Raises:
        InputError: if head and plan do not go together.
    """
    scene = HeadScene(plan, head)
    marks = head_landmarks()
    rest = marks.of(head.person.rest)
    landmarks, poses = [], []
    times = _times(plan)
    for time in times:
        moved = marks.of(head.person.moved(scene.weights(time)))
        landmarks.append(scene.points(moved, time).image)
        poses.append(fit_affine(ANCHORS, anchor_points(scene.points(rest, time).image)))
    return _gather(
        plan,
        landmarks,
        poses,
        [scene.closure(time) for time in times],
        [scene.units_px(time) for time in times],
        [scene.field(number) for number in _micro(plan)],
    )


def _gather(
    plan: ClipPlan,
    landmarks: list[Array],
    poses: list[Array],
    closure: list[float],
    units: list[NDArray[np.float32]],
    flows: list[NDArray[np.float32]],
) -> Tracks:
    config = plan.config
    points, maps = np.array(landmarks, dtype=np.float32), np.array(poses)
    for number, time in enumerate(_times(plan)):
        if any(a <= time < b for a, b in config.absent):
            points[number], maps[number] = np.nan, np.nan
    shape = (0, -(-config.height // 2), -(-config.width // 2), 2)
    return Tracks(
        points,
        maps,
        np.array(closure, dtype=np.float32),
        np.array(units, dtype=np.float32),
        np.stack(flows) if flows else np.zeros(shape, np.float32),
    )


def _times(plan: ClipPlan) -> list[float]:
    return [number / plan.config.fps for number in range(plan.config.frames)]


def _micro(plan: ClipPlan) -> list[int]:
    """Numbers of the micro-expressions among the movements."""
    return [number for number, move in enumerate(plan.movements) if move.kind == "micro"]


def _resting_landmarks(scene: Scene, backend: LandmarkBackend) -> Array:
    """(68, 2) of the picture that is moved."""
    picture = scene.face.picture
    gray = picture if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114], np.float32)
    size = (gray.shape[1] // SUPERSAMPLING, gray.shape[0] // SUPERSAMPLING)
    small = np.clip(np.rint(cv2.resize(gray, size, interpolation=cv2.INTER_AREA)), 0, 255)
    still = small.astype(np.uint8)
    for long_side in _LONG_SIDES:
        boxes = backend.detect(still, long_side)
        if boxes:
            return np.asarray(backend.landmarks(still, max(boxes, key=box_area)))
    raise InputError(
        "expected a face in the resting picture, got none; make the face larger (face_px)"
    )
