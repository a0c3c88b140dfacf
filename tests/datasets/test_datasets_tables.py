"""Annotation tables: formats, where they are looked for, what is wrong with them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from micromimic.core.errors import InputError, MissingExtraError

from ..fake_databases import (
    CASME2_HEADER,
    SAMM_HEADER,
    SMIC_E_HEADER,
    casme2_row,
    casme2_table,
    excel,
    frames,
    read_casme2,
    read_samm,
    read_smic,
    samm_row,
    sheet,
    smic_e_row,
)

OFFICIAL = "CASME2-coding-20140508.xlsx"


@pytest.fixture
def casme2(tmp_path: Path) -> Path:
    """A CASME II of one clip without its table; two folders above it are its own."""
    folder = tmp_path / "disk" / "data" / "casme2"
    frames(folder / "sub01/EP02_01f", range(46, 87))
    return folder


def ends(folder: Path, table: Path | None = None) -> tuple[int | None, ...]:
    (clip,) = read_casme2(folder, table).clips
    return clip.onset, clip.apex, clip.offset


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_with_any_separator(casme2: Path, separator: str) -> None:
    sheet(casme2 / "casme2.csv", [CASME2_HEADER, casme2_row()], separator)
    assert ends(casme2) == (46, 59, 86)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252"])
def test_csv_as_excel_writes_it(casme2: Path, encoding: str) -> None:
    path = casme2_table(casme2, casme2_row(), ["", "", "checked by José"])
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    assert ends(casme2) == (46, 59, 86)


def test_columns_in_any_order_and_spelling(casme2: Path) -> None:
    header = [
        "estimated emotion",
        "APEX FRAME",
        "Offset_Frame",
        "onsetframe",
        "filename",
        "subject",
    ]
    sheet(casme2 / "my casme.csv", [header, ["happiness", "59", "86", "46", "EP2_1f", "sub1"]])
    (clip,) = read_casme2(casme2).clips
    assert (clip.onset, clip.apex, clip.offset) == (46, 59, 86)
    assert clip.extra == {"emotion": "happiness", "action_units": ""}


@pytest.mark.parametrize("subject", ["01", 1, "1", 1.0, "sub01"])
def test_excel_with_numbers_or_text(casme2: Path, subject: object) -> None:
    pytest.importorskip("openpyxl")
    rows = [CASME2_HEADER, casme2_row(subject, onset=46.0, apex="59", offset=86), []]
    excel(casme2 / OFFICIAL, {"Sheet1": rows, "Sheet2": []})
    assert ends(casme2) == (46, 59, 86)
    assert read_casme2(casme2).clips[0].subject == "sub01"


def test_samm_header_on_row_14(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frames(tmp_path / "006/006_1_2", range(5562, 5633))
    before: list[list[object]] = [["SAMM Dataset - Master FACS Codes"], *([[""]] * 12)]
    path = excel(
        tmp_path / "SAMM_Micro_FACS_Codes_v2.xlsx",
        {"MICRO_ONLY": [*before, SAMM_HEADER, samm_row()]},
    )
    found = read_samm(tmp_path)
    assert found.clips[0].apex == 5588
    assert found.table == path


def test_smic_e_is_read_from_its_high_speed_sheet(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    frames(tmp_path / "s20/s20_ne_01", range(887, 1095))
    sheets = {
        "VIS": [SMIC_E_HEADER, smic_e_row(onset=950, offset=954)],
        "HS": [SMIC_E_HEADER, smic_e_row()],
    }
    excel(tmp_path / "SMIC-HS-E_annotation.xlsx", sheets)
    assert read_smic(tmp_path).clips[0].onset == 1039


@pytest.mark.parametrize("where", ["casme2", "annotation", "data", "disk"])
def test_the_table_is_found_in_the_folder_and_above(casme2: Path, where: str) -> None:
    places = {place.name: place for place in (casme2, casme2 / "annotation", *casme2.parents[:2])}
    casme2_table(places[where], casme2_row())
    assert ends(casme2) == (46, 59, 86)


def test_a_table_too_far_up_or_of_another_name_above_is_not_taken(casme2: Path) -> None:
    casme2_table(casme2.parents[2], casme2_row())
    sheet(casme2.parent / "other.csv", [CASME2_HEADER, casme2_row()])
    with pytest.raises(InputError, match=f"expected CASME II's annotation {OFFICIAL} in .*put it"):
        read_casme2(casme2)


def test_the_official_name_goes_first_and_the_others_are_named(casme2: Path) -> None:
    pytest.importorskip("openpyxl")
    other = casme2_table(casme2, casme2_row(apex=70))
    path = excel(casme2 / OFFICIAL, {"Sheet1": [CASME2_HEADER, casme2_row()]})
    assert ends(casme2) == (46, 59, 86)
    notes = [str(note) for note in read_casme2(casme2).notes]
    assert notes == [f"casme2: {path} is read; not read: {other}"]
    assert ends(casme2, other) == (46, 70, 86)


def test_another_databases_table_is_passed_over(casme2: Path) -> None:
    sheet(casme2 / "a.csv", [SAMM_HEADER, samm_row()])
    sheet(casme2 / "b.csv", [["x"], ["y"]])
    (casme2 / "c.csv").write_bytes(b"\x00\xff")
    sheet(casme2 / "z.csv", [CASME2_HEADER, casme2_row()])
    assert ends(casme2) == (46, 59, 86)
    assert not read_casme2(casme2).notes


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [["Subject", "Filename", "OnsetFrame"]],
            "got none named ApexFrame, OffsetFrame, Estimated Emotion",
        ),
        ([[]], "expected columns Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Estimated"),
        ([CASME2_HEADER], "expected rows of CASME II's clips in"),
        (
            [SAMM_HEADER, samm_row()],
            "expected rows of CASME II's clips in .*, got such as row 2 .006 006_1_2.",
        ),
    ],
)
def test_a_table_that_is_none(
    casme2: Path, tmp_path: Path, rows: list[list[object]], text: str
) -> None:
    path = sheet(tmp_path / "elsewhere" / "table.csv", rows)
    with pytest.raises(InputError, match=f"{text}.*pass CASME2-coding"):
        read_casme2(casme2, path)
    sheet(casme2 / "casme2.csv", rows)
    with pytest.raises(InputError, match=f"got no such table; not it: .*{text}"):
        read_casme2(casme2)


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("table.xlsx", b"not a workbook", "expected an Excel table in .*, got "),
        ("table.xlsx", b"", "expected an Excel table in .*, got "),
        ("table.xls", b"x", "expected a table as .xlsx or .csv, got "),
        (None, b"", "expected a table at .*, found no file; check the path"),
    ],
)
def test_a_damaged_table(
    casme2: Path, tmp_path: Path, name: str | None, content: bytes, text: str
) -> None:
    pytest.importorskip("openpyxl")
    path = tmp_path / (name or "gone.csv")
    if name:
        path.write_bytes(content)
    with pytest.raises(InputError, match=text) as error:
        read_casme2(casme2, path)
    assert "\n" not in str(error.value)


def test_without_openpyxl(casme2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (casme2 / OFFICIAL).write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=r"openpyxl to read .*micromimic\[train\].*as .csv"):
        read_casme2(casme2)


def test_rows_that_name_no_clip_are_said(casme2: Path) -> None:
    casme2_table(casme2, casme2_row(), [], ["", "Total"], ["x", "EP01_01"], casme2_row(clip="-"))
    (note,) = read_casme2(casme2).notes
    assert note.text == (
        "CASME2-coding-20140508.csv: no clip is named in row 4 ( Total), row 5 (x EP01_01), "
        "row 6 (01 -)"
    )


def test_a_clip_annotated_twice(casme2: Path) -> None:
    casme2_table(casme2, casme2_row(), casme2_row())
    assert ends(casme2) == (46, 59, 86)
    casme2_table(casme2, casme2_row(), casme2_row(apex=60))
    (left,) = read_casme2(casme2).left_out
    assert str(left) == "casme2/sub01/EP02_01f: 2 rows of CASME2-coding-20140508.csv differ"


def test_an_unknown_emotion_in_smic_e(tmp_path: Path) -> None:
    frames(tmp_path / "s20/s20_ne_01", range(887, 1095))
    sheet(tmp_path / "smic.csv", [SMIC_E_HEADER, smic_e_row(emotion="sad")])
    left = {str(item) for item in read_smic(tmp_path).left_out}
    assert "smic/s20/s20_ne_01: emotion 'sad' is none of negative, positive, surprise" in left


def test_smic_e_without_its_table(tmp_path: Path) -> None:
    frames(tmp_path / "s20/s20_ne_01", range(887, 1095))
    with pytest.raises(InputError, match="expected SMIC-E's annotation SMIC-HS-E_annotation.xlsx"):
        read_smic(tmp_path)
