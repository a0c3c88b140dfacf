"""Temporal interpolation, against the model as its article builds it."""

from __future__ import annotations

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.motion.tim import interpolate, interpolation_matrix


def embedded(volume: np.ndarray, frames: int) -> np.ndarray:
    """TIM step by step: decompose, embed in the path graph, walk along the curves, map back."""
    n = len(volume)
    columns = volume.reshape(n, -1).T.astype(np.float64)
    mean = columns.mean(1, keepdims=True)
    left, sizes, right = np.linalg.svd(columns - mean, full_matrices=False)
    coordinates = sizes[: n - 1, None] * right[: n - 1]
    weight = np.diag(np.ones(n - 1), 1)
    weight += weight.T
    _, vectors = np.linalg.eigh(np.diag(weight.sum(0)) - weight)
    targets = vectors[:, 1:]
    transform = np.linalg.solve(coordinates @ coordinates.T, coordinates @ targets)
    k = np.arange(1, n)

    def curve(t):
        return np.sin(np.pi * k * t + np.pi * (n - k) / (2 * n))

    # each eigenvector is its curve up to a factor, read off at the first frame
    factors = (coordinates[:, 0] @ transform) / curve(1 / n)
    times = np.linspace(1 / n, 1, frames)
    points = np.stack([np.linalg.solve(transform.T, factors * curve(t)) for t in times])
    return (left[:, : n - 1] @ points.T + mean).T.reshape(frames, *volume.shape[1:])


@pytest.mark.parametrize("length", [2, 3, 7, 10, 25])
@pytest.mark.parametrize("frames", [2, 10, 13])
def test_equals_the_embedding(length, frames):
    volume = np.random.default_rng(length).normal(size=(length, 9, 8))
    assert np.allclose(interpolate(volume, frames), embedded(volume, frames), atol=1e-9)


def test_dependent_frames_are_the_limit_of_independent_ones():
    rng = np.random.default_rng(0)
    volume = np.repeat(rng.normal(size=(4, 6, 6)), 3, axis=0)  # 12 frames of rank 4
    near = volume + 1e-7 * rng.normal(size=volume.shape)
    assert np.allclose(interpolate(volume, 10), embedded(near, 10), atol=1e-3)


def test_equal_frames_stay_as_they_are():
    frame = np.random.default_rng(1).integers(0, 256, (5, 4), dtype=np.uint8)
    assert (interpolate(np.stack([frame] * 30)) == frame).all()


@pytest.mark.parametrize("length", [2, 9, 70])
def test_ends_are_the_clips_own(length):
    volume = np.random.default_rng(2).integers(0, 256, (length, 6, 5), dtype=np.uint8)
    made = interpolate(volume, 10)
    assert made.shape == (10, 6, 5) and made.dtype == np.uint8
    assert (made[0] == volume[0]).all() and (made[-1] == volume[-1]).all()


def test_as_many_frames_as_there_are_change_nothing():
    volume = np.random.default_rng(3).integers(0, 256, (17, 6, 5), dtype=np.uint8)
    assert (interpolate(volume, 17) == volume).all()


def test_slow_movement_agrees_with_straight_lines_between_frames():
    t = np.linspace(0, 1, 70)[:, None, None]
    volume = 100 + 50 * np.sin(np.pi * t) ** 2 * np.random.default_rng(4).uniform(-1, 1, (1, 8, 8))
    positions = np.linspace(0, 69, 10)
    low = np.floor(positions).astype(int)
    share = (positions - low)[:, None, None]
    straight = (1 - share) * volume[low] + share * volume[np.minimum(low + 1, 69)]
    assert np.abs(interpolate(volume, 10) - straight).max() < 0.05


def test_cosines_of_the_graph_are_continued_exactly():
    length, frames = 12, 31
    positions = np.linspace(0, length - 1, frames)
    for k in range(length):
        wave = np.cos(np.pi * k * (np.arange(length) + 0.5) / length)
        expected = np.cos(np.pi * k * (positions + 0.5) / length)
        assert np.allclose(interpolation_matrix(length, frames) @ wave, expected)


def test_overshoot_is_cut_not_wrapped():
    volume = np.zeros((8, 1, 1), np.uint8)
    volume[4:] = 255
    exact = interpolate(volume.astype(float), 29)
    assert exact.max() > 256 and exact.min() < -1  # a step rings
    assert (interpolate(volume, 29) == np.rint(exact).clip(0, 255)).all()


def test_the_clip_is_not_written_to():
    volume = np.random.default_rng(5).integers(0, 256, (6, 5, 4), dtype=np.uint8)
    before = volume.copy()
    interpolate(volume)
    assert (volume == before).all()


def test_one_frame_is_refused():
    with pytest.raises(InputError, match="2 frames or more, got 1; .* onset to offset"):
        interpolate(np.zeros((1, 4, 4), np.uint8))


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"volume must be \(T, H, W\) and not empty, got \(4, 4\)"):
        interpolate(np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"got \(0, 4, 4\)"):
        interpolate(np.zeros((0, 4, 4)))
    with pytest.raises(ValueError, match="2 frames or more in and out, got 4 and 1"):
        interpolate(np.zeros((4, 4, 4)), 1)
