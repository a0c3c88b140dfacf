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

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE, LabelSet
from micromimic.datasets.annotations import find_table
from micromimic.datasets.base import (
    BY_ROW,
    ClipKey,
    Correction,
    Database,
    Found,
    LeftOut,
    Note,
    Request,
    Row,
    Table,
    first_few,
    normalized_name,
    subject_number,
)
from micromimic.datasets.clip import Clip
from micromimic.datasets.table import whole
from micromimic.datasets.tree import ClipFolder, Tree, one_copy, scan
from micromimic.media.formats import natural_key

_FIELDS: Final = frozenset((
    "subject", "clip", "folder", "onset", "apex", "offset", "emotion", "first", "kind", "row", "odd"
))  # fmt: skip
NEAR: Final = 5  # frames: 25 ms at 200 a second, a fifth of the shortest rise
LEAST_SHARE: Final = 0.5  # of the frames from onset to offset that must be there


@dataclass(frozen=True)
class Source:
    folders: Sequence[ClipFolder]  # of one copy of the database
    rows: Sequence[Row]  # the annotation, in the fields' own form
    notes: Sequence[Note]
    table: Table | None = None  # None where the folders' names tell all


@dataclass(frozen=True)
class Annotation:
    """What an annotation says of a clip, texts as in the table."""

    key: ClipKey  # the clip, for comparing
    home: ClipKey  # its folder, for comparing
    subject: str  # as the manifest has it
    clip: str  # as the manifest has it
    emotion: str  # lower case; several words are joined with ``+``
    onset: str
    apex: str  # "" where the database has none
    offset: str
    first: str  # what the numbers count from, where that is not in the pictures' names
    row: str = field(compare=False)  # in the table, from 0
    extra: Mapping[str, str]  # further columns for the manifest
    odd: str  # about the label; a corrected one settles it
    label: str = ""  # of the three classes, where it is corrected


class _Unusable(Exception):  # noqa: N818 - becomes a LeftOut
    """Why a clip cannot be used."""


def read_annotated(request: Request) -> Found:
    """A database of folders of frames and a table with a row a clip."""
    return join(request, find(request, scan(request.folder, request.database)))


def find(request: Request, tree: Tree) -> Source:
    """The folders of a tree, and the database's table where it has one."""
    database = request.database
    folders, notes = one_copy(tree)
    if database.table is None:
        return Source(folders, (), notes)
    table = find_table(database.table, database, tree.folder, tree.tables, request.table)
    second = None
    if database.second is not None:
        try:
            second = find_table(database.second, database, tree.folder, tree.tables)
        except InputError:  # it only adds to what is read
            text = f"{database.second.name} is not there, and nothing is added from it"
            notes.append(database.note(text))
    rows = list(database.rows(table, second) if database.rows else table.rows)
    if not rows:
        raise InputError(
            f"expected rows of {database.title}'s clips in {table.path}, got none that are; "
            "look whether it is the right table"
        )
    return Source(folders, rows, (*table.notes, *notes), table)


def annotation(database: Database, row: Row) -> Annotation:
    number = subject_number(row["subject"]) or 0
    folder = row.get("folder") or row["clip"]
    match = database.is_clip(folder)
    name = (match and match.groupdict().get("name")) or folder
    return Annotation(
        key=(number, normalized_name(row["clip"])),
        home=(number, normalized_name(name)),
        subject=database.subject_name(number),
        clip=row["clip"],
        emotion=row.get("emotion", "").strip().casefold(),
        onset=row["onset"],
        apex=(row.get("apex") or "empty") if database.apex else "",
        offset=row["offset"],
        first=row.get("first", ""),
        row=row.get("row", ""),
        extra={name: text for name, text in row.items() if name not in _FIELDS},
        odd=row.get("odd", ""),
    )


