"""The flow model: preprocessing, the network, training, ONNX, and where its votes point."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from micromimic.errors import InputError, MissingExtraError, ModelError
from micromimic.evaluation.flow_maps import majority_per_database, measure, read_flow_maps
from micromimic.evaluation.metrics import uf1
from micromimic.labels import CELLS, EMOTIONS
from micromimic.models import registry
from micromimic.models.onnx import (
    _CENTRES,
    Calibration,
    FlowModel,
    load_model,
    region_shares,
    vote_centres,
)
from micromimic.models.preprocess import center, mirror, read_flow_png
from micromimic.models.registry import MapClassifier, create, list_models, register
from micromimic.motion.flow import strain_of as strain
from micromimic.synthesis.maps import MapConfig, generate_maps
from micromimic.synthesis.units import UNIT_NAMES, sample_field, unit_fields
from micromimic.training.calibrate import calibrate

LABELS = [EMOTIONS[k % 3] for k in range(240)]


@pytest.fixture(scope="module")
def shipped() -> FlowModel:
    return load_model()


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    return generate_maps(LABELS, seed=4242)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for a few seconds."""
    pytest.importorskip("torch", reason="torch is in the train extra")
    pytest.importorskip("onnx", reason="onnx is in the train extra")
    from micromimic.training.fit import TrainConfig
    from micromimic.training.flow import train_flow

    out = tmp_path_factory.mktemp("tiny") / "model.onnx"
    return train_flow(out, TrainConfig(seed=3, maps=512, epochs=4, validation=300))


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
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    list_models()
    with pytest.raises(ModelError, match="which is taken"):
        register("flow-template")(lambda: create("flow-template"))
    with pytest.raises(ModelError, match="flow-capsnet, flow-template; got 'x'"):
        create("x")


@pytest.mark.parametrize("name", list_models())
def test_every_model_gives_probabilities_and_beats_chance(name: str, maps: np.ndarray) -> None:
    model: MapClassifier = create(name)
    p = model.probabilities(maps)
    assert p.shape == (240, 3)
    np.testing.assert_allclose(p.sum(1), 1, atol=1e-6)
    assert uf1(LABELS, np.asarray(EMOTIONS)[p.argmax(1)]) > 0.7


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
    lengths, votes = shipped.lengths_and_votes(maps[:9])
    other, turned = shipped.lengths_and_votes(mirror(maps[:9]))
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
    lengths, votes = shipped.lengths_and_votes(maps)
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
        after = shipped.lengths_and_votes(hidden)[0]
        rows = np.arange(len(maps))
        drops[kind] = (lengths[rows, best] - after[rows, best]).mean()
    assert drops["top"] > 0.05
    assert drops["top"] > 3 * drops["bottom"]


# --- regions ---


def test_cell_centres_are_in_the_labels_order_and_mirror() -> None:
    assert tuple(_CENTRES) == CELLS
    for name in CELLS:
        if name.endswith("_right"):
            x, y = _CENTRES[name]
            other = _CENTRES[name.replace("_right", "_left")]
            assert other == pytest.approx((26.8 - x, y))


def test_region_shares_equal_the_loop() -> None:
    rng = np.random.default_rng(0)
    votes = rng.random((7, 7))
    boxes = np.sort(rng.uniform(0, 28, (10, 2, 2)), axis=1).reshape(10, 4)
    wanted = dict.fromkeys(CELLS, 0.0)
    for row in range(7):
        for column in range(7):
            point = np.array([4 * column + 2, 4 * row + 2])
            gaps = [np.hypot(*((b[:2] + b[2:]) / 2 - point)) for b in boxes]
            wanted[CELLS[int(np.argmin(gaps))]] += votes[row, column] / votes.sum()
    got = region_shares(votes, boxes)
    assert got == pytest.approx(wanted)
    assert sum(region_shares(votes).values()) == pytest.approx(1)
    assert sum(region_shares(np.zeros((7, 7))).values()) == 0


