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
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Final

from micromimic.datasets.base import ClipKey, loose, subject_number
from micromimic.datasets.table import parse_table, read_table
from micromimic.errors import InputError
from micromimic.labels import THREE

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: Final = ("dataset", "subject", "clip", "field", "value", "reason")
FIELDS: Final = ("label", "emotion", "onset", "apex", "offset", "exclude")
BY_ROW: Final = -1
"""In place of a subject, in the key of a correction by row."""


@dataclass(frozen=True)
class Correction:
    """One field of one clip, corrected.

    Args:
        dataset, subject, clip: whose, as written.
        key: the clip, for comparing.
        field: one of `FIELDS`.
        value: the new value; "yes", "no" or a scheme of labels for ``exclude``.
        reason: why.
        where: the line it stands in; empty for the package's own, which may name clips that a
            copy does not have.
    """

    dataset: str
    subject: str
    clip: str
    key: ClipKey
    field: str
    value: str
    reason: str
    where: str = ""


def builtin_corrections() -> tuple[Correction, ...]:
    """The corrections that come with the package."""
    text = files("micromimic.datasets").joinpath("corrections.csv").read_text(encoding="utf-8")
    return _parse(parse_table(text, COLUMNS), "")


def read_corrections(path: Path) -> tuple[Correction, ...]:
    """Read a file of corrections.

    Raises:
        InputError: if it cannot be read, lacks a column, or has a row that says nothing sensible.
        MissingExtraError: for a workbook without the package openpyxl.
    """
    return _parse(read_table(path, COLUMNS, what="corrections"), str(path))


def corrections_with(path: Path | None) -> tuple[Correction, ...]:
    """The package's corrections and those of a file; the file's go before.

    Raises:
        InputError: as `read_corrections`.
    """
    own = read_corrections(path) if path else ()
    said = {(c.dataset, c.key, c.field) for c in own}
    kept = (c for c in builtin_corrections() if (c.dataset, c.key, c.field) not in said)
    return (*kept, *own)


def for_dataset(
    corrections: Sequence[Correction], dataset: str
) -> dict[ClipKey, tuple[Correction, ...]]:
    """Those of one database, by clip."""
    chosen: dict[ClipKey, tuple[Correction, ...]] = {}
    for correction in corrections:
        if correction.dataset == dataset:
            chosen[correction.key] = (*chosen.get(correction.key, ()), correction)
    return chosen


def _parse(frame: pd.DataFrame, path: str) -> tuple[Correction, ...]:
    found: dict[tuple[str, ClipKey, str], Correction] = {}
    for line, values in zip(frame.index, frame.to_dict("records"), strict=True):
        texts = {str(name): str(text) for name, text in values.items()}
        correction = _correction(texts, f"line {line} of {path}" if path else "")
        place = (correction.dataset, correction.key, correction.field)
        if place in found:
            raise InputError(
                f"expected one {correction.field} for each clip, got a second for "
                f"{correction.clip} in {correction.where}; remove one"
            )
        found[place] = correction
    return tuple(found.values())


def _correction(values: dict[str, str], where: str) -> Correction:
    from micromimic.datasets.databases import databases  # noqa: PLC0415 - they are read by this

    dataset, field, value = values["dataset"], values["field"], values["value"]
    _one_of("dataset", dataset, tuple(databases()), where)
    _one_of("field", field, FIELDS, where)
    by_row = not values["subject"] and re.fullmatch(r"row \d+", values["clip"])
    number = BY_ROW if by_row else subject_number(values["subject"])
    if number is None or not values["clip"]:
        raise InputError(
            f"expected a subject and a clip, got {values['subject']!r} and {values['clip']!r} "
            f"in {where}; name them as `datasets index` does"
        )
    if not values["reason"]:
        raise InputError(f"expected a reason, got none in {where}; say why it is corrected")
    if field == "label":
        _one_of("label", value, THREE.names, where)
    elif field == "exclude":
        _one_of("exclude", value, ("yes", "no", *databases()[dataset].schemes), where)
    elif field == "emotion":
        value = value.casefold()
        _one_of("emotion", value, databases()[dataset].words, where)
    elif not value.isdecimal() and not (field == "apex" and not value):
        raise InputError(f"expected {field} to be a frame number, got {value!r} in {where}")
    key = (number, loose(values["clip"]))
    return Correction(
        dataset, values["subject"], values["clip"], key, field, value, values["reason"], where
    )


def _one_of(name: str, value: str, allowed: Sequence[str], where: str) -> None:
    if value not in allowed:
        raise InputError(
            f"expected {name} to be one of {', '.join(allowed)}, got {value!r} in {where}; "
            "correct it"
        )
