"""Speech without sound: which shapes the mouth takes, when, and how the head goes with it.

A span of speech is one breath's phrase: syllables of a consonant and a vowel at 3 to 6 a second,
now and then a single word, with pauses between. Each sound has a shape of the mouth in action
units (a viseme); the mouth passes smoothly from one to the next, so that quick speech and slow
speech have the same shapes but another bandwidth. Stressed syllables are larger, and the head nods
on some of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.face.units import UNIT_NAMES

_INDEX: Final = {name: index for index, name in enumerate(UNIT_NAMES)}

# Share of the jaw's drop at an open vowel that each action unit moves.
_VOWELS: Final[dict[str, dict[str, float]]] = {
    "a": {"26": 1.0, "25": 0.5, "16": 0.15},
    "e": {"26": 0.6, "25": 0.4, "20": 0.3, "12": 0.1},
    "i": {"26": 0.3, "25": 0.35, "20": 0.45, "12": 0.2, "10": 0.1},
    "o": {"26": 0.65, "25": 0.35, "18": 0.45},
    "u": {"26": 0.35, "25": 0.2, "18": 0.7},
}
_CONSONANTS: Final[dict[str, dict[str, float]]] = {
    "m": {"24": 0.45, "17": 0.12, "28": 0.15},  # m, b, p: the lips meet
    "f": {"26": 0.12, "28": 0.2, "10": 0.2},  # f, v: lower lip under the teeth
    "t": {"26": 0.18, "25": 0.25},  # t, d, n, l, s: behind the teeth
    "k": {"26": 0.35, "25": 0.25},  # k, g, h
    "r": {"26": 0.2, "25": 0.2, "18": 0.4},  # r, sh, w: rounded
}
_CONSONANT_SHARES: Final = {"m": 0.18, "f": 0.1, "t": 0.42, "k": 0.15, "r": 0.15}

SPEECH_UNITS: Final = ("10", "12", "16", "17", "18", "20", "24", "25", "26", "28")
"""Action units that speech moves."""
_RATE_HZ: Final = (3.0, 6.0)
_SINGLE_WORDS: Final = 0.1  # share of phrases that are one or two syllables: "yes", "really"
_LEAD: Final = 0.8  # seconds of silence at both ends of a clip
_SHORTEST_PAUSE: Final = 0.25
_STRESSED: Final = 0.35  # share of syllables
_NODDED: Final = 0.5  # share of those that the head nods on, where it has time to


@dataclass(frozen=True)
class Viseme:
    """The mouth's shape at a time."""

    time: float  # seconds
    sound: str  # what is said: a vowel, a consonant's group, or "" for closed lips at rest
    # action unit, or unit and side ("12L"), and displacement in image pixels
    shape: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Nod:
    """The head dips and comes back; seconds, image pixels down."""

    start: float
    end: float
    down_px: float

    def share(self, time: float) -> float:
        """How far it is on its way, 0 to 1."""
        if not self.start < time < self.end:
            return 0.0
        return float(0.5 - 0.5 * np.cos(2 * np.pi * (time - self.start) / (self.end - self.start)))


@dataclass(frozen=True)
class SpeechSpan:
    """One phrase; seconds."""

    visemes: tuple[Viseme, ...]  # shapes by time; the first and last are the mouth at rest
    nods: tuple[Nod, ...] = ()  # movements of the head that go with it

    def __post_init__(self) -> None:
        times = [viseme.time for viseme in self.visemes]
        if len(times) < 2 or any(b <= a for a, b in pairwise(times)):
            raise ValueError(f"expected two or more visemes at rising times, got {times}")

    @property
    def start(self) -> float:
        return self.visemes[0].time

    @property
    def end(self) -> float:
        return self.visemes[-1].time

    @cached_property
    def _shapes(self) -> NDArray[np.float32]:
        shapes = np.zeros((len(self.visemes), len(UNIT_NAMES)), np.float32)
        for row, viseme in zip(shapes, self.visemes, strict=True):
            for unit, pixels in viseme.shape:
                for name in _sides(unit):
                    row[_INDEX[name]] = pixels
        return shapes

    def weights(self, time: float) -> NDArray[np.float32]:
        """(n_units,) largest displacement by each of ``UNIT_NAMES`` at a time, image pixels."""
        if not self.start < time < self.end:
            return np.zeros(len(UNIT_NAMES), np.float32)
        times = [viseme.time for viseme in self.visemes]
        after = int(np.searchsorted(times, time))
        before = after - 1
        share = (time - times[before]) / (times[after] - times[before])
        eased = np.float32(0.5 - 0.5 * np.cos(np.pi * share))
        return np.asarray(self._shapes[before] * (1 - eased) + self._shapes[after] * eased)

    def nod_px(self, time: float) -> float:
        """Image pixels that the head is lower than without the nods."""
        return sum(nod.down_px * nod.share(time) for nod in self.nods)


