"""Action units as pulls on the skin: a second source of fields, for judging what finds the first.

`face.units` derives its fields from head models, and what searches with them must not be
judged by them alone. Here each unit is a few pulls written down from where its muscle lies: a
Gaussian patch of skin that is longer along the muscle than across it, and moves along it. Places,
widths and directions vary with the seed, as faces do.

Source: Ekman, Friesen & Hager, Facial Action Coding System, 2002 (which skin moves where).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MARGIN, MOUTH, canvas_size, canvas_to_unit

Field = NDArray[np.float32]

RESOLUTION: Final = 4.0
"""Samples a canonical unit; lids are a unit high."""
_PLACE: Final = 0.18  # of the patch's smaller width: standard deviation from face to face
_WIDTH: Final = 0.15  # share
_TURN: Final = 10.0  # degrees


class Pull(NamedTuple):
    """A patch of skin and where it goes, canonical units."""

    out: float  # distance of its centre from the midline
    down: float  # its centre's row
    move_out: float  # direction and size of its displacement; out is away from the midline
    move_down: float
    along: float  # standard deviations along and across that direction
    across: float


PAIRED: Final[Mapping[str, tuple[Pull, ...]]] = {
    "1": (Pull(3.4, 1.4, -0.1, -1.0, 3.4, 2.8), Pull(3.0, -3.0, 0.0, -0.5, 3.2, 3.2)),
    "2": (Pull(9.1, 1.2, 0.15, -1.0, 3.3, 2.9), Pull(8.4, -3.0, 0.0, -0.45, 3.2, 3.3)),
    "4": (
        Pull(4.1, 2.2, -0.75, 0.65, 3.3, 2.7),
        Pull(1.3, 3.6, 0.0, 0.55, 2.4, 1.8),
        Pull(8.2, 2.0, -0.25, 0.35, 3.2, 2.7),
    ),
    "5": (Pull(7.5, 5.6, 0.0, -1.0, 1.1, 2.6),),
    "6": (
        Pull(8.7, 11.7, -0.2, -0.9, 3.0, 3.5),
        Pull(11.4, 7.6, -0.5, -0.1, 2.0, 2.2),
        Pull(7.4, 8.5, -0.05, -0.45, 1.1, 2.7),
    ),
    "7": (Pull(7.6, 8.1, -0.2, -0.9, 1.0, 2.7), Pull(7.6, 5.3, -0.1, 0.5, 1.1, 2.6)),
    "9": (
        Pull(2.5, 11.2, 0.1, -1.0, 3.1, 2.0),
        Pull(2.3, 3.2, -0.2, 0.5, 2.4, 2.2),
        Pull(3.3, 17.4, 0.05, -0.55, 2.2, 2.4),
    ),
    "10": (Pull(3.6, 17.9, 0.12, -1.0, 2.3, 2.7), Pull(5.3, 15.2, 0.2, -0.6, 2.6, 2.2)),
    "12": (Pull(5.3, 20.0, 0.8, -0.62, 3.1, 2.6), Pull(8.3, 15.2, 0.3, -0.6, 3.3, 3.0)),
    "14": (Pull(5.6, 20.4, 0.95, 0.05, 2.3, 2.2), Pull(9.2, 19.8, -0.5, 0.0, 2.2, 2.6)),
    "15": (Pull(5.3, 21.0, 0.15, 1.0, 2.5, 2.4),),
    "20": (Pull(5.4, 21.0, 1.0, 0.25, 3.2, 2.4),),
}
"""Pulls on each side of the face."""

MIDLINE: Final[Mapping[str, tuple[Pull, ...]]] = {
    "17": (Pull(0.0, 25.2, 0.0, -1.0, 2.4, 4.2), Pull(0.0, 22.2, 0.0, -0.65, 1.4, 3.8)),
    "25": (Pull(0.0, 22.2, 0.0, 1.0, 1.5, 3.6), Pull(0.0, 19.0, 0.0, -0.25, 1.2, 3.2)),
    "26": (Pull(0.0, 25.2, 0.0, 1.0, 3.8, 5.8), Pull(0.0, 22.2, 0.0, 0.8, 1.6, 4.0)),
}
"""Pulls of units whose muscle has no sides."""


class BumpUnits:
    """Fields of single action units, of one made-up face."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        size = canvas_size(RESOLUTION)
        to_unit = canvas_to_unit(RESOLUTION)
        axis = to_unit[0, 0] * np.arange(size) + to_unit[0, 2]
        self._x, self._y = axis[None, :] - MOUTH[0], axis[:, None]

    def __call__(self, name: str) -> Field:
        """(2, S, S) displacement, right and down, by ``12L``, ``12R`` (the person's own left and
        right), or ``17``, on a canvas of ``RESOLUTION``; its largest is 1."""
        side = {"L": 1.0, "R": -1.0}.get(name[-1])
        pulls = MIDLINE[name] if side is None else PAIRED[name[:-1]]
        rng = np.random.default_rng([self._seed, *name.encode()])
        total = np.sum([self._moved(pull, side or 1.0, rng) for pull in pulls], axis=0)
        return np.asarray(total / np.hypot(*total).max(), np.float32)

    def _moved(self, pull: Pull, side: float, rng: np.random.Generator) -> NDArray[np.float64]:
        spread = _PLACE * min(pull.along, pull.across)
        out, down = np.array([pull.out, pull.down]) + rng.normal(0.0, spread, 2)
        along, across = np.array([pull.along, pull.across]) * rng.normal(1.0, _WIDTH, 2).clip(0.7)
        size = float(np.hypot(pull.move_out, pull.move_down))
        turn = np.arctan2(pull.move_down, pull.move_out) + np.radians(rng.normal(0.0, _TURN))
        to_x, to_y = side * np.cos(turn), np.sin(turn)
        dx, dy = self._x - side * out, self._y - down
        ahead, beside = dx * to_x + dy * to_y, dy * to_x - dx * to_y
        bump = np.exp(-0.5 * ((ahead / along) ** 2 + (beside / across) ** 2))
        return np.stack([to_x * size * bump, to_y * size * bump])


def samples_a_unit(field: NDArray[np.floating]) -> float:
    """Samples a canonical unit of a field's canvas, whose margin is the usual one."""
    return float(field.shape[-1] / canvas_size(1.0, MARGIN))
