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

from micromimic.errors import MissingExtraError
from micromimic.synthesis.database_plans import DatabaseClip
from micromimic.synthesis.database_videos import DatabaseVideo, video_tables

Cell = object
Row = Sequence[Cell]

CASME2_COLUMNS: Final[Row] = (
    "Subject",
    "Filename",
    None,
    "OnsetFrame",
    "ApexFrame",
    "OffsetFrame",
    None,
    "Action Units",
    "Estimated Emotion",
)
SAMM_COLUMNS: Final[Row] = (
    "Subject",
    "Filename",
    "Inducement Code",
    "Onset Frame",
    "Apex Frame",
    "Offset Frame",
    "Duration",
    "Micro",
    "Action Units",
    "Estimated Emotion",
    "Objective Classes",
    "Notes",
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
    rows = tuple(clips)
    made = {
        name: maker([clip for clip in rows if clip.dataset == name])
        for name, maker in {"smic": _smic, "casme2": _casme2, "samm": _samm}.items()
    }
    files = {_FILES[name]: book for name, book in made.items()}
    for (name, file), (sheet, header, cells) in _OTHERS.items():
        mine = [cells(clip) for clip in rows if clip.dataset == name and file in _file(clip)]
        if mine:
            files[f"{name}/{file}"] = _workbook({sheet: [header, *mine]})
    long = {path: _workbook(sheets) for path, sheets in video_tables(videos).items()}
    present = {clip.dataset for clip in rows}
    return {path: book for path, book in files.items() if path.split("/")[0] in present} | long


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


_FILES: Final = {
    "smic": "smic/SMIC-HS-E_annotation.xlsx",
    "casme2": "casme2/CASME2-coding-20140508.xlsx",
    "samm": "samm/SAMM_Micro_FACS_Codes_v2.xlsx",
}


def _times(clip: DatabaseClip) -> tuple[int, int, int]:
    return clip.onset, clip.apex, clip.offset


def _file(clip: DatabaseClip) -> str:
    """The tables that a clip stands in, by name."""
    part = "testA" if "testa" in clip.folder else "training"
    return (
        f"{part}_full_with_AU.xlsx"
        if clip.dataset == "dfme"
        else ", ".join(file for name, file in _OTHERS if name == clip.dataset)
    )


def _flags(clip: DatabaseClip) -> tuple[int, ...]:
    """4DME's: positive, negative, surprise, repression, others, how many."""
    words = ("positive", "negative", "surprise", "repression", "others")
    shown = [int(word == clip.emotion) for word in words]
    shown[3] |= int(clip.label == "negative" and clip.seed % 3 == 0)  # some show two
    return (*shown, sum(shown))


def _camera(clip: DatabaseClip) -> Row:
    number = int(clip.subject[1:])
    return (number, clip.clip, None, clip.onset, clip.offset, None, clip.first, clip.emotion)


_VIS: Final[Row] = ("Subject", "Filename", None, "OnsetF", "OffsetF", None, "FirstF", "Emotion")
_DFME: Final[Row] = ("Subject", "Filename", "Onset", "Apex", "Offset", "Emotion", "AUs")
_Maker = tuple[str, Row, Callable[[DatabaseClip], Row]]


def _dfme(clip: DatabaseClip) -> Row:
    return (clip.subject, clip.clip, *_times(clip), clip.emotion.capitalize(), _units(clip))


_OTHERS: Final[Mapping[tuple[str, str], _Maker]] = {
    ("smic-vis", "SMIC-VIS-E_annotation.xlsx"): ("VIS", _VIS, _camera),
    ("smic-nir", "SMIC-NIR-E_annotation.xlsx"): ("NIR", _VIS, _camera),
    ("casme", "CASME.xlsx"): (
        "Sheet1",
        ("Subject", "Filename", None, "OnsetF", "ApexF1", "ApexF2", "OffsetF", "AU", "Emotion"),
        lambda clip: (
            *(int(clip.subject[-2:]), clip.clip, None, clip.onset, clip.apex, None, clip.offset),
            *(_units(clip), clip.emotion),
        ),
    ),
    ("casme3", "cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx"): (
        "Sheet1",
        ("Subject", "Filename", "Onset", "Apex", "Offset", "AU", "Objective class", "emotion"),
        lambda clip: (
            *(clip.subject, clip.clip[0], *_times(clip), _units(clip)),
            *(objective_class(clip.action_units), clip.emotion),
        ),
    ),
    ("mmew", "MMEW_Micro_Exp.xlsx"): (
        "Sheet1",
        ("Subject", "Filename", "OnsetFrame", "ApexFrame", "OffsetFrame", "Action Units",
         "Estimated Emotion", "remarks"),
        lambda clip: (
            clip.subject, clip.clip, *_times(clip), _units(clip), clip.emotion, None
        ),
    ),
    ("4dme", "4DME_Labelling_Micro_release v1.xlsx"): (
        "Sheet1",
        ("sub_ID", "fold_name", "fold", "Emotion", "Onset", "Apex", "Offset", "AUs", "eye blink",
         "Positive", "Negative", "Surprise", "Repression", "Others", "Total"),
        lambda clip: (
            *(int(clip.subject[4:]), clip.clip, 1, clip.emotion, *_times(clip), _units(clip), 0),
            *_flags(clip),
        ),
    ),
    ("dfme", "training_full_with_AU.xlsx"): ("Sheet1", _DFME, _dfme),
    ("dfme", "testA_full_with_AU.xlsx"): ("Sheet1", _DFME, _dfme),
}  # fmt: skip


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
