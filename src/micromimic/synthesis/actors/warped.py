"""The runtime's photograph as other people: other proportions, skin, light, hair, mirrored or not.

The canonical anchors are carried along exactly, so that a planted field lies where the truth says.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, apply_affine
from micromimic.face.align import fit_affine
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.base import ANCHORS, Array, Picture, in_gray
from micromimic.synthesis.actors.face import SUPERSAMPLING, Face, photograph
from micromimic.synthesis.actors.portrait import Portrait, finish, pose_in_frame, source_grid

# the mouth's centre lies between its corners, as landmarks measure it
_PHOTO_ANCHORS: Final = np.array([(203.75, 101.25), (246.75, 102.75), (224.3, 140.4)])
_LATTICE: Final = 4  # source pixels between the points where the smooth warp is computed
_LIMIT: Final = 1.8  # standard deviations beyond which no proportion goes


class _Trait(NamedTuple):
    """One proportion of a face: where skin is shifted, and how much faces differ."""

    out: float  # centre, outward from the midline and down, canonical units
    y: float
    toward_out: float  # direction
    toward_down: float
    width: float  # reach (standard deviations)
    height: float
    spread: float  # standard deviation among people, canonical units


_TRAITS: Final = (
    _Trait(7.5, 6.6, 1.0, 0.0, 4.0, 3.6, 0.6),  # distance of the eyes
    _Trait(7.5, 6.6, 0.0, 1.0, 5.0, 3.0, 0.5),  # their height
    _Trait(8.0, 1.8, 0.0, 1.0, 5.0, 2.2, 0.5),  # brows
    _Trait(4.0, 2.4, 0.0, 1.0, 2.6, 2.0, 0.35),  # their inner ends
    _Trait(3.0, 15.6, 1.0, 0.0, 2.2, 2.6, 0.45),  # nose wings
    _Trait(0.0, 15.6, 0.0, 1.0, 3.6, 3.2, 0.7),  # length of the nose
    _Trait(5.8, 20.6, 1.0, 0.0, 3.2, 2.6, 0.6),  # width of the mouth
    _Trait(0.0, 20.6, 0.0, 1.0, 7.0, 3.2, 0.6),  # its height
    _Trait(12.0, 22.5, 1.0, 0.0, 4.6, 6.0, 1.1),  # jaw
    _Trait(14.0, 11.0, 1.0, 0.0, 4.6, 6.0, 1.0),  # cheeks
    _Trait(0.0, 29.5, 0.0, 1.0, 7.0, 4.2, 1.3),  # chin
    _Trait(0.0, -5.0, 0.0, 1.0, 9.0, 4.2, 1.0),  # hairline
)


class _Shape:
    """A person's proportions: where in the photograph's face each point comes from."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._sizes = [
            trait.spread * float(np.clip(rng.normal(), -_LIMIT, _LIMIT)) for trait in _TRAITS
        ]
        self._tilts = rng.normal(0.0, 0.12, len(_TRAITS))  # no face is symmetric
        self._eyes = float(rng.uniform(-0.14, 0.14))

    def source(self, points: NDArray[np.floating]) -> Array:
        """(..., 2) canonical points of this face to those of the photographed one."""
        moved = np.array(points, dtype=np.float64)
        x, y = points[..., 0], points[..., 1]
        for trait, size, tilt in zip(_TRAITS, self._sizes, self._tilts, strict=True):
            for side in (1.0, -1.0) if trait.out else (1.0,):
                out = (side * (x - MIDLINE) - trait.out) / trait.width
                weight = np.exp(-0.5 * (out**2 + ((y - trait.y) / trait.height) ** 2))
                amount = size * (1.0 + side * tilt) * weight
                moved[..., 0] += side * trait.toward_out * amount
                moved[..., 1] += trait.toward_down * amount
        for eye in (EYE_RIGHT, EYE_LEFT):
            offset = points - np.array(eye)
            reach = np.exp(-0.5 * ((offset / (3.4, 2.6)) ** 2).sum(-1))
            moved += self._eyes * offset * reach[..., None]
        return moved

    def place(self, points: NDArray[np.floating]) -> Array:
        """The inverse of ``source``: where points of the photographed face went."""
        found = np.array(points, dtype=np.float64)
        for _ in range(60):  # slopes stay below one half: exact long before
            found += points - self.source(found)
        return found


