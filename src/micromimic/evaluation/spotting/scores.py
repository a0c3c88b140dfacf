"""All scores of spotting, as ``metrics.json`` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from micromimic.core.errors import InputError
from micromimic.core.types import ExpressionKind
from micromimic.evaluation.spotting.curve import chosen_thresholds, have_scores, kept
from micromimic.evaluation.spotting.matching import KINDS, SpottedVideo, places_of, spotting_metrics
from micromimic.evaluation.spotting.strs import strs_metrics

ALL: Final = "all"
"""Every database together."""


def kinds_of(videos: Sequence[SpottedVideo]) -> list[ExpressionKind]:
    """The kinds of expression that are annotated."""
    kinds = {span.kind for video in videos for span in video.truth}
    if not kinds:
        raise InputError("expected annotated events, got none; pass the table that has them")
    return [kind for kind in KINDS if kind in kinds]


def annotated(videos: Sequence[SpottedVideo]) -> tuple[SpottedVideo, ...]:
    """The videos without found events of a kind that their database does not annotate.

    Nobody knows whether those are false. In a database without any event all are.
    """
    kinds = {(video.dataset, span.kind) for video in videos for span in video.truth}
    neutral = {video.dataset for video in videos} - {dataset for dataset, _ in kinds}
    kinds |= {(dataset, kind) for dataset in neutral for _, kind in kinds}
    return tuple(
        replace(video, found=tuple(s for s in video.found if (video.dataset, s.kind) in kinds))
        for video in videos
    )


def thresholds_of(videos: Sequence[SpottedVideo]) -> dict[ExpressionKind, dict[str, float]] | None:
    """By kind and subject the threshold chosen on all other subjects.

    None where candidates have no scores, or there is one subject only.
    """
    if len(places_of(videos)) < 2 or not have_scores(videos):
        return None
    return {kind: chosen_thresholds(videos, kind) for kind in kinds_of(videos)}


def score_spotting(
    videos: Sequence[SpottedVideo],
    labels: Sequence[str] | None = None,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that the protocol scores; of a kind that a database does not annotate nothing
    counts.

    ``kinds``; ``candidates``: by database and for ``all`` the scores of `spotting_metrics`, and by
    kind ``strs`` as of `strs_metrics`; ``chosen``: the same with the threshold that was chosen on
    training subjects, and ``thresholds`` by kind and subject (None: nothing is left out), both None
    where none can be chosen.

    >>> from micromimic.evaluation.spotting import Span
    >>> video = SpottedVideo("lab", "1", "talk", (Span(10, 20),), (Span(11, 21), Span(90, 99)))
    >>> found = score_spotting([video])["candidates"]["all"]["micro"]
    >>> found["recall"], found["precision"]
    (1.0, 0.5)
    """
    kinds = kinds_of(videos)
    videos = annotated(videos)
    thresholds = thresholds_of(videos)

    def scored(these: Sequence[SpottedVideo]) -> dict[str, Any]:
        return {scope: _scope(part, labels, draws, seed) for scope, part in _scopes(these).items()}

    return {
        "kinds": list(kinds),
        "candidates": scored(videos),
        "chosen": None if thresholds is None else scored(kept(videos, thresholds)),
        "thresholds": thresholds
        and {
            kind: {who: None if value == float("-inf") else value for who, value in found.items()}
            for kind, found in thresholds.items()
        },
    }


def _scopes(videos: Sequence[SpottedVideo]) -> dict[str, list[SpottedVideo]]:
    datasets = sorted({video.dataset for video in videos})
    if ALL in datasets:
        raise InputError(f"expected databases by their names, got one named {ALL}; rename it")
    parts = {name: [video for video in videos if video.dataset == name] for name in datasets}
    return {ALL: list(videos), **(parts if len(parts) > 1 else {})}


def _scope(
    videos: Sequence[SpottedVideo], labels: Sequence[str] | None, draws: int, seed: int
) -> dict[str, Any]:
    kinds = {span.kind for video in videos for span in video.truth}
    found = spotting_metrics(videos, draws=draws, seed=seed)
    for kind in KINDS:
        if kind in kinds:
            found[kind]["strs"] = strs_metrics(videos, labels, kind, draws=draws, seed=seed)
        else:
            del found[kind]
    if len(kinds) < len(KINDS):
        del found["both"]
    return found
