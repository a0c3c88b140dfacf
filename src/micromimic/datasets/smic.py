"""SMIC-HS: 164 micro-expressions of 16 people at 100 frames a second, cut from onset to offset.

Li, Pfister, Huang, Zhao, Pietikäinen, "A Spontaneous Micro-expression Database: Inducement,
Collection and Baseline", FG 2013, doi 10.1109/FG.2013.6553717.

SMIC-HS is labelled by its folders and has no annotation table; nobody annotated an apex. SMIC-E has
157 of the clips with time around them, and a table of up to three movements a clip: the table's
first pair of onset and offset is the clip, the others stand in the manifest's column
``further_pairs``. Where both are there, SMIC-HS is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from micromimic.datasets.base import ClipKey, Found, Layout, Note, loose, some, subject_number
from micromimic.datasets.clip import frame_number
from micromimic.datasets.corrections import Correction
from micromimic.datasets.join import Annotation, join, whole
from micromimic.datasets.tables import Table, TableSpec, find_table
from micromimic.datasets.tree import ClipFolder, Tree, choose_copy, scan, strangers_note
from micromimic.labels import EMOTIONS, Emotion

LAYOUT: Final = Layout(
    dataset="smic",
    title="SMIC-HS",
    example="HS/s01/micro/negative/s1_ne_01/image17581039.jpg",
    subject=re.compile(r"(?:sub(?:ject)?|s)?[ _-]?0*(\d{1,2})", re.I),
    clip=re.compile(r"s0*(\d{1,2})_(?:ne|po|sur)_\d{1,2}", re.I),
    subject_name="s{:02d}".format,
    fps=100.0,
    skip=frozenset({"vis", "nir", "nonmicro"}),
)
TABLE: Final = TableSpec(
    name="SMIC-HS-E_annotation.xlsx",
    keyword="smic",
    columns={
        "subject": "Subject",
        "clip": "Filename",
        "onset": "OnsetF",
        "offset": "OffsetF",
        "emotion": "Emotion",
    },
    optional={
        "onset2": "Onset2F",
        "offset2": "Offset2F",
        "onset3": "Onset3F",
        "offset3": "Offset3F",
        "first": "FirstF",
        "last": "LastF",
    },
    sheet="HS",
)
CODES: Final[Mapping[str, Emotion]] = {"ne": "negative", "po": "positive", "sur": "surprise"}
COUNTS: Final = {
    1: (3, 2, 1),
    2: (0, 1, 5),
    3: (22, 11, 6),
    4: (10, 4, 5),
    5: (1, 0, 1),
    6: (2, 0, 2),
    8: (9, 4, 0),
    9: (0, 1, 3),
    11: (3, 3, 1),
    12: (0, 8, 1),
    13: (0, 10, 0),
    14: (3, 2, 5),
    15: (1, 1, 2),
    18: (2, 0, 5),
    19: (0, 1, 1),
    20: (14, 3, 5),
}
"""How many ne, po and sur clips each subject has in SMIC-HS; they are numbered from 1."""
STRANGE_SHARE: Final = 0.1  # of clips that SMIC-HS does not have: more, and it is not SMIC-HS


def read_smic(
    folder: Path,
    table: Path | None = None,
    corrections: Sequence[Correction] | None = None,
) -> Found:
    """Read SMIC-HS, or SMIC-E's high-speed part where that is all there is.

    Args:
        folder: the database's, or one above or inside it.
        table: SMIC-E's annotation; None looks for it in the folder and above. SMIC-HS needs none.
        corrections: to apply; None for those of the package.

    Raises:
        InputError: if the folder holds neither, SMIC-E has no annotation, or a user's correction
            names no clip.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    tree = scan(folder, LAYOUT)
    cut = [clip for clip in tree.clips if _label_above(clip)]
    if any(clip.pictures for clip in cut):
        found = _read_cut(tree, cut, corrections)
        more = len(tree.clips) - len(cut)
        if more:
            folders = "folder" if more == 1 else "folders"
            text = f"SMIC-HS is read; not read: {more} {folders} outside of it (SMIC-E)"
            found = replace(found, notes=(*found.notes, Note("smic", "", "", text)))
        return found
    return _read_long(tree, table, corrections)


