"""Precision, recall and F1 of spotting, as the micro-expression grand challenges (MEGC) count them.

A found interval matches an event of its kind where their frames, first and last included, overlap
by half of their union; one to one. What is matched, false and missed is added up over all videos of
all subjects before any ratio is taken, and a video without an event counts its false ones. A ratio
of nothing is 0, as in scikit-learn's ``zero_division=0``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from micromimic.errors import InputError
from micromimic.types import ExpressionKind

KINDS: Final[tuple[ExpressionKind, ...]] = ("micro", "macro")
MIN_IOU: Final = 0.5
"""Least overlap over union of a match: the challenges' rule."""

_TIE: Final = 1e-11

Counts = NDArray[np.int64]
"""(..., 3): matched, false and missed."""


@dataclass(frozen=True)
class Span:
    """One event, annotated or found, in frames of its video.

    Args:
        onset, offset: its first and last frame.
        kind: ``micro``, or ``macro`` for a longer expression.
        label: its class; None where nobody says.
        score: how sure the spotter is, more is surer; None of annotated events and where unknown.
        apex: None where nobody says.

    Raises:
        ValueError: if it ends before it begins.
    """

    onset: int
    offset: int
    kind: ExpressionKind = "micro"
    label: str | None = None
    score: float | None = None
    apex: int | None = None

    def __post_init__(self) -> None:
        if self.onset > self.offset:
            raise ValueError(f"expected onset <= offset, got {self.onset} and {self.offset}")


@dataclass(frozen=True)
class SpottedVideo:
    """What is annotated in one video and what was found in it.

    Args:
        dataset, subject, video: names.
        truth, found: events; none of either is an answer too.
        minutes: its length; None where unknown.
    """

    dataset: str
    subject: str
    video: str
    truth: tuple[Span, ...]
    found: tuple[Span, ...]
    minutes: float | None = None

    @property
    def who(self) -> str:
        """The subject, qualified by the database."""
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> str:
        """The video, qualified by database and subject."""
        return f"{self.who}/{self.video}"

    def of_kind(self, kind: ExpressionKind) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        """Truth and found of one kind."""
        return (
            tuple(span for span in self.truth if span.kind == kind),
            tuple(span for span in self.found if span.kind == kind),
        )


def frame_iou(truth: Sequence[Span], found: Sequence[Span]) -> NDArray[np.float64]:
    """(n, m) overlap over union of the frames of n and m events.

    >>> frame_iou([Span(10, 19)], [Span(15, 19), Span(15, 34), Span(20, 29)])
    array([[0.5, 0.2, 0. ]])
    """
    a, b = (
        np.array([(span.onset, span.offset) for span in spans], np.int64).reshape(-1, 2)
        for spans in (truth, found)
    )
    first = np.maximum(a[:, None, 0], b[None, :, 0])
    shared = np.maximum(np.minimum(a[:, None, 1], b[None, :, 1]) - first + 1, 0)
    lengths = (np.diff(a) + 1) + (np.diff(b) + 1).T
    return np.asarray(shared / (lengths - shared), np.float64)


def match_spans(truth: Sequence[Span], found: Sequence[Span]) -> list[tuple[int, int]]:
    """Places of truth and found that belong together.

    The most matches, of those the most overlap, and of equal ones the earlier events, so that
    nothing depends on the order of a file.

    >>> match_spans([Span(0, 9), Span(10, 19)], [Span(11, 20), Span(4, 15)])
    [(1, 0)]
    """
    overlap = frame_iou(truth, found)
    fits = overlap >= MIN_IOU
    if not fits.any():
        return []
    early = -np.add.outer(_ranks(truth), _ranks(found)).astype(np.float64)
    early += np.outer(_ranks(truth), _ranks(found)) / fits.size  # not crossed
    # A match outweighs all overlap together, and overlap whatever is early.
    worth = np.where(fits, min(fits.shape) + 1 + overlap + _TIE * early, 0.0)
    rows, columns = linear_sum_assignment(worth, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if fits[i, j]]


def _ranks(spans: Sequence[Span]) -> NDArray[np.int64]:
    """(n,) place of each in the order of time."""
    order = sorted(range(len(spans)), key=lambda k: (spans[k].onset, spans[k].offset))
    return np.argsort(order)


def count_spans(truth: Sequence[Span], found: Sequence[Span]) -> tuple[int, int, int]:
    """Matched, false and missed of one video and kind."""
    pairs = len(match_spans(truth, found))
    return pairs, len(found) - pairs, len(truth) - pairs


