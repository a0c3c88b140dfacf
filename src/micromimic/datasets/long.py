"""Databases of long videos: the videos as rows of a manifest, and the events in them.

Rules, for numbers of frames as they stand in the pictures' names: an offset of 0 is the apex, an
apex of 0 the middle, one below 0 or absent is not coded. Every folder is a video, also without an
event; an event whose video is not there, or that lies outside its pictures, is left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from micromimic.core.errors import InputError
from micromimic.core.labels import LabelSet
from micromimic.datasets.base import (
    ClipKey,
    Database,
    Found,
    LeftOut,
    Note,
    Request,
    Row,
    first_few,
)
from micromimic.datasets.clip import Clip, Event, EventKind
from micromimic.datasets.join import annotation, find, sort_key
from micromimic.datasets.table import number
from micromimic.datasets.tree import scan


def read_long(request: Request) -> Found:
    database = request.database
    source = find(request, scan(request.folder, database))
    fixes = (fix for fix in request.corrections if fix.dataset == database.name and fix.where)
    for fix in fixes:
        raise InputError(
            f"expected corrections of clips, got one of the long videos {fix.dataset} in "
            f"{fix.where}; correct the events table instead"
        )
    notes = list(source.notes)
    videos: dict[ClipKey, Clip] = {}
    left: list[LeftOut] = []
    for folder in source.folders:
        names = database.name, database.subject_name(folder.key[0]), folder.name
        if not folder.numbers or folder.key in videos:
            why = "another folder holds it" if folder.numbers else "its pictures have no numbers"
            left.append(LeftOut(*names, why))
            continue
        ends = min(folder.numbers), None, max(folder.numbers)
        videos[folder.key] = Clip(*names, "", "frames", folder.path, *ends, database.fps)
        if folder.home not in (None, folder.key[0]):
            home = database.subject_name(folder.home)
            notes.append(Note(*names, f"its folder lies in that of {home}"))
    labels = next((s for s in request.labels if s.name in database.schemes), None)
    events: list[Event] = []
    for row in source.rows:
        made = _event(database, row, videos, labels)
        if isinstance(made, Event):
            events.append(made)
        else:
            left.append(made)
    emotions = {row.get("emotion", "").casefold() for row in source.rows}
    if unknown := sorted(emotions - {"", *database.words}):
        notes.append(database.note(f"emotions without a class, left empty: {first_few(unknown)}"))
    return Found(
        tuple(sorted(videos.values(), key=sort_key)),
        tuple(left),
        {},
        tuple(notes),
        source.table.path if source.table else None,
        tuple(sorted(dict.fromkeys(events), key=lambda e: (e.key, e.onset, e.offset))),
    )


def _event(
    database: Database, row: Row, videos: Mapping[ClipKey, Clip], labels: LabelSet | None
) -> Event | LeftOut:
    made = annotation(database, row)
    video = videos.get(made.home)

    def refuse(why: str) -> LeftOut:
        return LeftOut(database.name, made.subject, f"{made.clip} (row {made.row})", why)

    if video is None:
        return refuse("no folder of frames")
    onset, apex, offset = (number(row.get(name, "")) for name in ("onset", "apex", "offset"))
    word = row["kind"].casefold()
    kind = next((kind for kind in get_args(EventKind) if word.startswith(kind)), None)
    if kind is None:
        return refuse(f"its type is {row['kind']!r}, expected micro or macro")
    offset = apex if offset == 0 else offset
    if onset is None or offset is None or not onset.is_integer() or not offset.is_integer():
        return refuse(f"its onset and offset are {row['onset']!r} and {row['offset']!r}")
    apex = (onset + offset) // 2 if apex == 0 else apex
    if onset > offset:
        return refuse(f"it ends at {offset:g}, before it begins at {onset:g}")
    if onset < (video.onset or 0) or offset > (video.offset or 0):
        return refuse(
            f"its frames {onset:g} to {offset:g} lie outside of {video.onset} to {video.offset}"
        )
    inside = int(apex) if apex is not None and onset <= apex <= offset else None
    label = database.label_of(made.emotion, labels) if labels else ""
    names = database.name, made.subject, video.clip
    return Event(*names, int(onset), inside, int(offset), kind, label)
