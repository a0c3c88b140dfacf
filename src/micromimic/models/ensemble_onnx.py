"""The ensemble as one ONNX graph: its networks' graphs taken in whole, the machine beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import onnx
from onnx import TensorProto, compose

from micromimic.canonical import UNITS
from micromimic.errors import ModelError
from micromimic.labels import EMOTIONS
from micromimic.models.ensemble import FittedEnsemble
from micromimic.models.graph import OPSET, Graph, finish
from micromimic.models.svm_onnx import double, machine_scores, motion_features, real

_INPUT: Final = "maps"
_Ends = dict[str, tuple[str, tuple[int, ...]]]


def build_onnx(model: FittedEnsemble, metadata: Mapping[str, object]) -> bytes:
    """One graph.

    Args:
        model: trained.
        metadata: stored inside as JSON.

    Returns:
        A checked model: input ``maps`` (n, 3, 28, 28), centred; outputs ``lengths`` (n, 3), the
        scores of the maps as given, and the class network's ``votes`` (n, 3, g, g); or ``scores``
        alone where no network votes.

    Raises:
        ModelError: if a network's file was written with other ONNX operators.
    """
    graph = Graph()
    machine = model.machine
    parts = [machine_scores(graph, motion_features(graph, _INPUT), machine.motion)]
    votes: tuple[str, tuple[int, ...]] | None = None
    if model.synthetic is not None and machine.units is not None and machine.spread is not None:
        classes, units = (
            _include(graph, file, prefix)
            for file, prefix in zip(model.synthetic.files, ("classes_", "units_"), strict=True)
        )
        votes = classes.get("votes")
        said, _ = classes.get("lengths") or classes["scores"]
        parts.append(_start(graph, said, model))
        presence = double(graph, units["presence"][0])
        presence = graph.step("Div", presence, graph.constant(machine.spread))
        parts.append(machine_scores(graph, presence, machine.units))
    total = graph.step("Mul", graph.step("Sum", *parts), real(graph, model.sharpness))
    graph.step("Cast", total, to=TensorProto.FLOAT, name="lengths" if votes else "scores")
    outputs: dict[str, tuple[int, ...]] = {"scores": (len(EMOTIONS),)}
    if votes:
        graph.step("Identity", votes[0], name="votes")
        outputs = {"lengths": (len(EMOTIONS),), "votes": votes[1]}
    inputs = {_INPUT: (3, UNITS, UNITS)}
    whole = finish(graph, "flow-ensemble", inputs, outputs, metadata)
    return bytes(whole.SerializeToString(deterministic=True))


def _start(graph: Graph, said: str, model: FittedEnsemble) -> str:
    """What is kept of the class network's own answer."""
    assert model.synthetic is not None
    temperature = model.synthetic.classes.calibration.temperature
    sharp = graph.step("Div", double(graph, said), real(graph, temperature))
    apart = graph.step("Sub", graph.step("Softmax", sharp, axis=1), real(graph, 1 / len(EMOTIONS)))
    return graph.step("Mul", apart, real(graph, model.machine.lead))


def _include(graph: Graph, content: bytes, prefix: str) -> _Ends:
    """Take a model's steps in under other names.

    Returns:
        By the old name of each output, its new name and its shape without the first axis.
    """
    model = onnx.load_model_from_string(content)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions != {"": OPSET}:
        raise ModelError(
            f"expected a network written with ONNX operators {OPSET}, got {versions}; train it "
            "again with this version"
        )
    shapes = {
        end.name: tuple(axis.dim_value for axis in end.type.tensor_type.shape.dim[1:])
        for end in model.graph.output
    }
    compose.add_prefix(model, prefix, rename_inputs=False, inplace=True)
    graph.nodes += model.graph.node
    graph.constants += model.graph.initializer
    return {name: (prefix + name, shape) for name, shape in shapes.items()}
