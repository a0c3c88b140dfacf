"""People for the synthetic databases: many distinct faces with exactly known places.

``warped`` faces are made of the runtime's public-domain photograph (`actors.photo`): smooth
changes of its proportions, another skin, light and hair, mirrored or not. ``mesh`` faces are
rendered by `still_faces` and need the ``faces3d`` extra. Either way the canonical anchors
are carried along exactly, so that a planted field lies where the truth says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import (
    EYE_LEFT,
    EYE_RIGHT,
    MOUTH,
    UNITS,
    apply_affine,
    compose,
    invert_affine,
    scale_of,
)
from micromimic.face.align import fit_affine
from micromimic.face.units import MIDLINE, unit_fields
from micromimic.synthesis.actors.photo import SUPERSAMPLING, Face
from micromimic.synthesis.anny_units import load_anny_units
from micromimic.synthesis.clips import Actor

FaceKind = Literal["mesh", "warped"]
Picture = NDArray[np.float32]

GRAY_WEIGHTS: Final = (0.299, 0.587, 0.114)
ANCHORS: Final = np.array([EYE_RIGHT, EYE_LEFT, MOUTH])
# the mouth's centre lies between its corners, as landmarks measure it
_PHOTO_ANCHORS: Final = np.array([(203.75, 101.25), (246.75, 102.75), (224.3, 140.4)])
_LATTICE: Final = 4  # source pixels between the points where the smooth warp is computed
_GRAIN_SD: Final = 1.1  # grey levels of fine skin texture
_GRAIN: Final = 0.8  # its size, image pixels
_LIMIT: Final = 1.8  # standard deviations beyond which no proportion goes


@dataclass(frozen=True)
class Portrait:
    """How a person is filmed.

    Args:
        width, height: of the frame, pixels.
        unit_px: image pixels a canonical unit of a head of mean size.
        colour: RGB instead of grey.
    """

    width: int = 320
    height: int = 240
    unit_px: float = 4.4
    colour: bool = True

    def __post_init__(self) -> None:
        if self.width < 64 or self.height < 64 or self.unit_px <= 0:
            raise ValueError(
                f"expected a frame of at least 64 x 64 and a scale above 0, got {self.width} x "
                f"{self.height} at {self.unit_px}"
            )


class _Trait(NamedTuple):
    """One proportion of a face: where skin is shifted, and how much faces differ.

    Args:
        out, y: centre, outward from the midline and down, canonical units.
        toward_out, toward_down: direction.
        width, height: reach (standard deviations).
        spread: standard deviation among people, canonical units.
    """

    out: float
    y: float
    toward_out: float
    toward_down: float
    width: float
    height: float
    spread: float


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

    def source(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
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

    def place(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """The inverse of ``source``: where points of the photographed face went."""
        found = np.array(points, dtype=np.float64)
        for _ in range(60):  # slopes stay below one half: exact long before
            found += points - self.source(found)
        return found


def make_actor(kind: FaceKind, seed: int, portrait: Portrait) -> Actor:
    """A person: a face and how its action units move it.

    Args:
        kind: ``mesh`` needs the ``faces3d`` extra.
        seed: who; the same seed gives the same person on one machine.
        portrait: how the person is filmed.

    Raises:
        MissingExtraError: for ``mesh`` without that extra.

    >>> actor = make_actor("warped", 3, Portrait(unit_px=4.0))
    >>> actor.face.picture.shape, actor.units.shape[1:]
    ((480, 640, 3), (2, 84, 84))
    """
    rng = np.random.default_rng([seed, 1])
    if kind == "mesh":
        from micromimic.synthesis.actors.head.still_faces import mesh_face  # noqa: PLC0415 - optional

        face = mesh_face(seed, portrait)
    else:
        face = warped_face(seed, portrait)
    if rng.random() < 0.5:
        return Actor(face, unit_fields(rng))
    fields, _ = load_anny_units()
    return Actor(face, fields[int(rng.integers(len(fields)))])


def warped_face(seed: int, portrait: Portrait) -> Face:
    """The runtime's photograph as another person.

    Args:
        seed: who.
        portrait: how the person is filmed.

    Returns:
        A face without lids (it cannot blink) of the portrait's size.

    >>> face = warped_face(1, Portrait(colour=False))
    >>> face.picture.shape
    (480, 640)
    >>> bool(np.allclose(apply_affine(face.to_image, ANCHORS), face.anchors))
    True
    """
    rng = np.random.default_rng([seed, 2])
    shape = _Shape(rng)
    mirrored = bool(rng.random() < 0.5)
    photo, to_photo = _photograph(mirrored)
    to_image = pose_in_frame(portrait, rng)
    places = _photo_places(shape, to_photo, to_image, portrait)
    unit = source_units(to_image, portrait)
    picture = cv2.remap(photo, places, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    picture = _restyle(np.asarray(picture, dtype=np.float32), unit, rng)
    picture = finish(picture, to_image, rng, portrait)
    anchors = apply_affine(to_image, shape.place(ANCHORS))
    through = fit_affine(ANCHORS, anchors)
    return Face(picture, through, anchors, portrait.unit_px, ())


def pose_in_frame(portrait: Portrait, rng: np.random.Generator) -> NDArray[np.float64]:
    """(2, 3) canonical units to image pixels: where this person sits, and how near."""
    scale = portrait.unit_px * rng.uniform(0.95, 1.05)
    roll = np.deg2rad(np.clip(rng.normal(0.0, 1.5), -3.0, 3.0))
    tall = rng.uniform(0.96, 1.06)
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    linear = np.array([[cos, -sin * tall], [sin, cos * tall]])
    middle = np.array([0.5 * portrait.width, 0.52 * portrait.height]) + rng.uniform(-5.0, 5.0, 2)
    centre = np.array([UNITS / 2, UNITS / 2])
    return np.column_stack([linear, middle - linear @ centre])


def finish(
    picture: Picture, to_image: NDArray[np.float64], rng: np.random.Generator, portrait: Portrait
) -> Picture:
    """Light from one side, skin of one's own, and grey where the camera is.

    Args:
        picture: (2H, 2W, 3) grey levels.
        to_image: (2, 3) canonical units to image pixels.
        rng: the person's source of chance.
        portrait: how the person is filmed.

    Returns:
        (2H, 2W, 3) or (2H, 2W).
    """
    angle = rng.uniform(0.0, 2 * np.pi)
    slope = rng.uniform(0.0, 0.011)
    unit = source_units(to_image, portrait)
    aside = (unit - UNITS / 2) @ np.array([np.cos(angle), 0.6 * np.sin(angle)], dtype=np.float32)
    light = 1.0 + 0.3 * np.tanh(np.float32(slope / 0.3) * aside)
    lit = picture * light[..., None]
    _add_moles(lit, to_image, rng)
    shape = lit.shape[:2]
    for size, strength in ((_GRAIN, _GRAIN_SD), (3.0, 1.2), (9.0, 1.5)):
        grain = rng.standard_normal(shape, dtype=np.float32)
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), size * SUPERSAMPLING))
        lit += (grain * (strength / grain.std()))[..., None]
    lit = np.clip(lit, 2.0, 250.0)
    if not portrait.colour:
        lit = lit @ np.array(GRAY_WEIGHTS, dtype=np.float32)
    return np.ascontiguousarray(lit, dtype=np.float32)


@lru_cache(maxsize=2)
def _photograph(mirrored: bool) -> tuple[Picture, NDArray[np.float64]]:
    """(512, 512, 3) grey levels, and the map from canonical units to its pixels."""
    from skimage.data import astronaut  # noqa: PLC0415 - only pictures need scikit-image

    photo = np.asarray(astronaut(), dtype=np.float32)  # type: ignore[no-untyped-call]
    anchors = _PHOTO_ANCHORS
    if mirrored:
        photo = photo[:, ::-1]
        anchors = np.column_stack(
            [photo.shape[1] - 1 - anchors[[1, 0, 2], 0], anchors[[1, 0, 2], 1]]
        )
    photo = np.ascontiguousarray(photo)
    photo.setflags(write=False)
    return photo, fit_affine(ANCHORS, anchors)


def source_to_image() -> NDArray[np.float64]:
    """(2, 3) from pixels of a `Face`'s doubled picture to image pixels."""
    scale, shift = 1.0 / SUPERSAMPLING, 0.5 / SUPERSAMPLING - 0.5
    return np.array([[scale, 0.0, shift], [0.0, scale, shift]])


