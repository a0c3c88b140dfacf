"""Support vector machines as ONNX graphs, node by node, with the `onnx` package alone.

Inside, the graphs compute in double precision as `models.svm` does: distances between support
vectors are small differences of large sums, and many signed terms are added up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from micromimic.canonical import UNITS
from micromimic.labels import EMOTIONS
from micromimic.models.graph import Graph, finish
from micromimic.models.learner import View
from micromimic.models.svm import HellingerMachine, RbfMachine


def build_onnx(
    machine: HellingerMachine | RbfMachine, view: View, metadata: Mapping[str, object]
) -> bytes:
    """The trained machine as an ONNX file.

    Args:
        machine: trained.
        view: ``flow``: input ``maps`` (n, 3, 28, 28), centred, of which u and v are used;
            ``volume``: input ``features`` (n, d).
        metadata: stored inside as JSON.

    Returns:
        A checked model; output ``scores`` (n, 3) float32, decision values of the input as given.
    """
    graph = Graph()
    size = len(machine.weights) if isinstance(machine, HellingerMachine) else len(machine.support.T)
    shape: tuple[int, ...] = (size,)
    name = "features"
    if view == "flow":
        name, shape = "maps", (3, UNITS, UNITS)
        pair = graph.step("Slice", name, graph.integers(0), graph.integers(2), graph.integers(1))
        features = _double(graph, graph.shape(pair, -1, size))
    else:
        features = _double(graph, name)
    if isinstance(machine, HellingerMachine):
        kernel = graph.step("Sqrt", features)
    else:
        kernel = _gaussian(graph, features, machine)
    scores = graph.step("MatMul", kernel, graph.constant(machine.weights))
    scores = graph.step("Add", scores, graph.constant(machine.bias))
    graph.step("Cast", scores, to=TensorProto.FLOAT, name="scores")
    model = finish(graph, "svm", {name: shape}, {"scores": (len(EMOTIONS),)}, metadata)
    return bytes(model.SerializeToString(deterministic=True))


def _gaussian(graph: Graph, features: str, machine: RbfMachine) -> str:
    """(n, m) ``exp(-gamma |x - s|^2)``."""
    # the vectors are stored as they came, in single precision: half the file
    support = _double(graph, graph.constant(machine.support.T))
    products = graph.step("MatMul", features, support)
    squares = graph.sum(graph.step("Mul", features, features), 1, keep=True)
    lengths = np.square(machine.support.astype(np.float64)).sum(1)
    distances = graph.step("Add", squares, graph.constant(lengths))
    distances = graph.step("Sub", distances, graph.step("Mul", products, _number(graph, 2.0)))
    return graph.step("Exp", graph.step("Mul", distances, _number(graph, -machine.gamma)))


def _double(graph: Graph, value: str) -> str:
    return graph.step("Cast", value, to=TensorProto.DOUBLE)


def _number(graph: Graph, value: float) -> str:
    return graph.constant(np.array(value, np.float64))
