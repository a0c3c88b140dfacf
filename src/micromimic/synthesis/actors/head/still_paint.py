"""Paints a rendered head: skin, brows, eyes, lips, hair, a shirt and a wall, under one lamp.

Everything is painted in the coordinates of the unshaped mesh (canonical units, see
`synthesis.actors.head.still_faces`), so that brows and hair follow each person's shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.head.still_render import Array, Seen, occlusion, shade

Picture = NDArray[np.float32]
Plane = NDArray[np.float32]

# colours are RGB, 0 to 255
_SKINS: Final = np.array([(128.0, 90.0, 70.0), (214.0, 168.0, 134.0), (222.0, 176.0, 152.0)])
_HAIRS: Final = np.array([(26.0, 22.0, 21.0), (44.0, 31.0, 25.0), (92.0, 62.0, 40.0)])
_BLOND: Final = np.array([156.0, 122.0, 78.0])
_GRAY: Final = np.array([150.0, 147.0, 143.0])
_IRISES: Final = np.array([(58.0, 36.0, 24.0), (92.0, 66.0, 38.0), (88.0, 112.0, 130.0)])
MOUTH_INSIDE: Final = np.array([52.0, 24.0, 24.0])
_SCLERA: Final = np.array([214.0, 208.0, 202.0])
_IRIS: Final = 1.45  # radius, canonical units
_PUPIL: Final = 0.55


@dataclass(frozen=True)
class Looks:
    """What is not shape.

    Args:
        skin, hair, iris, shirt, wall: RGB, 0 to 255.
        brow: strength of the brows, 0 to 1.
        brow_width: their height, canonical units.
        brow_rise: shift of the brows downward, canonical units.
        long_hair: hair down to the shoulders.
        hairline: height of the hair's edge over the brow, canonical units, upward.
        beard: shadow of a shaven beard, 0 to 1.
        rouge: redness of the lips, 0 to 1.
        lines: folds of age, 0 to 1.
        azimuth, elevation: of the lamp, radians.
        ambient: share of light from everywhere.
    """

    skin: Array
    hair: Array
    iris: Array
    shirt: Array
    wall: Array
    brow: float
    brow_width: float
    brow_rise: float
    long_hair: bool
    hairline: float
    beard: float
    rouge: float
    lines: float
    azimuth: float
    elevation: float
    ambient: float


@dataclass(frozen=True)
class Canvas:
    """A rendered head, pixel by pixel; p pixels see it.

    Args:
        seen: which.
        unit: (2H, 2W, 2) canonical coordinates of all pixels.
        pixels: source pixels in a canonical unit.
        normals: (p, 3), not of unit length after interpolation.
        base: (p, 3) place on the unshaped mesh, canonical units.
        depth: (p,) towards the camera, source pixels.
        eye: (p,) eyeballs.
        lips, mouth: (p,) 0 to 1, the lips and the mouth's inside.
    """

    seen: Seen
    unit: Picture
    pixels: float
    normals: Array
    base: Array
    depth: Array
    eye: NDArray[np.bool_]
    lips: Plane
    mouth: Plane


def draw_looks(ancestry: Array, female: float, old: float, rng: np.random.Generator) -> Looks:
    """Looks that go with ancestry (shares of african, asian, caucasian), sex and age."""
    skin = np.exp(ancestry @ np.log(_SKINS)) * rng.uniform(0.88, 1.08)
    hair = np.exp(ancestry @ np.log(_HAIRS)) * rng.uniform(0.7, 1.2)
    light = ancestry[2]
    if rng.random() < 0.35 * light:
        hair = _BLOND * rng.uniform(0.7, 1.1)
    hair = hair + (_GRAY - hair) * float(np.clip(2.0 * (old - 0.45), 0.0, 1.0) ** 1.5)
    blue = rng.random() < 0.6 * light
    iris = _IRISES[2] if blue else _IRISES[int(rng.random() < 0.5 * light)]
    male = 1.0 - female
    return Looks(
        skin=skin,
        hair=hair,
        iris=iris * rng.uniform(0.85, 1.15),
        shirt=rng.uniform(40.0, 190.0) * (1.0 + rng.normal(0.0, 0.2, 3)).clip(0.5, 1.5),
        wall=rng.uniform(90.0, 190.0) * (1.0 + rng.normal(0.0, 0.04, 3)),
        brow=float(rng.uniform(0.55, 0.85) + 0.1 * male),
        brow_width=float(rng.uniform(0.55, 0.8) + 0.25 * male),
        brow_rise=float(rng.normal(0.0, 0.25) + 0.3 * male),
        long_hair=bool(rng.random() < 0.8 * female),
        hairline=float(rng.uniform(8.5, 10.5) + 2.0 * male * old),
        beard=float(male * rng.uniform(0.0, 0.9)),
        rouge=float(rng.uniform(0.1, 0.5) + 0.4 * female * rng.random()),
        lines=old,
        azimuth=float(rng.uniform(-0.75, 0.75)),
        elevation=float(rng.uniform(0.25, 0.75)),
        ambient=float(rng.uniform(0.45, 0.65)),
    )


def paint(canvas: Canvas, looks: Looks, rng: np.random.Generator) -> Picture:
    """(2H, 2W, 3) grey levels of the person before a wall.

    Args:
        canvas: the rendered head.
        looks: the person's.
        rng: source of chance for hair and skin.
    """
    normals = canvas.normals / np.linalg.norm(canvas.normals, axis=1, keepdims=True)
    grain = Grain(canvas, rng)
    colour, hair = colours(canvas, looks, grain)
    factor, shine = shade(
        normals,
        azimuth=looks.azimuth,
        elevation=looks.elevation,
        ambient=looks.ambient,
        gloss=20.0 * (1.0 - 0.6 * hair) + 8.0 * canvas.lips,
    )
    lit = colour * (1.12 * factor)[:, None] + shine[:, None]
    lit[canvas.eye] = eye_colours(canvas.base[canvas.eye], looks)
    seen = canvas.seen
    picture = seen.picture(lit.astype(np.float32))
    there = seen.picture(np.ones(len(lit), np.float32))
    depth = seen.picture(canvas.depth, float(canvas.depth.min()))
    eye = seen.picture(canvas.eye.astype(np.float32))
    dark = occlusion(depth, 0.9 * canvas.pixels, 0.35) * occlusion(depth, 0.3 * canvas.pixels, 0.4)
    picture *= (dark + (1.0 - dark) * 0.7 * eye)[..., None]
    draw_lashes(picture, eye, canvas.pixels, looks)
    cover = np.asarray(cv2.GaussianBlur(there, (0, 0), 1.0))[..., None]
    wall = _behind(canvas, looks, rng)
    outline = picture + wall * (1.0 - there[..., None])
    full = wall + (outline - wall) * np.maximum(cover, there[..., None])
    # a lens rounds every edge
    return np.asarray(cv2.GaussianBlur(full, (0, 0), 0.8), dtype=np.float32)


def colours(canvas: Canvas, looks: Looks, grain: Grain) -> tuple[Array, Plane]:
    """(p, 3) what everything but the eyes is coloured like before light falls on it, and (p,) where
    that is hair, 0 to 1."""
    skin = _skin(canvas, looks, grain)
    hair = _hair(canvas, looks, grain)
    colour = skin + (looks.hair * (0.75 + 0.5 * grain.strands)[:, None] - skin) * hair[:, None]
    return _shirt(canvas, looks, colour), hair


def _behind(canvas: Canvas, looks: Looks, rng: np.random.Generator) -> Picture:
    """(2H, 2W, 3) the wall, and long hair that falls before it."""
    wall = np.broadcast_to(looks.wall.astype(np.float32), (*canvas.seen.shape, 3))
    if not looks.long_hair:
        return wall
    hair, cover = long_hair(canvas.unit, canvas.pixels, looks, rng)
    return np.asarray(wall + (hair - wall) * cover[..., None], dtype=np.float32)


def long_hair(
    unit: Picture, pixels: float, looks: Looks, rng: np.random.Generator
) -> tuple[Picture, Plane]:
    """Hair that falls behind the face.

    Args:
        unit: (H, W, 2) canonical coordinates.
        pixels: in a canonical unit.
        looks: the person's.
        rng: source of chance.

    Returns:
        (H, W, 3) its colour, and (H, W) where it is, 0 to 1.
    """
    x, y = unit[..., 0] - MIDLINE, unit[..., 1]
    sheet = rng.standard_normal(unit.shape[:2], dtype=np.float32)
    strands = cv2.GaussianBlur(sheet, (0, 0), 0.15 * pixels, sigmaY=min(40.0, 2.5 * pixels))
    strands = np.asarray(strands / strands.std(), dtype=np.float32)
    width, length = rng.uniform(17.5, 20.5), rng.uniform(28.0, 44.0)
    round_top = np.sqrt(np.clip(1.0 - (np.minimum(y - 2.0, 0.0) / 19.0) ** 2, 0.0, 1.0))
    inside = width * round_top + 0.06 * np.maximum(y, 0.0) - np.abs(x) + 0.3 * strands
    inside = np.minimum(inside, length - y + 0.8 * strands)
    cover = 1.0 / (1.0 + np.exp(np.clip(-inside / 0.25, -30, 30)))
    hair = looks.hair * np.clip(0.62 + 0.15 * strands, 0.2, 1.0)[..., None]
    return hair.astype(np.float32), cover.astype(np.float32)


class Grain:
    """Noise that lies on the head, not on the picture."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator) -> None:
        shape = canvas.seen.shape
        rows, columns = canvas.seen.rows, canvas.seen.columns

        def noise(across: float, along: float) -> Plane:
            sheet = rng.standard_normal(shape, dtype=np.float32)
            size = (across * canvas.pixels, along * canvas.pixels)
            soft = cv2.GaussianBlur(sheet, (0, 0), size[0], sigmaY=size[1])
            return np.asarray(soft[rows, columns] / soft.std(), dtype=np.float32)

        self.strands = np.clip(0.5 + 0.25 * noise(0.12, 1.2), 0.0, 1.0)
        self.pores = noise(0.12, 0.12)
        self.patches = noise(0.8, 0.8)
        self.edge = noise(0.35, 0.6)


