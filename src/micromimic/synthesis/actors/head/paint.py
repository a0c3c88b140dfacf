"""Paints a head: skin, brows, eyes, lips, hair and a shirt, and how light falls on it.

Everything is painted in the coordinates of the unshaped mesh (canonical units), so that brows and
hair follow each person's shape.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.base import Array, Picture
from micromimic.synthesis.actors.head.data import head_data, sample_mask
from micromimic.synthesis.actors.head.person import Lamp, Looks
from micromimic.synthesis.actors.head.raster import Seen

MOUTH_INSIDE: Final = np.array([52.0, 24.0, 24.0])
_SCLERA: Final = np.array([214.0, 208.0, 202.0])
_IRIS: Final = 1.45  # radius, canonical units
_PUPIL: Final = 0.55


class Canvas:
    """What is painted: p pixels that see the head, and noise that lies on it, not on the picture.

    ``pixels`` are those in a canonical unit; (n, 3) ``base`` and (n, 2) ``uv`` say where vertices
    lie on the unshaped mesh and in the masks.
    """

    def __init__(
        self, seen: Seen, pixels: float, base: Array, uv: Array, rng: np.random.Generator
    ) -> None:
        head, places = head_data(), seen.values(uv)
        self.seen, self.pixels = seen, pixels
        self.base = seen.values(base)  # (p, 3) canonical units
        self.lips = sample_mask(head.lips, places)  # (p,) 0 to 1
        self.mouth = sample_mask(head.mouth, places)  # (p,) its inside, 0 to 1

        def noise(across: float, along: float) -> Picture:
            sheet = rng.standard_normal(seen.shape, dtype=np.float32)
            soft = cv2.GaussianBlur(sheet, (0, 0), across * pixels, sigmaY=along * pixels)
            return np.asarray(soft[seen.rows, seen.columns] / soft.std(), dtype=np.float32)

        self.strands = np.clip(0.5 + 0.25 * noise(0.12, 1.2), 0.0, 1.0)  # (p,) each
        self.pores = noise(0.12, 0.12)
        self.patches = noise(0.8, 0.8)
        self.edge = noise(0.35, 0.6)


def colours(canvas: Canvas, looks: Looks) -> tuple[Array, Picture]:
    """(p, 3) what everything but the eyes is coloured like before light falls on it, and (p,) where
    that is hair, 0 to 1."""
    skin, hair = _skin(canvas, looks), _hair(canvas, looks)
    colour = skin + (looks.hair * (0.75 + 0.5 * canvas.strands)[:, None] - skin) * hair[:, None]
    return _shirt(canvas, looks, colour), hair


def long_hair(
    unit: Picture, pixels: float, looks: Looks, rng: np.random.Generator
) -> tuple[Picture, Picture]:
    """(H, W, 3) colour of hair that falls behind the face, and (H, W) where it is, 0 to 1, at
    (H, W, 2) canonical coordinates; ``pixels`` are those in a canonical unit."""
    x, y = unit[..., 0] - MIDLINE, unit[..., 1]
    sheet = rng.standard_normal(unit.shape[:2], dtype=np.float32)
    strands = cv2.GaussianBlur(sheet, (0, 0), 0.15 * pixels, sigmaY=min(40.0, 2.5 * pixels))
    strands = np.asarray(strands / strands.std(), dtype=np.float32)
    width, length = rng.uniform(17.5, 20.5), rng.uniform(28.0, 44.0)
    round_top = np.sqrt(np.clip(1.0 - (np.minimum(y - 2.0, 0.0) / 19.0) ** 2, 0.0, 1.0))
    inside = width * round_top + 0.06 * np.maximum(y, 0.0) - np.abs(x) + 0.3 * strands
    inside = np.minimum(inside, length - y + 0.8 * strands)
    cover = _edge(inside, 0.25)
    hair = looks.hair * np.clip(0.62 + 0.15 * strands, 0.2, 1.0)[..., None]
    return hair.astype(np.float32), cover.astype(np.float32)


def _skin(canvas: Canvas, looks: Looks) -> Array:
    """(p, 3) skin with lips, brows, cheeks, a beard's shadow and folds."""
    x, y = canvas.base[:, 0] - MIDLINE, canvas.base[:, 1]
    out = np.abs(x)
    skin = looks.skin * (1.0 + 0.03 * canvas.patches + 0.025 * canvas.pores)[:, None]
    cheeks = _bump(out, 8.5, 3.5) * _bump(y, 15.0, 3.5) + 0.8 * _bump(x, 0.0, 2.2) * _bump(y, 17, 2)
    skin *= 1.0 + (cheeks * 0.10)[:, None] * np.array([0.6, -1.0, -0.9])
    under = _bump(out, 7.2, 3.0) * _bump(y, 9.3, 0.8)
    skin *= 1.0 - (under * (0.06 + 0.1 * looks.lines))[:, None]
    fold = _bump(out - (5.2 + 0.3 * (y - 17.0)), 0.0, 0.4) * _bump(y, 19.0, 1.6)
    brow_folds = sum(_bump(y + 0.03 * x**2, at, 0.22) for at in (-2.2, -4.0)) * _bump(x, 0, 6.0)
    skin *= 1.0 - ((0.05 + 0.16 * looks.lines) * fold + 0.25 * looks.lines**2 * brow_folds)[:, None]
    jaw = np.clip(_bump(y, 30.0, 5.0) + _bump(y, 20.5, 1.2) * _bump(out, 0.0, 5.0), 0.0, 1.0)
    beard = jaw * looks.beard * (0.28 + 0.10 * canvas.pores)
    skin += (0.55 * looks.hair - skin) * np.clip(beard, 0.0, 0.6)[:, None]
    lips = looks.skin * np.array([0.88, 0.72, 0.70]) * (1.0 - 0.1 * looks.rouge)
    lips = lips + looks.rouge * np.array([8.0, -12.0, -6.0])
    skin += (lips * (1.0 + 0.03 * canvas.pores)[:, None] - skin) * (0.85 * canvas.lips)[:, None]
    skin += (MOUTH_INSIDE - skin) * canvas.mouth[:, None]
    brow = _brows(out, y, looks) * np.clip(0.8 + 0.2 * canvas.edge, 0.3, 1.0)
    return np.asarray(skin + (0.8 * looks.hair - skin) * (looks.brow * brow)[:, None])