def warped_face(seed: int, portrait: Portrait) -> Face:
    """A person by number, without lids: it cannot blink."""
    rng = np.random.default_rng([seed, 2])
    shape = _Shape(rng)
    mirrored = bool(rng.random() < 0.5)
    photo, to_photo = _oriented_photo(mirrored)
    to_image = pose_in_frame(portrait, rng)
    places = _photo_places(shape, to_photo, to_image, portrait)
    unit = source_grid(to_image, portrait).astype(np.float32)
    picture = cv2.remap(photo, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    picture = _restyle(np.asarray(picture, dtype=np.float32), unit, rng)
    picture = finish(picture, to_image, rng, portrait)
    anchors = apply_affine(to_image, shape.place(ANCHORS))
    return Face(picture, fit_affine(ANCHORS, anchors), anchors)


def _oriented_photo(mirrored: bool) -> tuple[Picture, Array]:
    """(512, 512, 3) grey levels, and the map from canonical units to its pixels."""
    photo, anchors = np.asarray(photograph(), np.float32), _PHOTO_ANCHORS
    if mirrored:
        photo = photo[:, ::-1]
        across, down = anchors[[1, 0, 2]].T
        anchors = np.column_stack([photo.shape[1] - 1 - across, down])
    return np.ascontiguousarray(photo), fit_affine(ANCHORS, anchors)


def _photo_places(shape: _Shape, to_photo: Array, to_image: Array, portrait: Portrait) -> Picture:
    """(2H, 2W, 2) where in the photograph each pixel of the picture comes from."""
    grid = source_grid(to_image, portrait, _LATTICE)
    places = apply_affine(to_photo, shape.source(grid)).astype(np.float32)
    size = (SUPERSAMPLING * portrait.width, SUPERSAMPLING * portrait.height)
    return np.asarray(cv2.resize(places, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _restyle(picture: Picture, unit: Picture, rng: np.random.Generator) -> Picture:
    """Another skin, other hair, another wall behind."""
    x, y = unit[..., 0] - MIDLINE, unit[..., 1]
    head = 1.0 - np.hypot(x / 15.0, (y - 13.0) / 19.0)
    neck = np.minimum(1.0 - np.abs(x) / 12.0, 1.0 - np.abs(y - 32.0) / 8.0)
    face = _soft(np.maximum(head, neck), 0.12)[..., None]
    share = (np.clip(picture, 0, 255) / 255.0).astype(np.float32)
    gray = in_gray(share)
    # skin: darker people keep their highlights; hue wanders between rosy and olive
    skin = np.power(share, np.float32(rng.uniform(0.8, 1.7)))
    warm = rng.normal(0.0, 0.04)
    skin *= np.array([1.0 + warm, 1.0, 1.0 - 1.4 * warm], dtype=np.float32)
    middle = np.float32(skin[head > 0.3].mean())
    skin = rng.uniform(0.36, 0.62) + (skin - middle) * rng.uniform(0.85, 1.1)
    # around it: hair and room lose their colours and take others
    tint = np.float32(rng.uniform(0.5, 1.1)) * (1.0 + rng.normal(0.0, 0.06, 3))
    fade = np.float32(rng.uniform(0.3, 0.9))
    around = (share * (1 - fade) + gray[..., None] * fade) * tint.astype(np.float32)
    return np.asarray(255.0 * (around + (skin - around) * face), dtype=np.float32)


def _soft(value: NDArray[np.floating], edge: float) -> Picture:
    """0 outside, 1 inside, smooth over ``edge``."""
    share = np.clip(value / edge * 0.5 + 0.5, 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), dtype=np.float32)