def _skin(canvas: Canvas, looks: Looks, grain: Grain) -> Array:
    """(p, 3) skin with lips, brows, cheeks, a beard's shadow and folds."""
    x, y = canvas.base[:, 0] - MIDLINE, canvas.base[:, 1]
    out = np.abs(x)
    skin = looks.skin * (1.0 + 0.03 * grain.patches + 0.025 * grain.pores)[:, None]
    cheeks = _bump(out, 8.5, 3.5) * _bump(y, 15.0, 3.5) + 0.8 * _bump(x, 0.0, 2.2) * _bump(y, 17, 2)
    skin *= 1.0 + (cheeks * 0.10)[:, None] * np.array([0.6, -1.0, -0.9])
    under = _bump(out, 7.2, 3.0) * _bump(y, 9.3, 0.8)
    skin *= 1.0 - (under * (0.06 + 0.1 * looks.lines))[:, None]
    fold = _bump(out - (5.2 + 0.3 * (y - 17.0)), 0.0, 0.4) * _bump(y, 19.0, 1.6)
    brow_folds = sum(_bump(y + 0.03 * x**2, at, 0.22) for at in (-2.2, -4.0)) * _bump(x, 0, 6.0)
    skin *= 1.0 - ((0.05 + 0.16 * looks.lines) * fold + 0.25 * looks.lines**2 * brow_folds)[:, None]
    jaw = np.clip(_bump(y, 30.0, 5.0) + _bump(y, 20.5, 1.2) * _bump(out, 0.0, 5.0), 0.0, 1.0)
    beard = jaw * looks.beard * (0.28 + 0.10 * grain.pores)
    skin += (0.55 * looks.hair - skin) * np.clip(beard, 0.0, 0.6)[:, None]
    lips = looks.skin * np.array([0.88, 0.72, 0.70]) * (1.0 - 0.1 * looks.rouge)
    lips = lips + looks.rouge * np.array([8.0, -12.0, -6.0])
    skin += (lips * (1.0 + 0.03 * grain.pores)[:, None] - skin) * (0.85 * canvas.lips)[:, None]
    skin += (MOUTH_INSIDE - skin) * canvas.mouth[:, None]
    brow = _brows(out, y, looks) * np.clip(0.8 + 0.2 * grain.edge, 0.3, 1.0)
    return np.asarray(skin + (0.8 * looks.hair - skin) * (looks.brow * brow)[:, None])


