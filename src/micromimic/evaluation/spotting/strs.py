"""The spot-then-recognise score (STRS): F1 of spotting times F1 of naming what was spotted.

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
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.core.types import ExpressionKind
from micromimic.evaluation.spotting.matching import (
    MIN_IOU,
    SpottedVideo,
    divide,
    frame_iou,
    match_spans,
    places_of,
    ratios,
    with_intervals,
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
    true, said = table.sum(-1), table[..., :count].sum(-2)
    precision, recall = divide(hits, said).mean(-1), divide(hits, true).mean(-1)
    spotting = ratios(tallies[..., :3])
    naming = divide(2 * precision * recall, precision + recall)
    return {
        "strs": spotting["f1"] * naming,
        **{f"spotting_{name}": value for name, value in spotting.items()},
        "naming_precision": precision,
        "naming_recall": recall,
        "naming_f1": naming,
        "uf1": divide(2 * hits, true + said).mean(-1),
        "uar": precision if rule == "published" else recall,
    }
