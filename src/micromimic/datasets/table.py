"""The one reader and writer of tables: text as spreadsheets write it, and nothing guessed.

A table comes with commas, semicolons or tabs, in UTF-8, UTF-16 or a Western code page, with or
without a byte order mark, with capitals and blanks in its header and empty rows at its end; or as
a workbook. Cells are text, stripped: ``006`` stays ``006``.

A spreadsheet runs a cell that begins with ``=``, ``+``, ``-`` or ``@`` (their full-width forms
too), also after spaces, and may be led to by a tab or a line break. Such text is written behind an
apostrophe, which spreadsheets take for the sign of plain text (OWASP, "CSV injection"). Numbers are
no text: they are written as they are.
"""

from __future__ import annotations

import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from micromimic.core.errors import InputError, MissingExtraError
from micromimic.core.files import write_whole

if TYPE_CHECKING:
    import pandas as pd

Grid = list[tuple[int, list[str]]]
"""The cells of rows, stripped, and the number of each row in its file, from 1."""

WORKBOOKS: Final = frozenset({".xlsx", ".xlsm"})
_RISKY: Final = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@＝＋－＠])")
_LARGEST_WORKBOOK: Final = 256 << 20
_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16

Value = TypeVar("Value")


def read_table(
    path: str | Path,
    required: Sequence[str],
    *,
    known: Sequence[str] = (),
    what: str = "a table",
    remedy: str = "add them",
) -> pd.DataFrame:
    """Read a table whose columns are known by name, as text.

    One row a line that is not empty, its index the number of the line in the file (of a line's last
    one, where a cell has several); other columns as they are spelled. Of a workbook, the first
    sheet with these columns.
    """
    import pandas as pd  # noqa: PLC0415 - slow to load

    path = Path(path)
    if not path.is_file():
        raise InputError(f"expected {what} at {path}, found no file; check the path")
    grids = [_from_header(grid) for grid in read_grids(path, what).values()]
    wanted = {name.casefold() for name in required}

    def fit(grid: Grid) -> tuple[int, int]:
        names = {cell.casefold() for cell in grid[0][1]}
        return len(wanted & names), len(names)

    (_, cells), *rows = max(grids, key=fit, default=[(0, [])])
    spelled = {name.casefold(): name for name in (*known, *required)}
    header = [spelled.get(name.casefold(), name) for name in cells]
    named = [name for name in header if name]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"expected each column once in {path}, got {twice} twice; remove or rename one"
        )
    missing = [name for name in required if name not in named]
    if missing:
        raise InputError(
            f"expected columns {', '.join(required)} in {path}, "
            f"got none named {', '.join(missing)}; {remedy}"
        )
    width = len(header)
    filled = [(line, [*row, *[""] * width][:width]) for line, row in rows if any(row)]
    body = [[cell_text(row[place]) for place in range(width) if header[place]] for _, row in filled]
    return pd.DataFrame(body, [line for line, _ in filled], named, dtype=object)


def records(frame: pd.DataFrame, path: object) -> Iterator[tuple[str, dict[str, str]]]:
    """Each row of what `read_table` gave: where it stands, for messages, and its cells by name."""
    for line, row in zip(frame.index, frame.to_dict("records"), strict=True):
        yield f"line {line} of {path}", {str(name): str(text) for name, text in row.items()}


def write_table(path: str | Path, frame: pd.DataFrame) -> None:
    """Write a table as CSV, whole or not at all."""
    write_whole(Path(path), table_text(frame))


def table_text(frame: pd.DataFrame) -> str:
    """A table as CSV: text made plain, missing values empty, numbers as they are."""
    import pandas as pd  # noqa: PLC0415 - slow to load

    # DataFrame.map would make 3.0 of the 3 beside an empty cell
    rows = [text_cells(row) for row in frame.astype(object).to_numpy().tolist()]
    names = text_cells(str(name) for name in frame.columns)
    text = pd.DataFrame(rows, columns=names, dtype=object).to_csv(index=False, lineterminator="\n")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        start = text.rfind("\n", 0, error.start) + 1
        line = text[start : text.find("\n", error.start)]
        raise InputError(
            f"expected names that are UTF-8 in a table, got {line!r}; rename the file or folder"
        ) from None
    return text


def text_cell(value: Value) -> Value | str:
    """What to write for a value: text made plain, anything else as it is."""
    return f"'{value}" if isinstance(value, str) and _RISKY.match(value) else value


