"""SAMM: 159 micro-expressions of 32 people, grey, at 200 frames a second; 133 of 28 are used.

Davison, Lansley, Costen, Tan, Yap, "SAMM: A Spontaneous Micro-Facial Movement Dataset", IEEE
Transactions on Affective Computing 2018, doi 10.1109/TAFFC.2016.2573832.

Pictures are known by their number, so those whose names lack a digit (of 013_1_12, 013_1_8,
017_3_2, 026_1_1, 026_1_2, 035_7_2) are read like the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from micromimic.datasets.base import Found, Layout
from micromimic.datasets.corrections import Correction
from micromimic.datasets.join import read_annotated
from micromimic.datasets.tables import TableSpec
from micromimic.labels import Emotion

LAYOUT: Final = Layout(
    dataset="samm",
    title="SAMM",
    example="SAMM/006/006_1_2/006_05562.jpg",
    subject=re.compile(r"(?:sub(?:ject)?|s)?[ _-]?0*(\d{1,3})", re.I),
    clip=re.compile(r"0*(\d{1,3})_\d+_\d+"),
    subject_name="{:03d}".format,
    fps=200.0,
)
TABLE: Final = TableSpec(
    name="SAMM_Micro_FACS_Codes_v2.xlsx",
    keyword="samm",
    columns={
        "subject": "Subject",
        "clip": "Filename",
        "onset": "Onset Frame",
        "apex": "Apex Frame",
        "offset": "Offset Frame",
        "emotion": "Estimated Emotion",
    },
    optional={"action_units": "Action Units"},
)
CLASSES: Final[Mapping[str, Emotion | None]] = {
    "happiness": "positive",
    "surprise": "surprise",
    "anger": "negative",
    "contempt": "negative",
    "disgust": "negative",
    "fear": "negative",
    "sadness": "negative",
    "other": None,
}


def read_samm(
    folder: Path,
    table: Path | None = None,
    corrections: Sequence[Correction] | None = None,
) -> Found:
    """Read SAMM.

    Args:
        folder: the database's, or one above or inside it.
        table: the annotation; None looks for it in the folder and above.
        corrections: to apply; None for those of the package.

    Raises:
        InputError: if the folder holds no SAMM, there is no annotation, or a user's correction
            names no clip.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    return read_annotated(LAYOUT, TABLE, CLASSES, folder, table, corrections)
