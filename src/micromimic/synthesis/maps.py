"""Synthetic onset-to-apex flow maps: action units plus everything that spoils real flow.

Real flow between two frames of a face is never the muscles' motion alone. Each nuisance is a named
parameter of `MapConfig`, so that its share in a model's accuracy can be measured
(``benchmarks/ablations.py``); what it does is one function of `synthesis.map_nuisances`.

Map ``i`` has a source of chance of its own, ``[seed, 1, i]``: it is the same whatever else is drawn
with it. Maps are worked on some tens at a time, all of them by the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.face.units import CANVAS, RESOLUTION, UNIT_NAMES, depth_field, unit_fields
from micromimic.motion.flow import strain_of
from micromimic.synthesis import map_nuisances as spoil
from micromimic.synthesis.anny_units import Faces, load_anny_units
from micromimic.synthesis.map_nuisances import Dice, MapConfig
from micromimic.synthesis.recipes import sample_recipe

__all__ = ["DrawnMaps", "Faces", "MapConfig", "draw_maps", "generate_maps", "maps_of_units"]

Array = NDArray[np.float32]

_CHUNK: Final = 32
_BLINKS: Final = [UNIT_NAMES.index("45L"), UNIT_NAMES.index("45R")]


class DrawnMaps(NamedTuple):
    """Maps and what is in them."""

    maps: Array  # (n, 3, 28, 28) u right, v down (canonical units), optical strain (per unit)
    # (n, n_units) how strongly each of ``UNIT_NAMES`` moves, 1 a full movement: the recipe, and
    # also what twitches beside it and lids that differ
    weights: Array
    # what the recipe says acts, in FACS notation: ``("6", "12")``, ``("L12",)``
    action_units: tuple[tuple[str, ...], ...]


def draw_maps(
    labels: Sequence[str], seed: int, config: MapConfig | None = None, *, first: int = 0
) -> DrawnMaps:
    """Draw one flow map for each label, with its truth.

    A map follows from (seed, number, label, config) alone, bit for bit on one machine: a set drawn
    in pieces (``first`` is the number of the first map), or in several processes, is the same set.
    """
    config = config or MapConfig()
    weights = np.empty((len(labels), len(UNIT_NAMES)), np.float32)
    names: list[tuple[str, ...]] = []
    maps = np.empty((len(labels), 3, UNITS, UNITS), np.float32)
    people = _faces(seed, config)
    for start in range(0, len(labels), _CHUNK):
        part = slice(start, min(start + _CHUNK, len(labels)))
        dice = Dice(seed, range(first + part.start, first + part.stop))
        for row, label, rng in zip(weights[part], labels[part], dice.generators, strict=True):
            row[:], acting = draw_movement(label, rng, config)
            names.append(acting)
        maps[part] = _render(weights[part], people, dice, config)
    return DrawnMaps(maps, weights, tuple(names))


def generate_maps(
    labels: Sequence[str], seed: int, config: MapConfig | None = None
) -> NDArray[np.float32]:
    """Flow maps of synthetic micro-expressions.

    Parameters
    ----------
    labels
        Classes, by name.
    seed
        The same seed, labels and config give the same maps, bit for bit on one machine.
    config
        Nuisances; None takes the defaults.

    Returns
    -------
    (n, 3, 28, 28)
        u right, v down (canonical units), optical strain (per unit).

    Examples
    --------
    >>> from micromimic.core.labels import THREE
    >>> maps = generate_maps(THREE.names[1:], seed=1)
    >>> maps.shape, bool(np.isfinite(maps).all())
    ((2, 3, 28, 28), True)
    """
    return draw_maps(labels, seed, config).maps


def maps_of_units(weights: Array, seed: int, config: MapConfig | None = None) -> Array:
    """(n, 3, 28, 28) maps of given (n, n_units) movements, spoiled as `draw_maps` does it."""
    config = config or MapConfig()
    return _render(weights, _faces(seed, config), Dice(seed, range(len(weights))), config)


def draw_movement(
    label: str, rng: np.random.Generator, config: MapConfig
) -> tuple[Array, tuple[str, ...]]:
    """What moves in one map: the recipe, what twitches beside it, and lids that differ.

    (n_units,) amplitude of each of ``UNIT_NAMES``, and what the recipe says acts.
    """
    recipe = sample_recipe(
        label,
        rng,
        amplitude=config.amplitude,
        asymmetry=config.asymmetry,
        leak=config.leak,
        recipes=config.recipes,
    )
    weights = recipe.weights
    if rng.random() < config.stray_probability:
        for unit in rng.integers(len(UNIT_NAMES), size=rng.integers(1, 3)):
            weights[unit] += rng.normal(0.0, config.stray_strength)
    if rng.random() < config.blink_probability:
        weights[_BLINKS] += rng.normal(0.0, config.blink_strength) * rng.uniform(0.7, 1.3, 2)
    return weights, recipe.action_units


_Faces = tuple[list[Array], list[Array], NDArray[np.float64]]
"""Faces to draw from: fields, relief, and the chance of each up to and with it."""


def _faces(seed: int, config: MapConfig) -> _Faces:
    """Own faces drawn by the seed, packed ones, or both with even chances."""
    parts = []
    if config.faces != "mesh":
        parts.append(_own_faces(seed, config.identities))
    if config.faces != "own":
        parts.append(_packed_faces())
    fields, relief = ([face for part in each for face in part] for each in zip(*parts, strict=True))
    shares = [np.full(len(own), 1 / len(own) / len(parts)) for own, _ in parts]
    return fields, relief, np.cumsum(np.concatenate(shares))


@lru_cache(maxsize=1)
def _own_faces(seed: int, count: int) -> tuple[Array, Array]:
    """(k, n_units, 84 * 84 * 2) fields, u and v of a sample side by side; (k, 84, 84) relief."""
    rng = np.random.default_rng([seed, 0])
    fields = np.stack([unit_fields(rng) for _ in range(count)])
    return _side_by_side(fields), np.stack([depth_field(rng) for _ in range(count)])


@lru_cache(maxsize=1)
def _packed_faces() -> tuple[Array, Array]:
    fields, relief = load_anny_units()
    return _side_by_side(fields), relief


def _side_by_side(fields: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(fields, 2, -1)).reshape(*fields.shape[:2], -1)


def _render(weights: Array, people: _Faces, dice: Dice, config: MapConfig) -> Array:
    """(n, 3, 28, 28) flow maps of movements, spoiled."""
    fields, reliefs, ends = people
    who = np.searchsorted(ends, dice.uniform() * ends[-1], "right")
    cropped = spoil.crop(dice, config)
    moves = (_move(row, fields[k]) for row, k in zip(weights, who, strict=True))
    uv, relief = spoil.see(moves, (reliefs[k] for k in who), cropped)
    uv *= spoil.gain(dice, config)
    uv += spoil.head_motion(dice, relief, config)
    uv += spoil.noise(dice, config)
    spoil.background(uv, dice, config)
    uv = spoil.blur(uv, dice, config.blur)
    uv *= dice.log_uniform(config.peak_units).reshape(-1, 1, 1, 1)
    maps = np.empty((len(weights), 3, UNITS, UNITS), np.float32)
    maps[:, :2] = spoil.halve(uv)
    maps[:, 2] = spoil.halve(strain_of(uv, 1 / RESOLUTION))
    return maps


def _move(weights: Array, fields: Array) -> Array:
    """(84, 84, 2) the sum of the units that act; few of them do."""
    canvas = np.zeros(fields.shape[1], np.float32)
    part = np.empty_like(canvas)
    for unit in np.flatnonzero(weights):
        np.multiply(fields[unit], weights[unit], out=part)
        canvas += part
    return canvas.reshape(CANVAS, CANVAS, 2)
