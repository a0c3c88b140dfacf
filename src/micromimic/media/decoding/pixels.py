"""From a decoded picture of any format to upright grey and RGB arrays of 8 bits."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Final, cast

import av
import cv2
import numpy as np
from av.buffer import Buffer
from numpy.typing import NDArray

from micromimic.media.frames import Notice, Yuv

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
        return self.stretched[::-1] if self.transposed else self.stretched

    @property
    def as_stored(self) -> bool:
        """Whether the picture to be looked at is the decoded one."""
        turned = self.transposed or self.mirrored or self.upended
        return self.stretched == self.stored and not turned

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
    a, b, c, d = 1, 0, 0, 1
    sides = cast("Mapping[str, Buffer]", picture.side_data)
    if "DISPLAYMATRIX" in sides:
        matrix = np.frombuffer(memoryview(sides["DISPLAYMATRIX"]), np.int32, count=9)
        a, b, _, c, d = matrix[:5].tolist()
    # A point (x, y) is shown at (a x + c y, b x + d y): the nearest of the eight orientations.
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    across, down = (c, b) if transposed else (a, d)
    stored = picture.width, picture.height
    return Geometry(stored, _stretched(stored, pixel_shape), transposed, across < 0, down < 0)


def is_odd_shape(pixel_shape: Fraction | None) -> bool:
    """Whether pixels are stated to have a shape that no recording has."""
    return bool(pixel_shape) and not 1 / ODDEST_PIXEL <= float(pixel_shape or 1) <= ODDEST_PIXEL


def picture_notices(pixel_shape: Fraction | None, interlaced: int) -> Iterator[Notice]:
    if is_odd_shape(pixel_shape):
        yield Notice(
            "pixel_shape",
            f"The file says that its pixels are {pixel_shape} as wide as high, which no camera's "
            f"are (at most {ODDEST_PIXEL}): they are taken as square. Write the file anew with the "
            "right aspect ratio if the face looks stretched.",
        )
    if interlaced:
        frames = "frame" if interlaced == 1 else "frames"
        yield Notice(
            "interlaced",
            f"The file has {interlaced} interlaced {frames}, with two moments in alternate lines: "
            "moving edges look like combs, which hides and fakes small movements. Deinterlace to "
            "one frame a field first, for example with `ffmpeg -i IN -vf bwdif -crf 12 OUT.mp4`.",
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


DEPTH_SAMPLES: Final = 16  # pictures that are asked how many bits a recording uses
_DEPTHS: Final = (8, 10, 12, 14, 16)  # bits that cameras measure with


def bits_in_use(largest: int) -> int:
    """Bits that a camera needed for its brightest pixel: 12 are often stored in 16 as they are.

    >>> bits_in_use(200), bits_in_use(3900), bits_in_use(65535)
    (8, 12, 16)
    """
    return next(bits for bits in _DEPTHS if largest < 1 << bits)


def to_8_bits(values: NDArray[np.unsignedinteger], bits: int) -> NDArray[np.uint8]:
    """The upper 8 of ``bits``; what is brighter still is white.

    >>> to_8_bits(np.array([0, 16, 4095, 5000], np.uint16), 12)
    array([  0,   1, 255, 255], dtype=uint8)
    """
    if values.dtype == np.uint8:
        return np.asarray(values, np.uint8)
    return np.asarray(np.minimum(values >> np.uint16(bits - 8), 255), np.uint8)


def depth_notices(bits: int, cut: int) -> Iterator[Notice]:
    """What came of deciding on ``bits`` by a sample, where ``cut`` frames are brighter."""
    if cut:
        yield Notice(
            "clipped_light",
            f"{cut} frame{'s are' if cut > 1 else ' is'} brighter than the {bits} bits of pictures "
            "from all over the recording: what is brighter is white there. Store the recording in "
            "8 bits, with the light that matters in them.",
        )


_LUMA_FIRST: Final = re.compile(
    r"^(?:yuvj?\d{3}p|yuva\d{3}p|gray|nv\d\d)(?P<bits>\d\d)?(?P<order>le|be)?$"
)


@cache
def luma_layout(pixel_format: str) -> tuple[str, int] | None:
    """How the first plane of a format holds luma: numpy dtype and the shift down to 8 bits; None
    for formats whose first plane is not luma alone (RGB, palette, packed).

    >>> luma_layout("yuv420p"), luma_layout("yuv422p10le"), luma_layout("rgb24")
    (('u1', 0), ('<u2', 2), None)
    """
    if pixel_format == "gray8a":
        return None
    match = _LUMA_FIRST.match(pixel_format)
    if match is None:
        return None
    bits = 8 if pixel_format.startswith("nv") else int(match["bits"] or 8)
    if bits == 8:
        return "u1", 0
    return (">u2" if match["order"] == "be" else "<u2"), bits - 8


_DEEP: Final = re.compile(r"(?:gray|ya|rgb|bgr|rgba|bgra|gbrp|gbrap)(?:16|48|64)(?:le|be)$")


@cache
def stores_16_bits(pixel_format: str) -> bool:
    """Whether a format's 16 bits may hold fewer, without a word; YUV's levels are fixed.

    >>> stores_16_bits("gray16le"), stores_16_bits("gray12le"), stores_16_bits("yuv444p16le")
    (True, False, False)
    """
    return _DEEP.match(pixel_format) is not None


def largest_of(picture: av.VideoFrame) -> int:
    """The largest value of any channel of a picture that ``stores_16_bits``; 0 of others."""
    return int(_deep(picture).max()) if stores_16_bits(picture.format.name) else 0


def _deep(picture: av.VideoFrame) -> NDArray[np.uint16]:
    """(H, W) or (H, W, 3) with all 16 bits."""
    picture = _downward(picture)
    if picture.format.name.startswith("gray"):
        return np.asarray(_rows(picture, "<u2" if picture.format.name.endswith("le") else ">u2"))
    gray = picture.format.name.startswith("ya")
    return np.asarray(picture.to_ndarray(format="gray16le" if gray else "rgb48le"), np.uint16)


def _rows(picture: av.VideoFrame, kind: str) -> NDArray[np.unsignedinteger]:
    """(H, W) of the first plane in the decoder's own memory, which ends with the picture."""
    plane, dtype = picture.planes[0], np.dtype(kind)
    stride = abs(plane.line_size)
    size = stride * picture.height
    upward = plane.line_size < 0  # the plane is said to begin with the last row in memory
    first = plane.buffer_ptr - (size - stride if upward else 0)
    buffer = memoryview((ctypes.c_uint8 * size).from_address(first))
    rows = np.frombuffer(buffer, dtype, count=size // dtype.itemsize).reshape(picture.height, -1)
    return rows[:: -1 if upward else 1, : picture.width]


def _shared(plane: av.video.plane.VideoPlane) -> NDArray[np.uint8]:
    """(H, W) of a plane which is 8 bits deep and runs downward; it keeps the picture."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    rows.flags.writeable = False  # later pictures are predicted from it
    return rows[: plane.height, : plane.width]


def _downward(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture with its first line first: some cameras' files store them from below."""
    if picture.planes[0].line_size >= 0:
        return picture
    return picture.reformat(format="rgb48le" if stores_16_bits(picture.format.name) else "rgb24")


def gray_of(picture: av.VideoFrame, geometry: Geometry, bits: int = 16) -> NDArray[np.uint8]:
    """(H, W) uint8. Planar YUV and grey give their luma plane as it is (limited or full range makes
    no difference to motion), anything else is converted. Where nothing has to be done to it, this
    is the decoder's own memory: not to be written to, rows may lie apart, and it lives as long as
    the array. ``bits`` are in use of a picture that ``stores_16_bits``."""
    if bits < 16 and stores_16_bits(picture.format.name):
        deep = to_8_bits(_deep(picture), bits)
        gray = deep if deep.ndim == 2 else cv2.cvtColor(deep, cv2.COLOR_RGB2GRAY)
        return geometry.apply(np.asarray(gray, np.uint8))
    picture = _downward(picture)
    layout = luma_layout(picture.format.name)
    if layout is None:
        picture = picture.reformat(format="gray")
        layout = ("u1", 0)
    if layout == ("u1", 0) and geometry.as_stored:
        return _shared(picture.planes[0])
    gray = _rows(picture, layout[0])
    return geometry.apply((gray >> layout[1]).astype(np.uint8) if layout[1] else gray)


def bytes_of(picture: av.VideoFrame, geometry: Geometry) -> int:
    """What a frame keeps: the decoded picture, and the grey one where that is no part of it."""
    stored = sum(plane.buffer_size for plane in picture.planes)
    shared = geometry.as_stored and luma_layout(picture.format.name) == ("u1", 0)
    return stored + (0 if shared else geometry.size[0] * geometry.size[1])


def rgb_of(picture: av.VideoFrame, geometry: Geometry, bits: int = 16) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, C-contiguous; ``bits`` as for ``gray_of``."""
    if bits < 16 and stores_16_bits(picture.format.name):
        rgb = to_8_bits(_deep(picture), bits)
        return geometry.apply(rgb if rgb.ndim == 3 else np.repeat(rgb[..., None], 3, axis=2))
    return geometry.apply(np.asarray(_downward(picture).to_ndarray(format="rgb24"), np.uint8))


BT601: Final = 6  # FFmpeg's number for its matrix: what swscale and OpenCV convert with
_UNSTATED: Final = frozenset({0, 2, 3})  # 0 is RGB's, which YUV cannot have, 3 nobody's
_FULL_RANGE: Final = 2  # AVCOL_RANGE_JPEG


_PLANAR: Final = re.compile(r"yuv(?P<full>j?)4(?:20|22|44)p")


def yuv_of(picture: av.VideoFrame, geometry: Geometry) -> Yuv | None:
    """The picture as it is stored, the right way up; None where it is not planes of 8 bits, or its
    pixels are not square. As with ``gray_of`` it may be the decoder's own memory."""
    planar = _PLANAR.fullmatch(picture.format.name)
    if not planar or picture.planes[0].line_size < 0 or geometry.stretched != geometry.stored:
        return None
    full = bool(planar["full"]) or picture.color_range == _FULL_RANGE
    planes = [_shared(plane) for plane in picture.planes]
    luma, blue, red = planes if geometry.as_stored else map(geometry.apply, planes)
    matrix = BT601 if int(picture.colorspace) in _UNSTATED else int(picture.colorspace)
    return Yuv(luma, blue, red, matrix, full)
