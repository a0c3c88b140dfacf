"""Synthetic onset-to-apex flow maps: action units plus everything that spoils real flow.

Real flow between two frames of a face is never the muscles' motion alone. Each nuisance is a named
parameter of `MapConfig`, so that its share in a model's accuracy can be measured
(``benchmarks/ablations.py``); what it does is one function of `synthesis.map_nuisances`.

Map ``i`` has a source of chance of its own, ``[seed, 1, i]``: it is the same whatever else is drawn
with it. Maps are worked on some tens at a time, all of them by the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.face.units import CANVAS, RESOLUTION, UNIT_NAMES, depth_field, unit_fields
from micromimic.motion.flow import strain_of
from micromimic.synthesis.anny_units import load_anny_units
from micromimic.synthesis.map_nuisances import (
    Dice,
    background,
    blur,
    crop,
    gain,
    halve,
    head_motion,
    noise,
    see,
)
from micromimic.synthesis.recipes import Recipes, sample_recipe

Array = NDArray[np.float32]
Faces = Literal["own", "mesh", "both"]

_CHUNK: Final = 32
_BLINKS: Final = [UNIT_NAMES.index("45L"), UNIT_NAMES.index("45R")]


@dataclass(frozen=True)
class MapConfig:
    """What the generator does beside the action units.

    Movements have an amplitude around 1 while nuisances are added; ``peak_units`` then scales
    the whole map to the size of real micro-expressions.

    Args:
        faces: where the fields of the action units come from: ``own`` (`face.units`), ``mesh``
            (`synthesis.anny_units`, 16 faces), or ``both``, each map drawing from either.
        identities: different own faces drawn for one call.
        recipes: which combinations make a class (`synthesis.recipes`).
        amplitude: range of the units' strength.
        asymmetry: standard deviation of left against right.
        leak: a one-sided movement's idle side keeps up to this share.
        stray_probability: chance that one or two further units twitch.
        stray_strength: standard deviation of such a twitch.
        blink_probability: chance that lids differ between onset and apex.
        blink_strength: standard deviation of that difference.
        crop_shift: standard deviation of the crop's place, x and y, units.
        crop_scale: standard deviation of log scale, x and y.
        crop_rotation, crop_shear: standard deviations, radians.
        crop_warp: smooth misplacement that no affine map takes out, units.
        rigid_level: median of the residual head motion, relative to the movement.
        rigid_spread: standard deviation of its logarithm.
        depth_parallax: rotation out of the plane, in multiples of ``rigid_level``.
        translation: standard deviation of a whole shift.
        noise: range of the smooth flow noise, relative to the movement, drawn log-uniformly.
        noise_patchiness: how much the noise's strength differs over the face.
        gain_patchiness: how much the flow's gain differs, as over skin without texture.
        boundary_probability: chance that flow is lost outside the face's outline.
        boundary_motion: standard deviation of what is seen there instead.
        blur: standard deviations of the flow's smoothing, units, one drawn for each map.
        peak_units: range of the scale of the whole map, canonical units.
    """

    faces: Faces = "both"
    identities: int = 16
    recipes: Recipes = "full"
    amplitude: tuple[float, float] = (0.5, 1.2)
    asymmetry: float = 0.18
    leak: float = 0.25
    stray_probability: float = 0.35
    stray_strength: float = 0.15
    blink_probability: float = 0.5
    blink_strength: float = 0.45
    crop_shift: tuple[float, float] = (0.8, 1.0)
    crop_scale: tuple[float, float] = (0.06, 0.07)
    crop_rotation: float = 0.05
    crop_shear: float = 0.03
    crop_warp: float = 1.0
    rigid_level: float = 0.01
    rigid_spread: float = 0.8
    depth_parallax: float = 1.0
    translation: float = 0.05
    noise: tuple[float, float] = (0.03, 0.35)
    noise_patchiness: float = 0.6
    gain_patchiness: float = 0.2
    boundary_probability: float = 0.5
    boundary_motion: float = 0.15
    blur: tuple[float, ...] = (0.3, 0.5, 0.75, 1.1)
    peak_units: tuple[float, float] = (0.12, 0.45)

    def harder(self) -> MapConfig:
        """Stronger nuisances, for validation: real maps are harder than the ones trained on.

        Weaker movements, noise up to twice as strong, residual head motion, stray units and crop
        errors one and a half times as large.
        """
        return replace(
            self,
            amplitude=(0.6 * self.amplitude[0], 0.8 * self.amplitude[1]),
            stray_probability=min(1.0, 1.5 * self.stray_probability),
            stray_strength=1.5 * self.stray_strength,
            crop_shift=(1.5 * self.crop_shift[0], 1.5 * self.crop_shift[1]),
            crop_scale=(1.5 * self.crop_scale[0], 1.5 * self.crop_scale[1]),
            rigid_level=1.5 * self.rigid_level,
            noise=(2.0 * self.noise[0], 2.0 * self.noise[1]),
            gain_patchiness=1.5 * self.gain_patchiness,
        )


class DrawnMaps(NamedTuple):
    """Maps and what is in them.

    Args:
        maps: (n, 3, 28, 28) u right, v down (canonical units), optical strain (per unit).
        weights: (n, n_units) how strongly each of ``UNIT_NAMES`` moves, 1 a full movement: the
            recipe, and also what twitches beside it and lids that differ.
        action_units: what the recipe says acts, in FACS notation: ``("6", "12")``, ``("L12",)``.
    """

    maps: Array
    weights: Array
    action_units: tuple[tuple[str, ...], ...]


def draw_maps(
    labels: Sequence[str], seed: int, config: MapConfig | None = None, *, first: int = 0
) -> DrawnMaps:
    """Draw one flow map for each label, with its truth.

    Args:
        labels: classes, by name.
        seed: decides the faces and, with a map's number, everything else.
        config: nuisances; None takes the defaults.
        first: number of the first map. A map follows from (seed, number, label, config) alone, bit
            for bit on one machine: a set drawn in pieces, or in several processes, is the same set.

    >>> from micromimic.core.labels import THREE
    >>> labels = [*THREE, THREE.names[1]]
    >>> drawn, later = draw_maps(labels, seed=1), draw_maps(labels[2:], seed=1, first=2)
    >>> drawn.maps.shape, drawn.action_units[2:] == later.action_units
    ((4, 3, 28, 28), True)
    >>> bool((drawn.maps[2:] == later.maps).all())
    True
    """
    settings = config or MapConfig()
    weights = np.empty((len(labels), len(UNIT_NAMES)), np.float32)
    names: list[tuple[str, ...]] = []
    maps = np.empty((len(labels), 3, UNITS, UNITS), np.float32)
    people = _faces(seed, settings)
    for start in range(0, len(labels), _CHUNK):
        part = slice(start, min(start + _CHUNK, len(labels)))
        dice = Dice(seed, range(first + part.start, first + part.stop))
        for row, label, rng in zip(weights[part], labels[part], dice.generators, strict=True):
            row[:], acting = draw_movement(label, rng, settings)
            names.append(acting)
        maps[part] = _render(weights[part], people, dice, settings)
    return DrawnMaps(maps, weights, tuple(names))


def generate_maps(
    labels: Sequence[str], seed: int, config: MapConfig | None = None
) -> NDArray[np.float32]:
    """The maps of `draw_maps` alone.

    Args:
        labels: classes, by name.
        seed: the same seed, labels and config give the same maps, bit for bit on one machine.
        config: nuisances; None takes the defaults.

    Returns:
        (n, 3, 28, 28): u right, v down (canonical units), optical strain (per unit).

    >>> from micromimic.core.labels import THREE
    >>> maps = generate_maps(THREE.names[1:], seed=1)
    >>> maps.shape, bool(np.isfinite(maps).all())
    ((2, 3, 28, 28), True)
    """
    return draw_maps(labels, seed, config).maps


def maps_of_units(
    weights: Array, seed: int, config: MapConfig | None = None, *, first: int = 0
) -> Array:
    """Flow maps of given movements, with the nuisances that `draw_maps` has.

    Args:
        weights: (n, n_units) how strongly each of ``UNIT_NAMES`` moves.
        seed: as in `draw_maps`.
        config: nuisances; strays and lids that differ are the caller's to add.
        first: number of the first map.

    Returns:
        (n, 3, 28, 28).

    Raises:
        ValueError: if the weights have another shape.

    >>> smile = np.array([[name[:-1] == "12" for name in UNIT_NAMES]], np.float32)
    >>> maps_of_units(smile, seed=1).shape
    (1, 3, 28, 28)
    """
    if weights.ndim != 2 or weights.shape[1] != len(UNIT_NAMES):
        raise ValueError(f"weights must be (n, {len(UNIT_NAMES)}), got {weights.shape}")
    settings = config or MapConfig()
    people = _faces(seed, settings)
    maps = np.empty((len(weights), 3, UNITS, UNITS), np.float32)
    for start in range(0, len(weights), _CHUNK):
        part = slice(start, min(start + _CHUNK, len(weights)))
        dice = Dice(seed, range(first + part.start, first + part.stop))
        maps[part] = _render(np.asarray(weights[part], np.float32), people, dice, settings)
    return maps


def draw_movement(
    label: str, rng: np.random.Generator, config: MapConfig
) -> tuple[Array, tuple[str, ...]]:
    """What moves in one map: the recipe, what twitches beside it, and lids that differ.

    Returns:
        (n_units,) amplitude of each of ``UNIT_NAMES``, and what the recipe says acts.

    >>> from micromimic.core.labels import THREE
    >>> weights, names = draw_movement(THREE.names[1], np.random.default_rng(1), MapConfig())
    >>> weights.shape == (len(UNIT_NAMES),), names
    (True, ('L12',))
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


