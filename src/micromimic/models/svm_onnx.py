"""Support vector machines as ONNX graphs, node by node, with the `onnx` package alone.

Inside, the graphs compute in double precision as `models.svm` does: distances between support
vectors are small differences of large sums, and many signed terms are added up.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import TensorProto

from micromimic.core.canonical import UNITS
from micromimic.models.graph import Graph, finish
from micromimic.models.samples import View
from micromimic.models.svm import HellingerMachine, RbfMachine


def build_onnx(
    machine: HellingerMachine | RbfMachine, view: View, metadata: Mapping[str, object]
) -> bytes:
    """The trained machine as an ONNX file.

    ``view``: ``flow``: input ``maps`` (n, 3, 28, 28), centred, of which u and v are used;
    ``volume``: input ``features`` (n, d). Returns a checked model; output ``scores`` (n, k)
    float32, decision values of the input as given.
    """
    graph = Graph()
    inputs: dict[str, tuple[int, ...]]
    if view == "flow":
        inputs, features = {"maps": (3, UNITS, UNITS)}, motion_features(graph, "maps")
    else:
        rows = machine.weights if isinstance(machine, HellingerMachine) else machine.support.T
        inputs, features = {"features": (len(rows),)}, graph.double("features")
    scores = machine_scores(graph, features, machine)
    graph.step("Cast", scores, to=TensorProto.FLOAT, name="scores")
    return finish(graph, "svm", inputs, {"scores": (len(machine.bias),)}, metadata)


def motion_features(graph: Graph, maps: str) -> str:
    """(n, 1568) u and v of (n, 3, 28, 28) maps, in double precision."""
    pair = graph.step("Slice", maps, graph.integers(0), graph.integers(2), graph.integers(1))
    return graph.double(graph.shape(pair, -1, 2 * UNITS * UNITS))


def machine_scores(graph: Graph, features: str, machine: HellingerMachine | RbfMachine) -> str:
    """(n, k) decision values of (n, d) features, both in double precision."""
    if isinstance(machine, HellingerMachine):
        kernel = graph.step("Sqrt", features)
    else:
        kernel = _gaussian(graph, features, machine)
    scores = graph.step("MatMul", kernel, graph.constant(machine.weights))
    return graph.step("Add", scores, graph.constant(machine.bias))


def _gaussian(graph: Graph, features: str, machine: RbfMachine) -> str:
    # the vectors are stored as they came, in single precision: half the file
    support = graph.double(graph.constant(machine.support.T))
    products = graph.step("MatMul", features, support)
    squares = graph.sum(graph.square(features), 1, keep=True)
    lengths = np.square(machine.support.astype(np.float64)).sum(1)
    distances = graph.step("Add", squares, graph.constant(lengths))
    distances = graph.step("Sub", distances, graph.step("Mul", products, graph.real(2.0)))
    return graph.step("Exp", graph.step("Mul", distances, graph.real(-machine.gamma)))
