"""Joins annotations with folders of frames: which clips can be used, and what is wrong with them.

The rules, for numbers of frames as they stand in the pictures' names:

- A picture that is an empty file is as good as missing.
- Pictures missing between onset and offset: the clip is kept and they are named, unless more than
  half are gone.
- No picture at the onset: the next one counts as onset when it is at most `NEAR` frames later,
  else the clip is left out. No picture at the offset: the last one before counts.
- An apex that is no number, lies outside the clip, is its onset, or has no picture is left empty,
  so that preparation spots it.

Each of these is said, in `Found.notes` and in the manifest's column ``note``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

from micromimic.datasets.base import (
    ClipKey,
    Found,
    Layout,
    LeftOut,
    Note,
    loose,
    some,
    spans,
    subject_number,
)
from micromimic.datasets.clip import Clip, frame_number
from micromimic.datasets.corrections import Correction, builtin_corrections, for_dataset
from micromimic.datasets.tables import TableSpec, find_table
from micromimic.datasets.tree import ClipFolder, choose_copy, scan, strangers_note
from micromimic.errors import InputError
from micromimic.labels import Emotion
from micromimic.media.formats import natural_key

NEAR: Final = 5  # frames: 25 ms at 200 a second, a fifth of the shortest rise
LEAST_SHARE: Final = 0.5  # of the frames from onset to offset that must be there


@dataclass(frozen=True)
class Annotation:
    """What an annotation says of a clip, texts as in the table.

    Args:
        key: the clip, for comparing.
        subject, clip: names for the manifest.
        emotion: as annotated.
        label: its class; None where the composite does not use it.
        onset, apex, offset: frame numbers; apex "" where the database has none.
        extra: further columns for the manifest.
        notes: what is odd about the label; a corrected one settles it.
        problem: why there is no label; likewise.
    """

    key: ClipKey
    subject: str
    clip: str
    emotion: str
    label: Emotion | None
    onset: str
    apex: str
    offset: str
    extra: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""


class _Unusable(Exception):  # noqa: N818 - becomes a LeftOut
    """Why a clip cannot be used."""


def read_annotated(
    layout: Layout,
    spec: TableSpec,
    classes: Mapping[str, Emotion | None],
    folder: Path,
    table: Path | None,
    corrections: Sequence[Correction] | None,
) -> Found:
    """A database of folders of frames and one table with an emotion for each clip.

    Args:
        layout, spec: which database, and its table.
        classes: emotion, lower case, to class; None for those that the composite does not use.
        folder, table, corrections: as the readers have them.

    Raises:
        InputError: as the readers.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    tree = scan(folder, layout)
    sheet = find_table(spec, layout, tree.folder, tree.tables, table)
    taken, notes = choose_copy(tree.clips, layout)
    rows = [_annotation(layout, classes, row) for row in sheet.rows]
    found = join(layout, rows, taken, corrections, sheet.path)
    more = (*notes, *sheet.notes, *strangers_note(tree, taken, layout))
    return replace(found, notes=(*more, *found.notes))


def _annotation(
    layout: Layout, classes: Mapping[str, Emotion | None], row: Mapping[str, str]
) -> Annotation:
    number = subject_number(row["subject"]) or 0
    emotion = row["emotion"].casefold()
    problem = f"emotion {row['emotion']!r} is none of {', '.join(classes)}"
    return Annotation(
        key=(number, loose(row["clip"])),
        subject=layout.subject_name(number),
        clip=row["clip"],
        emotion=emotion,
        label=classes.get(emotion),
        onset=row["onset"],
        apex=row["apex"] or "empty",
        offset=row["offset"],
        extra={"action_units": row["action_units"]},
        problem="" if emotion in classes else problem,
    )


