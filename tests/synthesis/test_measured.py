"""Flow measured on rendered pairs of frames, as a training source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from micromimic.synthesis.anny_units import load_anny_units
from micromimic.synthesis.maps import MapConfig, maps_of_units
from micromimic.synthesis.measured import MeasuredConfig, measured_maps

PLACED = MapConfig(
    faces="own",
    crop_shift=(0.0, 0.0),
    crop_scale=(0.0, 0.0),
    crop_rotation=0.0,
    crop_shear=0.0,
    peak_units=(0.3, 0.3),
)
# one person in an exactly placed crop
EASY = MeasuredConfig(
    maps=PLACED, people=1, noise_sd=(0.3, 0.3), flicker=(0.0, 0.0), jpeg_probability=0.0
)
LABELS = ["negative", "positive", "surprise", "positive"]


@pytest.fixture(scope="module")
def easy() -> np.ndarray:
    return measured_maps(LABELS, 5, EASY).maps


def test_measured_maps_follow_from_seed_number_label_and_settings(easy: np.ndarray) -> None:
    again = measured_maps(LABELS[1:3], 5, EASY, first=1)
    np.testing.assert_array_equal(again.maps, easy[1:3])
    assert again.weights.shape == (2, 36)
    assert np.abs(measured_maps(LABELS[:1], 6, EASY).maps - easy[:1]).max() > 0.01
    assert measured_maps([], 5).maps.shape == (0, 3, 28, 28)


def test_the_estimator_finds_what_was_planted(easy: np.ndarray) -> None:
    """The clean drawn map of the same units is the independent reference."""
    drawn = measured_maps(LABELS, 5, EASY)
    quiet = replace(
        PLACED,
        identities=1,
        crop_warp=0.0,
        rigid_level=0.0,
        translation=0.0,
        noise=(1e-9, 1e-9),
        gain_patchiness=0.0,
        boundary_probability=0.0,
        blur=(0.5,),
    )
    wanted = maps_of_units(drawn.weights, 0, quiet)
    agreement = [
        np.corrcoef(got[:2].ravel(), want[:2].ravel())[0, 1]
        for got, want in zip(easy, wanted, strict=True)
    ]
    assert np.median(agreement) > 0.75
    others = [
        np.corrcoef(got[:2].ravel(), want[:2].ravel())[0, 1]
        for got, want in zip(easy, wanted[[1, 2, 0, 2]], strict=True)
    ]
    assert np.median(others) < 0.4
    size = np.hypot(easy[:, 0], easy[:, 1]).max((1, 2))
    assert ((size > 0.1) & (size < 0.5)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise_sd", (3.0, 3.0)),
        ("flicker", (0.2, 0.2)),
        ("yaw_px", 9.0),
        ("jpeg_probability", 1.0),
        ("lost_px", 1.0),
    ],
)
def test_every_disturbance_reaches_the_map(name: str, value: object, easy: np.ndarray) -> None:
    spoiled = measured_maps(LABELS[:1], 5, replace(EASY, **{name: value})).maps
    assert np.abs(spoiled - easy[:1]).max() > 1e-3


def test_a_misplaced_crop_misplaces_the_map(easy: np.ndarray) -> None:
    shifted = replace(EASY, maps=replace(PLACED, crop_shift=(4.0, 4.0)))
    spoiled = measured_maps(LABELS, 5, shifted).maps
    assert np.corrcoef(spoiled[:, :2].ravel(), easy[:, :2].ravel())[0, 1] < 0.9


def test_rendered_heads_can_be_measured_too() -> None:
    pytest.importorskip("anny")
    config = replace(EASY, pictures="mesh", maps=replace(PLACED, faces="mesh"))
    drawn = measured_maps(LABELS[:1], 5, config)
    assert np.isfinite(drawn.maps).all()
    assert np.hypot(*drawn.maps[0, :2]).max() > 0.05
    assert len(load_anny_units()[0]) >= 8
