"""What spoils real flow, each in one function; `synthesis.maps` puts them together.

Everything here works on some maps at once, at two samples a unit before pooling: ``SIDE`` = 56.
Chance comes from a `Dice`, in which each map has its own, and no sum runs over maps: what is done
to one does not depend on the others, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MARGIN, UNITS
from micromimic.face.units import MIDLINE, RESOLUTION
from micromimic.synthesis.anny_units import Faces
from micromimic.synthesis.recipes import Recipes

Array = NDArray[np.float32]


SIDE: Final = int(UNITS * RESOLUTION)
"""Samples along a map before pooling to 28."""
CENTRE: Final = (MIDLINE, 13.5)
_OCTAVES: Final = ((0.7, 0.4), (1.2, 0.6), (2.5, 0.6), (5.0, 0.6), (10.0, 0.4))


@dataclass(frozen=True)
class MapConfig:
    """What the generator of flow maps does beside the action units.

    Movements have an amplitude around 1 while nuisances are added; ``peak_units`` then scales
    the whole map to the size of real micro-expressions.

    Parameters
    ----------
    faces
        Where the fields of the action units come from: ``own`` (`face.units`), ``mesh``
        (`synthesis.anny_units`, 16 faces), or ``both``, each map drawing from either.
    identities
        Different own faces drawn for one call.
    recipes
        Which combinations make a class (`synthesis.recipes`).
    amplitude, asymmetry, leak
        Range of the units' strength; standard deviation of left against right; a one-sided
        movement's idle side keeps up to this share.
    stray_probability, stray_strength
        Chance that one or two further units twitch; standard deviation of such a twitch.
    blink_probability, blink_strength
        Chance that lids differ between onset and apex; standard deviation of that difference.
    crop_shift, crop_scale, crop_rotation, crop_shear
        Standard deviations of the crop's place (x and y, units), log scale (x and y), turn and
        shear (radians).
    crop_warp
        Smooth misplacement that no affine map takes out, units.
    rigid_level, rigid_spread
        Median of the residual head motion, relative to the movement; standard deviation of its
        logarithm.
    depth_parallax
        Rotation out of the plane, in multiples of ``rigid_level``.
    translation
        Standard deviation of a whole shift.
    noise, noise_patchiness
        Range of the smooth flow noise, relative to the movement, drawn log-uniformly; how much its
        strength differs over the face.
    gain_patchiness
        How much the flow's gain differs, as over skin without texture.
    boundary_probability, boundary_motion
        Chance that flow is lost outside the face's outline; standard deviation of what is seen
        there instead.
    blur
        Standard deviations of the flow's smoothing, units, one drawn for each map.
    peak_units
        Range of the scale of the whole map, canonical units.
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


class Dice:
    """A source of chance for each of some maps of a set, by their numbers."""

    def __init__(self, seed: int, numbers: Iterable[int]) -> None:
        self.generators = tuple(np.random.default_rng([seed, 1, number]) for number in numbers)

    def __len__(self) -> int:
        return len(self.generators)

    def normal(self, *shape: int) -> Array:
        """(n, *shape) of mean 0 and variance 1."""
        drawn = np.empty((len(self), *shape), np.float32)
        for row, rng in zip(drawn, self.generators, strict=True):
            rng.standard_normal(dtype=np.float32, out=row)
        return drawn

    def uniform(self) -> NDArray[np.float64]:
        """(n,) from 0 to 1."""
        return np.array([rng.random() for rng in self.generators])

    def log_uniform(self, limits: tuple[float, float]) -> Array:
        """(n,) between the limits, each order of magnitude as likely as another."""
        low, high = np.log(limits)
        return np.asarray(np.exp(low + (high - low) * self.uniform()), np.float32)

    def smooth(self, channels: int, size: float) -> Array:
        """(n, channels, SIDE, SIDE) smooth noise of variance 1, features ``size`` units."""
        spline = _spline_matrix(size)
        knots = self.normal(channels, spline.shape[1], spline.shape[1])
        return np.asarray(spline @ knots @ spline.T, np.float32)


class Crop(NamedTuple):
    """How slightly wrong crops see their faces."""

    linear: NDArray[np.float64]  # (n, 2, 2) a crop's units to canonical ones
    middle: NDArray[np.float64]  # (n, 2) canonical place of the crop's ``CENTRE``
    place: Array  # (n, SIDE, SIDE, 2) canonical x, y of every sample, bends included


def crop(dice: Dice, config: MapConfig) -> Crop:
    draw = dice.normal(6).astype(np.float64).T
    turn, skew = config.crop_rotation * draw[0], config.crop_shear * draw[1]
    scale_x, scale_y = (np.exp(s * d) for s, d in zip(config.crop_scale, draw[2:4], strict=True))
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.empty((len(dice), 2, 2))
    linear[:, 0, 0], linear[:, 0, 1] = cos * scale_x, -sin * scale_x + skew
    linear[:, 1, 0], linear[:, 1, 1] = sin * scale_y, cos * scale_y
    shifts = zip(CENTRE, config.crop_shift, draw[4:], strict=True)
    middle = np.stack([centre + shift * d for centre, shift, d in shifts], 1)
    x, y = _map_grid()
    bend = np.float32(config.crop_warp) * dice.smooth(2, 9.0)
    place = np.empty((len(dice), SIDE, SIDE, 2), np.float32)
    rows = linear.astype(np.float32)[..., None, None]
    starts = middle.astype(np.float32)[..., None, None]
    for axis in range(2):
        along = rows[:, axis, 0] * (x - np.float32(CENTRE[0]))
        along += rows[:, axis, 1] * (y - np.float32(CENTRE[1]))
        place[..., axis] = along + starts[:, axis] + bend[:, axis]
    return Crop(linear, middle, place)


