"""CASME II: 255 micro-expressions of 26 people at 200 frames a second; 145 of 24 in the composite.

Yan, Li, Wang, Zhao, Liu, Chen, Fu, "CASME II: An Improved Spontaneous Micro-Expression Database and
the Baseline Evaluation", PLOS ONE 2014, doi 10.1371/journal.pone.0086041.
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
    dataset="casme2",
    title="CASME II",
    example="CASME2_RAW_selected/sub01/EP02_01f/img46.jpg",
    subject=re.compile(r"(?:sub(?:ject)?|s)?[ _-]?0*(\d{1,2})", re.I),
    clip=re.compile(r"EP\d+(?:_\d+)*f?", re.I),
    subject_name="sub{:02d}".format,
    fps=200.0,
)
TABLE: Final = TableSpec(
    name="CASME2-coding-20140508.xlsx",
    keyword="casme",
    columns={
        "subject": "Subject",
        "clip": "Filename",
        "onset": "OnsetFrame",
        "apex": "ApexFrame",
        "offset": "OffsetFrame",
        "emotion": "Estimated Emotion",
    },
    optional={"action_units": "Action Units"},
)
CLASSES: Final[Mapping[str, Emotion | None]] = {
    "happiness": "positive",
    "surprise": "surprise",
    "disgust": "negative",
    "repression": "negative",
    "others": None,
    "fear": None,
    "sadness": None,
}


def read_casme2(
    folder: Path,
    table: Path | None = None,
    corrections: Sequence[Correction] | None = None,
) -> Found:
    """Read CASME II, raw or cropped.

    Args:
        folder: the database's, or one above or inside it.
        table: the annotation; None looks for it in the folder and above.
        corrections: to apply; None for those of the package.

    Raises:
        InputError: if the folder holds no CASME II, there is no annotation, or a user's correction
            names no clip.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    return read_annotated(LAYOUT, TABLE, CLASSES, folder, table, corrections)
