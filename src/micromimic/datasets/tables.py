"""Annotation tables as the databases' authors give them: Excel sheets, or the same saved as CSV.

The header may be on any of the first rows, and columns are known by name, whatever their order,
capitals and blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from micromimic.datasets.base import Database, Note, Table, TableSpec, some, subject_number
from micromimic.datasets.table import WORKBOOKS, Grid, csv_grids, excel_grids, plain_name
from micromimic.datasets.tree import TABLE_ENDINGS
from micromimic.errors import InputError

HEADER_ROWS: Final = 60  # rows in which a header is looked for; the farthest known is the 14th
ABOVE: Final = 2  # folders above the one given in which a table is looked for


class _NotThisTable(Exception):  # noqa: N818 - a step of the search, no error for users
    """Why a file is not the table."""


def find_table(
    spec: TableSpec,
    database: Database,
    folder: Path,
    inside: Iterable[Path],
    given: Path | None = None,
) -> Table:
    """Read the table given, or the first that fits in or above a folder; all where it has several.

    The official name goes first, then names with the keyword, then the others inside the folder.

    Args:
        spec: what to look for.
        database: whose.
        folder: the database's.
        inside: possible tables in it.
        given: the file to read instead of looking.

    Raises:
        InputError: if there is none, or the one given is no such table.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    if given is not None:
        if not given.is_file():
            raise InputError(f"expected a table at {given}, found no file; check the path")
        try:
            return _read(given, spec, database)
        except _NotThisTable as why:
            raise InputError(f"{why}; pass {spec.name}") from None
    refused: list[str] = []
    found: list[Table] = []
    candidates = _candidates(spec, folder, inside)
    for number, path in enumerate(candidates):
        try:
            found.append(_read(path, spec, database))
        except _NotThisTable as why:
            refused.append(str(why))
            continue
        if spec.every:
            continue
        # A table that fits and is not read deserves a word; a stranger in the folder does not.
        others = [str(p) for p in candidates[number + 1 :] if spec.keyword in p.name.casefold()]
        unread = f"{path} is read; not read: {some(others)}"
        more = (Note(database.name, "", "", unread),) if others else ()
        return replace(found[0], notes=found[0].notes + more)
    if found:
        rows = tuple(row for table in found for row in table.rows)
        return replace(found[0], rows=rows, notes=tuple(n for t in found for n in t.notes))
    seen = f"; not it: {some(refused, 2)}" if refused else ""
    raise InputError(
        f"expected {database.title}'s annotation {spec.name} in {folder} or above it, "
        f"got no such table{seen}; put it into the folder"
    )


def _candidates(spec: TableSpec, folder: Path, inside: Iterable[Path]) -> list[Path]:
    beside = [
        path
        for parent in list(folder.parents)[:ABOVE]
        for path in _files(parent)
        if spec.keyword in path.name.casefold()
    ]

    def rank(path: Path) -> tuple[bool, bool, int, str]:
        name = path.name.casefold()
        return (name != spec.name.casefold(), spec.keyword not in name, len(path.parts), name)

    return sorted(inside, key=rank) + sorted(beside, key=rank)


def _files(folder: Path) -> list[Path]:
    try:
        return [
            path
            for path in folder.iterdir()
            if path.suffix.casefold() in TABLE_ENDINGS and not path.name.startswith((".", "~$"))
        ]
    except OSError:  # a folder above that may not be listed holds nothing for us
        return []


def _read(path: Path, spec: TableSpec, database: Database) -> Table:
    try:
        if path.suffix.casefold() in WORKBOOKS:
            sheets = {name.casefold().strip(): grid for name, grid in excel_grids(path).items()}
            wanted = sheets.get((spec.sheet or "").casefold())
            grids = [wanted] if wanted is not None else list(sheets.values())
        elif path.suffix.casefold() == ".csv":
            sheets, grids = {}, csv_grids(path)
        else:
            raise _NotThisTable(f"expected a table as .xlsx or .csv, got {path}")
    except InputError as error:
        raise _NotThisTable(str(error).rsplit(";", 1)[0]) from None
    best: list[str] = list(spec.columns.values())
    for grid in grids:
        if all(name.startswith("#") for name in spec.columns.values()):  # no header
            return _table(path, spec, database, [], grid, 0, sheets)
        for number, row in enumerate(grid[:HEADER_ROWS]):
            names = [plain_name(cell) for cell in row]
            absent = [name for name in spec.columns.values() if _place(name, names) is None]
            if not absent:
                return _table(path, spec, database, names, grid, number + 1, sheets)
            if len(absent) < len(best):
                best = absent
    raise _NotThisTable(
        f"expected columns {', '.join(spec.columns.values())} in {path}, "
        f"got none named {', '.join(best)}"
    )


def _place(column: str, names: Sequence[str]) -> int | None:
    """Where a column of a `TableSpec` is."""
    for name in column.split("|"):
        if name.startswith("#"):
            return int(name[1:])
        if plain_name(name) in names:
            return names.index(plain_name(name))
    return None


def _table(
    path: Path,
    spec: TableSpec,
    database: Database,
    names: Sequence[str],
    grid: Grid,
    first: int,
    sheets: dict[str, Grid],
) -> Table:
    places = {f: _place(name, names) for f, name in {**spec.columns, **spec.optional}.items()}
    rows = []
    odd = []
    for number, cells in enumerate(grid[first:]):
        values = {
            field: cells[place].strip() if place is not None and place < len(cells) else ""
            for field, place in places.items()
        }
        subject, clip = values["subject"], values["clip"]
        if not subject and not clip:
            continue
        named = re.fullmatch(spec.entry, clip, re.I) if spec.entry else database.is_clip(clip)
        if subject_number(subject) is None or not named:
            shown = " ".join(f"{subject[:40]} {clip[:40]}".splitlines())
            odd.append(f"row {first + number + 1} ({shown})")
        else:
            rows.append({**values, "row": str(number)})
    if not rows:
        got = f"such as {some(odd, 2)}" if odd else "none"
        raise _NotThisTable(f"expected rows of {database.title}'s clips in {path}, got {got}")
    notes = [Note(database.name, "", "", f"{path.name}: no clip is named in {some(odd)}")]
    return Table(path, tuple(rows), tuple(notes if odd else ()), sheets)
