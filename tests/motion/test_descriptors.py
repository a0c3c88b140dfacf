"""LBP-SIP, HOG-TOP and HIGO-TOP against plain loops, and the table of descriptors."""

from __future__ import annotations

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.motion.features import DESCRIPTORS, higo_top, hog_top, lbp_sip, lbp_top
from micromimic.motion.features.blocks import block_numbers
from slow_descriptors import slow_gradients, slow_lbp_sip

LENGTHS = {
    "lbp-top": 1200,
    "lbp-top-by-planes": 1200,
    "lbp-sip": 500,
    "hog-top": 1200,
    "higo-top": 1200,
}


def clip(shape, seed=0, levels=256):
    return np.random.default_rng(seed).integers(0, levels, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "blocks", "radii", "levels"),
    [
        ((10, 34, 28), (5, 5), (1, 1, 4), 256),
        ((12, 23, 31), (3, 4), (1, 1, 4), 3),
        ((7, 19, 22), (2, 3), (2, 1, 3), 4),
    ],
)
def test_lbp_sip_equals_the_slow_reference(shape, blocks, radii, levels):
    volume = clip(shape, seed=1, levels=levels)
    found = lbp_sip(volume, blocks=blocks, radii=radii)
    assert np.array_equal(found, slow_lbp_sip(volume, blocks, radii))


def test_lbp_sip_shares_its_frame_patterns_with_lbp_top():
    volume = clip((13, 40, 35), seed=2)
    sip, top = lbp_sip(volume).reshape(25, 20), lbp_top(volume).reshape(25, 48)
    assert np.array_equal(sip[:, :16], top[:, :16])
    # the share of centres that are not lighter than the frame after: from XT as from SIP
    after = top[:, 16:32].reshape(25, 2, 2, 2, 2)[:, :, :, 1].sum((1, 2, 3))
    assert np.allclose(sip[:, 16:].reshape(25, 2, 2)[:, :, 1].sum(1), after, atol=1e-6)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    ("shape", "blocks", "spans", "levels"),
    [
        ((10, 34, 28), (5, 5), 2, 256),
        ((11, 22, 31), (3, 4), 3, 256),
        ((5, 12, 13), (2, 2), 1, 3),  # many places without any gradient
        ((3, 3, 3), (1, 1), 1, 256),
    ],
)
def test_gradients_equal_the_slow_reference(shape, blocks, spans, levels, weighted):
    volume = clip(shape, seed=3, levels=levels)
    fast = hog_top if weighted else higo_top
    found = fast(volume, blocks=blocks, spans=spans)
    expected = slow_gradients(volume, blocks, spans, weighted=weighted)
    assert np.allclose(found, expected, rtol=0, atol=1e-6)


def moving_edges(speed):
    """Vertical edges that move to the right at ``speed`` pixels a frame."""
    t, _, x = np.meshgrid(np.arange(10), np.arange(20), np.arange(40), indexing="ij")
    return np.rint(128 + 90 * np.sin(2 * np.pi * (x - speed * t) / 20)).astype(np.uint8)


def test_orientation_in_time_tells_the_direction():
    bins = {
        speed: hog_top(moving_edges(speed), blocks=(1, 1), spans=1).reshape(3, 8)[1].argmax()
        for speed in (-1, 0, 1)
    }
    # an edge at speed v has derivatives in the ratio t/x = -v: 45 degrees are two bins
    assert bins == {-1: 2, 0: 0, 1: 6}


def test_rise_and_fall_are_told_apart_by_spans():
    there = moving_edges(1)
    volume = np.concatenate([there, there[::-1]])
    one = higo_top(volume, blocks=(1, 1), spans=1).reshape(1, 3, 8)
    two = higo_top(volume, blocks=(1, 1), spans=2).reshape(2, 3, 8)
    assert np.isclose(one[0, 1, 2], one[0, 1, 6], atol=0.01)  # mixed
    assert two[0, 1].argmax() == 6 and two[1, 1].argmax() == 2


def test_higo_ignores_contrast_and_hog_does_not():
    volume = clip((10, 30, 30), seed=4, levels=64)
    lit = volume.copy()
    lit[:, :, 15:] *= 3  # one side in brighter light
    blocks = (1, 2)
    # the border between the sides aside, orientations are the same
    assert np.array_equal(
        higo_top(lit[:, :, 16:], blocks=blocks), higo_top(volume[:, :, 16:], blocks=blocks)
    )
    assert not np.allclose(hog_top(lit, blocks=(1, 1)), hog_top(volume, blocks=(1, 1)), atol=1e-3)


def test_a_still_grey_clip_gives_zeros_and_no_nan():
    still = np.full((10, 20, 20), 90, np.uint8)
    assert not hog_top(still).any() and not higo_top(still).any()


def test_blocks_cover_everything_once():
    for length in range(5, 40):
        sizes = np.bincount(block_numbers(length, 5), minlength=5)
        assert sizes.sum() == length and np.ptp(sizes) <= 1


def test_the_table_names_the_articles_descriptors():
    assert dict.fromkeys(DESCRIPTORS) == dict.fromkeys(LENGTHS)
    with pytest.raises(TypeError):
        DESCRIPTORS["mine"] = lbp_top  # type: ignore[index]


@pytest.mark.parametrize("name", DESCRIPTORS)
@pytest.mark.parametrize("length", [2, 10, 70])
def test_every_descriptor_takes_clips_of_any_length(name, length):
    volume = clip((length, 170, 140), seed=length)
    before = volume.copy()
    found = DESCRIPTORS[name](volume)
    assert found.shape == (LENGTHS[name],) and found.dtype == np.float32
    assert np.isfinite(found).all() and (found >= 0).all()
    assert np.array_equal(found, DESCRIPTORS[name](volume.copy()))
    assert (volume == before).all()


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_a_single_frame_is_refused(name):
    with pytest.raises(InputError, match="2 frames or more, got 1"):
        DESCRIPTORS[name](clip((1, 170, 140)))


@pytest.mark.parametrize("fast", [hog_top, higo_top])
def test_clips_too_short_for_spans_are_refused(fast):
    with pytest.raises(InputError, match="4 frames or more"):
        fast(clip((3, 20, 20)))
    with pytest.raises(ValueError, match="1 or more"):
        fast(clip((10, 20, 20)), spans=0)
