"""What choosing on the tested subjects claims for spotting, beside the honest figure.

Three ways are common in published code: the epoch, or the threshold, with the best F1 of each test
subject or of the pooled test results; and leaving out videos without an event, so that what is
falsely found in them does not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.types import ExpressionKind
from micromimic.evaluation.spotting.curve import by_threshold, chosen_thresholds, have_scores, kept
from micromimic.evaluation.spotting.matching import (
    KINDS,
    Counts,
    SpottedVideo,
    places_of,
    ratios,
    subject_counts,
    with_intervals,
)

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
        honest = kept(last, {kind: chosen_thresholds(last, kind)})
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
