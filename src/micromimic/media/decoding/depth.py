"""Bits: how many a recording uses, decided once for all of it, so that no light flickers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.media.frames import Notice

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
            f"expected light within {bits} bits, as in pictures from all over the recording, got "
            f"more in {cut} frame{'s' if cut > 1 else ''}; what is brighter is white there; store "
            "the recording in 8 bits, with the light that matters in them",
        )
