"""The ensemble as one ONNX graph: its networks' graphs taken in whole, the machine beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, compose

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.models.ensemble import Machine, Synthetic
from micromimic.models.graph import OPSET, Graph, finish
from micromimic.models.svm_onnx import machine_scores, motion_features

_INPUT: Final = "maps"
_Ends = dict[str, tuple[str, tuple[int, ...]]]


def build_onnx(
    machine: Machine,
    synthetic: Synthetic | None,
    sharpness: float,
    metadata: Mapping[str, object],
) -> bytes:
    """A checked file of the maps' scores as given, for `models.onnx.load_model`.

    Input ``maps`` (n, 3, 28, 28), centred; outputs ``lengths`` (n, k) and the class network's
    ``votes`` (n, k, g, g), or ``scores`` alone where no network votes.
    """
    graph = Graph()
    parts = [machine_scores(graph, motion_features(graph, _INPUT), machine.motion)]
    votes: tuple[str, tuple[int, ...]] | None = None
    if synthetic is not None and machine.units is not None and machine.spread is not None:
        classes, units = (
            _include(graph, file, prefix)
            for file, prefix in zip(synthetic.files, ("classes_", "units_"), strict=True)
        )
        if synthetic.columns is not None:
            votes = classes.get("votes")
            said, _ = classes.get("lengths") or classes["scores"]
            parts.append(_start(graph, said, synthetic, machine.lead))
        presence = graph.double(units["presence"][0])
        presence = graph.step("Div", presence, graph.constant(machine.spread))
        parts.append(machine_scores(graph, presence, machine.units))
    total = graph.step("Mul", graph.step("Sum", *parts), graph.real(sharpness))
    graph.step("Cast", total, to=TensorProto.FLOAT, name="lengths" if votes else "scores")
    count = len(machine.motion.bias)
    outputs: dict[str, tuple[int, ...]] = {"scores": (count,)}
    if votes and synthetic is not None:
        picked = _picked(graph, votes[0], synthetic)
        graph.step("Identity", picked, name="votes")
        outputs = {"lengths": (count,), "votes": (count, *votes[1][1:])}
    return finish(graph, "flow-ensemble", {_INPUT: (3, UNITS, UNITS)}, outputs, metadata)


def _picked(graph: Graph, value: str, synthetic: Synthetic) -> str:
    columns = synthetic.columns
    if columns is None or columns == list(range(len(synthetic.classes.labels))):
        return value
    return graph.step("Gather", value, graph.constant(np.array(columns, np.int64)), axis=1)


def _start(graph: Graph, said: str, synthetic: Synthetic, lead: float) -> str:
    temperature = synthetic.classes.calibration.temperature
    scores = graph.double(_picked(graph, said, synthetic))
    chances = graph.step("Softmax", graph.step("Div", scores, graph.real(temperature)), axis=1)
    apart = graph.step("Sub", chances, graph.real(1 / len(synthetic.labels)))
    return graph.step("Mul", apart, graph.real(lead))


def _include(graph: Graph, content: bytes, prefix: str) -> _Ends:
    """Take a model's steps in; by the name of each output, its new one and its shape without n."""
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
