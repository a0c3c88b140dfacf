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
from micromimic.models.balance import FLOOR, RATIOS, SIZE, difference_matrix, smoothing_matrix
from micromimic.models.flow_capsnet import CLASS_SIZE, GRID, PRIMARY_SIZE, FlowCapsNet
from micromimic.models.graph import TINY, Graph, finish


def _votes(graph: Graph, network: FlowCapsNet) -> tuple[str, int]:
    """Convolutions, primary capsules and transforms: (B, n_in, k, 16), and n_in."""
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    # batch normalisation is a fixed affine map once trained: fold it into the convolution
    scale = weights["norm.weight"] / np.sqrt(weights["norm.running_var"] + network.norm.eps)
    bias = (weights["conv.bias"] - weights["norm.running_mean"]) * scale + weights["norm.bias"]
    geometry: dict[str, Any] = {"kernel_shape": [6, 6], "strides": [2, 2], "pads": [2, 2, 2, 2]}
    hidden = graph.step(
        "Conv",
        "maps" if network.balance is None else balance(graph, "maps"),
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
    return graph.shape(votes, -1, types * places, network.classes, CLASS_SIZE), types * places


def balance(graph: Graph, maps: str) -> str:
    """As `models.balance.Balance`."""
    rows, columns = graph.constant(difference_matrix()), graph.constant(difference_matrix().T)
    smooth = smoothing_matrix()
    axes = [2, 3]
    floor = graph.number(FLOOR)

    def channel(value: str, first: int, last: int) -> str:
        return graph.step("Slice", value, *(graph.integers(k) for k in (first, last, 1)))

    def square(value: str) -> str:
        return graph.step("Mul", value, value)

    flow = channel(maps, 0, 2)
    away = graph.step("Sub", flow, graph.step("ReduceMean", flow, axes=axes))
    spread = graph.step("Sqrt", graph.step("ReduceMean", square(away), axes=axes))
    flow = graph.step("Div", flow, graph.step("Add", spread, floor))
    u, v = channel(flow, 0, 1), channel(flow, 1, 2)
    u_x, u_y = graph.step("MatMul", u, columns), graph.step("MatMul", rows, u)
    v_x, v_y = graph.step("MatMul", v, columns), graph.step("MatMul", rows, v)
    ratios = graph.constant(RATIOS.reshape(1, -1, 1, 1))
    shear = graph.step("Add", u_y, graph.step("Mul", ratios, v_x))
    own = graph.step(
        "Sum",
        square(u_x),
        square(graph.step("Mul", ratios, v_y)),
        graph.step("Mul", graph.number(0.5), square(shear)),
    )
    own = graph.step("Sqrt", own)
    own = graph.step("Sub", own, graph.step("ReduceMean", own, axes=axes))
    strain = channel(maps, 2, 3)
    strain = graph.step("Sub", strain, graph.step("ReduceMean", strain, axes=axes))
    both = graph.integers(*axes)
    norm = graph.step("Sqrt", graph.step("ReduceSum", square(own), both, keepdims=0))
    alike = graph.step("ReduceSum", graph.step("Mul", own, strain), both, keepdims=0)
    alike = graph.step("Div", alike, graph.step("Add", norm, floor))
    best = graph.step("ArgMax", alike, axis=1, keepdims=0)
    factor = graph.step("Gather", graph.constant(RATIOS), best)
    v = graph.step("Mul", v, graph.shape(factor, -1, 1, 1, 1))
    flow = graph.step("Concat", u, v, axis=1)
    flow = graph.step("MatMul", graph.constant(smooth), flow)
    flow = graph.step("MatMul", flow, graph.constant(smooth.T))
    size = graph.step("Sqrt", graph.step("ReduceMean", square(flow), axes=[1, 2, 3]))
    gain = graph.step("Div", graph.number(SIZE), graph.step("Add", size, floor))
    return graph.step("Mul", flow, gain)


def route(
    graph: Graph, votes: str, inputs: int, iterations: int, classes: int = 3
) -> tuple[str, str]:
    """Class capsules (B, k, 16) and coupling (B, n_in, k)."""
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
        A checked model: input ``maps`` (n, 3, 28, 28) centred; outputs ``lengths`` (n, k) and
        ``votes`` (n, k, 7, 7), as `flow_capsnet.WithVotes` gives them.
    """
    graph = Graph()
    classes, types = network.classes, network.capsule_types
    votes, inputs = _votes(graph, network)
    upper, coupling = route(graph, votes, inputs, network.iterations, classes)
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