def _brows(out: Array, y: Array, looks: Looks) -> Array:
    """(p,) 0 to 1: an arch over each eye, thinner outside."""
    along = np.clip((out - 2.4) / 9.6, 0.0, 1.0)
    middle = 2.9 - 1.9 * np.sin(np.pi * np.clip(0.9 * along, 0.0, 1.0)) ** 1.2
    middle = middle + 0.8 * along + looks.brow_rise
    width = looks.brow_width * (1.0 - 0.62 * along**1.5)
    across = 1.0 / (1.0 + np.exp(np.clip((np.abs(y - middle) - width) / 0.16, -30, 30)))
    ends = np.clip((out - 2.2) / 0.9, 0.0, 1.0) * np.clip((12.2 - out) / 0.8, 0.0, 1.0)
    return np.asarray(across * ends)


def _hair(canvas: Canvas, looks: Looks, grain: Grain) -> Plane:
    """(p,) 0 to 1: short hair over the top and the sides, behind the ears."""
    x, y, z = canvas.base.T
    out = np.abs(x - MIDLINE)
    side = np.clip((out - 3.0) / 12.5, 0.0, 1.0)
    line = 3.0 - looks.hairline + 14.0 * side**2.5
    above = line - y + 0.25 * grain.edge
    back = -24.0 - z + 0.4 * grain.edge
    back = np.where(y < 30.0, back, -9.0)
    # ears stick out of it
    ear = (out > 16.0) & (y > 3.5) & (y < 20.0) & (z > -28.0)
    depth = np.where(ear, -9.0, np.maximum(above, back))
    return (1.0 / (1.0 + np.exp(np.clip(-depth / 0.3, -30, 30)))).astype(np.float32)


