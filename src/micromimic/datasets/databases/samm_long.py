"""SAMM Long Videos: 147 videos of SAMM's people, 343 macro- and 159 micro-expressions.

The emotion of micro-expressions is SAMM's own, joined by name; macro-expressions have none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from micromimic.datasets.base import NUMBERED, Database, Row, Table, TableSpec, columns, loose
from micromimic.datasets.databases.samm import SCHEMES, TABLE as CLIPS


def _rows(table: Table, clips: Table | None) -> Iterable[Row]:
    emotions = {loose(row["clip"]): row["emotion"] for row in (clips.rows if clips else ())}
    for row in table.rows:
        video = "_".join(row["clip"].split("_")[:2])
        yield {**row, "folder": video, "emotion": emotions.get(loose(row["clip"]), "")}


DATABASE: Final = Database(
    name="samm-long", title="SAMM Long Videos",
    reference="Yap, Kendrick, Yap, FG 2020, doi 10.1109/FG47880.2020.00029",
    licence="academic, by agreement with Manchester Metropolitan University",
    example="SAMM_longvideos/006_1/006_1_0001.jpg", subject=NUMBERED,
    clip=r"0*(?P<who>\d{1,3})_\d+", subject_name="{:03d}".format, fps=200.0, schemes=SCHEMES,
    table=TableSpec(
        name="SAMM_LongVideos_V3_Release.xlsx", keyword="long",
        columns=columns("Subject, Filename, Onset, Apex, Offset", kind="Type"),
        entry=r"\d{1,3}_\d+_\d+",
    ),
    second=CLIPS, rows=_rows, long=True,
)  # fmt: skip
