"""SAMM and SAMM Long Videos, of the same people, grey.

SAMM has 159 micro-expressions of 32 people; 133 of 28 are in the composite, 136 in five. Pictures
are known by their number, so those whose names lack a digit (of 013_1_12, 013_1_8, 017_3_2,
026_1_1, 026_1_2, 035_7_2) are read like the others. The 147 long videos have 343 macro- and 159
micro-expressions; the emotion of the latter is SAMM's own, joined by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from micromimic.datasets.base import (
    NUMBERED,
    Database,
    Row,
    Table,
    TableSpec,
    columns,
    normalized_name,
    own,
    three,
)

BOTH: Final[dict[str, Any]] = {
    "licence": "academic, by agreement with Manchester Metropolitan University",
    "subject": NUMBERED,
    "subject_name": "{:03d}".format,
    "fps": 200.0,
    "schemes": {
        "three": three(
            *("happiness", "surprise", "anger", "contempt", "disgust", "fear", "sadness"),
            out=("other",),
        ),
        "five": own(
            *("five", "anger", "contempt", "happiness", "other", "surprise"),
            out=("disgust", "fear", "sadness"),
        ),
    },
}
TABLE: Final = TableSpec(
    name="SAMM_Micro_FACS_Codes_v2.xlsx", keyword="samm", entry=r"\d{1,3}_\d+_\d+",
    columns=columns("Subject, Filename, Onset Frame, Apex Frame, Offset Frame, Estimated Emotion"),
    optional={"action_units": "Action Units"},
)  # fmt: skip


def _events(table: Table, clips: Table | None) -> Iterable[Row]:
    emotions = {
        normalized_name(row["clip"]): row["emotion"] for row in (clips.rows if clips else ())
    }
    for row in table.rows:
        video = "_".join(row["clip"].split("_")[:2])
        yield {**row, "folder": video, "emotion": emotions.get(normalized_name(row["clip"]), "")}


CLIPS: Final = Database(
    **BOTH, name="samm", title="SAMM", table=TABLE,
    reference="Davison, Lansley, Costen, Tan, Yap, IEEE Transactions on Affective Computing 2018, "
    "doi 10.1109/TAFFC.2016.2573832",
    example="SAMM/006/006_1_2/006_05562.jpg", clip=r"0*(?P<who>\d{1,3})_\d+_\d+",
)  # fmt: skip
LONG: Final = Database(
    **BOTH, name="samm-long", title="SAMM Long Videos", second=TABLE, rows=_events, long=True,
    reference="Yap, Kendrick, Yap, FG 2020, doi 10.1109/FG47880.2020.00029",
    example="SAMM_longvideos/006_1/006_1_0001.jpg", clip=r"0*(?P<who>\d{1,3})_\d+",
    table=TableSpec(
        name="SAMM_LongVideos_V3_Release.xlsx", keyword="long", entry=r"\d{1,3}_\d+_\d+",
        columns=columns("Subject, Filename, Onset, Apex, Offset", kind="Type"),
    ),
)  # fmt: skip
