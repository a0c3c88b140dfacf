"""Tables as spreadsheets write them, and manifests read from them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from micromimic.core.errors import InputError, LabelError, ManifestWarning
from micromimic.datasets.corrections import read_corrections
from micromimic.datasets.manifest import (
    Clip,
    labels_of_manifest,
    manifest_clips,
    manifest_notes,
    read_manifest,
    write_manifest,
)
from micromimic.datasets.table import read_table, table_text

HEADER = ["dataset", "subject", "clip", "label", "kind", "path", "onset", "apex", "offset", "fps"]
ROW = ["mine", "006", "006_1", "negative", "frames", "a/é", "46", "59.0", "86", "29.97"]
CLIP = Clip(
    "mine", "006", "006_1", "negative", "frames", Path("a/é"), 46, 59, 86, 29.97
)  # fmt: skip


def parsed(folder: Path, text: str, required: list[str]):
    path = folder / "t.csv"
    path.write_bytes(text.encode())
    return read_table(path, required)


def manifest(folder: Path, *rows: list[str], header: list[str] = HEADER) -> Path:
    path = folder / "m.csv"
    path.write_text("\n".join(",".join(row) for row in [header, *rows]), encoding="utf-8")
    return path


def read(path: Path, labels: str = "three") -> tuple[Clip, ...]:
    return read_manifest(path, labels, check_files=False)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("cp1252", b""),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_manifest_is_read_as_spreadsheets_write_it(
    tmp_path: Path, separator: str, encoding: str, mark: bytes, end: str
) -> None:
    header = [f" {name.capitalize()} " for name in HEADER]
    row = [cell.replace(".", "," if separator == ";" else ".") for cell in ROW]
    row[5] = "a\\é"
    empty = separator * (len(HEADER) + 2)  # empty columns on the right, empty rows below
    lines = [separator.join([*header, "", ""]), separator.join(row), empty, "", empty]
    path = tmp_path / "m.csv"
    path.write_bytes(mark + end.join(lines).encode(encoding))
    (clip,) = read(path)
    assert clip == Clip(**{**vars(CLIP), "path": tmp_path / "a/é"})


def test_a_manifest_is_read_from_a_workbook(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["a note"])
    page = book.create_sheet("clips")
    page.append(HEADER)
    page.append([*ROW[:6], 46, 59, 86, 29.97])
    book.save(tmp_path / "m.xlsx")
    (clip,) = read(tmp_path / "m.xlsx")
    assert clip == Clip(**{**vars(CLIP), "path": tmp_path / "a/é"})


def test_excels_first_line_is_no_header(tmp_path: Path) -> None:
    text = "sep=;\nclip;label\na;b\n"
    assert parsed(tmp_path, text, ["clip", "label"])["label"].tolist() == ["b"]


def test_lines_are_counted_as_they_stand(tmp_path: Path) -> None:
    frame = parsed(tmp_path, 'clip,label\n"a\nb",c\n\n,\nd,e,f\n', ["clip", "label"])
    assert frame.index.tolist() == [3, 6]
    assert frame.to_numpy().tolist() == [["a\nb", "c"], ["d", "e"]]


@pytest.mark.parametrize("reader", [read, read_corrections])
def test_a_column_that_is_not_there_or_twice_is_named(tmp_path: Path, reader) -> None:
    path = tmp_path / "t.csv"
    path.write_text("subject;clip;Clip\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"each column once in .*t\.csv, got clip twice"):
        reader(path)
    path.write_text("subject;clip\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"columns dataset, .* in .*t\.csv, got none named"):
        reader(path)
    with pytest.raises(InputError, match="found no file; check the path"):
        reader(tmp_path / "gone.csv")


@pytest.mark.parametrize("data", [b"\x00\xff", b"\xff\xfea", b"dataset\x81", b"PK\x03\x04\x00"])
def test_what_is_no_text_is_said(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match="expected a table as text, got ") as error:
        read_table(path, ["clip"], what="a table")
    assert "\n" not in str(error.value)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab01'=+-@\t; ,\"é\\"), min_size=2, max_size=2))
def test_what_is_written_is_read(tmp_path_factory, cells: list[str]) -> None:
    import pandas as pd

    cells = [cell.strip() for cell in cells]
    text = table_text(pd.DataFrame([["x", *cells]], columns=["a", "b", "c"]))
    assert parsed(tmp_path_factory.getbasetemp(), text, ["a", "b", "c"]).to_numpy().tolist() == [
        ["x", *cells]
    ]


def test_a_backslash_in_a_name_is_kept(tmp_path: Path) -> None:
    clip = Clip("mine", "s", "c", "negative", "video", tmp_path / "a\\b.mp4")
    write_manifest(tmp_path / "m.csv", [clip])
    assert read(tmp_path / "m.csv") == (clip,)


@pytest.mark.parametrize(
    ("subject", "clip", "path", "said"),
    [
        ("6", "006_1_2", "x", "006"),
        ("6", "a", "data/006/a", "006"),
        ("6", "a", "data\\006\\a", "006"),
        ("006", "006_1_2", "006/a", None),
        ("6", "6_1_2", "6/a", None),
        ("6", "a_006", "x", None),
    ],
)
def test_lost_leading_zeros_are_reported(
    tmp_path: Path, subject: str, clip: str, path: str, said: str | None, recwarn
) -> None:
    table = manifest(
        tmp_path, ["mine", subject, clip, "negative", "frames", path], header=HEADER[:6]
    )
    read(table)
    texts = [str(w.message) for w in recwarn if w.category is ManifestWarning]
    wanted = f"subject 6 may have lost leading zeros: its clips or folders say {said} (1 row)"
    assert texts == ([f"{wanted} in {table}"] if said else [])


def test_subjects_that_may_be_one_are_reported(tmp_path: Path) -> None:
    rows = [
        ["mine", who, f"c{n}", "negative", "frames", "x"] for n, who in enumerate(["sub03", "SUB3"])
    ]
    with pytest.warns(ManifestWarning, match="subjects SUB3 and sub03 of mine may be one person"):
        read(manifest(tmp_path, *rows, header=HEADER[:6]))


def test_each_scheme_has_its_column(tmp_path: Path) -> None:
    rows = [
        ["mine", "s", "c1", "negative", "frames", "x", "anger"],
        ["mine", "s", "c2", "", "frames", "x", "joy"],
        ["mine", "s", "c3", "surprise", "frames", "x", ""],
    ]
    path = manifest(tmp_path, *rows, header=[*HEADER[:6], "Label2"])
    assert [(clip.clip, clip.label) for clip in read(path)] == [
        ("c1", "negative"),
        ("c3", "surprise"),
    ]
    assert [(clip.clip, clip.label) for clip in read(path, "joy,anger")] == [
        ("c1", "anger"), ("c2", "joy"),
    ]  # fmt: skip
    assert labels_of_manifest(path, "joy,anger").names == ("joy", "anger")
    assert labels_of_manifest(path, "any").name == "three"
    assert [c.clip for c in manifest_clips(path, labelled=True, check_files=False)] == [
        "c1", "c2", "c3",
    ]  # fmt: skip
    assert manifest_notes(path) == ("1 of 3 clips have no label in column label: left out",)
    with pytest.raises(
        InputError, match="label among joy, fear, got 'anger' for clip c1 in line 2"
    ):
        read(path, "joy,fear")
    with pytest.raises(LabelError, match="got 'seventeen'; name one of them"):
        read(path, "seventeen")
    empty = manifest(tmp_path, ["mine", "s", "c", "", "frames", "x"], header=HEADER[:6])
    with pytest.raises(InputError, match="got 1 without a label in its .* list some, or spot"):
        read(empty)
    assert len(manifest_clips(empty, check_files=False)) == 1
    with pytest.raises(InputError, match="expected clips with a label in .*, got none; list some"):
        manifest_clips(empty, labelled=True, check_files=False)


@pytest.mark.parametrize(
    ("column", "cell", "text"),
    [
        ("onset", "x", "onset to be a frame number, got 'x' in line 2 of"),
        ("apex", "-1", "apex to be a frame number, got '-1' in line 2 of"),
        ("offset", "8.5", "offset to be a frame number, got '8.5' in line 2 of"),
        ("fps", "0", "fps above 0 or empty, got '0' in line 2 of"),
        ("fps", "fast", "fps above 0 or empty, got 'fast' in line 2 of"),
        ("apex", "99", "onset <= apex <= offset, got 46, 99, 86 in line 2 of"),
        ("subject", "", "a subject of one line in line 2 of .*, got nothing"),
        ("kind", "film", "a kind among frames, video, image, flow_map, got 'film'"),
        ("label", "joy", "a label among negative, positive, surprise, got 'joy' for clip 006_1"),
    ],
)
def test_cells_that_make_no_sense(tmp_path: Path, column: str, cell: str, text: str) -> None:
    row = [cell if name == column else old for name, old in zip(HEADER, ROW, strict=True)]
    with pytest.raises(InputError, match=text) as error:
        read(manifest(tmp_path, row))
    assert "\n" not in str(error.value)
