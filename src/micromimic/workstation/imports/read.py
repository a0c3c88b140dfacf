"""A file of another tool, whichever it is: ELAN, BORIS, or a plain table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from micromimic.core.errors import InputError
from micromimic.datasets.grid import Table, read_rows
from micromimic.datasets.table import number, whole
from micromimic.workstation.imports import boris
from micromimic.workstation.imports.annotations import Annotated, Annotation, file_name, grouped
from micromimic.workstation.imports.elan import read_eaf

_LABEL: Final = ("label", "class", "marker", "event", "code", "behavior", "name", "trial")
_ONSET: Final = ("onsets", "onset", "starts", "start", "begins", "begin", "times", "time")
_OFFSET: Final = ("offsets", "offset", "stops", "stop", "ends", "end")
_APEX: Final = ("apexs", "apex")
_VIDEO: Final = ("video", "recording", "media", "file", "mediafile")
_STATUS: Final = ("status", "decision")
_SIDES: Final = {"": "", "L": "left", "R": "right", "B": "both"}
_FRAMES: Final = ("onsetframe", "apexframe", "offsetframe")


def read_annotations(path: Path) -> tuple[Annotated, ...]:
    """What a file says, by video. `InputError` where it is none of a kind that is known."""
    try:
        start = path.read_bytes()[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError as error:
        raise InputError(
            f"expected a file to import, got {path}: {error.strerror}; check the path"
        ) from None
    if start.startswith(b"<"):
        return (read_eaf(path),)
    if start.startswith(b"{"):
        return boris.read_project(path)
    table = read_rows(
        path,
        (*_ONSET, "onsetframe"),
        _LABEL,
        what="a table of events",
        remedy="name them in its first row (onset_s, offset_s, label, tier, video)",
    )
    return boris.read_events(table) if boris.is_table(table) else _plain(table)


def _plain(table: Table) -> tuple[Annotated, ...]:
    """Rows by video and coder."""
    rows = grouped(
        table.rows, lambda row: (file_name(table.cell(row, *_VIDEO)), table.cell(row, "coder"))
    )
    return tuple(_part(table, *key, own) for key, own in rows.items())


def _part(table: Table, video: str, coder: str, rows: Sequence[Mapping[str, str]]) -> Annotated:
    """One coder's of a video; events that the coder did not accept are left out."""
    rates = {rate for row in rows if (rate := number(table.cell(row, "fps"))) is not None}
    if len(rates) > 1:
        raise InputError(
            f"expected one fps of {video or table.name}, got {', '.join(map(str, rates))}; "
            "correct them"
        )
    held = [row for row in rows if table.cell(row, *_STATUS).casefold() in ("", "accepted")]
    return Annotated(
        table.name,
        tuple(_annotation(table, row) for row in held),
        (video,) if video else (),
        next(iter(rates), None),
        coder=coder,
    )


def _annotation(table: Table, row: Mapping[str, str]) -> Annotation:
    label, frames = table.cell(row, *_LABEL), _frames(table, row)
    if not label:
        raise InputError(f"expected a label in {table.place(row)}, got nothing; fill it in")
    timed = bool(table.cell(row, *_ONSET))
    if not timed and frames is None:
        raise InputError(f"expected a time in {table.place(row)}, got nothing; fill it in")
    onset = table.seconds(row, *_ONSET) if timed else 0.0
    offset = table.seconds(row, *_OFFSET) if table.cell(row, *_OFFSET) else onset
    apex = table.seconds(row, *_APEX) if table.cell(row, *_APEX) else None
    if offset < onset or not (apex is None or onset <= apex <= offset):
        raise InputError(
            f"expected onset, apex and offset in this order in {table.place(row)}, got {onset:g}, "
            f"{'none' if apex is None else f'{apex:g}'}, {offset:g}; correct them"
        )
    tier = table.cell(row, "tier", "track") or "markers"
    note, codes = table.cell(row, "note", "comment"), _codes(table, row)
    return Annotation(tier, label, onset, offset, apex, "", note, frames, table.place(row), codes)


def _codes(table: Table, row: Mapping[str, str]) -> dict[str, Any]:
    """What our own files say beside the class: action units, certainty, tags."""
    units = table.cell(row, "codedunits", "units")
    tags = [tag.strip() for tag in table.cell(row, "tags").split(";")]
    found = {
        "units": units_of(units, table.place(row)),
        "certainty": table.cell(row, "certainty"),
        "tags": [tag for tag in tags if tag],
    }
    return {name: value for name, value in found.items() if value}


def units_of(text: str, where: str) -> list[dict[str, Any]]:
    """Action units as FACS writes them, joined by ``+``; ``where`` is for messages."""
    return [_unit(part, where) for part in text.split("+") if part.strip()]


def _unit(text: str, where: str) -> dict[str, Any]:
    """An action unit as FACS writes it.

    >>> _unit("L12C", "")
    {'au': 12, 'side': 'left', 'intensity': 'C'}
    """
    found = re.fullmatch(r"([LRB]?)([0-9]{1,2})([A-E]?)", text.strip(), re.I)
    if found is None:
        raise InputError(f"expected an action unit as 12 or L12C in {where}, got {text!r}")
    side = _SIDES[found[1].upper()]
    return {"au": int(found[2]), "side": side, "intensity": found[3].upper()}


def _frames(table: Table, row: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Onset, apex and offset frames, where all are there."""
    cells = [table.cell(row, name) for name in _FRAMES]
    if not all(cells):
        return None
    onset, apex, offset = map(whole, cells)
    if onset is None or apex is None or offset is None or not onset <= apex <= offset:
        raise InputError(
            f"expected onset, apex and offset frames in this order in {table.place(row)}, got "
            f"{', '.join(cells)}; correct them"
        )
    return onset, apex, offset