def test_regions_refuse_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="votes must be"):
        region_shares(np.zeros(7))
    with pytest.raises(ValueError, match="cells must be"):
        region_shares(np.ones((7, 7)), np.zeros((9, 4)))
    with pytest.raises(ValueError, match="not negative"):
        region_shares(-np.ones((7, 7)))


# --- calibration ---


def test_calibration_finds_the_temperature_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.random((8000, 3))
    p = Calibration(0.2, 0.0).probabilities(lengths)
    targets = np.array([rng.choice(3, p=row) for row in p])
    found = calibrate(lengths, targets)
    assert found.temperature == pytest.approx(0.2, rel=0.08)
    found_p = found.probabilities(lengths)
    ordered = np.sort(found_p, axis=1)
    sure = ordered[:, 2] - ordered[:, 1] >= found.margin
    accuracy = (found_p.argmax(1) == targets)[sure].mean()
    assert accuracy == pytest.approx(0.8, abs=0.01)
    assert sure.mean() < 1


def test_margin_is_none_when_all_is_right_and_one_when_nothing_is() -> None:
    lengths = np.eye(3)[np.arange(90) % 3] + np.linspace(0, 0.1, 90)[:, None]
    assert calibrate(lengths, np.arange(90) % 3).margin == 0
    assert calibrate(lengths, (np.arange(90) + 1) % 3).margin == 1


# --- training and the file ---


def test_training_is_deterministic_to_the_byte(tiny: Path, tmp_path: Path) -> None:
    from micromimic.training.fit import TrainConfig
    from micromimic.training.flow import train_flow

    config = TrainConfig(seed=3, maps=512, epochs=4, validation=300)
    again = train_flow(tmp_path / "again.onnx", config)
    assert again.read_bytes() == tiny.read_bytes()


def test_a_tiny_training_learns_and_writes_its_card(tiny: Path, maps: np.ndarray) -> None:
    model = load_model(tiny)
    assert uf1(LABELS, np.asarray(EMOTIONS)[model.probabilities(maps).argmax(1)]) > 0.6
    card = tiny.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    for part in ("--seed 3", "512 synthetic motion maps", "AI Act", "MIT", "## Limits", "harder"):
        assert part in card
    assert [p.name for p in tiny.parent.iterdir() if p.suffix == ".partial"] == []


def test_onnx_equals_torch(maps: np.ndarray) -> None:
    torch = pytest.importorskip("torch", reason="torch is in the train extra")
    pytest.importorskip("onnx", reason="onnx is in the train extra")
    import onnxruntime

    from micromimic.models.flow_capsnet import FlowCapsNet, WithVotes
    from micromimic.training.export import OPSET, build_onnx

    torch.manual_seed(0)
    network = FlowCapsNet()
    network(torch.from_numpy(center(maps[:64])))  # gives batch normalisation real statistics
    network.eval()
    model = build_onnx(network, {"name": "x"})
    assert model.opset_import[0].version == OPSET <= 17
    session = onnxruntime.InferenceSession(model.SerializeToString())
    data = center(maps[:16])
    data[0] = 0
    lengths, votes = session.run(None, {"maps": data})
    with torch.inference_mode():
        wanted = WithVotes(network).eval()(torch.from_numpy(data))
    np.testing.assert_allclose(lengths, wanted[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(votes, wanted[1].numpy(), atol=1e-5)


def test_votes_split_the_class_capsule() -> None:
    """Before the cut at 0, the parts of all places must add up to |x_j|."""
    torch = pytest.importorskip("torch", reason="torch is in the train extra")
    from micromimic.models.capsules import dynamic_routing
    from micromimic.models.flow_capsnet import FlowCapsNet

    torch.manual_seed(1)
    network = FlowCapsNet().eval()
    with torch.inference_mode():
        votes = network.votes(torch.randn(4, 3, 28, 28))
        upper, coupling = dynamic_routing(votes, 3)
        direction = upper / upper.norm(dim=2, keepdim=True)
        parts = (coupling * (votes * direction.unsqueeze(1)).sum(3)).sum(1)
        whole = (coupling.unsqueeze(3) * votes).sum(1).norm(dim=2)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-4)


def test_places_see_the_units_that_the_geometry_says() -> None:
    """The primary capsule at (row, column) depends on the 16 units around (4c + 2, 4r + 2)."""
    torch = pytest.importorskip("torch", reason="torch is in the train extra")
    from micromimic.models.flow_capsnet import FlowCapsNet

    torch.manual_seed(0)
    network = FlowCapsNet().eval()
    maps = torch.randn(1, 3, 28, 28, requires_grad=True)
    row, column = 3, 2
    index = torch.arange(network.capsule_types) * 49 + row * 7 + column
    network.votes(maps)[0, index].pow(2).sum().backward()
    touched = maps.grad[0].abs().sum(0).numpy() > 0
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    x, y = vote_centres(7)[row, column]
    assert (columns[0], columns[-1] + 1) == (x - 8, x + 8)
    assert (rows[0], rows[-1] + 1) == (y - 8, y + 8)


def test_bad_model_files_are_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model")
    cases = {"missing.onnx": "found no file", "text.onnx": "unusable file"}
    for name, message in cases.items():
        with pytest.raises(ModelError, match=message) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="expected"):
        load_model(tmp_path)


