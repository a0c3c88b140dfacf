"""From what a person names (files, folders of frames, folders of videos) to the inputs to analyse.

>>> [item.name for item in expand_inputs(["talks/anna.mp4", "talks/ben.v2.mov", "talks/...mp4"])]
['anna', 'ben.v2', '...mp4']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from micromimic.core.errors import InputError, MicromimicError
from micromimic.media.formats import image_files, video_files


class NameClashError(MicromimicError):
    """Two inputs would write to one results folder."""


@dataclass(frozen=True)
class Input:
    path: Path  # what to read
    # of its results folder: a file's name without its ending, a folder's name. Never a way to
    # another folder
    name: str
    problem: InputError | None = None  # why it cannot be read, when that is known already


def expand_inputs(paths: Sequence[str | Path]) -> list[Input]:
    """Each file and each folder of frames as one input, each folder of videos as its videos. What
    cannot be read stays in the list (missing, or with its ``problem``), so that the others are
    analysed."""
    inputs = [item for path in paths for item in _expand(Path(path))]
    seen: dict[str, Input] = {}
    for item in inputs:
        if item.name in seen:
            raise NameClashError(
                f"expected inputs of different names, got {seen[item.name].path} and {item.path}, "
                f"both {item.name!r}; analyse them apart with an --out of their own"
            )
        seen[item.name] = item
    return inputs


def _expand(path: Path) -> Iterator[Input]:
    if not path.is_dir():
        yield Input(path, _name(path))
        return
    name = path.resolve().name or "root"
    try:
        videos, images = video_files(path), image_files(path)
    except OSError as error:
        yield Input(
            path,
            name,
            InputError(f"expected to list {path}, got {error.strerror}; check its permissions"),
        )
        return
    if videos and images:
        yield Input(
            path,
            name,
            InputError(
                f"expected a folder of videos or of frames, got both in {path} ({len(videos)} "
                f"videos, {len(images)} pictures); name the videos one by one, or move them"
            ),
        )
    elif videos:
        yield from (Input(video, _name(video)) for video in videos)
    else:
        yield Input(path, name)


def _name(video: Path) -> str:
    """Without its ending, where that leaves a name: ``...mp4`` would lead out of the folder."""
    return video.name if set(video.stem) <= {"."} else video.stem
