"""What action units look like to the dense flow, and what a turning head looks like.

All fields lie on a grid of one sample a canonical unit, ``MARGIN`` units wider than the face's
square on each side, as one row: first all of u, then all of v.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MARGIN as CANVAS_MARGIN, MOUTH, UNITS
from micromimic.core.labels import REGIONS
from micromimic.face.units import RESOLUTION, UNIT_NAMES, depth_field, unit_fields

Array = NDArray[np.float64]
Floats = NDArray[np.floating]

MARGIN: Final = 4
GRID: Final = UNITS + 2 * MARGIN
DIMENSIONS: Final = 20
"""Of the space that is looked at: what the fields of all action units span, by and large."""
UNITS_SEEN: Final = ("1", "2", "4", "5", "6", "7", "9", "10", "12", "14", "15", "17")
"""Action units that are looked for, each side alone and both together."""
TOGETHER: Final = (
    ("1", "2"), ("4", "7"), ("6", "12"), ("4", "9"), ("1", "2", "5"), ("4", "6"), ("9", "10"),
)  # fmt: skip
"""Combinations that micro-expressions are made of."""
UNITS_SPANNING: Final = (*UNITS_SEEN, "20", "23", "24")
"""Action units whose fields span the space; the last ones are mouths that speak."""
REGION_OF: Final = {
    "1": "forehead", "2": "forehead", "4": "forehead", "5": "eyes", "6": "eyes", "7": "eyes",
    "9": "nose", "10": "mouth", "12": "mouth", "14": "mouth", "15": "mouth", "17": "chin",
}  # fmt: skip
FEW: Final = 8
"""Fields that are fitted at once: BLAS takes a second thread for larger products, which then waits
at full speed for more of them, ten times as long as they take."""
_APART: Final = 3  # every so many samples give the spread of all
_BELOW_EYES: Final = 10.0  # row of the canonical face; what lies above is pulled along by a blink


@dataclass(frozen=True)
class Bank:
    """The fields that are looked for, in the space that they span."""

    basis: Array  # (d, 2 * G * G) orthonormal rows
    patterns: Array  # (p, d) fields of one unit's largest displacement, without their rigid part
    upper: Array  # (p,) share of each field's energy about brows and lids
    regions: NDArray[np.intp]  # (p,) each field's place in ``REGIONS``; -1 for combinations
    # (G * G, 4) what head movement does to u, and to v alike: an affine map, by depth too
    rigid: Array
    weight: Array  # (G * G,) where the face is


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The fields of `face.units` on the grid."""
    rows, columns = (np.mgrid[:GRID, :GRID] + 0.5 - GRID / 2) / GRID
    depth = _on_grid(depth_field())
    head = (np.ones_like(columns), columns, rows, depth / np.abs(depth).max())
    rigid = np.stack([field.ravel() for field in head], axis=1)
    x, y = columns * GRID + UNITS / 2, rows * GRID + UNITS / 2
    face = np.exp(-((((x - MOUTH[0]) / 13) ** 4) + (((y - 12) / 15) ** 4)))
    weight = face.ravel()
    fields = unit_fields()
    forms = {unit: _forms(unit, fields) for unit in UNITS_SPANNING}
    spanning = np.array([field for unit in UNITS_SPANNING for field in forms[unit]])
    both = np.tile(weight, 2)
    basis = _span(without_rigid(spanning, rigid, weight) * both)
    named = [(unit, field) for unit in UNITS_SEEN for field in forms[unit]]
    joint = [("", _joined([forms[unit][-1] for unit in units])) for units in TOGETHER]
    sought = np.array([field for _, field in named + joint])
    energy = (sought.reshape(len(sought), 2, GRID, GRID) ** 2).sum(1)
    regions = [REGIONS.index(REGION_OF[unit]) if unit else -1 for unit, _ in named + joint]
    return Bank(
        basis,
        _products(without_rigid(sought, rigid, weight) * both, basis),
        (energy * (y < _BELOW_EYES)).sum((1, 2)) / energy.sum((1, 2)),
        np.array(regions),
        rigid,
        weight,
    )


def without_rigid(rows: Floats, rigid: Floats, weight: Floats, rounds: int = 3) -> Floats:
    """What is left of each field once head movement is fitted away, outliers counting little.
    ``rows``: (n, 2 * G * G)."""
    size = rigid.shape[1]
    products = (rigid[:, :, None] * rigid[:, None, :]).reshape(len(rigid), -1)
    ridge = 1e-6 * np.eye(size, dtype=rows.dtype)
    parts = [rows[i : i + FEW].reshape(-1, len(rigid)) for i in range(0, len(rows), FEW)]
    results = []
    for part in parts:
        left, weights = part, np.broadcast_to(weight, part.shape)
        for _ in range(rounds):
            normal = (weights @ products).reshape(-1, size, size) + ridge
            fitted = np.linalg.solve(normal, ((weights * part) @ rigid)[..., None])[..., 0]
            left = part - fitted @ rigid.T
            spread = np.abs(left.reshape(-1, rows.shape[1])[:, ::_APART])
            scale = 1.48 * np.median(spread, axis=1, keepdims=True) + 1e-3
            weights = weight / (1 + (left / (2 * np.repeat(scale, 2, axis=0))) ** 2)
        results.append(left.reshape(-1, rows.shape[1]))
    return np.concatenate(results)


def _on_grid(canvas: NDArray[np.floating]) -> Array:
    """A field of `face.units` (its last two axes) at one sample a unit."""
    step = int(RESOLUTION)
    cut = int(CANVAS_MARGIN) - MARGIN
    side = canvas.shape[-1] // step
    pooled = canvas.reshape(*canvas.shape[:-2], side, step, side, step).mean((-3, -1))
    return np.asarray(pooled[..., cut : cut + GRID, cut : cut + GRID], np.float64)


def _forms(unit: str, fields: NDArray[np.floating]) -> list[Array]:
    """An action unit as it is looked for: left, right and both sides, or the one in the middle."""
    names = [unit] if unit in UNIT_NAMES else [f"{unit}L", f"{unit}R"]
    sides = [_scaled(_on_grid(fields[UNIT_NAMES.index(name)]).ravel()) for name in names]
    return [*sides, _joined(sides)] if len(sides) == 2 else sides


def _joined(fields: Sequence[Array]) -> Array:
    return _scaled(np.sum(fields, axis=0))


def _scaled(field: Array) -> Array:
    return np.asarray(field / np.hypot(*field.reshape(2, -1)).max())


def _span(fields: Array) -> Array:
    """(d, 2 * G * G) their first principal directions."""
    even = fields / np.linalg.norm(fields, axis=1, keepdims=True)
    power, directions = np.linalg.eigh(_products(even, even))
    strongest = directions[:, : -DIMENSIONS - 1 : -1] / np.sqrt(power[: -DIMENSIONS - 1 : -1])
    return np.asarray(np.einsum("nd,ni->di", strongest, even))


def _products(a: Array, b: Array) -> Array:
    """``a @ b.T`` on one thread."""
    return np.asarray(np.einsum("ai,bi->ab", a, b))
