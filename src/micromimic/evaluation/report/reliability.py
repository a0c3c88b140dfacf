"""How far a model's answers can be relied on, drawn: reliability diagram and coverage curve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from micromimic.evaluation.markdown import with_sign
from micromimic.evaluation.metrics import Bin, calibration_error, reliability_bins
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.reliability import COVERAGE, coverage_curve, gain_at
from micromimic.evaluation.report.plotting import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    SKY,
    drawing,
    save,
    small_print,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def reliability_figure(
    rows: Predictions, out: Path, *, title: str | None = None
) -> tuple[Path, Path]:
    """Reliability diagram: accuracy against confidence, and how many clips are how sure.

    Args:
        rows, title: of one run, each clip once; as the model's name.
        out: path without an ending.

    Raises:
        InputError: if there are no rows, or a clip comes twice.
        MissingExtraError, OutputError: as `plotting.drawing` and `plotting.save`.
    """
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


def coverage_figure(rows: Predictions, out: Path, *, title: str | None = None) -> tuple[Path, Path]:
    """Coverage curve: UF1, UAR and accuracy of the surest clips against their share.

    Args, Raises: as of `reliability_figure`.
    """
    run = rows.one_run()
    truth, p, labels = run.truth, run.probabilities, run.labels
    points = coverage_curve(truth, p, labels=labels)
    gain = gain_at(truth, p, run.who, COVERAGE, labels=labels)
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
        axes.set_xlim(1.0, min(share))
        low = min(min(point.uf1, point.uar, point.accuracy) for point in points)
        axes.set_ylim(np.clip(np.floor(low * 10) / 10, 0.0, 0.9), 1.0)
        axes.set_xlabel("coverage: share of the clips that are answered, the surest first")
        axes.set_ylabel("score of those clips")
        axes.legend(loc="lower right", ncols=3)
        if title:
            axes.set_title(title, pad=10)
        small_print(
            figure,
            f"{len(p)} clips. At {100 * gain.coverage:.0f} % coverage UF1 is {gain.part:.3f}, "
            f"{with_sign(gain.gain, gain.ci95)} against all clips ({gain.full:.3f}).",
            "Sure: the first class leads the second by much. In brackets 95 % over subjects.",
        )
        return save(figure, out)


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
