"""Thresholds on the candidates' scores, and what choosing on the tested subjects claims.

Three ways are common in published code: the epoch, or the threshold, with the best F1 of each test
subject or of the pooled test results; and leaving out videos without an event, so that what is
falsely found in them does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.types import ExpressionKind
from micromimic.evaluation.spotting.matching import (
    KINDS,
    Counts,
    Span,
    SpottedVideo,
    count_spans,
    minutes_of,
    places_of,
    ratios,
    subject_counts,
    with_intervals,
)

if TYPE_CHECKING:
    import pandas as pd


class ByThreshold(NamedTuple):
    """Counts of each subject at each threshold: what scores as much or more is kept."""

    subjects: tuple[str, ...]
    thresholds: NDArray[np.float64]
    """(t,) ascending, from -inf, where all is kept, to inf, where nothing is."""
    counts: Counts
    """(subjects, t, 3)."""
    own: NDArray[np.bool_]
    """(subjects, t) whether one of the subject's candidates has this score."""


def have_scores(videos: Sequence[SpottedVideo]) -> bool:
    """Whether every candidate has a score, and there is one."""
    scores = [span.score for video in videos for span in video.found]
    return bool(scores) and None not in scores


def by_threshold(videos: Sequence[SpottedVideo], kind: ExpressionKind) -> ByThreshold:
    """Count at every threshold that changes anything."""
    place = places_of(videos)
    found = [(video, *video.of_kind(kind)) for video in videos]
    scores = [np.unique([_score(span) for span in spans]) for _, _, spans in found]
    grid = np.unique(np.concatenate([[-np.inf, np.inf], *scores]))
    counts = np.zeros((len(place), len(grid), 3), np.int64)
    own = np.zeros((len(place), len(grid)), bool)
    for (video, truth, spans), mine in zip(found, scores, strict=True):
        # Between two scores of its own nothing changes for a video.
        steps = [
            count_spans(truth, [span for span in spans if _score(span) >= least])
            for least in [*mine.tolist(), np.inf]
        ]
        row = place[video.who]
        counts[row] += np.array(steps)[np.searchsorted(mine, grid, side="left")]
        own[row] |= np.isin(grid, mine)
    return ByThreshold(tuple(place), grid, counts, own)


def threshold_curve(videos: Sequence[SpottedVideo], kind: ExpressionKind) -> pd.DataFrame:
    """Recall against false ones a minute over all thresholds that keep something, ascending.

    ``threshold``, ``tp``, ``fp``, ``fn``, ``precision``, ``recall``, ``f1``, ``false_per_minute``
    (NaN where a video's length is unknown).
    """
    import pandas as pd  # noqa: PLC0415 - slow to import

    steps = by_threshold(videos, kind)
    total, minutes = steps.counts.sum(0)[:-1], minutes_of(videos)
    rate = np.full(len(total), np.nan) if minutes is None else total[:, 1] / minutes.sum()
    columns = dict(zip(("tp", "fp", "fn"), total.T, strict=True))
    return pd.DataFrame(
        {"threshold": steps.thresholds[:-1], **columns, **ratios(total), "false_per_minute": rate}
    )


def chosen_thresholds(videos: Sequence[SpottedVideo], kind: ExpressionKind) -> dict[str, float]:
    """For each subject the threshold with the best F1 of all *other* subjects, pooled.

    Of equal ones it is the lowest. Neither the subject's events nor the scores of its candidates
    have any part in it.
    """
    steps = by_threshold(videos, kind)
    if len(steps.subjects) < 2:
        raise InputError(
            f"expected two subjects or more to choose a threshold, got {steps.subjects[0]} alone; "
            "score without a chosen threshold"
        )
    others = steps.counts.sum(0) - steps.counts
    # Thresholds between the others' scores would come from the tested subject.
    allowed = steps.own.sum(0) > steps.own
    allowed[:, 0] = True
    best = np.where(allowed, ratios(others)["f1"], -1.0).argmax(1)
    return dict(zip(steps.subjects, steps.thresholds[best].tolist(), strict=True))


def above_thresholds(
    videos: Sequence[SpottedVideo], thresholds: Mapping[ExpressionKind, Mapping[str, float]]
) -> tuple[SpottedVideo, ...]:
    """The videos with the candidates that reach their kind's threshold of their subject."""
    return tuple(
        replace(
            video,
            found=tuple(
                span
                for span in video.found
                if span.kind not in thresholds or _score(span) >= thresholds[span.kind][video.who]
            ),
        )
        for video in videos
    )


def _score(span: Span) -> float:
    if span.score is None:
        raise InputError(
            "expected a score of every candidate for a threshold, got one without; add a column "
            "score"
        )
    return span.score


CHOICES: Final = {
    "everything": "every candidate of the last epoch, nothing chosen",
    "training": "threshold chosen on training subjects",
    "threshold_overall": "one threshold for all, best on the test results",
    "threshold_subject": "best threshold of each test subject",
    "epoch_overall": "one epoch for all, best on the test results",
    "epoch_subject": "best epoch of each test subject",
    "without_empty": "videos without an event left out",
    "together": "best epoch and threshold of each test subject, videos without an event left out",
}
"""In words; the first two are honest."""
HONEST: Final = ("everything", "training")


