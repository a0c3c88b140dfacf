"""Joins annotations with folders of frames: which clips can be used, and what is wrong with them.

The rules, for numbers of frames as they stand in the pictures' names:

- A picture that is an empty file is as good as missing.
- Pictures missing between onset and offset: the clip is kept and they are named, unless more than
  half are gone.
- No picture at the onset: the next one counts as onset when it is at most `NEAR` frames later,
  else the clip is left out. No picture at the offset: the last one before counts.
- An apex that is no number, lies outside the clip, is its onset, or has no picture is left empty,
  so that preparation spots it.
- Tables that count a clip's frames from its own beginning (``first``) are shifted by where the
  pictures' numbers begin.

Each of these is said, in `Found.notes` and in the manifest's column ``note``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from micromimic.datasets.base import (
    ClipKey,
    Database,
    Found,
    LeftOut,
    Note,
    Request,
    Row,
    Table,
    labels_of,
    loose,
    some,
    spans,
    subject_number,
)
from micromimic.datasets.clip import Clip, frame_number
from micromimic.datasets.corrections import BY_ROW, Correction, builtin_corrections, for_dataset
from micromimic.datasets.table import whole
from micromimic.datasets.tables import find_table
from micromimic.datasets.tree import ClipFolder, Tree, choose_copy, scan, strangers_note
from micromimic.errors import InputError
from micromimic.labels import THREE
from micromimic.media.formats import natural_key

_FIELDS: Final = frozenset(
    {"subject", "clip", "folder", "onset", "apex", "offset", "emotion", "first", "kind", "row"}
)
NEAR: Final = 5  # frames: 25 ms at 200 a second, a fifth of the shortest rise
LEAST_SHARE: Final = 0.5  # of the frames from onset to offset that must be there


@dataclass(frozen=True)
class Annotation:
    """What an annotation says of a clip, texts as in the table.

    Args:
        key: the clip, for comparing.
        home: its folder, for comparing.
        subject, clip: names for the manifest.
        emotion: as annotated, lower case; several words are joined with ``+``.
        onset, apex, offset: frame numbers; apex "" where the database has none.
        first: what the numbers count from, where that is not in the pictures' names.
        row: in the table, from 0.
        extra: further columns for the manifest.
        notes: what is odd about the label; a corrected one settles it.
        label: of the three classes, where it is corrected.
    """

    key: ClipKey
    home: ClipKey
    subject: str
    clip: str
    emotion: str
    onset: str
    apex: str
    offset: str
    first: str = ""
    row: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    label: str = ""


class _Unusable(Exception):  # noqa: N818 - becomes a LeftOut
    """Why a clip cannot be used."""


def read_annotated(request: Request) -> Found:
    """A database of folders of frames and a table with a row a clip.

    Raises:
        InputError: if the folder holds no such database, there is no annotation, or a user's
            correction names no clip.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    tree, sheet, rows = read_rows(request)
    taken, notes = choose_copy(tree.clips, request.database)
    found = join(request, [annotation(request.database, row) for row in rows], taken, sheet)
    more = (*notes, *sheet.notes, *strangers_note(tree, taken, request.database))
    return replace(found, notes=(*more, *found.notes))


def read_rows(request: Request) -> tuple[Tree, Table, list[Row]]:
    """A database's folders, its table, and that table's rows in the fields' own form.

    Raises:
        InputError: as `read_annotated`.
    """
    database = request.database
    if database.table is None:
        raise ValueError(f"{database.name} has no table")
    tree = scan(request.folder, database)
    sheet = find_table(database.table, database, tree.folder, tree.tables, request.table)
    second = None
    if database.second is not None:
        try:
            second = find_table(database.second, database, tree.folder, tree.tables)
        except InputError:  # it only adds to what is read
            text = f"{database.second.name} is not there, and nothing is added from it"
            sheet = replace(sheet, notes=(*sheet.notes, Note(database.name, "", "", text)))
    rows = list(database.rows(sheet, second) if database.rows else sheet.rows)
    if not rows:
        raise InputError(
            f"expected rows of {database.title}'s clips in {sheet.path}, got none that are; "
            "look whether it is the right table"
        )
    return tree, sheet, rows


def annotation(database: Database, row: Row) -> Annotation:
    """A table's row."""
    number = subject_number(row["subject"]) or 0
    own = database.is_clip(row.get("folder") or row["clip"])
    name = (own.groupdict().get("name") if own else None) or row.get("folder") or row["clip"]
    return Annotation(
        key=(number, loose(row["clip"])),
        home=(number, loose(name)),
        subject=database.subject_name(number),
        clip=row["clip"],
        emotion=row.get("emotion", "").strip().casefold(),
        onset=row["onset"],
        apex=(row.get("apex") or "empty") if database.apex else "",
        offset=row["offset"],
        first=row.get("first", ""),
        row=row.get("row", ""),
        extra={name: text for name, text in row.items() if name not in _FIELDS},
    )


