"""LBP-TOP, to the last bit against plain loops, and by what it must mean."""

from __future__ import annotations

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.motion.features import DESCRIPTORS, lbp_top, lbp_top_by_planes
from micromimic.motion.tim import interpolate
from slow_descriptors import slow_lbp_top

DEFAULT = (1, 1, 4)


def clip(shape, seed=0, levels=256):
    """Random pixels; few levels make many ties."""
    return np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "blocks", "radii", "levels"),
    [
        ((9, 20, 20), (5, 5), DEFAULT, 256),  # one centre frame
        ((10, 34, 28), (5, 5), DEFAULT, 256),  # two, as after interpolation
        ((12, 37, 31), (5, 5), DEFAULT, 256),  # sizes that five does not divide
        ((11, 23, 41), (3, 4), DEFAULT, 3),
        ((7, 19, 22), (2, 3), (2, 1, 3), 4),
        ((8, 26, 17), (3, 2), (1, 3, 2), 256),
        ((3, 3, 3), (1, 1), (1, 1, 1), 256),  # one centre
        ((4, 80, 80), (40, 40), (1, 1, 1), 256),  # more blocks than 16 bits could number
    ],
)
def test_equals_the_slow_reference_to_the_last_bit(shape, blocks, radii, levels):
    volume = clip(shape, seed=sum(shape), levels=levels)
    found = lbp_top(volume, blocks=blocks, radii=radii)
    assert found.dtype == np.float32
    assert np.array_equal(found, slow_lbp_top(volume, blocks, radii))


def test_equals_the_slow_reference_at_full_size():
    volume = clip((70, 170, 140), seed=7)
    ten = interpolate(volume, 10)
    assert np.array_equal(DESCRIPTORS["lbp-top"](volume), slow_lbp_top(ten))


def test_memory_layout_does_not_matter():
    volume = clip((10, 30, 25), seed=3)
    turned = np.asfortranarray(volume)
    view = np.repeat(volume, 2, axis=2)[:, :, ::2]
    assert np.array_equal(lbp_top(volume), lbp_top(turned))
    assert np.array_equal(lbp_top(volume), lbp_top(view))


def test_each_histogram_sums_to_one():
    found = lbp_top(clip((20, 51, 44), seed=4)).reshape(25, 3, 16)
    assert np.allclose(found.sum(2), 1, atol=1e-6)


def planes(volume, radii=DEFAULT):
    """The most frequent pattern on XY, XT and YT of the whole face, and its share."""
    found = lbp_top(volume, blocks=(1, 1), radii=radii).reshape(3, 16)
    return [(int(row.argmax()), float(row.max())) for row in found]


def test_patterns_say_which_neighbour_is_darker():
    t, y, x = np.meshgrid(np.arange(12), np.arange(12), np.arange(12), indexing="ij")
    as_pixels = lambda ramp: ramp.astype(np.uint8)  # noqa: E731
    # bits from 0: XY right, above, left, below; XT right, after, left, before; YT after, above, ...
    assert planes(as_pixels(x)) == [(0b1011, 1.0), (0b1011, 1.0), (0b1111, 1.0)]
    assert planes(as_pixels(y)) == [(0b1101, 1.0), (0b1111, 1.0), (0b1101, 1.0)]
    assert planes(as_pixels(t)) == [(0b1111, 1.0), (0b0111, 1.0), (0b1011, 1.0)]


def test_radius_in_time_reaches_as_many_frames():
    volume = np.full((9, 8, 8), 100, np.uint8)
    volume[8] = 0  # only four frames after the centre is it dark
    xy, xt, yt = planes(volume)
    assert xy == (0b1111, 1.0) and xt == (0b1101, 1.0) and yt == (0b1110, 1.0)
    xy, xt, yt = planes(volume[1:8], radii=(1, 1, 3))
    assert xt == yt == (0b1111, 1.0)


def test_brightness_and_contrast_do_not_matter():
    volume = clip((10, 30, 30), seed=5, levels=100)
    assert np.array_equal(lbp_top(volume), lbp_top(volume * 2 + 20))


def test_a_movement_shows_in_its_block_only():
    still = np.stack([clip((50, 50), seed=6)] * 10)
    moved = still.copy()
    moved[5:, 12:18, 12:18] = np.roll(moved[5:, 12:18, 12:18], 1, axis=2)
    changed = (lbp_top(still) != lbp_top(moved)).reshape(5, 5, 48).any(2)
    assert changed[1, 1] and changed.sum() == 1


def test_more_neighbours_are_refused():
    with pytest.raises(ValueError, match="expected 4 neighbours, got 8"):
        lbp_top(clip((10, 20, 20)), neighbours=8)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((8, 20, 20), "9 frames or more for radius 4 in time, got 8; interpolate it to 10"),
        ((10, 20, 9), "10 pixels wide or more for 5 blocks and radius 1, got 9"),
        ((10, 9, 20), "10 pixels high or more for 5 blocks and radius 1, got 9"),
    ],
)
def test_clips_too_small_are_refused(shape, message):
    with pytest.raises(InputError, match=message):
        lbp_top(clip(shape))


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"\(T, H, W\) uint8, got \(10, 20, 20\) float64"):
        lbp_top(np.zeros((10, 20, 20)))
    with pytest.raises(ValueError, match=r"uint8, got \(20, 20\) uint8"):
        lbp_top(clip((20, 20)))
    with pytest.raises(ValueError, match="1 or more"):
        lbp_top(clip((10, 20, 20)), blocks=(0, 5))
    with pytest.raises(ValueError, match="1 or more"):
        lbp_top(clip((10, 20, 20)), radii=(1, 1, 0))


def test_a_radius_a_plane_runs_along_both_axes_of_the_plane():
    volume = clip((12, 45, 50), seed=5)
    found = lbp_top_by_planes(volume, radii=(1, 2, 4)).reshape(25, 3, 16)
    for plane, radius in enumerate((1, 2, 4)):
        slow = slow_lbp_top(volume, radii=(radius, radius, radius)).reshape(25, 3, 16)
        assert np.array_equal(found[:, plane], slow[:, plane])
    assert not np.array_equal(found.ravel(), lbp_top(volume, radii=(1, 2, 4)))
