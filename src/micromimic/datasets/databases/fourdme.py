"""4DME: 267 micro-expressions at 60 frames a second; a clip may show several emotions at once.

As read, in ``several``: positive, negative, surprise, repression, others. The composite's three
take a clip whose emotions agree. From its action units on, rows 144 and 145 of the official table
are swapped (found by MEB), and are swapped back.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from micromimic.core.labels import LabelSet
from micromimic.datasets.base import NUMBERED, Database, Row, Table, TableSpec, columns, three
from micromimic.datasets.table import whole

OFFICIAL: Final = 267
NAMES: Final = ("negative", "others", "positive", "repression", "surprise")
_SWAPPED: Final = {"144": "145", "145": "144"}


def _rows(table: Table, _: Table | None) -> Iterable[Row]:
    swapped = _SWAPPED if len(table.rows) == OFFICIAL else {}
    whose = {row["row"]: row for row in table.rows}
    for row in table.rows:
        shown = whose.get(swapped.get(row["row"], ""), row)
        kept = {name: text for name, text in row.items() if name not in NAMES}
        emotion = "+".join(name for name in NAMES if whole(shown[name]))
        yield {**kept, "action_units": shown["action_units"], "emotion": emotion}


DATABASE: Final = Database(
    name="4dme", title="4DME",
    reference="Li, Cheng, Li, Behzad, Shen, Zafeiriou, Pantic, Zhao, IEEE Transactions on "
    "Affective Computing 2023, doi 10.1109/TAFFC.2022.3182342",
    licence="academic, by agreement with the University of Oulu",
    example="gray_micro/1/1_01/1826.jpg", subject=NUMBERED, clip=r".+",
    subject_name="4dme{:02d}".format, fps=60.0,
    schemes={
        "three": three("positive", "negative", "surprise", "repression", out=("others",)),
        "several": LabelSet("several", NAMES, {name: name for name in NAMES}, several=True),
    },
    table=TableSpec(
        name="4DME_Labelling_Micro_release v1.xlsx", keyword="4dme",
        columns=columns(
            "sub_ID, fold_name, Onset, Apex, Offset", **{name: name.capitalize() for name in NAMES}
        ),
        optional={"action_units": "AUs"},
    ),
    rows=_rows, official=OFFICIAL,
)  # fmt: skip