def join(
    request: Request,
    annotations: Iterable[Annotation],
    folders: Iterable[ClipFolder],
    table: Table | None,
) -> Found:
    """The clips of a database from its annotations and its folders.

    Args:
        request: which database, its corrections, and the label sets.
        annotations: one a row of the table.
        folders: the clips' folders.
        table: where the annotations are from; None where they are from the folders.

    Raises:
        InputError: if a user's correction names a clip that does not exist.
    """
    database = request.database
    chosen = builtin_corrections() if request.corrections is None else request.corrections
    fixes = for_dataset(chosen, database.name)
    homes: dict[ClipKey, list[ClipFolder]] = {}
    for folder in folders:
        homes.setdefault(folder.key, []).append(folder)
    listed = list(annotations)
    clips: list[Clip] = []
    left_out: list[LeftOut] = []
    notes: list[Note] = []
    dropped: Counter[str] = Counter()
    by_row = {key: fix for key, fix in fixes.items() if key[0] == BY_ROW}
    if by_row and table and len(listed) != database.official:
        by_row = {}
        text = (
            f"{table.path.name} has {len(listed)} rows, not the official table's "
            f"{database.official}: known errors in its rows are not corrected"
        )
        notes.append(Note(database.name, "", "", text))
    for rows in _by_clip(listed):
        mine = (*by_row.get((BY_ROW, f"row {rows[0].row}"), ()), *fixes.get(rows[0].key, ()))
        row, fixed = _correct(request, rows[0], mine)
        name = (database.name, row.subject, row.clip)
        try:
            _refuse(rows, mine, table)
            labels = _labels(request, row, mine)
            if not any(labels.values()):
                dropped[row.emotion] += 1
                continue
            clip, said = _clip(database, row, homes.get(row.home, []))
        except _Unusable as why:
            left_out.append(LeftOut(*name, str(why)))
            continue
        said = (*fixed, *row.notes, *said)
        extra = {**clip.extra, **{k: v for k, v in labels.items() if k != THREE.column}}
        note = {"note": "; ".join(said)} if said else {}
        clips.append(replace(clip, label=labels[THREE.column], extra={**extra, **note}))
        notes += [Note(*name, text) for text in said]
    left_out += _unannotated(database, homes, {row.home for row in listed}, table)
    numbered = {(BY_ROW, f"row {row.row}") for row in listed}
    _all_used(fixes, {row.key for row in listed} | set(homes) | numbered)
    return Found(
        tuple(sorted(clips, key=_order)),
        tuple(sorted(left_out, key=_order)),
        dict(dropped),
        tuple(sorted(notes, key=_order)),
        table.path if table else None,
    )


def _order(item: Clip | Note) -> tuple[object, ...]:
    return natural_key(item.subject), natural_key(item.clip)


def _by_clip(annotations: Iterable[Annotation]) -> Iterable[list[Annotation]]:
    rows: dict[ClipKey, list[Annotation]] = {}
    for each in annotations:
        rows.setdefault(each.key, []).append(each)
    return rows.values()


def _correct(
    request: Request, row: Annotation, fixes: Sequence[Correction]
) -> tuple[Annotation, tuple[str, ...]]:
    """The row as corrected, and what was changed."""
    database = request.database
    said = []
    for fix in fixes:
        if fix.field == "exclude":
            continue
        before = getattr(row, fix.field)
        if fix.field == "label":
            known = set(row.emotion.split("+")) <= set(database.words)
            before = labels_of(row.emotion, database.schemes[THREE.name]) if known else ""
            if before != fix.value:
                row = replace(row, label=fix.value, notes=())
        elif before != fix.value:
            row = replace(row, **{fix.field: fix.value})  # type: ignore[arg-type]
        if before != fix.value:
            said.append(
                f"{fix.field} corrected from {before or 'none'} to {fix.value or 'none'}: "
                f"{fix.reason}"
            )
    return row, tuple(said)


def _labels(request: Request, row: Annotation, fixes: Sequence[Correction]) -> dict[str, str]:
    """Column to class, "" where a scheme leaves the clip out; the three are always told.

    Raises:
        _Unusable: where the emotion is none of the database's.
    """
    words = request.database.words
    if not row.label and not set(row.emotion.split("+")) <= set(words):
        raise _Unusable(f"emotion {row.emotion!r} is none of {', '.join(words)}")
    out = {fix.value: fix.reason for fix in fixes if fix.field == "exclude"}
    three = request.database.schemes[THREE.name]
    wanted = {labels.name for labels in request.labels}
    found = {}
    for labels in (three, *(labels for labels in request.labels if labels.name != THREE.name)):
        corrected = row.label if labels.name == THREE.name else ""
        known = corrected or set(row.emotion.split("+")) <= set(words)
        label = corrected or (labels_of(row.emotion, labels) if known else "")
        found[labels.column] = "" if labels.name in out else label
    if wanted <= set(out):
        raise _Unusable(f"excluded by correction: {next(iter(out.values()))}")
    asked = any(found[labels.column] for labels in request.labels)
    return found if asked else dict.fromkeys(found, "")


