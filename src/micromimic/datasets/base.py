"""A database as a declaration, what its reader found, and how names compare.

Copies of the databases differ in spelling (``sub01`` or ``sub1``, ``s1_ne_01`` or ``s01_ne_01``),
so clips are compared by the number of their subject and by their name without zero-padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from micromimic.datasets.clip import Clip
from micromimic.labels import THREE, LabelSet

if TYPE_CHECKING:
    from micromimic.datasets.corrections import Correction
    from micromimic.datasets.events import Event
    from micromimic.datasets.table import Grid

ClipKey = tuple[int, str]
"""Number of the subject, and the clip's name as `loose` gives it."""
Row = Mapping[str, str]
"""Field to text: ``subject``, ``clip``, ``onset``, ``apex``, ``offset``, ``emotion``; where they
differ from the clip's, ``folder``; in tables of long videos, ``kind``."""

NUMBERED: Final = r"(?:sub(?:ject)?|s)?[ _-]?0*(\d{1,3})"
"""A subject's folder in most databases."""


@dataclass(frozen=True)
class TableSpec:
    """An annotation table.

    Args:
        name: the file's name as distributed.
        keyword: a word in the names of such files.
        columns: field to column, as written in the official table; ``A|B`` takes either, ``#3`` is
            the fourth. A table whose columns are all numbered has no header.
        optional: the same for columns that may be absent.
        entry: matches the clip's cell of each row; None where it is the name of its folder.
        sheet: name of the sheet, where the file has several that look alike.
        every: the annotation is in several such files, and all are read.
    """

    name: str
    keyword: str
    columns: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    entry: str | None = None
    sheet: str | None = None
    every: bool = False


def columns(names: str, **more: str) -> dict[str, str]:
    """The columns of a `TableSpec`: the usual fields in their order, then others by name.

    >>> columns("Subject, Filename", apex="ApexF1")
    {'subject': 'Subject', 'clip': 'Filename', 'apex': 'ApexF1'}
    """
    fields = ("subject", "clip", "onset", "apex", "offset", "emotion")
    return {**dict(zip(fields, names.split(", "), strict=False)), **more}


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Args:
        path: the file.
        rows: one mapping from field to text a clip, texts stripped; "" where a cell is empty or an
            optional column absent; ``row`` counts from 0 below the header.
        notes: on rows that name no clip, and on other tables that were not read.
        sheets: all sheets of its file, by name in lower case.
    """

    path: Path
    rows: tuple[Row, ...]
    notes: tuple[Note, ...] = ()
    sheets: Mapping[str, Grid] = field(default_factory=dict)


@dataclass(frozen=True)
class Database:
    """A database: how it lies on the disk, what its table says, and which labels it has.

    Args:
        name: in manifests and on the command line.
        title: for people.
        reference: to cite, with its doi.
        licence: its terms, and where to apply.
        example: the path of one picture, as distributed.
        subject: matches the whole name of a subject's folder; group 1 is the number.
        clip: matches the whole name of a clip's folder; a group ``who`` is the number of the
            subject, which is else that of the folder above, a group ``name`` what the table has.
        subject_name: the subject's name in manifests, from its number.
        fps: frames a second; None where it is not known of each clip.
        schemes: label sets by name, in the database's own words.
        table: the annotation; None where the folders' names tell all.
        second: a table that adds to it, where it is there.
        rows: the table's rows in the fields' own form; None where they are.
        inside: the folder in a clip's folder that holds its pictures.
        skip: folders whose name has one of these words are not looked at.
        official: rows of the official table, by which corrections may be named.
        apex: whether one is annotated.
        long: clips are long videos, rows events in them.
        reader: reads it where the engine cannot.
    """

    name: str
    title: str
    reference: str
    licence: str
    example: str
    subject: str
    clip: str
    subject_name: Callable[[int], str]
    fps: float | None
    schemes: Mapping[str, LabelSet]
    table: TableSpec | None = None
    second: TableSpec | None = None
    rows: Callable[[Table, Table | None], Iterable[Row]] | None = None
    inside: str = ""
    skip: frozenset[str] = frozenset()
    official: int = 0
    apex: bool = True
    long: bool = False
    reader: Callable[[Request], Found] | None = None

    def is_subject(self, name: str) -> re.Match[str] | None:
        """Whether a folder is a subject's; group 1 is the number."""
        return re.fullmatch(self.subject, name, re.I)

    def is_clip(self, name: str) -> re.Match[str] | None:
        """Whether a folder is a clip's."""
        return re.fullmatch(self.clip, name, re.I)

    @property
    def words(self) -> tuple[str, ...]:
        """Every emotion that its coders wrote, in lower case."""
        known = (word for labels in self.schemes.values() for word in labels.merges)
        return tuple(dict.fromkeys(known))


