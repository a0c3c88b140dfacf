"""How each facial action unit (AU) moves the face: own parametric fields in canonical units.

A field is a sum of smooth, oriented bumps placed where the muscle's skin moves, after the
descriptions of the Facial Action Coding System (Ekman and Friesen; appearance changes only).
Positions are given for one half of the face, outward from the midline, and mirrored. *Left* and
*right* are the person's own: ``R`` is image-left.

A *canvas* is the canonical face with its full margin, [-7, 35) units, at 2 samples a unit:
84 x 84; sample k is centred at ``(k + 0.5) / 2 - 7`` units.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MARGIN, MOUTH, canvas_size

RESOLUTION: Final = 2.0  # samples of a canvas in one canonical unit
CANVAS: Final = canvas_size(RESOLUTION)
MIDLINE: Final = MOUTH[0]


class Bump(NamedTuple):
    """One moving patch of skin, on one half of the face; lengths in canonical units."""

    out: float  # centre, outward from the midline
    y: float  # centre, downward
    toward_out: float  # motion outward
    toward_down: float  # motion downward
    width: float  # standard deviation along the patch's long axis
    height: float  # standard deviation across it
    tilt: float = 0.0  # degrees by which the long axis falls towards the outside


_SIDE_UNITS: Final[dict[str, tuple[Bump, ...]]] = {
    # inner brow raiser: the medial brow and the forehead above it rise
    "1": (Bump(3.4, 1.6, 0.0, -1.0, 2.8, 3.0), Bump(3.4, -3.0, 0.0, -0.4, 3.2, 2.6)),
    # outer brow raiser: the lateral brow rises, with the fold of the lid below
    "2": (
        Bump(9.3, 1.6, 0.1, -1.0, 3.2, 3.0, 8.0),
        Bump(8.8, -2.8, 0.05, -0.4, 3.2, 2.6),
        Bump(8.6, 4.4, 0.0, -0.25, 2.6, 1.1),
    ),
    # brow lowerer: brows come down and together, most at their heads
    "4": (
        Bump(3.4, 2.0, -0.6, 0.85, 3.2, 2.9),
        Bump(7.6, 1.9, -0.3, 0.55, 3.2, 2.7),
        Bump(1.2, 4.6, -0.1, 0.35, 1.8, 1.6),
    ),
    # upper lid raiser
    "5": (Bump(7.5, 5.7, 0.0, -1.0, 2.6, 1.2), Bump(7.5, 4.0, 0.0, -0.25, 2.8, 1.2)),
    # cheek raiser: cheek and the ring around the eye draw up and in
    "6": (
        Bump(8.8, 11.6, -0.15, -0.9, 3.4, 3.0),
        Bump(7.6, 8.6, 0.0, -0.6, 2.6, 1.2),
        Bump(12.2, 7.4, -0.45, -0.1, 1.8, 2.2),
    ),
    # lid tightener: the lower lid rises and moves inward, the upper sinks a little
    "7": (Bump(7.5, 8.0, -0.25, -0.75, 2.6, 1.1), Bump(7.5, 5.5, -0.1, 0.5, 2.6, 1.1)),
    # nose wrinkler: nose wings and the skin beside the nose rise, brow heads sink
    "9": (
        Bump(2.6, 11.0, 0.0, -1.0, 2.2, 2.8),
        Bump(4.4, 14.2, 0.0, -0.7, 2.2, 2.0),
        Bump(3.0, 3.2, -0.3, 0.55, 2.4, 2.2),
        Bump(3.2, 17.8, 0.0, -0.5, 2.5, 1.7),
    ),
    # upper lip raiser: lip and nasolabial fold rise
    "10": (Bump(3.5, 18.2, 0.1, -1.0, 2.7, 1.9), Bump(5.2, 15.2, 0.2, -0.7, 2.4, 2.4, -15.0)),
    # lip corner puller: the corner goes up and out, the cheek bunches above it
    "12": (
        Bump(5.6, 20.1, 0.75, -0.65, 3.0, 2.6),
        Bump(8.2, 15.6, 0.35, -0.6, 3.0, 3.0),
        Bump(3.2, 22.0, 0.35, -0.2, 2.4, 1.4),
    ),
    # dimpler: the corner is pressed back, the cheek beside it is drawn towards it
    "14": (Bump(5.7, 20.3, 0.9, -0.1, 2.3, 2.3), Bump(9.2, 19.6, -0.5, 0.0, 2.0, 2.5)),
    # lip corner depressor
    "15": (Bump(5.5, 20.9, 0.2, 1.0, 2.5, 2.4), Bump(5.0, 24.2, 0.1, 0.4, 2.2, 1.9)),
    # lower lip depressor
    "16": (Bump(2.7, 22.4, 0.1, 1.0, 2.5, 1.8),),
    # lip stretcher: corner and jaw skin go straight outward
    "20": (Bump(5.7, 20.8, 1.0, 0.25, 3.2, 2.4), Bump(7.5, 24.0, 0.6, 0.1, 3.0, 2.4)),
    # lip pressor
    "24": (
        Bump(5.5, 20.3, -0.5, 0.0, 2.0, 1.9),
        Bump(2.0, 19.0, 0.0, 0.5, 2.5, 1.2),
        Bump(2.0, 22.0, 0.0, -0.6, 2.5, 1.3),
    ),
    # eye closure: the upper lid comes down, the lower moves a little inward
    "45": (Bump(7.5, 6.0, 0.0, 1.0, 2.6, 1.3), Bump(7.5, 8.0, -0.12, -0.2, 2.6, 1.0)),
}

_MIDLINE_UNITS: Final[dict[str, tuple[Bump, ...]]] = {
    # chin raiser: the chin's boss and the lower lip rise
    "17": (Bump(0.0, 25.2, 0.0, -1.0, 4.3, 2.4), Bump(0.0, 22.0, 0.0, -0.7, 4.0, 1.5)),
    # pucker: corners come in, lips and their surround gather
    "18": (
        Bump(5.4, 20.3, -1.0, 0.0, 2.6, 2.2),
        Bump(0.0, 18.6, 0.0, 0.3, 3.0, 1.4),
        Bump(0.0, 22.6, 0.0, -0.4, 3.0, 1.4),
    ),
    # lips part
    "25": (Bump(0.0, 22.4, 0.0, 1.0, 4.0, 1.7), Bump(0.0, 19.0, 0.0, -0.35, 3.8, 1.2)),
    # jaw drop: everything below the mouth sinks
    "26": (Bump(0.0, 25.6, 0.0, 1.0, 5.2, 3.6), Bump(6.5, 24.6, -0.05, 0.5, 3.0, 3.0, -20.0)),
    # lip suck: both lips roll inward
    "28": (Bump(0.0, 19.0, 0.0, 0.6, 4.0, 1.2), Bump(0.0, 22.0, 0.0, -0.6, 4.0, 1.3)),
    # lip tightener: the red of both lips narrows, most of all the lower's, and the corners come in
    "23": (
        Bump(5.2, 20.4, -0.6, 0.0, 2.2, 1.6),
        Bump(0.0, 19.2, 0.0, 0.5, 3.4, 0.9),
        Bump(0.0, 21.8, 0.0, -0.8, 3.6, 1.1),
        Bump(0.0, 24.0, 0.0, -0.25, 3.4, 1.2),
    ),
}

UNIT_NAMES: Final[tuple[str, ...]] = (
    *(f"{unit}{side}" for unit in _SIDE_UNITS for side in "LR"),
    *_MIDLINE_UNITS,
)
"""Order of the units everywhere: left and right of each paired unit, then the midline ones."""


class _Shape(NamedTuple):
    """What makes one identity's face differ from the mean one; all zero for the mean face."""

    brow: float = 0.0
    mouth: float = 0.0
    chin: float = 0.0