def _brows(out: Array, y: Array, looks: Looks) -> Array:
    """(p,) 0 to 1: an arch over each eye, thinner outside."""
    along = np.clip((out - 2.4) / 9.6, 0.0, 1.0)
    middle = 2.9 - 1.9 * np.sin(np.pi * np.clip(0.9 * along, 0.0, 1.0)) ** 1.2
    middle = middle + 0.8 * along + looks.brow_rise
    width = looks.brow_width * (1.0 - 0.62 * along**1.5)
    across = _edge(width - np.abs(y - middle), 0.16)
    ends = np.clip((out - 2.2) / 0.9, 0.0, 1.0) * np.clip((12.2 - out) / 0.8, 0.0, 1.0)
    return np.asarray(across * ends)


def _hair(canvas: Canvas, looks: Looks) -> Picture:
    """(p,) 0 to 1: short hair over the top and the sides, behind the ears."""
    x, y, z = canvas.base.T
    out = np.abs(x - MIDLINE)
    side = np.clip((out - 3.0) / 12.5, 0.0, 1.0)
    line = 3.0 - looks.hairline + 14.0 * side**2.5
    above = line - y + 0.25 * canvas.edge
    back = -24.0 - z + 0.4 * canvas.edge
    back = np.where(y < 30.0, back, -9.0)
    # ears stick out of it
    ear = (out > 16.0) & (y > 3.5) & (y < 20.0) & (z > -28.0)
    depth = np.where(ear, -9.0, np.maximum(above, back))
    return _edge(depth, 0.3).astype(np.float32)


