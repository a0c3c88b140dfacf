"""Moved into `datasets.table`: the header of a CSV table.  # until issue 14 is whole"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from micromimic.errors import InputError

_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}


def check_commas(header: Sequence[str], wanted: Sequence[str], path: object) -> None:
    """Say so where a spreadsheet has written another separator, as it does in many countries.

    Args:
        header: as read with commas.
        wanted: columns, of which two or more are told apart by the other separator.
        path: of the table.

    Raises:
        InputError: if the separator is another.

    >>> check_commas(["subject;clip"], ["subject", "clip"], "m.csv")
    Traceback (most recent call last):
    ...
    micromimic.errors.InputError: expected commas between the columns of m.csv, got semicolons; ...
    """
    line = ",".join(header)
    for separator, name in _SEPARATORS.items():
        cells = {cell.strip().strip('"') for cell in line.split(separator)}
        if len(cells & set(wanted)) >= 2:
            raise InputError(
                f"expected commas between the columns of {path}, got {name}; "
                "save it as CSV with commas (numbers with decimal points)"
            )


def check_columns(
    header: Sequence[str] | None, required: Sequence[str], path: object, remedy: str
) -> None:
    """Say which columns are not there, or that their separator is another.

    Raises:
        InputError: if a column is missing.
    """
    missing = [name for name in required if name not in (header or ())]
    if missing:
        check_commas(header or (), required, path)
        raise InputError(
            f"expected columns {', '.join(required)} in {path}, "
            f"got none named {', '.join(missing)}; {remedy}"
        )
