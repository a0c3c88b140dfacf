"""CAS(ME)^3, part A: 860 micro-expressions in 1,300 videos of 100 people.

Several clips lie in one video's folder, so a clip is named by its video and its onset (``a_175``).
Rows 128, 708, 749, 796 and 798 are corrected as MEB does (corrections.csv). Seven classes: anger
64, disgust 250, fear 86, happy 55, others 161, sad 57, surprise 187; four: 457, 161, 55, 187.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from micromimic.datasets.base import Database, Row, Table, TableSpec, columns, own, three

WORDS: Final = ("anger", "disgust", "fear", "happy", "others", "sad", "surprise")
BAD: Final = dict.fromkeys(("anger", "disgust", "fear", "sad"), "negative")
ABOUT: Final[dict[str, Any]] = {
    "reference": "Li, Dong, Lu, Wang, Yan, Wu, Liu, Huang, Fu, IEEE Transactions on Pattern "
    "Analysis and Machine Intelligence 2023, doi 10.1109/TPAMI.2022.3174895",
    "licence": "academic, by agreement with the Chinese Academy of Sciences' Institute of "
    "Psychology",
    "fps": 30.0,
    "schemes": {
        "three": three("happy", "surprise", *BAD, out=("others",)),
        "four": own("four", "negative", "others", "positive", "surprise", happy="positive", **BAD),
        "seven": own("seven", *WORDS),
    },
    "inside": "color",
}
PART_A: Final[dict[str, Any]] = {
    **ABOUT,
    "example": "part_A/spNO.1/a/color/175.jpg",
    "subject": r"spNO\.?0*(\d+)",
    "clip": r"[a-m]",
    "subject_name": "spNO.{}".format,
    "skip": frozenset({"partb", "partc"}),
}
COLUMNS: Final = columns("Subject, Filename, Onset, Apex, Offset, emotion")


def _rows(table: Table, _: Table | None) -> Iterable[Row]:
    for row in table.rows:
        if not row["kind"].casefold().startswith("macro"):
            yield {**row, "folder": row["clip"][:1], "clip": f"{row['clip'][:1]}_{row['onset']}"}


DATABASE: Final = Database(
    name="casme3", title="CAS(ME)^3 part A",
    **PART_A,
    table=TableSpec(
        name="cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", keyword="part_a", columns=COLUMNS,
        optional={"action_units": "AU", "kind": "Expression type"}, entry=r"[a-m]\d*",
    ),
    rows=_rows, official=860,
)  # fmt: skip
