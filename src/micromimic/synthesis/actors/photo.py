"""A photograph that is moved: planted fields act on a still face.

Each frame is the source picture sampled once, through the exact inverse of everything that moves:
the expression's displacement in the resting face, the parallax of a turning head, and the head's
rigid motion. What the truth says is therefore what the pixels do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np

from micromimic.core.canonical import (
    MARGIN,
    UNITS,
    apply_affine,
    canvas_to_unit,
    compose,
    invert_affine,
    scale_of,
)
from micromimic.core.errors import InputError
from micromimic.face.landmarks import DlibLandmarks, box_area
from micromimic.face.units import RESOLUTION, UNIT_NAMES, depth_field, unit_fields
from micromimic.synthesis.actors.base import NOSE_DEPTH, Array, Picture, Scene, in_gray
from micromimic.synthesis.actors.face import SUPERSAMPLING, Face, astronaut_face, backdrop
from micromimic.synthesis.schedule import ClipPlan, stream
from micromimic.synthesis.speech import SPEECH_UNITS

_LATTICE: Final = 2
"""Image pixels between the points where displacement is computed: fields are smooth."""
_LATTICE_TO_IMAGE: Final = canvas_to_unit(1.0 / _LATTICE, margin=0.5)
"""(2, 3) from lattice indices to image pixels, as ``cv2.resize`` sees them."""
_ITERATIONS: Final = 5  # undoes a 2 px movement to 0.004 px
_ITERATIONS_AT_REST: Final = 2  # enough for the gentle slopes of parallax
_LID_PX: Final = 1.5  # how far the skin around the lids moves in a blink, at face_px 450
_FIELD_BLUR: Final = 0.35  # canonical units; rounds the canvas's samples
_LONG_SIDES: Final = (640, 320, 1280)


@dataclass(frozen=True)
class PhotoActor:
    """A pictured person."""

    face: Face  # as large as the clip's frames, grey or RGB as the clip is
    units: Picture  # (n_units, 2, 84, 84) how the action units move it, order ``UNIT_NAMES``

    def scene(self, plan: ClipPlan) -> PhotoScene:
        return PhotoScene(plan, self.face, self.units)


def astronaut(plan: ClipPlan) -> PhotoActor:
    """The runtime's face, placed as a plan has it; the plan's seed decides how it moves."""
    config = plan.config
    face = astronaut_face(
        config.face_px,
        config.width,
        config.height,
        colour=config.colour,
        centre_x=config.face_x,
        second_face=config.second_face,
    )
    return PhotoActor(face, unit_fields(stream(plan.seed, "identity")))


class PhotoScene(Scene):
    """A plan and a face made ready: each movement's field on the lattice."""

    def __init__(self, plan: ClipPlan, face: Face, units: Picture) -> None:
        config = plan.config
        self.face = face
        self._shape = (-(-config.height // _LATTICE), -(-config.width // _LATTICE))
        y, x = np.mgrid[0 : self._shape[0], 0 : self._shape[1]].astype(np.float64)
        points = apply_affine(_LATTICE_TO_IMAGE, np.stack([x, y], axis=-1))
        self._points = points.astype(np.float32)
        recipes = [move.recipe.weights for move in plan.movements]
        whole = [self._field(weights, units) for weights in recipes]
        scales = [m.peak_px / _largest(f) for m, f in zip(plan.movements, whole, strict=True)]
        self._fields = [f * np.float32(scale) for f, scale in zip(whole, scales, strict=True)]
        pixels = scale_of(face.to_image)
        peaks = [w * np.float32(scale * pixels) for w, scale in zip(recipes, scales, strict=True)]
        super().__init__(plan, apply_affine(face.to_image, np.full(2, UNITS / 2)), peaks)
        lids = np.array([name in ("45L", "45R") for name in UNIT_NAMES], dtype=np.float32)
        self._lids = _scaled(self._field(lids, units), _LID_PX * config.face_px / 450.0)
        self._speech = self._speech_fields(units) if plan.speech else {}
        self._parallax = self._parallax_field(points)
        self._wall = backdrop(face) if config.absent else None

    def _from_canvas(self, canvas: Picture) -> Picture:
        """(h, w) one channel of a canvas, sampled on the lattice."""
        to_canvas = invert_affine(canvas_to_unit(RESOLUTION))
        matrix = compose(to_canvas, compose(invert_affine(self.face.to_image), _LATTICE_TO_IMAGE))
        linear, replicate = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE
        size = self._shape[::-1]
        sampled = cv2.warpAffine(canvas, matrix, size, flags=linear, borderMode=replicate)
        blur = _FIELD_BLUR * float(scale_of(self.face.to_image))
        return np.asarray(cv2.GaussianBlur(sampled, (0, 0), blur / _LATTICE), dtype=np.float32)

    def _field(self, weights: Picture, units: Picture) -> Picture:
        """(h, w, 2) displacement in image pixels, not yet scaled to a peak."""
        canvas = np.tensordot(weights, units, axes=1).astype(np.float32)
        in_units = np.stack([self._from_canvas(channel) for channel in canvas], axis=-1)
        return np.asarray(in_units @ self.face.to_image[:, :2].T, dtype=np.float32)

    def _speech_fields(self, units: Picture) -> dict[int, Picture]:
        """Each action unit that speech moves, by its number: (h, w, 2) at a peak of one pixel."""
        numbers = [i for i, name in enumerate(UNIT_NAMES) if name.rstrip("LR") in SPEECH_UNITS]
        only = np.eye(len(UNIT_NAMES), dtype=np.float32)
        return {i: _scaled(self._field(only[i], units), 1.0) for i in numbers}

    def _parallax_field(self, points: Array) -> Picture:
        """(h, w, 2) displacement for one pixel of yaw; fades out around the head."""
        relief = self._from_canvas(depth_field()) / NOSE_DEPTH
        # the lattice's map stands here once too often, so the window is narrower than the head:
        # every clip that was ever measured has it so
        matrix = compose(invert_affine(self.face.to_image), _LATTICE_TO_IMAGE)
        unit = apply_affine(matrix, points) - UNITS / 2
        reach = UNITS / 2 + 0.35 * MARGIN
        window = np.exp(-0.5 * ((unit[..., 0] / reach) ** 4 + (unit[..., 1] / reach) ** 4))
        field = np.zeros((*self._shape, 2), np.float32)
        field[..., 0] = relief * window
        return field

    def displacement(self, time: float) -> tuple[Picture, int]:
        """(h, w, 2) image pixels that each point of the resting face has moved, and the iterations
        that its inverse needs."""
        total = self._parallax * np.float32(self.pose.yaw(time))
        total[..., 1] += self._parallax[..., 0] * np.float32(self.pose.pitch(time))
        iterations = _ITERATIONS_AT_REST
        shares = [move.envelope(time) for move in self.plan.movements]
        parts = list(zip(self._fields, shares, strict=True))
        parts.append((self._lids, self.plan.closure(time)))
        spoken = self.plan.speech_weights(time)
        parts += [(field, float(spoken[i])) for i, field in self._speech.items()]
        for field, share in parts:
            if share > 0.0:
                total += field * np.float32(share)
                iterations = _ITERATIONS
        return total, iterations

    def picture(self, time: float) -> Picture:
        rest = np.asarray(cv2.transform(self._points, invert_affine(self.pose.matrix(time))))
        rest = undo_displacement(rest, *self.displacement(time))
        # source pixel s lies at image coordinate (s + 0.5) / SUPERSAMPLING - 0.5
        places = rest * np.float32(SUPERSAMPLING) + np.float32(0.5 * (SUPERSAMPLING - 1))
        full = cv2.resize(places, None, fx=_LATTICE, fy=_LATTICE, interpolation=cv2.INTER_LINEAR)
        config = self.plan.config
        places = np.ascontiguousarray(full[: config.height, : config.width], dtype=np.float32)
        source = self.face.blink(self.plan.closure(time))
        if self._wall is not None and self.plan.is_absent(time):
            source = self._wall
        return _sample(source, places, cv2.BORDER_REFLECT)

    def _field_at_apex(self, movement: int) -> Picture:
        return self._fields[movement]

    def landmarks(self, time: float) -> Array:
        """(68, 2) a landmark model's points of the resting picture, moved as the pixels are."""
        points = self.face.lowered(self._resting_landmarks, self.plan.closure(time))
        places = ((points - 0.5) / 2.0).astype(np.float32)[None]
        shift = cv2.remap(self.displacement(time)[0], places, None, cv2.INTER_LINEAR)[0]
        return apply_affine(self.pose.matrix(time), points + shift)

    @cached_property
    def _resting_landmarks(self) -> Array:
        """(68, 2) of the picture that is moved."""
        picture = self.face.picture
        gray = picture if picture.ndim == 2 else in_gray(picture)
        size = (gray.shape[1] // SUPERSAMPLING, gray.shape[0] // SUPERSAMPLING)
        small = np.clip(np.rint(cv2.resize(gray, size, interpolation=cv2.INTER_AREA)), 0, 255)
        still, backend = small.astype(np.uint8), DlibLandmarks()
        for long_side in _LONG_SIDES:
            boxes = backend.detect(still, long_side)
            if boxes:
                return np.asarray(backend.landmarks(still, max(boxes, key=box_area)))
        raise InputError(
            "expected a face in the resting picture, got none; make the face larger (face_px)"
        )

    def face_pose(self, time: float) -> Array:
        return compose(self.pose.matrix(time), self.face.to_image)


def _scaled(field: Picture, peak_px: float) -> Picture:
    return field * np.float32(peak_px / _largest(field))


def _largest(field: Picture) -> float:
    """Pixels of the largest displacement."""
    return float(np.hypot(field[..., 0], field[..., 1]).max())


def undo_displacement(points: Picture, displacement: Picture, iterations: int) -> Picture:
    """Solve ``rest + displacement(rest) = points`` by fixed-point iteration."""
    rest = points
    for _ in range(iterations):
        places = (rest - np.float32(0.5)) * np.float32(1.0 / _LATTICE)
        rest = points - _sample(displacement, places, cv2.BORDER_CONSTANT)
    return rest


def _sample(image: Picture, places: Picture, border: int) -> Picture:
    sampled = cv2.remap(image, places, None, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(sampled, dtype=np.float32)