def _shirt(canvas: Canvas, looks: Looks, colour: Array) -> Array:
    y = canvas.base[:, 1]
    out = np.abs(canvas.base[:, 0] - MIDLINE)
    below = _edge(y - 47.0 + 0.35 * out, 0.25)
    return np.asarray(colour + (looks.shirt - colour) * below[:, None])


def eye_colours(base: Array, looks: Looks) -> Array:
    """(p, 3) eyeballs as they are seen: iris, pupil, a glint, and the lid's shadow.

    ``base``: (p, 2) or (p, 3) place on the unshaped mesh.
    """
    side = np.sign(base[:, 0] - MIDLINE)
    x = base[:, 0] - MIDLINE - side * INTEROCULAR / 2
    y = base[:, 1] - EYE_LEFT[1]
    radius = np.hypot(x, y)
    colour = _SCLERA * (1.0 - 0.05 * np.clip(np.abs(x) - 1.5, 0, 2))[:, None]
    ring = looks.iris * (1.0 - 0.5 * _bump(radius, _IRIS, 0.25))[:, None]
    colour = colour + (ring - colour) * _edge(_IRIS - radius, 0.08)[:, None]
    colour = colour * (1.0 - 0.85 * _edge(_PUPIL - radius, 0.08))[:, None]
    shadow = 0.62 + 0.38 * np.clip((y + 1.5) / 1.7, 0.0, 1.0)
    lamp = np.array([np.sin(looks.lamp.azimuth), -np.sin(looks.lamp.elevation)]) * 0.8
    glint = _bump(np.hypot(x - lamp[0], y - lamp[1]), 0.0, 0.22)
    lit = colour * (0.80 * shadow)[:, None]
    return np.asarray(lit + (235.0 - lit) * (0.8 * glint)[:, None])


def draw_lashes(picture: Picture, eye: Picture, pixels: float, looks: Looks) -> None:
    """Darken the edge of the lids around the eyeballs (1 in ``eye``), the upper one most; in
    place."""
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


def _edge(value: NDArray[np.floating], width: float) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(np.clip(-value / width, -30, 30))))


def shade(
    normals: Array, lamp: Lamp, gloss: NDArray[np.floating] | float
) -> tuple[Picture, Picture]:
    """Light on a surface with (p, 3) unit normals, x right, y up, z to the camera.

    (p,) factor of the colour, 1 where the lamp shines straight on, and (p,) highlight to add.
    """
    flat = np.cos(lamp.elevation)
    towards = [flat * np.sin(lamp.azimuth), np.sin(lamp.elevation), flat * np.cos(lamp.azimuth)]
    light = np.array(towards)
    # light creeps around skin: the terminator is soft
    straight = np.clip(0.72 * (normals @ light) + 0.28, 0.0, None)
    # what comes from everywhere comes mostly from above
    everywhere = lamp.ambient * (0.85 + 0.15 * normals[:, 1])
    half = light + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    shine = np.clip(normals @ half, 0.0, None) ** 24 * gloss
    factor = everywhere + (1.0 - lamp.ambient) * straight
    return factor.astype(np.float32), shine.astype(np.float32)


def occlusion(depth: Picture, pixels: float, wide: float, narrow: float) -> Picture:
    """Darkening of places deeper than what is around them: corners, nostrils, the lips.

    (H, W) factor, 0 to 1, of (H, W) depth towards the camera in pixels; ``wide`` and ``narrow`` are
    the strengths over about a canonical unit and a third of it.
    """
    factors = []
    for reach, strength in ((0.9 * pixels, wide), (0.3 * pixels, narrow)):
        around = cv2.GaussianBlur(depth, (0, 0), reach)
        deeper = np.clip(around - depth, 0.0, None) / reach
        factors.append(np.asarray(1.0 / (1.0 + strength * deeper), dtype=np.float32))
    return factors[0] * factors[1]