def draw_speech(
    seconds: float,
    share: float,
    jaw_px: tuple[float, float],
    nod_px: float,
    rng: np.random.Generator,
) -> tuple[SpeechSpan, ...]:
    """Draw what is said in a clip: phrases, at least a quarter of a second apart.

    ``share`` of the time between its ends is spoken. ``jaw_px``: least and largest drop of the jaw
    at an open vowel, phrase by phrase; no syllable exceeds the largest. ``nod_px``: largest nod.
    """
    spans: list[SpeechSpan] = []
    if share <= 0.0:
        return ()
    time = _LEAD + rng.uniform(0.0, 1.0)
    while True:
        span = _phrase(time, jaw_px, nod_px, rng)
        if span.end > seconds - _LEAD:
            return tuple(spans)
        spans.append(span)
        silence = (span.end - span.start) * (1 - share) / share * rng.lognormal(0.0, 0.6)
        time = span.end + max(_SHORTEST_PAUSE, silence)


def _phrase(
    start: float, jaw_px: tuple[float, float], nod_px: float, rng: np.random.Generator
) -> SpeechSpan:
    if rng.random() < _SINGLE_WORDS:
        count = int(rng.integers(1, 3))
    else:
        count = int(np.clip(np.rint(rng.lognormal(np.log(9.0), 0.5)), 3, 24))
    rate, loud = rng.uniform(*_RATE_HZ), rng.uniform(*jaw_px)
    visemes = [Viseme(start, "", ())]
    stressed: list[float] = []
    time = start + rng.uniform(0.08, 0.2)
    for number in range(count):
        length = float(np.clip(rng.lognormal(0.0, 0.2), 0.6, 1.7)) / rate
        if number == count - 1:
            length *= 1.3  # the last syllable is drawn out
        strong = bool(rng.random() < _STRESSED)
        size = min(jaw_px[1], loud * (1.2 if strong else 0.85) * float(rng.lognormal(0.0, 0.15)))
        vowel_at = time + 0.45 * length
        consonant = str(rng.choice(list(_CONSONANT_SHARES), p=list(_CONSONANT_SHARES.values())))
        vowel = str(rng.choice(list(_VOWELS)))
        visemes.append(_viseme(time, consonant, _CONSONANTS[consonant], size, rng))
        visemes.append(_viseme(vowel_at, vowel, _VOWELS[vowel], size, rng))
        if strong:
            stressed.append(vowel_at)
        time += length
    end = time + rng.uniform(0.1, 0.3)
    visemes.append(Viseme(end, "", ()))
    return SpeechSpan(tuple(visemes), _nods(stressed, nod_px, rng))


def _viseme(
    time: float, sound: str, shape: dict[str, float], size: float, rng: np.random.Generator
) -> Viseme:
    """A sound's shape, never twice the same; the sides of paired units differ a little."""
    moved: list[tuple[str, float]] = []
    for unit, part in shape.items():
        pixels = part * size * float(rng.uniform(0.75, 1.0))
        tilts = rng.normal(0.0, 0.08, 2)
        sides = _sides(unit)
        moved += [
            (name, pixels * (1.0 + float(tilt) * (len(sides) - 1)))
            for name, tilt in zip(sides, tilts, strict=False)
        ]
    return Viseme(time, sound, tuple(moved))


def _nods(stressed: list[float], nod_px: float, rng: np.random.Generator) -> tuple[Nod, ...]:
    """Dips of the head that are lowest on some of the stressed syllables."""
    nods: list[Nod] = []
    for time in stressed:
        length, down = rng.uniform(0.3, 0.6), rng.uniform(0.3, 1.0) * nod_px
        free = not nods or time - length / 2 > nods[-1].end
        if nod_px > 0.0 and free and rng.random() < _NODDED:
            nods.append(Nod(time - length / 2, time + length / 2, down))
    return tuple(nods)


def _sides(unit: str) -> tuple[str, ...]:
    """Names among ``UNIT_NAMES`` of an action unit, or of one side of it."""
    return (unit,) if unit in _INDEX else (f"{unit}L", f"{unit}R")
