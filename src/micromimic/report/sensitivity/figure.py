"""The curve of recovery against size, as a figure for documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from micromimic.core.labels import REGIONS
from micromimic.evaluation.recovery import Recovery, Share, share_of
from micromimic.evaluation.report.plotting import (
    BLUE,
    GREY,
    INK,
    Paths,
    drawing,
    save,
    small_print,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def sensitivity_figure(recovery: Recovery, out: Path) -> Paths:
    """Share found by size, all movements with the control and each region, as PNG and SVG."""
    with drawing(8.2, 4.4) as figure:
        grid = figure.add_gridspec(2, 4, width_ratios=(2.4, 1, 1, 1))
        main = figure.add_subplot(grid[:, 0])
        _draw(main, recovery, [share_of(recovery.at(size)) for size in recovery.sizes])
        chance = recovery.chance()
        main.axhline(chance.value, color=GREY, linewidth=1.0, linestyle=":", clip_on=False)
        main.annotate(
            f"size 0: {chance.found} of {chance.planted}",
            (0.99, chance.value),
            (0, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            color=GREY,
            fontsize=7.5,
            ha="right",
        )
        main.set_title(f"all, {chance.planted} a size", pad=6)
        main.set_ylabel("share found (95 % interval)")
        main.set_xlabel(f"largest displacement, units (1 unit = {recovery.scale:.2g} px)")
        for number, region in enumerate(REGIONS):
            row, column = divmod(number, 3)
            axes = figure.add_subplot(grid[row, 1 + column], sharey=main)
            trials = [
                [trial for trial in recovery.at(size) if trial.region == region]
                for size in recovery.sizes
            ]
            _draw(axes, recovery, [share_of(group) for group in trials])
            axes.set_title(f"{region}, {len(trials[0])} a size", pad=6)
            axes.tick_params(labelleft=column == 0)
        small_print(
            figure,
            f"{len(recovery.at(recovery.sizes[0]))} movements a size, planted in "
            f"{recovery.source.duration_s:.0f} s of recording ({recovery.copies} "
            f"{'copy' if recovery.copies == 1 else 'copies'}); "
            f"candidates in the unplanted copy: {len(recovery.plain)}.",
            "Candidates, not verdicts.",
        )
        return save(figure, out)


def _draw(axes: Axes, recovery: Recovery, shares: list[Share]) -> None:
    """One curve with its intervals on a scale of logarithms."""
    known = [k for k, share in enumerate(shares) if share.planted]
    sizes = np.array(recovery.sizes)[known]
    values = np.array([shares[k].value for k in known])
    ends = np.array([shares[k].interval for k in known]).reshape(-1, 2)
    reach = np.abs(ends.T - values)
    axes.set_xscale("log")
    axes.axhline(0.5, color=GREY, linewidth=0.6, alpha=0.5, clip_on=False)
    if known:
        axes.errorbar(sizes, values, reach, color=BLUE, ecolor=INK, elinewidth=0.9, capsize=2.5,
                      marker="o", markersize=4.5, linewidth=1.6, clip_on=False)  # fmt: skip
    axes.set_xticks(recovery.sizes, [f"{size:g}" for size in recovery.sizes])
    axes.minorticks_off()
    low, high = min(recovery.sizes), max(recovery.sizes)
    axes.set_xlim(low / 1.25, high * 1.25)
    axes.set_ylim(-0.02, 1.02)