@dataclass(frozen=True)
class Request:
    """What to read.

    Args:
        database: which.
        folder: the database's, or one above or inside it.
        table: the annotation; None looks for it in the folder and above.
        corrections: to apply; None for those of the package.
        labels: label sets to name clips by, of `Database.schemes`.
    """

    database: Database
    folder: Path
    table: Path | None = None
    corrections: Sequence[Correction] | None = None
    labels: tuple[LabelSet, ...] = (THREE,)


@dataclass(frozen=True)
class Note:
    """Something to know about a clip that was kept, or (subject and clip empty) a database.

    >>> print(Note("mine", "", "", "two copies found"))
    mine: two copies found
    """

    dataset: str
    subject: str
    clip: str
    text: str

    def __str__(self) -> str:
        return f"{'/'.join(filter(None, (self.dataset, self.subject, self.clip)))}: {self.text}"


class LeftOut(Note):
    """A clip that is in the database or in its annotation and not in the result; ``text`` is why.

    >>> print(LeftOut("mine", "006", "006_1_2", "no folder of frames"))
    mine/006/006_1_2: no folder of frames
    """

    @property
    def reason(self) -> str:
        """Why."""
        return self.text


@dataclass(frozen=True)
class Found:
    """What a reader found.

    Args:
        clips: those to use, by subject and clip; long videos of a database of these.
        left_out: those that could not be used, with reasons.
        dropped: how many annotated clips have an emotion that no wanted label set uses.
        notes: about kept clips and about the database.
        table: the annotation table that was read; None where the folders' names tell all.
        events: of long videos.
    """

    clips: tuple[Clip, ...]
    left_out: tuple[LeftOut, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    table: Path | None = None
    events: tuple[Event, ...] = ()


def three(*words: str, out: Iterable[str] = (), **merges: str | None) -> LabelSet:
    """The composite's three classes of a database's words.

    Args:
        words: that the composite merges.
        out: words that are left out.
        merges: words of the database's own.

    >>> three("others", out=["tense"]).merges
    {'others': None, 'tense': None}
    """
    own = {word: THREE.merges.get(word, word) for word in words}
    return LabelSet(THREE.name, THREE.names, {**own, **dict.fromkeys(out), **merges})


def own(name: str, *names: str, out: Iterable[str] = (), **merges: str) -> LabelSet:
    """A database's own classes: its words, those that it leaves out, and those that it merges."""
    return LabelSet(name, names, {**{n: n for n in names}, **dict.fromkeys(out), **merges})


def labels_of(words: str, labels: LabelSet) -> str:
    """The class of an emotion, "" where there is none; several words are joined with ``+``.

    Where a clip has one class, words that disagree make none.

    >>> good = LabelSet("mine", ("bad", "good"), {"other": None})
    >>> labels_of("good+other", good), labels_of("good+bad", good)
    ('good', '')
    """
    found = {labels.label_of(word) for word in words.split("+")} - {None}
    if len(found) > 1 and not labels.several:
        return ""
    return "+".join(name for name in labels if name in found)


def loose(name: str) -> str:
    """A name without capitals and zero-padding, for comparing.

    >>> loose("EP02_01f"), loose("s01_ne_03"), loose("s1_ne_3")
    ('ep2_1f', 's1_ne_3', 's1_ne_3')
    """
    return re.sub(r"[0-9]+", lambda run: str(int(run[0])), name.strip().casefold())


def subject_number(text: str) -> int | None:
    """The number in a subject's name; None where there is none.

    >>> [subject_number(text) for text in ("sub01", "006", "spNO.18", "x")]
    [1, 6, 18, None]
    """
    match = re.fullmatch(r"[a-z]*[ ._-]?([0-9]+)(?:\.0+)?", text.strip().casefold())
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
