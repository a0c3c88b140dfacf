"""Databases by name: `read_database` one, `index` several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from micromimic.core.errors import InputError
from micromimic.core.labels import LabelSet
from micromimic.datasets.base import Correction, Found, LeftOut, Note, Request
from micromimic.datasets.clip import SYNTHETIC, Clip, Event, is_synthetic_folder
from micromimic.datasets.corrections import builtin_corrections, corrections_with
from micromimic.datasets.databases import database, databases
from micromimic.datasets.join import read_annotated
from micromimic.datasets.long import read_long
from micromimic.datasets.schemes import scheme, scheme_of


@dataclass(frozen=True)
class Indexed:
    """Several databases, read: `found` by name in the order of `databases`, and label sets."""

    found: Mapping[str, Found]
    labels: tuple[LabelSet, ...] = ()

    @property
    def clips(self) -> tuple[Clip, ...]:
        """All clips or long videos: by database, then subject, then clip."""
        return tuple(chain.from_iterable(found.clips for found in self.found.values()))

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(chain.from_iterable(found.events for found in self.found.values()))

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        return tuple(chain.from_iterable(found.left_out for found in self.found.values()))

    @property
    def notes(self) -> tuple[Note, ...]:
        return tuple(chain.from_iterable(found.notes for found in self.found.values()))

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

    Parameters
    ----------
    name : str
        of `databases`.
    folder : str | Path
        the database's, or one above or inside it.
    table : str | Path | None
        the annotation; None looks for it in the folder and above.
    corrections : Sequence[Correction] | None
        to apply; None for those of the package.
    labels : Iterable[str]
        schemes to name clips by.

    Raises
    ------
    InputError
        if the folder holds no such database, there is no annotation, or a user's correction names
        no clip.
    LabelError
        if the database has no such scheme.
    MissingExtraError
        for an Excel table without the package openpyxl.
    """
    chosen = database(name)
    sets = tuple(scheme_of(name, each) for each in labels)
    place = None if table is None else Path(table)
    fixes = builtin_corrections() if corrections is None else corrections
    request = Request(chosen, Path(folder), place, fixes, sets)
    found = (chosen.reader or (read_long if chosen.long else read_annotated))(request)
    if not is_synthetic_folder(Path(folder)):
        return found
    clips = (replace(clip, extra={**clip.extra, SYNTHETIC: "yes"}) for clip in found.clips)
    return replace(found, clips=tuple(clips))


def index(
    folders: Mapping[str, str | Path],
    corrections: str | Path | None = None,
    labels: Sequence[str] = ("three",),
) -> Indexed:
    """Read databases into one manifest: all clips, or all long videos.

    Parameters
    ----------
    folders : Mapping[str, str | Path]
        database to folder.
    corrections : str | Path | None
        a CSV of further corrections, see `datasets.corrections`.
    labels : Sequence[str]
        schemes, each a column of the manifest.

    Raises
    ------
    InputError
        if no folder is given, one is not its database, an annotation is missing, the corrections
        are wrong, or databases do not belong into one manifest.
    LabelError
        if a database has no such scheme, or two have different ones of one name.
    MissingExtraError
        for an Excel table without the package openpyxl.

    Examples
    --------
    >>> index({})
    Traceback (most recent call last):
    ...
    micromimic.core.errors.InputError: expected the folder of at least one database, got none; ...
    """
    if not folders:
        raise InputError(
            "expected the folder of at least one database, got none; pass it as NAME=DIR"
        )
    given = {database(name).name for name in folders}
    names = [name for name in databases() if name in given]
    own = [scheme_of(name, each) for each in dict.fromkeys(labels) for name in names]
    sets = tuple(scheme(each, names) for each in dict.fromkeys(each.name for each in own))
    long, short = ([n for n in names if databases()[n].long is kind] for kind in (True, False))
    if long and short:
        raise InputError(
            f"expected clips or long videos, got clips of {short[0]} and long videos of {long[0]}; "
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
    schemes = [labels.name for labels in sets]
    found = {name: read_database(name, folders[name], None, fixes, schemes) for name in names}
    return Indexed(found, sets)