def _shirt(canvas: Canvas, looks: Looks, colour: Array) -> Array:
    y = canvas.base[:, 1]
    out = np.abs(canvas.base[:, 0] - MIDLINE)
    below = 1.0 / (1.0 + np.exp(np.clip(-(y - 47.0 + 0.35 * out) / 0.25, -30, 30)))
    return np.asarray(colour + (looks.shirt - colour) * below[:, None])


def eye_colours(base: Array, looks: Looks) -> Array:
    """(p, 3) eyeballs as they are seen: iris, pupil, a glint, and the lid's shadow.

    Args:
        base: (p, 3) place on the unshaped mesh, canonical units.
        looks: the person's.
    """
    side = np.sign(base[:, 0] - MIDLINE)
    x = base[:, 0] - MIDLINE - side * INTEROCULAR / 2
    y = base[:, 1] - EYE_LEFT[1]
    radius = np.hypot(x, y)
    colour = (
        np.broadcast_to(_SCLERA, (len(x), 3))
        * (1.0 - 0.05 * np.clip(np.abs(x) - 1.5, 0, 2))[:, None]
    )
    ring = looks.iris * (1.0 - 0.5 * _bump(radius, _IRIS, 0.25))[:, None]
    colour = colour + (ring - colour) * _edge(_IRIS - radius, 0.08)[:, None]
    colour = colour * (1.0 - 0.85 * _edge(_PUPIL - radius, 0.08))[:, None]
    shadow = 0.62 + 0.38 * np.clip((y + 1.5) / 1.7, 0.0, 1.0)
    lamp = np.array([np.sin(looks.azimuth), -np.sin(looks.elevation)]) * 0.8
    glint = _bump(np.hypot(x - lamp[0], y - lamp[1]), 0.0, 0.22)
    lit = colour * (0.80 * shadow)[:, None]
    return np.asarray(lit + (235.0 - lit) * (0.8 * glint)[:, None])


def draw_lashes(picture: Picture, eye: Plane, pixels: float, looks: Looks) -> None:
    """Darken the edge of the lids around the eyeballs, the upper one most; in place.

    Args:
        picture: (H, W, 3).
        eye: (H, W) 1 where eyeballs are seen.
        pixels: in a canonical unit.
        looks: the person's.
    """
    reach = max(1, round(0.3 * pixels))
    grown = cv2.GaussianBlur(eye, (0, 0), 0.22 * pixels)
    up = np.zeros_like(eye)
    up[:-reach] = eye[reach:]  # what lies a little above an eye
    upper = cv2.GaussianBlur(np.maximum(up - eye, 0.0), (0, 0), 0.12 * pixels)
    edge = np.clip(1.6 * upper + 0.5 * np.minimum(grown, 1.0 - grown), 0.0, 0.85)[..., None]
    dark = (0.35 * looks.hair).astype(np.float32)
    picture += (dark - picture) * edge


def _bump(value: NDArray[np.floating], centre: float, width: float) -> Array:
    return np.asarray(np.exp(-0.5 * ((value - centre) / width) ** 2))


def _edge(value: Array, width: float) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-value / width, -30, 30))))
