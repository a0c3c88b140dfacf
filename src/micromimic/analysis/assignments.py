"""Which input of a batch each row of a table of assignments means."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from micromimic.analysis.inputs import Input, place_of
from micromimic.core.errors import InputError
from micromimic.datasets.assignments import Assignment


def videos_of(rows: Sequence[Assignment], table: Path) -> list[Path]:
    """The videos that a table names, by their way from its folder."""
    return [table.parent / row.video for row in rows]


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
