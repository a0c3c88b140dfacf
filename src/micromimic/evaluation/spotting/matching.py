"""How well found intervals match planted or annotated ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from micromimic.core.types import Interval
from micromimic.evaluation.spotting.protocol import matched, overlaps

POINTS: Final = ("onset", "apex", "offset")


@dataclass(frozen=True)
class Match:
    """One truth and one find that belong together."""

    truth: int  # truth, found: places in the sequences that were matched
    found: int
    iou: float  # overlap over union of their time
    onset_error: float  # onset_error, apex_error, offset_error: seconds, found less truth
    apex_error: float
    offset_error: float


@dataclass(frozen=True)
class SpottingScore:
    """Counts and errors of one or more videos."""

    planted: int  # planted, found: how many there are
    found: int
    pairs: tuple[Match, ...]  # matches
    duration_s: float  # seconds watched
    fps: float  # for errors in frames

    @property
    def recall(self) -> float:
        """Share of the planted that was found; NaN if nothing was planted."""
        return len(self.pairs) / self.planted if self.planted else math.nan

    @property
    def precision(self) -> float:
        """Share of the found that was planted; NaN if nothing was found."""
        return len(self.pairs) / self.found if self.found else math.nan

    @property
    def f1(self) -> float:
        """Harmonic mean of recall and precision: 2 TP / (planted + found)."""
        total = self.planted + self.found
        return 2 * len(self.pairs) / total if total else math.nan

    @property
    def false_per_minute(self) -> float:
        """Finds without a truth, a minute of video."""
        return 60.0 * (self.found - len(self.pairs)) / self.duration_s

    def median_error_frames(self, point: str = "apex") -> float:
        """Median absolute error of ``onset``, ``apex`` or ``offset``, frames; NaN without pairs."""
        errors = [abs(getattr(pair, f"{point}_error")) * self.fps for pair in self.pairs]
        return float(np.median(errors)) if errors else math.nan


def interval_iou(a: Interval, b: Interval) -> float:
    """Overlap over union of two intervals' time.

    >>> interval_iou(Interval(0.0, 0.1, 0.2), Interval(0.1, 0.2, 0.3))
    0.333...
    """
    return float(overlaps([a], [b])[0, 0])


def match_events(
    truth: Sequence[Interval],
    found: Sequence[Interval],
    min_iou: float = 0.5,
    *,
    duration_s: float,
    fps: float,
) -> SpottingScore:
    """Match one to one: the most matches, of those the most overlap.

    ``duration_s``: length of the video, seconds.

    >>> truth = [Interval(1.0, 1.2, 1.4), Interval(3.0, 3.1, 3.4)]
    >>> score = match_events(truth, [Interval(1.0, 1.21, 1.5)], duration_s=60.0, fps=200.0)
    >>> score.recall, score.precision, round(score.median_error_frames("apex"), 6)
    (0.5, 1.0, 2.0)
    """
    if not 0.0 < min_iou <= 1.0:
        raise ValueError(f"min_iou must be in (0, 1], got {min_iou}")
    if duration_s <= 0 or fps <= 0:
        raise ValueError(f"duration and fps must be above 0, got {duration_s} and {fps}")
    overlap = overlaps(truth, found)
    pairs = tuple(
        Match(
            i, j, float(overlap[i, j]),
            *(getattr(found[j], point) - getattr(truth[i], point) for point in POINTS),
        )
        for i, j in matched(truth, found, overlap, min_iou)
    )  # fmt: skip
    return SpottingScore(len(truth), len(found), pairs, duration_s, fps)


def pool(scores: Iterable[SpottingScore]) -> SpottingScore:
    """One score over several videos of one frame rate; places of pairs stay those in their video."""
    items = list(scores)
    if not items:
        raise ValueError("expected at least one score, got none")
    if len({score.fps for score in items}) > 1:
        raise ValueError(f"fps must be one, got {sorted({score.fps for score in items})}")
    return SpottingScore(
        planted=sum(score.planted for score in items),
        found=sum(score.found for score in items),
        pairs=tuple(pair for score in items for pair in score.pairs),
        duration_s=sum(score.duration_s for score in items),
        fps=items[0].fps,
    )


@dataclass(frozen=True)
class OracleSpotter:
    """A spotter that knows the truth: for testing whatever comes after spotting.

    >>> OracleSpotter([Interval(1.0, 1.2, 1.4)])()
    [Interval(onset=1.0, apex=1.2, offset=1.4)]
    """

    truth: Sequence[Interval]  # what it answers
    jitter: float = 0.0  # standard deviation by which onset, apex and offset are off, seconds
    miss: float = 0.0  # probability of missing an event
    seed: int = 0  # of jitter and misses

    def __call__(self) -> list[Interval]:
        """The truth, jittered and thinned."""
        rng = np.random.default_rng(self.seed)
        answers = []
        for interval in self.truth:
            missed = rng.random() < self.miss
            times = np.array([interval.onset, interval.apex, interval.offset])
            times = np.sort(np.maximum(times + rng.normal(0.0, self.jitter, 3), 0.0))
            if not missed:
                answers.append(Interval(*(float(t) for t in times)))
        return answers
