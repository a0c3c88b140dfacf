"""SMIC: 164 micro-expressions of 16 people by a high-speed camera, of eight of them by two others.

SMIC-HS (high speed), cut from onset to offset, is labelled by its folders and has no annotation
table; nobody annotated an apex. SMIC-E has 157 of the clips with time around them, and a table of
up to three movements a clip: its first pair of onset and offset is the clip, the others stand in
the manifest's column ``further_pairs``. Where both are there, SMIC-HS is read.

SMIC-VIS and -NIR are 71 micro-expressions each at 25 frames a second. Their tables count frames of
a longer recording, ``FirstF`` being the clip's first picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from micromimic.datasets.base import (
    NUMBERED,
    ClipKey,
    Database,
    Found,
    Note,
    Request,
    Row,
    Table,
    TableSpec,
    columns,
    first_few,
    normalized_name,
    subject_number,
    three,
)
from micromimic.datasets.join import find, join
from micromimic.datasets.table import whole
from micromimic.datasets.tree import ClipFolder, scan

CODES: Final = {"ne": "negative", "po": "positive", "sur": "surprise"}
COUNTS: Final = {
    1: (3, 2, 1), 2: (0, 1, 5), 3: (22, 11, 6), 4: (10, 4, 5), 5: (1, 0, 1), 6: (2, 0, 2),
    8: (9, 4, 0), 9: (0, 1, 3), 11: (3, 3, 1), 12: (0, 8, 1), 13: (0, 10, 0), 14: (3, 2, 5),
    15: (1, 1, 2), 18: (2, 0, 5), 19: (0, 1, 1), 20: (14, 3, 5),
}  # fmt: skip
"""How many ne, po and sur clips each subject has in SMIC-HS; they are numbered from 1."""
STRANGE_SHARE: Final = 0.1  # of clips that SMIC-HS does not have: more, and it is not SMIC-HS


def _read(request: Request) -> Found:
    """SMIC-HS, or SMIC-E's high-speed part where that is all there is."""
    tree = scan(request.folder, request.database)
    cut = [clip for clip in tree.clips if _label_above(clip)]
    notes = []
    if any(clip.pictures for clip in cut):
        source = find(request, replace(tree, clips=cut))
        rows = list({clip.key: _of_folder(clip) for clip in source.folders}.values())
        if more := len(tree.clips) - len(cut):
            folders = "folder" if more == 1 else "folders"
            text = f"SMIC-HS is read; not read: {more} {folders} outside of it (SMIC-E)"
            notes.append(HS.note(text))
    else:
        request = replace(request, database=replace(HS, title="SMIC-E", table=LONG, rows=_of_table))
        source = find(request, tree)
        rows = list(source.rows)
    keys = {(int(row["subject"]), normalized_name(row["clip"])) for row in rows}
    missing, unknown = _compare(keys | {clip.key for clip in source.folders})
    found = join(request, replace(source, rows=[*rows, *missing]))
    return replace(found, notes=(*notes, *unknown, *found.notes))


def _of_folder(clip: ClipFolder) -> Row:
    """SMIC-HS: a folder holds a clip from onset to offset, under the name of its class."""
    ends = (min(clip.numbers), max(clip.numbers)) if clip.numbers else (0, 1)
    return _row(clip.key, _label_above(clip) or "", *map(str, ends))


def _of_table(table: Table, _: Table | None) -> Iterable[Row]:
    """SMIC-E: a folder holds seconds of video, the table says where the movement is."""
    for row in table.rows:
        key = (subject_number(row["subject"]) or 0, normalized_name(row["clip"]))
        pairs = "; ".join(f"{onset}-{offset}" for onset, offset in _further(row))
        made = _row(key, row["emotion"].casefold(), row["onset"], row["offset"])
        yield {**made, **({"further_pairs": pairs} if pairs else {})}


