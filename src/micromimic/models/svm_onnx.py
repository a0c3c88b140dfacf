"""Support vector machines as ONNX graphs, node by node, with the `onnx` package alone.

Inside, the graphs compute in double precision as `models.svm` does: distances between support
vectors are small differences of large sums, and many signed terms are added up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from micromimic.canonical import UNITS
from micromimic.models.graph import Graph, finish
from micromimic.models.samples import View
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
        A checked model; output ``scores`` (n, k) float32, decision values of the input as given.
    """
    graph = Graph()
    size = len(machine.weights) if isinstance(machine, HellingerMachine) else len(machine.support.T)
    shape: tuple[int, ...] = (size,)
    name = "features"
    if view == "flow":
        name, shape = "maps", (3, UNITS, UNITS)
        features = motion_features(graph, name)
    else:
        features = double(graph, name)
    scores = machine_scores(graph, features, machine)
    graph.step("Cast", scores, to=TensorProto.FLOAT, name="scores")
    model = finish(graph, "svm", {name: shape}, {"scores": (len(machine.bias),)}, metadata)
    return bytes(model.SerializeToString(deterministic=True))


def motion_features(graph: Graph, maps: str) -> str:
    """(n, 1568) u and v of (n, 3, 28, 28) maps, in double precision."""
    pair = graph.step("Slice", maps, graph.integers(0), graph.integers(2), graph.integers(1))
    return double(graph, graph.shape(pair, -1, 2 * UNITS * UNITS))


def machine_scores(graph: Graph, features: str, machine: HellingerMachine | RbfMachine) -> str:
    """(n, k) decision values of (n, d) features, both in double precision."""
    if isinstance(machine, HellingerMachine):
        kernel = graph.step("Sqrt", features)
    else:
        kernel = _gaussian(graph, features, machine)
    scores = graph.step("MatMul", kernel, graph.constant(machine.weights))
    return graph.step("Add", scores, graph.constant(machine.bias))


def _gaussian(graph: Graph, features: str, machine: RbfMachine) -> str:
    """(n, m) ``exp(-gamma |x - s|^2)``."""
    # the vectors are stored as they came, in single precision: half the file
    support = double(graph, graph.constant(machine.support.T))
    products = graph.step("MatMul", features, support)
    squares = graph.sum(graph.step("Mul", features, features), 1, keep=True)
    lengths = np.square(machine.support.astype(np.float64)).sum(1)
    distances = graph.step("Add", squares, graph.constant(lengths))
    distances = graph.step("Sub", distances, graph.step("Mul", products, real(graph, 2.0)))
    return graph.step("Exp", graph.step("Mul", distances, real(graph, -machine.gamma)))


def double(graph: Graph, value: str) -> str:
    """In double precision."""
    return graph.step("Cast", value, to=TensorProto.DOUBLE)


def real(graph: Graph, value: float) -> str:
    """A constant in double precision."""
    return graph.constant(np.array(value, np.float64))
