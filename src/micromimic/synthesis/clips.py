"""Videos with known truth: a still face is moved by planted fields under realistic disturbances.

Each frame is the source picture sampled once, through the exact inverse of everything that moves:
the expression's displacement in the resting face, the parallax of a turning head, and the head's
rigid motion. What the truth says is therefore what the pixels do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import (
    MARGIN,
    UNITS,
    apply_affine,
    canvas_to_unit,
    compose,
    invert_affine,
    scale_of,
)
from micromimic.core.progress import Progress
from micromimic.face.units import RESOLUTION, UNIT_NAMES, depth_field, unit_fields
from micromimic.media.video import VideoWriter
from micromimic.synthesis.actors.photo import SUPERSAMPLING, Face, astronaut_face, backdrop
from micromimic.synthesis.nuisance import Pose, Sensor
from micromimic.synthesis.schedule import ClipConfig, ClipPlan, plan_clip, stream
from micromimic.synthesis.speech import SPEECH_UNITS
from micromimic.synthesis.truth import ClipTruth, truth_of

__all__ = [
    "Actor",
    "ClipConfig",
    "ClipPlan",
    "plan_clip",
    "planted_field",
    "planted_poses",
    "render",
    "write_clip",
]

_LATTICE: Final = 2
"""Image pixels between the points where displacement is computed: fields are smooth."""
_ITERATIONS: Final = 5  # undoes a 2 px movement to 0.004 px
_ITERATIONS_AT_REST: Final = 2  # enough for the gentle slopes of parallax
_LID_PX: Final = 1.5  # how far the skin around the lids moves in a blink, at face_px 450
_FIELD_BLUR: Final = 0.35  # canonical units; rounds the canvas's samples
_NOSE_DEPTH: Final = 8.0  # canonical units of relief that ``yaw_px`` is given for

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Actor:
    """Another person than the runtime's face, for a clip of the same size.

    Args:
        face: as large as the clip's frames, grey or RGB as the clip is.
        units: (n_units, 2, 84, 84) how the action units move it, order ``UNIT_NAMES``.
    """

    face: Face
    units: NDArray[np.float32]


class Scene:
    """A plan made ready: the face, and each movement's field on the lattice.

    Args:
        plan: the clip.
        actor: who plays it; None is the runtime's face.
    """

    def __init__(self, plan: ClipPlan, actor: Actor | None = None) -> None:
        config = plan.config
        self.plan = plan
        self.face = (
            actor.face
            if actor
            else astronaut_face(
                config.face_px,
                config.width,
                config.height,
                colour=config.colour,
                centre=(config.face_x, 0.53125),
                second_face=config.second_face,
            )
        )
        self.shape = (-(-config.height // _LATTICE), -(-config.width // _LATTICE))
        units = actor.units if actor else unit_fields(stream(plan.seed, "identity"))
        whole = [self._field(move.recipe.weights, units) for move in plan.movements]
        scales = [
            move.peak_px / _largest(field)
            for move, field in zip(plan.movements, whole, strict=True)
        ]
        self.fields = [
            field * np.float32(scale) for field, scale in zip(whole, scales, strict=True)
        ]
        self._peaks = [
            move.recipe.weights * np.float32(scale * scale_of(self.face.to_image))
            for move, scale in zip(plan.movements, scales, strict=True)
        ]
        lids = np.array([name in ("45L", "45R") for name in UNIT_NAMES], dtype=np.float32)
        self.lids = _peak(self._field(lids, units), _LID_PX * config.face_px / 450.0)
        self.speech = self._speech(units) if plan.speech else {}
        self.parallax = self._parallax()
        self.wall = backdrop(self.face) if config.absent else None
        middle = np.array([UNITS / 2, UNITS / 2])
        self.pose = Pose(plan, apply_affine(self.face.to_image, middle))

    def _from_canvas(self, canvas: Field) -> Field:
        """(h, w) one channel of a canvas, sampled on the lattice."""
        to_canvas = invert_affine(canvas_to_unit(RESOLUTION))
        matrix = compose(to_canvas, compose(invert_affine(self.face.to_image), _lattice_to_image()))
        sampled = cv2.warpAffine(
            canvas,
            matrix,
            self.shape[::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        blur = _FIELD_BLUR * float(scale_of(self.face.to_image))
        return np.asarray(cv2.GaussianBlur(sampled, (0, 0), blur / _LATTICE), dtype=np.float32)

    def _field(self, weights: NDArray[np.float32], units: NDArray[np.float32]) -> Field:
        """(h, w, 2) displacement in image pixels, not yet scaled to a peak."""
        canvas = np.tensordot(weights, units, axes=1).astype(np.float32)
        in_units = np.stack([self._from_canvas(channel) for channel in canvas], axis=-1)
        return np.asarray(in_units @ self.face.to_image[:, :2].T, dtype=np.float32)

    def _speech(self, units: NDArray[np.float32]) -> dict[int, Field]:
        """Each action unit that speech moves, by its number: (h, w, 2) at a peak of one pixel."""
        numbers = [i for i, name in enumerate(UNIT_NAMES) if name.rstrip("LR") in SPEECH_UNITS]
        only = np.eye(len(UNIT_NAMES), dtype=np.float32)
        return {i: _peak(self._field(only[i], units), 1.0) for i in numbers}

    def _parallax(self) -> Field:
        """(h, w, 2) displacement for one pixel of yaw; fades out around the head."""
        relief = self._from_canvas(depth_field()) / _NOSE_DEPTH
        matrix = compose(invert_affine(self.face.to_image), _lattice_to_image())
        unit = apply_affine(matrix, _lattice_points(self.shape)) - UNITS / 2
        reach = UNITS / 2 + 0.35 * MARGIN
        window = np.exp(-0.5 * ((unit[..., 0] / reach) ** 4 + (unit[..., 1] / reach) ** 4))
        field = np.zeros((*self.shape, 2), np.float32)
        field[..., 0] = relief * window
        return field

    def displacement(self, time: float) -> tuple[Field, int]:
        """How far each point of the resting face has moved, and how hard that is to undo.

        Returns:
            (h, w, 2) image pixels, and the iterations that its inverse needs.
        """
        total = self.parallax * np.float32(self.pose.yaw(time))
        total[..., 1] += self.parallax[..., 0] * np.float32(self.pose.pitch(time))
        iterations = _ITERATIONS_AT_REST
        parts = [
            (field, move.envelope(time))
            for move, field in zip(self.plan.movements, self.fields, strict=True)
        ]
        parts.append((self.lids, self.closure(time)))
        spoken = self.plan.speech_weights(time)
        parts += [(field, float(spoken[i])) for i, field in self.speech.items()]
        for field, share in parts:
            if share > 0.0:
                total += field * np.float32(share)
                iterations = _ITERATIONS
        return total, iterations

    def closure(self, time: float) -> float:
        """How closed the lids are, 0 to 1."""
        return self.plan.closure(time)

    def units_px(self, time: float) -> NDArray[np.float32]:
        """(n_units,) largest displacement of each action unit at a time, blinks aside, px."""
        parts = [
            peak * np.float32(move.envelope(time))
            for move, peak in zip(self.plan.movements, self._peaks, strict=True)
        ]
        return np.asarray(sum(parts, self.plan.speech_weights(time)), dtype=np.float32)

    def source(self, time: float) -> NDArray[np.float32]:
        """The picture that is moved at this time."""
        if self.wall is not None and any(a <= time < b for a, b in self.plan.config.absent):
            return self.wall
        return self.face.blink(self.closure(time))


def planted_field(plan: ClipPlan, event: int, *, actor: Actor | None = None) -> Field:
    """What one micro-expression does to the resting face at its apex.

    Args:
        plan: the clip.
        event: number among ``plan.micro``.
        actor: who plays it; None is the runtime's face.

    Returns:
        (h, w, 2) displacement, image pixels, u right and v down, on a lattice of every second
        pixel: entry (i, j) belongs to image point (2 j + 0.5, 2 i + 0.5).
    """
    numbers = [i for i, move in enumerate(plan.movements) if move.kind == "micro"]
    return Scene(plan, actor).fields[numbers[event]]


def planted_poses(plan: ClipPlan, *, actor: Actor | None = None) -> NDArray[np.float64]:
    """Where the canonical face lies in every frame: the tracker's right answer.

    Args:
        plan: the clip.
        actor: who plays it; None is the runtime's face.

    Returns:
        (frames, 2, 3) maps from canonical units to image pixels.
    """
    scene = Scene(plan, actor)
    times = np.arange(plan.config.frames) / plan.config.fps
    return np.stack([compose(scene.pose.matrix(time), scene.face.to_image) for time in times])


def render(
    plan: ClipPlan, *, actor: Actor | None = None, frames: range | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip: (H, W) grey or (H, W, 3) RGB, uint8, one at a time.

    The same plan gives the same bytes on one machine.

    Args:
        plan: the clip.
        actor: who plays it; None is the runtime's face.
        frames: which of the clip's frames; None is all.
    """
    scene = Scene(plan, actor)
    sensor = Sensor(plan)
    config = plan.config
    points = _lattice_points(scene.shape).astype(np.float32)
    for number in range(config.frames) if frames is None else frames:
        time = number / config.fps
        rest = _undo_pose(points, scene.pose.matrix(time))
        rest = _undo_displacement(rest, *scene.displacement(time))
        # source pixel s lies at image coordinate (s + 0.5) / SUPERSAMPLING - 0.5
        places = rest * np.float32(SUPERSAMPLING) + np.float32(0.5 * (SUPERSAMPLING - 1))
        full = cv2.resize(places, None, fx=_LATTICE, fy=_LATTICE, interpolation=cv2.INTER_LINEAR)
        places = np.asarray(full[: config.height, : config.width], dtype=np.float32)
        picture = _sample(scene.source(time), places, cv2.BORDER_REFLECT)
        yield sensor.expose(picture, time)


