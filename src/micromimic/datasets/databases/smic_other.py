"""SMIC-VIS and SMIC-NIR: 71 micro-expressions each of eight of SMIC-HS's people, at 25 frames a
second. The tables count frames of a longer recording, ``FirstF`` being the clip's first picture;
no apex is annotated.
"""

from __future__ import annotations

from typing import Final

from micromimic.datasets.base import NUMBERED, Database, TableSpec, columns, three

REFERENCE: Final = "Li, Pfister, Huang, Zhao, Pietikainen, FG 2013, doi 10.1109/FG.2013.6553717"
LICENCE: Final = "academic, by agreement with the University of Oulu"
CLIP: Final = r"s0*(?P<who>\d{1,2})_(?:ne|po|sur)_\d{1,2}"


def _database(camera: str, others: frozenset[str]) -> Database:
    return Database(
        name=f"smic-{camera.casefold()}",
        title=f"SMIC-{camera}",
        reference=REFERENCE,
        licence=LICENCE,
        example=f"{camera}_long/SMIC-{camera}-E/{camera}/s01/s01_ne_01/image7712.jpg",
        subject=NUMBERED,
        clip=CLIP,
        subject_name="s{:02d}".format,
        fps=25.0,
        schemes={"three": three("negative", "positive", "surprise")},
        table=TableSpec(
            name=f"SMIC-{camera}-E_annotation.xlsx",
            keyword="smic",
            columns=columns(
                "Subject, Filename, OnsetF", offset="OffsetF", emotion="Emotion", first="FirstF"
            ),
            sheet=camera,
        ),
        skip=frozenset({"nonmicro"}) | others,
        apex=False,
    )


VIS: Final = _database("VIS", frozenset({"hs", "nir"}))
NIR: Final = _database("NIR", frozenset({"hs", "vis"}))
