"""Cuts of the face that models look at, the same in training and in use.

A `FaceFollower` says where the canonical face lies in each frame of a clip; `face_crop` and
`volume_frame` sample it there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import (
    apply_affine,
    canonical_to_image,
    canvas_to_unit,
    compose,
    invert_affine,
    scale_of,
)
from micromimic.core.errors import InputError
from micromimic.face.align import Template, face_layout, reduce_face, warp

Picture = NDArray[np.uint8]

FACE_SIDE: Final = 224  # pixels along a side of a face crop
VOLUME_SHAPE: Final = (170, 140)
"""Height and width in pixels of a volume's frames, as of the databases' own cropped copies."""
FACE_BOX: Final = (-5.0, -3.0, 33.0, 35.0)
"""Left, top, right, bottom of both in canonical units: jaw to jaw, raised brows to dropped chin."""
MIN_SIMILARITY: Final = 0.6
"""Correlation of the rigid parts below which a frame does not show the first one's face."""

_RESOLUTION: Final = 4.0  # canvas pixels a unit at which frames are registered


def face_crop(picture: Picture, transform: NDArray[np.floating]) -> Picture:
    """The face as networks on single pictures see it. ``picture``: (H, W) grey, which becomes three
    equal channels, or (H, W, 3) RGB. Returns (224, 224, 3) uint8 RGB."""
    crop = _sample(picture, transform, (FACE_SIDE, FACE_SIDE))
    return np.repeat(crop[..., None], 3, axis=2) if crop.ndim == 2 else crop


def volume_frame(gray: Picture, transform: NDArray[np.floating]) -> Picture:
    """The face as descriptors of volumes see it, one frame. Returns (170, 140) uint8: the canonical
    square, stretched to about what a face measures."""
    return _sample(gray, transform, VOLUME_SHAPE)


def _sample(picture: Picture, transform: NDArray[np.floating], shape: tuple[int, int]) -> Picture:
    """The face's box at this height and width in pixels; beyond the picture its edge repeats."""
    height, width = shape
    left, top, right, bottom = FACE_BOX
    to_image = np.asarray(transform, np.float64)
    across, down = (right - left) / width, (bottom - top) / height
    # Average before sampling, or most of a large face's pixels would be skipped.
    shrink = max(1, int(scale_of(to_image) * np.sqrt(across * down)))
    x, y = across / shrink, down / shrink
    to_unit = np.array([[x, 0.0, left + 0.5 * x], [0.0, y, top + 0.5 * y]])
    sampled = warp(picture, compose(to_image, to_unit), (width * shrink, height * shrink))
    if shrink > 1:
        sampled = cv2.resize(sampled, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(sampled)


@dataclass(frozen=True)
class Followed:
    transform: NDArray[np.float64]  # (2, 3) canonical units to image pixels
    # correlation of the rigid parts with the first frame's, -1 to 1; below ``MIN_SIMILARITY`` the
    # face was not found, and ``transform`` is the last good one
    similarity: float
    canvas: Picture  # (168, 168) uint8, the stabilised face

    @property
    def found(self) -> bool:
        return self.similarity >= MIN_SIMILARITY


class FaceFollower:
    """Registers the frames of a short clip to its first one, by similarity maps. The template is
    never renewed: this is for clips of one expression, a second or so. ``gray``: (H, W) uint8, the
    first frame; ``transform``: (2, 3) canonical units to image pixels in it; ``landmarks``: (68, 2)
    canonical units."""

    def __init__(
        self, gray: Picture, transform: NDArray[np.float64], landmarks: NDArray[np.floating]
    ) -> None:
        self.layout = face_layout(landmarks, _RESOLUTION)
        self.start = transform
        self._to_unit = canvas_to_unit(_RESOLUTION)
        self._canvas_to_image = compose(transform, self._to_unit)
        self._factor = max(1, int(scale_of(self._canvas_to_image)))
        picture, to_reduced = self._reduced(gray)
        matrix = compose(to_reduced, self._canvas_to_image)
        self._template = Template(Template.picture(picture, matrix, self.layout), self.layout)

    @classmethod
    def from_landmarks(cls, gray: Picture, landmarks: NDArray[np.floating]) -> FaceFollower:
        """Start from (68, 2) landmarks in pixels of the first frame."""
        try:
            transform = canonical_to_image(landmarks)
        except ValueError as error:
            raise InputError(f"{error}; check them") from None
        return cls(gray, transform, apply_affine(invert_affine(transform), landmarks))

    def next(self, gray: Picture, iterations: int = 8) -> Followed:
        """Register the next frame, starting from where the face was last."""
        picture, to_reduced = self._reduced(gray)
        start = compose(to_reduced, self._canvas_to_image)
        result = self._template.find(picture, start, iterations, MIN_SIMILARITY)
        if result.similarity >= MIN_SIMILARITY:
            self._canvas_to_image = compose(invert_affine(to_reduced), result.canvas_to_image)
        transform = compose(self._canvas_to_image, invert_affine(self._to_unit))
        return Followed(transform, result.similarity, result.canvas)

    def _reduced(self, gray: Picture) -> tuple[Picture, NDArray[np.float64]]:
        picture, to_reduced = reduce_face(
            gray, self._canvas_to_image, self.layout.size, self._factor
        )
        if picture is None:
            raise InputError(
                "expected the face inside the frame, got landmarks outside; check them"
            )
        return picture, to_reduced
