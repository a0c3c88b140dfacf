"""One frame, and what every source of frames offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError

GrayImage = NDArray[np.uint8]
ColourImage = NDArray[np.uint8]


class Yuv(NamedTuple):
    """A picture as video stores it, with 8 bits; read only, rows may lie apart in memory."""

    luma: GrayImage  # (H, W)
    blue: GrayImage  # as large, or half as high, as wide or both, rounded up
    red: GrayImage
    matrix: int  # FFmpeg's number for how it came from RGB
    full_range: bool  # 0 to 255, not 16 to 235


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame. A frame of a video keeps its decoded picture alive (about 1.5 bytes a
    pixel), and so does its ``gray``, which often is a part of it: keep a copy of what is needed
    where frames are collected."""

    index: int  # position in the order of decoding, from 0
    time: float  # seconds from the first frame
    gray: GrayImage  # (H, W) uint8, read only; rows may lie apart in memory
    # makes the (H, W, 3) picture when asked; None for a grey source
    load_rgb: Callable[[], ColourImage] | None = field(default=None, repr=False)
    # the picture as it is stored, where that is YUV with 8 bits
    load_yuv: Callable[[], Yuv | None] | None = field(default=None, repr=False)
    few: GrayImage | None = field(default=None, repr=False)  # `sparse` pixels of ``gray``

    def rgb(self) -> ColourImage:
        """(H, W, 3) uint8 RGB, converted at each call and not kept."""
        if self.load_rgb is None:
            return np.repeat(self.gray[..., None], 3, axis=2)
        return self.load_rgb()

    def yuv(self) -> Yuv | None:
        """The picture without a conversion; None where it is stored in another way."""
        return None if self.load_yuv is None else self.load_yuv()


@dataclass(frozen=True, slots=True)
class Notice:
    """What a source did, or found, that weakens a result although nothing is damaged."""

    code: str  # stable, for programs: the code of the warning that it becomes
    message: str  # one line for people: what is so, what that means, what to do


class Frames(Protocol):
    """Single frames, asked for again after a first pass."""

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames by ascending index."""


class FrameSource(Protocol):
    """Frames in order, any number of times, and single frames again later."""

    path: str  # as given
    width: int  # pixels, after rotation
    height: int
    expected_frames: int | None  # as the container states; known when the iteration has ended
    nominal_fps: float | None  # as the container states, or the caller

    @property
    def damage(self) -> tuple[str, ...]:
        """What is wrong with the source, a line each; complete after the iteration."""

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was chosen or noticed, and weakens the result; complete after the iteration."""

    @property
    def picture_share(self) -> float:
        """How many of the frames show a new picture: times the rate of the frames, it is the rate
        of the pictures; complete after the iteration, 1 until then."""

    @property
    def media_times(self) -> Sequence[float] | None:
        """Where a player of the file shows each frame; None where that is the frame's time."""

    def __iter__(self) -> Iterator[Frame]:
        """All frames, times rising strictly from 0."""

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames by ascending index, after (or without) a first pass."""

    def close(self) -> None:
        """Stop reading and free everything; iterating again is an error."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None: ...


def check_ascending(indices: Sequence[int]) -> None:
    """Raise ValueError unless indices are not below 0 and never fall."""
    previous = 0
    for index in indices:
        if index < previous:
            raise ValueError(f"indices must ascend from 0, got {index} after {previous}")
        previous = index


def read_again(reader: Iterator[Frame], wanted: int) -> Frame:
    """The next frame of a second pass, on the way to the one that is ``wanted``."""
    for frame in reader:
        return frame
    raise InputError(
        f"expected frame {wanted} again in the second pass, the file ended before; the file "
        "changed while it was read - analyse a copy"
    )
