"""CASME II: 255 micro-expressions of 26 people; 145 of 24 in the composite, 246 of 26 in five.

The composite also leaves out two clips of disgust whose apex is not annotated (corrections.csv).
"""

from typing import Final

from micromimic.datasets.base import NUMBERED, Database, TableSpec, columns, own, three

DATABASE: Final = Database(
    name="casme2", title="CASME II",
    reference="Yan, Li, Wang, Zhao, Liu, Chen, Fu, PLOS ONE 2014, doi 10.1371/journal.pone.0086041",
    licence="academic, by agreement with the Chinese Academy of Sciences' Institute of Psychology",
    example="CASME2_RAW_selected/sub01/EP02_01f/img46.jpg", subject=NUMBERED,
    clip=r"EP\d+(?:_\d+)*f?", subject_name="sub{:02d}".format, fps=200.0,
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