def write_clip(
    path: str | Path,
    config: ClipConfig,
    seed: int,
    *,
    crf: int | None = None,
    preset: str = "ultrafast",
    progress: Progress | None = None,
) -> ClipTruth:
    """Plan, render and write one clip.

    Args:
        path: the video (``.mp4`` or ``.mkv``); its folder must exist. Nothing is left there after
            an error.
        config: the settings.
        seed: the same seed gives the same clip.
        crf: x264's quality, for a smaller file; None keeps every bit.
        preset: x264's, beside ``crf``; ``ultrafast`` leaves block edges, ``superfast`` does not.
        progress: called with (frames done, frames, "render").

    Returns:
        The truth; its path is the video's name.

    Raises:
        OutputError: if the file cannot be written.
    """
    plan = plan_clip(config, seed)
    write_frames(Path(path), plan, render(plan), crf=crf, preset=preset, progress=progress)
    return truth_of(plan, Path(path).name)


def write_frames(
    path: Path,
    plan: ClipPlan,
    frames: Iterable[NDArray[np.uint8]],
    *,
    crf: int | None = None,
    preset: str = "ultrafast",
    progress: Progress | None = None,
) -> None:
    """Write the frames of a plan, all or none.

    Args:
        path: the video (``.mp4`` or ``.mkv``).
        plan: the clip.
        frames: as its config says: grey or RGB.
        crf: x264's quality, for a smaller file; None keeps every bit.
        preset: x264's, beside ``crf``.
        progress: called with (frames done, frames, "render").

    Raises:
        OutputError: if the file cannot be written.
    """
    config = plan.config
    with VideoWriter(
        path,
        config.fps,
        config.width,
        config.height,
        lossless=crf is None,
        crf=crf or 0,
        preset=preset,
    ) as writer:
        for done, frame in enumerate(frames, start=1):
            writer.write(frame)
            if progress is not None and (done % 50 == 0 or done == config.frames):
                progress(done, config.frames, "render")


