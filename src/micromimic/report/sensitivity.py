"""Injection and recovery written down: JSON, CSV, the curve, and the page, which says what would
have been found in this recording."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from micromimic import __version__
from micromimic.core.files import write_whole
from micromimic.core.labels import REGIONS, THREE
from micromimic.core.strict_json import json_text, printable
from micromimic.evaluation.recovery import (
    AT_LIMIT,
    MIN_IOU,
    NEAR_APEX_S,
    RATIO_EDGES,
    Recovery,
    Share,
    Trial,
    calibration,
    classes_of,
    half_size,
    rising_shares,
    share_of,
    shares_by,
)
from micromimic.evaluation.report.plotting import (
    BLUE,
    GREY,
    INK,
    Paths,
    drawing,
    save,
    small_print,
)
from micromimic.report.page import TEMPLATES, file_name, style
from micromimic.report.rendering import environment
from micromimic.report.tables import csv_text
from micromimic.report.words import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA: Final = "micromimic.sensitivity/1"

COLUMNS: Final = (
    "copy", "onset_s", "apex_s", "offset_s", "size", "size_px", "units", "class", "region",
    "found", "found_class", "distance_s", "chance", "limit",
)  # fmt: skip
"""Columns of ``sensitivity.csv``: a row a planted movement; what is not known is empty."""


def write_sensitivity(recovery: Recovery, folder: Path, *, figure: bool = True) -> None:
    """Write the files of one run; ``figure`` (which needs matplotlib) as PNG and SVG, too."""
    content = json_text(sensitivity_json(recovery), indent=2, ensure_ascii=False)
    write_whole(folder / "sensitivity.json", content + "\n")
    write_whole(folder / "sensitivity.csv", sensitivity_csv(recovery.trials))
    if figure:
        sensitivity_figure(recovery, folder / "sensitivity")
    write_whole(folder / "sensitivity.html", sensitivity_html(recovery))


def sensitivity_json(recovery: Recovery) -> dict[str, Any]:
    """The content of ``sensitivity.json``; a share is exact, with its 95 % interval.

    ``match`` is the rule; ``control`` the unplanted recording, with what is found there at the
    planted moments; ``confusion`` has rows planted and columns found, ``uf1`` is null where the
    model has other classes; ``others`` are candidates that are neither planted nor in the unplanted
    recording; ``half_size`` is null where it lies outside the sizes tried.
    """
    source = asdict(recovery.source)
    source["path"] = printable(source["path"])
    same = recovery.model.labels == THREE.names
    low, high = recovery.plain_per_minute
    return {
        "schema": SCHEMA,
        "source": source,
        "warnings": [asdict(item) for item in recovery.warnings],
        "model": recovery.model.to_dict(),
        "seed": recovery.seed,
        "copies": recovery.copies,
        "eyes_px": _short(recovery.eyes_px),
        "pixels_per_unit": _short(recovery.scale),
        "classes": list(THREE),
        **({} if same else {"found_classes": list(recovery.model.labels)}),
        "match": {"overlap_over_union": MIN_IOU, "apex_s": NEAR_APEX_S},
        "control": {
            "candidates": len(recovery.plain),
            "candidates_per_minute": {
                "value": _short(60 * len(recovery.plain) / recovery.source.duration_s),
                "low": _short(low),
                "high": _short(high),
            },
            "size_zero": _share(recovery.chance()),
        },
        "sizes": [_size(recovery, size) for size in recovery.sizes],
        "half_size": _short(half_size(recovery.sizes, [s.value for s in _shares(recovery)])),
        "limits": _limits(recovery) if recovery.limited else None,
    }


def _share(share: Share) -> dict[str, Any]:
    low, high = share.interval
    return {
        "found": share.found,
        "planted": share.planted,
        "share": _short(share.value) if share.planted else None,
        "low": _short(low),
        "high": _short(high),
    }


def _size(recovery: Recovery, size: float) -> dict[str, Any]:
    trials = recovery.at(size)
    table, score = named(recovery, size)
    others, minutes = recovery.others[size], recovery.copies * recovery.source.duration_s / 60
    by_region = shares_by(trials, lambda trial: trial.region)
    by_class = shares_by(trials, lambda trial: trial.label)
    return {
        "size": size,
        "size_px": _short(size * recovery.scale),
        **_share(share_of(trials)),
        "by_region": {name: _share(share) for name, share in by_region.items()},
        "by_class": {name: _share(share) for name, share in by_class.items()},
        "confusion": table.tolist(),
        "uf1": _short(score),
        "others": others,
        "others_per_minute": _short(others / minutes),
    }


def _limits(recovery: Recovery) -> dict[str, Any]:
    """Shares by size over detection limit."""
    edges: list[float | None] = [*RATIO_EDGES[:-1], None]
    bins = zip(edges[:-1], edges[1:], calibration(recovery.trials), strict=True)
    return {
        "ratio": [{"from": low, "to": high, **_share(share)} for low, high, share in bins],
        "at_limit": [
            {"size": size, **_share(calibration(recovery.at(size))[AT_LIMIT])}
            for size in recovery.sizes
        ],
        "without_limit": _share(share_of([t for t in recovery.trials if t.limit is None])),
    }


def sensitivity_csv(trials: Iterable[Trial]) -> str:
    """The text of ``sensitivity.csv``."""
    return csv_text(
        COLUMNS,
        (
            {
                **asdict(trial),
                **{f"{name}_s": time for name, time in vars(trial.interval).items()},
                "units": "+".join(trial.units),
                "class": trial.label,
                "found": trial.found is not None,
                "found_class": trial.found and trial.found.label,
                "distance_s": trial.distance_s,
            }
            for trial in trials
        ),
        6,
    )


def _short(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value


def sensitivity_html(recovery: Recovery) -> str:
    """The whole page as text; it needs no script and no network."""
    name = file_name(recovery.source.path)
    templates = environment(TEMPLATES)
    templates.filters["duration"] = duration
    css = (TEMPLATES / "sensitivity.css").read_text(encoding="utf-8")
    return templates.get_template("sensitivity.html.jinja").render(
        title=f"{name}: what would have been found",
        name=name,
        style=style(Markup(css)),
        warnings=recovery.warnings,
        recovery=recovery,
        sizes=recovery.sizes,
        size_columns=[(f"{size:g}", "units", False) for size in recovery.sizes],
        answer=answer(recovery),
        chance=recovery.chance(),
        whole=_chart(recovery, _shares(recovery)),
        parts=(
            ("regions", "By part of the face", _parts(recovery, REGIONS, lambda t: t.region)),
            ("classes", "By class", _parts(recovery, THREE, lambda t: t.label)),
        ),
        matrices=_matrices(recovery),
        rows=tuple(THREE),
        columns=recovery.model.labels,
        minutes=recovery.source.duration_s / 60,
        calibrated=_calibrated(recovery),
        at_limit=calibration(recovery.trials)[AT_LIMIT],
        version=__version__,
        rule=(MIN_IOU, NEAR_APEX_S),
    )


def _shares(recovery: Recovery) -> list[Share]:
    """How many are found of each size."""
    return [share_of(recovery.at(size)) for size in recovery.sizes]


def _shares_by(
    recovery: Recovery, names: Iterable[str], key: Callable[[Trial], str]
) -> dict[str, list[Share]]:
    """The same of each name that movements may have."""
    found = [shares_by(recovery.at(size), key) for size in recovery.sizes]
    return {name: [shares.get(name, Share(0, 0)) for shares in found] for name in names}


def _in_pixels(recovery: Recovery, size: float) -> str:
    """A size in canonical units, and in pixels."""
    return f"{size:.2g} units ({size * recovery.scale:.2g} px)"


def answer(recovery: Recovery) -> str:
    """What the run says, in one sentence."""
    shares = [share.value for share in _shares(recovery)]
    half = half_size(recovery.sizes, shares)
    if half is not None:
        return (
            f"Half of the planted movements are found from about {_in_pixels(recovery, half)} on."
        )
    low, high = min(recovery.sizes), max(recovery.sizes)
    if rising_shares(shares)[0] >= 0.5:
        return f"At least half are found even at the smallest size, {_in_pixels(recovery, low)}."
    return f"Fewer than half are found even at the largest size, {_in_pixels(recovery, high)}."


def named(recovery: Recovery, size: float) -> tuple[NDArray[np.int64], float | None]:
    """What the found movements of a size are called.

    (3, n) counts, planted classes against the model's; UF1, None where nothing was found or the
    model has other classes than are planted.
    """
    labels = recovery.model.labels
    if labels == THREE.names:
        return classes_of(recovery.at(size))
    counts = np.zeros((len(THREE), len(labels)), np.int64)
    for trial in recovery.at(size):
        if trial.found is not None:
            counts[THREE.index(trial.label), labels.index(trial.found.label)] += 1
    return counts, None


def _chart(recovery: Recovery, shares: Sequence[Share]) -> list[dict[str, Any]]:
    """Each size with its share, and where it lies: per cent of the width, of logarithms."""
    low, high = math.log(min(recovery.sizes)), math.log(max(recovery.sizes))
    return [
        {
            "size": size,
            "px": f"{size * recovery.scale:.2g}",
            "share": share,
            "x": 50.0 if high == low else 8 + 84 * (math.log(size) - low) / (high - low),
        }
        for size, share in zip(recovery.sizes, shares, strict=True)
    ]


def _parts(
    recovery: Recovery, names: Iterable[str], key: Callable[[Trial], str]
) -> dict[str, list[dict[str, Any]]]:
    """A chart for each name of which something was planted."""
    found = _shares_by(recovery, names, key)
    return {n: _chart(recovery, shares) for n, shares in found.items() if shares[0].planted}


def _matrices(recovery: Recovery) -> list[tuple[str, list[list[int]]]]:
    """Title and counts for each size of which something was found."""
    matrices = []
    for size in recovery.sizes:
        counts, score = named(recovery, size)
        if counts.any():
            uf1 = "" if score is None else f": UF1 {score:.2f}"
            matrices.append((_in_pixels(recovery, size) + uf1, counts.tolist()))
    return matrices


def _calibrated(recovery: Recovery) -> Mapping[str, list[Share]]:
    """By size over detection limit, the shares of each size and of all; none without limits."""
    if not recovery.limited:
        return {}
    names = [
        f"below {RATIO_EDGES[1]:g}, or no limit",
        *(f"{low:g} to {high:g}" for low, high in pairwise(RATIO_EDGES[1:-1])),
        f"above {RATIO_EDGES[-2]:g}",
    ]
    groups = [recovery.at(size) for size in recovery.sizes]
    shares = [calibration(trials) for trials in (*groups, recovery.trials)]
    return {name: list(row) for name, *row in zip(names, *shares, strict=True)}


def sensitivity_figure(recovery: Recovery, out: Path) -> Paths:
    """Share found by size, all movements with the control and each region, as PNG and SVG."""
    with drawing(8.2, 4.4) as figure:
        grid = figure.add_gridspec(2, 4, width_ratios=(2.4, 1, 1, 1))
        main = figure.add_subplot(grid[:, 0])
        _draw_curve(main, recovery, _shares(recovery))
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
        by_region = _shares_by(recovery, REGIONS, lambda trial: trial.region)
        for number, (region, shares) in enumerate(by_region.items()):
            row, column = divmod(number, 3)
            axes = figure.add_subplot(grid[row, 1 + column], sharey=main)
            _draw_curve(axes, recovery, shares)
            axes.set_title(f"{region}, {shares[0].planted} a size", pad=6)
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


def _draw_curve(axes: Axes, recovery: Recovery, shares: list[Share]) -> None:
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