def unit_fields(rng: np.random.Generator | None = None) -> NDArray[np.float32]:
    """Displacement fields of all units on the canvas. ``rng``: draws another identity (places,
    sizes and directions vary a little, and the two sides differ slightly); None gives the mean
    face. Returns (n_units, 2, 84, 84) in order ``UNIT_NAMES``: u right, v down; each field's
    largest displacement is 1.

    >>> fields = unit_fields()
    >>> fields.shape == (len(UNIT_NAMES), 2, 84, 84)
    True
    >>> round(float(np.hypot(fields[0, 0], fields[0, 1]).max()), 4)
    1.0
    """
    shape = _Shape()
    if rng is not None:
        brow, mouth, chin = rng.normal(0.0, (0.5, 0.45, 0.7))
        shape = _Shape(float(brow), float(mouth), float(chin))
    fields = []
    for bumps in _SIDE_UNITS.values():
        person = _vary(bumps, shape, rng, 1.0)
        fields += [_render(_vary(person, _Shape(), rng, 0.3), s) for s in (1.0, -1.0)]
    for bumps in _MIDLINE_UNITS.values():
        person = _vary(bumps, shape, rng, 1.0)
        sides = [_render(_vary(person, _Shape(), rng, 0.15), s) for s in (1.0, -1.0)]
        fields.append(sides[0] + sides[1])
    stack = np.stack(fields)
    peaks = np.hypot(stack[:, 0], stack[:, 1]).max((1, 2))
    return np.asarray(stack / peaks[:, None, None, None], dtype=np.float32)


