"""The frames of a clip, whatever it is stored as, under the numbers that its manifest uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.datasets.manifest import Clip, frame_number
from micromimic.errors import InputError
from micromimic.media.folder import read_image
from micromimic.media.formats import image_files
from micromimic.media.video import Frame, FrameSource, open_source
from micromimic.motion.apex import to_gray

APEX_SLACK: Final = 3
"""Frames by which a missing apex frame may be replaced by a neighbour."""

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class ClipFrames:
    """The frames of one clip from onset to offset.

    Args:
        numbers: (T,) of the frames, ascending.
        gray: T pictures (H, W) uint8.
        fps: frames a second; None where nobody says.
        notes: what is not as the manifest has it, a line each.
        places: index of each frame in its source.
    """

    clip: Clip
    numbers: tuple[int, ...]
    gray: tuple[Gray, ...]
    fps: float | None
    notes: tuple[str, ...] = ()
    places: Mapping[int, int] = field(default_factory=dict)

    def rgb(self, rows: Sequence[int]) -> list[NDArray[np.uint8]]:
        """(H, W, 3) pictures of some frames, read again; grey ones have three equal channels.

        Args:
            rows: indices into ``numbers``, in any order.
        """
        indices = {row: self.places[self.numbers[row]] for row in rows}
        with open_source(self.clip.path, self.fps or 1.0) as source:
            found = {f.index: f.rgb() for f in source.frames_at(sorted(set(indices.values())))}
        return [found[indices[row]] for row in rows]

    def row_of(self, number: int) -> tuple[int, str | None]:
        """Index of a frame, or of the nearest where it is missing, and then a note on that.

        Raises:
            InputError: if no frame is near it.
        """
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
    """Read a clip of kind ``frames`` or ``video``, from onset to offset.

    Args:
        clip: where onset or offset is None the clip's first or last frame stands for it.
        most: frames at most: a longer clip is no clip of one micro-expression.

    Raises:
        InputError: frames are missing, unreadable, numbered twice, too few or too many.
    """
    places = None
    if clip.kind == "frames":
        places = {number: index for number, (index, _) in numbered_pictures(clip).items()}
    _check_many(len(places or ()), clip, most)
    try:
        with open_source(clip.path, clip.fps or (1.0 if places is not None else None)) as source:
            if places is None:
                frames = list(_of_video(source, clip, most))
                numbers = [frame.index for frame in frames]
                places = {n: n for n in numbers}
                fps = clip.fps or source.nominal_fps
            else:
                by_place = {f.index: f for f in source.frames_at(sorted(places.values()))}
                numbers = sorted(places)
                frames = [by_place[places[number]] for number in numbers]
                fps = clip.fps
            gray = tuple(frame.gray for frame in frames)
    except IndexError as error:
        raise InputError(f"{error}; correct onset and offset in the manifest") from None
    if len(gray) < 2:
        raise InputError(
            f"expected at least 2 frames from onset to offset in {clip.path}, got {len(gray)}; "
            "correct the manifest"
        )
    low = numbers[0] if clip.onset is None else clip.onset
    high = numbers[-1] if clip.offset is None else clip.offset
    count = high - low + 1
    lost = count - len(numbers)
    notes = (f"{lost} of {count} frames from onset to offset are missing",) if lost > 0 else ()
    return ClipFrames(clip, tuple(numbers), gray, fps, notes, places)


def numbered_pictures(clip: Clip) -> dict[int, tuple[int, Path]]:
    """By number, each picture from onset to offset, and its index among the folder's pictures.

    Raises:
        InputError: no picture bears a number, two bear the same, or the folder cannot be read.
    """
    try:
        files = image_files(clip.path)
    except OSError as error:
        raise InputError(
            f"expected a folder of frames at {clip.path}, got {error.strerror or error}; "
            "check the path and its permissions"
        ) from None
    low, high = _ends(clip)
    places: dict[int, tuple[int, Path]] = {}
    for index, file in enumerate(files):
        number = frame_number(file.name)
        if number is None or not low <= number <= high:
            continue
        if file.stat().st_size == 0:  # a copy that broke off: as missing as if it were not there
            continue
        if number in places:
            raise InputError(
                f"expected each frame once, got {places[number][1].name} and {file.name} in "
                f"{clip.path}; remove one"
            )
        places[number] = index, file
    if not places:
        seen = [n for n in (frame_number(file.name) for file in files) if n is not None]
        got = f"{min(seen)} to {max(seen)}" if seen else f"{len(files)} pictures without numbers"
        wanted = "numbered pictures" if high == _NO_END and low == 0 else f"frames {low} to {high}"
        raise InputError(
            f"expected {wanted} in {clip.path}, got {got}; correct onset and offset in the manifest"
        )
    return places


def read_picture(path: Path) -> tuple[Gray, NDArray[np.uint8]]:
    """One picture: (H, W) grey and (H, W, 3) RGB, uint8.

    Raises:
        InputError: if it cannot be read.
    """
    rgb = np.ascontiguousarray(read_image(path, cv2.IMREAD_COLOR)[..., ::-1])
    return to_gray(rgb), rgb


_NO_END: Final = 10**18
"""Stands for an unknown offset."""


def _ends(clip: Clip) -> tuple[int, int]:
    return clip.onset or 0, _NO_END if clip.offset is None else clip.offset


def _of_video(source: FrameSource, clip: Clip, most: int) -> Iterator[Frame]:
    first, last = _ends(clip)
    if last != _NO_END:
        _check_many(last - first + 1, clip, most)
        yield from source.frames_at(range(first, last + 1))
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