def cell_text(cell: str) -> str:
    """The text of a cell; what older versions wrote without apostrophes is read as it stands."""
    return cell[1:] if cell.startswith("'") and _RISKY.match(cell) else cell


def text_cells(values: Iterable[Value]) -> list[Value | str]:
    return [text_cell(value) for value in values]


def number(text: str) -> float | None:
    """The number that a cell holds, with a decimal point or comma; None where it holds none."""
    if re.fullmatch(r"[+-]?[0-9]+,[0-9]+", text):
        text = text.replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def whole(text: str) -> int | None:
    """A frame number as a table's cell holds it; None where it is none."""
    value = number(text)
    return int(value) if value is not None and value >= 0 and value == int(value) else None


def frame_of(text: str, name: str, where: str) -> int:
    value = whole(text)
    if value is None:
        raise InputError(
            f"expected {name} to be a frame number, got {text!r} in {where}; correct it"
        )
    return value


def check_names(row: Mapping[str, str], names: Iterable[str], where: str) -> None:
    """Refuse a row one of whose names is empty or has several lines."""
    for name in names:
        if len(row[name].splitlines()) != 1:
            got = repr(row[name]) if row[name] else "nothing"
            raise InputError(f"expected a {name} of one line in {where}, got {got}; correct it")


def plain_name(header: str) -> str:
    """A column's name without capitals, blanks and marks."""
    return re.sub(r"[^a-z0-9]", "", str(header).casefold())


def read_grids(path: Path, what: str = "a table") -> dict[str, Grid]:
    """The sheets of a workbook by name; a text file with each separator that may be its."""
    if path.suffix.casefold() not in WORKBOOKS:
        return _separated(read_text(path, what), path)
    import pandas as pd  # noqa: PLC0415 - slow to load

    try:
        import openpyxl  # type: ignore[import-untyped]  # noqa: F401, PLC0415
    except ImportError:
        raise MissingExtraError(
            f"expected the package openpyxl to read {path}, got none; "
            "pip install 'micromimic[train]', or save the sheet as .csv beside it"
        ) from None
    _check_unpacked(path, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl's, on formats that do not matter here
            sheets = pd.read_excel(
                path, sheet_name=None, header=None, dtype=str, na_filter=False, engine="openpyxl"
            )
    except Exception as error:  # noqa: BLE001 - a damaged file breaks openpyxl in many ways
        text = " ".join(str(error).split())
        raise InputError(
            f"expected an Excel table in {path}, got {type(error).__name__}: {text}; save it again"
        ) from None
    return {
        str(name): [
            (line, [str(cell).strip() for cell in row])
            for line, row in enumerate(frame.to_numpy().tolist(), 1)
        ]
        for name, frame in sheets.items()
    }


def _check_unpacked(path: Path, what: str) -> None:
    """Refuse a workbook that unpacks to more than a table can be: a few kB may hold gigabytes."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return  # whoever reads it says what is wrong
    if size > _LARGEST_WORKBOOK:
        raise InputError(
            f"expected {what} in {path}, got a workbook of {size / 1e6:.0f} MB unpacked; save the "
            "sheet as CSV"
        )


def read_text(path: Path, what: str) -> str:
    """A text file in whichever encoding spreadsheets write."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected to read {what} at {path}, got: {error.strerror}; check the path"
        ) from None
    encodings = ["utf-16"] if data.startswith(_MARKS) else ["utf-8-sig", "cp1252"]
    for encoding in encodings:  # the last is what Excel's plain CSV is in the West
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError as error:
            reason = error.reason
    else:
        raise InputError(
            f"expected {what} as text, got {reason} in {path}; save it as CSV in UTF-8"
        )
    if "\0" in text:
        raise InputError(f"expected {what} as text, got binary data in {path}; save it as CSV")
    return text


def _separated(text: str, path: Path) -> dict[str, Grid]:
    grids = {}
    try:
        for separator in ",;\t":
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
            grids[separator] = [(rows.line_num, [c.strip(" \xa0") for c in row]) for row in rows]
    except csv.Error as error:
        raise InputError(f"expected a table in {path}, got: {error}; save it as CSV") from None
    return grids


def _from_header(grid: Grid) -> Grid:
    """A grid from its first row with something in it; Excel's ``sep=;`` is none."""
    for place, (line, row) in enumerate(grid):
        if any(row) and not re.fullmatch(r"sep=.?", row[0], re.I):
            return [(line, [cell_text(c).strip() for c in row]), *grid[place + 1 :]]
    return [(0, [])]