def see(motion: Iterable[Array], relief: Iterable[Array], cropped: Crop) -> tuple[Array, Array]:
    """What the crops show of a (84, 84, 2) motion and a (84, 84) relief a map.

    (n, 2, SIDE, SIDE) motion in the crops' own axes, (n, SIDE, SIDE) relief.
    """
    n = len(cropped.place)
    # motion is measured in the crop's own axes
    inverse = np.linalg.inv(cropped.linear).astype(np.float32)
    spots = (cropped.place + np.float32(MARGIN)) * np.float32(RESOLUTION) - np.float32(0.5)
    uv, seen = np.empty((n, 2, SIDE, SIDE), np.float32), np.empty((n, SIDE, SIDE), np.float32)
    for k, (canvas, plane) in enumerate(zip(motion, relief, strict=True)):
        moved = _sample(canvas, spots[k])
        for axis in range(2):
            np.multiply(moved[..., 0], inverse[k, axis, 0], out=uv[k, axis])
            uv[k, axis] += inverse[k, axis, 1] * moved[..., 1]
        seen[k] = _sample(plane, spots[k])
    return uv, seen


def gain(dice: Dice, config: MapConfig) -> Array:
    """(n, 1, SIDE, SIDE) factor: flow is weaker where skin has no texture."""
    return np.asarray(np.exp(np.float32(config.gain_patchiness) * dice.smooth(1, 6.0)), np.float32)


def head_motion(dice: Dice, relief: Array, config: MapConfig) -> Array:
    """(n, 2, SIDE, SIDE) what is left of it: in-plane turn and scale, parallax, a shift."""
    draw = dice.normal(7).T
    much = np.float32(config.rigid_level) * np.exp(np.float32(config.rigid_spread) * draw[0])
    turn, scale, tilt_x, tilt_y = ((much * part)[:, None, None] for part in draw[1:5])
    shift_x, shift_y = (np.float32(config.translation) * part[:, None, None] for part in draw[5:])
    x, y = _map_grid()
    dx, dy = (x - np.float32(CENTRE[0])) / 14, (y - np.float32(CENTRE[1])) / 14
    level = np.array([plane.mean() for plane in relief], np.float32)[:, None, None]
    depth = np.float32(config.depth_parallax / 8.0) * (relief - level)
    uv = np.empty((len(dice), 2, SIDE, SIDE), np.float32)
    uv[:, 0] = scale * dx - turn * dy + tilt_x * depth + shift_x
    uv[:, 1] = scale * dy + turn * dx + tilt_y * depth + shift_y
    return uv


def noise(dice: Dice, config: MapConfig) -> Array:
    """(n, 2, SIDE, SIDE) of several sizes, stronger in some parts of the face than in others."""
    total = np.zeros((len(dice), 2, SIDE, SIDE), np.float32)
    for size, share in _OCTAVES:
        total += np.float32(share) * dice.smooth(2, size)
    total *= np.exp(np.float32(config.noise_patchiness) * dice.smooth(1, 7.0))
    total *= dice.log_uniform(config.noise).reshape(-1, 1, 1, 1)
    return total


def background(uv: Array, dice: Dice, config: MapConfig) -> None:
    """Show, in some maps, other motion outside the face's outline; changes ``uv``."""
    lost = dice.uniform() < config.boundary_probability
    other = np.float32(config.boundary_motion) * dice.normal(2)
    outside = _outside()
    for k in np.flatnonzero(lost):
        uv[k] += outside * (other[k][:, None, None] - uv[k])


def blur(uv: Array, dice: Dice, sigmas: Sequence[float]) -> Array:
    """(n, 2, SIDE, SIDE) smoothed, as flow methods do it: each by one of the sigmas (units)."""
    chosen = (dice.uniform() * len(sigmas)).astype(int)
    out = np.empty_like(uv)
    for index, sigma in enumerate(sigmas):
        rows = np.flatnonzero(chosen == index)
        if len(rows):
            kernel = _gauss_matrix(sigma * RESOLUTION)
            out[rows] = kernel @ uv[rows] @ kernel.T
    return out


def halve(planes: Array) -> Array:
    """(..., SIDE, SIDE) to (..., 28, 28), the mean of each four samples."""
    rows = planes[..., 0::2, :] + planes[..., 1::2, :]
    return np.asarray((rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25), np.float32)


def _sample(canvas: Array, spots: Array) -> Array:
    """Bilinear samples of (84, 84[, c]) at (SIDE, SIDE, 2) places; its edge is repeated."""
    sampled = cv2.remap(canvas, spots, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(sampled, np.float32)


@lru_cache(maxsize=1)
def _map_grid() -> tuple[Array, Array]:
    axis = ((np.arange(SIDE) + 0.5) / RESOLUTION).astype(np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


@lru_cache(maxsize=1)
def _outside() -> Array:
    """(SIDE, SIDE) 0 on the face, 1 beside it."""
    x, y = _map_grid()
    radius = np.hypot((x - CENTRE[0]) / 15.5, (y - CENTRE[1] + 2.0) / 17.5)
    return np.asarray(1.0 / (1.0 + np.exp(-12.0 * (radius - 1.0))), np.float32)


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
