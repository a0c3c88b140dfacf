"""Write the network as ONNX, node by node.

The graph is built from the weights rather than traced: it needs only the `onnx` package, stays the
same across versions of torch, and has no more nodes than the network has steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from micromimic.canonical import UNITS
from micromimic.labels import EMOTIONS
from micromimic.models.flow_capsnet import CLASS_SIZE, GRID, PRIMARY_SIZE, FlowCapsNet
from micromimic.models.graph import TINY, Graph, finish


def _votes(graph: Graph, network: FlowCapsNet) -> tuple[str, int]:
    """Convolutions, primary capsules and transforms: (B, n_in, 3, 16), and n_in."""
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    # batch normalisation is a fixed affine map once trained: fold it into the convolution
    scale = weights["norm.weight"] / np.sqrt(weights["norm.running_var"] + network.norm.eps)
    bias = (weights["conv.bias"] - weights["norm.running_mean"]) * scale + weights["norm.bias"]
    geometry: dict[str, Any] = {"kernel_shape": [6, 6], "strides": [2, 2], "pads": [2, 2, 2, 2]}
    hidden = graph.step(
        "Conv",
        "maps",
        graph.constant(weights["conv.weight"] * scale[:, None, None, None]),
        graph.constant(bias),
        **geometry,
    )
    hidden = graph.step(
        "Conv",
        graph.step("Relu", hidden),
        graph.constant(weights["primary.weight"]),
        graph.constant(weights["primary.bias"]),
        **geometry,
    )
    types, places = network.capsule_types, GRID * GRID
    capsules = graph.shape(hidden, -1, types, PRIMARY_SIZE, places)
    capsules = graph.squash(graph.step("Transpose", capsules, perm=[0, 1, 3, 2]), 3)
    capsules = graph.shape(capsules, -1, types * places, PRIMARY_SIZE)
    capsules = graph.step("Transpose", capsules, perm=[1, 0, 2])
    votes = graph.step("MatMul", capsules, graph.constant(weights["transform"]))
    votes = graph.step("Transpose", votes, perm=[1, 0, 2])
    return graph.shape(votes, -1, types * places, len(EMOTIONS), CLASS_SIZE), types * places


def route(graph: Graph, votes: str, inputs: int, iterations: int) -> tuple[str, str]:
    """Class capsules (B, 3, 16) and coupling (B, n_in, 3)."""
    classes = len(EMOTIONS)
    # before anything agrees, the coupling is even
    coupling = graph.constant(np.full((1, inputs, classes), 1 / classes, np.float32))
    logits = ""
    for number in range(iterations):
        weighted = graph.step("Mul", graph.expand(coupling, 3), votes)
        upper = graph.squash(graph.sum(weighted, 1), 2)
        if number == iterations - 1:
            break
        agreement = graph.sum(graph.step("Mul", votes, graph.expand(upper, 1)), 3)
        logits = graph.step("Add", logits, agreement) if logits else agreement
        coupling = graph.step("Softmax", logits, axis=2)
    return upper, coupling


def build_onnx(network: FlowCapsNet, metadata: Mapping[str, object]) -> onnx.ModelProto:
    """The trained network as an ONNX model.

    Args:
        network: trained.
        metadata: what `models.onnx` reads: name, version, trained_on, temperature, margin.

    Returns:
        A checked model: input ``maps`` (n, 3, 28, 28) centred; outputs ``lengths`` (n, 3) and
        ``votes`` (n, 3, 7, 7), as `flow_capsnet.WithVotes` gives them.
    """
    graph = Graph()
    classes, types = len(EMOTIONS), network.capsule_types
    votes, inputs = _votes(graph, network)
    upper, coupling = route(graph, votes, inputs, network.iterations)
    square = graph.sum(graph.step("Mul", upper, upper), 2)
    lengths = graph.step("Sqrt", graph.step("Add", square, graph.number(TINY)), name="lengths")
    norm = graph.step("Add", graph.expand(lengths, 2), graph.number(1e-9))
    direction = graph.expand(graph.step("Div", upper, norm), 1)
    parts = graph.step("Mul", coupling, graph.sum(graph.step("Mul", votes, direction), 3))
    parts = graph.sum(graph.shape(parts, -1, types, GRID * GRID, classes), 1)
    shares = graph.step("Add", graph.step("Relu", parts), graph.number(1e-9))
    shares = graph.step("Div", shares, graph.sum(shares, 1, keep=True))
    shares = graph.step("Transpose", shares, perm=[0, 2, 1])
    grid = graph.constant(np.array([-1, classes, GRID, GRID], np.int64))
    graph.step("Reshape", shares, grid, name="votes")

    return finish(
        graph,
        "flow-capsnet",
        {"maps": (3, UNITS, UNITS)},
        {"lengths": (classes,), "votes": (classes, GRID, GRID)},
        metadata,
    )