def join(request: Request, source: Source) -> Found:
    database, table = request.database, source.table
    fixes: dict[ClipKey, list[Correction]] = defaultdict(list)
    for fix in request.corrections:
        if fix.dataset == database.name:
            fixes[fix.key].append(fix)
    homes: dict[ClipKey, list[ClipFolder]] = defaultdict(list)
    for folder in source.folders:
        homes[folder.key].append(folder)
    rows: dict[ClipKey, list[Annotation]] = defaultdict(list)
    for made in (annotation(database, row) for row in source.rows):
        rows[made.key].append(made)
    clips: list[Clip] = []
    left_out: list[LeftOut] = []
    dropped: Counter[str] = Counter()
    notes = _other_rows(database, source, fixes)
    by_row = {} if notes else fixes
    for key, same in rows.items():
        mine = [*by_row.get((BY_ROW, f"row {same[0].row}"), ()), *fixes.get(key, ())]
        row, odd = _correct(database, same[0], mine)
        name = (database.name, row.subject, row.clip)
        try:
            labels = _labels(request, row, mine)
            if any(other != same[0] for other in same):
                sheet = table.path.name if table else "the table"
                raise _Unusable(f"{len(same)} rows of {sheet} differ")
            if not any(labels.values()):
                dropped[row.emotion] += 1
                continue
            clip, more = _clip(database, row, homes.get(row.home, []))
        except _Unusable as why:
            left_out.append(LeftOut(*name, str(why)))
            continue
        odd = [*odd, *filter(None, [row.odd]), *more]
        label = labels.pop(THREE.column)
        extra = {**clip.extra, **labels, **({"note": "; ".join(odd)} if odd else {})}
        clips.append(replace(clip, label=label, extra=extra))
        notes += [Note(*name, text) for text in odd]
    annotated = list(itertools.chain.from_iterable(rows.values()))
    known = {row.home for row in annotated}
    where = f"no row in {table.path.name}" if table else "no annotation"
    left_out += [
        LeftOut(database.name, database.subject_name(key[0]), folders[0].name, where)
        for key, folders in homes.items()
        if key not in known
    ]
    numbered = {(BY_ROW, f"row {row.row}") for row in annotated}
    _check_used(fixes, rows.keys() | homes.keys() | numbered)
    return Found(
        tuple(sorted(clips, key=sort_key)),
        tuple(sorted(left_out, key=sort_key)),
        dropped,
        (*source.notes, *sorted(notes, key=sort_key)),
        table.path if table else None,
    )


def sort_key(item: Clip | Note) -> tuple[object, ...]:
    return natural_key(item.subject), natural_key(item.clip)


def _other_rows(
    database: Database, source: Source, fixes: Mapping[ClipKey, Sequence[Correction]]
) -> list[Note]:
    """A note where corrections name rows of the official table, and this is another."""
    table, count = source.table, len(source.rows)
    if table is None or count == database.official or all(key[0] != BY_ROW for key in fixes):
        return []
    return [
        database.note(
            f"{table.path.name} has {count} rows, not the official table's {database.official}: "
            "known errors in its rows are not corrected"
        )
    ]


def _correct(
    database: Database, row: Annotation, fixes: Sequence[Correction]
) -> tuple[Annotation, list[str]]:
    """The row as corrected, and what was changed."""
    changed = []
    for fix in fixes:
        if fix.field == "exclude":
            continue
        before = getattr(row, fix.field)
        if fix.field == "label":
            before = database.label_of(row.emotion, database.schemes[THREE.name])
        if before != fix.value:
            settled = {"odd": ""} if fix.field == "label" else {}
            row = replace(row, **{fix.field: fix.value, **settled})  # type: ignore[arg-type]
            changed.append(
                f"{fix.field} corrected from {before or 'none'} to {fix.value or 'none'}: "
                f"{fix.reason}"
            )
    return row, changed


def _labels(request: Request, row: Annotation, fixes: Sequence[Correction]) -> dict[str, str]:
    """Column to class, "" where a scheme leaves the clip out; the three are always there."""
    database = request.database
    out = {fix.value: fix.reason for fix in fixes if fix.field == "exclude"}
    if "yes" in out or {labels.name for labels in request.labels} <= out.keys():
        raise _Unusable(f"excluded by correction: {out.get('yes') or next(iter(out.values()))}")
    if not row.label and not set(row.emotion.split("+")) <= set(database.words):
        raise _Unusable(f"emotion {row.emotion!r} is none of {', '.join(database.words)}")

    def label_of(labels: LabelSet) -> str:
        if labels.name in out:
            return ""
        corrected = row.label if labels.name == THREE.name else ""
        return corrected or database.label_of(row.emotion, labels)

    three = database.schemes[THREE.name]
    found = {labels.column: label_of(labels) for labels in (three, *request.labels)}
    return found if any(found[labels.column] for labels in request.labels) else {}