def _peak(field: Field, peak_px: float) -> Field:
    """The field scaled so that its largest displacement is ``peak_px``."""
    return field * np.float32(peak_px / _largest(field))


def _largest(field: Field) -> float:
    """Pixels of the largest displacement."""
    return float(np.hypot(field[..., 0], field[..., 1]).max())


def _lattice_to_image() -> NDArray[np.float64]:
    """(2, 3) from lattice indices to image pixels, as ``cv2.resize`` sees them."""
    return canvas_to_unit(1.0 / _LATTICE, margin=0.5)


def _lattice_points(shape: tuple[int, int]) -> NDArray[np.float64]:
    """(h, w, 2) image coordinates of the lattice."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float64)
    return apply_affine(_lattice_to_image(), np.stack([x, y], axis=-1))


def _undo_pose(points: Field, matrix: NDArray[np.float64]) -> Field:
    """Where in the resting face each image point comes from."""
    return np.asarray(cv2.transform(points, invert_affine(matrix)), dtype=np.float32)


def _undo_displacement(points: Field, displacement: Field, iterations: int) -> Field:
    """Solve ``rest + displacement(rest) = points`` by fixed-point iteration."""
    rest = points
    for _ in range(iterations):
        places = (rest - np.float32(0.5)) * np.float32(1.0 / _LATTICE)
        rest = points - _sample(displacement, places, cv2.BORDER_CONSTANT)
    return rest


def _sample(image: Field, places: Field, border: int) -> Field:
    """Bilinear samples of an image at (h, w, 2) pixel coordinates."""
    sampled = cv2.remap(image, places, None, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(sampled, dtype=np.float32)
