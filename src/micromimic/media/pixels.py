"""From a decoded picture of any pixel format to grey and RGB arrays."""

from __future__ import annotations

import re
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

_LUMA_FIRST: Final = re.compile(
    r"^(?:yuvj?\d{3}p|yuva\d{3}p|gray|nv\d\d)(?P<bits>\d\d)?(?P<order>le|be)?$"
)


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


def gray_of(picture: av.VideoFrame, quarter_turns: int = 0) -> NDArray[np.uint8]:
    """(H, W) uint8, C-contiguous, a copy of its own.

    Planar YUV and grey give their luma plane as it is (limited or full range makes no difference
    to motion), anything else is converted. ``quarter_turns`` counts counterclockwise.
    """
    layout = luma_layout(picture.format.name)
    if layout is None:
        picture = picture.reformat(format="gray")
        layout = ("u1", 0)
    dtype, shift = np.dtype(layout[0]), layout[1]
    plane = picture.planes[0]
    stride = plane.line_size // dtype.itemsize
    rows = np.frombuffer(memoryview(plane), dtype, count=stride * picture.height).reshape(
        -1, stride
    )
    gray = rows[:, : picture.width]
    if shift:
        gray = gray >> shift
    return np.array(np.rot90(gray, quarter_turns), dtype=np.uint8, order="C")


def rgb_of(picture: av.VideoFrame, quarter_turns: int = 0) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB, C-contiguous; ``quarter_turns`` counts counterclockwise."""
    rgb = picture.to_ndarray(format="rgb24")
    return np.array(np.rot90(rgb, quarter_turns), dtype=np.uint8, order="C")