def _refuse(rows: Sequence[Annotation], fixes: Sequence[Correction], table: Table | None) -> None:
    """Say no to clips that are excluded, or annotated twice in two ways."""
    for fix in fixes:
        if fix.field == "exclude" and fix.value == "yes":
            raise _Unusable(f"excluded by correction: {fix.reason}")
    if any(replace(row, row=rows[0].row) != rows[0] for row in rows):
        raise _Unusable(f"{len(rows)} rows of {table.path.name if table else 'the table'} differ")


def _clip(
    database: Database, row: Annotation, folders: Sequence[ClipFolder]
) -> tuple[Clip, tuple[str, ...]]:
    """The clip of a row, and what is odd about it."""
    folder = one_folder(folders)
    onset, offset = _number(row.onset, "onset"), _number(row.offset, "offset")
    if onset >= offset:
        raise _Unusable(f"its onset {onset} is not before its offset {offset}")
    apex, said = _apex(row.apex, onset, offset)
    if (first := whole(row.first)) is not None and folder.pictures:
        shift = min(_numbers(folder)) - first
        onset, offset, apex = onset + shift, offset + shift, None if apex is None else apex + shift
    if folder.home not in (None, row.key[0]):
        said = (*said, f"its folder lies in that of {database.subject_name(folder.home)}")
    there = _pictures(folder, onset, offset)
    onset, offset, more = _ends(there, onset, offset)
    if apex is not None and (apex not in there or apex <= onset):
        more = (*more, f"the apex {apex} has no picture: left empty, to be spotted")
        apex = None
    clip = Clip(
        dataset=database.name,
        subject=row.subject,
        clip=row.clip,
        label="",
        kind="frames",
        path=folder.path,
        onset=onset,
        apex=apex,
        offset=offset,
        fps=database.fps,
        extra={"emotion": row.emotion, **row.extra},
    )
    return clip, (*said, *more)


def one_folder(folders: Sequence[ClipFolder]) -> ClipFolder:
    """The folder of a clip.

    Raises:
        _Unusable: if it has none, or two.
    """
    if not folders:
        raise _Unusable("no folder of frames")
    if len(folders) > 1:
        places = " and ".join(str(folder.path) for folder in folders)
        raise _Unusable(f"{len(folders)} folders hold it: {places}; keep one")
    return folders[0]


def _number(text: str, name: str) -> int:
    number = whole(text)
    if number is None:
        raise _Unusable(f"its {name} is {text!r}, expected a frame number")
    return number


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


def _numbers(folder: ClipFolder) -> dict[int, list[str]]:
    """The pictures' names by number.

    Raises:
        _Unusable: if there is none.
    """
    names: dict[int, list[str]] = {}
    for name in folder.pictures:
        if (number := frame_number(name)) is not None:
            names.setdefault(number, []).append(name)
    if not names:
        got = f"its pictures have no numbers: {some(list(folder.pictures), 2)}"
        raise _Unusable(got if folder.pictures else "its folder holds no picture")
    return names


def _pictures(folder: ClipFolder, onset: int, offset: int) -> list[int]:
    """Numbers of the pictures from onset to offset, ascending.

    Raises:
        _Unusable: if there is none, or one number has two pictures.
    """
    names = _numbers(folder)
    there = [number for number in sorted(names) if onset <= number <= offset]
    for number in there:
        if len(names[number]) > 1:
            raise _Unusable(f"two pictures have number {number}: {' and '.join(names[number][:2])}")
    filled = [number for number in there if _filled(folder.path / names[number][0])]
    if not filled:
        raise _Unusable(
            f"none of its frames {onset} to {offset} is there; "
            f"its folder holds {min(names)} to {max(names)}"
        )
    return filled


def _filled(picture: Path) -> bool:
    try:
        return picture.stat().st_size > 0
    except OSError:  # a link to nowhere is no picture either
        return False


def _ends(there: list[int], onset: int, offset: int) -> tuple[int, int, tuple[str, ...]]:
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
    database: Database,
    homes: Mapping[ClipKey, Sequence[ClipFolder]],
    annotated: set[ClipKey],
    table: Table | None,
) -> Iterable[LeftOut]:
    """Folders of clips that no row names."""
    for key, folders in homes.items():
        subject, clip = database.subject_name(key[0]), folders[0].name
        if key not in annotated:
            where = f"no row in {table.path.name}" if table else "no annotation"
            yield LeftOut(database.name, subject, clip, where)


def _all_used(fixes: Mapping[ClipKey, Sequence[Correction]], known: set[ClipKey]) -> None:
    for key, corrections in fixes.items():
        for fix in corrections:
            if fix.where and key not in known:
                raise InputError(
                    f"expected a clip of {fix.dataset}, got {fix.subject}/{fix.clip}, which is "
                    f"neither in its table nor in its folders, in {fix.where}; correct the name"
                )
