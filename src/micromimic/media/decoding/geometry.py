"""From stored pixels to the picture that players show: stretched, then turned or mirrored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from numpy.typing import NDArray

from micromimic.media.frames import Notice

ODDEST_PIXEL: Final = 4  # pixels stated to be longer than this many times their width are a mistake

_SQUARE_ENOUGH: Final = 0.01  # 1280:1279 and the like come of rounding a size to even numbers


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a decoded picture becomes the one to be looked at."""

    stored: tuple[int, int]  # width and height as decoded
    stretched: tuple[int, int]  # width and height with square pixels: never smaller than ``stored``
    transposed: bool = False  # rows become columns, before anything is mirrored
    mirrored: bool = False  # left and right change places
    upended: bool = False  # top and bottom change places

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture to be looked at."""
        return self.stretched[::-1] if self.transposed else self.stretched

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture to be looked at, in memory of its own. ``picture``: (H, W) or (H, W,
        channels) as stored."""
        if self.stretched != self.stored:
            picture = cv2.resize(picture, self.stretched, interpolation=cv2.INTER_LINEAR)
        if self.transposed:
            picture = picture.swapaxes(0, 1)
        if self.mirrored:
            picture = picture[:, ::-1]
        if self.upended:
            picture = picture[::-1]
        return np.array(picture, dtype=np.uint8, order="C")


def geometry_of(picture: av.VideoFrame, pixel_shape: Fraction | None) -> Geometry:
    """Geometry of a picture, from its display matrix and the shape of its pixels. ``pixel_shape``:
    width of a pixel over its height; None, 0 or nonsense is square."""
    a, b, c, d = _display_matrix(picture)
    # A point (x, y) is shown at (a x + c y, b x + d y): the nearest of the eight orientations.
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if transposed else (a, d)
    stored = picture.width, picture.height
    return Geometry(stored, _stretched(stored, pixel_shape), transposed, across < 0, down < 0)


def is_odd_shape(pixel_shape: Fraction | None) -> bool:
    """Whether pixels are stated to have a shape that no recording has.

    >>> [is_odd_shape(shape) for shape in (None, Fraction(2), Fraction(1, 2), Fraction(1000))]
    [False, False, False, True]
    """
    return bool(pixel_shape) and not 1 / ODDEST_PIXEL <= float(pixel_shape or 1) <= ODDEST_PIXEL


def picture_notices(pixel_shape: Fraction | None, interlaced: int) -> Iterator[Notice]:
    """What is wrong with the pictures of a video."""
    if is_odd_shape(pixel_shape):
        yield Notice(
            "pixel_shape",
            f"expected pixels at most {ODDEST_PIXEL} times as long as wide, got {pixel_shape} as "
            "width over height in the file; they are taken as square; write the file anew with the "
            "right aspect ratio if the face looks stretched",
        )
    if interlaced:
        frames = "frame" if interlaced == 1 else "frames"
        yield Notice(
            "interlaced",
            f"expected whole pictures, got {interlaced} interlaced {frames}, two moments in "
            "alternate lines of each; moving edges look like combs, which hides and fakes small "
            "movements; "
            "deinterlace to one frame a field first, for example with "
            "`ffmpeg -i IN -vf bwdif -crf 12 OUT.mp4`",
        )


def _stretched(size: tuple[int, int], pixel_shape: Fraction | None) -> tuple[int, int]:
    """The longer way is enlarged, so that no pixel is lost.

    >>> _stretched((320, 480), Fraction(2)), _stretched((720, 480), Fraction(8, 9))
    ((640, 480), (720, 540))
    >>> _stretched((853, 480), Fraction(1280, 1279)), _stretched((64, 48), Fraction(1000))
    ((853, 480), (64, 48))
    """
    width, height = size
    shape = 1.0 if is_odd_shape(pixel_shape) else float(pixel_shape or 1)
    if abs(shape - 1) <= _SQUARE_ENOUGH:
        return size
    return (round(width * shape), height) if shape > 1 else (width, round(height / shape))


def _display_matrix(picture: av.VideoFrame) -> tuple[int, int, int, int]:
    sides = cast("Mapping[str, Buffer]", picture.side_data)
    if "DISPLAYMATRIX" not in sides:
        return 1, 0, 0, 1
    matrix = np.frombuffer(memoryview(sides["DISPLAYMATRIX"]), np.int32, count=9)
    a, b, _, c, d = (int(value) for value in matrix[:5])
    return a, b, c, d
