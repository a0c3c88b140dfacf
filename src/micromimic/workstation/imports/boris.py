"""BORIS: its project file (``.boris``, JSON) and the tables of events that it exports.

A state's begin and end are two events of the same subject, behaviour and modifiers, one after the
other. The videos of an observation's first player follow one another on one timeline; each of them
is an `Annotated` of its own here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from micromimic.core.errors import InputError
from micromimic.datasets.grid import Table
from micromimic.datasets.table import number
from micromimic.workstation.imports.annotations import Annotated, Annotation, file_name, grouped

NOBODY: Final = frozenset({"", "no focal subject"})
_NONE: Final = frozenset({"", "none", "na"})
_TOLERANCE_S: Final = 1e-9
_APEX: Final = re.compile(r"apex ([0-9]+\.[0-9]+) s(?:; )?")
"""As `export_boris` writes it."""


@dataclass(frozen=True)
class _Event:
    """One key that was pressed: a moment, or the beginning or the end of a state."""

    time: float
    subject: str
    code: str
    modifiers: str
    note: str
    category: str
    is_state: bool
    where: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.subject, self.code, self.modifiers

    @property
    def tier(self) -> str:
        subject = "" if self.subject.casefold() in NOBODY else self.subject
        return " - ".join(filter(None, (subject, self.category))) or "BORIS"

    def until(self, end: _Event) -> Annotation:
        """What this begins and another ends; a comment of ours says where the apex is."""
        own = _APEX.match(self.note)
        notes = (self.note[own.end() :] if own else self.note, end.note)
        return Annotation(
            self.tier,
            self.code,
            self.time,
            end.time,
            float(own[1]) if own and self.time <= float(own[1]) <= end.time else None,
            self.modifiers,
            " / ".join(dict.fromkeys(filter(None, notes))),
            where=self.where,
        )


def read_project(path: Path) -> tuple[Annotated, ...]:
    """Every video of every observation, also where nothing was seen in it."""
    try:
        project = json.loads(path.read_bytes())
        observations: Mapping[str, Any] = project["observations"]
        states = {
            str(behaviour["code"]): (
                str(behaviour["type"]).casefold().startswith("state"),
                str(behaviour.get("category") or ""),
            )
            for behaviour in project["behaviors_conf"].values()
        }
        return tuple(
            part
            for name, observation in observations.items()
            for part in _observation(f"observation {name} of {path.name}", observation, states)
        )
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise InputError(
            f"expected a BORIS project in {path.name}, got {type(error).__name__}: {error}; save "
            "it again in BORIS"
        ) from None


def _observation(
    where: str, found: Mapping[str, Any], behaviours: Mapping[str, tuple[bool, str]]
) -> list[Annotated]:
    if float(found.get("time offset") or 0):
        raise InputError(
            f"expected no time offset in {where}, got {found['time offset']} s; set it "
            "to 0 in BORIS"
        )
    events = []
    for time, subject, code, modifiers, note, *_ in found["events"]:
        if code not in behaviours:
            raise InputError(
                f"expected a behaviour of the ethogram in {where}, got {code!r}; mend it in BORIS"
            )
        is_state, category = behaviours[code]
        at = f"{where} at {float(time):g} s"
        if not 0 <= float(time) < math.inf:
            raise InputError(f"expected times from 0 in {where}, got {time} s; mend it in BORIS")
        events.append(
            _Event(
                float(time), str(subject), code, _text(modifiers), " ".join(str(note).split()),
                category, is_state, at,
            )
        )  # fmt: skip
    annotations = _joined(events)
    files = found["file"]["1"] if found.get("type") == "MEDIA" else []
    if not files:
        return [Annotated(where, annotations)]
    information = found.get("media_info") or {}
    lengths = [float((information.get("length") or {}).get(name) or math.inf) for name in files]
    if math.inf in lengths[:-1]:
        raise InputError(
            f"expected the length of each video of {where}, got none of "
            f"{files[lengths.index(math.inf)]}; save it again in BORIS"
        )
    return _by_file(where, files, lengths, information.get("fps") or {}, annotations)


def _by_file(
    where: str,
    files: Sequence[str],
    lengths: Sequence[float],
    rates: Mapping[str, Any],
    annotations: Sequence[Annotation],
) -> list[Annotated]:
    """Each video's own, on its own timeline."""
    start, parts = 0.0, list[Annotated]()
    for name, length in zip(files, lengths, strict=True):
        end = start + length if len(parts) + 1 < len(files) else math.inf
        own = [a for a in annotations if start <= a.onset_s < end]
        late = next((a for a in own if a.offset_s > end + _TOLERANCE_S), None)
        if late is not None:
            raise InputError(
                f"expected a state that ends in the video where it begins, got {late.label} at "
                f"{late.where}; end it before the next video"
            )
        shifted = tuple(_shifted(a, start) for a in own)
        rate = float(rates.get(name) or 0) or None
        parts.append(Annotated(where, shifted, (file_name(name),), rate))
        start = end
    return parts


