"""Finds a database's clips by looking at the folders, wherever the user points.

The folder given may be the database's own, one above it, one inside it, or one subject's; folders
in between do not matter. Nothing is decoded: names tell all.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from micromimic.core.errors import InputError
from micromimic.datasets.base import ClipKey, Database, Note, first_few, normalized_name
from micromimic.datasets.clip import frame_number
from micromimic.media.formats import IMAGE_ENDINGS, natural_key

DEPTH: Final = 8  # levels of folders looked through: the deepest layout has six
TABLE_ENDINGS: Final = frozenset({".xlsx", ".xlsm", ".xls", ".csv"})
_ARCHIVE_ENDINGS: Final = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz"})


@dataclass(frozen=True)
class ClipFolder:
    key: ClipKey
    path: Path
    root: Path  # the folder that holds the subjects' folders
    pictures: tuple[str, ...]  # their names, in natural order
    above: tuple[str, ...]  # names of the folders from the one given to this one's parent
    home: int | None  # number of the subject whose folder it lies in
    name: str  # of the clip's folder

    @cached_property
    def numbers(self) -> dict[int, list[str]]:
        """The pictures' names by their number, ascending."""
        names = defaultdict(list)
        for name in self.pictures:
            if (number := frame_number(name)) is not None:
                names[number].append(name)
        return dict(sorted(names.items()))


@dataclass
class Tree:
    folder: Path  # the one given, absolute
    database: Database
    clips: list[ClipFolder] = field(default_factory=list)  # in natural order
    tables: list[Path] = field(default_factory=list)  # files that could be annotation tables
    unknown_folders: list[Path] = field(default_factory=list)  # with pictures that are no clips
    _seen: set[Path] = field(default_factory=set)

    def visit(self, folder: Path, trail: tuple[Path, ...] = ()) -> None:
        """Look at one folder and those in it; ``trail`` are the folders above, from outside."""
        real = folder.resolve()
        if real in self._seen:  # a link that leads back
            return
        self._seen.add(real)
        pictures, tables, folders = _contents(folder)
        is_clip = bool(self.database.is_clip(folder.name))
        if not is_clip or not pictures:
            self.tables += [folder / name for name in tables]
        inside = next((n for n in folders if n.casefold() == self.database.inside), None)
        if is_clip and inside:  # other folders beside it show the same in other ways
            pictures, folders = _contents(folder / inside)[0], []
        clip = self._clip(folder, trail, pictures, inside) if is_clip else None
        # A clip's folder may be wrapped in another of its name: then the inner one is the clip.
        if clip and (pictures or not folders):
            self.clips.append(clip)
            return
        if pictures:
            self.unknown_folders.append(folder)
        for name in folders:
            if len(trail) < DEPTH and not _words(name) & self.database.skip:
                self.visit(folder / name, (*trail, folder))

    def _clip(
        self, folder: Path, trail: tuple[Path, ...], pictures: list[str], inside: str | None
    ) -> ClipFolder | None:
        """The clip of a folder named as one; None where nothing tells the subject."""
        subjects = ((at, self.database.is_subject(at.name)) for at in reversed(trail))
        place, match = next(((at, match) for at, match in subjects if match), (folder, None))
        own = self.database.is_clip(folder.name)
        groups = own.groupdict() if own else {}
        number = groups.get("who") or (match and match[1])
        if number is None:
            return None
        return ClipFolder(
            key=(int(number), normalized_name(groups.get("name") or folder.name)),
            path=folder / inside if inside else folder,
            root=place.parent,
            pictures=tuple(pictures),
            above=tuple(at.name for at in trail),
            home=int(match[1]) if match else None,
            name=folder.name,
        )


def scan(folder: Path, database: Database) -> Tree:
    folder = Path(os.path.normpath(folder.absolute()))
    remedy = f"pass the folder that holds {database.example}"
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing"
        raise InputError(
            f"expected a folder with {database.title} at {folder}, got {got}; {remedy}"
        )
    if word := next(iter(_words(folder.name) & database.skip), None):
        got = f"a folder of its other part {word!r}"
        raise InputError(f"expected {database.title} in {folder}, got {got}; {remedy}")
    tree = Tree(folder, database)
    tree.visit(folder)
    if not any(clip.pictures for clip in tree.clips):
        raise InputError(
            f"expected {database.title} in {folder}, as {database.example}, got {_instead(folder)}"
        )
    return tree


def one_copy(tree: Tree) -> tuple[list[ClipFolder], list[Note]]:
    """Of several copies of the database under one folder, that with most clips.

    Of equally large ones the raw copy goes before the cropped. Parts that share no clip with what
    is taken are no copies, and are taken too. Copies that are not read are noted, and folders of
    pictures, in subjects' folders of what is read, that are no clips.
    """
    roots: dict[Path, list[ClipFolder]] = defaultdict(list)
    for clip in tree.clips:
        roots[clip.root].append(clip)

    def rank(root: Path) -> tuple[int, bool, str]:
        filled = len({clip.key for clip in roots[root] if clip.pictures})
        return -filled, "crop" in str(root).casefold(), str(root)

    taken: dict[ClipKey, Path] = {}
    notes = []
    for root in sorted(roots, key=rank):
        found = roots[root]
        shared = next((taken[clip.key] for clip in found if clip.key in taken), None)
        if shared is None:
            taken |= {clip.key: root for clip in found}
        else:
            text = f"{shared} is read; another copy is not: {root} ({len(found)} clips)"
            notes.append(tree.database.note(text))
    read = dict.fromkeys(taken.values())
    unknown = [
        str(path.relative_to(tree.folder))
        for path in tree.unknown_folders
        for root in path.parents
        if root in read and tree.database.is_subject(path.relative_to(root).parts[0])
    ]
    if unknown:
        text = f"pictures in folders that are not named as clips: {first_few(unknown)}"
        notes.append(tree.database.note(text))
    return [clip for root in read for clip in roots[root]], notes


def _contents(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of pictures, of possible tables and of folders; hidden ones are ignored."""
    pictures: list[str] = []
    tables: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                ending = Path(entry.name).suffix.casefold()
                if entry.name.startswith((".", "~$", "__MACOSX")):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                elif ending in IMAGE_ENDINGS:
                    pictures.append(entry.name)
                elif ending in TABLE_ENDINGS:
                    tables.append(entry.name)
    except OSError as error:
        raise InputError(
            f"expected to read {folder}, got: {error.strerror}; check its permissions"
        ) from None
    for names in (pictures, tables, folders):
        names.sort(key=natural_key)
    return pictures, tables, folders


def _words(name: str) -> set[str]:
    """Words of a folder's name: ``MINE_VIS_E`` has mine, vis and e; joined ones count too."""
    words = re.findall(r"[a-z]+", name.casefold())
    return {*words, "".join(words)}


def _instead(folder: Path) -> str:
    """What a folder holds instead, and what to do."""
    there = [path for path in folder.iterdir() if not path.name.startswith(".")]
    names = sorted((path.name + "/" * path.is_dir() for path in there), key=natural_key)
    if not names:
        return "an empty folder; check the path"
    if any(path.suffix.casefold() in _ARCHIVE_ENDINGS for path in there):
        return f"{first_few(names)}; unpack the archives first"
    return f"{first_few(names)}; pass the folder that holds the subjects' folders"