@dataclass(frozen=True)
class Leak:
    """One way of choosing, and what it claims."""

    kind: ExpressionKind  # of expressions
    choice: str  # a key of `CHOICES`
    scores: Mapping[str, Any]  # ``tp``, ``fp``, ``fn``, ``precision``, ``recall``, ``f1``
    f1_ci95: list[float] | None  # over subjects, the choice kept; None with one subject
    added: float | None  # F1 beside the honest line; None for that line itself
    added_ci95: list[float] | None  # its interval

    @property
    def honest(self) -> bool:
        """Whether nothing looked at the tested subject's truth."""
        return self.choice in HONEST


def spotting_leaks(
    epochs: Mapping[int, Sequence[SpottedVideo]], *, draws: int = 2000, seed: int = 0
) -> list[Leak]:
    """Every choice that the candidates allow, by kind of expression.

    Beside the threshold chosen on training subjects, or beside every candidate where there are no
    scores, stands what each other choice would have claimed. Nobody can tell whether the last
    epoch was chosen on these subjects.
    """
    if not epochs:
        raise InputError("expected found events of one epoch or more, got none; log them")
    ordered = [tuple(epochs[number]) for number in sorted(epochs)]
    names = [[(video.key, video.truth) for video in videos] for videos in ordered]
    if any(other != names[0] for other in names[1:]):
        raise InputError("expected the same videos in every epoch; list all of them in each")
    leaks: list[Leak] = []
    for kind in KINDS:
        if any(span.kind == kind for video in ordered[0] for span in video.truth):
            leaks += _leaks(ordered, kind, draws, seed)
    return leaks


def _leaks(
    epochs: Sequence[Sequence[SpottedVideo]], kind: ExpressionKind, draws: int, seed: int
) -> list[Leak]:
    """All choices for one kind."""
    last, number = epochs[-1], KINDS.index(kind)
    scored = all(have_scores(videos) or not any(v.found for v in videos) for videos in epochs)
    thresholds = scored and len(places_of(last)) > 1
    honest = last
    counted: dict[str, Counts] = {"everything": subject_counts(last)[:, number]}
    if thresholds:
        honest = above_thresholds(last, {kind: chosen_thresholds(last, kind)})
        counted["training"] = subject_counts(honest)[:, number]
        steps = by_threshold(last, kind).counts
        counted["threshold_overall"] = steps[:, _best(steps.sum(0))]
        counted["threshold_subject"] = _best_of_each(steps)
    if len(epochs) > 1:
        each = np.stack([subject_counts(videos)[:, number] for videos in epochs], 1)
        counted["epoch_overall"] = each[:, _best(each.sum(0))]
        counted["epoch_subject"] = _best_of_each(each)
    counted["without_empty"] = subject_counts(_nothing_in_empty(honest))[:, number]
    if thresholds:
        every = [by_threshold(_nothing_in_empty(videos), kind).counts for videos in epochs]
        counted["together"] = _best_of_each(np.concatenate(every, 1))
    base = counted["training" if thresholds else "everything"]
    return [
        _leak(kind, choice, counts, None if counts is base else base, draws, seed)
        for choice, counts in counted.items()
    ]


def _leak(
    kind: ExpressionKind, choice: str, counts: Counts, base: Counts | None, draws: int, seed: int
) -> Leak:
    total = counts.sum(0)
    scores = dict(zip(("tp", "fp", "fn"), total.tolist(), strict=True))
    scores |= {name: float(value) for name, value in ratios(total).items()}

    def f1s(tallies: Counts) -> dict[str, NDArray[np.float64]]:
        f1 = _f1(tallies[..., :3])
        return {"f1": f1} if base is None else {"f1": f1, "added": f1 - _f1(tallies[..., 3:])}

    # one draw for both, so that the difference is paired
    both = counts if base is None else np.concatenate([counts, base], 1)
    found = with_intervals(both, f1s, draws, seed)
    return Leak(kind, choice, scores, found["f1_ci95"], found.get("added"), found.get("added_ci95"))


def _f1(counts: Counts) -> NDArray[np.float64]:
    return ratios(counts)["f1"]


def _best(options: Counts) -> int:
    """Place of the best F1 of (k, 3) counts; of equal ones the fewest false, then the first."""
    return int(np.lexsort((options[:, 1], -_f1(options)))[0])


def _best_of_each(options: Counts) -> Counts:
    """(subjects, 3) of (subjects, k, 3): each subject's own best."""
    return np.stack([row[_best(row)] for row in options])


def _nothing_in_empty(videos: Sequence[SpottedVideo]) -> list[SpottedVideo]:
    """What is found in videos without an event left out: as if they were not there."""
    return [video if video.truth else replace(video, found=()) for video in videos]
