"""CAS(ME)^3, part A as long videos: micro- and macro-expressions in each of them.

The table is an .xls file as distributed: save it as .xlsx. What an event is stands in its seventh
column, whatever that is called.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from micromimic.datasets.base import Database, Row, Table, TableSpec, columns
from micromimic.datasets.databases.casme3 import PART_A


def _rows(table: Table, _: Table | None) -> Iterable[Row]:
    return ({**row, "folder": row["clip"][:1]} for row in table.rows)


DATABASE: Final = Database(
    name="casme3-long", title="CAS(ME)^3 part A, long videos",
    **PART_A,
    table=TableSpec(
        name="CAS(ME)3_part_A_v1.xlsx", keyword="part_a_v",
        columns=columns("Subject, Filename, Onset, Apex, Offset", kind="Expression type|#6"),
        optional={"emotion": "emotion"}, entry=r"[a-m]\d*",
    ),
    rows=_rows, long=True,
)  # fmt: skip
