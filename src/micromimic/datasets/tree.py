"""Finds a database's clips by looking at the folders, wherever the user points.

The folder given may be the database's own, one above it, one inside it, or one subject's; folders
in between do not matter. Nothing is decoded: names tell all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from micromimic.datasets.base import ClipKey, Database, Note, loose, some
from micromimic.errors import InputError
from micromimic.media.formats import IMAGE_ENDINGS, natural_key

DEPTH: Final = 8  # levels of folders looked through: the deepest layout has six
TABLE_ENDINGS: Final = frozenset({".xlsx", ".xlsm", ".xls", ".csv"})
ARCHIVE_ENDINGS: Final = frozenset({".zip", ".rar", ".7z", ".tar", ".gz", ".tgz"})


@dataclass(frozen=True)
class ClipFolder:
    """One clip's folder of pictures.

    Args:
        key: whose clip it is and which.
        path: the folder.
        root: the folder that holds the subjects' folders.
        pictures: names of the pictures, in natural order.
        above: names of the folders from the one given to this one's parent.
        home: number of the subject whose folder it lies in, if any.
        name: of the clip's folder.
    """

    key: ClipKey
    path: Path
    root: Path
    pictures: tuple[str, ...]
    above: tuple[str, ...]
    home: int | None = None
    name: str = ""


@dataclass(frozen=True)
class Tree:
    """What lies under a folder.

    Args:
        folder: the one given, absolute.
        clips: folders of clips, in natural order.
        tables: files that could be annotation tables.
        strangers: folders with pictures that are no clips of this database.
    """

    folder: Path
    clips: tuple[ClipFolder, ...]
    tables: tuple[Path, ...]
    strangers: tuple[Path, ...]


@dataclass
class _Walk:
    database: Database
    clips: list[ClipFolder] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    strangers: list[Path] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)

    def visit(self, folder: Path, trail: tuple[Path, ...]) -> None:
        """Look at one folder and those in it; ``trail`` are the folders above, from outside."""
        real = folder.resolve()
        if real in self.seen:  # a link that leads back
            return
        self.seen.add(real)
        pictures, tables, folders = _contents(folder)
        is_clip = bool(self.database.is_clip(folder.name))
        if not is_clip or not pictures:
            self.tables += [folder / name for name in tables]
        inside = next((n for n in folders if n.casefold() == self.database.inside), None)
        if is_clip and inside:  # other folders beside it show the same in other ways
            pictures, folders = _contents(folder / inside)[0], []
        clip = _clip(self.database, folder, trail, pictures, inside) if is_clip else None
        # A clip's folder may be wrapped in another of its name: then the inner one is the clip.
        if clip and (pictures or not folders):
            self.clips.append(clip)
            return
        if pictures:
            self.strangers.append(folder)
        for name in folders:
            if len(trail) < DEPTH and not _words(name) & self.database.skip:
                self.visit(folder / name, (*trail, folder))


def scan(folder: Path, database: Database) -> Tree:
    """Look for a database's clips in a folder.

    Raises:
        InputError: if there is no such folder, it cannot be read, or holds no clip of the database.
    """
    folder = Path(os.path.normpath(folder.absolute()))
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing"
        raise InputError(
            f"expected a folder with {database.title} at {folder}, got {got}; "
            f"pass the folder that holds {database.example}"
        )
    if word := next(iter(_words(folder.name) & database.skip), None):
        raise InputError(
            f"expected {database.title} in {folder}, got a folder of its other part {word!r}; "
            f"pass the folder that holds {database.example}"
        )
    walk = _Walk(database)
    walk.visit(folder, ())
    if not any(clip.pictures for clip in walk.clips):
        raise InputError(
            f"expected {database.title} in {folder}, as {database.example}, got {_seen(folder)}"
        )
    return Tree(folder, tuple(walk.clips), tuple(walk.tables), tuple(walk.strangers))


def choose_copy(
    clips: Iterable[ClipFolder], database: Database
) -> tuple[list[ClipFolder], list[Note]]:
    """Of several copies of the database under one folder, that with most clips.

    Of equally large ones the raw copy goes before the cropped. Parts that share no clip with what
    is taken are no copies, and are taken too.

    Returns:
        The clips to read, and a note for each copy that is not read.
    """
    roots: dict[Path, list[ClipFolder]] = {}
    for clip in clips:
        roots.setdefault(clip.root, []).append(clip)

    def rank(item: tuple[Path, list[ClipFolder]]) -> tuple[int, bool, str]:
        root, found = item
        filled = len({clip.key for clip in found if clip.pictures})
        return -filled, "crop" in str(root).casefold(), str(root)

    taken: list[ClipFolder] = []
    notes = []
    keys: dict[ClipKey, Path] = {}
    for root, found in sorted(roots.items(), key=rank):
        shared = next((keys[clip.key] for clip in found if clip.key in keys), None)
        if shared is None:
            taken += found
            keys |= {clip.key: root for clip in found}
        else:
            text = f"{shared} is read; another copy is not: {root} ({len(found)} clips)"
            notes.append(Note(database.name, "", "", text))
    return taken, notes


def strangers_note(tree: Tree, taken: Iterable[ClipFolder], database: Database) -> list[Note]:
    """One note on folders of pictures, in subjects' folders of what is read, that are no clips."""
    roots = {clip.root for clip in taken}
    names = [
        str(path.relative_to(tree.folder))
        for path in tree.strangers
        for root in path.parents
        if root in roots and database.is_subject(path.relative_to(root).parts[0])
    ]
    if not names:
        return []
    text = f"pictures in folders that are not named as clips: {some(names)}"
    return [Note(database.name, "", "", text)]


def _clip(
    database: Database,
    folder: Path,
    trail: tuple[Path, ...],
    pictures: list[str],
    inside: str | None,
) -> ClipFolder | None:
    """The clip of a folder named as one; None where nothing tells the subject."""
    names = [(place, database.is_subject(place.name)) for place in reversed(trail)]
    home, match = next(((place, match) for place, match in names if match), (None, None))
    own = database.is_clip(folder.name)
    groups = own.groupdict() if own else {}
    number = groups.get("who") or (match[1] if match else None)
    if number is None:
        return None
    root = home.parent if home else folder.parent
    return ClipFolder(
        key=(int(number), loose(groups.get("name") or folder.name)),
        path=folder / inside if inside else folder,
        root=root,
        pictures=tuple(pictures),
        above=tuple(place.name for place in trail),
        home=int(match[1]) if match else None,
        name=folder.name,
    )


def _contents(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of pictures, of possible tables and of folders; hidden ones are ignored."""
    pictures: list[str] = []
    tables: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                ending = Path(name).suffix.casefold()
                if name.startswith((".", "~$", "__MACOSX")):
                    continue
                if entry.is_dir():
                    folders.append(name)
                elif ending in IMAGE_ENDINGS:
                    pictures.append(name)
                elif ending in TABLE_ENDINGS:
                    tables.append(name)
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


def _seen(folder: Path) -> str:
    """What a folder holds instead, and what to do."""
    names = sorted(
        (
            path.name + ("/" if path.is_dir() else "")
            for path in folder.iterdir()
            if not path.name.startswith(".")
        ),
        key=natural_key,
    )
    if not names:
        return "an empty folder; check the path"
    if any(Path(name).suffix.casefold() in ARCHIVE_ENDINGS for name in names):
        return f"{some(names)}; unpack the archives first"
    return f"{some(names)}; pass the folder that holds the subjects' folders"
