"""The score after each epoch, with the epochs that each way of choosing takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from micromimic.evaluation.audit import Audit, LabelKind
from micromimic.evaluation.scores import COMPOSITE
from micromimic.reports.audit import LABELS
from micromimic.reports.plotting import BLUE, GREY, INK, ORANGE, drawing, save, small_print

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS: Final[dict[LabelKind, str]] = {"real": BLUE, "shuffled": ORANGE}


def audit_figure(audit: Audit, out: Path, *, name: str | None = None) -> tuple[Path, Path]:
    """Composite UF1 by epoch above, which epoch each test subject would keep below.

    Args:
        audit: of one model.
        out: path without an ending.
        name: of the model, for the title.

    Returns:
        The PNG and the SVG.

    Raises:
        MissingExtraError: without matplotlib.
        OutputError: if they cannot be written.
    """
    people = audit.rows[0].scores[COMPOSITE]
    with drawing(6.4, 5.2) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        kinds: tuple[LabelKind, ...] = ("real", "shuffled")
        for labels in kinds:
            if audit.row(labels, "last") is not None:
                _draw_scores(upper, audit, labels)
        if audit.control is not None:
            value = float(audit.control[COMPOSITE]["uf1"])
            upper.axhline(value, color=GREY, linewidth=1.2, linestyle=":")
            _tell(upper, value, f"majority of each database {value:.3f}", GREY, below=True)
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
    same = [k for k, run in enumerate(audit.runs) if (run.shuffle > 0) == (labels == "shuffled")]
    epochs = audit.runs[0].epochs
    curves = [audit.curves[k] for k in same]
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
        _tell(axes, value, f"best epoch of each test subject {value:.3f}, {LABELS[labels]}", colour)


def _tell(axes: Axes, value: float, text: str, colour: str, *, below: bool = False) -> None:
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
        point = Line2D([], [], color="white", linestyle="none", marker=marker, markersize=5)
        point.set_markeredgecolor(edge)
        point.set_markerfacecolor(fill)
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
    """How many subjects keep each epoch as their best, mean over runs."""
    epochs = np.array(audit.runs[0].epochs)
    step = float(np.diff(epochs).min()) if len(epochs) > 1 else 1.0
    kinds = [k for k in _COLOURS if audit.row(k, "last") is not None]
    width = 0.8 * step / len(kinds)
    for place, labels in enumerate(kinds):
        counts = [
            chosen
            for run, chosen in zip(audit.runs, audit.chosen, strict=True)
            if (run.shuffle > 0) == (labels == "shuffled")
        ]
        shift = (place - (len(kinds) - 1) / 2) * width
        axes.bar(epochs + shift, np.mean(counts, axis=0), width, color=_COLOURS[labels])
    axes.set_ylabel("subjects with\nthis best epoch")
    axes.set_xlabel("epoch")
