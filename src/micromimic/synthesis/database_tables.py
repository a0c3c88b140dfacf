"""Annotation tables of the synthetic databases, in the columns of the official ones.

The same clips give the same bytes: what openpyxl writes is packed again without the time of day.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from micromimic.datasets.databases import database, fourdme
from micromimic.errors import MissingExtraError
from micromimic.synthesis.database_plans import DatabaseClip
from micromimic.synthesis.database_videos import FILMS, LONG, DatabaseVideo

Cell = object
Row = Sequence[Cell]

CASME2_COLUMNS: Final[Row] = (
    *("Subject", "Filename", None, "OnsetFrame", "ApexFrame", "OffsetFrame", None),
    *("Action Units", "Estimated Emotion"),
)
SAMM_COLUMNS: Final[Row] = (
    *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame"),
    *("Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes"),
)
SMIC_COLUMNS: Final[Row] = (
    *("Subject", "Filename", None),
    *("OnsetF", "OffsetF", "Onset2F", "Offset2F", "Onset3F", "Offset3F", None),
    *("FirstF", "LastF", "TotalMF1", "TotalMF2", "TotalMF3", "TotalVL", "Emotion", None, None),
)
_SMIC_VIS_COLUMNS: Final[Row] = (
    *("Subject", "Filename", None, "OnsetF", "OffsetF", "Onset2F", "Offset2F", None),
    *("FirstF", "TotalMF1", "TotalMF2", "TotalVL", "Emotion", None, None),
)
# thirteen rows above the header, as in the official table
_SAMM_PREAMBLE: Final[tuple[Row, ...]] = (
    ("Synthetic clips in the layout of SAMM",),
    (),
    ("Made by micromimic; nothing here was observed in a person.",),
    ("If you publish results on real clips, cite the real database.",),
    (),
    ("How to read the codes:",),
    ("Units joined by + act together.",),
    ("Frames are the numbers in the pictures' names.",),
    (),
    ("Sides:",),
    ("L and R mark units on one side only, the person's left or right.",),
    ("Numbers without a letter act on both sides.",),
    (),
)
# objective classes I to VI (Davison, Merghani, Yap 2018, doi 10.3390/jimaging4100119), with the
# combinations that SAMM's table adds; else VII
_OBJECTIVE: Final = tuple(
    frozenset(frozenset(units.split("+")) for units in group.split())
    for group in (
        "6 12 6+12 6+7+12 7+12 12+24 12+25 12+39",
        "1+2 5 25 1+2+25 25+26 5+24",
        "23 4 4+7 4+5 4+5+7 17+24 4+6+7 4+38",
        "10 9 4+9 4+40 4+5+40 4+7+9 4+9+10 4+7+10 4+5+7+9 7+10 9+12 10+25+26",
        "1 15 1+4 6+15 15+17",
        "1+2+4 20 20+21 7+20+26",
    )
)
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def require_openpyxl() -> None:
    """Fail before anything is rendered where the tables could not be written.

    Raises:
        MissingExtraError: without openpyxl.
    """
    try:
        import openpyxl  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - optional, slow to import
    except ImportError:
        raise MissingExtraError(
            "expected openpyxl for the annotation tables, got none; pip install 'micromimic[train]'"
        ) from None


def annotation_tables(
    clips: Iterable[DatabaseClip], videos: Iterable[DatabaseVideo] = ()
) -> dict[str, bytes]:
    """The annotation tables of the databases that are there.

    Args:
        clips, videos: of all databases.

    Returns:
        Path relative to the databases' folder -> content of the xlsx file.

    Raises:
        MissingExtraError: without openpyxl.
    """
    require_openpyxl()
    by_name: dict[str, list[DatabaseClip]] = {}
    for clip in clips:
        by_name.setdefault(clip.dataset, []).append(clip)
    files: dict[str, bytes] = {}
    for name, mine in by_name.items():
        if name in _OFFICIAL:
            path, make = _OFFICIAL[name]
            files[path] = make(mine)
            continue
        test = [clip for clip in mine if "DFME_test" in clip.folder]
        train = [_clip_cells(clip) for clip in mine if clip not in test]
        files |= _declared(name, train)
        files |= _declared(name, [_clip_cells(clip) for clip in test], "testA_full_with_AU.xlsx")
    rows = list(videos)
    for name in dict.fromkeys(video.dataset for video in rows):
        files |= _videos(name, [video for video in rows if video.dataset == name])
    return files


def objective_class(action_units: Iterable[str]) -> int:
    """1 to 7, by which units act; sides do not matter.

    >>> objective_class(("L12",)), objective_class(("4", "7")), objective_class(("14",))
    (1, 3, 7)
    """
    units = frozenset(unit.lstrip("LR") for unit in action_units)
    return next((n for n, group in enumerate(_OBJECTIVE, start=1) if units in group), 7)


def _units(clip: DatabaseClip) -> Cell:
    """``4+L10``; a lone number is one in the official tables too."""
    text = "+".join(clip.action_units)
    return int(text) if text.isdigit() else text


def _casme2(clips: Sequence[DatabaseClip]) -> bytes:
    rows: list[Row] = [CASME2_COLUMNS]
    unclear = next((c for c in clips if c.label is None), None)
    for clip in clips:
        # one clip that is dropped anyway has no apex, as one has in the official table
        apex: Cell = "/" if clip is unclear else clip.apex
        rows.append(
            (
                *(clip.subject.removeprefix("sub"), clip.clip, None),
                *(clip.onset, apex, clip.offset, None, _units(clip), clip.emotion),
            )
        )
    return _workbook({"Sheet1": rows, "Sheet2": [], "Sheet3": []})


def _samm(clips: Sequence[DatabaseClip]) -> bytes:
    rows: list[Row] = [*_SAMM_PREAMBLE, SAMM_COLUMNS]
    for clip in clips:
        code = int(clip.clip.split("_")[1])
        rows.append(
            (
                *(clip.subject, clip.clip, code, clip.onset, clip.apex, clip.offset),
                *(clip.offset - clip.onset + 1, "Micro - 1/2", _units(clip), clip.emotion),
                *(objective_class(clip.action_units), None),
            )
        )
    return _workbook({"MICRO_ONLY": rows})


def _smic(clips: Sequence[DatabaseClip]) -> bytes:
    rows: list[Row] = [SMIC_COLUMNS]
    for clip in clips:
        number = int(clip.subject.removeprefix("s"))
        length = clip.offset - clip.onset + 1
        # the longer recording that the clip was cut from
        before, after = (int(n) for n in np.random.default_rng([clip.seed, 2]).integers(80, 400, 2))
        rows.append(
            (
                *(number, clip.folder.rsplit("/", 1)[1], None, clip.onset, clip.offset),
                *(None, None, None, None, None, clip.onset - before, clip.offset + after),
                *(length, None, None, before + length + after, clip.emotion, None, None),
            )
        )
    return _workbook({"HS": rows, "VIS": [_SMIC_VIS_COLUMNS], "Sheet2": [], "Sheet3": []})


def _clip_cells(clip: DatabaseClip) -> dict[str, Cell]:
    """What a table may say of a clip, by the fields of its database's declaration."""
    shown = {clip.emotion} | (
        {"repression"} if clip.label == "negative" and clip.seed % 3 == 0 else set()
    )
    return {
        "subject": _number(clip.subject),
        "clip": clip.clip[0] if clip.dataset == "casme3" else clip.clip,  # its video
        "onset": clip.onset,
        "apex": clip.apex,
        "offset": clip.offset,
        "emotion": clip.emotion,
        "action_units": _units(clip),
        "first": clip.first,
        **{name: int(name in shown) for name in fourdme.NAMES},
    }


