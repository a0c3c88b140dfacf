"""Injection and recovery written down: ``sensitivity.json``, ``.csv``, the page and the plot."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from micromimic.core.files import write_whole
from micromimic.core.labels import THREE
from micromimic.core.strict_json import json_text, printable
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
    shares = [share_of(recovery.at(size)) for size in recovery.sizes]
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
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in trials:
        span, found = trial.interval, trial.found
        row = (
            *(trial.copy, span.onset, span.apex, span.offset, trial.size, trial.size_px),
            *("+".join(trial.units), trial.label, trial.region, str(found is not None).lower()),
            "" if found is None else found.label,
            *(trial.distance_s, str(trial.chance).lower(), trial.limit),
        )
        writer.writerow([text_cell(_short(value)) for value in row])
    return text.getvalue()


def _short(value: object) -> object:
    return round(value, 6) if isinstance(value, float) else value
