"""What a threshold on the candidates' scores changes, and one chosen without the tested subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.types import ExpressionKind
from micromimic.evaluation.spotting.matching import (
    Counts,
    Span,
    SpottedVideo,
    count_spans,
    minutes_of,
    places_of,
    ratios,
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


def kept(
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