def _row(key: ClipKey, emotion: str, onset: str, offset: str) -> Row:
    _, code, number = key[1].split("_")
    label = CODES[code]
    odd = f"the clip's name says {label}, its annotation {emotion}"
    return {
        "subject": str(key[0]),
        "clip": f"{HS.subject_name(key[0])}_{code}_{int(number):02d}",
        "emotion": emotion,
        "onset": onset,
        "offset": offset,
        "odd": "" if emotion == label else odd,
    }


def _further(row: Row) -> Sequence[tuple[int, int]]:
    """The second and third movement of a clip.

    The table's formulas left numbers where there is no movement: a pair counts when it lies in
    order within the clip's first and last frame, and does not repeat one before.
    """
    first, last = whole(row["first"]), whole(row["last"])
    pairs: list[tuple[int, int]] = []
    for number in ("2", "3"):
        onset, offset = whole(row["onset" + number]), whole(row["offset" + number])
        if onset is None or offset is None or onset >= offset or (onset, offset) in pairs:
            continue
        if (first is None or first <= onset) and (last is None or offset <= last):
            pairs.append((onset, offset))
    return pairs


def _compare(known: set[ClipKey]) -> tuple[list[Row], list[Note]]:
    """What a copy lacks of SMIC-HS's 164 clips (nothing, where most are others), and has beside
    them.
    """
    official = {
        (subject, f"s{subject}_{code}_{number}")
        for subject, counts in COUNTS.items()
        for code, count in zip(CODES, counts, strict=True)
        for number in range(1, count + 1)
    }
    unknown = sorted(known - official)
    names = [_row(key, "", "", "")["clip"] for key in unknown]
    text = f"not in SMIC-HS: {len(unknown)} of {len(known)} clips: {first_few(names)}"
    notes = [HS.note(text)] if unknown else []
    if len(unknown) > len(known) * STRANGE_SHARE:
        return [], notes
    missing = sorted(official - known)
    return [_row(key, CODES[key[1].split("_")[1]], "0", "1") for key in missing], notes


def _label_above(clip: ClipFolder) -> str | None:
    """The class that a folder above names; None in SMIC-E."""
    names = [name.casefold() for name in reversed(clip.above)]
    return next((name for name in names if name in CODES.values()), None)


ALL: Final[dict[str, Any]] = {
    "reference": "Li, Pfister, Huang, Zhao, Pietikainen, FG 2013, doi 10.1109/FG.2013.6553717",
    "licence": "academic, by agreement with the University of Oulu",
    "subject": NUMBERED,
    "clip": r"s0*(?P<who>\d{1,2})_(?:ne|po|sur)_\d{1,2}",
    "subject_name": "s{:02d}".format,
    "schemes": {"three": three("negative", "positive", "surprise")},
    "apex": False,
}
LONG: Final = TableSpec(
    name="SMIC-HS-E_annotation.xlsx", keyword="smic", sheet="HS",
    columns=columns("Subject, Filename, OnsetF", offset="OffsetF", emotion="Emotion"),
    optional={f"{end}{n}": f"{end.capitalize()}{n}F" for end in ("onset", "offset") for n in "23"}
    | {"first": "FirstF", "last": "LastF"},
)  # fmt: skip
HS: Final = Database(
    **ALL, name="smic", title="SMIC-HS", fps=100.0, reader=_read,
    example="HS/s01/micro/negative/s1_ne_01/image17581039.jpg",
    skip=frozenset({"vis", "nir", "nonmicro"}),
)  # fmt: skip


def _of_camera(camera: str, *others: str) -> Database:
    fields = columns(
        "Subject, Filename, OnsetF", offset="OffsetF", emotion="Emotion", first="FirstF"
    )
    return Database(
        **ALL, name=f"smic-{camera.casefold()}", title=f"SMIC-{camera}", fps=25.0,
        example=f"{camera}_long/SMIC-{camera}-E/{camera}/s01/s01_ne_01/image7712.jpg",
        table=TableSpec(f"SMIC-{camera}-E_annotation.xlsx", "smic", fields, sheet=camera),
        skip=frozenset({"nonmicro", *others}),
    )  # fmt: skip


VIS: Final = _of_camera("VIS", "hs", "nir")
NIR: Final = _of_camera("NIR", "hs", "vis")
