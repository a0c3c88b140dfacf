"""Annotation tables of the synthetic databases, in the columns of the official ones.

The same clips give the same bytes: what openpyxl writes is packed again without the time of day.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from micromimic.core.errors import MissingExtraError
from micromimic.datasets.databases import database, fourdme, smic
from micromimic.synthesis.databases.designs import FILMS, LONG, number_of
from micromimic.synthesis.databases.plans import DatabaseClip, DatabaseVideo

Cell = object
Row = Sequence[Cell]


class _Layout(NamedTuple):
    """A sheet of a table, and those beside it; cells of its texts are apart by bars."""

    sheet: str
    columns: str
    above: str = ""
    others: Mapping[str, str] = {}


_OFFICIAL: Final = {
    "casme2": _Layout(
        "Sheet1",
        "Subject|Filename||OnsetFrame|ApexFrame|OffsetFrame||Action Units|Estimated Emotion",
        others={"Sheet2": "", "Sheet3": ""},
    ),
    "samm": _Layout(
        "MICRO_ONLY",
        "Subject|Filename|Inducement Code|Onset Frame|Apex Frame|Offset Frame|Duration|Micro|"
        "Action Units|Estimated Emotion|Objective Classes|Notes",
        """Synthetic clips in the layout of SAMM

Made by micromimic; nothing here was observed in a person.
If you publish results on real clips, cite the real database.

How to read the codes:
Units joined by + act together.
Frames are the numbers in the pictures' names.

Sides:
L and R mark units on one side only, the person's left or right.
Numbers without a letter act on both sides.

""",
    ),
    "smic": _Layout(
        "HS",
        "Subject|Filename||OnsetF|OffsetF|Onset2F|Offset2F|Onset3F|Offset3F||FirstF|LastF|TotalMF1|"
        "TotalMF2|TotalMF3|TotalVL|Emotion",
        others={
            "VIS": "Subject|Filename||OnsetF|OffsetF|Onset2F|Offset2F||FirstF|TotalMF1|TotalMF2|"
            "TotalVL|Emotion",
            "Sheet2": "",
            "Sheet3": "",
        },
    ),
}
"""Tables in every column of the official ones; the others have those that readers need."""

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
    """Fail before anything is rendered where the tables could not be written."""
    try:
        import openpyxl  # type: ignore[import-untyped]  # noqa: F401, PLC0415 - optional, slow to import
    except ImportError:
        raise MissingExtraError(
            "expected openpyxl for the annotation tables, got none; pip install 'micromimic[train]'"
        ) from None


def annotation_tables(
    clips: Iterable[DatabaseClip], videos: Iterable[DatabaseVideo] = ()
) -> dict[str, bytes]:
    """The xlsx files of the databases that are there, by path relative to the databases' folder."""
    require_openpyxl()
    by_name: dict[str, list[dict[str, Cell]]] = {}
    for clip in clips:
        part = "dfme test" if "DFME_test" in clip.folder else clip.dataset
        by_name.setdefault(part, []).append(_clip_cells(clip))
    # one clip that is dropped anyway has no apex, as one has in the official table
    for cells in [row for row in by_name.get("casme2", ()) if row["label"] is None][:1]:
        cells["apex"] = "/"
    files = _declared("dfme", by_name.pop("dfme test", []), "testA_full_with_AU.xlsx")
    for name, rows in by_name.items():
        files |= _declared(name, rows, official=True)
    by_video: dict[str, list[DatabaseVideo]] = {}
    for video in videos:
        by_video.setdefault(video.dataset, []).append(video)
    for name, mine in by_video.items():
        files |= _videos(name, mine)
    return files


def objective_class(action_units: Iterable[str]) -> int:
    """1 to 7, by which units act; sides do not matter."""
    units = frozenset(unit.lstrip("LR") for unit in action_units)
    return next((n for n, group in enumerate(_OBJECTIVE, start=1) if units in group), 7)


def _clip_cells(clip: DatabaseClip) -> dict[str, Cell]:
    """What a table may say of a clip, by the fields of its database's declaration or by column."""
    shown = {clip.emotion}
    if clip.label == "negative" and clip.seed % 3 == 0:
        shown.add("repression")
    length = clip.offset - clip.onset + 1
    units = "+".join(clip.action_units)  # a lone number is one in the official tables too
    cells: dict[str, Cell] = {
        "subject": number_of(clip.subject),
        "clip": clip.clip,
        "label": clip.label,
        "onset": clip.onset,
        "apex": clip.apex,
        "offset": clip.offset,
        "emotion": clip.emotion,
        "action_units": int(units) if units.isdigit() else units,
        "first": clip.first,
        **{name: int(name in shown) for name in fourdme.NAMES},
    }
    if clip.dataset == "casme3":
        cells["clip"] = clip.clip[0]  # its video
    elif clip.dataset == "casme2":
        cells["subject"] = clip.subject.removeprefix("sub")
    elif clip.dataset == "samm":
        cells |= {
            "subject": clip.subject,
            "Inducement Code": int(clip.clip.split("_")[1]),
            "Duration": length,
            "Micro": "Micro - 1/2",
            "Objective Classes": objective_class(clip.action_units),
        }
    elif clip.dataset == "smic":  # cut from a longer recording
        before, after = (int(n) for n in np.random.default_rng([clip.seed, 2]).integers(80, 400, 2))
        cells |= {
            "clip": clip.folder.rsplit("/", 1)[1],
            "first": clip.onset - before,
            "last": clip.offset + after,
            "TotalMF1": length,
            "TotalVL": before + length + after,
        }
    return cells


def _declared(
    name: str, rows: Sequence[Mapping[str, Cell]], file: str = "", *, official: bool = False
) -> dict[str, bytes]:
    """A table with the columns of the database's declaration, or with those of the official one."""
    spec = smic.LONG if name == "smic" else database(name).table
    if spec is None or not rows:
        return {}
    every = {**spec.columns, **spec.optional}
    fields = {column.split("|")[0]: field for field, column in every.items()}
    layout = _Layout(spec.sheet or "Sheet1", "|".join(fields))
    layout = _OFFICIAL.get(name, layout) if official else layout
    titles = layout.columns.split("|")
    body = [[row.get(fields.get(title, title)) for title in titles] for row in rows]
    sheets = {layout.sheet: [*_texts(layout.above), *_texts(layout.columns), *body]}
    sheets |= {title: _texts(text) for title, text in layout.others.items()}
    return {f"{name}/{file or spec.name}": _workbook(sheets)}


def _texts(lines: str) -> list[Row]:
    return [[cell or None for cell in line.split("|")] for line in lines.splitlines()]


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
    is_samm, is_part_c = name == "samm-long", name == "casme3-c"
    cells: list[dict[str, Cell]] = [
        {
            "subject": v.subject if is_samm else number_of(v.subject),
            "clip": f"{v.video}_{n}" if is_samm else n if is_part_c else v.video,
            **{end: getattr(e, end) for end in ("onset", "apex", "offset")},
            "kind": f"{e.kind.capitalize()}{'-expression' if name == 'casme3-long' else ''}",
            "emotion": None if is_part_c else e.emotion,
            "action_units": ("，" if n == 1 else ",").join(e.action_units),
        }
        for v in videos
        for n, e in enumerate(v.events, 1)
    ]
    files = _declared(name, cells)
    if is_samm:  # emotions of micro-expressions stand in the table of the clips
        of_clips = _declared("samm", [row for row in cells if row["kind"] == "Micro"])
        files |= {path.replace("samm/", f"{name}/"): data for path, data in of_clips.items()}
    return files


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
