"""Tables that went through a spreadsheet: whatever tells columns apart, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from micromimic.core.errors import InputError
from micromimic.datasets.corrections import COLUMNS as CORRECTED, read_corrections
from micromimic.datasets.manifest import OPTIONAL, REQUIRED, read_manifest
from micromimic.evaluation.audit.epochs import REQUIRED as LOGGED, read_epochs
from micromimic.evaluation.predictions import COLUMNS as PREDICTED, Predictions

from ..rows import rows_in

TABLES = [
    (read_manifest, (*REQUIRED, *OPTIONAL)),
    (read_corrections, CORRECTED),
    (read_epochs, (*LOGGED, "y_pred")),
    (Predictions.read, PREDICTED),
]


def of_epochs(path: Path) -> Any:
    return [(run.clips, run.guesses.tolist(), run.labels) for run in read_epochs(path)]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_results_are_read_as_spreadsheets_write_them(
    separator: str, quote: str, encoding: str, tmp_path: Path
) -> None:
    wanted = {
        "predictions": (
            lambda path: rows_in(Predictions.read(path)),
            ["dataset,subject,clip,fold,seed,y_true,y_pred,p_a,p_b", "d,006,é,0,1,a,b,0.25,0.75"],
        ),
        "epochs": (
            of_epochs,
            ["dataset,subject,clip,fold,seed,epoch,y_true,y_pred"]
            + [f"d,006,é,0,0,{k},a,b" for k in range(2)],
        ),
    }
    for name, (read, lines) in wanted.items():
        plain = tmp_path / f"{name}.csv"
        plain.write_text("\n".join(lines), encoding="utf-8")
        cells = [line.split(",") for line in [lines[0].upper().replace("P_A", "p_a"), *lines[1:]]]
        cells[0] = [cell.replace("P_B", "p_b") for cell in cells[0]]
        other = tmp_path / f"{name}-other.csv"
        text = [separator.join(quote + cell + quote for cell in row) for row in cells]
        more = ["", separator.join("" for _ in cells[0])]
        other.write_text("\r\n".join([*text, *more]), encoding=encoding, newline="")
        assert read(other) == read(plain)


@pytest.mark.parametrize(("read", "columns"), TABLES)
def test_a_column_that_is_not_there_is_named(
    read: Callable[[Path], Any], columns: tuple[str, ...], tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(",".join(columns[1:]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"none named {columns[0]}; "):
        read(table)
