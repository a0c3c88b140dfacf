"""Action-unit fields, recipes and the map generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from micromimic.core.labels import THREE
from micromimic.face.units import (
    MIDLINE,
    UNIT_NAMES,
    canvas_grid,
    depth_field,
    unit_fields,
)
from micromimic.motion.flow import strain_of as strain
from micromimic.synthesis.anny_units import UNITS_FILE, load_anny_units
from micromimic.synthesis.maps import MapConfig, draw_maps, generate_maps, maps_of_units
from micromimic.synthesis.recipes import COMBINATIONS, Recipe, sample_recipe

from ..fields import sample_field

# a generator without any nuisance
CLEAN = MapConfig(
    faces="own",
    identities=1,
    amplitude=(1.0, 1.0),
    asymmetry=0.0,
    leak=0.0,
    stray_probability=0.0,
    blink_probability=0.0,
    crop_shift=(0.0, 0.0),
    crop_scale=(0.0, 0.0),
    crop_rotation=0.0,
    crop_shear=0.0,
    crop_warp=0.0,
    rigid_level=0.0,
    translation=0.0,
    noise=(1e-9, 1e-9),
    gain_patchiness=0.0,
    boundary_probability=0.0,
    blur=(0.3,),
    peak_units=(1.0, 1.0),
)


def field(name: str) -> np.ndarray:
    return unit_fields()[UNIT_NAMES.index(name)]


@pytest.fixture(scope="module")
def faces() -> dict[str, Sequence[np.ndarray]]:
    own = [unit_fields(np.random.default_rng(seed)) for seed in range(3)]
    return {"own": own, "mesh": load_anny_units()[0]}


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_fields_peak_at_one_and_are_smooth(seed: int | None) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    fields = unit_fields(rng)
    assert fields.dtype == np.float32
    np.testing.assert_allclose(np.hypot(fields[:, 0], fields[:, 1]).max((1, 2)), 1.0, atol=1e-5)
    assert np.abs(np.diff(fields, axis=-1)).max() < 0.5


def test_left_and_right_mirror_each_other() -> None:
    x, y = canvas_grid()
    there = np.stack([2 * MIDLINE - x, y], -1)
    inside = (there[..., 0] > -6.5) & (there[..., 0] < 34.5)
    for unit in sorted({name[:-1] for name in UNIT_NAMES if name[-1] in "LR"}):
        flipped = sample_field(field(f"{unit}L"), there) * np.array([-1, 1])[:, None, None]
        np.testing.assert_allclose(flipped[:, inside], field(f"{unit}R")[:, inside], atol=0.06)


def test_right_is_image_left() -> None:
    assert np.hypot(*field("12R"))[:, :40].sum() > 10 * np.hypot(*field("12R"))[:, 42:].sum()


# direction of the strongest motion: image right is the person's left, down is positive
DIRECTIONS = {
    "1L": (0, -1),
    "2L": (0, -1),
    "4L": (-1, 1),
    "5L": (0, -1),
    "6L": (0, -1),
    "9L": (0, -1),
    "10L": (0, -1),
    "12L": (1, -1),
    "14L": (1, 0),
    "15L": (0, 1),
    "16L": (0, 1),
    "20L": (1, 0),
    "45L": (0, 1),
    "17": (0, -1),
    "25": (0, 1),
    "26": (0, 1),
    "23": (0, -1),
}


@pytest.mark.parametrize("unit", DIRECTIONS)
@pytest.mark.parametrize("source", ["own", "mesh"])
def test_units_move_the_way_facs_says(
    unit: str, source: str, faces: dict[str, Sequence[np.ndarray]]
) -> None:
    wanted = np.array(DIRECTIONS[unit])
    for fields in faces[source]:
        # a wrinkling nose also lowers the brow heads, in the mesh by more: look below the eyes
        top = 32 if unit == "9L" else 14
        uv = fields[UNIT_NAMES.index(unit)][:, top:70, 14:70]
        size = np.hypot(*uv)
        row, column = np.unravel_index(size.argmax(), size.shape)
        assert uv[:, row, column] @ wanted / np.linalg.norm(wanted) > 0.4, unit


@pytest.mark.parametrize("source", ["own", "mesh"])
def test_units_lie_where_the_muscle_is(source: str, faces: dict[str, Sequence[np.ndarray]]) -> None:
    x, y = canvas_grid()
    boxes = {
        "1L": (13, 19, -3, 5),
        "2L": (19, 28, -3, 6),
        "12L": (16, 24, 15, 23),
        "15L": (15, 23, 18, 26),
        "17": (9, 18, 20, 28),
        "45L": (17, 25, 4, 9),
    }
    for unit, (x0, x1, y0, y1) in boxes.items():
        for fields in faces[source]:
            size = np.hypot(*fields[UNIT_NAMES.index(unit)])
            centre = np.array([(size * x).sum(), (size * y).sum()]) / size.sum()
            assert x0 <= centre[0] <= x1, unit
            assert y0 <= centre[1] <= y1, unit


def test_identities_differ_but_not_in_kind() -> None:
    mean, other = unit_fields(), unit_fields(np.random.default_rng(3))
    flat = [f.reshape(len(UNIT_NAMES), -1) for f in (mean, other)]
    cosine = (flat[0] * flat[1]).sum(1) / np.linalg.norm(flat[0], axis=1)
    cosine /= np.linalg.norm(flat[1], axis=1)
    assert cosine.min() > 0.5
    assert cosine.max() < 0.9999


def test_the_nose_is_nearest() -> None:
    for relief in (depth_field(), depth_field(np.random.default_rng(1)), *load_anny_units()[1]):
        nose, eye, ear = sample_field(relief, np.array([[13.4, 14.0], [20.9, 6.6], [31.0, 9.0]]))
        assert nose > eye > ear


@pytest.mark.parametrize("label", THREE.names)
def test_recipes_keep_their_frequencies(label: str) -> None:
    rng = np.random.default_rng(0)
    drawn = [sample_recipe(label, rng) for _ in range(3000)]
    shares = np.array([c.share for c in COMBINATIONS[label]])
    by_units: dict[tuple[str, ...], float] = {}
    for option in COMBINATIONS[label]:
        by_units[option.units] = by_units.get(option.units, 0) + option.share / shares.sum()
    for units, share in by_units.items():
        got = np.mean([tuple(u.lstrip("LR") for u in r.action_units) == units for r in drawn])
        assert got == pytest.approx(share, abs=0.03)


def test_one_sided_recipes_say_and_do_so() -> None:
    rng = np.random.default_rng(1)
    recipes = [sample_recipe("positive", rng) for _ in range(300)]
    left, right = UNIT_NAMES.index("12L"), UNIT_NAMES.index("12R")
    one_sided = [r for r in recipes if "L12" in r.action_units]
    assert one_sided
    assert all(r.weights[left] > 2 * r.weights[right] for r in one_sided)
    both = [r for r in recipes if "12" in r.action_units]
    assert all(r.weights[left] > 0 and r.weights[right] > 0 for r in both)


def test_recipes_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="label must be one of"):
        sample_recipe("fear", np.random.default_rng(0))
    with pytest.raises(ValueError, match="weights must be"):
        Recipe("negative", ("4",), np.zeros(3, np.float32))


def test_maps_are_reproducible_and_differ_by_seed() -> None:
    labels = ["negative", "positive", "surprise"] * 3
    first = generate_maps(labels, seed=7)
    assert first.shape == (9, 3, 28, 28)
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, generate_maps(labels, seed=7))
    assert np.abs(first - generate_maps(labels, seed=8)).mean() > 0.01
    assert generate_maps([], seed=0).shape == (0, 3, 28, 28)


def test_a_map_follows_from_its_own_number_alone() -> None:
    """Bit for bit: whatever is drawn with it, in pieces of any size, by either way in."""
    labels = [THREE.names[k % 3] for k in range(70)]
    whole = draw_maps(labels, seed=7)
    np.testing.assert_array_equal(whole.maps, generate_maps(labels, seed=7))
    for first, last in ((0, 1), (31, 34), (33, 70)):
        part = draw_maps(labels[first:last], seed=7, first=first)
        np.testing.assert_array_equal(part.maps, whole.maps[first:last])
        np.testing.assert_array_equal(part.weights, whole.weights[first:last])
        assert part.action_units == whole.action_units[first:last]
    others = ["surprise"] * 40 + labels[40:]
    np.testing.assert_array_equal(draw_maps(others, seed=7).maps[40:], whole.maps[40:])
    twice = draw_maps(["positive"] * 2, seed=7).maps
    assert np.abs(twice[0] - twice[1]).mean() > 0.01


def test_drawn_maps_tell_what_is_in_them() -> None:
    """The weights are those of the map: rendered again without chance they explain it."""
    drawn = draw_maps(["positive", "negative", "surprise"] * 4, 3, CLEAN)
    fields = unit_fields(np.random.default_rng([3, 0]))
    for got, weights, names in zip(drawn.maps, drawn.weights, drawn.action_units, strict=True):
        acting = {name.strip("LR") for name in names}
        assert {UNIT_NAMES[k].strip("LR") for k in np.flatnonzero(weights)} == acting
        whole = np.tensordot(weights, fields, 1)[:, 14:70, 14:70]
        pooled = whole.reshape(2, 28, 2, 28, 2).mean((2, 4))
        assert np.corrcoef(got[:2].ravel(), pooled.ravel())[0, 1] > 0.98
    twitching = draw_maps(["positive"] * 40, 3, replace(CLEAN, stray_probability=1.0))
    moving = [{UNIT_NAMES[k].strip("LR") for k in np.flatnonzero(w)} for w in twitching.weights]
    said = [{name.strip("LR") for name in names} for names in twitching.action_units]
    assert any(more - told for more, told in zip(moving, said, strict=True))


def test_maps_of_given_units_are_those_units() -> None:
    weights = np.eye(len(UNIT_NAMES), dtype=np.float32)
    maps = maps_of_units(weights, 3, CLEAN)
    fields = unit_fields(np.random.default_rng([3, 0]))[..., 14:70, 14:70]
    pooled = fields.reshape(-1, 2, 28, 2, 28, 2).mean((3, 5))
    for got, wanted in zip(maps, pooled, strict=True):
        assert np.corrcoef(got[:2].ravel(), wanted.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crop_shift", (1.0, 1.0)),
        ("crop_scale", (0.1, 0.1)),
        ("crop_rotation", 0.1),
        ("crop_warp", 1.0),
        ("rigid_level", 0.2),
        ("translation", 0.3),
        ("noise", (0.2, 0.2)),
        ("gain_patchiness", 0.5),
        ("blink_probability", 1.0),
        ("stray_probability", 1.0),
        ("boundary_probability", 1.0),
        ("blur", (1.1,)),
        ("asymmetry", 0.3),
        ("faces", "mesh"),
    ],
)
def test_every_nuisance_acts(name: str, value: object) -> None:
    labels = ["negative"] * 8
    clean = generate_maps(labels, 3, CLEAN)
    spoiled = generate_maps(labels, 3, replace(CLEAN, **{name: value}))
    assert np.abs(spoiled - clean).max() > 0.02


def test_strain_of_known_flows() -> None:
    y, x = np.mgrid[0:8, 0:8] * 0.5
    turn = np.stack([-0.1 * y, 0.1 * x])
    np.testing.assert_allclose(strain(turn, 0.5), 0.0, atol=1e-6)
    shear = np.stack([0.2 * y, 0 * x])
    np.testing.assert_allclose(strain(shear, 0.5), np.sqrt(0.5) * 0.2, atol=1e-6)


def test_harder_maps_are_further_from_the_clean_class_means() -> None:
    labels = [label for label in THREE for _ in range(60)]

    def signal(config: MapConfig) -> float:
        maps = generate_maps(labels, 5, config)[:, :2].reshape(180, -1)
        maps = maps / np.linalg.norm(maps, axis=1, keepdims=True)
        means = maps.reshape(3, 60, -1).mean(1)
        return float(np.linalg.norm(means - means.mean(0), axis=1).mean())

    assert signal(MapConfig().harder()) < 0.8 * signal(MapConfig())


def test_the_packed_faces_are_small_and_differ() -> None:
    assert UNITS_FILE.stat().st_size < 200_000
    fields, _ = load_anny_units()
    inside = fields[..., 14:70, 14:70]
    peaks = np.hypot(inside[:, :, 0], inside[:, :, 1]).max((2, 3))
    assert (np.abs(peaks - 1) < 0.25).all()
    flat = fields.reshape(len(fields), -1)
    cosine = np.corrcoef(flat) - np.eye(len(fields))
    assert 0.5 < cosine.max() < 0.999
