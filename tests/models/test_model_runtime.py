"""ONNX Runtime behind its one door: what a file may name, what is said of it, and how often."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import micromimic
from micromimic.analysis.recognize import recognize
from micromimic.core.errors import ModelError
from micromimic.models.action_units import load_unit_model
from micromimic.models.onnx import SHIPPED, load_model
from micromimic.synthesis.clips import ClipConfig, plan_clip, render

onnx = pytest.importorskip("onnx")

PACKAGE = Path(micromimic.__file__).parent


def test_the_runtime_is_imported_at_one_place_after_its_telemetry_is_off() -> None:
    places = []
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] == "onnxruntime" for name in names):
                places.append(file.relative_to(PACKAGE).as_posix())
    assert places == ["models/runtime.py"]
    code = "import os, micromimic; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "1\n"


# ---- weights in another file ----------------------------------------------------------------


def outside(tensor: onnx.TensorProto) -> None:
    """Let a tensor name a file for its weights."""
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")


def in_an_initializer(model: onnx.ModelProto) -> None:
    outside(model.graph.initializer[0])


def in_a_constant(model: onnx.ModelProto) -> None:
    value = onnx.numpy_helper.from_array(np.ones(3, np.float32))
    outside(value)
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["c"], value=value))


def in_a_branch(model: onnx.ModelProto) -> None:
    value = onnx.numpy_helper.from_array(np.ones(3, np.float32), "w")
    outside(value)
    branch = onnx.helper.make_graph([], "branch", [], [], [value])
    model.graph.node.append(
        onnx.helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch)
    )


def in_a_list(model: onnx.ModelProto) -> None:
    value = onnx.numpy_helper.from_array(np.ones(3, np.float32))
    outside(value)
    model.graph.node.append(onnx.helper.make_node("Lists", [], ["c"], values=[value]))


def in_a_sparse_tensor(model: onnx.ModelProto) -> None:
    outside(model.graph.sparse_initializer.add().values)


def in_a_function(model: onnx.ModelProto) -> None:
    value = onnx.numpy_helper.from_array(np.ones(3, np.float32))
    outside(value)
    node = onnx.helper.make_node("Constant", [], ["c"], value=value)
    model.functions.add(name="f", domain="d").node.append(node)


def in_its_training(model: onnx.ModelProto) -> None:
    outside(model.training_info.add().algorithm.initializer.add())


def by_its_place_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL


def by_its_file_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="weights.bin")


@pytest.mark.parametrize(
    "change",
    [
        in_an_initializer,
        in_a_constant,
        in_a_branch,
        in_a_list,
        in_a_sparse_tensor,
        in_a_function,
        in_its_training,
        by_its_place_alone,
        by_its_file_alone,
    ],
)
def test_weights_in_another_file_are_refused(
    change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = onnx.load(SHIPPED)
    weights = model.graph.initializer[0].raw_data
    change(model)
    (tmp_path / "weights.bin").write_bytes(weights)
    file = tmp_path / "model.onnx"
    file.write_bytes(model.SerializeToString())
    monkeypatch.chdir(tmp_path)
    for load in (load_model, load_unit_model):
        with pytest.raises(ModelError, match=r"one file, got .*model\.onnx.*external data") as told:
            load(file)
        assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("kept", [0, 1, 100, 300_000])
def test_a_file_that_is_cut_off_is_unusable(kept: int, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(SHIPPED.read_bytes()[:kept])
    with pytest.raises(ModelError, match="model.onnx"):
        load_model(file)


# ---- what is said of a broken one -----------------------------------------------------------


def failing_to_load(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "NoSuchOperator"


def failing_to_fit(model: onnx.ModelProto) -> None:
    first = model.graph.initializer[0]
    first.CopyFrom(onnx.numpy_helper.from_array(np.ones((1, 1), np.float32), first.name))


def failing_as_it_runs(model: onnx.ModelProto) -> None:
    """Look up what is not there, by an index that only the input tells."""
    place = next(n for n in model.graph.node if "lengths" in n.output)
    place.output[list(place.output).index("lengths")] = "inner"
    far = onnx.numpy_helper.from_array(np.array([100, 101, 102], np.int64), "far")
    model.graph.initializer.append(far)
    node = onnx.helper.make_node
    model.graph.node.extend(
        [
            node("ReduceMax", [model.graph.input[0].name], ["most"], keepdims=0),
            node("Cast", ["most"], ["whole"], to=onnx.TensorProto.INT64),
            node("Add", ["far", "whole"], ["index"]),
            node("Gather", ["inner", "index"], ["lengths"], axis=1),
        ]
    )


USE = """
import sys
from pathlib import Path
import numpy as np
from micromimic.core.errors import MicromimicError
from micromimic.models.onnx import load_model
try:
    load_model(Path(sys.argv[1])).predict(np.ones((1, 3, 28, 28), np.float32))
except MicromimicError as error:
    print(error, file=sys.stderr)
    sys.exit(1)
"""


@pytest.mark.parametrize("change", [failing_to_load, failing_to_fit, failing_as_it_runs])
def test_a_broken_model_is_one_line_on_stderr(change, tmp_path: Path) -> None:
    model = onnx.load(SHIPPED)
    change(model)
    file = tmp_path / "model.onnx"
    file.write_bytes(model.SerializeToString())
    done = subprocess.run(
        [sys.executable, "-c", USE, str(file)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("expected ") and done.stderr.count("\n") == 1, done.stderr


# ---- opened once ----------------------------------------------------------------------------

OPENED: list[str] = []


@pytest.fixture(scope="module")
def pair() -> list[np.ndarray]:
    plan = plan_clip(ClipConfig(seconds=2.0, fps=50.0), 1)
    onset, apex = (round(time * 50) for time in (plan.micro[0].onset, plan.micro[0].apex))
    frames = list(render(plan, frames=range(onset, apex + 1)))
    return [frames[0], frames[-1]]


def test_a_loop_of_pairs_opens_its_models_once(pair: list[np.ndarray], tmp_path: Path) -> None:
    sys.addaudithook(
        lambda event, what: (
            OPENED.append(what[0])
            if event == "open" and str(what[0]).endswith((".onnx", ".dat"))
            else None
        )
    )
    own = tmp_path / "own.onnx"
    own.write_bytes(SHIPPED.read_bytes())
    first = [recognize(*pair, model=model).probabilities for model in (None, own)]
    assert OPENED  # the hook sees what is opened
    OPENED.clear()
    assert [recognize(*pair, model=model).probabilities for model in (None, own)] == first
    assert OPENED == []
    # a file that was written anew is opened anew
    own.unlink()
    own.write_bytes(b"no model")
    with pytest.raises(ModelError, match="own.onnx"):
        recognize(*pair, model=own)