def _read_cut(
    tree: Tree, clips: Iterable[ClipFolder], corrections: Sequence[Correction] | None
) -> Found:
    """SMIC-HS: each folder holds a clip from onset to offset, under the name of its class."""
    taken, notes = choose_copy(clips, LAYOUT)
    annotations: dict[ClipKey, Annotation] = {}
    for clip in taken:
        label = _label_above(clip) or _named(clip.key)
        numbers = [n for name in clip.pictures if (n := frame_number(name)) is not None]
        ends = (str(min(numbers)), str(max(numbers))) if numbers else ("0", "1")
        annotations.setdefault(clip.key, _annotation(clip.key, label, label, *ends))
    missing, strange = _compare(set(annotations))
    found = join(LAYOUT, [*annotations.values(), *missing], taken, corrections, None)
    more = (*notes, *strange, *strangers_note(tree, taken, LAYOUT))
    return replace(found, notes=(*more, *found.notes))


def _read_long(tree: Tree, table: Path | None, corrections: Sequence[Correction] | None) -> Found:
    """SMIC-E: each folder holds seconds of video, the table says where the movement is."""
    sheet = find_table(TABLE, replace(LAYOUT, title="SMIC-E"), tree.folder, tree.tables, table)
    taken, notes = choose_copy(tree.clips, LAYOUT)
    annotations = list(_annotations(sheet))
    known = {annotation.key for annotation in annotations} | {clip.key for clip in taken}
    missing, strange = _compare(known)
    found = join(LAYOUT, [*annotations, *missing], taken, corrections, sheet.path)
    more = (*notes, *sheet.notes, *strange, *strangers_note(tree, taken, LAYOUT))
    return replace(found, notes=(*more, *found.notes))


def _annotations(table: Table) -> Iterable[Annotation]:
    for row in table.rows:
        key = (subject_number(row["subject"]) or 0, loose(row["clip"]))
        emotion = row["emotion"].casefold()
        label = next((name for name in EMOTIONS if name == emotion), None)
        made = _annotation(key, emotion, label, row["onset"], row["offset"])
        problem = "" if label else f"emotion {row['emotion']!r} is none of {', '.join(EMOTIONS)}"
        pairs = "; ".join(f"{onset}-{offset}" for onset, offset in _further(row))
        yield replace(made, problem=problem, extra={"further_pairs": pairs} if pairs else {})


def _further(row: Mapping[str, str]) -> list[tuple[int, int]]:
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


def _annotation(
    key: ClipKey, emotion: str, label: Emotion | None, onset: str, offset: str
) -> Annotation:
    subject = LAYOUT.subject_name(key[0])
    code, number = key[1].split("_")[1:]
    odd = f"the clip's name says {_named(key)}, its annotation {emotion}"
    return Annotation(
        key=key,
        subject=subject,
        clip=f"{subject}_{code}_{int(number):02d}",
        emotion=emotion,
        label=label,
        onset=onset,
        apex="",
        offset=offset,
        notes=(odd,) if label not in (None, _named(key)) else (),
    )


def _named(key: ClipKey) -> Emotion:
    """The class that a clip's name tells."""
    return CODES[key[1].split("_")[1]]


def _compare(known: set[ClipKey]) -> tuple[list[Annotation], list[Note]]:
    """What a copy lacks of SMIC-HS's 164 clips, and what it has beside them.

    Returns:
        An annotation for each clip that is missing: no folder will be found for it, and that is
        said. None where the clips are mostly others, as in a database that is made up.
    """
    official = set(official_clips())
    strange = sorted(known - official)
    if not strange:
        notes = []
    else:
        names = [_annotation(key, "", None, "", "").clip for key in strange]
        text = f"not in SMIC-HS: {len(strange)} of {len(known)} clips: {some(names)}"
        notes = [Note(LAYOUT.dataset, "", "", text)]
    if len(strange) > len(known) * STRANGE_SHARE:
        return [], notes
    lacking = sorted(official - known)
    return [_annotation(key, _named(key), _named(key), "0", "1") for key in lacking], notes


def official_clips() -> Iterable[ClipKey]:
    """The 164 clips of SMIC-HS."""
    for subject, counts in COUNTS.items():
        for code, count in zip(CODES, counts, strict=True):
            for number in range(1, count + 1):
                yield subject, f"s{subject}_{code}_{number}"


def _label_above(clip: ClipFolder) -> Emotion | None:
    """The class that a folder above names; None in SMIC-E."""
    names = [name.casefold() for name in reversed(clip.above)]
    return next((label for name in names for label in EMOTIONS if name == label), None)
