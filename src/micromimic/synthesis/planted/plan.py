"""What is planted in somebody's recording, and when: movements of known time and kind.

How large they are is not decided here: the same movements are planted at several sizes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import THREE
from micromimic.core.types import Interval
from micromimic.synthesis.bump_units import Field

FieldSource = Callable[[str], Field]
"""From a unit's name (``12L``, ``17``) to its (2, S, S) displacement, as of `bump_units`."""

REGION_OF_UNIT: Final[Mapping[str, str]] = {
    "1": "forehead", "2": "forehead", "4": "forehead",
    "5": "eyes", "6": "eyes", "7": "eyes",
    "9": "nose",
    "10": "mouth", "12": "mouth", "14": "mouth", "15": "mouth", "20": "mouth", "25": "mouth",
    "17": "chin", "26": "chin",
}  # fmt: skip
"""Where each action unit moves the face most."""

Recipes = Mapping[str, tuple[tuple[str, ...], ...]]
"""By class, which action units act together, FACS notation."""

RECIPES: Final[Recipes] = {
    "negative": (
        ("4",), ("4", "7"), ("7",), ("9",), ("9",), ("9",), ("4", "9"), ("10",), ("L14",), ("15",),
        ("17",), ("17",), ("15", "17"),
    ),
    "positive": (("12",), ("6", "12"), ("L12",), ("R12",), ("6",)),
    "surprise": (("1", "2"), ("1",), ("L2",), ("5",), ("1", "2", "5"), ("26",), ("26",)),
}  # fmt: skip
"""What is planted of each class: every recipe once, then again, in an order of chance; some stand
here more than once, for the parts of the face that few units move."""

LEAD_S: Final = 1.0
"""Nothing is planted so near to the ends of the recording."""
SPACING_S: Final = 2.5
DURATION_S: Final = (0.2, 0.45)
_SPACING_JITTER_S: Final = 0.2
_RISE: Final = (0.4, 0.55)  # part of a movement from onset to apex
_AROUND_S: Final = 0.1  # the face must be tracked for so long before and after
_STRENGTH: Final = (0.7, 1.1)


@dataclass(frozen=True, eq=False)
class Planted:
    """One movement; nothing of it depends on how large it will be."""

    interval: Interval  # seconds
    label: str  # class
    units: tuple[str, ...]  # FACS notation: ``("6", "12")``, ``("L12",)``
    # (2, S, S) displacement, its largest 1, on a canonical canvas; an hour holds 1,400 movements
    field: NDArray[np.float16]
    shares: Mapping[str, float]  # by region, the largest displacement by its units
    scale: float  # largest displacement at the apex in image pixels, for one canonical unit

    @property
    def region(self) -> str:
        return max(self.shares, key=lambda name: self.shares[name])

    def envelope(self, time: float) -> float:
        """How much of its size the movement has at a time: 0 outside, 1 at the apex."""
        span = self.interval
        if not span.onset < time < span.offset:
            return 0.0
        if time < span.apex:
            part = (time - span.onset) / (span.apex - span.onset)
        else:
            part = (span.offset - time) / (span.offset - span.apex)
        return float(0.5 - 0.5 * np.cos(np.pi * part))


@dataclass(frozen=True, eq=False)
class Ground:
    """What is known of a recording in which movements are planted: no score, no gate."""

    times: NDArray[np.float64]  # (T,) seconds
    segments: NDArray[np.int_]  # (T,) number of the unbroken stretch of tracking; -1 without a face
    # (T, 2, 3) canonical units to image pixels, smooth in time; NaN where lost
    transforms: NDArray[np.float64]
    # (T,) the frame whose picture each frame shows, itself unless it repeats one
    first: NDArray[np.int_]


def movement_field(
    units: Sequence[str], fields: FieldSource, rng: np.random.Generator
) -> tuple[Field, dict[str, float]]:
    """Some action units together, each with a strength of its own; a paired one without a side acts
    on both. (2, S, S), its largest displacement 1, and the shares by region, as of `Planted`."""
    parts: dict[str, Field] = {}
    for unit in units:
        number = unit.lstrip("LR")
        sides = (unit[0],) if unit[0] in "LR" else ("L", "R")
        names = [number] if number in ("17", "25", "26") else [number + side for side in sides]
        region = REGION_OF_UNIT[number]
        for name in names:
            field = fields(name)
            part = field / np.hypot(*field).max() * np.float32(rng.uniform(*_STRENGTH))
            parts[region] = parts[region] + part if region in parts else part
    total = np.asarray(sum(parts.values()), np.float32)
    largest = float(np.hypot(*total).max())
    shares = {name: float(np.hypot(*part).max()) / largest for name, part in parts.items()}
    return total / np.float32(largest), shares


def deal(seed: int, recipes: Recipes = RECIPES) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Classes in turn, of each its recipes in an order of chance, without end."""
    decks = {label: _shuffled(recipes[label], [seed, k]) for k, label in enumerate(THREE)}
    for label in itertools.cycle(THREE):
        yield label, next(decks[label])


def _shuffled(deck: Sequence[tuple[str, ...]], seed: list[int]) -> Iterator[tuple[str, ...]]:
    rng = np.random.default_rng(seed)
    while True:
        for place in rng.permutation(len(deck)):
            yield deck[place]


def plan_copy(
    ground: Ground,
    fields: FieldSource,
    cards: Iterator[tuple[str, tuple[str, ...]]],
    rng: np.random.Generator,
) -> tuple[Planted, ...]:
    """What is planted in one copy of a recording: when, what, never how large.

    Moments are even in time but for chance, wherever the face is tracked; what the face does then,
    and what a spotter makes of it, is not looked at.
    """
    times, last = ground.times, float(ground.times[-1])
    end = last - LEAD_S
    if end <= LEAD_S:
        return ()
    planted = []
    at = rng.uniform(LEAD_S, min(LEAD_S + SPACING_S, end))
    while at < end:
        duration, rise = rng.uniform(*DURATION_S), rng.uniform(*_RISE)
        span = Interval(at, at + duration * rise, at + duration)
        near = (times >= span.onset - _AROUND_S) & (times <= span.offset + _AROUND_S)
        here = ground.segments[near]
        if len(here) and here[0] >= 0 and (here == here[0]).all():
            label, units = next(cards)
            field, shares = movement_field(units, fields, rng)
            apex = int(np.abs(times - span.apex).argmin())
            in_pixels = np.tensordot(ground.transforms[apex, :, :2], field, 1)
            scale = float(np.hypot(*in_pixels).max())
            planted.append(Planted(span, label, units, field.astype(np.float16), shares, scale))
        at += SPACING_S + rng.uniform(-_SPACING_JITTER_S, _SPACING_JITTER_S)
    return tuple(planted)
