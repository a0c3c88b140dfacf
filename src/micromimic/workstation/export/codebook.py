"""What each column of a study's export is: the list by which files are written and described."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from micromimic.core.labels import CELLS, REGIONS
from micromimic.core.summary import CAUSES
from micromimic.evaluation.study_agreement import BOUNDARIES
from micromimic.motion.spotting.dense.measure import UNITS_SEEN
from micromimic.report.words import CELL_WORDS, REGION_WORDS, UNIT_WORDS

CODEBOOK: Final = ("file", "column", "type", "unit", "meaning")
FILES: Final = (
    "events.csv",
    "recordings.csv",
    "markers.csv",
    "decisions.csv",
    "agreement.csv",
    "conditions.csv",
)
FRAMES: Final = "frames"
_TEXT: Final = Path(__file__).with_name("codebook.txt")
Each = Mapping[str, Mapping[str, str]]
"""What a line is repeated for, each with its words."""
_EACH: Final[Each] = {
    "cause": CAUSES,
    "region": {region: REGION_WORDS[region].lower() for region in REGIONS},
    "cell": {cell: CELL_WORDS[cell] for cell in CELLS},
    "unit": {unit: f"AU {unit} {UNIT_WORDS[unit]}" for unit in UNITS_SEEN},
    "boundary": {boundary: boundary for boundary in BOUNDARIES},
    "landmark": {str(k): str(k) for k in range(68)},
}


@dataclass(frozen=True)
class Column:
    """``kind`` is text, whole, number, flag, date or moment; ``unit`` empty where there is none."""

    name: str
    kind: str
    unit: str
    meaning: str


def columns_of(file: str, labels: Iterable[str] = ()) -> tuple[Column, ...]:
    """The columns of a file, in their order; ``labels`` are the classes that are counted.

    >>> [column.name for column in columns_of("markers.csv")][-4:]
    ['label', 'onset_s', 'offset_s', 'origin']
    """
    return tuple(_of(file, {**_EACH, "class": {label: label for label in labels}}))


def _of(section: str, each: Each) -> Iterator[Column]:
    for line in _sections()[section]:
        if line.startswith("@"):
            yield from _of(line[1:], each)
        elif line.startswith("*"):
            what, _, pattern = line[1:].partition(" ")
            for name, words in each[what].items():
                yield from _column(pattern, name, words)
        else:
            yield from _column(line)


def _column(line: str, of: str = "", words: str = "") -> Iterator[Column]:
    name, kind, unit, meaning = (
        cell.strip().replace("{name}", of).replace("{words}", words) for cell in line.split("|")
    )
    yield Column(name, "number" if kind == "estimate" else kind, unit, meaning)
    if kind == "estimate":
        for end, which in (("low", "Lower"), ("high", "Upper")):
            yield Column(f"{name}_{end}", "number", unit, f"{which} end of its 95 % interval")


@cache
def _sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _TEXT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = []
        elif line and not line.startswith("#"):
            found[next(reversed(found))].append(line)
    return found
