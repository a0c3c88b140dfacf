"""From what a person names (files, folders of frames, folders of videos) to the inputs to analyse,
and the rows of a table of assignments that mean them.

>>> [item.name for item in expand_inputs(["talks/anna.mp4", "talks/ben.v2.mov", "talks/...mp4"])]
['anna', 'ben.v2', '...mp4']
>>> [item.name for item in expand_inputs(["study/P01/s1.mp4", "study/P02/s1.mp4"])]
['P01/s1', 'P02/s1']
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

from micromimic.core.errors import InputError, MicromimicError
from micromimic.datasets.assignments import Assignment
from micromimic.media.formats import image_files, natural_key, video_files

_ADDRESS: Final = re.compile(r"[a-z][a-z0-9+.-]+:/+", re.I)


class NameClashError(MicromimicError):
    """Two inputs would write to one results folder."""


@dataclass(frozen=True)
class Input:
    path: Path  # what to read
    # of its results folder: a file's name without its ending, a folder's name; behind the folders
    # that it lies in, where there are several. Never a way to another folder
    name: str
    problem: InputError | None = None  # why it cannot be read, when that is known already


def expand_inputs(paths: Sequence[str | Path]) -> list[Input]:
    """Each file and each folder of frames as one input, each folder of videos as its videos, with
    those of its subfolders; what is named twice once.

    What cannot be read stays in the list with its ``problem``, so that the others are analysed.
    Where two inputs have one name, all are named by their way from the folder that holds them.

    Raises
    ------
    NameClashError
        Two inputs still have one name.
    """
    every = {place_of(item.path): item for path in paths for item in _expand(path)}
    inputs = list(every.values())
    if _twice(inputs):
        inputs = _named_by_place(inputs)
    for name in _twice(inputs):
        first, second, *_ = (item.path for item in inputs if item.name == name)
        raise NameClashError(
            f"expected inputs of different names, got {first} and {second}, both {name!r}; analyse "
            "them apart with an --out of their own"
        )
    return inputs


def place_of(path: Path) -> str:
    """Where a path leads to, links followed; a name that no file can have leads nowhere."""
    try:
        return os.path.realpath(path)
    except ValueError:
        return os.path.abspath(path)  # noqa: PTH100 - as realpath gives it


def _twice(inputs: Sequence[Input]) -> list[str]:
    return [name for name, count in Counter(item.name for item in inputs).items() if count > 1]


def _named_by_place(inputs: Sequence[Input]) -> list[Input]:
    """By the way from the folder that holds all; with endings where that is not enough."""
    places = [Path(place_of(item.path)) for item in inputs]
    root = Path(os.path.commonpath([place.parent for place in places]))
    ways = [place.parent.relative_to(root) for place in places]
    named = [
        replace(item, name=_join(way, PurePosixPath(item.name).name))
        for item, way in zip(inputs, ways, strict=True)
    ]
    twice = set(_twice(named))
    return [
        replace(item, name=_join(way, item.path.name)) if item.name in twice else item
        for item, way in zip(named, ways, strict=True)
    ]


def _join(way: Path, name: str) -> str:
    return "/".join((*way.parts, name))


def _expand(given: str | Path) -> Iterator[Input]:
    path = Path(given)
    if _ADDRESS.match(str(given)):
        problem = (
            f"expected a file or a folder, got the address {given}; download the video, or watch "
            "it with micromimic live"
        )
        yield Input(path, _name(path), InputError(problem))
    elif not path.is_dir():
        yield Input(path, _name(path), None if os.path.lexists(path) else _missing(path))
    else:
        yield from _in_folder(path)


def _missing(path: Path) -> InputError:
    return InputError(
        f"expected a video or a folder of frames at {path}, which does not exist; check the path"
    )


def _in_folder(folder: Path) -> list[Input]:
    """The videos of a folder and its subfolders; where there are none, its folders of frames."""
    found = list(_walk(folder, Path()))
    if not found:
        problem = (
            f"expected videos or at least two frames in {folder} and its subfolders, got none; "
            "check the folder"
        )
        return [Input(folder, _folder_name(folder, Path()), InputError(problem))]
    return [item for item in found if item.problem or not item.path.is_dir()] or found


def _folder_name(folder: Path, way: Path) -> str:
    return "/".join(way.parts) or folder.resolve().name or "root"


def _walk(folder: Path, way: Path) -> Iterator[Input]:
    name = _folder_name(folder, way)
    try:
        videos, images = video_files(folder), image_files(folder)
        inside = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    except OSError as error:
        problem = f"expected to list {folder}, got {error.strerror}; check its permissions"
        yield Input(folder, name, InputError(problem))
        return
    if videos and images:
        problem = (
            f"expected a folder of videos or of frames, got both in {folder} ({len(videos)} "
            f"videos, {len(images)} pictures); name the videos one by one, or move them"
        )
        yield Input(folder, name, InputError(problem))
    elif videos:
        yield from (Input(video, _join(way, _name(video))) for video in videos)
    elif images:
        yield Input(folder, name)
        return
    for place in sorted(inside, key=lambda p: natural_key(p.name)):
        if not place.is_symlink():  # it may lead back
            yield from _walk(place, way / place.name)


def _name(video: Path) -> str:
    """Without its ending, where that leaves a name: ``...mp4`` would lead out of the folder."""
    return video.name if set(video.stem) <= {"."} else video.stem


def assign(
    rows: Sequence[Assignment], inputs: Sequence[Input], table: Path
) -> dict[Path, Assignment]:
    """The row of each input, by its path; a video may be named by the end of its path.

    Raises
    ------
    InputError
        A row is of no input or may be of several, or two rows are of one.
    """
    found: dict[Path, Assignment] = {}
    places: dict[str, list[Input]] = {}
    names: dict[str, list[Input]] = {}
    for item in inputs:
        places.setdefault(place_of(item.path), []).append(item)
        for name in {_plain(item.path.absolute().name), _plain(item.path.absolute().stem)}:
            names.setdefault(name, []).append(item)
    for row in rows:
        meant = _meant(row.video, table, places, names)
        if len(meant) != 1:
            got = f"{meant[0].path} and {meant[1].path}" if meant else "none"
            remedy = "name its folder too" if meant else "correct the row or remove it"
            raise InputError(
                f"expected one input that is {row.video!r} (line {row.line} of {table.name}), got "
                f"{got}; {remedy}"
            )
        path = meant[0].path
        if path in found:
            raise InputError(
                f"expected one row for {path}, got lines {found[path].line} and {row.line}; "
                "remove one"
            )
        found[path] = row
    return found


def _meant(
    video: str,
    table: Path,
    places: Mapping[str, list[Input]],
    names: Mapping[str, list[Input]],
) -> list[Input]:
    """The inputs that a row may mean: the file itself, else those whose path ends so."""
    if exact := places.get(place_of(table.parent / video)):
        return exact
    end = PurePath(_plain(video.replace("\\", "/"))).parts
    return [item for item in names.get(end[-1], ()) if _ends(item.path, end)] if end else []


def _plain(name: str) -> str:
    """An accent as one sign, which some systems write as two."""
    return unicodedata.normalize("NFC", name)


def _ends(path: Path, end: tuple[str, ...]) -> bool:
    there = Path(_plain(str(path.absolute()))).parts[-len(end) :]
    return there == end or (*there[:-1], Path(there[-1]).stem) == end
