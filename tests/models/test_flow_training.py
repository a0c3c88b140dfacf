"""Training the flow model: calibration, the network's geometry, and the ONNX file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from micromimic.core.errors import MissingExtraError, ModelError
from micromimic.core.labels import THREE
from micromimic.evaluation.metrics import uf1
from micromimic.models.calibrate import calibrate
from micromimic.models.cell_shares import vote_centres
from micromimic.models.onnx import Calibration, load_model
from micromimic.models.preprocess import center
from micromimic.synthesis.maps import generate_maps

TOOLS = Path(__file__).resolve().parents[2] / "tools"
TINY = {
    "seed": 3,
    "maps": 192,
    "measured": 0,
    "epochs": 3,
    "teachers": 2,
    "lessons": 3,
    "validation": 120,
}
LABELS = [THREE.names[k % 3] for k in range(240)]


@pytest.fixture(scope="module")
def maps() -> np.ndarray:
    return generate_maps(LABELS, seed=4242)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained for a few seconds."""
    pytest.importorskip("torch", reason="torch is in the train extra")
    pytest.importorskip("onnx", reason="onnx is in the train extra")
    from weights.config import FlowConfig
    from weights.flow import train_flow

    out = tmp_path_factory.mktemp("tiny") / "model.onnx"
    return train_flow(out, FlowConfig(**TINY))


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


def test_training_is_deterministic_to_the_byte(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is in the train extra")
    pytest.importorskip("onnx", reason="onnx is in the train extra")
    from weights.config import FlowConfig
    from weights.flow import train_flow

    config = FlowConfig(**TINY | {"maps": 48, "epochs": 1, "lessons": 1, "validation": 30})
    first, again = (train_flow(tmp_path / f"{name}.onnx", config) for name in ("first", "again"))
    assert again.read_bytes() == first.read_bytes()


def test_a_tiny_training_learns_and_writes_its_card(tiny: Path, maps: np.ndarray) -> None:
    model = load_model(tiny)
    assert uf1(LABELS, np.asarray(THREE.names)[model.probabilities(maps).argmax(1)]) > 0.6
    card = tiny.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    for part in ("--seed 3", "384 drawn maps", "AI Act", "MIT", "## Limits", "harder"):
        assert part in card
    assert [p.name for p in tiny.parent.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("balanced", [False, True])
def test_onnx_equals_torch(maps: np.ndarray, balanced: bool) -> None:
    torch = pytest.importorskip("torch", reason="torch is in the train extra")
    onnx = pytest.importorskip("onnx", reason="onnx is in the train extra")
    import onnxruntime

    from micromimic.models.graph import OPSET
    from micromimic.models.networks.flow import FlowCapsNet
    from micromimic.models.training.export import export_network

    torch.manual_seed(0)
    network = FlowCapsNet(balanced=balanced)
    network(torch.from_numpy(center(maps[:64])))  # gives batch normalisation real statistics
    network.eval()
    content = export_network(network, "flow", {"name": "x"})
    assert onnx.load_model_from_string(content).opset_import[0].version == OPSET <= 17
    session = onnxruntime.InferenceSession(content)
    data = center(maps[:16])
    data[0] = 0
    lengths, votes = session.run(None, {"maps": data})
    with torch.inference_mode():
        wanted = shares_of(network, torch.from_numpy(data))
    np.testing.assert_allclose(lengths, wanted[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(votes, wanted[1].numpy(), atol=1e-5)


def shares_of(network: Any, maps: Any) -> tuple[Any, Any]:
    """(B, k) lengths, (B, k, 7, 7) shares; where nothing speaks for a class, even ones."""
    from micromimic.models.networks.capsules import dynamic_routing

    votes = network.votes(maps)
    upper, coupling = dynamic_routing(votes, network.iterations)
    lengths = network(maps)
    direction = upper / (lengths.unsqueeze(2) + 1e-9)
    parts = coupling * (votes * direction.unsqueeze(1)).sum(3)
    parts = parts.reshape(-1, network.capsule_types, 49, network.classes).sum(1)
    shares = parts.relu() + 1e-9
    shares = (shares / shares.sum(1, keepdim=True)).transpose(1, 2)
    return lengths, shares.reshape(-1, network.classes, 7, 7)


def test_votes_split_the_class_capsule() -> None:
    """Before the cut at 0, the parts of all places must add up to |x_j|."""
    torch = pytest.importorskip("torch", reason="torch is in the train extra")
    from micromimic.models.networks.capsules import dynamic_routing
    from micromimic.models.networks.flow import FlowCapsNet

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
    from micromimic.models.networks.flow import FlowCapsNet

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
    from micromimic.models.runtime import METADATA_KEY

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
    with pytest.raises(ModelError, match="expected (a|input maps)") as caught:
        load_model(file)
    assert "\n" not in str(caught.value)


def test_a_model_of_another_shape_is_told(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx is in the train extra")
    from onnx import TensorProto, helper

    from micromimic.models.runtime import METADATA_KEY

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
        "classes": list(THREE.names),
        "temperature": 1,
        "margin": 0,
    }
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(details)})
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="expected input maps"):
        load_model(tmp_path / "m.onnx")


def test_training_without_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from micromimic.models import registry
    from weights.__main__ import main

    monkeypatch.setattr(registry, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"micromimic\[train\]"):
        registry.require_extra()
    for model in ("flow", "action-units"):
        assert main([model, "--out", "x.onnx"]) == 1


def test_the_command_imports_without_torch(tmp_path: Path) -> None:
    """`python tools/weights` must get as far as saying what is missing."""
    (tmp_path / "torch.py").write_text("raise ImportError('hidden')")
    done = subprocess.run(
        [sys.executable, str(TOOLS / "weights"), "flow", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--without {casme2,samm}" in done.stdout


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    from micromimic.core.errors import OutputError
    from micromimic.core.files import write_whole

    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="choose another --out"):
        write_whole(tmp_path / "file" / "m.onnx", b"")


def test_usage_errors_exit_2() -> None:
    from weights.__main__ import main

    for wrong in (["--maps", "3"], ["--epochs", "x"], ["--without", "smic"]):
        with pytest.raises(SystemExit) as caught:
            main(["flow", "--out", "x.onnx", *wrong])
        assert caught.value.code == 2
