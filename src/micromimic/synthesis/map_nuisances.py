"""What spoils real flow, each in one function; `synthesis.maps` puts them together.

Everything here works on some maps at once, at two samples a unit before pooling: ``SIDE`` = 56.
Chance comes from a `Dice`, in which each map has its own, and no sum runs over maps: what is done
to one does not depend on the others, to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MARGIN, UNITS
from micromimic.face.units import MIDLINE, RESOLUTION

Array = NDArray[np.float32]

SIDE: Final = int(UNITS * RESOLUTION)
"""Samples along a map before pooling to 28."""
CENTRE: Final = (MIDLINE, 13.5)
_OCTAVES: Final = (
    (0.7, 0.4),
    (1.2, 0.6),
    (2.5, 0.6),
    (5.0, 0.6),
    (10.0, 0.4),
)


class Dice:
    """A source of chance for each of some maps.

    Args:
        seed: of the whole set.
        numbers: of the maps.

    >>> pair, second = Dice(1, range(2)), Dice(1, range(1, 2))
    >>> bool(pair.normal(3)[1:].tolist() == second.normal(3).tolist())
    True
    """

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
    """How slightly wrong crops see their faces.

    Args:
        linear: (n, 2, 2) a crop's units to canonical ones.
        middle: (n, 2) canonical place of the crop's ``CENTRE``.
        place: (n, SIDE, SIDE, 2) canonical x, y of every sample, bends included.
    """

    linear: NDArray[np.float64]
    middle: NDArray[np.float64]
    place: Array


def crop(
    dice: Dice,
    *,
    shift: tuple[float, float],
    scale: tuple[float, float],
    rotation: float,
    shear: float,
    warp: float,
) -> Crop:
    """Misplaced crops; arguments as in `maps.MapConfig`."""
    draw = dice.normal(6).astype(np.float64).T
    turn, skew = rotation * draw[0], shear * draw[1]
    scale_x, scale_y = np.exp(scale[0] * draw[2]), np.exp(scale[1] * draw[3])
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.empty((len(dice), 2, 2))
    linear[:, 0, 0], linear[:, 0, 1] = cos * scale_x, -sin * scale_x + skew
    linear[:, 1, 0], linear[:, 1, 1] = sin * scale_y, cos * scale_y
    middle = np.stack([CENTRE[0] + shift[0] * draw[4], CENTRE[1] + shift[1] * draw[5]], 1)
    x, y = _map_grid()
    bend = np.float32(warp) * dice.smooth(2, 9.0)
    place = np.empty((len(dice), SIDE, SIDE, 2), np.float32)
    rows = linear.astype(np.float32)[..., None, None]
    starts = middle.astype(np.float32)[..., None, None]
    for axis in range(2):
        along = rows[:, axis, 0] * (x - np.float32(CENTRE[0]))
        along += rows[:, axis, 1] * (y - np.float32(CENTRE[1]))
        place[..., axis] = along + starts[:, axis] + bend[:, axis]
    return Crop(linear, middle, place)


def see(motion: Iterable[Array], relief: Iterable[Array], cropped: Crop) -> tuple[Array, Array]:
    """What the crops show of faces.

    Args:
        motion: a (84, 84, 2) canvas a map.
        relief: a (84, 84) canvas a map.
        cropped: the crops.

    Returns:
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


def gain(dice: Dice, patchiness: float) -> Array:
    """(n, 1, SIDE, SIDE) factor: flow is weaker where skin has no texture."""
    return np.asarray(np.exp(np.float32(patchiness) * dice.smooth(1, 6.0)), np.float32)


def head_motion(
    dice: Dice,
    relief: Array,
    *,
    level: float,
    spread: float,
    parallax: float,
    translation: float,
) -> Array:
    """(n, 2, SIDE, SIDE) what is left of it: in-plane turn and scale, parallax, a shift."""
    draw = dice.normal(7).T
    much = np.float32(level) * np.exp(np.float32(spread) * draw[0])
    turn, scale, tilt_x, tilt_y = ((much * part)[:, None, None] for part in draw[1:5])
    shift_x, shift_y = ((np.float32(translation) * part)[:, None, None] for part in draw[5:])
    x, y = _map_grid()
    dx, dy = (x - np.float32(CENTRE[0])) / 14, (y - np.float32(CENTRE[1])) / 14
    level_of = np.array([plane.mean() for plane in relief], np.float32)[:, None, None]
    depth = np.float32(parallax / 8.0) * (relief - level_of)
    uv = np.empty((len(dice), 2, SIDE, SIDE), np.float32)
    uv[:, 0] = scale * dx - turn * dy + tilt_x * depth + shift_x
    uv[:, 1] = scale * dy + turn * dx + tilt_y * depth + shift_y
    return uv


def noise(dice: Dice, strength: tuple[float, float], patchiness: float) -> Array:
    """(n, 2, SIDE, SIDE) of several sizes, stronger in some parts of the face than in others."""
    total = np.zeros((len(dice), 2, SIDE, SIDE), np.float32)
    for size, share in _OCTAVES:
        total += np.float32(share) * dice.smooth(2, size)
    total *= np.exp(np.float32(patchiness) * dice.smooth(1, 7.0))
    total *= dice.log_uniform(strength).reshape(-1, 1, 1, 1)
    return total


def background(uv: Array, dice: Dice, probability: float, motion: float) -> None:
    """Show, in some maps, other motion outside the face's outline; changes ``uv``."""
    lost = dice.uniform() < probability
    other = np.float32(motion) * dice.normal(2)
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
    return np.asarray(
        cv2.remap(canvas, spots, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


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
