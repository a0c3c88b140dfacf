"""Databases by name: `read_database` one, `index` several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from micromimic.datasets.base import Found, LeftOut, Note, Request
from micromimic.datasets.clip import Clip
from micromimic.datasets.corrections import Correction, corrections_with
from micromimic.datasets.databases import database, databases
from micromimic.datasets.events import Event
from micromimic.datasets.join import read_annotated
from micromimic.datasets.long import read_long
from micromimic.datasets.made_up import made_up, marked
from micromimic.datasets.schemes import scheme
from micromimic.errors import InputError, LabelError
from micromimic.labels import LabelSet


@dataclass(frozen=True)
class Indexed:
    """Several databases, read.

    Args:
        found: what each reader found, by name, in the order of `databases`.
        labels: the label sets of the manifest.
    """

    found: Mapping[str, Found]
    labels: tuple[LabelSet, ...] = ()

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips or long videos: by database, then subject, then clip."""
        return tuple(clip for found in self.found.values() for clip in found.clips)

    @property
    def events(self) -> tuple[Event, ...]:
        """All events of long videos."""
        return tuple(event for found in self.found.values() for event in found.events)

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Every clip that could not be used."""
        return tuple(left for found in self.found.values() for left in found.left_out)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What to know about what was kept."""
        return tuple(note for found in self.found.values() for note in found.notes)

    @property
    def dropped(self) -> dict[str, Mapping[str, int]]:
        """By database, how many annotated clips have an emotion that no label set uses."""
        return {name: found.dropped for name, found in self.found.items() if found.dropped}


def read_database(
    name: str,
    folder: str | Path,
    table: str | Path | None = None,
    corrections: Sequence[Correction] | None = None,
    labels: Iterable[str] = ("three",),
) -> Found:
    """Read a database.

    Args:
        name: of `databases`.
        folder: the database's, or one above or inside it.
        table: the annotation; None looks for it in the folder and above.
        corrections: to apply; None for those of the package.
        labels: schemes to name clips by.

    Raises:
        InputError: if the folder holds no such database, there is no annotation, or a user's
            correction names no clip.
        LabelError: if the database has no such scheme.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    chosen = database(name)
    sets = tuple(scheme_of(name, each) for each in labels)
    place = Path(table) if table is not None else None
    request = Request(chosen, Path(folder), place, corrections, sets)
    found = (chosen.reader or (read_long if chosen.long else read_annotated))(request)
    if not made_up(Path(folder)):
        return found
    return replace(found, clips=tuple(marked(clip) for clip in found.clips))


def scheme_of(name: str, labels: str) -> LabelSet:
    """A database's own label set, with the words that it merges.

    Raises:
        LabelError: if it has none of that name.
    """
    schemes = database(name).schemes
    if labels not in schemes:
        raise LabelError(
            f"expected labels that {name} has ({', '.join(schemes)}), got {labels!r}; "
            "name one of them, or index the database on its own"
        )
    return schemes[labels]


def index(
    folders: Mapping[str, str | Path],
    corrections: str | Path | None = None,
    labels: Sequence[str] = ("three",),
) -> Indexed:
    """Read databases into one manifest: all clips, or all long videos.

    Args:
        folders: database to folder.
        corrections: a CSV of further corrections, see `datasets.corrections`.
        labels: schemes, each a column of the manifest.

    Raises:
        InputError: if no folder is given, one is not its database, an annotation is missing, the
            corrections are wrong, or databases do not belong into one manifest.
        LabelError: if a database has no such scheme, or two have different ones of one name.
        MissingExtraError: for an Excel table without the package openpyxl.
    """
    if not folders:
        raise InputError(
            "expected the folder of at least one database, got none; pass it as NAME=DIR"
        )
    names = [name for name in databases() if name in {database(each).name for each in folders}]
    own = [scheme_of(name, each) for each in dict.fromkeys(labels) for name in names]
    sets = tuple(scheme(each, names) for each in dict.fromkeys(each.name for each in own))
    long = [name for name in names if databases()[name].long]
    if long and len(long) < len(names):
        short = next(name for name in names if name not in long)
        raise InputError(
            f"expected clips or long videos, got clips of {short} and long videos of {long[0]}; "
            "index them apart"
        )
    people = {databases()[name].subject_name(1): name for name in names}
    if len(people) < len(names):
        pair = sorted(set(names) - set(people.values()))
        raise InputError(
            f"expected each person in one database, got {pair[0]} beside another that films the "
            "same people; index them apart"
        )
    fixes = corrections_with(Path(corrections) if corrections else None)
    return Indexed(
        {name: read_database(name, folders[name], None, fixes, [s.name for s in sets])
         for name in names},
        sets,
    )  # fmt: skip
