"""The shipped flow model: preprocessing, registry, what it answers, and where its votes point."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from micromimic.core.errors import InputError, ModelError
from micromimic.core.labels import THREE
from micromimic.evaluation.metrics import uf1
from micromimic.face.units import UNIT_NAMES, unit_fields
from micromimic.models import registry
from micromimic.models.cell_shares import vote_centres
from micromimic.models.onnx import FlowModel, load_model
from micromimic.models.preprocess import center, mirror, read_flow_png
from micromimic.models.registry import MapClassifier, create, list_models, list_shipped, register
from micromimic.motion.flow import strain_of as strain
from micromimic.synthesis.maps import MapConfig, generate_maps
from weights.real_maps import majority_per_database, measure, read_flow_maps

from ..fields import sample_field

LABELS = [THREE.names[k % 3] for k in range(240)]


@pytest.fixture(scope="module")
def shipped() -> FlowModel:
    return load_model()


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    return generate_maps(LABELS, seed=4242)


def planted(units: dict[str, float]) -> np.ndarray:
    """(1, 3, 28, 28) the pooled motion of action units on the mean face."""
    axis = (np.arange(56) + 0.5) / 2
    points = np.stack(np.meshgrid(axis, axis), -1)
    weights = np.array([units.get(name, 0.0) for name in UNIT_NAMES])
    uv = sample_field(np.tensordot(weights, unit_fields(), 1), points)
    channels = np.concatenate([uv, strain(uv, 0.5)[None]])
    return channels.reshape(1, 3, 28, 2, 28, 2).mean((3, 5)).astype(np.float32)


# --- preprocessing ---


def test_center_equals_the_loop() -> None:
    maps = np.random.default_rng(0).normal(3, 2, (4, 3, 28, 28))
    maps[0, 0, 0, 0] = 1e3
    for n in range(4):
        for c in range(3):
            plane = maps[n, c] - np.median(maps[n, c])
            wanted = np.clip(plane / plane.std(), -4, 4) / 2
            np.testing.assert_allclose(center(maps)[n, c], wanted, atol=1e-5)


def test_eight_bit_maps_and_our_own_give_the_same(maps: np.ndarray) -> None:
    low, high = maps.min((2, 3), keepdims=True), maps.max((2, 3), keepdims=True)
    eight_bit = np.rint((maps - low) / (high - low) * 255).astype(np.uint8)
    np.testing.assert_allclose(center(eight_bit), center(maps), atol=0.06)


def test_a_still_map_is_zero() -> None:
    assert (center(np.full((1, 3, 28, 28), 0.3)) == 0).all()


def test_mirror_flips_and_negates_u(maps: np.ndarray) -> None:
    turned = mirror(maps[:2])
    assert turned[0, 0, 5, 3] == -maps[0, 0, 5, 24]
    assert turned[0, 1, 5, 3] == maps[0, 1, 5, 24]
    np.testing.assert_allclose(center(turned), mirror(center(maps[:2])), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 28, 28), (1, 2, 28, 28), (1, 3, 28, 27)])
def test_wrong_maps_are_told(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="maps must be"):
        center(np.zeros(shape))
    with pytest.raises(ValueError, match="finite"):
        center(np.full((1, 3, 28, 28), np.nan))


def test_png_channels_come_in_order(tmp_path: Path) -> None:
    rgb = np.zeros((28, 28, 3), np.uint8)
    rgb[..., 0], rgb[3, 4, 1], rgb[..., 2] = 10, 20, 30
    cv2.imwrite(str(tmp_path / "a.png"), rgb[..., ::-1])
    got = read_flow_png(tmp_path / "a.png")
    assert got[:, 3, 4].tolist() == [10, 20, 30]
    for name, content in {"missing.png": None, "text.png": b"no picture"}.items():
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="expected a"):
            read_flow_png(tmp_path / name)
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros((56, 56, 3), np.uint8))
    with pytest.raises(InputError, match="28 x 28"):
        read_flow_png(tmp_path / "large.png")


# --- registry and control ---


def test_registry_refuses_duplicates_and_lists_what_it_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    names = list_models()
    with pytest.raises(ModelError, match="which is taken"):
        register("flow-capsnet", "taken", "flow")(lambda: create("flow-template"))
    with pytest.raises(ModelError, match=f"{', '.join(names)}, or FILE.py:FUNCTION; got 'x'"):
        create("x")
    with pytest.raises(ModelError, match="flow-capsnet, flow-template, which work as installed"):
        create("flow-svm")


@pytest.mark.parametrize("name", list_shipped())
def test_every_shipped_model_gives_probabilities_and_beats_chance(
    name: str, maps: np.ndarray
) -> None:
    model: MapClassifier = create(name)
    p = model.probabilities(maps)
    assert p.shape == (240, 3)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert uf1(LABELS, np.asarray(THREE.names)[p.argmax(1)]) > 0.7


# --- the shipped model ---


def test_shipped_model_knows_itself(shipped: FlowModel) -> None:
    assert shipped.info.name == "flow-capsnet"
    assert "synthetic motion only" in shipped.info.trained_on
    assert load_model().calibration.margin > 0


def test_recognitions_are_whole(shipped: FlowModel, maps: np.ndarray) -> None:
    found = shipped.predict(maps[:30])
    assert len(found) == 30
    assert shipped.predict(maps[:0]) == []
    for item in found:
        ordered = sorted(item.probabilities.values())
        assert item.probabilities[item.label] == ordered[-1]
        assert item.uncertain == (ordered[-1] - ordered[-2] < shipped.calibration.margin)
        assert item.votes is not None
        assert item.votes.shape == (7, 7)
        assert item.votes.sum() == pytest.approx(1)
        assert (item.votes >= 0).all()


def test_one_map_at_a_time_gives_the_same(shipped: FlowModel, maps: np.ndarray) -> None:
    alone = np.concatenate([shipped.probabilities(maps[k : k + 1]) for k in range(5)])
    np.testing.assert_allclose(alone, shipped.probabilities(maps[:5]), atol=1e-5)


def test_scale_of_the_flow_does_not_matter(shipped: FlowModel, maps: np.ndarray) -> None:
    np.testing.assert_allclose(
        shipped.probabilities(maps[:9] * 40 + 127), shipped.probabilities(maps[:9]), atol=1e-3
    )


def test_mirror_image_keeps_the_answer_and_mirrors_the_votes(
    shipped: FlowModel, maps: np.ndarray
) -> None:
    lengths, votes = shipped.scores_and_votes(maps[:9])
    other, turned = shipped.scores_and_votes(mirror(maps[:9]))
    np.testing.assert_allclose(lengths, other, atol=1e-5)
    np.testing.assert_allclose(votes, turned[..., ::-1], atol=1e-5)


@pytest.mark.parametrize(
    ("units", "label", "place"),
    [
        ({"12L": 1.0, "12R": 0.1}, "positive", (19.5, 18.5)),
        ({"12R": 1.0, "12L": 0.1}, "positive", (7.5, 18.5)),
        ({"1L": 1.0, "1R": 1.0, "2L": 1.0, "2R": 1.0}, "surprise", (13.4, 1.5)),
        ({"4L": 1.0, "4R": 1.0}, "negative", (13.4, 2.0)),
        ({"17": 1.0}, "negative", (13.4, 24.0)),
    ],
)
def test_votes_concentrate_where_motion_was_planted(
    shipped: FlowModel, units: dict[str, float], label: str, place: tuple[float, float]
) -> None:
    found = shipped.predict(planted(units))[0]
    assert found.label == label
    distance = np.abs(vote_centres(7) - place)
    wide = 12.0 if len(units) > 2 or label == "negative" else 7.0
    near = (distance[..., 0] <= wide) & (distance[..., 1] <= 7.0)
    assert found.votes is not None
    assert found.votes[near].sum() > 0.6
    assert found.votes[near].mean() > 2 * found.votes[~near].mean()


def test_hiding_what_was_voted_for_costs_most(shipped: FlowModel, maps: np.ndarray) -> None:
    """Erasing motion around the top places must shorten the class more than around the lowest."""
    lengths, votes = shipped.scores_and_votes(maps)
    best = lengths.argmax(1)
    median = np.median(maps, axis=(2, 3), keepdims=True)
    drops = {}
    for kind in ("top", "bottom"):
        hidden = maps.copy()
        for k, winner in enumerate(best):
            order = np.argsort(votes[k, winner].ravel())
            for place in order[-6:] if kind == "top" else order[:6]:
                row, column = divmod(int(place), 7)
                part = (k, slice(None), slice(4 * row, 4 * row + 4))
                hidden[(*part, slice(4 * column, 4 * column + 4))] = median[k]
        after = shipped.scores_and_votes(hidden)[0]
        rows = np.arange(len(maps))
        drops[kind] = (lengths[rows, best] - after[rows, best]).mean()
    assert drops["top"] > 0.05
    assert drops["top"] > 3 * drops["bottom"]


# --- real maps: measured, never trained on ---


def test_manifests_that_do_not_fit_are_told(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    with pytest.raises(InputError, match="found no file"):
        read_flow_maps(manifest)
    manifest.write_text("dataset,subject\nx,1\n")
    with pytest.raises(InputError, match="none named clip, label, kind, path"):
        read_flow_maps(manifest)
    manifest.write_text("dataset,subject,clip,label,kind,path\na,1,c,positive,video,x.mp4\n")
    (tmp_path / "x.mp4").touch()
    with pytest.raises(InputError, match="rows of kind flow_map"):
        read_flow_maps(manifest)
    manifest.write_text("dataset,subject,clip,label,kind,path\na,1,c,happy,flow_map,x.png\n")
    with pytest.raises(InputError, match="got 'happy'"):
        read_flow_maps(manifest)


def test_shipped_model_on_real_maps(shared: Path, shipped: FlowModel) -> None:
    manifest = shared / "data" / "flow_maps" / "manifest.csv"
    if not manifest.is_file():
        pytest.skip(f"no real flow maps: {manifest} is not there")
    data = read_flow_maps(manifest)
    table = measure(data, shipped.probabilities(data.maps), draws=200)
    assert [row.scope for row in table] == ["composite", "casme2", "samm", "smic"]
    assert table[0].n == 312
    majority = measure(data, majority_per_database(data), draws=50)
    assert majority[0].uf1 == pytest.approx(0.24, abs=0.02)
    # the requirement is .66 as the mean of three seeds; one seed may lie a little lower
    assert table[0].uf1 > 0.64
    assert table[0].uf1_ci95[0] > majority[0].uf1_ci95[1]


def test_generator_without_motion_gives_no_confidence(shipped: FlowModel) -> None:
    """Noise alone must be doubted more often than movements are."""
    rng = np.random.default_rng(0)
    noise = gaussian_filter(rng.normal(size=(150, 3, 28, 28)), (0, 0, 1.5, 1.5))
    moving = generate_maps(LABELS[:150], 9, MapConfig())
    doubted = [np.mean([r.uncertain for r in shipped.predict(m)]) for m in (noise, moving)]
    assert doubted[0] > 2 * doubted[1]
