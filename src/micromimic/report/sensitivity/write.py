"""Injection and recovery written down: ``sensitivity.json``, ``.csv``, the page and the plot."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from micromimic.core.files import write_whole
from micromimic.core.labels import THREE
from micromimic.core.strict_json import printable
from micromimic.datasets.table import text_cell
from micromimic.evaluation.recovery import (
    AT_LIMIT,
    MIN_IOU,
    NEAR_APEX_S,
    RATIO_EDGES,
    Recovery,
    Share,
    Trial,
    calibration,
    half_size,
    share_of,
    shares_by,
)
from micromimic.report.sensitivity.figure import sensitivity_figure
from micromimic.report.sensitivity.page import named, sensitivity_html

SCHEMA: Final = "micromimic.sensitivity/1"

COLUMNS: Final = (
    "copy", "onset_s", "apex_s", "offset_s", "size", "size_px", "units", "class", "region",
    "found", "found_class", "distance_s", "chance", "limit",
)  # fmt: skip
"""Columns of ``sensitivity.csv``: a row a planted movement; what is not known is empty."""


def write_sensitivity(recovery: Recovery, folder: Path, *, figure: bool = True) -> None:
    """Write the files of one run.

    Args:
        recovery: what came back.
        folder: made if it does not exist.
        figure: draw ``sensitivity.png`` and ``.svg``, too; needs matplotlib.

    Raises:
        MissingExtraError: a figure without matplotlib.
        OutputError: if they cannot be written.
    """
    content = json.dumps(sensitivity_json(recovery), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / "sensitivity.json", content + "\n")
    write_whole(folder / "sensitivity.csv", sensitivity_csv(recovery.trials))
    if figure:
        sensitivity_figure(recovery, folder / "sensitivity")
    write_whole(folder / "sensitivity.html", sensitivity_html(recovery))


def sensitivity_json(recovery: Recovery) -> dict[str, Any]:
    """The content of ``sensitivity.json``.

    Returns:
        ``schema``; ``source``, ``warnings`` and ``model`` as in events.json; ``seed``, ``copies``,
        ``eyes_px`` (between the eyes) and ``pixels_per_unit`` (of displacement); ``match``: the
        rule; ``control``: the unplanted recording, with its candidates a minute, and what is found
        there at the planted moments (size zero); ``sizes``: for each size its shares in all,
        ``by_region`` and ``by_class``, the ``confusion`` of what was found (rows planted, columns
        found, order ``classes``, and ``found_classes`` where the model has others), its ``uf1``
        (null where it has), and ``others``: candidates that are neither planted
        nor in the unplanted recording; ``half_size``: of which half are found, null where it lies
        outside the sizes tried; ``limits``: shares by size over detection limit, null where the
        analysis has none. A share is ``found``, ``planted``, ``share``, ``low`` and ``high``
        (exact, 95 %).
    """
    source = asdict(recovery.source)
    source["path"] = printable(source["path"])
    shares = [share_of(recovery.at(size)) for size in recovery.sizes]
    same = recovery.model.labels == THREE.names
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
                "low": _short(recovery.plain_per_minute[0]),
                "high": _short(recovery.plain_per_minute[1]),
            },
            "size_zero": _share(recovery.chance()),
        },
        "sizes": [_size(recovery, size) for size in recovery.sizes],
        "half_size": _short(half_size(recovery.sizes, [share.value for share in shares])),
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
    others = recovery.others[size]
    minutes = recovery.copies * recovery.source.duration_s / 60
    return {
        "size": size,
        "size_px": _short(size * recovery.scale),
        **_share(share_of(trials)),
        "by_region": _by(shares_by(trials, lambda trial: trial.region).items()),
        "by_class": _by(shares_by(trials, lambda trial: trial.label).items()),
        "confusion": table.tolist(),
        "uf1": _short(score),
        "others": others,
        "others_per_minute": _short(others / minutes),
    }


def _by(shares: Iterable[tuple[str, Share]]) -> dict[str, Any]:
    return {name: _share(share) for name, share in shares}


def _limits(recovery: Recovery) -> dict[str, Any]:
    edges: list[float | None] = [*RATIO_EDGES[:-1], None]
    bins = [
        {"from": low, "to": high, **_share(share)}
        for low, high, share in zip(
            edges[:-1], edges[1:], calibration(recovery.trials), strict=True
        )
    ]
    at_limit = [
        {"size": size, **_share(calibration(recovery.at(size))[AT_LIMIT])}
        for size in recovery.sizes
    ]
    without = [trial for trial in recovery.trials if trial.limit is None]
    return {"ratio": bins, "at_limit": at_limit, "without_limit": _share(share_of(without))}


def sensitivity_csv(trials: Sequence[Trial]) -> str:
    """The text of ``sensitivity.csv``."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in trials:
        span = trial.interval
        row = (
            trial.copy,
            span.onset,
            span.apex,
            span.offset,
            trial.size,
            trial.size_px,
            "+".join(trial.units),
            trial.label,
            trial.region,
            str(trial.found is not None).lower(),
            "" if trial.found is None else trial.found.label,
            trial.distance_s,
            str(trial.chance).lower(),
            trial.limit,
        )
        writer.writerow([text_cell(_short(value)) for value in row])
    return text.getvalue()


def _short(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value
