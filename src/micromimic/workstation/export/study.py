"""A whole study as tables for statistics: events, recordings, markers, decisions, agreement,
conditions, and what each of their columns is. Without videos.

Text in UTF-8, commas, decimal points, 0 and 1 for no and yes, nothing where a value is not known or
not to be seen: one line reads a file in pandas, R and SPSS.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import UTC, datetime
from itertools import chain, combinations, product
from math import isfinite
from typing import Any, Final

import micromimic
from micromimic.core.errors import InputError
from micromimic.core.results import unit_names
from micromimic.core.summary import unjudged
from micromimic.datasets.table import text_cell
from micromimic.workstation.export import agreement
from micromimic.workstation.export.codebook import CODEBOOK, FILES, FRAMES, Column, columns_of
from micromimic.workstation.export.frames import FrameFormat, frame_columns, frames_file
from micromimic.workstation.export.readers import MACHINE, Reader, Studied, studied, units_text
from micromimic.workstation.records.database import Store, Transaction, reading
from micromimic.workstation.records.models import Decision, Marker, Recording
from micromimic.workstation.records.payloads import FRAMES as FRAME_KEYS
from micromimic.workstation.records.review import ReviewedEvent, effective
from micromimic.workstation.records.study import get_study

Row = Mapping[str, Any]
"""By column; what a file has no column for is not written."""
README: Final = "README.txt"
_SECONDS: Final = ("onset_s", "apex_s", "offset_s")
_MARKER: Final = ("tier", "label", "onset_s", "offset_s", "origin")
_DECISION: Final = ("coder", "number", "decided_at", "mode", "action", "event", "target")
_SPSS: Final[Mapping[str, str]] = {
    "whole": "F12.0",
    "number": "F16.6",
    "flag": "F1.0",
    "date": "SDATE10",
    "moment": "A20",
}


@reading
def study_files(transaction: Transaction, reader: Reader) -> dict[str, str]:
    """The text of each file of the export, by name, as this reader may see the study."""
    study = get_study(transaction)
    rows: dict[str, list[Row]] = {name: [] for name in FILES}
    coded = agreement.Coded()
    hidden = 0
    recordings: list[tuple[Row, dict[str, Row]]] = []
    for found in studied(transaction, reader):
        hidden += found.hidden
        about = _about(found.recording)
        rows["events.csv"] += ({**row, **about} for row in _events(found))
        rows["markers.csv"] += ({**_values(marker, _MARKER), **about} for marker in found.markers)
        rows["decisions.csv"] += ({**row, **about} for row in _decisions(found))
        recordings.append(({**about, **_machine(found)}, _by_coder(found)))
        coded.add(found, transaction.store)
    coders = [MACHINE, *sorted({coder for _, of in recordings for coder in of} - {MACHINE})]
    rows["recordings.csv"] = [
        {**whole, **of.get(coder, {"coder": coder, "begun": 0, "done": 0})}
        for whole, of in recordings
        for coder in coders
    ]
    for pair in combinations([*coders[1:], MACHINE], 2):
        rows["agreement.csv"] += agreement.agreement_rows(
            agreement.compare(coded, *pair, overlap=study.overlap)
        )
    for by, coder, measure in product(coded.tiers, coders, agreement.MEASURES):
        rows["conditions.csv"] += agreement.condition_rows(coded, measure, coder, by)
    columns = {name: columns_of(name, coded.labels) for name in FILES}
    files = {name: table_text(columns[name], rows[name]) for name in FILES}
    described = {**columns, FRAMES: columns_of(FRAMES)}
    meanings = [(file, *astuple(column)) for file, of in described.items() for column in of]
    files["codebook.csv"] = _csv([CODEBOOK, *meanings])
    files["read_spss.sps"] = _spss(columns, rows)
    files[README] = _readme(study.title, transaction.now, len(recordings), reader, hidden)
    return files


def study_entries(
    store: Store, reader: Reader, *, frames: FrameFormat | None = None
) -> Iterator[tuple[str, str | bytes]]:
    """Every file of the export by name: the tables, made at once, then if wanted those of frames,
    made one by one."""
    made = _frame_files(store, reader, frames) if frames else ()
    return chain(study_files(store, reader).items(), made)


def _frame_files(
    store: Store, reader: Reader, frames: FrameFormat
) -> Iterator[tuple[str, str | bytes]]:
    left_out = []
    with store.read() as transaction:
        for found in studied(transaction, reader):
            if not found.machine:
                continue
            assert found.answer is not None
            one = found.recording.id
            try:
                columns = frame_columns(store.folder(one), found.answer.review)
            except InputError as error:  # its files are gone; the others' are there
                left_out.append(f"{one}: {error}\n")
            else:
                yield f"{FRAMES}/{one}.{frames}", frames_file(one, columns, frames)
    if left_out:
        yield "frames_left_out.txt", "".join(left_out)


def table_text(columns: Sequence[Column], rows: Iterable[Row]) -> str:
    """A file of these columns; what a row does not have is empty."""
    names = [column.name for column in columns]
    return _csv([names, *([cell(row.get(name)) for name in names] for row in rows)])


def _csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def cell(value: Any) -> Any:
    """As a file has it: text on one line and never a formula, numbers to the microsecond."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        text = f"{value:.6f}".rstrip("0").rstrip(".") if isfinite(value) else ""
        return "0" if text == "-0" else text
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return text_cell(" ".join(value.split())) if isinstance(value, str) else value


