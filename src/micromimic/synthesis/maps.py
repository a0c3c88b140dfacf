"""Synthetic onset-to-apex flow maps: action units plus everything that spoils real flow.

Real flow between two frames of a face is never the muscles' motion alone. Each nuisance below is a
named parameter of `MapConfig`, so that its share in a model's accuracy can be measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import MARGIN, UNITS
from micromimic.labels import Emotion
from micromimic.motion.flow import strain_of
from micromimic.synthesis.anny_units import load_anny_units
from micromimic.synthesis.recipes import sample_recipe
from micromimic.synthesis.units import (
    CANVAS,
    MIDLINE,
    RESOLUTION,
    UNIT_NAMES,
    depth_field,
    unit_fields,
)

Array = NDArray[np.float32]
Faces = Literal["own", "mesh", "both"]

SIDE: Final = int(UNITS * RESOLUTION)
"""Samples along a map before pooling to 28."""
CENTRE: Final = (MIDLINE, 13.5)
_CHUNK: Final = 128
_BLINKS: Final = (UNIT_NAMES.index("45L"), UNIT_NAMES.index("45R"))


@dataclass(frozen=True)
class MapConfig:
    """What the generator does beside the action units.

    Movements have an amplitude around 1 while nuisances are added; ``peak_units`` then scales
    the whole map to the size of real micro-expressions.

    Args:
        faces: where the fields of the action units come from: ``own`` (`synthesis.units`), ``mesh``
            (`synthesis.anny_units`, eight faces), or ``both``, each map drawing from either.
        identities: different own faces drawn for one call.
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
    crop_warp: float = 0.5
    rigid_level: float = 0.12
    rigid_spread: float = 0.8
    depth_parallax: float = 1.0
    translation: float = 0.3
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


def generate_maps(
    labels: Sequence[Emotion], seed: int, config: MapConfig | None = None
) -> NDArray[np.float32]:
    """Draw one flow map for each label.

    Args:
        labels: classes, by name.
        seed: the same seed, labels and config give the same maps, bit for bit on one machine.
        config: nuisances; None takes the defaults.

    Returns:
        (n, 3, 28, 28): u right, v down (canonical units), optical strain (per unit).

    >>> maps = generate_maps(["positive", "surprise"], seed=1)
    >>> maps.shape, bool(np.isfinite(maps).all())
    ((2, 3, 28, 28), True)
    """
    settings = config or MapConfig()
    people = _faces(seed, settings)
    maps = np.empty((len(labels), 3, UNITS, UNITS), np.float32)
    for number, start in enumerate(range(0, len(labels), _CHUNK)):
        part = labels[start : start + _CHUNK]
        rng = np.random.default_rng([seed, 1 + number])
        maps[start : start + len(part)] = _draw(part, people, rng, settings)
    return maps


class _Faces(NamedTuple):
    """Faces to draw from: fields (k, n_units, 2, 84, 84), relief (k, 84, 84), chances (k,)."""

    fields: Array
    relief: Array
    shares: NDArray[np.float64]


def _faces(seed: int, settings: MapConfig) -> _Faces:
    """Own faces drawn by the seed, packed ones, or both with even chances."""
    parts = []
    if settings.faces != "mesh":
        rng = np.random.default_rng([seed, 0])
        fields = np.stack([unit_fields(rng) for _ in range(settings.identities)])
        parts.append((fields, np.stack([depth_field(rng) for _ in range(settings.identities)])))
    if settings.faces != "own":
        parts.append(load_anny_units())
    shares = [np.full(len(fields), 1 / len(fields) / len(parts)) for fields, _ in parts]
    return _Faces(
        np.concatenate([fields for fields, _ in parts]),
        np.concatenate([relief for _, relief in parts]),
        np.concatenate(shares),
    )


