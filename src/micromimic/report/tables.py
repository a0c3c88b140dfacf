"""Events and curves as JSON and CSV: strict JSON without NaN, short decimals, empty for unknown."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from micromimic.core.labels import CELLS, REGIONS
from micromimic.core.results import Analysis, event_row, event_to_dict, table_columns
from micromimic.core.strict_json import json_text, printable, tidy
from micromimic.core.types import DetectionLimits, MotionCurve
from micromimic.datasets.table import text_cell, text_cells

CURVE_COLUMNS = ("time_s", "score", *CELLS, *(f"limit_{name}" for name in REGIONS))
"""Columns of ``curve.csv``: seconds, multiples of the noise, then canonical units: displacement by
cell, and the detection limit by region."""

_CHUNK = 4096


def events_json(content: Mapping[str, Any]) -> str:
    """The text of ``events.json``: what ``Analysis.to_dict`` gives, with or without more keys."""
    plain = tidy(content)
    plain["source"]["path"] = printable(plain["source"]["path"])
    return json_text(plain, indent=2, ensure_ascii=False) + "\n"


def events_csv(
    entries: Iterable[Mapping[str, Any]], labels: Sequence[str], extra: Sequence[str] = ()
) -> str:
    """The text of ``events.csv``, columns ``results.table_columns``, of ``events`` of events.json.

    ``extra`` columns are taken from the entries; what is None there is empty here.
    """
    rows = (event_row(entry, labels) for entry in entries)
    return csv_text((*table_columns(labels), *extra), rows)


def csv_text(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], digits: int | None = None
) -> str:
    """Rows as CSV, a column a key: what is not known is empty, ``digits`` decimals at most."""

    def cell(value: Any) -> Any:
        if isinstance(value, float) and digits is not None:
            return round(value, digits)
        return str(value).lower() if isinstance(value, bool) else text_cell(value)

    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(text_cells(columns))
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
    return text.getvalue()


def write_events_json(analysis: Analysis, path: Path) -> None:
    """Write ``events.json``, schema ``micromimic.events/1``."""
    path.write_text(events_json(analysis.to_dict()), encoding="utf-8")


def write_events_csv(analysis: Analysis, path: Path) -> None:
    """Write ``events.csv``."""
    text = events_csv(map(event_to_dict, analysis.events), analysis.model.labels)
    path.write_text(text, encoding="utf-8", newline="")


def write_curve_csv(curve: MotionCurve, path: Path, limits: DetectionLimits | None = None) -> None:
    """Write ``curve.csv``: time, score, the ten cells, and the detection limit of each region.

    A field is empty where the face is lost, where a limit is not known, and where its region is
    closed.
    """
    line = ",".join(["%.6f", "%.4f"] + ["%.5f"] * len(CELLS) + ["%.4f"] * len(REGIONS))
    known = {} if limits is None else limits.at(curve.times)
    unknown, lost = np.full(len(curve.times), np.nan), np.isnan(curve.cells).all(1)
    columns = [np.where(lost, np.nan, known.get(name, unknown)) for name in REGIONS]
    whole = (curve.times, curve.score, curve.cells, *columns)
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write(",".join(CURVE_COLUMNS) + "\n")
        for start in range(0, len(curve.times), _CHUNK):
            part = [values[start : start + _CHUNK] for values in whole]
            table = np.column_stack(part).astype(np.float64)
            table[~np.isfinite(table)] = np.nan
            rows = table.tolist()
            text = "\n".join([line % tuple(row) for row in rows])
            file.write(text.replace("nan", "") + "\n")
