"""The frames of a clip, whatever it is stored as, under the numbers that its manifest uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.datasets.manifest import Clip, frame_number
from micromimic.media.folder import read_image
from micromimic.media.formats import image_files
from micromimic.media.video import Frame, FrameSource, open_source
from micromimic.motion.apex import to_gray

APEX_SLACK: Final = 3  # frames by which a missing apex may be replaced by a neighbour

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class ClipFrames:
    clip: Clip
    numbers: tuple[int, ...]  # T of them, ascending
    gray: tuple[Gray, ...]  # T pictures (H, W)
    fps: float | None  # frames a second; None where nobody says
    notes: tuple[str, ...]  # what is not as the manifest has it, a line each
    places: Mapping[int, int]  # number of each frame to its index in the source

    def rgb(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        """(H, W, 3) pictures of some rows, read again; grey ones have three equal channels."""
        indices = {row: self.places[self.numbers[row]] for row in rows}
        with open_source(self.clip.path, self.fps or 1.0) as source:
            found = {f.index: f.rgb() for f in source.frames_at(sorted(set(indices.values())))}
        return [found[indices[row]] for row in rows]

    def row_of(self, number: int) -> tuple[int, str | None]:
        """Index of a frame, or of the nearest where it is missing, and then a note on that."""
        gaps = np.abs(np.array(self.numbers) - number)
        row = int(gaps.argmin())
        if gaps[row] > APEX_SLACK:
            raise InputError(
                f"expected the apex, frame {number}, among the frames {self.numbers[0]} to "
                f"{self.numbers[-1]} of {self.clip.path}, got none near it; correct the manifest"
            )
        if gaps[row] == 0:
            return row, None
        return row, f"apex frame {number} is missing, {self.numbers[row]} is taken"


def read_frames(clip: Clip, most: int) -> ClipFrames:
    places = None
    if clip.kind == "frames":
        places = {number: index for number, (index, _) in numbered_pictures(clip).items()}
        _check_many(len(places), clip, most)
    try:
        with open_source(clip.path, clip.fps or (1.0 if places else None)) as source:
            if places:
                found = list(source.frames_at(sorted(places.values())))
                fps = clip.fps
            else:
                found = list(_of_video(source, clip, most))
                places = {frame.index: frame.index for frame in found}
                fps = clip.fps or source.nominal_fps
            pictures = {frame.index: frame.gray for frame in found}
    except IndexError as error:
        raise InputError(f"{error}; correct onset and offset in the manifest") from None
    if len(found) < 2:
        raise InputError(
            f"expected at least 2 frames from onset to offset in {clip.path}, got {len(found)}; "
            "correct the manifest"
        )
    numbers = tuple(sorted(places))
    first, last = numbers[0] if clip.onset is None else clip.onset, clip.offset
    count = (numbers[-1] if last is None else last) - first + 1
    lost = count - len(numbers)
    notes = (f"{lost} of {count} frames from onset to offset are missing",) if lost > 0 else ()
    gray = tuple(pictures[places[number]] for number in numbers)
    return ClipFrames(clip, numbers, gray, fps, notes, places)


def numbered_pictures(clip: Clip) -> dict[int, tuple[int, Path]]:
    """By number, each picture from onset to offset, and its index among the folder's pictures."""
    try:
        files = image_files(clip.path)
    except OSError as error:
        raise InputError(
            f"expected a folder of frames at {clip.path}, got {error.strerror or error}; "
            "check the path and its permissions"
        ) from None
    low, high = clip.onset or 0, inf if clip.offset is None else clip.offset
    numbers = [frame_number(file.name) for file in files]
    places: dict[int, tuple[int, Path]] = {}
    for index, (number, file) in enumerate(zip(numbers, files, strict=True)):
        # an empty file is a copy that broke off: as missing as if it were not there
        if number is None or not low <= number <= high or file.stat().st_size == 0:
            continue
        if number in places:
            raise InputError(
                f"expected each frame once, got {places[number][1].name} and {file.name} in "
                f"{clip.path}; remove one"
            )
        places[number] = index, file
    if not places:
        seen = [number for number in numbers if number is not None]
        got = f"{min(seen)} to {max(seen)}" if seen else f"{len(files)} pictures without numbers"
        any_number = clip.offset is None and low == 0
        wanted = "numbered pictures" if any_number else f"frames {low} to {high}"
        raise InputError(
            f"expected {wanted} in {clip.path}, got {got}; correct onset and offset in the manifest"
        )
    return places


def read_picture(path: Path) -> tuple[Gray, NDArray[np.uint8]]:
    """One picture: (H, W) grey and (H, W, 3) RGB, uint8."""
    rgb = np.ascontiguousarray(read_image(path, cv2.IMREAD_COLOR)[..., ::-1])
    return to_gray(rgb), rgb


def _of_video(source: FrameSource, clip: Clip, most: int) -> Iterator[Frame]:
    first = clip.onset or 0
    if clip.offset is not None:
        _check_many(clip.offset - first + 1, clip, most)
        yield from source.frames_at(range(first, clip.offset + 1))
        return
    for frame in source:
        if frame.index >= first:
            _check_many(frame.index - first + 1, clip, most)
            yield frame


def _check_many(count: int, clip: Clip, most: int) -> None:
    if count > most:
        raise InputError(
            f"expected at most {most} frames from onset to offset in {clip.path}, got more; give "
            "onset and offset in the manifest"
        )
