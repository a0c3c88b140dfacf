"""The table that says whose each video is: ``video,subject,session,condition,date``.

``video`` is a file's name, or the end of its path where two folders have the same name; ``session``
the title of a sitting. Spreadsheets of any kind (`grid`), one row a video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError
from micromimic.datasets.grid import Table, folded, read_rows

COLUMNS: Final = ("video", "subject", "session", "condition", "date")


@dataclass(frozen=True)
class Assignment:
    """One line of the table: a video, and what it says of it; what it does not say is empty."""

    line: int
    video: str
    subject: str
    session: str = ""
    condition: str = ""
    held_on: date | None = None

    @property
    def sitting(self) -> tuple[str, str, str]:
        """Rows of one subject and title are of one sitting; without a title, of one condition."""
        return self.subject, self.session, "" if self.session else self.condition

    @property
    def about(self) -> dict[str, str]:
        """By the columns of the table."""
        day = "" if self.held_on is None else self.held_on.isoformat()
        return dict(
            zip(COLUMNS, (self.video, self.subject, self.session, self.condition, day), strict=True)
        )


def read_assignments(path: Path) -> tuple[Assignment, ...]:
    """The rows; `InputError` where one cannot be read, or two are of one video."""
    table = read_rows(
        path,
        ("video",),
        ("subject",),
        what="a table of assignments",
        remedy=f"its first row is {','.join(COLUMNS)}",
    )
    strange = [name for name in table.columns if name not in COLUMNS]
    if strange:
        raise InputError(
            f"expected columns {', '.join(COLUMNS)} in {path.name}, got {strange[0]}; remove it"
        )
    rows = tuple(_row(table, cells) for cells in table.rows)
    if not rows:
        raise InputError(f"expected a row a video in {path.name}, got none; write them")
    lines: dict[str, int] = {}
    for row in rows:
        key = folded(row.video)
        if key in lines:
            raise InputError(
                f"expected one row for {row.video} in {path.name}, got lines {lines[key]} and "
                f"{row.line}; remove one"
            )
        lines[key] = row.line
    _check_sittings(rows, path.name)
    return rows


def _row(table: Table, cells: Mapping[str, str]) -> Assignment:
    video, subject = table.cell(cells, "video"), table.cell(cells, "subject")
    if not video or not subject:
        lacking = "video" if not video else "subject"
        raise InputError(f"expected a {lacking} in {table.place(cells)}, got nothing; fill it in")
    return Assignment(
        int(cells[""]),
        video.replace("\\", "/"),
        subject,
        table.cell(cells, "session"),
        table.cell(cells, "condition"),
        _day(table, cells),
    )


def _day(table: Table, cells: Mapping[str, str]) -> date | None:
    text = table.cell(cells, "date").removesuffix(" 00:00:00")  # of a workbook
    if not text:
        return None
    parts = text.split(".")
    iso = "-".join(p.zfill(2) for p in reversed(parts)) if len(parts) == 3 else text
    try:
        return date.fromisoformat(iso)
    except ValueError:
        raise InputError(
            f"expected a date as 2026-11-20 or 20.11.2026 in {table.place(cells)}, got {text!r}; "
            "correct it"
        ) from None


def _check_sittings(rows: Sequence[Assignment], name: str) -> None:
    """Rows of one sitting must say the same of it."""
    first: dict[tuple[str, str, str], Assignment] = {}
    for row in rows:
        other = first.setdefault(row.sitting, row)
        for what, a, b in (
            ("condition", other.condition, row.condition),
            ("date", other.held_on, row.held_on),
        ):
            if a and b and a != b:
                raise InputError(
                    f"expected one {what} for session {row.session or 'without a title'} of "
                    f"{row.subject} in {name}, got {a} (line {other.line}) and {b} (line "
                    f"{row.line}); give the sessions different titles"
                )