def _about(recording: Recording) -> dict[str, Any]:
    return {
        "recording_id": recording.id,
        "recording": recording.name,
        "subject": recording.subject_code,
        "session": recording.session_title,
        "condition": recording.condition,
        "session_date": recording.held_on,
    }


def _events(found: Studied) -> Iterator[Row]:
    for coder in found.coders:
        for event in found.events(coder):
            row: dict[str, Any] = {
                "coder": coder,
                "mode": event.mode,
                "status": "found" if coder == MACHINE else event.status,
                "review_done": found.is_done(coder),
                "event": event.key,
            }
            if not event.masked:  # where its window lies would be taken for where the event is
                row = {
                    **_coding(vars(event)),
                    **row,
                    "duration_s": event.offset_s - event.onset_s,
                    **_of_machine(event),
                    **_since_marker(event, found.markers),
                }
            yield row


def _coding(given: Row) -> dict[str, Any]:
    """With action units and tags as texts."""
    units, tags = units_text(given.get("units", ())), ";".join(given.get("tags", ()))
    return {**given, "units": units, "tags": tags}


def _values(record: Marker | Decision, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def _of_machine(event: ReviewedEvent) -> dict[str, Any]:
    entry = event.machine
    if entry is None:
        return {}
    return {
        **{f"machine_{name}": entry[name] for name in (*FRAME_KEYS, *_SECONDS)},
        "machine_label": entry["label"],
        "machine_probability": (entry.get("probabilities") or {}).get(entry["label"]),
        "machine_unsure": entry.get("uncertain"),
        "machine_units": unit_names(entry.get("action_units") or ()),
        "machine_strength": entry.get("strength"),
        "machine_size_units": (entry.get("amplitude") or {}).get("units"),
        "machine_false_alarms_per_hour": entry.get("false_alarm_rate_per_hour"),
    }


def _since_marker(event: ReviewedEvent, markers: Sequence[Marker]) -> Row:
    """The last marker that has begun, of those at one time the shortest; and where the apex is."""
    begun = [m for m in markers if m.onset_s <= event.onset_s]
    last = max(begun, key=lambda m: (m.onset_s, -m.offset_s), default=None)
    here = [m for m in markers if m.onset_s <= event.apex_s < m.offset_s]
    return {
        "marker": last.label if last else None,
        "marker_tier": last.tier if last else None,
        "time_since_marker_s": event.onset_s - last.onset_s if last else None,
        "markers_here": ";".join(f"{m.tier}={m.label}" for m in here),
    }


def _decisions(found: Studied) -> Iterator[Row]:
    for trail in found.trails.values():
        in_force = {decision.number for decision in effective(trail)}
        for made in trail:
            own = {**_values(made, _DECISION), "in_force": made.number in in_force}
            yield {**_coding(made.payload), **own}


def _machine(found: Studied) -> dict[str, Any]:
    """What is known of a recording, whoever codes it."""
    job, answer = found.recording.job, found.answer
    status = {"analysis": "done" if answer else job.status if job else None}
    if answer is None:
        return status
    payload, source = answer.payload, answer.payload.get("source", {})
    numbers = payload.get("indicators", {})
    limits = payload.get("limits") or {}
    rejected = answer.review.get("rejected") if found.machine else None
    known = bool(source) and "observed_s" in numbers
    return {
        **status,
        **{name: source.get(name) for name in ("duration_s", "frames", "fps")},
        "face_share": payload.get("face", {}).get("found_ratio"),
        "person": found.recording.person,
        "other_people": payload.get("face", {}).get("others_seen"),
        "observed_s": found.recording.observed_s,
        **{f"not_judged_{k}_s": s for k, s in (unjudged(payload) if known else {}).items()},
        **{f"findable_{name}_s": limit.get("seconds") for name, limit in limits.items()},
        "blinks": None if (b := answer.review.get("blinks")) is None else len(b),
        "blinks_per_minute": (numbers.get("blinks_per_minute") or {}).get("value"),
        "held_back": None if rejected is None else len(rejected),
    }


def _by_coder(found: Studied) -> dict[str, Row]:
    """Counts of each coder who has begun, and of the machine; empty before they are done."""
    rows: dict[str, Row] = {}
    for coder in found.coders:
        events, done = found.events(coder), found.is_done(coder)
        held = [e for e in events if coder == MACHINE or e.status == "accepted"]
        micro = [e for e in held if e.kind == "micro"]
        seconds = found.recording.observed_s
        row: dict[str, Any] = {
            "coder": coder,
            "begun": True,
            "done": done,
            "mode": "+".join(sorted({e.mode for e in events if e.mode})),
        }
        if done:
            labels = Counter(e.label for e in micro)
            row |= {
                "events": len(micro),
                "events_per_minute": 60 * len(micro) / seconds if seconds else None,
                "longer": len(held) - len(micro),
                "added": sum(e.added for e in held),
                **{f"events_{label}": labels[label] for label in (*found.labels, *labels)},
            }
        if coder != MACHINE:
            statuses = [e.status for e in events if e.kind == "micro"]
            row |= {"rejected": statuses.count("rejected"), "pending": statuses.count("pending")}
        rows[coder] = row
    return rows


def _spss(columns: Mapping[str, Sequence[Column]], rows: Mapping[str, Sequence[Row]]) -> str:
    """Syntax that reads every file as a dataset of its name; texts are as wide as the widest."""
    parts = [f"* {_READ_SPSS}", "SET DECIMAL=DOT."]
    for file, listed in columns.items():
        parts += [
            f"GET DATA /TYPE=TXT /FILE='{file}' /ENCODING='UTF8' /DELIMITERS=',' /QUALIFIER='\"'",
            " /ARRANGEMENT=DELIMITED /FIRSTCASE=2 /VARIABLES=",
        ]
        used: set[str] = set()
        for column in listed:
            plain = name = re.sub(r"\W", "_", column.name, flags=re.ASCII)[:60]
            while name.casefold() in used:  # of two classes that differ in other letters only
                name = f"{plain[:57]}_{len(used)}"
            used.add(name.casefold())
            kind = _SPSS.get(column.kind) or f"A{_width(rows[file], column.name)}"
            parts.append(f"  {name} {kind}")
        parts[-1] += "."
        parts.append(f"DATASET NAME {file.removesuffix('.csv')}.")
    return "\n".join(parts) + "\n"


def _width(rows: Iterable[Row], name: str) -> int:
    """Bytes of a column's longest text."""
    texts = {str(row[name]) for row in rows if row.get(name)}
    return max((len(str(cell(text)).encode()) for text in texts), default=8) or 1


def _readme(title: str, at: datetime, count: int, reader: Reader, hidden: int) -> str:
    who = "who leads the study" if reader.leads else reader.name or "somebody unnamed"
    lines = [
        f"{title or 'Study'}: {count} recordings, exported {at:%Y-%m-%d %H:%M} UTC for {who}",
        f"by micromimic {micromimic.__version__}. What each column is: codebook.csv.",
    ]
    if hidden:
        lines.append(
            f"Left out: {hidden} reviews by others, of recordings that the reader has not done."
        )
    return "\n".join(lines) + _FILES_README


_READ_SPSS: Final = "INSERT FILE='read_spss.sps' CD=YES."
_FILES_README: Final = f"""

events.csv      a row for each event and coder; coder "machine" is the machine's own answer
recordings.csv  a row for each recording and coder, also where nothing was found or nobody began
markers.csv     stimuli, trials and conditions
decisions.csv   every decision, as it was made
agreement.csv   each two coders: pooled, by tier, class, mode and recording
conditions.csv  rates by condition, subjects as units

pandas  events = pandas.read_csv("events.csv", dtype={{"subject": str}})
R       events <- read.csv("events.csv", colClasses = c(subject = "character"))
SPSS    {_READ_SPSS}

Candidates, not verdicts. Rates belong to observed_s, the time in which an event could be seen.
"""
