"""Small trees in the three databases' layouts: pictures of one byte, since readers decode none."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from micromimic.datasets.read import read_database

read_smic, read_casme2, read_samm = (
    partial(read_database, name) for name in ("smic", "casme2", "samm")
)

NUMBERS = ["OnsetFrame", "ApexFrame", "OffsetFrame"]
CASME2_HEADER = ["Subject", "Filename", "", *NUMBERS, "", "Action Units", "Estimated Emotion"]
SAMM_HEADER = [
    *("Subject", "Filename", "Inducement Code", "Onset Frame", "Apex Frame", "Offset Frame"),
    *("Duration", "Micro", "Action Units", "Estimated Emotion", "Objective Classes", "Notes"),
]
SMIC_E_HEADER = [
    *("Subject", "Filename", "", "OnsetF", "OffsetF", "Onset2F", "Offset2F"),
    *("Onset3F", "Offset3F", "", "FirstF", "LastF", "Emotion"),
]


def frames(folder: Path, numbers: Iterable[int], picture: str = "img{}.jpg") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / picture.format(number)).write_bytes(b"x")
    return folder


def sheet(path: Path, rows: Sequence[Sequence[object]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    return path


def excel(path: Path, sheets: dict[str, Sequence[Sequence[object]]]) -> Path:
    import openpyxl

    path.parent.mkdir(parents=True, exist_ok=True)
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append([cell if cell != "" else None for cell in row])
    book.save(path)
    return path


def casme2_row(
    subject: object = "01",
    clip: str = "EP02_01f",
    onset: object = 46,
    apex: object = 59,
    offset: object = 86,
    emotion: str = "happiness",
) -> list[object]:
    return [subject, clip, "", onset, apex, offset, "", "12", emotion]


def samm_row(
    subject: object = "006",
    clip: str = "006_1_2",
    onset: object = 5562,
    apex: object = 5588,
    offset: object = 5632,
    emotion: str = "Anger",
) -> list[object]:
    return [subject, clip, 1, onset, apex, offset, 71, "Micro - 1/2", "4+7", emotion, 3, ""]


def smic_e_row(
    subject: object = 20,
    clip: str = "s20_ne_01",
    onset: object = 1039,
    offset: object = 1055,
    emotion: str = "negative",
    further: Sequence[object] = ("", "", "", ""),
    first: object = 887,
    last: object = 1094,
) -> list[object]:
    return [subject, clip, "", onset, offset, *further, "", first, last, emotion]


def casme2_table(folder: Path, *rows: Sequence[object]) -> Path:
    return sheet(folder / "CASME2-coding-20140508.csv", [CASME2_HEADER, *rows])


def samm_table(folder: Path, *rows: Sequence[object]) -> Path:
    notes = [["SAMM Dataset - Master FACS Codes"], [], ['"/" = or'], []]
    return sheet(folder / "SAMM_Micro_FACS_Codes_v2.csv", [*notes, SAMM_HEADER, *rows])


def smic_e_table(folder: Path, *rows: Sequence[object]) -> Path:
    return sheet(folder / "SMIC-HS-E_annotation.csv", [SMIC_E_HEADER, *rows])


def small_casme2(folder: Path) -> Path:
    """Three clips of two people, one of a class not used, and the table."""
    rows = [
        casme2_row(),
        casme2_row("01", "EP03_02", 11, 20, 31, "others"),
        casme2_row("02", "EP11_01", 16, 69, 106, "surprise"),
    ]
    for subject, clip, _, onset, _, offset, *_ in rows:
        home = folder / "CASME2_RAW_selected" / f"sub{subject}" / str(clip)
        frames(home, range(int(str(onset)), int(str(offset)) + 1))
    casme2_table(folder, *rows)
    return folder


def small_samm(folder: Path) -> Path:
    """Two clips of two people, and the table."""
    rows = [samm_row(), samm_row("011", "011_6_1", 20, 40, 60, "Contempt")]
    frames(folder / "SAMM/006/006_1_2", range(5562, 5633), "006_{:05d}.jpg")
    frames(folder / "SAMM/011/011_6_1", range(20, 61), "011_{:04d}.jpg")
    samm_table(folder, *rows)
    return folder


def small_smic(folder: Path) -> Path:
    """Three clips of two people in SMIC-HS."""
    for subject, label, clip in (
        ("s01", "negative", "s1_ne_01"),
        ("s01", "positive", "s1_po_02"),
        ("s18", "surprise", "s18_sur_03"),
    ):
        home = folder / "HS" / subject / "micro" / label / clip
        frames(home, range(1000, 1030), "image{}.jpg")
    return folder
