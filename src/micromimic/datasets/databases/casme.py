"""CASME, CASME II and CAS(ME)^2, by the same makers.

CASME has 189 micro-expressions, some with a second apex; CASME II 255.

Of CASME's table, rows 40, 42, 43, 54 and 140 are corrected as MEB does (corrections.csv); words
that the composite does not know (tense) are left out of the three classes. Of CASME II, 145 clips
of 24 people are in the composite, 246 of 26 in five; the composite also leaves out two clips of
disgust whose apex is not annotated (corrections.csv).

CAS(ME)^2 is 97 long videos of 22 people, 300 macro- and 57 micro-expressions. Its table has no
header and names videos in another way than the folders: sheet ``naming rule1`` has the folder (s15)
of each participant, ``naming rule2`` the code (0401) of each name (anger1). Folder
``s19/23_0502funnyerrors`` belongs to s23, as its name says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from micromimic.core.errors import InputError
from micromimic.datasets.base import (
    NUMBERED,
    Database,
    Row,
    Table,
    TableSpec,
    columns,
    own,
    subject_number,
    three,
)
from micromimic.datasets.table import whole

LICENCE: Final = (
    "academic, by agreement with the Chinese Academy of Sciences' Institute of Psychology"
)
FILM: Final = r"EP\d+(?:_\d+)*f?"


def _events(table: Table, _: Table | None) -> Iterable[Row]:
    people, codes = (table.sheets.get(f"naming rule{n}") for n in (1, 2))
    if people is None or codes is None:
        raise InputError(
            f"expected sheets naming rule1 and naming rule2 in {table.path}, got "
            f"{', '.join(table.sheets) or 'none'}; pass the workbook as distributed"
        )
    numbers = {whole(line[2]): subject_number(line[1]) for _, line in people if len(line) > 2}
    names = {line[1].casefold(): line[0].zfill(4) for _, line in codes if len(line) > 1}
    for row in table.rows:
        name = row["clip"].rsplit("_", 1)[0].casefold()
        number = numbers.get(whole(row["subject"])) or 0
        yield {**row, "subject": str(number), "folder": f"{number}_{names.get(name, '0000')}"}


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
SQUARED: Final = Database(
    name="casme-squared", title="CAS(ME)^2", licence=LICENCE, rows=_events, long=True,
    reference="Qu, Wang, Yan, Li, Wu, Fu, IEEE Transactions on Affective Computing 2018, "
    "doi 10.1109/TAFFC.2017.2654440",
    example="rawpic/s15/15_0101disgustingteeth/img001.jpg", subject=NUMBERED,
    clip=r"(?P<who>\d{1,2})_(?P<name>\d{4}).*", subject_name="s{:02d}".format, fps=30.0,
    schemes={
        "three": three(
            *("positive", "negative", "surprise", "happiness", "anger", "disgust", "fear"),
            *("sadness", "contempt"),
            out=("others", "other", "helpless", "pain", "confused", "sympathy"),
        )
    },
    table=TableSpec(
        name="CAS(ME)^2code_final(Updated).xlsx", keyword="code_final",
        columns=columns("#0, #1, #2, #3, #4, #6", kind="#7"), entry=r".+_\d+",
        sheet="CASFEcode_final",
    ),
)  # fmt: skip
