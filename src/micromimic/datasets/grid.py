"""A table of events as a spreadsheet holds it: its header found, its cells by plain names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError
from micromimic.datasets.table import Grid, cell_text, number, plain_name, read_grids

_LINE: Final = ""
"""Where a row keeps the number of its line; no column has this name."""


@dataclass(frozen=True)
class Table:
    """Rows by plain names of columns (`plain_name`), of a file called ``name``.

    ``above`` are rows before the header, as BORIS writes them.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]
    above: tuple[tuple[str, ...], ...] = ()

    def has(self, *names: str) -> bool:
        """Whether all these columns are there."""
        return set(names) <= set(self.columns)

    def cell(self, row: Mapping[str, str], *names: str) -> str:
        """The first column of these that is there and filled; "" where none is."""
        return next((row[name] for name in names if row.get(name)), "")

    def place(self, row: Mapping[str, str]) -> str:
        """For messages."""
        return f"line {row[_LINE]} of {self.name}"

    def heading(self, name: str) -> str:
        """The cell beside this one above the header."""
        return next(
            (row[1] for row in self.above if len(row) > 1 and row[0].casefold() == name), ""
        )

    def seconds(self, row: Mapping[str, str], *names: str) -> float:
        """A time: seconds, or hours, minutes and seconds with colons between."""
        text = self.cell(row, *names)
        found = seconds_of(text)
        if found is None:
            raise InputError(
                f"expected a time in seconds in {self.place(row)}, got {text!r}; correct it"
            )
        return found


def seconds_of(text: str) -> float | None:
    """Seconds as a table writes them; None where it is no time from 0."""
    parts = text.split(":") if re.fullmatch(r"(\d+:){1,2}\d+([.,]\d+)?", text) else [text]
    total = 0.0
    for part in parts:
        value = number(part)
        if value is None or value < 0:
            return None
        total = 60 * total + value
    return round(total, 6)


def read_rows(path: Path, *wanted: Sequence[str], what: str, remedy: str) -> Table:
    """The table whose header has a column of each of these kinds, by plain names."""
    try:
        grids = read_grids(path, what)
    except InputError as error:  # where a server put the file is its own business
        raise InputError(str(error).replace(str(path), path.name)) from None
    for grid in grids.values():
        for place, (_, cells) in enumerate(grid):
            columns = [plain_name(cell_text(cell)) for cell in cells]
            if all(set(names) & set(columns) for names in wanted):
                return _table(path, columns, grid, place)
    names = ", ".join("/".join(kind) for kind in wanted)
    raise InputError(
        f"expected {what} with columns {names} in {path.name}, got none such; {remedy}"
    )


def _table(path: Path, columns: Sequence[str], grid: Grid, place: int) -> Table:
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"expected each column once in {path.name}, got {twice} twice; remove one")
    rows = []
    for line, cells in grid[place + 1 :]:
        if any(cells):
            named = zip(columns, map(cell_text, cells), strict=False)
            rows.append({name: text for name, text in named if name} | {_LINE: str(line)})
    above = tuple(tuple(cells) for _, cells in grid[:place])
    return Table(path.name, tuple(filter(None, columns)), tuple(rows), above)


def folded(name: str) -> str:
    """A name as it is compared: without capitals, and an accent as one sign or as two."""
    return unicodedata.normalize("NFC", name).casefold()