class _Faces(NamedTuple):
    """Faces to draw from, and the chance of each up to and with it."""

    fields: tuple[Array, ...]
    """(n_units, 84 * 84 * 2) each: u and v of a sample beside each other."""
    relief: tuple[Array, ...]
    """(84, 84) each."""
    ends: NDArray[np.float64]


def _faces(seed: int, settings: MapConfig) -> _Faces:
    """Own faces drawn by the seed, packed ones, or both with even chances."""
    parts = []
    if settings.faces != "mesh":
        parts.append(_own_faces(seed, settings.identities))
    if settings.faces != "own":
        parts.append(_packed_faces())
    shares = [np.full(len(fields), 1 / len(fields) / len(parts)) for fields, _ in parts]
    return _Faces(
        tuple(field for fields, _ in parts for field in fields),
        tuple(plane for _, relief in parts for plane in relief),
        np.cumsum(np.concatenate(shares)),
    )


@lru_cache(maxsize=1)
def _own_faces(seed: int, count: int) -> tuple[Array, Array]:
    """(k, n_units, 84 * 84 * 2) fields and (k, 84, 84) relief."""
    rng = np.random.default_rng([seed, 0])
    fields = np.stack([unit_fields(rng) for _ in range(count)])
    return _side_by_side(fields), np.stack([depth_field(rng) for _ in range(count)])


