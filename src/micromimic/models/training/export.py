"""Write the network as ONNX, node by node.

The graph is built from the weights rather than traced: it needs only the `onnx` package, stays the
same across versions of torch, and has no more nodes than the network has steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.models.graph import Graph, finish
from micromimic.models.networks.balance import (
    FLOOR,
    RATIOS,
    SIZE,
    difference_matrix,
    smoothing_matrix,
)
from micromimic.models.networks.flow_capsnet import GRID, FlowCapsNet


def build_onnx(network: FlowCapsNet, metadata: Mapping[str, object]) -> bytes:
    """The trained network as an ONNX file.

    Returns a checked model: input ``maps`` (n, 3, 28, 28) centred; outputs ``lengths`` (n, k) and
    ``votes`` (n, k, 7, 7): the share of a place in class j is the sum over its capsules of ``c_ij
    <W_ij u_i, v_j> / |v_j|``, cut at 0 and divided by its sum over the places. Before the cut these
    add up to ``|x_j|``, so they split what the class capsule is made of.
    """
    graph, classes, types = Graph(), network.classes, network.capsule_types
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    votes = graph.votes(_primary(graph, network, weights), types, weights["transform"], classes)
    upper, coupling = graph.route(votes, types * GRID * GRID, network.iterations, classes)
    lengths = graph.lengths(upper, name="lengths")
    norm = graph.step("Add", graph.expand(lengths, 2), graph.number(1e-9))
    direction = graph.expand(graph.step("Div", upper, norm), 1)
    parts = graph.step("Mul", coupling, graph.sum(graph.step("Mul", votes, direction), 3))
    parts = graph.sum(graph.shape(parts, -1, types, GRID * GRID, classes), 1)
    shares = graph.step("Add", graph.step("Relu", parts), graph.number(1e-9))
    shares = graph.step("Div", shares, graph.sum(shares, 1, keep=True))
    shares = graph.step("Transpose", shares, perm=[0, 2, 1])
    graph.shape(shares, -1, classes, GRID, GRID, name="votes")
    return finish(
        graph,
        "flow-capsnet",
        {"maps": (3, UNITS, UNITS)},
        {"lengths": (classes,), "votes": (classes, GRID, GRID)},
        metadata,
    )


def _primary(graph: Graph, network: FlowCapsNet, weights: Mapping[str, Any]) -> str:
    # batch normalisation is a fixed affine map once trained: fold it into the convolution
    scale = weights["norm.weight"] / np.sqrt(weights["norm.running_var"] + network.norm.eps)
    bias = (weights["conv.bias"] - weights["norm.running_mean"]) * scale + weights["norm.bias"]
    conv = weights["conv.weight"] * scale[:, None, None, None]

    def convolution(value: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        given = value, graph.constant(weight), graph.constant(bias)
        return graph.step("Conv", *given, kernel_shape=[6, 6], strides=[2, 2], pads=[2, 2, 2, 2])

    seen = "maps" if network.balance is None else balance(graph, "maps")
    hidden = graph.step("Relu", convolution(seen, conv, bias))
    return convolution(hidden, weights["primary.weight"], weights["primary.bias"])


def balance(graph: Graph, maps: str) -> str:
    """As `models.networks.balance.Balance`."""
    rows, columns = graph.constant(difference_matrix()), graph.constant(difference_matrix().T)
    smooth = smoothing_matrix()
    axes = [2, 3]
    floor = graph.number(FLOOR)

    def channel(value: str, first: int, last: int) -> str:
        return graph.step("Slice", value, *(graph.integers(k) for k in (first, last, 1)))

    def spread(value: str, axes: list[int]) -> str:
        return graph.step("Sqrt", graph.step("ReduceMean", graph.square(value), axes=axes))

    def about_mean(value: str) -> str:
        return graph.step("Sub", value, graph.step("ReduceMean", value, axes=axes))

    flow = channel(maps, 0, 2)
    flow = graph.step("Div", flow, graph.step("Add", spread(about_mean(flow), axes), floor))
    u, v = channel(flow, 0, 1), channel(flow, 1, 2)
    u_x, u_y = graph.step("MatMul", u, columns), graph.step("MatMul", rows, u)
    v_x, v_y = graph.step("MatMul", v, columns), graph.step("MatMul", rows, v)
    ratios = graph.constant(RATIOS.reshape(1, -1, 1, 1))
    shear = graph.step("Add", u_y, graph.step("Mul", ratios, v_x))
    own = graph.step(
        "Sum",
        graph.square(u_x),
        graph.square(graph.step("Mul", ratios, v_y)),
        graph.step("Mul", graph.number(0.5), graph.square(shear)),
    )
    own = about_mean(graph.step("Sqrt", own))
    strain = about_mean(channel(maps, 2, 3))
    both = graph.integers(*axes)
    norm = graph.step("Sqrt", graph.step("ReduceSum", graph.square(own), both, keepdims=0))
    alike = graph.step("ReduceSum", graph.step("Mul", own, strain), both, keepdims=0)
    alike = graph.step("Div", alike, graph.step("Add", norm, floor))
    best = graph.step("ArgMax", alike, axis=1, keepdims=0)
    factor = graph.step("Gather", graph.constant(RATIOS), best)
    v = graph.step("Mul", v, graph.shape(factor, -1, 1, 1, 1))
    flow = graph.step("Concat", u, v, axis=1)
    flow = graph.step("MatMul", graph.constant(smooth), flow)
    flow = graph.step("MatMul", flow, graph.constant(smooth.T))
    size = spread(flow, [1, 2, 3])
    gain = graph.step("Div", graph.number(SIZE), graph.step("Add", size, floor))
    return graph.step("Mul", flow, gain)
