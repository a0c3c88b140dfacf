"""A database as a declaration, what its reader found, and how names compare.

Copies of the databases differ in spelling (``sub01`` or ``sub1``, ``s1_ne_01`` or ``s01_ne_01``),
so clips are compared by the number of their subject and by their name without zero-padding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from micromimic.core.labels import THREE, LabelSet
from micromimic.datasets.clip import Clip, Event
from micromimic.datasets.table import Grid

ClipKey = tuple[int, str]
"""Number of the subject, and the clip's name as `normalized_name` gives it."""
Row = Mapping[str, str]
"""Field to text: ``subject``, ``clip``, ``onset``, ``apex``, ``offset``, ``emotion``; where they
differ from the clip's, ``folder``; in tables of long videos, ``kind``; what is odd, ``odd``."""

BY_ROW: Final = -1  # in place of a subject, in the key of a correction by row

NUMBERED: Final = r"(?:sub(?:ject)?|s)?[ _-]?0*(\d{1,3})"
"""A subject's folder in most databases."""


@dataclass(frozen=True)
class TableSpec:
    name: str  # of the file, as distributed
    keyword: str  # a word in the names of such files
    columns: Mapping[str, str]
    """Field to column, as written in the official table; ``A|B`` takes either, ``#3`` is the
    fourth. A table whose columns are all numbered has no header."""
    optional: Mapping[str, str] = field(default_factory=dict)  # columns that may be absent
    entry: str | None = None  # matches a row's clip; None where it is the name of its folder
    sheet: str | None = None  # where the file has several that look alike
    every: bool = False  # the annotation is in several such files, and all are read


def columns(names: str, **more: str) -> dict[str, str]:
    """The columns of a `TableSpec`: the usual fields in their order, then others by name."""
    fields = ("subject", "clip", "onset", "apex", "offset", "emotion")
    return {**dict(zip(fields, names.split(", "), strict=False)), **more}


@dataclass(frozen=True)
class Database:
    """A database: how it lies on the disk, what its table says, and which labels it has.

    Examples
    --------
    >>> from micromimic.datasets import database
    >>> database("samm").title, bool(database("samm").is_clip("006_1_2"))
    ('SAMM', True)
    """

    name: str  # in manifests and on the command line
    title: str
    reference: str  # to cite, with its doi
    licence: str  # its terms, and where to apply
    example: str  # the path of one picture, as distributed
    subject: str  # matches the whole name of a subject's folder; group 1 is the number
    clip: str
    """Matches the whole name of a clip's folder; a group ``who`` is the number of the subject,
    which is else that of the folder above, a group ``name`` what the table has."""
    subject_name: Callable[[int], str]  # the subject in manifests, from its number
    fps: float | None  # frames a second; None where it is not known of each clip
    schemes: Mapping[str, LabelSet]  # by name, in the database's own words
    table: TableSpec | None = None  # None where the folders' names tell all
    second: TableSpec | None = None  # a table that adds to it, where it is there
    rows: Callable[[Table, Table | None], Iterable[Row]] | None = None
    """Rows in the fields' own form, of the table and the second; None where they are."""
    inside: str = ""  # the folder in a clip's folder that holds its pictures
    skip: frozenset[str] = frozenset()  # words of folders' names that are not looked at
    official: int = 0  # rows of the official table, by which corrections may be named
    apex: bool = True  # whether one is annotated
    long: bool = False  # clips are long videos, rows events in them
    reader: Callable[[Request], Found] | None = None  # where the engine cannot read it

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

    def label_of(self, emotion: str, labels: LabelSet) -> str:
        """The class of an emotion, "" where there is none; several words are joined with ``+``.

        Where a clip has one class, words that disagree make none, and so does a word that is none
        of the database's.
        """
        words = set(emotion.split("+"))
        if not words <= set(self.words):
            return ""
        shown = {labels.label_of(word) for word in words}
        found = [name for name in labels if name in shown]
        return "" if len(found) > 1 and not labels.several else "+".join(found)

    def note(self, text: str) -> Note:
        """A note on the whole database."""
        return Note(self.name, "", "", text)


@dataclass(frozen=True)
class Correction:
    dataset: str
    subject: str
    clip: str
    key: ClipKey  # the clip, for comparing
    field: str  # one of `FIELDS`
    value: str  # the new one; "yes", "no" or a scheme of labels for ``exclude``
    reason: str
    where: str = ""
    """The line it stands in; empty for the package's own, which may name clips that a copy does
    not have."""

    @property
    def place(self) -> tuple[str, ClipKey, str]:
        return self.dataset, self.key, self.field


@dataclass(frozen=True)
class Request:
    database: Database
    folder: Path  # the database's, or one above or inside it
    table: Path | None = None  # the annotation; None looks for it in the folder and above
    corrections: Sequence[Correction] = ()
    labels: tuple[LabelSet, ...] = (THREE,)  # to name clips by, of `Database.schemes`


@dataclass(frozen=True)
class Note:
    """Something to know about a clip that was kept, or (subject and clip empty) a database."""

    dataset: str
    subject: str
    clip: str
    text: str

    def __str__(self) -> str:
        return f"{'/'.join(filter(None, (self.dataset, self.subject, self.clip)))}: {self.text}"


class LeftOut(Note):
    """A clip of the database or of its annotation that is not in the result; ``text`` is why."""


@dataclass(frozen=True)
class Table:
    path: Path
    rows: tuple[Row, ...]
    """Field to text, stripped; "" where a cell is empty or an optional column absent; ``row``
    counts from 0 below the header."""
    notes: tuple[Note, ...] = ()  # on rows that name no clip, and on tables that were not read
    sheets: Mapping[str, Grid] = field(default_factory=dict)  # all of its file, in lower case


@dataclass(frozen=True)
class Found:
    clips: tuple[Clip, ...]  # to use, by subject and clip; long videos of a database of these
    left_out: tuple[LeftOut, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many annotated clips have an emotion that no wanted label set uses."""
    notes: tuple[Note, ...] = ()  # about kept clips and about the database
    table: Path | None = None  # the annotation that was read
    events: tuple[Event, ...] = ()  # of long videos


def three(*words: str, out: Iterable[str] = (), **merges: str | None) -> LabelSet:
    """The composite's three classes of a database's words: those merged as it does, and others."""
    known = {word: THREE.merges.get(word, word) for word in words}
    return LabelSet(THREE.name, THREE.names, {**known, **dict.fromkeys(out), **merges})


def own(name: str, *names: str, out: Iterable[str] = (), **merges: str) -> LabelSet:
    """A database's own classes: its words, those that it leaves out, and those that it merges."""
    return LabelSet(name, names, {**{n: n for n in names}, **dict.fromkeys(out), **merges})


def normalized_name(name: str) -> str:
    """A name without capitals and zero-padding, for comparing: ``EP02_01f`` is ``ep2_1f``."""
    return re.sub(r"[0-9]+", lambda run: str(int(run[0])), name.strip().casefold())


def subject_number(text: str) -> int | None:
    """The number in a subject's name; None where there is none."""
    match = re.fullmatch(r"[a-z]*[ ._-]?([0-9]+)(?:\.0+)?", text.strip().casefold())
    return int(match[1]) if match else None


def first_few(names: Sequence[str], most: int = 5) -> str:
    """The first few of many names, and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
