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
    """Action units that occur together."""

    share: float  # relative frequency within the class
    units: tuple[str, ...]  # FACS numbers
    one_sided: float = 0.05  # probability that the paired units act on one side only


Book = dict[str, tuple[Combination, ...]]
"""By class, what may be drawn of it."""

_TABLES: Final = {
    "full": {
        "negative": "7:14.5:10 4+7:13:5 4:12.5:10 17:8.5 14:5:60 4+10:4:50 4+9:3.5:5 15+17:3.5:5 "
        "15:3:30 10:3:70 20:3:50 7+45:2.5 4+7+9:2 14+17:2:50 4+9+10:1.5 4+7+10:1.5 9:1.5:10 "
        "4+7+45:1.2 12+15:1.2:20 12+14:1.2:100 1:1.2 1+4:1.2 9+10:1:10 17+24:1 24:1 23:1 7+17:1 "
        "7+20+26:.8 5+20+25+26:.6 4+6+7+9:.6 4+6+7:.6 14+15:.6:10 4+15+17:.6 14+25+26:.6:10 "
        "6+15:.6:10 9+12:.6 4+5+10:.6:30 4+9+17:.6 7+10:.6:60 1+4+15:.5",
        "positive": "12:29 12:23:100 6+12:15:15 7+12:5 14:4:30 6+7+12:3 12+24:3 12+14:3:40 "
        "12+25:3:20 12+15:2:20 6:2:20 12+17:1.5:10 10+12:1.5:30 1+12:1.5 2+12:1.5:50",
        "surprise": "1+2:22 5:19:10 1+2:15:100 1:10:10 2:8:70 1+2+5:6 1+2+25:3:30 1+2+25+26:3 "
        "2+26:3:50 25+26:3 25:2 26:2 2+14:2:50 5+26:1.5 1+2+14:1:30",
    },
    # what textbooks show, for comparison: nothing rare, nothing one-sided but by chance
    "simple": {
        "negative": "4:50:5 4+7:50:5",
        "positive": "12:50:5 6+12:50:5",
        "surprise": "1+2:100:5",
    },
    # what one table says by itself, for recipes that know nothing of the other
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
"""Combinations of action units, each as units:percent[:percent of these on one side]."""
_NEITHER: Final = {
    "negative": "12+14:1.2:100 1+4:1.2 17+24:1 24:1 7+17:1 6+15:.6:10 1+4+15:.5",
    "positive": "6:2:20 12+17:1.5:10",
    "surprise": "1+2+5:6 1+2+25+26:3 5+26:1.5",
}
"""What neither database's table has."""


def _read(text: str, part: float = 1.0) -> Iterator[Combination]:
    for units, share, *one_sided in (entry.split(":") for entry in text.split()):
        sides = float(one_sided[0]) / 100 if one_sided else 0.0
        yield Combination(part * float(share) / 100, tuple(units.split("+")), sides)


def _book(*tables: str, rare: Mapping[str, str] = _NEITHER) -> Book:
    """The combinations that these tables have, each table counting alike, and the rare ones."""
    part = 1 / len(tables)
    return {
        label: tuple(
            [one for table in tables for one in _read(_TABLES[table][label], part)]
            + list(_read(rare.get(label, "")))
        )
        for label in _NEITHER
    }


Recipes = Literal["full", "simple", "casme2", "samm", "tables"]
_BOOKS: Final[dict[Recipes, Book]] = {
    "full": _book("full", rare={}),
    "simple": _book("simple", rare={}),
    "casme2": _book("casme2"),
    "samm": _book("samm"),
    "tables": _book("casme2", "samm"),
}
COMBINATIONS: Final = _BOOKS["full"]
"""Combinations of each class; one-sided ones are named L12 or R12, as in the tables."""

# the lids and the lips do not act alone on one side in a spontaneous expression
_CAN_BE_ONE_SIDED: Final = frozenset({"1", "2", "4", "6", "7", "9", "10", "12", "14", "15", "20"})
_INDEX: Final = {name: index for index, name in enumerate(UNIT_NAMES)}


@dataclass(frozen=True)
class Recipe:
    """One drawn expression."""

    label: str  # its class
    action_units: tuple[str, ...]  # what acts, in FACS notation: ``("6", "12")``, ``("L12",)``
    # (n_units,) amplitude of each of ``UNIT_NAMES``; 1 is a full movement
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

    ``amplitude`` is the range of each unit's strength, ``asymmetry`` the standard deviation between
    the sides; the idle side of a one-sided movement keeps up to ``leak``. ``recipes``: ``full`` for
    all, ``simple`` for a textbook's, a database's name for what its annotation table alone says,
    ``tables`` for both tables so.
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
