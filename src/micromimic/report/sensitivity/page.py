"""The page of injection and recovery: what would have been found in this recording."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from micromimic import __version__
from micromimic.core.labels import REGIONS, THREE
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
)
from micromimic.report.page import TEMPLATES, file_name, style
from micromimic.report.rendering import environment
from micromimic.report.words import duration


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
        whole=_chart(recovery, [share_of(recovery.at(size)) for size in recovery.sizes]),
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


def _size(recovery: Recovery, size: float) -> str:
    """A size in canonical units, and in pixels."""
    return f"{size:.2g} units ({size * recovery.scale:.2g} px)"


def answer(recovery: Recovery) -> str:
    """What the run says, in one sentence."""
    shares = [share_of(recovery.at(size)).value for size in recovery.sizes]
    half = half_size(recovery.sizes, shares)
    if half is not None:
        return f"Half of the planted movements are found from about {_size(recovery, half)} on."
    low, high = min(recovery.sizes), max(recovery.sizes)
    if rising_shares(shares)[0] >= 0.5:
        return f"At least half are found even at the smallest size, {_size(recovery, low)}."
    return f"Fewer than half are found even at the largest size, {_size(recovery, high)}."


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
    charts = {}
    for name in names:
        groups = ([t for t in recovery.at(size) if key(t) == name] for size in recovery.sizes)
        shares = [share_of(group) for group in groups]
        if shares[0].planted:
            charts[name] = _chart(recovery, shares)
    return charts


def _matrices(recovery: Recovery) -> list[tuple[str, list[list[int]]]]:
    """Title and counts for each size of which something was found."""
    matrices = []
    for size in recovery.sizes:
        counts, score = named(recovery, size)
        if counts.any():
            uf1 = "" if score is None else f": UF1 {score:.2f}"
            matrices.append((_size(recovery, size) + uf1, counts.tolist()))
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
