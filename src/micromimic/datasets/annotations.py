"""Annotation tables as the databases' authors give them: Excel sheets, or the same saved as CSV.

The header may be on any of the first rows, and columns are known by name, whatever their order,
capitals and blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError
from micromimic.datasets.base import Database, Row, Table, TableSpec, first_few, subject_number
from micromimic.datasets.table import WORKBOOKS, Grid, plain_name, read_grids
from micromimic.datasets.tree import TABLE_ENDINGS

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

    The official name goes first, then names with the keyword, then the others ``inside`` it.
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
    while candidates and (spec.every or not found):
        try:
            found.append(_read(candidates.pop(0), spec, database))
        except _NotThisTable as why:
            refused.append(str(why))
    if not found:
        seen = f"; not it: {first_few(refused, 2)}" if refused else ""
        raise InputError(
            f"expected {database.title}'s annotation {spec.name} in {folder} or above it, "
            f"got no such table{seen}; put it into the folder"
        )
    notes = [note for table in found for note in table.notes]
    # A table that fits and is not read deserves a word; a stranger in the folder does not.
    if others := [str(path) for path in candidates if spec.keyword in path.name.casefold()]:
        notes.append(database.note(f"{found[0].path} is read; not read: {first_few(others)}"))
    rows = tuple(row for table in found for row in table.rows)
    return Table(found[0].path, rows, tuple(notes), found[0].sheets)


def _candidates(spec: TableSpec, folder: Path, inside: Iterable[Path]) -> list[Path]:
    def rank(path: Path) -> tuple[bool, bool, int, str]:
        name = path.name.casefold()
        return (name != spec.name.casefold(), spec.keyword not in name, len(path.parts), name)

    beside = (path for parent in list(folder.parents)[:ABOVE] for path in _tables_in(parent))
    named = (path for path in beside if spec.keyword in path.name.casefold())
    return sorted(inside, key=rank) + sorted(named, key=rank)


def _tables_in(folder: Path) -> list[Path]:
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith((".", "~$"))]
    except OSError:  # a folder above that may not be listed holds nothing for us
        return []
    return [path for path in paths if path.suffix.casefold() in TABLE_ENDINGS]


def _read(path: Path, spec: TableSpec, database: Database) -> Table:
    is_book = path.suffix.casefold() in WORKBOOKS
    if not is_book and path.suffix.casefold() != ".csv":
        raise _NotThisTable(f"expected a table as .xlsx or .csv, got {path}")
    try:
        grids = read_grids(path)
    except InputError as error:
        raise _NotThisTable(str(error).rsplit(";", 1)[0]) from None
    sheets = {name.casefold().strip(): grid for name, grid in grids.items()} if is_book else {}
    wanted = sheets.get((spec.sheet or "").casefold())
    places, body = _below_header(grids.values() if wanted is None else [wanted], spec, path)
    rows: list[Row] = []
    odd: list[str] = []
    for number, (line, cells) in enumerate(body):
        values = {
            field: cells[place].strip() if place is not None and place < len(cells) else ""
            for field, place in places.items()
        }
        subject, clip = values["subject"], values["clip"]
        named = re.fullmatch(spec.entry, clip, re.I) if spec.entry else database.is_clip(clip)
        if subject_number(subject) is not None and named:
            rows.append({**values, "row": str(number)})
        elif subject or clip:
            odd.append(f"row {line} ({' '.join(f'{subject[:40]} {clip[:40]}'.splitlines())})")
    if not rows:
        got = f"such as {first_few(odd, 2)}" if odd else "none"
        raise _NotThisTable(f"expected rows of {database.title}'s clips in {path}, got {got}")
    notes = [database.note(f"{path.name}: no clip is named in {first_few(odd)}")] if odd else []
    return Table(path, tuple(rows), tuple(notes), sheets)


def _below_header(
    grids: Iterable[Grid], spec: TableSpec, path: Path
) -> tuple[dict[str, int | None], Grid]:
    """Where each field's column is, and the rows below the first header that has all of them."""
    wanted = list(spec.columns.values())
    headless = all(name.startswith("#") for name in wanted)
    absent = wanted
    for grid in grids:
        for number, (_, row) in enumerate(grid[:HEADER_ROWS]):
            header = [plain_name(cell) for cell in row]
            missing = [name for name in wanted if _place(name, header) is None]
            if not missing:
                fields = {**spec.columns, **spec.optional}.items()
                places = {field: _place(name, header) for field, name in fields}
                return places, grid[number if headless else number + 1 :]
            if len(missing) < len(absent):
                absent = missing
    raise _NotThisTable(
        f"expected columns {', '.join(wanted)} in {path}, got none named {', '.join(absent)}"
    )


def _place(column: str, header: Sequence[str]) -> int | None:
    for name in column.split("|"):
        if name.startswith("#"):
            return int(name[1:])
        if plain_name(name) in header:
            return header.index(plain_name(name))
    return None
