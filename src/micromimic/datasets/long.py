"""Databases of long videos: the videos as rows of a manifest, and the events in them.

Rules, for numbers of frames as they stand in the pictures' names: an offset of 0 is the apex, an
apex of 0 the middle, one below 0 or absent is not coded. Every folder is a video, also without an
event; an event whose video is not there, or that lies outside its pictures, is left out and named.
"""

from __future__ import annotations

from dataclasses import replace

from micromimic.datasets.base import (
    ClipKey,
    Database,
    Found,
    LeftOut,
    Note,
    Request,
    Row,
    labels_of,
    some,
)
from micromimic.datasets.clip import Clip, frame_number
from micromimic.datasets.corrections import for_dataset
from micromimic.datasets.events import Event, EventKind
from micromimic.datasets.join import annotation, read_rows
from micromimic.datasets.table import number
from micromimic.datasets.tree import ClipFolder, choose_copy, strangers_note
from micromimic.errors import InputError
from micromimic.labels import LabelSet
from micromimic.media.formats import natural_key


def read_long(request: Request) -> Found:
    """The videos and events of a database.

    Raises:
        InputError: if the folder holds no such database, there is no annotation, or a correction
            is for it.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    database = request.database
    tree, sheet, rows = read_rows(request)
    taken, notes = choose_copy(tree.clips, database)
    for fix in (f for fixes in for_dataset(request.corrections or (), database.name).values()
                for f in fixes if f.where):  # fmt: skip
        raise InputError(
            f"expected corrections of clips, got one of the long videos {fix.dataset} in "
            f"{fix.where}; correct the events table instead"
        )
    videos: dict[ClipKey, Clip] = {}
    left: list[LeftOut] = []
    for folder in taken:
        subject = database.subject_name(folder.key[0])
        numbers = [n for name in folder.pictures if (n := frame_number(name)) is not None]
        if numbers and folder.key not in videos:
            videos[folder.key] = _video(database, subject, folder, numbers)
            if folder.home not in (None, folder.key[0]):
                text = f"its folder lies in that of {database.subject_name(folder.home or 0)}"
                notes.append(Note(database.name, subject, folder.name, text))
        else:
            why = "another folder holds it" if numbers else "its pictures have no numbers"
            left.append(LeftOut(database.name, subject, folder.name, why))
    labels = next((s for s in request.labels if s.name in database.schemes), None)
    events: list[Event] = []
    for row in rows:
        found = _event(database, row, videos, labels)
        (events if isinstance(found, Event) else left).append(found)  # type: ignore[arg-type]
    unknown = sorted({r.get("emotion", "").casefold() for r in rows} - {"", *database.words})
    if unknown:
        text = f"emotions without a class, left empty: {some(unknown)}"
        notes.append(Note(database.name, "", "", text))
    order = {key: place for place, key in enumerate(sorted(v.key for v in videos.values()))}
    return Found(
        tuple(sorted(videos.values(), key=lambda v: (natural_key(v.subject), natural_key(v.clip)))),
        tuple(left),
        {},
        (*notes, *sheet.notes, *strangers_note(tree, taken, database)),
        sheet.path,
        tuple(sorted(dict.fromkeys(events), key=lambda e: (order[e.key], e.onset, e.offset))),
    )


def _video(database: Database, subject: str, folder: ClipFolder, numbers: list[int]) -> Clip:
    ends = {"onset": min(numbers), "offset": max(numbers)}
    names = database.name, subject, folder.name
    return Clip(*names, "", "frames", folder.path, fps=database.fps, **ends)  # type: ignore[arg-type]


def _event(
    database: Database, row: Row, videos: dict[ClipKey, Clip], labels: LabelSet | None
) -> Event | LeftOut:
    """The event of a row, or why there is none."""
    made = annotation(database, row)
    video = videos.get(made.home)

    def refuse(why: str) -> LeftOut:
        return LeftOut(database.name, made.subject, f"{made.clip} (row {made.row})", why)

    if video is None:
        return refuse("no folder of frames")
    onset, apex, offset = (
        number(text) for text in (row["onset"], row.get("apex", ""), row["offset"])
    )
    kind = row["kind"].casefold()
    kinds: tuple[EventKind, ...] = ("micro", "macro")
    named = next((name for name in kinds if kind.startswith(name)), None)
    if named is None:
        return refuse(f"its type is {row['kind']!r}, expected micro or macro")
    offset = apex if offset == 0 else offset
    if onset is None or offset is None or not float(onset).is_integer() or not offset.is_integer():
        return refuse(f"its onset and offset are {row['onset']!r} and {row['offset']!r}")
    apex = (onset + offset) // 2 if apex == 0 else apex
    if onset > offset:
        return refuse(f"it ends at {offset:g}, before it begins at {onset:g}")
    if onset < (video.onset or 0) or offset > (video.offset or 0):
        return refuse(
            f"its frames {onset:g} to {offset:g} lie outside of {video.onset} to {video.offset}"
        )
    inside = apex is not None and onset <= apex <= offset
    emotion = made.emotion if made.emotion in database.words else ""
    label = labels_of(emotion, labels) if labels and emotion else ""
    return replace(
        Event(database.name, made.subject, video.clip, int(onset), None, int(offset), named, label),
        apex=int(apex) if inside and apex is not None else None,
    )
