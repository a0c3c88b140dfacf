"""From flow maps to what the models see: the same numbers for our own maps and published ones."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.errors import InputError

CLAMP: Final = 4.0
"""Standard deviations beyond which a value is cut."""


def center(maps: NDArray[np.generic]) -> NDArray[np.float32]:
    """(n, 3, 28, 28) maps: subtract each channel's median, divide by the spread, clamp, halve.

    The median stands for *no motion* (the published 8-bit maps have no fixed code for it), and the
    spread takes away each channel's unknown scale, so any scale above 0 and any shift of a channel
    gives the same output, within [-2, 2]. A channel without any motion becomes zeros.

    >>> maps = np.random.default_rng(0).normal(size=(1, 3, 28, 28))
    >>> bool(np.allclose(center(maps), center(127 + 40 * maps), atol=1e-5))
    True
    """
    data = _checked(maps).reshape(len(maps), 3, -1)
    shifted = data - np.median(data, axis=2, keepdims=True)
    spread = shifted.std(axis=2, keepdims=True)
    # below rounding error of the values themselves there is no motion to scale up
    still = spread <= 1e-6 * np.abs(data).max(axis=2, keepdims=True, initial=0.0)
    scaled = np.where(still, 0.0, shifted / np.where(still, 1.0, spread))
    return np.asarray(scaled.clip(-CLAMP, CLAMP) / 2, np.float32).reshape(maps.shape)


def mirror(maps: NDArray[np.generic]) -> NDArray[np.float32]:
    """The same movements on the other side of the face: (n, 3, 28, 28) maps flipped, u negated."""
    flipped = np.asarray(_checked(maps)[..., ::-1], np.float32).copy()
    flipped[:, 0] *= -1
    return flipped


def read_flow_png(path: Path) -> NDArray[np.float32]:
    """(3, 28, 28) u, v, strain, 0 to 255, of a published map: an 8-bit colour PNG."""
    import cv2  # noqa: PLC0415 - a third of the program's start; only the published maps need it

    if not path.is_file():
        raise InputError(f"expected a flow map at {path}, found no file; check the manifest's path")
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint8 or picture.shape != (UNITS, UNITS, 3):
        got = "no readable picture" if picture is None else f"{picture.shape} {picture.dtype}"
        raise InputError(
            f"expected a {UNITS} x {UNITS} 8-bit colour PNG, got {got} in {path}; "
            "pass maps whose channels are u, v, strain"
        )
    return np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1), dtype=np.float32)


def _checked(maps: NDArray[np.generic]) -> NDArray[np.float64]:
    if maps.ndim != 4 or maps.shape[1:] != (3, UNITS, UNITS):
        raise ValueError(f"maps must be (n, 3, {UNITS}, {UNITS}), got {maps.shape}")
    data = np.asarray(maps, dtype=np.float64)
    if not np.isfinite(data).all():
        raise ValueError("maps must be finite, got NaN or infinity; leave lost frames out")
    return data
