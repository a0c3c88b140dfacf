"""Scores of spotting in Markdown, and the curve of recall against false ones a minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from micromimic.core.types import ExpressionKind
from micromimic.evaluation.markdown import (
    NOTHING,
    cell,
    document,
    grid,
    title,
    with_range,
    with_sign,
)
from micromimic.evaluation.report.plotting import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    Paths,
    drawing,
    save,
    small_print,
)
from micromimic.evaluation.spotting.scores import ALL
from micromimic.evaluation.spotting.thresholds import CHOICES, Leak

if TYPE_CHECKING:
    import pandas as pd

CANDIDATES: Final = {"candidates": "every candidate", "chosen": "threshold of training subjects"}
"""Which candidates count, in words."""


def score_rows(metrics: Mapping[str, Any]) -> Iterator[list[str]]:
    """Lines of the table of spotting, of `score_spotting`: database, kind, candidates, scores."""
    for scope, kind, which, found in _parts(metrics, (*metrics["kinds"], "both")):
        yield [
            scope,
            kind,
            CANDIDATES[which],
            f"{found['tp']} of {found['events']}",
            str(found["fp"]),
            *(_score(found, name) for name in ("precision", "recall", "f1", "false_per_minute")),
        ]


SCORES: Final = (
    *("Database", "Kind", "Candidates", "Spotted", "False"),
    *("Precision", "Recall", "F1", "False a minute"),
)
"""Head of `score_rows`."""


def strs_rows(metrics: Mapping[str, Any]) -> Iterator[list[str]]:
    """Lines of the table of STRS, of `score_spotting`; none where no event has a class."""
    names = ("spotting_f1", "naming_precision", "naming_recall", "naming_f1", "uf1", "uar", "strs")
    for scope, kind, which, found in _parts(metrics, metrics["kinds"]):
        for rule, words in (("strict", "strict"), ("published", "as published")):
            if found["strs"] is not None:
                scores = found["strs"][rule]
                yield [
                    *(scope, kind, CANDIDATES[which], words, str(scores["named"])),
                    *(_score(scores, name) for name in names),
                ]


STRS: Final = (
    *("Database", "Kind", "Candidates", "Rule", "Named", "Spotting F1"),
    *("Naming precision", "Naming recall", "Naming F1", "UF1", "UAR", "STRS"),
)
"""Head of `strs_rows`."""


def spotting_md(metrics: Mapping[str, Any], name: str, notes: Sequence[str] = ()) -> str:
    """The content of ``tables.md``, of `score_spotting`, with the model's or file's name."""
    strs = list(strs_rows(metrics))
    return document(
        "spotting",
        name=cell(name),
        summary=summary(metrics),
        notes=notes,
        scores=grid(SCORES, list(score_rows(metrics))),
        strs=grid(STRS, strs) if strs else "",
    )


def summary(metrics: Mapping[str, Any]) -> str:
    """How much was scored, in a sentence."""
    found = metrics["candidates"][ALL]
    minutes = "" if found["minutes"] is None else f", {found['minutes']:.1f} minutes"
    people = f"{found['subjects']} subject{'' if found['subjects'] == 1 else 's'}"
    return (
        f"{found['videos']} videos ({found['videos_without_events']} without an event) of {people}"
        f"{minutes}."
    )


LEAKS: Final = ("Kind", "What is chosen, and how", "", "Precision", "Recall", "F1", "Added F1")
"""Head of `leak_rows`."""


def leak_rows(leaks: Sequence[Leak]) -> Iterator[list[str]]:
    """Lines of the table of an audit."""
    for leak in leaks:
        added = NOTHING if leak.added is None else with_sign(leak.added, leak.added_ci95)
        yield [
            leak.kind,
            CHOICES[leak.choice],
            "honest" if leak.honest else "claim",
            f"{leak.scores['precision']:.3f}",
            f"{leak.scores['recall']:.3f}",
            with_range(leak.scores["f1"], leak.f1_ci95),
            added,
        ]


def leak_sentence(leaks: Sequence[Leak], kind: ExpressionKind) -> str:
    """What the boldest choice claims for one kind."""
    mine = [leak for leak in leaks if leak.kind == kind]
    base = next(leak for leak in mine if leak.added is None)
    worst = max((leak for leak in mine if not leak.honest), key=lambda leak: leak.scores["f1"])
    claim, honest = worst.scores["f1"], base.scores["f1"]
    if claim <= honest:
        return f"No choice on the tested subjects adds to F1 {honest:.3f} ({kind})."
    return (
        f'"{CHOICES[worst.choice].capitalize()}" claims F1 {claim:.3f} ({kind}) where '
        f'"{CHOICES[base.choice]}" has {honest:.3f}: {claim - honest:+.3f}, which no new person '
        "would show."
    )


def leaks_md(leaks: Sequence[Leak], name: str, notes: Sequence[str] = ()) -> str:
    """The content of ``audit.md``, of `spotting_leaks` and the file's name."""
    return document(
        "leaks",
        name=cell(name),
        sentences=[leak_sentence(leaks, kind) for kind in dict.fromkeys(k.kind for k in leaks)],
        notes=notes,
        leaks=grid(LEAKS, list(leak_rows(leaks))),
    )


def curve_figure(
    curves: Mapping[ExpressionKind, pd.DataFrame],
    out: Path,
    *,
    chosen: Mapping[str, Any] | None = None,
) -> Paths:
    """Recall against false ones a minute, by kind as of `threshold_curve`, as PNG and SVG.

    ``chosen`` has the scores by kind with the threshold of training subjects.
    """
    with drawing(4.6, 3.8) as figure:
        axes = figure.subplots()
        for (kind, curve), colour in zip(curves.items(), (BLUE, ORANGE), strict=False):
            # to nothing found, which no threshold of the table leaves
            x = np.append(curve["false_per_minute"].to_numpy(), 0.0)
            y = np.append(curve["recall"].to_numpy(), 0.0)
            axes.step(x, y, where="post", color=colour, label=f"{kind}-expressions")
            if chosen is not None and chosen[kind]["false_per_minute"] is not None:
                point = (chosen[kind]["false_per_minute"], chosen[kind]["recall"])
                axes.plot(*point, "o", color=colour, markeredgecolor=INK, zorder=3)
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1)
        axes.set_xlabel("false ones a minute of video")
        axes.set_ylabel("recall")
        axes.grid(color=GREY, alpha=0.2)
        axes.legend(loc="upper left")
        small_print(
            figure,
            "Each threshold on the candidates' scores. Dots: chosen on training subjects.",
        )
        return save(figure, out)


def _parts(
    metrics: Mapping[str, Any], kinds: Sequence[str]
) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    for which in CANDIDATES:
        for scope, found in (metrics[which] or {}).items():
            name = "all" if scope == ALL else title(scope)
            yield from ((name, kind, which, found[kind]) for kind in kinds if kind in found)


def _score(found: Mapping[str, Any], name: str) -> str:
    value = found[name]
    return NOTHING if value is None else with_range(value, found[f"{name}_ci95"])