@lru_cache(maxsize=1)
def _packed_faces() -> tuple[Array, Array]:
    fields, relief = load_anny_units()
    return _side_by_side(fields), relief


def _side_by_side(fields: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(fields, 2, -1)).reshape(*fields.shape[:2], -1)


def _render(weights: Array, people: _Faces, dice: Dice, settings: MapConfig) -> Array:
    """(n, 3, 28, 28) flow maps of movements, spoiled."""
    n = len(weights)
    who = np.searchsorted(people.ends, dice.uniform() * people.ends[-1], "right")
    cropped = crop(
        dice,
        shift=settings.crop_shift,
        scale=settings.crop_scale,
        rotation=settings.crop_rotation,
        shear=settings.crop_shear,
        warp=settings.crop_warp,
    )
    uv, relief = see(
        (_move(row, people.fields[k]) for row, k in zip(weights, who, strict=True)),
        (people.relief[k] for k in who),
        cropped,
    )
    uv *= gain(dice, settings.gain_patchiness)
    uv += head_motion(
        dice,
        relief,
        level=settings.rigid_level,
        spread=settings.rigid_spread,
        parallax=settings.depth_parallax,
        translation=settings.translation,
    )
    uv += noise(dice, settings.noise, settings.noise_patchiness)
    background(uv, dice, settings.boundary_probability, settings.boundary_motion)
    uv = blur(uv, dice, settings.blur)
    uv *= dice.log_uniform(settings.peak_units).reshape(n, 1, 1, 1)
    maps = np.empty((n, 3, UNITS, UNITS), np.float32)
    maps[:, :2] = halve(uv)
    maps[:, 2] = halve(strain_of(uv, 1 / RESOLUTION))
    return maps


def _move(weights: Array, fields: Array) -> Array:
    """(84, 84, 2) the sum of the units that act; few of them do."""
    canvas = np.zeros(fields.shape[1], np.float32)
    part = np.empty_like(canvas)
    for unit in np.flatnonzero(weights):
        np.multiply(fields[unit], weights[unit], out=part)
        canvas += part
    return canvas.reshape(CANVAS, CANVAS, 2)
