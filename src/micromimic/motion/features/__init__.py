"""Spatio-temporal descriptors of a face clip: LBP-TOP and those named beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.motion.features.hog_top import higo_top, hog_top
from micromimic.motion.features.lbp_top import lbp_sip, lbp_top, lbp_top_by_planes
from micromimic.motion.tim import interpolate

__all__ = [
    "DESCRIPTORS",
    "FRAMES",
    "Descriptor",
    "higo_top",
    "hog_top",
    "lbp_sip",
    "lbp_top",
    "lbp_top_by_planes",
]

Descriptor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(T, H, W) uint8, T of 2 or more, to (d,) float32."""

FRAMES: Final = 10  # frames that every clip is interpolated to


def _describe(volume: NDArray[np.uint8], *, descriptor: Descriptor) -> NDArray[np.float32]:
    return descriptor(interpolate(volume, FRAMES))


DESCRIPTORS: Final[Mapping[str, Descriptor]] = MappingProxyType(
    {
        "lbp-top": partial(_describe, descriptor=lbp_top),
        "lbp-top-by-planes": partial(_describe, descriptor=lbp_top_by_planes),
        "lbp-sip": partial(_describe, descriptor=lbp_sip),
        "hog-top": partial(_describe, descriptor=hog_top),
        "higo-top": partial(_describe, descriptor=higo_top),
    }
)
"""Descriptors by name, each with the article's settings: 10 frames by temporal interpolation, 5 x 5
blocks, radii 1, 1, 4 (along x, y and t, or ``by-planes``), four neighbours. InputError is raised on
a clip of one frame."""
