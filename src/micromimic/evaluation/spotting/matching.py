"""How well found intervals match planted or annotated ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from micromimic.core.errors import InputError
from micromimic.core.types import ExpressionKind, Interval
from micromimic.evaluation.resampling import quantiles, times_drawn

KINDS: Final[tuple[ExpressionKind, ...]] = ("micro", "macro")
MIN_IOU: Final = 0.5
"""Least overlap over union of a match: the challenges' rule."""

_TIE: Final = 1e-11

Counts = NDArray[np.int64]
"""(..., 3): matched, false and missed."""


@dataclass(frozen=True)
class Span:
    """One event, annotated or found, in frames of its video, the last one included.

    Examples
    --------
    >>> Span(10, 20, "macro").label is None
    True
    """

    onset: int  # onset, offset: its first and last frame
    offset: int
    kind: ExpressionKind = "micro"  # ``micro``, or ``macro`` for a longer expression
    label: str | None = None  # its class; None where nobody says
    # how sure the spotter is, more is surer; None of annotated events and where unknown
    score: float | None = None
    apex: int | None = None  # None where nobody says

    def __post_init__(self) -> None:
        if self.onset > self.offset:
            raise ValueError(f"expected onset <= offset, got {self.onset} and {self.offset}")


Event = Span | Interval


@dataclass(frozen=True)
class SpottedVideo:
    """What is annotated in one video and what was found in it.

    Examples
    --------
    >>> SpottedVideo("lab", "006", "talk", truth=(), found=(Span(10, 20),)).key
    'lab/006/talk'
    """

    dataset: str  # dataset, subject, video: names
    subject: str
    video: str
    truth: tuple[Span, ...]  # truth, found: events; none of either is an answer too
    found: tuple[Span, ...]
    minutes: float | None = None  # its length; None where unknown

    @property
    def who(self) -> str:
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> str:
        return f"{self.who}/{self.video}"

    def of_kind(self, kind: ExpressionKind) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        return (
            tuple(span for span in self.truth if span.kind == kind),
            tuple(span for span in self.found if span.kind == kind),
        )


def frame_iou(truth: Sequence[Span], found: Sequence[Span]) -> NDArray[np.float64]:
    """(n, m) overlap over union of the frames of n and m events.

    >>> frame_iou([Span(10, 19)], [Span(15, 19), Span(15, 34), Span(20, 29)])
    array([[0.5, 0.2, 0. ]])
    """
    return overlaps(truth, found, 1)


def overlaps(
    truth: Sequence[Event], found: Sequence[Event], unit: float = 0
) -> NDArray[np.float64]:
    """(n, m) overlap over union in time; an event lasts ``unit`` longer than its ends say."""
    starts = [[event.onset for event in events] for events in (truth, found)]
    ends = [[event.offset + unit for event in events] for events in (truth, found)]
    shared = np.minimum.outer(*ends) - np.maximum.outer(*starts)
    # where two overlap, this is their union
    hull = np.maximum.outer(*ends) - np.minimum.outer(*starts)
    return divide(np.maximum(shared, 0), hull)


def match_spans(truth: Sequence[Span], found: Sequence[Span]) -> list[tuple[int, int]]:
    """Places of truth and found that belong together; see `matched`.

    >>> match_spans([Span(0, 9), Span(10, 19)], [Span(11, 20), Span(4, 15)])
    [(1, 0)]
    """
    return matched(truth, found, frame_iou(truth, found), MIN_IOU)


def matched(
    truth: Sequence[Event], found: Sequence[Event], overlap: NDArray[np.float64], least: float
) -> list[tuple[int, int]]:
    """Places of n and m events that belong together, one to one, by their (n, m) overlap.

    The most matches, of those the most overlap, and of equal ones the earlier events, so that
    nothing depends on the order of a file.
    """
    fits = overlap >= least
    if not fits.any():
        return []
    early = -np.add.outer(_ranks(truth), _ranks(found)).astype(np.float64)
    early += np.outer(_ranks(truth), _ranks(found)) / fits.size  # not crossed
    # A match outweighs all overlap together, and overlap whatever is early.
    worth = np.where(fits, min(fits.shape) + 1 + overlap + _TIE * early, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if fits[i, j]]


def _ranks(events: Sequence[Event]) -> NDArray[np.int64]:
    """(n,) place of each in the order of time."""
    order = sorted(range(len(events)), key=lambda k: (events[k].onset, events[k].offset))
    return np.argsort(order)


def count_spans(truth: Sequence[Span], found: Sequence[Span]) -> tuple[int, int, int]:
    pairs = len(match_spans(truth, found))
    return pairs, len(found) - pairs, len(truth) - pairs


def places_of(videos: Sequence[SpottedVideo]) -> dict[str, int]:
    """Number of each subject, qualified, in the order of the videos."""
    if not videos:
        raise InputError("expected videos to score, got none; list them")
    keys = [video.key for video in videos]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"expected each video once, got {twice} twice; remove one")
    return {who: k for k, who in enumerate(dict.fromkeys(video.who for video in videos))}


