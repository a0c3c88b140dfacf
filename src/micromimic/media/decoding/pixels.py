"""From a decoded picture of any pixel format to grey and RGB arrays."""

from __future__ import annotations

import ctypes
import re
from functools import cache
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.media.decoding.depth import to_8_bits
from micromimic.media.decoding.geometry import Geometry

_LUMA_FIRST: Final = re.compile(
    r"^(?:yuvj?\d{3}p|yuva\d{3}p|gray|nv\d\d)(?P<bits>\d\d)?(?P<order>le|be)?$"
)


@cache
def luma_layout(pixel_format: str) -> tuple[str, int] | None:
    """How the first plane of a format holds luma: numpy dtype and the shift down to 8 bits.

    None for formats whose first plane is not luma alone (RGB, palette, packed).

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
    if not stores_16_bits(picture.format.name):
        return 0
    return int(_deep(picture).max())


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


def _downward(picture: av.VideoFrame) -> av.VideoFrame:
    """The picture with its first line first: some cameras' files store them from below."""
    if picture.planes[0].line_size >= 0:
        return picture
    return picture.reformat(format="rgb48le" if stores_16_bits(picture.format.name) else "rgb24")


def gray_of(picture: av.VideoFrame, geometry: Geometry, bits: int = 16) -> NDArray[np.uint8]:
    """(H, W) uint8, C-contiguous, a copy of its own.

    Planar YUV and grey give their luma plane as it is (limited or full range makes no difference to
    motion), anything else is converted. ``bits`` are in use of a picture that ``stores_16_bits``.
    """
    if bits < 16 and stores_16_bits(picture.format.name):
        deep = to_8_bits(_deep(picture), bits)
        gray = deep if deep.ndim == 2 else cv2.cvtColor(deep, cv2.COLOR_RGB2GRAY)
        return geometry.apply(np.asarray(gray, np.uint8))
    picture = _downward(picture)
    layout = luma_layout(picture.format.name)
    if layout is None:
        picture = picture.reformat(format="gray")
        layout = ("u1", 0)
    gray = _rows(picture, layout[0])
    return geometry.apply((gray >> layout[1]).astype(np.uint8) if layout[1] else gray)


def rgb_of(picture: av.VideoFrame, geometry: Geometry, bits: int = 16) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, C-contiguous; ``bits`` as for ``gray_of``."""
    if bits < 16 and stores_16_bits(picture.format.name):
        rgb = to_8_bits(_deep(picture), bits)
        return geometry.apply(rgb if rgb.ndim == 3 else np.repeat(rgb[..., None], 3, axis=2))
    return geometry.apply(np.asarray(_downward(picture).to_ndarray(format="rgb24"), np.uint8))
