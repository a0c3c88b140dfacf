"""Text in CSV files: nothing that a spreadsheet would take for a formula, and back without loss.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` (their full-width forms
too), also after spaces, and may be led to by a tab or a line break. Such text is written behind an
apostrophe, which spreadsheets take for the sign of plain text (OWASP, "CSV injection"). Numbers are
no text: they are written as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

_RISKY: Final = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")

Value = TypeVar("Value")


def text_cell(value: Value) -> Value | str:
    """What to write for a value: text made plain, anything else as it is.

    >>> text_cell("=1+1"), text_cell("  -2"), text_cell("P-1"), text_cell(-0.5), text_cell("'+")
    ("'=1+1", "'  -2", 'P-1', -0.5, "''+")
    """
    return f"'{value}" if isinstance(value, str) and _RISKY.match(value) else value


def cell_text(cell: str) -> str:
    """The text of a cell; what older versions wrote without apostrophes is read as it stands.

    >>> cell_text("'=1+1"), cell_text("''+"), cell_text("=1+1"), cell_text("'tis")
    ('=1+1', "'+", '=1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _RISKY.match(cell) else cell


def row_text(row: Mapping[str, str | None]) -> dict[str, str | None]:
    """A row of ``csv.DictReader``: its names and its cells as text; further cells are left out."""
    return {
        cell_text(name): None if cell is None else cell_text(cell)
        for name, cell in row.items()
        if isinstance(name, str)
    }


def text_cells(values: Iterable[Value]) -> list[Value | str]:
    """`text_cell` of each."""
    return [text_cell(value) for value in values]
