"""Figures of a run and of a motion curve: PNG for documents, SVG for print.

Figures 5 and 3 of the article, and how far a run's answers can be relied on. Each takes a path
without an ending and returns the PNG and the SVG; rows are those of one run, each clip once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import LabelSet
from micromimic.evaluation.article import RECALLS, is_full_composite
from micromimic.evaluation.markdown import with_sign
from micromimic.evaluation.metrics import (
    Bin,
    calibration_error,
    confusion,
    reliability_bins,
    uar,
    uf1,
)
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.reliability import classes_gone, coverage_curve, gain_at
from micromimic.evaluation.report.plotting import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    RED,
    SKY,
    Paths,
    bare,
    drawing,
    save,
    small_print,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def confusion_figure(
    rows: Predictions,
    out: Path,
    *,
    title: str | None = None,
    beside_article: bool | None = None,
) -> Paths:
    """Figure 5: counts, and recalls on the diagonal.

    The article's recalls stand below where the clips are those of the full composite by number;
    pass ``beside_article=False`` for synthetic ones.
    """
    clips = rows.one_run()
    truth, guess, labels = clips.truth, clips.guess, clips.labels
    table = confusion(truth, guess, labels)
    people = len(set(clips.who))
    lines = [
        f"{len(clips)} clips of {people} {'subject' if people == 1 else 'subjects'}, pooled over "
        f"folds: UF1 {uf1(truth, guess, labels):.3f}, UAR {uar(truth, guess, labels):.3f}.",
        "Shares are of each row; on the diagonal they are recalls.",
    ]
    if is_full_composite(clips) if beside_article is None else beside_article:
        recalls = ", ".join(f"{v:.3f} {n}" for v, n in zip(RECALLS, labels, strict=True))
        lines.append(f"The article's recalls: {recalls}.")
    more = 0.9 * max(0, len(labels) - 3)  # a cell is as large with seven classes as with three
    with drawing(4.6 + more, 4.5 + more) as figure:
        axes = figure.add_subplot()
        _draw_matrix(axes, table, labels)
        if title:
            axes.set_title(title, pad=10)
        small_print(figure, *lines)
        return save(figure, out)


def _draw_matrix(axes: Axes, table: NDArray[np.int64], labels: LabelSet) -> None:
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for i, j in np.ndindex(*table.shape):
        colour = "white" if shares[i, j] > 0.55 else INK
        text: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
        weight = "bold" if i == j else "normal"
        axes.text(j, i - 0.06, str(table[i, j]), fontsize=15, fontweight=weight, **text)
        if table[i].sum():
            axes.text(j, i + 0.24, f"{shares[i, j]:.3f}", **text)
    bare(axes)
    edges = np.arange(len(labels) + 1) - 0.5
    axes.hlines(edges, edges[0], edges[-1], color="white", linewidth=2)
    axes.vlines(edges, edges[0], edges[-1], color="white", linewidth=2)
    axes.set_xticks(range(len(labels)), labels.names)
    names = [f"{name}\nn = {n}" for name, n in zip(labels, table.sum(1), strict=True)]
    axes.set_yticks(range(len(labels)), names)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")


def curve_figure(
    curve: NDArray[np.floating],
    annotated_apex: int | None,
    spotted_apex: int | None,
    fps: float | None,
    out: Path,
    *,
    title: str | None = None,
) -> Paths:
    """Figure 3: M(t) from onset to offset, (T,), with the annotated apex as a red line.

    Apexes are frames of the curve, None leaves the line out; without ``fps`` frames are counted.
    """
    with drawing(6.4, 3.2) as figure:
        axes = figure.add_subplot()
        draw_curve(axes, curve, annotated_apex, spotted_apex, fps)
        axes.set_ylabel("M(t), mean over the cells")
        axes.set_xlabel("frames from onset" if fps is None else "time from onset (s)")
        if fps is not None:
            both_ways = partial(np.multiply, fps), partial(np.multiply, 1 / fps)
            top = axes.secondary_xaxis("top", functions=both_ways)
            top.set_xlabel("frames from onset")
        if title:
            axes.set_title(title, pad=10)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
        return save(figure, out)


def draw_curve(
    axes: Axes,
    curve: NDArray[np.floating],
    annotated: int | None,
    spotted: int | None,
    fps: float | None,
) -> None:
    """M(t), the annotated apex as a red line, the spotted one dashed with a dot on the curve."""
    values = np.asarray(curve, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"curve must be (T,) finite numbers, T from 2, got {values.shape}")
    for apex in (annotated, spotted):
        if apex is not None and not 0 <= apex < len(values):
            raise ValueError(f"expected an apex from 0 to {len(values) - 1}, got {apex}")
    unit = 1.0 if fps is None else 1.0 / fps
    axes.plot(np.arange(len(values)) * unit, values, color=BLUE, linewidth=1.6, label="M(t)")
    if annotated is not None:
        axes.axvline(annotated * unit, color=RED, linewidth=1.8, label="annotated apex")
    if spotted is not None:
        axes.axvline(spotted * unit, color=INK, linewidth=1.2, linestyle=(0, (4, 3)),
                     label="spotted apex")  # fmt: skip
        axes.plot(spotted * unit, values[spotted], "o", color=ORANGE, markeredgecolor=INK,
                  markersize=5)  # fmt: skip
    axes.margins(x=0.012)  # an apex at the onset is not to hide behind the axis


def reliability_figure(rows: Predictions, out: Path, *, title: str | None = None) -> Paths:
    """Reliability diagram: accuracy against confidence, and how many clips are how sure."""
    run = rows.one_run()
    truth, p, labels = run.truth, run.probabilities, run.labels
    bins = reliability_bins(truth, p, labels=labels)
    mass = calibration_error(reliability_bins(truth, p, by="mass", labels=labels))
    with drawing(4.4, 5.0) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
        _draw_bins(upper, bins)
        if title:
            upper.set_title(title, pad=24)
        centres, widths = _places(bins)
        lower.bar(centres, [group.n for group in bins], widths, color=GREY, edgecolor="white")
        lower.set_ylabel("clips")
        lower.set_xlabel("probability of the class that was named")
        lower.set_xlim(1 / len(labels) - 0.1 / 3, 1.0)
        small_print(
            figure,
            f"{len(p)} clips. Expected calibration error {calibration_error(bins):.3f} (equal "
            f"width), {mass:.3f} (equal mass).",
            "Bars below the line: surer than right. Lines on the bars: 95 % of luck, were the",
            "model calibrated there.",
        )
        return save(figure, out)


def coverage_figure(rows: Predictions, out: Path, *, title: str | None = None) -> Paths:
    """Coverage curve: UF1, UAR and accuracy of the surest clips against their share.

    A ring is where no clip of a class is left, which from there on counts 0 in UF1 and UAR.
    """
    run = rows.one_run()
    points, gain, gone = coverage_curve(run), gain_at(run), classes_gone(run)
    share = [point.coverage for point in points]
    with drawing(5.4, 3.7) as figure:
        axes = figure.add_subplot()
        axes.axvline(gain.coverage, color=GREY, linewidth=0.8, linestyle=":")
        for name, colour, values in (
            ("UF1", BLUE, [point.uf1 for point in points]),
            ("UAR", ORANGE, [point.uar for point in points]),
            ("accuracy", GREY, [point.accuracy for point in points]),
        ):
            axes.plot(share, values, color=colour, label=name, linewidth=1.8)
        for point in points:
            if point.coverage in gone.values():
                axes.plot(point.coverage, point.uf1, "o", color="white", markeredgecolor=BLUE)
        axes.set_xlim(1.0, min(share))
        low = min(min(point.uf1, point.uar, point.accuracy) for point in points)
        axes.set_ylim(np.clip(np.floor(low * 10) / 10, 0.0, 0.9), 1.0)
        axes.set_xlabel("coverage: share of the clips that are answered, the surest first")
        axes.set_ylabel("score of those clips")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        if title:
            axes.set_title(title, pad=24)
        small_print(
            figure,
            f"{len(run)} clips. At {100 * gain.coverage:.0f} % coverage UF1 is {gain.part:.3f}, "
            f"{with_sign(gain.gain, gain.ci95)} against all clips ({gain.full:.3f}).",
            "Sure: the first class leads the second by much. In brackets 95 % over subjects.",
            *_gone_lines(gone),
        )
        return save(figure, out)


def _gone_lines(gone: Mapping[str, float]) -> list[str]:
    """Why UF1 falls where a model is surest of some classes only."""
    if not gone:
        return []
    classes = ", ".join(f"{name} from {100 * share:.0f} % on" for name, share in gone.items())
    text = f"Rings: no clip of a class is left ({classes}); it counts 0 in UF1 and UAR."
    return textwrap.wrap(text, 92)


def _places(bins: Sequence[Bin]) -> tuple[list[float], list[float]]:
    """Middle and width of each bin, as drawn."""
    return [(b.low + b.high) / 2 for b in bins], [0.94 * (b.high - b.low) for b in bins]


def _draw_bins(axes: Axes, bins: Sequence[Bin]) -> None:
    centres, widths = _places(bins)
    accuracy = np.array([group.accuracy for group in bins])
    axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle="--", label="calibrated")
    axes.bar(centres, accuracy, widths, color=SKY, edgecolor=BLUE, label="share named rightly")
    for group in bins:
        # how far a calibrated model's share would stray from its confidence by luck alone
        stray = 1.96 * np.sqrt(group.confidence * (1 - group.confidence) / group.n)
        ends = np.clip([group.confidence - stray, group.confidence + stray], 0, 1)
        axes.vlines((group.low + group.high) / 2, *ends, color=INK, linewidth=1.2)
    axes.plot(
        centres,
        [group.confidence for group in bins],
        "o",
        color=INK,
        markersize=4,
        label="mean probability",
    )
    axes.set_ylim(0, 1.02)
    axes.set_ylabel("share of the clips named rightly")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.2)