def _grid(to_unit: NDArray[np.float64], portrait: Portrait, step: int) -> NDArray[np.float64]:
    """Canonical coordinates of every ``step``-th pixel of the source picture."""
    height, width = SUPERSAMPLING * portrait.height, SUPERSAMPLING * portrait.width
    # as cv2.resize sees them: a lattice cell is centred in its pixels
    y, x = np.mgrid[0 : height // step, 0 : width // step] * float(step) + 0.5 * (step - 1)
    return apply_affine(to_unit, np.stack([x, y], axis=-1))


def source_units(to_image: NDArray[np.float64], portrait: Portrait) -> Picture:
    """(2H, 2W, 2) canonical coordinates of the source picture's pixels."""
    grid = _grid(compose(invert_affine(to_image), source_to_image()), portrait, 1)
    return grid.astype(np.float32)


def _photo_places(
    shape: _Shape,
    to_photo: NDArray[np.float64],
    to_image: NDArray[np.float64],
    portrait: Portrait,
) -> Picture:
    """(2H, 2W, 2) where in the photograph each pixel of the picture comes from."""
    grid = _grid(compose(invert_affine(to_image), source_to_image()), portrait, _LATTICE)
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
    gray = share @ np.array(GRAY_WEIGHTS, dtype=np.float32)
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


def _add_moles(picture: Picture, to_image: NDArray[np.float64], rng: np.random.Generator) -> None:
    """A few dark spots, clear of eyes and mouth; drawn in place."""
    to_source = compose(invert_affine(source_to_image()), to_image)
    pixels = float(scale_of(to_source))
    for _ in range(int(rng.integers(2, 9))):
        angle, radius = rng.uniform(0.0, 2 * np.pi), np.sqrt(rng.uniform(0.02, 1.0))
        place = np.array([MIDLINE, 13.0]) + radius * np.array(
            [11.0 * np.cos(angle), 13.0 * np.sin(angle)]
        )
        size, depth = rng.uniform(0.12, 0.3) * pixels, rng.uniform(0.06, 0.3)
        if np.hypot(*((ANCHORS - place) / (4.2, 3.0)).T).min() < 1.0:
            continue
        spot = apply_affine(to_source, place)
        reach = int(4 * size) + 1
        left, top = np.maximum(np.rint(spot).astype(int) - reach, 0)
        patch = picture[top : top + 2 * reach + 1, left : left + 2 * reach + 1]
        y, x = np.mgrid[0 : patch.shape[0], 0 : patch.shape[1]]
        far = (x + left - spot[0]) ** 2 + (y + top - spot[1]) ** 2
        patch *= (1.0 - depth * np.exp(-0.5 * far / size**2))[..., None].astype(np.float32)


def _soft(value: NDArray[np.floating], edge: float) -> NDArray[np.float32]:
    """0 outside, 1 inside, smooth over ``edge``."""
    share = np.clip(value / edge * 0.5 + 0.5, 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share), dtype=np.float32)