@pytest.mark.parametrize("change", ["no metadata", "no temperature", "other classes", "negative"])
def test_foreign_models_are_told(tiny: Path, tmp_path: Path, change: str) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is in the train extra")
    from micromimic.models.onnx import METADATA_KEY

    model = onnx.load(tiny)
    details = json.loads(model.metadata_props[0].value)
    if change == "no temperature":
        del details["temperature"]
    elif change == "other classes":
        details["classes"] = ["happy", "sad"]
    elif change == "negative":
        details["temperature"] = -1
    keep = {} if change == "no metadata" else {METADATA_KEY: json.dumps(details)}
    onnx.helper.set_model_props(model, keep)
    file = tmp_path / "foreign.onnx"
    file.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="expected a") as caught:
        load_model(file)
    assert "\n" not in str(caught.value)


def test_a_model_of_another_shape_is_told(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is in the train extra")
    from onnx import TensorProto, helper

    from micromimic.models.onnx import METADATA_KEY

    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 5]) for n in ("a", "b")]
    model = helper.make_model(
        helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", ends[:1], ends[1:]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    details = {
        "name": "x",
        "version": "1",
        "trained_on": "y",
        "classes": list(EMOTIONS),
        "temperature": 1,
        "margin": 0,
    }
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(details)})
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="expected input maps"):
        load_model(tmp_path / "m.onnx")


def test_training_without_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from micromimic.training import flow

    monkeypatch.setattr(flow, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"micromimic\[train\]"):
        flow.require_extra()
    assert flow.main(["--out", "x.onnx"]) == 1


def test_the_command_imports_without_torch(tmp_path: Path) -> None:
    """`python -m micromimic.training.flow` must get as far as saying what is missing."""
    (tmp_path / "torch.py").write_text("raise ImportError('hidden')")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import micromimic.training.flow as f;"
        "import micromimic.models.onnx; print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="onnx is in the train extra")
    from micromimic.errors import OutputError
    from micromimic.training.export import write_whole

    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="choose another --out"):
        write_whole(tmp_path / "file" / "m.onnx", b"")


def test_usage_errors_exit_2() -> None:
    from micromimic.training import flow

    with pytest.raises(SystemExit) as caught:
        flow.main(["--out", "x.onnx", "--maps", "3"])
    assert caught.value.code == 2


# --- real maps: measured, never trained on ---


def test_manifests_that_do_not_fit_are_told(tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    with pytest.raises(InputError, match="found no file"):
        read_flow_maps(manifest)
    manifest.write_text("dataset,subject\nx,1\n")
    with pytest.raises(InputError, match="none named clip, label, kind, path"):
        read_flow_maps(manifest)
    manifest.write_text("dataset,subject,clip,label,kind,path\na,1,c,positive,video,x.mp4\n")
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
