"""Annotation tables as the databases' authors give them: Excel sheets, or the same saved as CSV.

The header may be on any of the first rows, and columns are known by name, whatever their order,
capitals and blanks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from micromimic.datasets.base import Layout, Note, some, subject_number
from micromimic.datasets.table import WORKBOOKS, Grid, csv_grids, excel_grids, plain_name
from micromimic.datasets.tree import TABLE_ENDINGS
from micromimic.errors import InputError

HEADER_ROWS: Final = 60  # rows in which a header is looked for; SAMM's is the 14th
ABOVE: Final = 2  # folders above the one given in which a table is looked for


@dataclass(frozen=True)
class TableSpec:
    """An annotation table.

    Args:
        name: the file's name as distributed.
        keyword: a word in the names of such files.
        columns: field to column, as written in the official table.
        optional: the same for columns that may be absent.
        sheet: name of the sheet, where the file has several that look alike.
    """

    name: str
    keyword: str
    columns: Mapping[str, str]
    optional: Mapping[str, str]
    sheet: str | None = None


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Args:
        path: the file.
        rows: one mapping from field to text a clip, texts stripped; "" where a cell is empty or an
            optional column absent.
        notes: on rows that name no clip, and on other tables that were not read.
    """

    path: Path
    rows: tuple[Mapping[str, str], ...]
    notes: tuple[Note, ...] = ()


class _NotThisTable(Exception):  # noqa: N818 - a step of the search, no error for users
    """Why a file is not the table."""


def find_table(
    spec: TableSpec,
    layout: Layout,
    folder: Path,
    inside: Iterable[Path],
    given: Path | None = None,
) -> Table:
    """Read the table given, or the first that fits in or above a folder.

    The official name goes first, then names with the keyword, then the others inside the folder.

    Args:
        spec: what to look for.
        layout: tells a clip's name.
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
            return _read(given, spec, layout)
        except _NotThisTable as why:
            raise InputError(f"{why}; pass {spec.name}") from None
    refused = []
    candidates = _candidates(spec, folder, inside)
    for number, path in enumerate(candidates):
        try:
            table = _read(path, spec, layout)
        except _NotThisTable as why:
            refused.append(str(why))
            continue
        # A table that fits and is not read deserves a word; a stranger in the folder does not.
        others = [str(p) for p in candidates[number + 1 :] if spec.keyword in p.name.casefold()]
        unread = f"{path} is read; not read: {some(others)}"
        more = (Note(layout.dataset, "", "", unread),) if others else ()
        return Table(table.path, table.rows, table.notes + more)
    seen = f"; not it: {some(refused, 2)}" if refused else ""
    raise InputError(
        f"expected {layout.title}'s annotation {spec.name} in {folder} or above it, "
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


def _read(path: Path, spec: TableSpec, layout: Layout) -> Table:
    try:
        if path.suffix.casefold() in WORKBOOKS:
            sheets = excel_grids(path)
            grids = [sheets[spec.sheet]] if spec.sheet in sheets else list(sheets.values())
        elif path.suffix.casefold() in TABLE_ENDINGS:
            grids = csv_grids(path)
        else:
            raise _NotThisTable(f"expected a table as .xlsx or .csv, got {path}")
    except InputError as error:
        raise _NotThisTable(str(error).split(";")[0]) from None
    wanted = {field: plain_name(name) for field, name in spec.columns.items()}
    best: list[str] = list(spec.columns.values())
    for grid in grids:
        for number, row in enumerate(grid[:HEADER_ROWS]):
            names = [plain_name(cell) for cell in row]
            absent = [spec.columns[field] for field, name in wanted.items() if name not in names]
            if not absent:
                return _table(path, spec, layout, names, grid[number + 1 :], number + 2)
            if len(absent) < len(best):
                best = absent
    raise _NotThisTable(
        f"expected columns {', '.join(spec.columns.values())} in {path}, "
        f"got none named {', '.join(best)}"
    )


def _table(
    path: Path,
    spec: TableSpec,
    layout: Layout,
    names: Sequence[str],
    body: Grid,
    first: int,
) -> Table:
    fields = {
        field: names.index(plain_name(name))
        for field, name in {**spec.columns, **spec.optional}.items()
        if plain_name(name) in names
    }
    rows = []
    odd = []
    for line, cells in enumerate(body, first):
        values = dict.fromkeys([*spec.columns, *spec.optional], "")
        values |= {
            field: cells[place].strip() for field, place in fields.items() if place < len(cells)
        }
        if not values["subject"] and not values["clip"]:
            continue
        if subject_number(values["subject"]) is None or not layout.clip.fullmatch(values["clip"]):
            odd.append(f"row {line} ({values['subject']} {values['clip']})")
        else:
            rows.append(values)
    if not rows:
        got = f"such as {some(odd, 2)}" if odd else "none"
        raise _NotThisTable(f"expected rows of {layout.title}'s clips in {path}, got {got}")
    notes = [Note(layout.dataset, "", "", f"{path.name}: no clip is named in {some(odd)}")]
    return Table(path, tuple(rows), tuple(notes if odd else ()))
