"""A whole batch in two tables: a row a recording, and a row an event."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from micromimic.core.results import event_row, kind_counts, labels_in, table_columns
from micromimic.core.summary import observed, unjudged
from micromimic.report.tables import csv_text

ABOUT: Final = ("video", "subject", "session", "condition", "date")
_CAUSES: Final = ("head", "speech", "blink", "light", "edge", "lost")


@dataclass(frozen=True)
class Row:
    """One recording of a batch: whose it is, and where its results lie.

    ``about`` is by ``ABOUT``; ``place`` is None where the analysis failed, for ``problem``.
    """

    about: Mapping[str, str]
    folder: str
    place: Path | None = None
    problem: str = ""

    def content(self) -> Mapping[str, Any] | None:
        """What its ``events.json`` says: read when asked for, as a batch may be long."""
        if self.place is None:
            return None
        return dict(json.loads((self.place / "events.json").read_text(encoding="utf-8")))


def tables(rows: Sequence[Row]) -> tuple[str, str]:
    """The text of ``summary.csv``, a row a recording, also where nothing was found or it failed;
    and of ``all_events.csv``, which is ``events.csv`` of all recordings, with whose each is."""
    labels = _labels(rows)
    columns = (
        *ABOUT,
        *("folder", "person", "duration_s", "fps", "frames", "face_share", "observed_s"),
        *(f"not_judged_{cause}_s" for cause in _CAUSES),
        *("candidates", *(f"candidates_{label}" for label in labels), "candidates_per_minute"),
        *("longer_expressions", "movements_held_back", "blinks", "blinks_per_minute"),
        *("warnings", "problem"),
    )
    events = (
        {**row.about, **event_row(entry, labels), "person": _person(content)}
        for row in rows
        if (content := row.content()) is not None
        for entry in content["events"]
    )
    return (
        csv_text(columns, (_summary(row, labels) for row in rows), 6),
        csv_text((*ABOUT, "person", *table_columns(labels)), events, 6),
    )


def _person(content: Mapping[str, Any]) -> int | None:
    """Which of several people the result is of; None where nobody was chosen."""
    person: int | None = content.get("settings", {}).get("person")
    return person


def _labels(rows: Iterable[Row]) -> tuple[str, ...]:
    """The classes of all rows, in their models' order."""
    contents = (row.content() for row in rows)
    return tuple(dict.fromkeys(label for found in contents if found for label in labels_in(found)))


def _summary(row: Row, labels: Sequence[str]) -> dict[str, Any]:
    start = {**row.about, "folder": row.folder, "problem": row.problem}
    content = row.content()
    if content is None:
        return start
    source, numbers, closed = content["source"], content["indicators"], unjudged(content)
    counts = kind_counts(content["events"])
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
