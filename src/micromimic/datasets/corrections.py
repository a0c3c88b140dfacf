"""Corrections of annotations: a CSV by clip, each with its reason, never a line of code.

Columns ``dataset,subject,clip,field,value,reason``. Fields: ``label`` (of the three classes),
``emotion`` (as the coders' words), ``onset``, ``apex`` (empty: none) and ``offset`` (frame
numbers), ``exclude`` (yes, no to take back an exclusion, or the scheme of labels that leaves the
clip out). The package's own are in ``corrections.csv`` beside this file. Where its source names
rows of the official table instead, subject is empty and clip is ``row 40``, counted from 0 below
the header; such a correction applies only to a table of as many rows as the official one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE
from micromimic.datasets.base import BY_ROW, ClipKey, Correction, normalized_name, subject_number
from micromimic.datasets.databases import databases
from micromimic.datasets.table import read_table, records

COLUMNS: Final = ("dataset", "subject", "clip", "field", "value", "reason")
FIELDS: Final = ("label", "emotion", "onset", "apex", "offset", "exclude")
_OWN: Final = Path(__file__).with_name("corrections.csv")


def builtin_corrections() -> tuple[Correction, ...]:
    return tuple(replace(fix, where="") for fix in read_corrections(_OWN))


def read_corrections(path: Path) -> tuple[Correction, ...]:
    found: dict[tuple[str, ClipKey, str], Correction] = {}
    for where, row in records(read_table(path, COLUMNS, what="corrections"), path):
        correction = _correction(row, where)
        if found.setdefault(correction.place, correction) is not correction:
            raise InputError(
                f"expected one {correction.field} for each clip, got a second for "
                f"{correction.clip} in {where}; remove one"
            )
    return tuple(found.values())


def corrections_with(path: Path | None) -> tuple[Correction, ...]:
    """The package's corrections and those of a file; the file's go before."""
    own = read_corrections(path) if path else ()
    places = {fix.place for fix in own}
    return (*(fix for fix in builtin_corrections() if fix.place not in places), *own)


def _correction(row: dict[str, str], where: str) -> Correction:
    dataset, subject, clip, field, value, reason = (row[name] for name in COLUMNS)
    _one_of("dataset", dataset, tuple(databases()), where)
    _one_of("field", field, FIELDS, where)
    by_row = not subject and re.fullmatch(r"row \d+", clip)
    number = BY_ROW if by_row else subject_number(subject)
    if number is None or not clip:
        raise InputError(
            f"expected a subject and a clip, got {subject!r} and {clip!r} "
            f"in {where}; name them as `datasets index` does"
        )
    if not reason:
        raise InputError(f"expected a reason, got none in {where}; say why it is corrected")
    database = databases()[dataset]
    words = {
        "label": THREE.names,
        "exclude": ("yes", "no", *database.schemes),
        "emotion": database.words,
    }
    if field == "emotion":
        value = value.casefold()
    if field in words:
        _one_of(field, value, words[field], where)
    elif not value.isdecimal() and not (field == "apex" and not value):
        raise InputError(f"expected {field} to be a frame number, got {value!r} in {where}")
    return Correction(
        dataset, subject, clip, (number, normalized_name(clip)), field, value, reason, where
    )


def _one_of(name: str, value: str, allowed: Sequence[str], where: str) -> None:
    if value not in allowed:
        raise InputError(
            f"expected {name} to be one of {', '.join(allowed)}, got {value!r} in {where}; "
            "correct it"
        )
