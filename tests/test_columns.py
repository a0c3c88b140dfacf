"""Tables that went through a spreadsheet: the message names the separator, not missing columns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from micromimic.errors import InputError
from micromimic.evaluation.epochs_file import REQUIRED as LOGGED
from micromimic.evaluation.epochs_file import read_epochs
from micromimic.evaluation.predictions import COLUMNS as PREDICTED
from micromimic.evaluation.predictions import read_predictions

TABLES = [
    (read_epochs, (*LOGGED, "y_pred")),
    (read_predictions, PREDICTED),
]


@pytest.mark.parametrize(("read", "columns"), TABLES)
@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
@pytest.mark.parametrize("quote", ["", '"'])
def test_another_separator_is_named(
    read: Callable[[Path], Any],
    columns: tuple[str, ...],
    separator: str,
    name: str,
    quote: str,
    tmp_path: Path,
) -> None:
    header = separator.join(quote + column + quote for column in columns)
    row = separator.join("x" for _ in columns)
    table = tmp_path / "t.csv"
    table.write_text(f"\ufeff{header}\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"commas between the columns of .*t\.csv, got {name};"):
        read(table)


@pytest.mark.parametrize(("read", "columns"), TABLES)
def test_a_column_that_is_not_there_is_named(
    read: Callable[[Path], Any], columns: tuple[str, ...], tmp_path: Path
) -> None:
    table = tmp_path / "t.csv"
    table.write_text(",".join(columns[1:]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"none named {columns[0]}; "):
        read(table)