def depth_field(rng: np.random.Generator | None = None) -> NDArray[np.float32]:
    """Relief of the face, for the parallax of head rotation. ``rng``: draws another identity's
    relief; None gives the mean face. Returns (84, 84) canonical units towards the camera: an
    ellipsoidal head with nose, brows, cheeks, lips, chin and eye sockets; its mean over the 28 x 28
    square is 0.

    >>> relief = depth_field()
    >>> bool(relief[41, 40] > relief[41, 19] + 4)  # the nose over a cheek
    True
    """
    x, y = canvas_grid()
    factor = np.ones(8) if rng is None else np.exp(rng.normal(0.0, 0.15, 8))
    off = np.abs(x - MIDLINE)
    radius = ((off / (17.5 * factor[0] ** 0.3)) ** 2 + ((y - 12.0) / 23.0) ** 2).clip(0.0, 0.96)
    relief = 20.0 * factor[1] * np.sqrt(1.0 - radius)
    parts = (
        (0.0, 13.6, 2.2, 2.6, 4.3 * factor[2]),
        (0.0, 9.5, 1.5, 3.2, 2.0 * factor[3]),
        (6.5, 2.2, 4.0, 1.4, 0.9 * factor[4]),
        (7.5, 6.6, 2.6, 1.5, -1.5 * factor[5]),
        (8.5, 11.5, 3.0, 2.6, 1.0 * factor[6]),
        (0.0, 20.3, 3.6, 1.8, 1.1),
        (0.0, 26.0, 3.0, 1.8, 1.4 * factor[7]),
    )
    for out, row, width, height, rise in parts:
        relief = relief + rise * np.exp(
            -0.5 * (((off - out) / width) ** 2 + ((y - row) / height) ** 2)
        )
    inside = slice(int(MARGIN * RESOLUTION), CANVAS - int(MARGIN * RESOLUTION))
    return np.asarray(relief - relief[inside, inside].mean(), dtype=np.float32)


@lru_cache(maxsize=1)
def canvas_grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Canonical x and y of every canvas sample: two (84, 84) arrays."""
    axis = (np.arange(CANVAS) + 0.5) / RESOLUTION - MARGIN
    x, y = np.meshgrid(axis, axis)
    for part in (x, y):
        part.setflags(write=False)
    return x, y


def _vary(
    bumps: tuple[Bump, ...], shape: _Shape, rng: np.random.Generator | None, amount: float
) -> tuple[Bump, ...]:
    """The same bumps on another face: moved with brow, mouth or chin, and jittered."""
    if rng is None:
        return bumps
    shift = rng.normal(0.0, 0.35 * amount, 2)
    varied = []
    for bump in bumps:
        dx, dy = shift + rng.normal(0.0, 0.25 * amount, 2)
        if bump.y < 4.0:
            dy += shape.brow
        elif bump.y > 23.0:
            dy += shape.chin
        elif bump.y > 17.0 and bump.out > 4.0:
            dx += shape.mouth
        turn, strength = rng.normal(0.0, (0.15 * amount, 0.18 * amount))
        size = np.exp(rng.normal(0.0, 0.12 * amount, 2))
        cos, sin = np.cos(turn) * np.exp(strength), np.sin(turn) * np.exp(strength)
        varied.append(
            Bump(
                # what lies on the midline stays there, or its two halves would part
                bump.out + dx if bump.out else 0.0,
                bump.y + dy,
                cos * bump.toward_out - sin * bump.toward_down if bump.out else 0.0,
                sin * bump.toward_out + cos * bump.toward_down,
                bump.width * size[0],
                bump.height * size[1],
                bump.tilt,
            )
        )
    return tuple(varied)


def _render(bumps: tuple[Bump, ...], outward: float) -> NDArray[np.float64]:
    """(2, 84, 84) of one half; ``outward`` is +1 for the person's left (image-right)."""
    x, y = canvas_grid()
    field = np.zeros((2, CANVAS, CANVAS))
    for bump in bumps:
        weight = _weight(bump, outward * (x - MIDLINE) - bump.out, y - bump.y)
        field[0] += outward * bump.toward_out * weight
        field[1] += bump.toward_down * weight
    return field


def _weight(bump: Bump, out: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.float64]:
    """(84, 84) how much of a bump's motion each sample has, by its offset from the centre."""
    if bump.tilt == 0.0:  # most are upright: a column times a row, twenty times as fast
        across = np.exp(-0.5 * (down[:, :1] / bump.height) ** 2)
        return np.asarray(across * np.exp(-0.5 * (out[:1] / bump.width) ** 2))
    angle = np.deg2rad(bump.tilt)
    along = (np.cos(angle) * out + np.sin(angle) * down) / bump.width
    aside = (np.cos(angle) * down - np.sin(angle) * out) / bump.height
    return np.asarray(np.exp(-0.5 * (along**2 + aside**2)))
