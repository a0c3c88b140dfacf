"""Moved to `datasets.table`.  # until issue 14 is whole"""

from __future__ import annotations

from collections.abc import Mapping

from micromimic.datasets.table import cell_text, text_cell, text_cells

__all__ = ["cell_text", "row_text", "text_cell", "text_cells"]


def row_text(row: Mapping[str, str | None]) -> dict[str, str | None]:
    """A row of ``csv.DictReader``: its names and its cells as text; further cells are left out."""
    return {
        cell_text(name): None if cell is None else cell_text(cell)
        for name, cell in row.items()
        if isinstance(name, str)
    }