def join(
    layout: Layout,
    annotations: Iterable[Annotation],
    folders: Iterable[ClipFolder],
    corrections: Sequence[Correction] | None,
    table: Path | None,
) -> Found:
    """The clips of a database from its annotations and its folders.

    Args:
        layout: which database.
        annotations: one a row of the table.
        folders: the clips' folders.
        corrections: to apply; None for those of the package.
        table: where the annotations are from, for messages.

    Raises:
        InputError: if a user's correction names a clip that does not exist.
    """
    chosen = builtin_corrections() if corrections is None else corrections
    fixes = for_dataset(chosen, layout.dataset)
    homes: dict[ClipKey, list[ClipFolder]] = {}
    for folder in folders:
        homes.setdefault(folder.key, []).append(folder)
    clips: list[Clip] = []
    left_out: list[LeftOut] = []
    notes: list[Note] = []
    dropped: Counter[str] = Counter()
    annotated: set[ClipKey] = set()
    for rows in _by_clip(annotations):
        row, fixed = _correct(rows[0], fixes.get(rows[0].key, ()))
        annotated.add(row.key)
        name = (layout.dataset, row.subject, row.clip)
        try:
            _refuse(rows, fixes.get(row.key, ()), table)
            if row.problem:
                raise _Unusable(row.problem)
            if row.label is None:
                dropped[row.emotion] += 1
                continue
            clip, said = _clip(layout, row, homes.get(row.key, []))
        except _Unusable as why:
            left_out.append(LeftOut(*name, str(why)))
            continue
        said = (*fixed, *row.notes, *said)
        if said:
            clip = replace(clip, extra={**clip.extra, "note": "; ".join(said)})
        clips.append(clip)
        notes += [Note(*name, text) for text in said]
    left_out += _unannotated(layout, homes, annotated, table)
    _all_used(fixes, annotated | set(homes))
    return Found(
        tuple(sorted(clips, key=_order)),
        tuple(sorted(left_out, key=_order)),
        dict(dropped),
        tuple(sorted(notes, key=_order)),
        table,
    )


def _order(item: Clip | LeftOut | Note) -> tuple[object, ...]:
    return natural_key(item.subject), natural_key(item.clip)


def _by_clip(annotations: Iterable[Annotation]) -> Iterable[list[Annotation]]:
    rows: dict[ClipKey, list[Annotation]] = {}
    for annotation in annotations:
        rows.setdefault(annotation.key, []).append(annotation)
    return rows.values()


def _correct(row: Annotation, fixes: Sequence[Correction]) -> tuple[Annotation, tuple[str, ...]]:
    """The row as corrected, and what was changed."""
    said = []
    for fix in fixes:
        if fix.field == "exclude":
            continue
        before = getattr(row, fix.field)
        if before == fix.value:
            continue
        if fix.field == "label":
            row = replace(row, label=fix.value, problem="", notes=())
        else:
            row = replace(row, **{fix.field: fix.value})  # type: ignore[arg-type]
        said.append(
            f"{fix.field} corrected from {before or 'none'} to {fix.value or 'none'}: {fix.reason}"
        )
    return row, tuple(said)


def _refuse(rows: Sequence[Annotation], fixes: Sequence[Correction], table: Path | None) -> None:
    """Say no to clips that are excluded, or annotated twice in two ways."""
    for fix in fixes:
        if fix.field == "exclude" and fix.value == "yes":
            raise _Unusable(f"excluded by correction: {fix.reason}")
    if any(row != rows[0] for row in rows):
        raise _Unusable(f"{len(rows)} rows of {table.name if table else 'the table'} differ")


def _clip(
    layout: Layout, row: Annotation, folders: Sequence[ClipFolder]
) -> tuple[Clip, tuple[str, ...]]:
    """The clip of a row, and what is odd about it."""
    if not folders:
        raise _Unusable("no folder of frames")
    if len(folders) > 1:
        places = " and ".join(str(folder.path) for folder in folders)
        raise _Unusable(f"{len(folders)} folders hold it: {places}; keep one")
    onset, offset = _number(row.onset, "onset"), _number(row.offset, "offset")
    if onset >= offset:
        raise _Unusable(f"its onset {onset} is not before its offset {offset}")
    apex, said = _apex(row.apex, onset, offset)
    if folders[0].home not in (None, row.key[0]):
        said = (*said, f"its folder lies in that of {layout.subject_name(folders[0].home)}")
    there = _pictures(folders[0], onset, offset)
    onset, offset, more = _ends(there, onset, offset, folders[0])
    if apex is not None and (apex not in there or apex <= onset):
        more = (*more, f"the apex {apex} has no picture: left empty, to be spotted")
        apex = None
    clip = Clip(
        dataset=layout.dataset,
        subject=row.subject,
        clip=row.clip,
        label=cast("str", row.label),
        kind="frames",
        path=folders[0].path,
        onset=onset,
        apex=apex,
        offset=offset,
        fps=layout.fps,
        extra={"emotion": row.emotion, **row.extra},
    )
    return clip, (*said, *more)


