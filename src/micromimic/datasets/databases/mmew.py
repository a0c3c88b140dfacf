"""MMEW: 300 micro-expressions in folders by emotion; its 900 macro-expressions are not read.

The apex and offset of 16 rows are corrected as MEB does (corrections.csv). Ninety frames a second
is the paper's figure; no code of others uses one.
"""

from typing import Final

from micromimic.datasets.base import Database, TableSpec, columns, own, three

DATABASE: Final = Database(
    name="mmew", title="MMEW",
    reference="Ben, Ren, Zhang, Wang, Kpalma, Meng, Liu, IEEE Transactions on Pattern Analysis and "
    "Machine Intelligence 2022, doi 10.1109/TPAMI.2021.3067464",
    licence="academic, by agreement with Shandong University",
    example="Micro_Expression/happiness/S03-01-002/1.jpg", subject=r"S0*(\d{1,2})",
    clip=r"S0*(?P<who>\d{1,2})-\d+-\d+", subject_name="S{:02d}".format, fps=90.0,
    schemes={
        "three": three(
            *("happiness", "surprise", "anger", "disgust", "fear", "sadness"), out=("others",)
        ),
        "seven": own(
            "seven", "anger", "disgust", "fear", "happiness", "others", "sadness", "surprise"
        ),
    },
    table=TableSpec(
        name="MMEW_Micro_Exp.xlsx", keyword="mmew",
        columns=columns("Subject, Filename, OnsetFrame, ApexFrame, OffsetFrame, Estimated Emotion"),
        optional={"action_units": "Action Units"},
    ),
    skip=frozenset({"macroexpression"}), official=300,
)  # fmt: skip
