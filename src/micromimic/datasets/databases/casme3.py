"""CAS(ME)^3: part A as clips and as long videos, and part C.

- Part A has 860 micro-expressions in 1,300 videos of 100 people. Several clips lie in one video's
  folder, so a clip is named by its video and its onset (``a_175``). Rows 128, 708, 749, 796 and 798
  are corrected as MEB does (corrections.csv). Seven classes: anger 64, disgust 250, fear 86, happy
  55, others 161, sad 57, surprise 187; four: 457, 161, 55, 187.
- As long videos, with macro-expressions too, its table is an .xls file: save it as .xlsx. What an
  event is stands in its seventh column, whatever that is called.
- Part C is one video of some eight minutes of each of 31 people; no apex, no emotion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from micromimic.datasets.base import Database, Row, Table, TableSpec, columns, own, three
from micromimic.datasets.databases.casme import LICENCE

WORDS: Final = ("anger", "disgust", "fear", "happy", "others", "sad", "surprise")
BAD: Final = dict.fromkeys(("anger", "disgust", "fear", "sad"), "negative")
ALL: Final[dict[str, Any]] = {
    "reference": "Li, Dong, Lu, Wang, Yan, Wu, Liu, Huang, Fu, IEEE Transactions on Pattern "
    "Analysis and Machine Intelligence 2023, doi 10.1109/TPAMI.2022.3174895",
    "licence": LICENCE,
    "fps": 30.0,
    "schemes": {
        "three": three("happy", "surprise", *BAD, out=("others",)),
        "four": own("four", "negative", "others", "positive", "surprise", happy="positive", **BAD),
        "seven": own("seven", *WORDS),
    },
    "inside": "color",
    "clip": r"[a-m]",
}
IN_A: Final[dict[str, Any]] = {
    **ALL,
    "example": "part_A/spNO.1/a/color/175.jpg",
    "subject": r"spNO\.?0*(\d+)",
    "subject_name": "spNO.{}".format,
    "skip": frozenset({"partb", "partc"}),
}


def _clips(table: Table, _: Table | None) -> Iterable[Row]:
    for row in table.rows:
        if not row["kind"].casefold().startswith("macro"):
            yield {**row, "folder": row["clip"][:1], "clip": f"{row['clip'][:1]}_{row['onset']}"}


def _events(table: Table, _: Table | None) -> Iterable[Row]:
    return ({**row, "folder": row["clip"][:1]} for row in table.rows)


def _of_part_c(table: Table, _: Table | None) -> Iterable[Row]:
    for row in table.rows:  # one comma of the table is full-width
        texts = {field: text.replace("，", ",") for field, text in row.items()}
        yield {**texts, "folder": "a", "kind": "micro"}


PART_A: Final = Database(
    **IN_A, name="casme3", title="CAS(ME)^3 part A", rows=_clips, official=860,
    table=TableSpec(
        name="cas(me)3_part_A_ME_label_JpgIndex_v2.xlsx", keyword="part_a", entry=r"[a-m]\d*",
        columns=columns("Subject, Filename, Onset, Apex, Offset, emotion"),
        optional={"action_units": "AU", "kind": "Expression type"},
    ),
)  # fmt: skip
LONG: Final = Database(
    **IN_A, name="casme3-long", title="CAS(ME)^3 part A, long videos", rows=_events, long=True,
    table=TableSpec(
        name="CAS(ME)3_part_A_v1.xlsx", keyword="part_a_v", entry=r"[a-m]\d*",
        columns=columns("Subject, Filename, Onset, Apex, Offset", kind="Expression type|#6"),
        optional={"emotion": "emotion"},
    ),
)  # fmt: skip
PART_C: Final = Database(
    **ALL, name="casme3-c", title="CAS(ME)^3 part C", rows=_of_part_c, long=True,
    example="part_C/01/a/color/175.jpg", subject=r"(?:spNO\.?|sub|s)?0*(\d+)",
    subject_name="partC-{:02d}".format, skip=frozenset({"parta", "partb"}),
    table=TableSpec(
        name="CAS(ME)3_part_C_ME.xlsx", keyword="part_c", entry=r"\d+(?:\.0)?",
        columns=columns("sub, count, onset", offset="offset"),
        optional={"action_units": "au", "emotion": "emotion"},
    ),
)  # fmt: skip