def _draw(
    labels: Sequence[Emotion],
    people: _Faces,
    rng: np.random.Generator,
    settings: MapConfig,
) -> Array:
    n = len(labels)
    weights = _weights(labels, rng, settings)
    who = rng.choice(len(people.shares), size=n, p=people.shares)
    canvas = np.empty((n, 3, CANVAS, CANVAS), np.float32)
    for person in np.unique(who):
        rows = np.flatnonzero(who == person)
        flat = people.fields[person].reshape(len(UNIT_NAMES), -1)
        canvas[rows, :2] = (weights[rows] @ flat).reshape(len(rows), 2, CANVAS, CANVAS)
        canvas[rows, 2] = people.relief[person]
    x, y = _map_grid()
    linear, place = _crop(x, y, n, rng, settings)
    seen = _sample(canvas, place)
    # motion is measured in the crop's own axes
    uv = np.einsum("nij,njhw->nihw", np.linalg.inv(linear).astype(np.float32), seen[:, :2])
    uv = uv * np.exp(settings.gain_patchiness * _smooth(rng, n, 1, 6.0))
    uv = uv + _rigid(seen[:, 2], x, y, rng, settings)
    uv = uv + _noise(n, rng, settings)
    uv = _boundary(uv, x, y, rng, settings)
    uv = _blur(uv, rng, settings)
    uv = uv * _log_uniform(rng, settings.peak_units, n)
    channels = np.concatenate([uv, strain_of(uv, 1 / RESOLUTION)[:, None]], axis=1)
    k = int(RESOLUTION)
    return np.asarray(channels.reshape(n, 3, UNITS, k, UNITS, k).mean((3, 5)), np.float32)


def _weights(labels: Sequence[Emotion], rng: np.random.Generator, settings: MapConfig) -> Array:
    """(n, n_units) amplitudes: the recipe, strays, and lids that differ."""
    weights = np.empty((len(labels), len(UNIT_NAMES)), np.float32)
    for row, label in zip(weights, labels, strict=True):
        row[:] = sample_recipe(
            label,
            rng,
            amplitude=settings.amplitude,
            asymmetry=settings.asymmetry,
            leak=settings.leak,
        ).weights
        if rng.random() < settings.stray_probability:
            for unit in rng.integers(len(UNIT_NAMES), size=rng.integers(1, 3)):
                row[unit] += rng.normal(0.0, settings.stray_strength)
        if rng.random() < settings.blink_probability:
            lids = rng.normal(0.0, settings.blink_strength) * rng.uniform(0.7, 1.3, 2)
            row[list(_BLINKS)] += lids
    return weights


@lru_cache(maxsize=1)
def _map_grid() -> tuple[Array, Array]:
    axis = ((np.arange(SIDE) + 0.5) / RESOLUTION).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _crop(
    x: Array, y: Array, n: int, rng: np.random.Generator, settings: MapConfig
) -> tuple[NDArray[np.float64], Array]:
    """How a slightly wrong crop sees the face: (n, 2, 2), and (n, 2, SIDE, SIDE) canonical."""
    turn = rng.normal(0.0, settings.crop_rotation, n)
    scale_x, scale_y = np.exp(rng.normal(0.0, 1.0, (2, n)) * np.array(settings.crop_scale)[:, None])
    shear = rng.normal(0.0, settings.crop_shear, n)
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.stack(
        [
            np.stack([cos * scale_x, -sin * scale_x + shear], -1),
            np.stack([sin * scale_y, cos * scale_y], -1),
        ],
        axis=1,
    )
    points = np.stack([x - CENTRE[0], y - CENTRE[1]])
    shift = rng.normal(0.0, 1.0, (n, 2)) * np.array(settings.crop_shift) + np.array(CENTRE)
    place = np.einsum("nij,jhw->nihw", linear.astype(np.float32), points)
    place += shift[:, :, None, None].astype(np.float32)
    place += np.float32(settings.crop_warp) * _smooth(rng, n, 2, 9.0)
    return linear, place


def _sample(canvas: Array, place: Array) -> Array:
    """Bilinear samples of (n, c, 84, 84) at each map's own (n, 2, SIDE, SIDE) places."""
    n, channels = canvas.shape[:2]
    spot = ((place + np.float32(MARGIN)) * np.float32(RESOLUTION) - np.float32(0.5)).clip(
        0, CANVAS - 1.001
    )
    low = spot.astype(np.intp)
    fraction = (spot - low).astype(np.float32).reshape(n, 2, 1, -1)
    corner = (low[:, 1] * CANVAS + low[:, 0]).reshape(n, 1, -1)
    flat = canvas.reshape(n, channels, -1)
    fx, fy = fraction[:, 0], fraction[:, 1]

    def take(offset: int) -> Array:
        return np.take_along_axis(flat, corner + offset, axis=2)

    top = take(0) * (1 - fx) + take(1) * fx
    bottom = take(CANVAS) * (1 - fx) + take(CANVAS + 1) * fx
    return np.asarray(top * (1 - fy) + bottom * fy, np.float32).reshape(n, channels, SIDE, SIDE)


