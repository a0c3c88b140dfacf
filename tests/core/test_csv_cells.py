"""No CSV file that we write holds text that a spreadsheet runs, and what we read is what it was."""

from __future__ import annotations

import ast
import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import micromimic
from micromimic.core.labels import THREE
from micromimic.datasets.manifest import Clip, read_manifest, write_manifest
from micromimic.datasets.table import cell_text, read_table, text_cell
from micromimic.evaluation.predictions import Predictions
from micromimic.report.tables import events_csv

from ..rows import Prediction, of_rows, rows_in

RISKY = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\r=x", "\n=x", "  =1", "＝1", "'=1", "''-"]
PLAIN = ["P-1", "006", "a=b", "'tis", "", " x", "'"]
FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")


@pytest.mark.parametrize("text", RISKY)
def test_text_that_a_spreadsheet_would_run_is_made_plain(text: str) -> None:
    assert text_cell(text) == f"'{text}"
    assert cell_text(f"'{text}") == text


@pytest.mark.parametrize("value", [*PLAIN, -0.5, -3, None, True])
def test_other_text_and_numbers_stay(value: object) -> None:
    assert text_cell(value) is value


@settings(deadline=None)
@given(st.text(alphabet="'=+-@\t\r\n ＝ab1"))
def test_any_text_comes_back(text: str) -> None:
    written = text_cell(text)
    assert FORMULA.match(written) is None
    assert cell_text(written) == text


def test_columns_beyond_the_header_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("'=a,b\n'-1,,c\n")
    frame = read_table(tmp_path / "t.csv", ["b"])
    assert frame.to_dict("records") == [{"=a": "-1", "b": ""}]


def cells(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [cell for row in csv.reader(file) for cell in row]


def test_a_manifest_comes_back(tmp_path: Path) -> None:
    clip = Clip(
        "=db", "-1", "@c", "negative", "video", tmp_path / "-v.mp4", onset=3, fps=29.97,
        extra={"=HYPERLINK()": "+note", "coder": "-kim"},
    )  # fmt: skip
    path = tmp_path / "manifest.csv"
    write_manifest(path, [clip])
    assert not [cell for cell in cells(path) if FORMULA.match(cell)]
    assert read_manifest(path, check_files=False) == (clip,)
    older = path.read_text(encoding="utf-8").replace("'", "")  # as versions before wrote it
    path.write_text(older, encoding="utf-8")
    assert read_manifest(path, check_files=False) == (clip,)


def test_predictions_come_back(tmp_path: Path) -> None:
    row = Prediction("=db", "-1", "@c", 3, 1, "negative", "surprise", (0.25, 0.25, 0.5))
    path = tmp_path / "predictions.csv"
    of_rows([row, replace(row, clip="+d")]).write(path)
    assert not [cell for cell in cells(path) if FORMULA.match(cell)]
    assert rows_in(Predictions.read(path)) == [row, replace(row, clip="+d")]


def test_notes_are_plain_and_numbers_are_numbers() -> None:
    entry = {
        "onset_s": -0.5, "apex_s": 0.0, "offset_s": 0.2, "onset_frame": 0, "apex_frame": 1,
        "offset_frame": 2, "label": "negative", "probabilities": None, "uncertain": None,
        "strength": None, "regions": None, "action_units": None, "note": '=cmd|" /C calc"!A0',
    }  # fmt: skip
    (row,) = csv.DictReader(events_csv([entry], THREE.names, ["note"]).splitlines())
    assert row["onset_s"] == "-0.5"
    assert row["note"] == '\'=cmd|" /C calc"!A0'


def test_every_writer_of_csv_makes_its_text_plain() -> None:
    """A module that writes rows takes them through `table`."""
    writers = []
    for path in Path(micromimic.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        calls = [n.func.attr for n in ast.walk(tree)
                 if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)]  # fmt: skip
        if {"DictWriter", "writerow", "writerows", "to_csv"} & set(calls):
            writers.append(path.name)
            own = path.match("datasets/table.py")
            assert own or re.search(r"from micromimic\.datasets\.table import", text), path
    assert "table.py" in writers
