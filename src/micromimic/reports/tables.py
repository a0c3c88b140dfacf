"""Events and curves as JSON and CSV: strict JSON without NaN, short decimals, empty for unknown."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from micromimic.labels import CELLS, EMOTIONS
from micromimic.results import TABLE_COLUMNS, Analysis, event_to_dict
from micromimic.types import MotionCurve

CURVE_COLUMNS = ("time_s", "score", *CELLS)
"""Columns of ``curve.csv``: seconds, multiples of the noise, then canonical units by cell."""

_CHUNK = 20_000


def tidy(value: Any, digits: int = 6) -> Any:
    """The same value with plain types that strict JSON can carry.

    Floats are rounded, NaN and infinities become None, numpy scalars and arrays become Python
    numbers and lists.

    >>> tidy({"a": np.float32(0.1), "b": float("nan"), "c": (np.int64(3), True)})
    {'a': 0.1, 'b': None, 'c': [3, True]}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return round(value, digits) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): tidy(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(item, digits) for item in value]
    return value


def printable(text: str) -> str:
    """Text that any file can carry: control characters and undecodable bytes become U+FFFD.

    >>> printable("a\\x00b")
    'a\\ufffdb'
    """
    return "".join(
        c
        if c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and c not in "\x7f\ufffe\uffff"
        else "\ufffd"
        for c in text
    )


def write_events_json(analysis: Analysis, path: Path) -> None:
    """Write ``events.json``, schema ``micromimic.events/1``.

    Raises:
        OSError: if the file cannot be written.
    """
    content = tidy(analysis.to_dict())
    content["source"]["path"] = printable(content["source"]["path"])
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_events_csv(analysis: Analysis, path: Path) -> None:
    """Write ``events.csv``: one row an event, columns ``results.TABLE_COLUMNS``.

    Raises:
        OSError: if the file cannot be written.
    """
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, TABLE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for event in analysis.events:
            row = event_to_dict(event)
            probabilities, regions = row.pop("probabilities"), row.pop("regions")
            row.update({f"p_{name}": probabilities[name] for name in EMOTIONS})
            row["top_region"] = max(regions, key=lambda cell: regions[cell]) if regions else ""
            row["uncertain"] = "true" if row["uncertain"] else "false"
            writer.writerow(row)


def write_curve_csv(curve: MotionCurve, path: Path) -> None:
    """Write ``curve.csv``: time, score and the ten cells; empty where the face is lost.

    Raises:
        OSError: if the file cannot be written.
    """
    line = ",".join(["%.6f", "%.4f"] + ["%.5f"] * len(CELLS))
    table = np.column_stack([curve.times, curve.score, curve.cells]).astype(np.float64)
    table[~np.isfinite(table)] = np.nan
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(CURVE_COLUMNS) + "\n")
        for start in range(0, len(table), _CHUNK):
            rows = table[start : start + _CHUNK].tolist()
            text = "\n".join([line % tuple(row) for row in rows])
            file.write(text.replace("nan", "") + "\n")
