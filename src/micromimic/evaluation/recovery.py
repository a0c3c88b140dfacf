"""Injection and recovery: what of the movements planted in a recording the pipeline finds again.

The rule of a match is that of a search, not of a measurement: a candidate that overlaps a planted
movement by 30 % of their union, or whose apex lies within .12 s of its apex, has found it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import THREE, LabelSet
from micromimic.core.results import ModelInfo
from micromimic.core.types import AnalysisWarning, Interval, SourceInfo
from micromimic.evaluation.agreement import binomial_interval
from micromimic.evaluation.metrics import confusion, uf1
from micromimic.evaluation.spotting import interval_iou

MIN_IOU: Final = 0.3
NEAR_APEX_S: Final = 0.12
RATIO_EDGES: Final = (0.0, 0.5, 0.8, 1.25, 2.0, math.inf)
"""Size over detection limit: the third bin is where half should be found."""
AT_LIMIT: Final = 2


@dataclass(frozen=True)
class Candidate:
    """What the pipeline reports."""

    interval: Interval
    label: str
    strength: float


@dataclass(frozen=True)
class Trial:
    """One movement planted at one size."""

    copy: int  # number of the copy of the recording, from 0
    interval: Interval  # seconds
    # size, size_px: largest displacement, canonical units; the same at the apex, image pixels
    size: float
    size_px: float
    label: str  # label, region, units: class, the part that moves most, FACS notation
    region: str
    units: tuple[str, ...]
    found: Candidate | None = None  # the candidate that found it; None where none did
    chance: bool = False  # the unplanted recording has a candidate there, too
    # size of which the analysis says that half of such movements would be found there and then;
    # None where it says that none would, or says nothing
    limit: float | None = None

    @property
    def ratio(self) -> float:
        """Size over limit; 0 without one."""
        return self.size / self.limit if self.limit else 0.0

    @property
    def distance_s(self) -> float | None:
        """From the planted apex to the found, seconds."""
        return None if self.found is None else self.found.interval.apex - self.interval.apex


@dataclass(frozen=True)
class Share:
    """So many found of so many; exact 95 % interval, from 0 to 1 where nothing was planted."""

    found: int
    planted: int

    @property
    def value(self) -> float:
        """The share; NaN where nothing was planted."""
        return self.found / self.planted if self.planted else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper and Pearson's."""
        return binomial_interval(self.found, self.planted) if self.planted else (0.0, 1.0)


@dataclass(frozen=True)
class Recovery:
    """What came back of one recording."""

    source: SourceInfo  # the recording, as far as it was read
    warnings: tuple[AnalysisWarning, ...]  # what weakens every result on it
    model: ModelInfo  # which named the candidates
    trials: tuple[Trial, ...]  # every movement at every size
    sizes: tuple[float, ...]  # canonical units, rising
    plain: tuple[Candidate, ...]  # candidates of the unplanted recording
    plain_per_minute: tuple[float, float]  # 95 % interval of their rate
    # by size, candidates of all planted copies that are neither planted nor in the unplanted
    # recording
    others: Mapping[float, int]
    eyes_px: float  # between the eyes, the median, image pixels
    seed: int  # of what is planted
    limited: bool = False  # the analysis gives detection limits

    @property
    def copies(self) -> int:
        """How many copies of the recording were planted at each size."""
        return 1 + max(trial.copy for trial in self.trials)

    @property
    def scale(self) -> float:
        """Image pixels a canonical unit, the median of the planted movements."""
        return float(np.median([trial.size_px / trial.size for trial in self.trials]))

    def at(self, size: float) -> list[Trial]:
        """The trials of one size."""
        return [trial for trial in self.trials if trial.size == size]

    def chance(self) -> Share:
        """The same moments with movements of size zero: what is found there by chance."""
        trials = self.at(self.sizes[0])
        return Share(sum(trial.chance for trial in trials), len(trials))


def matching(planted: Interval, candidates: Iterable[Candidate]) -> Candidate | None:
    """The candidate that finds a movement, the best of several; None where none does."""
    best, rank = None, (0.0, -math.inf)
    for candidate in candidates:
        overlap = interval_iou(planted, candidate.interval)
        distance = abs(candidate.interval.apex - planted.apex)
        if (overlap > MIN_IOU or distance < NEAR_APEX_S) and (overlap, -distance) > rank:
            best, rank = candidate, (overlap, -distance)
    return best


def share_of(trials: Iterable[Trial]) -> Share:
    """How many of some trials were found."""
    hits = [trial.found is not None for trial in trials]
    return Share(sum(hits), len(hits))


def shares_by(trials: Iterable[Trial], key: Callable[[Trial], str]) -> dict[str, Share]:
    """How many were found, by a property of the planted movement."""
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(key(trial), []).append(trial)
    return {name: share_of(group) for name, group in groups.items()}


def classes_of(
    trials: Iterable[Trial], labels: LabelSet = THREE
) -> tuple[NDArray[np.int64], float | None]:
    """(k, k) planted against found classes, and UF1 over those there are; None for nothing."""
    pairs = [(trial.label, trial.found.label) for trial in trials if trial.found is not None]
    truth, guess = [label for label, _ in pairs], [label for _, label in pairs]
    return confusion(truth, guess, labels), uf1(truth, guess) if pairs else None


def half_size(sizes: Sequence[float], shares: Sequence[float]) -> float | None:
    """The size of which half are found, between the sizes tried; None where it lies outside.

    The shares are made to rise (pooling neighbours that fall) and read on a scale of logarithms.

    >>> round(half_size([0.15, 0.3, 0.6], [0.1, 0.3, 0.9]), 3)
    0.378
    """
    rising = rising_shares(shares)
    for k in range(1, len(rising)):
        low, high = rising[k - 1], rising[k]
        if low < 0.5 <= high:
            part = (0.5 - low) / (high - low)
            return float(sizes[k - 1] * (sizes[k] / sizes[k - 1]) ** part)
    return None


def rising_shares(values: Sequence[float]) -> list[float]:
    """The nearest sequence that never falls, each value of equal weight.

    >>> rising_shares([0.25, 0.75, 0.25])
    [0.25, 0.5, 0.5]
    """
    from sklearn.isotonic import isotonic_regression  # noqa: PLC0415 - slow to load

    return [float(value) for value in isotonic_regression(np.asarray(values, np.float64))]


def calibration(trials: Iterable[Trial]) -> list[Share]:
    """How many were found where the analysis promised little, half, or much.

    Returns a share for each bin of ``RATIO_EDGES``; the first holds those without a limit, too.
    """
    bins: list[list[Trial]] = [[] for _ in RATIO_EDGES[1:]]
    for trial in trials:
        bins[int(np.searchsorted(RATIO_EDGES, trial.ratio, "right")) - 1].append(trial)
    return [share_of(group) for group in bins]
