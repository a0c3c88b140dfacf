"""CAS(ME)^3, part C: one video of some eight minutes of each of 31 people; no apex, no emotion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from micromimic.datasets.base import Database, Row, Table, TableSpec, columns
from micromimic.datasets.databases.casme3 import ABOUT


def _rows(table: Table, _: Table | None) -> Iterable[Row]:
    for row in table.rows:  # one comma of the table is full-width
        texts = {field: text.replace("，", ",") for field, text in row.items()}
        yield {**texts, "folder": "a", "kind": "micro"}


DATABASE: Final = Database(
    name="casme3-c", title="CAS(ME)^3 part C",
    **ABOUT,
    example="part_C/01/a/color/175.jpg", subject=r"(?:spNO\.?|sub|s)?0*(\d+)", clip=r"[a-m]",
    subject_name="partC-{:02d}".format, skip=frozenset({"parta", "partb"}),
    table=TableSpec(
        name="CAS(ME)3_part_C_ME.xlsx", keyword="part_c",
        columns=columns("sub, count, onset", offset="offset"),
        optional={"action_units": "au", "emotion": "emotion"}, entry=r"\d+(?:\.0)?",
    ),
    rows=_rows, long=True,
)  # fmt: skip