def _clip(
    database: Database, row: Annotation, folders: Sequence[ClipFolder]
) -> tuple[Clip, list[str]]:
    """The clip of a row, and what is odd about it."""
    if len(folders) != 1:
        places = " and ".join(str(folder.path) for folder in folders)
        held = f"{len(folders)} folders hold it: {places}; keep one"
        raise _Unusable(held if folders else "no folder of frames")
    folder = folders[0]
    onset, offset = _number(row.onset, "onset"), _number(row.offset, "offset")
    if onset >= offset:
        raise _Unusable(f"its onset {onset} is not before its offset {offset}")
    apex, wrong = _apex(row.apex, onset, offset)
    odd = [f"{wrong}: left empty, to be spotted"] if wrong else []
    if not folder.numbers:
        names = first_few(folder.pictures, 2)
        got = f"its pictures have no numbers: {names}" if names else "its folder holds no picture"
        raise _Unusable(got)
    if (first := whole(row.first)) is not None:
        shift = min(folder.numbers) - first
        onset, offset, apex = onset + shift, offset + shift, None if apex is None else apex + shift
    if folder.home not in (None, row.key[0]):
        odd.append(f"its folder lies in that of {database.subject_name(folder.home)}")
    there = _pictures(folder, onset, offset)
    onset, offset, missing = _ends(there, onset, offset)
    odd += missing
    if apex is not None and (apex not in there or apex <= onset):
        odd.append(f"the apex {apex} has no picture: left empty, to be spotted")
        apex = None
    extra = {"emotion": row.emotion, **row.extra}
    clip = Clip(
        database.name, row.subject, row.clip, "", "frames", folder.path, onset, apex, offset,
        database.fps, extra,
    )  # fmt: skip
    return clip, odd


def _number(text: str, name: str) -> int:
    number = whole(text)
    if number is None:
        raise _Unusable(f"its {name} is {text!r}, expected a frame number")
    return number


def _apex(text: str, onset: int, offset: int) -> tuple[int | None, str]:
    """The apex where it can be used, and what is wrong where it cannot."""
    apex = whole(text)
    if not text:
        return None, ""
    if apex is None:
        return None, f"the apex is {text!r}"
    if not onset <= apex <= offset:
        return None, f"the apex {apex} lies outside of {onset} to {offset}"
    if apex == onset:
        return None, f"the apex {apex} is the onset"
    return apex, ""


def _pictures(folder: ClipFolder, onset: int, offset: int) -> list[int]:
    """Numbers of the pictures from onset to offset, ascending."""
    there = {n: names for n, names in folder.numbers.items() if onset <= n <= offset}
    for number, names in there.items():
        if len(names) > 1:
            raise _Unusable(f"two pictures have number {number}: {' and '.join(names[:2])}")
    filled = [number for number, names in there.items() if _filled(folder.path / names[0])]
    if not filled:
        raise _Unusable(
            f"none of its frames {onset} to {offset} is there; "
            f"its folder holds {min(folder.numbers)} to {max(folder.numbers)}"
        )
    return filled


def _filled(picture: Path) -> bool:
    try:
        return picture.stat().st_size > 0
    except OSError:  # a link to nowhere is no picture either
        return False


def _ends(there: Sequence[int], onset: int, offset: int) -> tuple[int, int, list[str]]:
    """Onset and offset that have pictures, and what is missing."""
    length = offset - onset + 1
    if len(there) <= length * LEAST_SHARE or len(there) < 2:
        raise _Unusable(
            f"only {len(there)} of its {length} frames {onset} to {offset} are there: "
            f"{_spans(there)}"
        )
    first, last = there[0], there[-1]
    if first - onset > NEAR:
        raise _Unusable(f"the onset {onset} has no picture, nor any frame before {first}")
    odd = []
    if first != onset:
        odd.append(f"the onset {onset} has no picture: {first} is used")
    if last != offset:
        odd.append(f"the offset {offset} has no picture: {last} is used")
    gaps = sorted(set(range(first, last + 1)) - set(there))
    if gaps:
        odd.append(f"frames missing: {_spans(gaps)} ({len(gaps)} of {length})")
    return first, last, odd


def _spans(numbers: Iterable[int]) -> str:
    """Ascending numbers as ranges: ``4-6, 9``."""
    texts = []
    for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        span = [number for _, number in run]
        texts.append("-".join(str(number) for number in dict.fromkeys((span[0], span[-1]))))
    return ", ".join(texts)


def _check_used(fixes: Mapping[ClipKey, Sequence[Correction]], known: Set[ClipKey]) -> None:
    for key, corrections in fixes.items():
        for fix in corrections:
            if fix.where and key not in known:
                raise InputError(
                    f"expected a clip of {fix.dataset}, got {fix.subject}/{fix.clip}, which is "
                    f"neither in its table nor in its folders, in {fix.where}; correct the name"
                )
