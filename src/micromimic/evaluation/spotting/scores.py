"""All scores of spotting as ``metrics.json`` has them, the spot-then-recognise score (STRS) too.

STRS is F1 of spotting times F1 of naming what was spotted.

Liong, See and Chan, "Spot-then-recognize: A micro-expression analysis network for seamless
evaluation of long videos", doi 10.1016/j.image.2022.116875; written from that definition and from
what the metric that its authors published does. F1 of naming is the harmonic mean of macro
precision and macro recall over what was spotted; macro is over all classes that occur.

The published metric is lenient in three ways, and is computed so beside the strict one:

- subjects without a single prediction, and videos without an annotated event, are skipped: the
  events missed in the one and the false ones in the other do not count;
- whatever overlaps by half counts, so that one prediction may match several events, and several
  predictions one event;
- what it calls unweighted average recall (UAR) is the mean precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.types import ExpressionKind
from micromimic.evaluation.spotting.matching import (
    KINDS,
    MIN_IOU,
    SpottedVideo,
    divide,
    frame_iou,
    match_spans,
    places_of,
    ratios,
    spotting_metrics,
    with_intervals,
)
from micromimic.evaluation.spotting.thresholds import (
    above_thresholds,
    chosen_thresholds,
    have_scores,
)

Rule = Literal["strict", "published"]


def strs_metrics(
    videos: Sequence[SpottedVideo],
    labels: Sequence[str] | None = None,
    kind: ExpressionKind = "micro",
    *,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, dict[str, Any]] | None:
    """STRS of one kind of expression, ``strict`` and as ``published``; None where no event has a
    class.

    An event without a class is spotted or missed, and never named; a found one without a class is
    named wrongly. Classes are ``labels`` (the published score takes those that occur). Each has
    ``tp``, ``fp``, ``fn``, ``named`` (pairs that have a class), ``strs``, ``spotting_*`` and
    ``naming_precision``, ``_recall``, ``_f1``, ``uf1`` and ``uar``, the scores with ``_ci95``.
    """
    place = places_of(videos)
    pairs = [video.of_kind(kind) for video in videos]
    seen = sorted({s.label for spans in pairs for side in spans for s in side if s.label})
    if not any(span.label for truth, _ in pairs for span in truth):
        return None
    metrics: dict[str, dict[str, Any]] = {}
    rules: tuple[Rule, ...] = ("strict", "published")
    for rule in rules:
        names = seen if labels is None or rule == "published" else list(labels)
        tallies = _tallies(videos, place, names, kind, rule)
        tp, fp, fn, *named = tallies.sum(0).tolist()
        scores = partial(_scores, count=len(names), rule=rule)
        metrics[rule] = {
            "tp": tp,
            "fp": fp,
            "fn": fn,
            "named": sum(named),
            **with_intervals(tallies, scores, draws, seed),
        }
    return metrics


def _tallies(
    videos: Sequence[SpottedVideo],
    place: Mapping[str, int],
    names: Sequence[str],
    kind: ExpressionKind,
    rule: Rule,
) -> NDArray[np.int64]:
    """(subjects, 3 + L (L + 1)): matched, false, missed, then true by predicted class.

    The last predicted class is none of the names.
    """
    answered = {video.who for video in videos if video.of_kind(kind)[1]}
    number = {name: k for k, name in enumerate(names)}
    tallies = np.zeros((len(place), 3 + len(names) * (len(names) + 1)), np.int64)
    for video in videos:
        truth, found = video.of_kind(kind)
        if rule == "strict":
            pairs = match_spans(truth, found)
        elif truth and video.who in answered:
            pairs = [(int(i), int(j)) for i, j in np.argwhere(frame_iou(truth, found) >= MIN_IOU)]
        else:
            continue
        false = len(found) - len({j for _, j in pairs})
        missed = len(truth) - len({i for i, _ in pairs})
        row = tallies[place[video.who]]
        row[:3] += (len(pairs), false, missed)
        for i, j in pairs:
            true = number.get(truth[i].label or "")
            if true is not None:
                guess = number.get(found[j].label or "", len(names))
                row[3 + true * (len(names) + 1) + guess] += 1
    return tallies


def _scores(tallies: NDArray[Any], count: int, rule: Rule) -> dict[str, NDArray[np.float64]]:
    """All scores of (..., 3 + L (L + 1)) tallies."""
    table = tallies[..., 3:].reshape(*tallies.shape[:-1], count, count + 1)
    hits = np.diagonal(table, axis1=-2, axis2=-1).astype(np.float64)
    true, predicted = table.sum(-1), table[..., :count].sum(-2)
    precision, recall = divide(hits, predicted).mean(-1), divide(hits, true).mean(-1)
    spotting = ratios(tallies[..., :3])
    naming = divide(2 * precision * recall, precision + recall)
    return {
        "strs": spotting["f1"] * naming,
        **{f"spotting_{name}": value for name, value in spotting.items()},
        "naming_precision": precision,
        "naming_recall": recall,
        "naming_f1": naming,
        "uf1": divide(2 * hits, true + predicted).mean(-1),
        "uar": precision if rule == "published" else recall,
    }


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
        "chosen": None if thresholds is None else scored(above_thresholds(videos, thresholds)),
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