def _rigid(
    relief: Array, x: Array, y: Array, rng: np.random.Generator, settings: MapConfig
) -> Array:
    """What is left of the head's motion: in-plane turn and scale, parallax, a shift."""
    n = len(relief)
    level = settings.rigid_level * np.exp(rng.normal(0.0, settings.rigid_spread, n))
    turn, scale, tilt_x, tilt_y = rng.normal(0.0, 1.0, (4, n)) * level
    shift = rng.normal(0.0, settings.translation, (2, n))
    dx, dy = (x - CENTRE[0]) / 14.0, (y - CENTRE[1]) / 14.0
    depth = settings.depth_parallax * (relief - relief.mean((1, 2), keepdims=True)) / 8.0

    def wide(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[:, None, None]

    u = wide(scale) * dx - wide(turn) * dy + wide(tilt_x) * depth + wide(shift[0])
    v = wide(scale) * dy + wide(turn) * dx + wide(tilt_y) * depth + wide(shift[1])
    return np.stack([u, v], axis=1).astype(np.float32)


_OCTAVES: Final = ((1.2, 0.35), (2.5, 0.5), (5.0, 0.7), (10.0, 0.6))


def _noise(n: int, rng: np.random.Generator, settings: MapConfig) -> Array:
    """Smooth noise of several sizes, stronger in some parts of the face than in others."""
    total = np.zeros((n, 2, SIDE, SIDE), np.float32)
    for size, share in _OCTAVES:
        total += np.float32(share) * _smooth(rng, n, 2, size)
    patches = np.exp(np.float32(settings.noise_patchiness) * _smooth(rng, n, 1, 7.0))
    return np.asarray(total * patches * _log_uniform(rng, settings.noise, n), np.float32)


def _boundary(
    uv: Array, x: Array, y: Array, rng: np.random.Generator, settings: MapConfig
) -> Array:
    """Outside the face's outline some maps show the background's own motion."""
    n = len(uv)
    lost = (rng.random(n) < settings.boundary_probability).astype(np.float32)
    radius = np.hypot((x - CENTRE[0]) / 15.5, (y - CENTRE[1] + 2.0) / 17.5)
    outside = lost[:, None, None, None] / (1.0 + np.exp(-12.0 * (radius - 1.0)))
    other = rng.normal(0.0, settings.boundary_motion, (n, 2, 1, 1))
    return np.asarray(uv * (1.0 - outside) + other * outside, np.float32)


def _blur(uv: Array, rng: np.random.Generator, settings: MapConfig) -> Array:
    out = uv.copy()
    chosen = rng.integers(len(settings.blur), size=len(uv))
    for index, sigma in enumerate(settings.blur):
        rows = np.flatnonzero(chosen == index)
        if len(rows):
            kernel = _gauss_matrix(sigma * RESOLUTION)
            out[rows] = kernel @ uv[rows] @ kernel.T
    return out


@lru_cache(maxsize=16)
def _gauss_matrix(sigma: float) -> Array:
    """(SIDE, SIDE) smoothing along one axis; rows sum to 1, so edges keep their level."""
    at = np.arange(SIDE)
    kernel = np.exp(-0.5 * ((at[:, None] - at) / sigma) ** 2)
    return np.asarray(kernel / kernel.sum(1, keepdims=True), np.float32)


@lru_cache(maxsize=16)
def _spline_matrix(size: float) -> Array:
    """(SIDE, knots) cubic B-spline weights for knots ``size`` units apart, each row of norm 1."""
    knots = int(np.ceil(UNITS / size)) + 3
    at = (np.arange(SIDE) + 0.5) / RESOLUTION / size + 1.0
    t = np.abs(at[:, None] - np.arange(knots))
    near = 2 / 3 - t**2 + t**3 / 2
    far = (2 - t).clip(0) ** 3 / 6
    weights = np.where(t < 1, near, far)
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True), np.float32)


def _smooth(rng: np.random.Generator, n: int, channels: int, size: float) -> Array:
    """(n, channels, SIDE, SIDE) smooth Gaussian noise of variance 1, features ``size`` units."""
    spline = _spline_matrix(size)
    knots = rng.standard_normal((n, channels, spline.shape[1], spline.shape[1]), np.float32)
    return np.asarray(spline @ knots @ spline.T, np.float32)


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float], n: int) -> Array:
    low, high = np.log(limits)
    return np.asarray(np.exp(rng.uniform(low, high, (n, 1, 1, 1))), np.float32)
