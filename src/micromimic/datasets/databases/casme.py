"""CASME: 189 micro-expressions at 60 frames a second, some with a second apex.

Rows 40, 42, 43, 54 and 140 of the table are corrected as MEB does (corrections.csv). Words that the
composite does not know (tense) are left out of the three classes.
"""

from typing import Final

from micromimic.datasets.base import NUMBERED, Database, TableSpec, columns, three

DATABASE: Final = Database(
    name="casme", title="CASME",
    reference="Yan, Wu, Liu, Wang, Fu, FG 2013, doi 10.1109/FG.2013.6553799",
    licence="academic, by agreement with the Chinese Academy of Sciences' Institute of Psychology",
    example="CASME_raw_selected/sub01/EP01_5/EP01_5-100.jpg", subject=NUMBERED,
    clip=r"EP\d+(?:_\d+)*f?",
    subject_name="casme{:02d}".format,  # other people than CASME II's of the same numbers
    fps=60.0,
    schemes={
        "three": three(
            *("happiness", "surprise", "disgust", "repression", "contempt", "fear", "sadness"),
            out=("tense", "others"),
        )
    },
    table=TableSpec(
        name="CASME.xlsx", keyword="casme",
        columns=columns("Subject, Filename, OnsetF, ApexF1, OffsetF, Emotion"),
        optional={"second_apex": "ApexF2", "action_units": "AU"},
    ),
    official=189,
)  # fmt: skip
