"""What the readers share: which clips were found, which were not and why, and how names compare.

Copies of the databases differ in spelling (``sub01`` or ``sub1``, ``s1_ne_01`` or ``s01_ne_01``),
so clips are compared by the number of their subject and by their name without zero-padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from micromimic.datasets.clip import Clip

ClipKey = tuple[int, str]
"""Number of the subject, and the clip's name as `loose` gives it."""

DATASETS: Final = ("smic", "casme2", "samm")
"""The three databases in the article's order."""


@dataclass(frozen=True)
class Layout:
    """How a database lies on the disk.

    Args:
        dataset: its name in manifests.
        title: its name for people.
        example: the path of one picture, as distributed.
        subject: matches the whole name of a subject's folder; group 1 is the number.
        clip: matches the whole name of a clip's folder; where it has a group 1, that is the number
            of the subject, which is else that of the folder above.
        subject_name: the subject's name in manifests, from its number.
        fps: frames a second.
        skip: folders whose name has one of these words are not looked at.
    """

    dataset: str
    title: str
    example: str
    subject: re.Pattern[str]
    clip: re.Pattern[str]
    subject_name: Callable[[int], str]
    fps: float
    skip: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LeftOut:
    """A clip that is in the database or in its annotation and not in the result, and why.

    >>> print(LeftOut("samm", "006", "006_1_2", "no folder of frames"))
    samm/006/006_1_2: no folder of frames
    """

    dataset: str
    subject: str
    clip: str
    reason: str

    def __str__(self) -> str:
        return f"{self.dataset}/{self.subject}/{self.clip}: {self.reason}"


@dataclass(frozen=True)
class Note:
    """Something to know about a clip that was kept, or (subject and clip empty) a database.

    >>> print(Note("samm", "", "", "two copies found"))
    samm: two copies found
    """

    dataset: str
    subject: str
    clip: str
    text: str

    def __str__(self) -> str:
        return f"{'/'.join(filter(None, (self.dataset, self.subject, self.clip)))}: {self.text}"


@dataclass(frozen=True)
class Found:
    """What a reader found.

    Args:
        clips: those to use, by subject and clip.
        left_out: those that could not be used, with reasons.
        dropped: how many annotated clips have an emotion that the composite does not use.
        notes: about kept clips and about the database.
        table: the annotation table that was read; None where the folders' names tell all.
    """

    clips: tuple[Clip, ...]
    left_out: tuple[LeftOut, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    table: Path | None = None


def loose(name: str) -> str:
    """A name without capitals and zero-padding, for comparing.

    >>> loose("EP02_01f"), loose("s01_ne_03"), loose("s1_ne_3")
    ('ep2_1f', 's1_ne_3', 's1_ne_3')
    """
    return re.sub(r"[0-9]+", lambda run: str(int(run[0])), name.strip().casefold())


def subject_number(text: str) -> int | None:
    """The number in a subject's name; None where there is none.

    >>> subject_number("sub01"), subject_number("006"), subject_number("s18"), subject_number("x")
    (1, 6, 18, None)
    """
    match = re.fullmatch(r"[a-z]*[ _-]?([0-9]+)(?:\.0+)?", text.strip().casefold())
    return int(match[1]) if match else None


def spans(numbers: list[int]) -> str:
    """Ascending numbers as ranges.

    >>> spans([4, 5, 6, 9])
    '4-6, 9'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def some(names: list[str], most: int = 5) -> str:
    """The first few of many names, and how many more there are.

    >>> some(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
