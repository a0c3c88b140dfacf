"""Which action units make which class, and how often.

The frequencies follow the action units that the official annotation tables of CASME II and SAMM
give for each emotion (disgust, repression, anger, contempt, fear and sadness make *negative*),
merged as the MEGC 2019 composite merges them. Rare but plausible combinations keep a small share,
so that a model does not take an unseen combination for another class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.face.units import UNIT_NAMES


class Combination(NamedTuple):
    """Action units that occur together.

    Args:
        share: relative frequency within the class.
        units: FACS numbers.
        one_sided: probability that the paired units act on one side only.
    """

    share: float
    units: tuple[str, ...]
    one_sided: float = 0.05


COMBINATIONS: Final[dict[str, tuple[Combination, ...]]] = {
    "negative": (
        Combination(0.145, ("7",), 0.1),
        Combination(0.13, ("4", "7"), 0.05),
        Combination(0.125, ("4",), 0.1),
        Combination(0.085, ("17",), 0.0),
        Combination(0.05, ("14",), 0.6),
        Combination(0.04, ("4", "10"), 0.5),
        Combination(0.035, ("4", "9"), 0.05),
        Combination(0.035, ("15", "17"), 0.05),
        Combination(0.03, ("15",), 0.3),
        Combination(0.03, ("10",), 0.7),
        Combination(0.03, ("20",), 0.5),
        Combination(0.025, ("7", "45"), 0.0),
        Combination(0.02, ("4", "7", "9"), 0.0),
        Combination(0.02, ("14", "17"), 0.5),
        Combination(0.015, ("4", "9", "10"), 0.0),
        Combination(0.015, ("4", "7", "10"), 0.0),
        Combination(0.015, ("9",), 0.1),
        Combination(0.012, ("4", "7", "45"), 0.0),
        Combination(0.012, ("12", "15"), 0.2),
        Combination(0.012, ("12", "14"), 1.0),
        Combination(0.012, ("1",), 0.0),
        Combination(0.012, ("1", "4"), 0.0),
        Combination(0.01, ("9", "10"), 0.1),
        Combination(0.01, ("17", "24"), 0.0),
        Combination(0.01, ("24",), 0.0),
        Combination(0.01, ("23",), 0.0),
        Combination(0.01, ("7", "17"), 0.0),
        Combination(0.008, ("7", "20", "26"), 0.0),
        Combination(0.006, ("5", "20", "25", "26"), 0.0),
        Combination(0.006, ("4", "6", "7", "9"), 0.0),
        Combination(0.006, ("4", "6", "7"), 0.0),
        Combination(0.006, ("14", "15"), 0.1),
        Combination(0.006, ("4", "15", "17"), 0.0),
        Combination(0.006, ("14", "25", "26"), 0.1),
        Combination(0.006, ("6", "15"), 0.1),
        Combination(0.006, ("9", "12"), 0.0),
        Combination(0.006, ("4", "5", "10"), 0.3),
        Combination(0.006, ("4", "9", "17"), 0.0),
        Combination(0.006, ("7", "10"), 0.6),
        Combination(0.005, ("1", "4", "15"), 0.0),
    ),
    "positive": (
        Combination(0.29, ("12",), 0.0),
        Combination(0.23, ("12",), 1.0),
        Combination(0.15, ("6", "12"), 0.15),
        Combination(0.05, ("7", "12"), 0.0),
        Combination(0.04, ("14",), 0.3),
        Combination(0.03, ("6", "7", "12"), 0.0),
        Combination(0.03, ("12", "24"), 0.0),
        Combination(0.03, ("12", "14"), 0.4),
        Combination(0.03, ("12", "25"), 0.2),
        Combination(0.02, ("12", "15"), 0.2),
        Combination(0.02, ("6",), 0.2),
        Combination(0.015, ("12", "17"), 0.1),
        Combination(0.015, ("10", "12"), 0.3),
        Combination(0.015, ("1", "12"), 0.0),
        Combination(0.015, ("2", "12"), 0.5),
    ),
    "surprise": (
        Combination(0.22, ("1", "2"), 0.0),
        Combination(0.19, ("5",), 0.1),
        Combination(0.15, ("1", "2"), 1.0),
        Combination(0.1, ("1",), 0.1),
        Combination(0.08, ("2",), 0.7),
        Combination(0.06, ("1", "2", "5"), 0.0),
        Combination(0.03, ("1", "2", "25"), 0.3),
        Combination(0.03, ("1", "2", "25", "26"), 0.0),
        Combination(0.03, ("2", "26"), 0.5),
        Combination(0.03, ("25", "26"), 0.0),
        Combination(0.02, ("25",), 0.0),
        Combination(0.02, ("26",), 0.0),
        Combination(0.02, ("2", "14"), 0.5),
        Combination(0.015, ("5", "26"), 0.0),
        Combination(0.01, ("1", "2", "14"), 0.3),
    ),
}
"""Combinations of each class; one-sided ones are named L12 or R12, as in the tables."""

SIMPLE: Final[dict[str, tuple[Combination, ...]]] = {
    "negative": (Combination(0.5, ("4",)), Combination(0.5, ("4", "7"))),
    "positive": (Combination(0.5, ("12",)), Combination(0.5, ("6", "12"))),
    "surprise": (Combination(1.0, ("1", "2")),),
}
"""What textbooks show, for comparison: nothing rare, nothing one-sided but by chance."""

PLANTED: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    "negative": (
        ("4",), ("4", "7"), ("7",), ("9",), ("9",), ("9",), ("4", "9"), ("10",), ("L14",), ("15",),
        ("17",), ("17",), ("15", "17"),
    ),
    "positive": (("12",), ("6", "12"), ("L12",), ("R12",), ("6",)),
    "surprise": (("1", "2"), ("1",), ("L2",), ("5",), ("1", "2", "5"), ("26",), ("26",)),
}  # fmt: skip
"""What is planted in somebody's recording, each class in an order of chance; some stand here more
than once, for the parts of the face that few units move."""

# What one table says by itself, as units:percent[:percent of these on one side], for recipes that
# know nothing of the other table; then what neither has, as above.
_TABLES: Final = {
    "casme2": {
        "negative": "4+7:22 17:14 4:13:8 4+10:10:78 4+9:4 15:4 15+17:4 4+7+9:3 4+6+7:2 4+7+10:2 "
        "4+9+10:2 10:2:100 14:2 2+15:1:100 4+5+7+9:1 4+5+10:1:100 4+6+7+9:1 4+9+14:1:100 4+9+17:1 "
        "4+15+17:1 7+10:1:100 12+14+17:1 12+15:1 14+15:1",
        "positive": "12:47:60 6+12:19:17 14:9 1+12:3 4+12:3:100 6+7+12:3 6+12+17:3 12+14:3:100 "
        "12+15:3 14+15:3:100 15:3",
        "surprise": "1+2:52:62 1:16 2:12:67 1+2+25:4:100 2+12:4:100 2+14:4:100 2+26:4:100 25:4",
    },
    "samm": {
        "negative": "7:35:3 4:14:8 14:7:83 20:6:60 4+7:5 7+45:5 17:4 1:2 4+7+45:2 10:2:100 "
        "14+17:2:100 4+6+7+9+45:1 4+6+7+45:1 4+9:1 5+20+25+26:1 7+20+26:1 9:1 9+10:1 9+12:1 "
        "10+25+26:1:100 12+15:1 14+25+26:1 15+17:1 23:1",
        "positive": "12:61:29 7+12:13 12+24:9 2+12:4:100 6+12:4:100 10+12:4:100 12+25:4:100",
        "surprise": "5:53 1+2:20 1+2+14:7:100 5+24:7 25+26:7 26:7",
    },
}
_NEITHER: Final = {
    "negative": "12+14:1.2:100 1+4:1.2 17+24:1 24:1 7+17:1 6+15:.6:10 1+4+15:.5",
    "positive": "6:2:20 12+17:1.5:10",
    "surprise": "1+2+5:6 1+2+25+26:3 5+26:1.5",
}


def _book(*tables: str) -> dict[str, tuple[Combination, ...]]:
    """The combinations that these tables have, each table counting alike, and the rare ones."""

    def read(text: str, part: float) -> Iterator[Combination]:
        for units, share, *one_sided in (entry.split(":") for entry in text.split()):
            sides = float(one_sided[0]) / 100 if one_sided else 0.0
            yield Combination(part * float(share) / 100, tuple(units.split("+")), sides)

    return {
        label: (
            *(one for table in tables for one in read(_TABLES[table][label], 1 / len(tables))),
            *read(rare, 1.0),
        )
        for label, rare in _NEITHER.items()
    }


Recipes = Literal["full", "simple", "casme2", "samm", "tables"]
_BOOKS: Final[dict[Recipes, dict[str, tuple[Combination, ...]]]] = {
    "full": COMBINATIONS,
    "simple": SIMPLE,
    "casme2": _book("casme2"),
    "samm": _book("samm"),
    "tables": _book("casme2", "samm"),
}

# the lids and the lips do not act alone on one side in a spontaneous expression
_CAN_BE_ONE_SIDED: Final = frozenset({"1", "2", "4", "6", "7", "9", "10", "12", "14", "15", "20"})
_INDEX: Final = {name: index for index, name in enumerate(UNIT_NAMES)}


@dataclass(frozen=True)
class Recipe:
    """One drawn expression.

    Args:
        label: its class.
        action_units: what acts, in FACS notation: ``("6", "12")``, ``("L12",)``.
        weights: (n_units,) amplitude of each of ``UNIT_NAMES``; 1 is a full movement.
    """

    label: str
    action_units: tuple[str, ...]
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.weights.shape != (len(UNIT_NAMES),):
            raise ValueError(f"weights must be ({len(UNIT_NAMES)},), got {self.weights.shape}")


def sample_recipe(
    label: str,
    rng: np.random.Generator,
    *,
    amplitude: tuple[float, float] = (0.5, 1.2),
    asymmetry: float = 0.18,
    leak: float = 0.25,
    recipes: Recipes = "full",
) -> Recipe:
    """Draw one expression of a class.

    Args:
        label: the class.
        rng: source of chance.
        amplitude: range of each unit's strength.
        asymmetry: standard deviation of the difference between the sides.
        leak: the idle side of a one-sided movement keeps up to this share.
        recipes: ``full`` draws from ``COMBINATIONS``, ``simple`` from ``SIMPLE``; a database's name
            from what its annotation table alone says, ``tables`` from both tables so.

    Raises:
        ValueError: if the class is unknown.

    >>> recipe = sample_recipe("surprise", np.random.default_rng(0))
    >>> recipe.action_units
    ('1',)
    """
    if label not in COMBINATIONS:
        raise ValueError(f"label must be one of {tuple(COMBINATIONS)}, got {label!r}")
    place = int(_cumulative(recipes, label).searchsorted(rng.random(), "right"))
    chosen = _BOOKS[recipes][label][place]
    one_sided = bool(rng.random() < chosen.one_sided)
    acting = "LR"[int(rng.integers(2))]
    weights = np.zeros(len(UNIT_NAMES), np.float32)
    names = []
    for unit in chosen.units:
        strength = rng.uniform(*amplitude)
        tilt = rng.normal(0.0, asymmetry)
        idle_share = rng.uniform(0.0, leak)
        if unit in _INDEX:
            weights[_INDEX[unit]] = strength
            names.append(unit)
            continue
        sides = {"L": strength * (1 + tilt), "R": strength * (1 - tilt)}
        if one_sided and unit in _CAN_BE_ONE_SIDED:
            sides["R" if acting == "L" else "L"] *= idle_share
            names.append(f"{acting}{unit}")
        else:
            names.append(unit)
        for side, value in sides.items():
            weights[_INDEX[unit + side]] = max(value, 0.0)
    return Recipe(label, tuple(names), weights)


@lru_cache(maxsize=len(_BOOKS) * len(COMBINATIONS))
def _cumulative(recipes: Recipes, label: str) -> NDArray[np.float64]:
    """Where each combination's share of a class ends, from 0 to 1."""
    ends = np.cumsum([option.share for option in _BOOKS[recipes][label]])
    return np.asarray(ends / ends[-1])
