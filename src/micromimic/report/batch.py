"""A whole batch in two tables: a row a recording, and a row an event."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from micromimic.core.results import event_row, kind_counts, labels_in, table_columns
from micromimic.core.summary import observed, unjudged
from micromimic.datasets.table import text_cell, text_cells

ABOUT: Final = ("video", "subject", "session", "condition", "date")
_CAUSES: Final = ("head", "speech", "blink", "light", "edge", "lost")


@dataclass(frozen=True)
class Row:
    """One recording of a batch: whose it is, and the content of its ``events.json``.

    ``about`` is by ``ABOUT``; ``content`` is None where the analysis failed, for ``problem``.
    """

    about: Mapping[str, str]
    folder: str
    content: Mapping[str, Any] | None = None
    problem: str = field(default="")

    @property
    def labels(self) -> tuple[str, ...]:
        return () if self.content is None else labels_in(self.content)


def summary_csv(rows: Sequence[Row]) -> str:
    """The text of ``summary.csv``: a row a recording, also where nothing was found or it failed."""
    labels = _labels(rows)
    columns = (
        *ABOUT,
        *("folder", "person", "duration_s", "fps", "frames", "face_share", "observed_s"),
        *(f"not_judged_{cause}_s" for cause in _CAUSES),
        *("candidates", *(f"candidates_{label}" for label in labels), "candidates_per_minute"),
        *("longer_expressions", "movements_held_back", "blinks", "blinks_per_minute"),
        *("warnings", "problem"),
    )
    return _table(columns, (_summary(row, labels) for row in rows))


def all_events_csv(rows: Sequence[Row]) -> str:
    """The text of ``all_events.csv``: ``events.csv`` of all recordings, with whose each is."""
    labels = _labels(rows)
    entries = (
        {**row.about, **event_row(entry, labels), "person": _person(row.content)}
        for row in rows
        if row.content is not None
        for entry in row.content["events"]
    )
    return _table((*ABOUT, "person", *table_columns(labels)), entries)


def _person(content: Mapping[str, Any]) -> int | None:
    """Which of several people the result is of; None where nobody was chosen."""
    person: int | None = content.get("settings", {}).get("person")
    return person


def _labels(rows: Iterable[Row]) -> tuple[str, ...]:
    """The classes of all rows, in their models' order."""
    return tuple(dict.fromkeys(label for row in rows for label in row.labels))


def _summary(row: Row, labels: Sequence[str]) -> dict[str, Any]:
    start = {**row.about, "folder": row.folder, "problem": row.problem}
    content = row.content
    if content is None:
        return start
    source, numbers, counts = (
        content["source"],
        content["indicators"],
        kind_counts(content["events"]),
    )
    closed = unjudged(content)
    micro = [event["label"] for event in content["events"] if event.get("kind") != "macro"]
    return {
        **start,
        "person": _person(content),
        **{name: source[name] for name in ("duration_s", "fps", "frames")},
        "face_share": content["face"]["found_ratio"],
        "observed_s": observed(content),
        **{f"not_judged_{cause}_s": round(closed.get(cause, 0.0), 3) for cause in _CAUSES},
        "candidates": counts["micro"],
        **{f"candidates_{label}": micro.count(label) for label in labels},
        "candidates_per_minute": numbers["candidates_per_minute"]["value"],
        "longer_expressions": counts["macro"],
        "movements_held_back": sum((numbers["rejected"]["value"] or {}).values()),
        "blinks": numbers["blinks_per_minute"].get("events"),
        "blinks_per_minute": numbers["blinks_per_minute"]["value"],
        "warnings": " ".join(warning["code"] for warning in content["warnings"]),
    }


def _table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(text_cells(columns))
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return round(value, 6) if isinstance(value, float) else text_cell(value)
