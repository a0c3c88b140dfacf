"""SAMM: 159 micro-expressions of 32 people, grey; 133 of 28 in the composite, 136 in five.

Pictures are known by their number, so those whose names lack a digit (of 013_1_12, 013_1_8,
017_3_2, 026_1_1, 026_1_2, 035_7_2) are read like the others.
"""

from typing import Final

from micromimic.datasets.base import NUMBERED, Database, TableSpec, columns, own, three

SCHEMES: Final = {
    "three": three(
        "happiness", "surprise", "anger", "contempt", "disgust", "fear", "sadness", out=("other",)
    ),
    "five": own(
        "five", "anger", "contempt", "happiness", "other", "surprise",
        out=("disgust", "fear", "sadness"),
    ),
}  # fmt: skip
TABLE: Final = TableSpec(
    name="SAMM_Micro_FACS_Codes_v2.xlsx", keyword="samm",
    columns=columns("Subject, Filename, Onset Frame, Apex Frame, Offset Frame, Estimated Emotion"),
    optional={"action_units": "Action Units"}, entry=r"\d{1,3}_\d+_\d+",
)  # fmt: skip
DATABASE: Final = Database(
    name="samm", title="SAMM",
    reference="Davison, Lansley, Costen, Tan, Yap, IEEE Transactions on Affective Computing 2018, "
    "doi 10.1109/TAFFC.2016.2573832",
    licence="academic, by agreement with Manchester Metropolitan University",
    example="SAMM/006/006_1_2/006_05562.jpg", subject=NUMBERED, clip=r"0*(?P<who>\d{1,3})_\d+_\d+",
    subject_name="{:03d}".format, fps=200.0, schemes=SCHEMES, table=TABLE,
)  # fmt: skip
