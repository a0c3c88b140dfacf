"""DFME: 7,526 micro-expressions in seven classes, in a training and two test tables.

Its parts A, B and C have 500, 300 and 200 frames a second; nothing in the names tells a clip's
part, so its rate is left empty.
"""

from typing import Final

from micromimic.datasets.base import NUMBERED, Database, TableSpec, columns, own, three

WORDS: Final = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")
DATABASE: Final = Database(
    name="dfme", title="DFME",
    reference="Zhao, Tang, Mao, Liu and others, IEEE Transactions on Affective Computing 2024, "
    "doi 10.1109/TAFFC.2023.3341918",
    licence="academic, by agreement with its authors", example="DFME_train/sub0003_01/00012.png",
    subject=NUMBERED, clip=r"sub0*(?P<who>\d{1,4})_\d+", subject_name="sub{:04d}".format, fps=None,
    schemes={
        "three": three(*WORDS, out=("others", "other")),
        "seven": own("seven", *WORDS, out=("others", "other")),
    },
    table=TableSpec(
        name="training_full_with_AU.xlsx", keyword="with_au",
        columns=columns(
            "Subject, Filename, Onset|OnsetFrame, Apex|ApexFrame, Offset|OffsetFrame, Emotion"
        ),
        optional={"action_units": "AUs|AU"}, sheet="Sheet1", every=True,
    ),
)  # fmt: skip