def subject_counts(videos: Sequence[SpottedVideo]) -> Counts:
    """(subjects, kinds, 3) counts, subjects as in `places_of`, kinds as in `KINDS`."""
    place = places_of(videos)
    counts = np.zeros((len(place), len(KINDS), 3), np.int64)
    for video in videos:
        for number, kind in enumerate(KINDS):
            counts[place[video.who], number] += count_spans(*video.of_kind(kind))
    return counts


def ratios(counts: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Precision, recall and F1 of (..., 3) counts.

    >>> {name: value.round(3).tolist() for name, value in ratios(np.array([2, 1, 3])).items()}
    {'precision': 0.667, 'recall': 0.4, 'f1': 0.5}
    """
    hit, false, missed = np.moveaxis(np.asarray(counts, np.float64), -1, 0)
    return {
        "precision": divide(hit, hit + false),
        "recall": divide(hit, hit + missed),
        "f1": divide(2 * hit, 2 * hit + false + missed),
    }


def divide(over: NDArray[Any], under: NDArray[Any]) -> NDArray[np.float64]:
    """A ratio; of nothing it is 0."""
    empty = np.zeros(np.broadcast(over, under).shape)
    return np.asarray(np.divide(over, under, out=empty, where=under > 0), np.float64)


def with_intervals(
    tallies: NDArray[Any],
    scores: Callable[[NDArray[Any]], Mapping[str, NDArray[np.float64]]],
    draws: int,
    seed: int,
) -> dict[str, Any]:
    """Scores of all subjects together, and the ``_ci95`` of each when subjects are drawn anew.

    ``tallies``: (subjects, 3 or more), the first three the counts.
    """
    found: dict[str, Any] = {n: float(v) for n, v in scores(tallies.sum(0)).items()}
    times = times_drawn(len(tallies), draws, np.random.default_rng(seed))
    drawn = np.tensordot(times, tallies, 1)
    drawn = drawn[drawn[:, 0] + drawn[:, 2] > 0]
    if len(tallies) < 2 or not len(drawn):
        return found | {f"{name}_ci95": None for name in found}
    return found | {f"{n}_ci95": list(quantiles(v)) for n, v in scores(drawn).items()}


def spotting_metrics(
    videos: Sequence[SpottedVideo], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Scores by kind, and of ``both``, which adds their counts; subjects are drawn for intervals.

    ``videos``, ``videos_without_events``, ``subjects``, ``minutes`` (None where one is unknown),
    and by kind ``events``, ``found``, ``tp``, ``fp``, ``fn``, ``precision``, ``recall``, ``f1``,
    ``false_per_minute`` (None without minutes), the scores each with ``_ci95``.
    """
    counts, minutes = subject_counts(videos), minutes_of(videos)

    def scores(tallies: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        rate = {} if minutes is None else {"false_per_minute": _rate(tallies)}
        return {**ratios(tallies[..., :3]), **rate}

    metrics: dict[str, Any] = {
        "videos": len(videos),
        "videos_without_events": sum(not video.truth for video in videos),
        "subjects": len(counts),
        "minutes": None if minutes is None else float(minutes.sum()),
    }
    by_kind = [counts[:, number] for number in range(len(KINDS))]
    for scope, mine in zip((*KINDS, "both"), (*by_kind, counts.sum(1)), strict=True):
        hit, false, missed = mine.sum(0).tolist()
        tallies = mine if minutes is None else np.column_stack([mine, minutes])
        metrics[scope] = {
            "events": hit + missed,
            "found": hit + false,
            "tp": hit,
            "fp": false,
            "fn": missed,
            "false_per_minute": None,
            "false_per_minute_ci95": None,
            **with_intervals(tallies, scores, draws, seed),
        }
    return metrics


def _rate(tallies: NDArray[Any]) -> NDArray[np.float64]:
    """False ones a minute, of (..., 4) counts and minutes."""
    return divide(tallies[..., 1], tallies[..., 3])


def minutes_of(videos: Sequence[SpottedVideo]) -> NDArray[np.float64] | None:
    """(subjects,) minutes of each; None where a video's length is unknown."""
    place = places_of(videos)
    minutes = np.zeros(len(place))
    for video in videos:
        if video.minutes is None:
            return None
        minutes[place[video.who]] += video.minutes
    return minutes


POINTS: Final = ("onset", "apex", "offset")


@dataclass(frozen=True)
class Match:
    """One truth and one find, by their places, and how far apart their ends are."""

    truth: int  # truth, found: places in the sequences that were matched
    found: int
    iou: float  # overlap over union of their time
    onset_error: float  # onset_error, apex_error, offset_error: seconds, found less truth
    apex_error: float
    offset_error: float


@dataclass(frozen=True)
class SpottingScore:
    """Matches and errors of one or more videos; see `match_events`."""

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
    """Match intervals, in seconds, one to one: the most matches, of those the most overlap.

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
    """One score over several videos of one frame rate; places of pairs stay their video's."""
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
