"""CAS(ME)^2: 97 long videos of 22 people, 300 macro- and 57 micro-expressions.

The table has no header and names videos in another way than the folders: sheet ``naming rule1``
has the folder (s15) of each participant, ``naming rule2`` the code (0401) of each name (anger1).
Folder ``s19/23_0502funnyerrors`` belongs to s23, as its name says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from micromimic.datasets.base import (
    NUMBERED,
    Database,
    Row,
    TableSpec,
    columns,
    subject_number,
    three,
)
from micromimic.datasets.databases.casme import LICENCE
from micromimic.datasets.table import whole
from micromimic.datasets.tables import Table
from micromimic.errors import InputError


def _rows(table: Table, _: Table | None) -> Iterable[Row]:
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


DATABASE: Final = Database(
    name="casme-squared", title="CAS(ME)^2", licence=LICENCE, rows=_rows, long=True,
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
