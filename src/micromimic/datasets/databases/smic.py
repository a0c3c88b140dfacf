"""SMIC-HS: 164 micro-expressions of 16 people at 100 frames a second, cut from onset to offset.

SMIC-HS is labelled by its folders and has no annotation table; nobody annotated an apex. SMIC-E has
157 of the clips with time around them, and a table of up to three movements a clip: the table's
first pair of onset and offset is the clip, the others stand in the manifest's column
``further_pairs``. Where both are there, SMIC-HS is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from micromimic.datasets.base import (
    NUMBERED,
    ClipKey,
    Database,
    Found,
    Note,
    Request,
    Row,
    TableSpec,
    columns,
    loose,
    some,
    subject_number,
    three,
)
from micromimic.datasets.clip import frame_number
from micromimic.datasets.databases.smic_other import CLIP, LICENCE, REFERENCE
from micromimic.datasets.join import Annotation, join
from micromimic.datasets.table import whole
from micromimic.datasets.tables import find_table
from micromimic.datasets.tree import ClipFolder, Tree, choose_copy, scan, strangers_note

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
    if not any(clip.pictures for clip in cut):
        return _read_long(request, tree)
    found = _read_cut(request, tree, cut)
    more = len(tree.clips) - len(cut)
    if more:
        folders = "folder" if more == 1 else "folders"
        text = f"SMIC-HS is read; not read: {more} {folders} outside of it (SMIC-E)"
        found = replace(found, notes=(*found.notes, Note("smic", "", "", text)))
    return found


def _read_cut(request: Request, tree: Tree, clips: Iterable[ClipFolder]) -> Found:
    """SMIC-HS: each folder holds a clip from onset to offset, under the name of its class."""
    taken, notes = choose_copy(clips, request.database)
    annotations: dict[ClipKey, Annotation] = {}
    for clip in taken:
        label = _label_above(clip) or _named(clip.key)
        numbers = [n for name in clip.pictures if (n := frame_number(name)) is not None]
        ends = (str(min(numbers)), str(max(numbers))) if numbers else ("0", "1")
        annotations.setdefault(clip.key, _annotation(clip.key, label, *ends))
    missing, strange = _compare(set(annotations))
    found = join(request, [*annotations.values(), *missing], taken, None)
    more = (*notes, *strange, *strangers_note(tree, taken, request.database))
    return replace(found, notes=(*more, *found.notes))


def _read_long(request: Request, tree: Tree) -> Found:
    """SMIC-E: each folder holds seconds of video, the table says where the movement is."""
    named = replace(request.database, title="SMIC-E")
    sheet = find_table(TABLE, named, tree.folder, tree.tables, request.table)
    taken, notes = choose_copy(tree.clips, request.database)
    annotations = [_of_row(row) for row in sheet.rows]
    known = {annotation.key for annotation in annotations} | {clip.key for clip in taken}
    missing, strange = _compare(known)
    found = join(request, [*annotations, *missing], taken, sheet)
    more = (*notes, *sheet.notes, *strange, *strangers_note(tree, taken, request.database))
    return replace(found, notes=(*more, *found.notes))


def _of_row(row: Row) -> Annotation:
    key = (subject_number(row["subject"]) or 0, loose(row["clip"]))
    made = _annotation(key, row["emotion"].casefold(), row["onset"], row["offset"])
    pairs = "; ".join(f"{onset}-{offset}" for onset, offset in _further(row))
    return replace(made, extra={"further_pairs": pairs} if pairs else {})


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


def _annotation(key: ClipKey, emotion: str, onset: str, offset: str) -> Annotation:
    subject = DATABASE.subject_name(key[0])
    code, number = key[1].split("_")[1:]
    odd = f"the clip's name says {_named(key)}, its annotation {emotion}"
    return Annotation(
        key=key,
        home=key,
        subject=subject,
        clip=f"{subject}_{code}_{int(number):02d}",
        emotion=emotion,
        onset=onset,
        apex="",
        offset=offset,
        notes=() if emotion == _named(key) else (odd,),
    )


def _named(key: ClipKey) -> str:
    """The class that a clip's name tells."""
    return CODES[key[1].split("_")[1]]


def _compare(known: set[ClipKey]) -> tuple[list[Annotation], list[Note]]:
    """What a copy lacks of SMIC-HS's 164 clips, and what it has beside them.

    Returns:
        An annotation for each clip that is missing: no folder will be found for it, and that is
        said. None where the clips are mostly others, as in a database that is made up.
    """
    official = {
        (subject, f"s{subject}_{code}_{number}")
        for subject, counts in COUNTS.items()
        for code, count in zip(CODES, counts, strict=True)
        for number in range(1, count + 1)
    }
    strange = sorted(known - official)
    names = [_annotation(key, "", "", "").clip for key in strange]
    text = f"not in SMIC-HS: {len(strange)} of {len(known)} clips: {some(names)}"
    notes = [Note("smic", "", "", text)] if strange else []
    if len(strange) > len(known) * STRANGE_SHARE:
        return [], notes
    return [_annotation(key, _named(key), "0", "1") for key in sorted(official - known)], notes


def _label_above(clip: ClipFolder) -> str | None:
    """The class that a folder above names; None in SMIC-E."""
    names = [name.casefold() for name in reversed(clip.above)]
    return next((name for name in names if name in CODES.values()), None)


TABLE: Final = TableSpec(
    name="SMIC-HS-E_annotation.xlsx", keyword="smic",
    columns=columns("Subject, Filename, OnsetF", offset="OffsetF", emotion="Emotion"),
    optional={f"{end}{n}": f"{end.capitalize()}{n}F" for end in ("onset", "offset") for n in "23"}
    | {"first": "FirstF", "last": "LastF"},
    sheet="HS",
)  # fmt: skip
DATABASE: Final = Database(
    name="smic", title="SMIC-HS", reference=REFERENCE, licence=LICENCE,
    example="HS/s01/micro/negative/s1_ne_01/image17581039.jpg", subject=NUMBERED, clip=CLIP,
    subject_name="s{:02d}".format, fps=100.0,
    schemes={"three": three("negative", "positive", "surprise")},
    skip=frozenset({"vis", "nir", "nonmicro"}), apex=False, reader=_read,
)  # fmt: skip
