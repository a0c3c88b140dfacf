"""An audit in words, tables and a figure: ``audit.md``, ``audit.json``, ``audit.png``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from micromimic.evaluation.article import COMPOSITE
from micromimic.evaluation.audit.epochs import (
    KINDS,
    PATIENCE,
    SELECTIONS,
    Audit,
    AuditRow,
    LabelKind,
    Selection,
)
from micromimic.evaluation.controls import MAJORITY
from micromimic.evaluation.markdown import (
    cell,
    columns_of,
    document,
    grid,
    score_cells,
    score_head,
    with_sign,
)
from micromimic.evaluation.report.plotting import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    drawing,
    save,
    small_print,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA: Final = "micromimic.audit/1"

CHOICES: Final[Mapping[Selection, str]] = {
    "last": "last epoch (honest)",
    "overall": "one best epoch for all subjects",
    "stopped": "early stopping on each test subject",
    "subject": "best epoch of each test subject",
}
"""Selections in words."""

LABELS: Final[Mapping[LabelKind, str]] = {"real": "true labels", "shuffled": "shuffled labels"}
"""What was trained on, in words."""

_COLOURS: Final[dict[LabelKind, str]] = {"real": BLUE, "shuffled": ORANGE}
CONTROL: Final = f"control: {MAJORITY}"


def sentences(audit: Audit) -> tuple[str, ...]:
    """What selection adds, in plain words: a sentence, and one on shuffled labels if there are."""
    honest, best = _two(audit, "real")
    runs = len(honest.by_run)
    mean = f", mean of {runs} runs" if runs > 1 else ""
    claim, base = (row.scores[COMPOSITE]["uf1"] for row in (best, honest))
    choice = "Keeping the best epoch of each test subject"
    if best.added is None or best.added["uf1"] <= 0:
        first = f"{choice} adds nothing here: UF1 {claim:.3f}, the last epoch's {base:.3f}{mean}."
    else:
        first = (
            f"{choice} claims UF1 {claim:.3f} where the last epoch has {base:.3f}{mean}: choosing "
            f"on the test data adds {_plus(best.added, 'uf1')}, which no new person would show."
        )
    if not audit.shuffles:
        return (first,)
    honest, best = _two(audit, "shuffled")
    claim, base = (row.scores[COMPOSITE]["uf1"] for row in (best, honest))
    control = ""
    if audit.control is not None:
        control = f", and the majority of each database {audit.control[COMPOSITE]['uf1']:.3f}"
    times = f"{audit.shuffles} shuffle{'' if audit.shuffles == 1 else 's'}"
    return (
        first,
        f"Trained on shuffled labels ({times}), which hold nothing to learn, the same choice "
        f"claims UF1 {claim:.3f}; the last epoch has {base:.3f} there{control}.",
    )


def score_rows(audit: Audit) -> Iterator[tuple[str, str, Mapping[str, Mapping[str, Any]]]]:
    """Lines of the table: labels, choice, scores by scope; the control last."""
    for row in audit.rows:
        yield LABELS[row.labels], CHOICES[row.selection], row.scores
    if audit.control is not None:
        yield "", CONTROL, audit.control


def audit_md(audit: Audit, name: str, notes: Sequence[str] = ()) -> str:
    """The content of ``audit.md``, with the name of the model or file, and further sentences."""
    scores = audit.rows[0].scores
    columns = columns_of([scores])
    head = ["Trained on", *score_head("Epoch chosen", columns)]
    lines = [
        [label, f"**{choice}**" if choice == CHOICES["last"] else choice, *score_cells(s, columns)]
        for label, choice, s in score_rows(audit)
    ]
    return document(
        "audit",
        name=cell(name),
        sentences=sentences(audit),
        clips=scores[COMPOSITE],
        epochs=len(audit.runs[0].epochs),
        runs=_runs_text(audit),
        notes=(*audit.notes, *notes),
        scores=grid(head, lines),
        added=_added_table(audit.rows),
        by_run=_run_table(audit.rows),
        patience=PATIENCE,
    )


def audit_json(audit: Audit, name: str, notes: Sequence[str] = ()) -> dict[str, Any]:
    """The content of ``audit.json``; scores by scope are as in metrics.json."""
    composite = audit.rows[0].scores[COMPOSITE]
    return {
        "schema": SCHEMA,
        "name": name,
        "clips": composite["n"],
        "subjects": composite["subjects"],
        "epochs": list(audit.runs[0].epochs),
        "summary": list(sentences(audit)),
        "notes": [*audit.notes, *notes],
        "rows": [
            {
                "labels": row.labels,
                "selection": row.selection,
                "scores": row.scores,
                "added": row.added,
                "runs": [
                    dict(zip(("seed", "shuffle", "uf1", "uar"), run, strict=True))
                    for run in row.by_run
                ],
            }
            for row in audit.rows
        ],
        "control": audit.control,
        "curves": [
            {"seed": run.seed, "shuffle": run.shuffle, "uf1": np.round(curve, 6).tolist()}
            for run, curve in zip(audit.runs, audit.curves, strict=True)
        ],
        "chosen": [
            {"seed": run.seed, "shuffle": run.shuffle, "subjects": counts.tolist()}
            for run, counts in zip(audit.runs, audit.chosen, strict=True)
        ],
    }


def _two(audit: Audit, labels: LabelKind) -> tuple[AuditRow, AuditRow]:
    """The honest line and that of the best epoch of each subject."""
    honest, best = audit.row(labels, "last"), audit.row(labels, "subject")
    if honest is None or best is None:
        raise ValueError(f"expected rows of {labels} labels in the audit, got none")
    return honest, best


def _plus(added: Mapping[str, Any], score: str) -> str:
    return with_sign(added[score], added[f"{score}_ci95"])


def _runs_text(audit: Audit) -> str:
    real = len(audit.runs) - audit.shuffles
    seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in audit.runs}))
    text = f"{real} run{'' if real == 1 else 's'} on true labels"
    if audit.shuffles:
        text += f" and {audit.shuffles} on shuffled ones"
    return f"{text} (seed{'' if ',' not in seeds else 's'} {seeds})"


def _added_table(rows: Sequence[AuditRow]) -> str:
    lines = [
        [LABELS[row.labels], CHOICES[row.selection], *(_plus(row.added, s) for s in ("uf1", "uar"))]
        for row in rows
        if row.added is not None
    ]
    return grid(["Trained on", "Epoch chosen", "UF1", "UAR"], lines)


def _run_table(rows: Sequence[AuditRow]) -> str:
    found: dict[tuple[int, int], list[str]] = {}
    for row in rows:  # selection by selection, each of the same runs
        for seed, shuffle, f1, recall in row.by_run:
            found.setdefault((shuffle, seed), []).append(f"{f1:.3f}/{recall:.3f}")
    lines = [
        [f"shuffle {shuffle}" if shuffle else "true labels", str(seed), *cells]
        for (shuffle, seed), cells in found.items()
    ]
    return grid(["Run", "Seed", *(f"{CHOICES[s]}, UF1/UAR" for s in SELECTIONS)], lines)


def audit_figure(audit: Audit, out: Path, *, name: str | None = None) -> tuple[Path, Path]:
    """Composite UF1 by epoch above, which epoch each test subject would keep below."""
    people = audit.rows[0].scores[COMPOSITE]
    with drawing(6.4, 5.2) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        for labels in KINDS:
            if audit.row(labels, "last") is not None:
                _draw_scores(upper, audit, labels)
        if audit.control is not None:
            value = float(audit.control[COMPOSITE]["uf1"])
            upper.axhline(value, color=GREY, linewidth=1.2, linestyle=":")
            words = f"majority of each database {value:.3f}"
            _label_line(upper, value, words, GREY, below=value > 0.1)  # else it is on the axis
        upper.set_ylim(0, 1)
        upper.set_ylabel("UF1, all clips")
        if name:
            upper.set_title(f"{name}: what choosing the epoch on the test data claims", pad=10)
        _legend(upper)
        _draw_chosen(lower, audit)
        small_print(
            figure,
            f"{people['n']} clips of {people['subjects']} subjects. Diamonds and dashed lines "
            "are claims, not results:",
            "every choice but the last epoch looks at the truth of the tested clips.",
        )
        return save(figure, out)


def _draw_scores(axes: Axes, audit: Audit, labels: LabelKind) -> None:
    """Curves of runs and their mean, the chosen points, and what the best epochs claim."""
    colour = _COLOURS[labels]
    epochs = audit.runs[0].epochs
    same = zip(audit.runs, audit.curves, strict=True)
    curves = [curve for run, curve in same if run.trained_on == labels]
    if len(curves) > 1:
        for curve in curves:
            axes.plot(epochs, curve, color=colour, linewidth=0.7, alpha=0.45)
    mean = np.mean(curves, axis=0)
    axes.plot(epochs, mean, color=colour, linewidth=1.8, label=LABELS[labels])
    for curve in curves:
        best = int(curve.argmax())
        axes.plot(epochs[best], curve[best], "D", color="white", markeredgecolor=colour,
                  markersize=5, zorder=3)  # fmt: skip
    axes.plot(epochs[-1], mean[-1], "o", color=colour, markeredgecolor=INK, markersize=6, zorder=4)
    axes.annotate(f"{mean[-1]:.3f}", (epochs[-1], mean[-1]), (7, 0), textcoords="offset points",
                  color=colour, va="center", annotation_clip=False)  # fmt: skip
    claimed = audit.row(labels, "subject")
    if claimed is not None:
        value = float(claimed.scores[COMPOSITE]["uf1"])
        axes.axhline(value, color=colour, linewidth=1.2, linestyle=(0, (5, 3)))
        words = f"best epoch of each test subject {value:.3f}, {LABELS[labels]}"
        _label_line(axes, value, words, colour)


def _label_line(axes: Axes, value: float, text: str, colour: str, *, below: bool = False) -> None:
    """Words on a level line, readable where a curve crosses them."""
    from matplotlib.patheffects import Normal, Stroke  # noqa: PLC0415 - belongs to an extra

    axes.annotate(
        text,
        (0.93, value),
        (0, -3 if below else 2),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        color=colour,
        fontsize=8,
        ha="right",
        va="top" if below else "bottom",
        path_effects=[Stroke(linewidth=3, foreground="white"), Normal()],
        zorder=5,
    )


def _legend(axes: Axes) -> None:
    from matplotlib.lines import Line2D  # noqa: PLC0415 - belongs to an extra

    handles, names = axes.get_legend_handles_labels()
    for marker, edge, fill in (("o", INK, GREY), ("D", GREY, "white")):
        point = Line2D([], [], marker=marker, markersize=5, color="white", linestyle="none",
                       markeredgecolor=edge, markerfacecolor=fill)  # fmt: skip
        handles.append(point)
    axes.legend(
        handles,
        [*names, "last epoch (honest)", "one best epoch for all"],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.02),
        ncols=4,
        columnspacing=1.4,
        handletextpad=0.5,
    )


def _draw_chosen(axes: Axes, audit: Audit) -> None:
    epochs = np.array(audit.runs[0].epochs)
    step = float(np.diff(epochs).min()) if len(epochs) > 1 else 1.0
    kinds = [k for k in _COLOURS if audit.row(k, "last") is not None]
    width = 0.8 * step / len(kinds)
    for place, labels in enumerate(kinds):
        same = zip(audit.runs, audit.chosen, strict=True)
        counts = [chosen for run, chosen in same if run.trained_on == labels]
        shift = (place - (len(kinds) - 1) / 2) * width
        axes.bar(epochs + shift, np.mean(counts, axis=0), width, color=_COLOURS[labels])
    axes.set_ylabel("subjects with\nthis best epoch")
    axes.set_xlabel("epoch")