def _shifted(item: Annotation, start: float) -> Annotation:
    onset, offset = round(item.onset_s - start, 6), round(item.offset_s - start, 6)
    apex = None if item.apex_s is None else round(item.apex_s - start, 6)
    return replace(item, onset_s=onset, offset_s=offset, apex_s=apex)


def _joined(events: Iterable[_Event]) -> tuple[Annotation, ...]:
    """Beginnings with their ends, by time."""
    running: dict[tuple[str, str, str], _Event] = {}
    found = []
    for event in sorted(events, key=lambda e: e.time):
        begun = running.pop(event.key, None)
        if not event.is_state:
            found.append(event.until(event))
        elif begun is None:
            running[event.key] = event
        else:
            found.append(begun.until(event))
    for event in running.values():
        raise InputError(
            f"expected an end of every state, got none of {event.code} in {event.where}; end it in "
            "BORIS"
        )
    return tuple(sorted(found, key=lambda a: (a.onset_s, a.offset_s, a.tier, a.label)))


# --- tables --------------------------------------------------------------------------------------

_MEDIA: Final = ("mediafilename", "mediafilepath", "mediafile", "source")


def is_table(table: Table) -> bool:
    """Whether the columns are those of BORIS: of single events, or of whole behaviours."""
    return table.has("behavior") and (table.has("starts", "stops") or table.has("time"))


def read_events(table: Table) -> tuple[Annotated, ...]:
    """Every observation of an exported table of events, single or aggregated."""
    heading = table.heading("observation id")
    ids = grouped(table.rows, lambda row: table.cell(row, "observationid") or heading)
    return tuple(_of_table(table, name, rows) for name, rows in ids.items())


def _of_table(table: Table, name: str, rows: Sequence[Mapping[str, str]]) -> Annotated:
    where = f"observation {name} of {table.name}" if name else table.name
    media = {
        file_name(path.split(":", 1)[-1] if path.casefold().startswith("player #") else path)
        for row in rows
        for path in table.cell(row, *_MEDIA).split(";")
        if path.strip()
    }
    if len(media) > 1:
        raise InputError(
            f"expected one video in {where}, got {', '.join(sorted(media))}; import the .boris "
            "project, which has the length of each"
        )
    rates = {table.cell(row, "fps") for row in rows} - {""}
    rate = number(rates.pop()) if len(rates) == 1 else None
    if table.has("starts"):
        found = tuple(_aggregated(table, row) for row in rows)
    else:
        found = _joined(_event(table, row, "time", "comment") for row in rows)
    return Annotated(where, found, tuple(media), rate)


def _aggregated(table: Table, row: Mapping[str, str]) -> Annotation:
    """A row that has a state's begin and end."""
    begin = _event(table, row, "starts", "commentstart")
    end = _event(table, row, "stops", "commentstop") if begin.is_state else begin
    return begin.until(end)


def _event(table: Table, row: Mapping[str, str], time: str, note: str) -> _Event:
    edge = table.cell(row, "behaviortype", "status").upper()
    if edge not in ("START", "STOP", "POINT", "STATE"):
        raise InputError(
            f"expected START, STOP, STATE or POINT in {table.place(row)}, got {edge!r}; export it "
            "again from BORIS"
        )
    return _Event(
        table.seconds(row, time),
        table.cell(row, "subject"),
        table.cell(row, "behavior"),
        _text(table.cell(row, "modifiers", "modifier")),
        table.cell(row, note, "comment"),
        table.cell(row, "behavioralcategory"),
        edge != "POINT",
        table.place(row),
    )


def _text(modifiers: object) -> str:
    """Modifiers as one text; "None" is BORIS's word for none.

    >>> _text("left|None"), _text("None")
    ('left', '')
    """
    named = (part.strip() for part in str(modifiers).split("|"))
    return ", ".join(part for part in named if part.casefold() not in _NONE)