def subjects_of(videos: Sequence[SpottedVideo]) -> list[str]:
    """The subjects, qualified, in the order of the videos.

    Raises:
        InputError: if there is no video, or one twice.
    """
    if not videos:
        raise InputError("expected videos to score, got none; list them")
    keys = [video.key for video in videos]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"expected each video once, got {twice} twice; remove one")
    return list(dict.fromkeys(video.who for video in videos))


def subject_counts(videos: Sequence[SpottedVideo]) -> Counts:
    """(subjects, kinds, 3) counts, subjects as in `subjects_of`, kinds as in `KINDS`."""
    place = {who: number for number, who in enumerate(subjects_of(videos))}
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


def redrawn(values: NDArray[Any], draws: int, seed: int) -> NDArray[np.float64]:
    """(draws, ...) sums of (subjects, ...) values over subjects drawn anew with replacement."""
    people = len(values)
    picks = np.random.default_rng(seed).integers(people, size=(draws, people))
    times = np.zeros((draws, people))
    np.add.at(times, (np.arange(draws)[:, None], picks), 1)
    return np.asarray(np.tensordot(times, values, 1), np.float64)


def ends(values: NDArray[np.float64]) -> list[float]:
    """The 95 % interval of resampled values."""
    return [float(end) for end in np.quantile(values, [0.025, 0.975])]


def with_events(drawn: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    """The draws that hold an event; of others nothing can be said. None where there are none.

    Args:
        drawn: (draws, 3 or more), the first three the counts; None of one subject.
    """
    if drawn is None:
        return None
    left = drawn[drawn[:, 0] + drawn[:, 2] > 0]
    return left if len(left) else None


def with_intervals(
    values: Mapping[str, NDArray[np.float64]], drawn: Mapping[str, NDArray[np.float64]] | None
) -> dict[str, Any]:
    """Each score and its ``_ci95``; None where there is one subject only."""
    found: dict[str, Any] = {name: float(value) for name, value in values.items()}
    return found | {f"{name}_ci95": None if drawn is None else ends(drawn[name]) for name in values}


def spotting_metrics(
    videos: Sequence[SpottedVideo], *, draws: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Scores by kind, and of both kinds together.

    Intervals draw whole subjects anew; a draw without an event of the kind is left out.

    Both together adds the counts of the two: a found micro-expression never matches a macro one.

    Args:
        videos: all of them, those without an event too.
        draws: of the bootstrap.
        seed: of the draws.

    Returns:
        ``videos``, ``videos_without_events``, ``subjects``, ``minutes`` (None where one is
        unknown), and for ``micro``, ``macro`` and ``both`` ``events``, ``found``, ``tp``, ``fp``,
        ``fn``, ``precision``, ``recall``, ``f1``, ``false_per_minute`` (None without minutes), the
        scores each with ``_ci95``.

    Raises:
        InputError: if there is no video, or one twice.
    """
    people = subjects_of(videos)
    counts = subject_counts(videos)
    counts = np.concatenate([counts, counts.sum(1, keepdims=True)], 1)
    minutes = minutes_of(videos)
    total = counts.sum(0)
    lengths = np.zeros(len(people)) if minutes is None else minutes
    # a draw: counts, and the minutes that they are from
    each = np.concatenate(
        [counts, np.broadcast_to(lengths[:, None, None], (*counts.shape[:2], 1))], 2
    )
    drawn = redrawn(each, draws, seed) if len(people) > 1 else None
    metrics: dict[str, Any] = {
        "videos": len(videos),
        "videos_without_events": sum(not video.truth for video in videos),
        "subjects": len(people),
        "minutes": None if minutes is None else float(minutes.sum()),
    }
    for number, scope in enumerate((*KINDS, "both")):
        hit, false, missed = total[number].tolist()
        values = ratios(total[number])
        left = with_events(None if drawn is None else drawn[:, number])
        again = None if left is None else ratios(left[:, :3])
        if minutes is not None:
            values["false_per_minute"] = divide(total[number, 1], minutes.sum())
            if again is not None and left is not None:
                again["false_per_minute"] = divide(left[:, 1], left[:, 3])
        metrics[scope] = {
            "events": hit + missed,
            "found": hit + false,
            **dict(zip(("tp", "fp", "fn"), (hit, false, missed), strict=True)),
            "false_per_minute": None,
            "false_per_minute_ci95": None,
            **with_intervals(values, again),
        }
    return metrics


def minutes_of(videos: Sequence[SpottedVideo]) -> NDArray[np.float64] | None:
    """(subjects,) minutes of each; None where a video's length is unknown."""
    place = {who: number for number, who in enumerate(subjects_of(videos))}
    minutes = np.zeros(len(place))
    for video in videos:
        if video.minutes is None:
            return None
        minutes[place[video.who]] += video.minutes
    return minutes