def _number(subject: str) -> int:
    digits = re.search(r"\d+$", subject)
    return int(digits[0]) if digits else 0


def _declared(name: str, rows: Sequence[Mapping[str, Cell]], file: str = "") -> dict[str, bytes]:
    """A table with the columns of the database's declaration."""
    spec = database(name).table
    if spec is None or not rows:
        return {}
    fields = {**spec.columns, **spec.optional}
    header = [column.split("|")[0] for column in fields.values()]
    sheet: list[Row] = [header, *([row.get(field) for field in fields] for row in rows)]
    return {f"{name}/{file or spec.name}": _workbook({spec.sheet or "Sheet1": sheet})}


def _videos(name: str, videos: Sequence[DatabaseVideo]) -> dict[str, bytes]:
    """The tables of long videos; CAS(ME)^2's has no header, but two sheets of naming rules."""
    if name == "casme-squared":
        people = {who: n for n, who in enumerate(LONG[name].subjects, 1)}
        titles = {code: title for code, title, _ in FILMS}
        rows: list[Row] = [
            (people[v.subject], f"{titles[v.video[3:7]]}_{n}", e.onset, e.apex, e.offset,
             "+".join(e.action_units), e.emotion, f"{e.kind}-expression", None)
            for v in videos for n, e in enumerate(v.events, 1)
        ]  # fmt: skip
        rules: list[Row] = [(who[1:], who, n) for who, n in people.items()]
        films: list[Row] = [film[:2] for film in FILMS]
        sheets = {"CASFEcode_final": rows, "naming rule1": rules, "naming rule2": films}
        return {f"{name}/CAS(ME)^2code_final(Updated).xlsx": _workbook(sheets)}
    cells: list[dict[str, Cell]] = [
        {
            "subject": v.subject if name == "samm-long" else _number(v.subject),
            "clip": {"samm-long": f"{v.video}_{n}", "casme3-c": n}.get(name, v.video),
            **{end: getattr(e, end) for end in ("onset", "apex", "offset")},
            "kind": f"{e.kind.capitalize()}{'-expression' if name == 'casme3-long' else ''}",
            "emotion": None if name == "casme3-c" else e.emotion,
            "action_units": ("，" if n == 1 else ",").join(e.action_units),
        }
        for v in videos
        for n, e in enumerate(v.events, 1)
    ]  # fmt: skip
    second = {}
    if name == "samm-long":  # emotions of micro-expressions stand in the table of the clips
        micro = [row for row in cells if row["kind"] == "Micro"]
        content = next(iter(_declared("samm", micro).values()), b"")
        second = {f"{name}/SAMM_Micro_FACS_Codes_v2.xlsx": content} if micro else {}
    return _declared(name, cells) | second


def _workbook(sheets: Mapping[str, Sequence[Row]]) -> bytes:
    from openpyxl import Workbook  # noqa: PLC0415 - optional, slow to import

    book = Workbook()
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for number, row in enumerate(rows, start=1):
            for column, value in enumerate(row, start=1):
                if value is not None:
                    sheet.cell(number, column, value)
    book.remove(book.worksheets[0])  # the one that openpyxl begins with
    packed = io.BytesIO()
    book.save(packed)
    return _without_time(packed.getvalue())


def _without_time(content: bytes) -> bytes:
    """The same workbook, as if written at one fixed time."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            data = old.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+Z", b"1980-01-01T00:00:00Z", data)
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, data)
    return out.getvalue()


_OFFICIAL: Final[Mapping[str, tuple[str, Callable[[Sequence[DatabaseClip]], bytes]]]] = {
    "smic": ("smic/SMIC-HS-E_annotation.xlsx", _smic),
    "casme2": ("casme2/CASME2-coding-20140508.xlsx", _casme2),
    "samm": ("samm/SAMM_Micro_FACS_Codes_v2.xlsx", _samm),
}
"""Tables in every column of the official ones; the others have those that readers need."""