def _number(text: str, name: str) -> int:
    number = whole(text)
    if number is None:
        raise _Unusable(f"its {name} is {text!r}, expected a frame number")
    return number


def whole(text: str) -> int | None:
    """A frame number as a table's cell holds it; None where it is none.

    >>> whole("46"), whole("46.0"), whole("/")
    (46, 46, None)
    """
    return int(float(text)) if re.fullmatch(r"[0-9]+(\.0*)?", text) else None


def _apex(text: str, onset: int, offset: int) -> tuple[int | None, tuple[str, ...]]:
    """The apex where it can be used, and what is wrong where it cannot."""
    if not text:
        return None, ()
    apex = whole(text)
    empty = "left empty, to be spotted"
    if apex is None:
        return None, (f"the apex is {text!r}: {empty}",)
    if not onset <= apex <= offset:
        return None, (f"the apex {apex} lies outside of {onset} to {offset}: {empty}",)
    if apex == onset:
        return None, (f"the apex {apex} is the onset: {empty}",)
    return apex, ()


def _pictures(folder: ClipFolder, onset: int, offset: int) -> list[int]:
    """Numbers of the pictures from onset to offset, ascending.

    Raises:
        _Unusable: if there is none, or one number has two pictures.
    """
    names: dict[int, str] = {}
    for name in folder.pictures:
        number = frame_number(name)
        if number is None:
            continue
        if onset <= number <= offset and number in names:
            raise _Unusable(f"two pictures have number {number}: {names[number]} and {name}")
        names[number] = name
    if not names:
        got = f"its pictures have no numbers: {some(list(folder.pictures), 2)}"
        raise _Unusable(got if folder.pictures else "its folder holds no picture")
    there = [n for n in sorted(names) if onset <= n <= offset and _filled(folder.path / names[n])]
    if not there:
        raise _Unusable(
            f"none of its frames {onset} to {offset} is there; "
            f"its folder holds {min(names)} to {max(names)}"
        )
    return there


def _filled(picture: Path) -> bool:
    try:
        return picture.stat().st_size > 0
    except OSError:  # a link to nowhere is no picture either
        return False


def _ends(
    there: list[int], onset: int, offset: int, folder: ClipFolder
) -> tuple[int, int, tuple[str, ...]]:
    """Onset and offset that have pictures, and what is missing."""
    length = offset - onset + 1
    if len(there) <= length * LEAST_SHARE or len(there) < 2:
        raise _Unusable(
            f"only {len(there)} of its {length} frames {onset} to {offset} are there: "
            f"{spans(there)}"
        )
    first, last = there[0], there[-1]
    if first - onset > NEAR:
        raise _Unusable(f"the onset {onset} has no picture, nor any frame before {first}")
    said = []
    if first != onset:
        said.append(f"the onset {onset} has no picture: {first} is used")
    if last != offset:
        said.append(f"the offset {offset} has no picture: {last} is used")
    gaps = sorted(set(range(first, last + 1)) - set(there))
    if gaps:
        said.append(f"frames missing: {spans(gaps)} ({len(gaps)} of {length})")
    return first, last, tuple(said)


def _unannotated(
    layout: Layout,
    homes: Mapping[ClipKey, Sequence[ClipFolder]],
    annotated: set[ClipKey],
    table: Path | None,
) -> Iterable[LeftOut]:
    """Folders of clips that no row names."""
    for key, folders in homes.items():
        subject, clip = layout.subject_name(key[0]), folders[0].path.name
        if key not in annotated:
            where = f"no row in {table.name}" if table else "no annotation"
            yield LeftOut(layout.dataset, subject, clip, where)


def _all_used(fixes: Mapping[ClipKey, Sequence[Correction]], known: set[ClipKey]) -> None:
    for key, corrections in fixes.items():
        for fix in corrections:
            if fix.where and key not in known:
                raise InputError(
                    f"expected a clip of {fix.dataset}, got {fix.subject}/{fix.clip}, which is "
                    f"neither in its table nor in its folders, in {fix.where}; correct the name"
                )
