"""How a person of the synthetic databases is filmed: place in the frame, light, marks of skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from micromimic.core.canonical import (
    UNITS,
    apply_affine,
    canvas_to_unit,
    compose,
    invert_affine,
    scale_of,
)
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.base import ANCHORS, Array, Picture, in_gray
from micromimic.synthesis.actors.face import SUPERSAMPLING

_GRAINS: Final = ((0.8, 1.1), (3.0, 1.2), (9.0, 1.5))
"""Texture of the skin: size in image pixels, strength in grey levels."""
SOURCE_TO_IMAGE: Final = canvas_to_unit(SUPERSAMPLING, margin=0.5)
"""(2, 3) from pixels of a `Face`'s doubled picture to image pixels."""


@dataclass(frozen=True)
class Portrait:
    """How a person is filmed."""

    width: int = 320  # of the frame, pixels
    height: int = 240
    unit_px: float = 4.4  # image pixels a canonical unit of a head of mean size
    colour: bool = True  # RGB instead of grey

    def __post_init__(self) -> None:
        if self.width < 64 or self.height < 64 or self.unit_px <= 0:
            raise ValueError(
                f"expected a frame of at least 64 x 64 and a scale above 0, got {self.width} x "
                f"{self.height} at {self.unit_px}"
            )


def pose_in_frame(portrait: Portrait, rng: np.random.Generator) -> Array:
    """(2, 3) canonical units to image pixels: where this person sits, and how near."""
    scale = portrait.unit_px * rng.uniform(0.95, 1.05)
    roll = np.deg2rad(np.clip(rng.normal(0.0, 1.5), -3.0, 3.0))
    tall = rng.uniform(0.96, 1.06)
    cos, sin = scale * np.cos(roll), scale * np.sin(roll)
    linear = np.array([[cos, -sin * tall], [sin, cos * tall]])
    middle = np.array([0.5 * portrait.width, 0.52 * portrait.height]) + rng.uniform(-5.0, 5.0, 2)
    return np.column_stack([linear, middle - linear @ np.full(2, UNITS / 2)])


def finish(
    picture: Picture, to_image: Array, rng: np.random.Generator, portrait: Portrait
) -> Picture:
    """Light from one side, skin of one's own, and grey where the camera is."""
    angle = rng.uniform(0.0, 2 * np.pi)
    slope = rng.uniform(0.0, 0.011)
    unit = source_grid(to_image, portrait).astype(np.float32)
    aside = (unit - UNITS / 2) @ np.array([np.cos(angle), 0.6 * np.sin(angle)], dtype=np.float32)
    light = 1.0 + 0.3 * np.tanh(np.float32(slope / 0.3) * aside)
    lit = picture * light[..., None]
    _add_moles(lit, to_image, rng)
    shape = lit.shape[:2]
    for size, strength in _GRAINS:
        grain = rng.standard_normal(shape, dtype=np.float32)
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), size * SUPERSAMPLING))
        lit += (grain * (strength / grain.std()))[..., None]
    lit = np.clip(lit, 2.0, 250.0)
    if not portrait.colour:
        lit = in_gray(lit)
    return np.ascontiguousarray(lit, dtype=np.float32)


def source_grid(to_image: Array, portrait: Portrait, step: int = 1) -> Array:
    """(2H / step, 2W / step, 2) canonical coordinates of every ``step``-th pixel of the source."""
    height, width = SUPERSAMPLING * portrait.height, SUPERSAMPLING * portrait.width
    # as cv2.resize sees them: a lattice cell is centred in its pixels
    y, x = np.mgrid[0 : height // step, 0 : width // step] * float(step) + 0.5 * (step - 1)
    to_unit = compose(invert_affine(to_image), SOURCE_TO_IMAGE)
    return apply_affine(to_unit, np.stack([x, y], axis=-1))


def _add_moles(picture: Picture, to_image: Array, rng: np.random.Generator) -> None:
    """A few dark spots, clear of eyes and mouth; drawn in place."""
    to_source = compose(invert_affine(SOURCE_TO_IMAGE), to_image)
    pixels = float(scale_of(to_source))
    for _ in range(int(rng.integers(2, 9))):
        angle, radius = rng.uniform(0.0, 2 * np.pi), np.sqrt(rng.uniform(0.02, 1.0))
        around = np.array([11.0 * np.cos(angle), 13.0 * np.sin(angle)])
        place = np.array([MIDLINE, 13.0]) + radius * around
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
