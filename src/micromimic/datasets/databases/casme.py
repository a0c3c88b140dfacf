"""CASME and CASME II, by the same makers: 189 micro-expressions, some with a second apex, and 255.

Of CASME's table, rows 40, 42, 43, 54 and 140 are corrected as MEB does (corrections.csv); words
that the composite does not know (tense) are left out of the three classes. Of CASME II, 145 clips
of 24 people are in the composite, 246 of 26 in five; the composite also leaves out two clips of
disgust whose apex is not annotated (corrections.csv).
"""

from typing import Final

from micromimic.datasets.base import NUMBERED, Database, TableSpec, columns, own, three

LICENCE: Final = (
    "academic, by agreement with the Chinese Academy of Sciences' Institute of Psychology"
)
FILM: Final = r"EP\d+(?:_\d+)*f?"
ONE: Final = Database(
    name="casme", title="CASME", licence=LICENCE,
    reference="Yan, Wu, Liu, Wang, Fu, FG 2013, doi 10.1109/FG.2013.6553799",
    example="CASME_raw_selected/sub01/EP01_5/EP01_5-100.jpg", subject=NUMBERED, clip=FILM,
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
TWO: Final = Database(
    name="casme2", title="CASME II", licence=LICENCE,
    reference="Yan, Li, Wang, Zhao, Liu, Chen, Fu, PLOS ONE 2014, doi 10.1371/journal.pone.0086041",
    example="CASME2_RAW_selected/sub01/EP02_01f/img46.jpg", subject=NUMBERED, clip=FILM,
    subject_name="sub{:02d}".format, fps=200.0,
    schemes={
        "three": three(
            "happiness", "surprise", "disgust", "repression", out=("others", "fear", "sadness")
        ),
        "five": own(
            "five", "disgust", "happiness", "others", "repression", "surprise",
            out=("fear", "sadness"),
        ),
    },
    table=TableSpec(
        name="CASME2-coding-20140508.xlsx", keyword="casme",
        columns=columns("Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Estimated Emotion"),
        optional={"action_units": "Action Units"},
    ),
)  # fmt: skip
