"""Build ONNX graphs node by node: what models that no exporter knows are written with.

Needs the package onnx (extra ``train``); nothing at run time imports this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from micromimic.models.runtime import METADATA_KEY

OPSET: Final = 17
TINY: Final = 1e-12


class Graph:
    """Collects nodes and constants; every step returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def step(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node; its output bears ``name``, if given."""
        output = name or f"x{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: NDArray[np.generic]) -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def number(self, value: float) -> str:
        """A constant in single precision."""
        return self.constant(np.array(value, np.float32))

    def real(self, value: float) -> str:
        """A constant in double precision."""
        return self.constant(np.array(value, np.float64))

    def integers(self, *values: int) -> str:
        """A constant vector of whole numbers, as axes and sizes are."""
        return self.constant(np.array(values, np.int64))

    def double(self, value: str) -> str:
        """In double precision."""
        return self.step("Cast", value, to=TensorProto.DOUBLE)

    def shape(self, value: str, *sizes: int, name: str = "") -> str:
        """Reshape."""
        return self.step("Reshape", value, self.integers(*sizes), name=name)

    def sum(self, value: str, axis: int, keep: bool = False) -> str:
        """Sum along an axis."""
        return self.step("ReduceSum", value, self.integers(axis), keepdims=int(keep))

    def expand(self, value: str, axis: int) -> str:
        """Insert an axis of length 1."""
        return self.step("Unsqueeze", value, self.integers(axis))

    def square(self, value: str) -> str:
        """Each number times itself."""
        return self.step("Mul", value, value)

    def squash(self, value: str, axis: int) -> str:
        """As `models.networks.capsules.squash`."""
        square = self.sum(self.square(value), axis, keep=True)
        gain = self.step("Div", square, self.step("Add", square, self.number(1.0)))
        norm = self.step("Sqrt", self.step("Add", square, self.number(TINY)))
        return self.step("Div", self.step("Mul", value, gain), norm)

    def lengths(self, capsules: str, name: str = "") -> str:
        """(B, k) of (B, k, d) capsules."""
        square = self.sum(self.square(capsules), 2)
        return self.step("Sqrt", self.step("Add", square, self.number(TINY)), name=name)

    def votes(self, value: str, types: int, transform: NDArray[np.generic], classes: int) -> str:
        """What primary capsules predict for each class: (B, n_in, k, d) of a convolution's output.

        ``value``: (B, types * size, rows, columns).
        """
        count, size, width = transform.shape
        capsules = self.shape(value, -1, types, size, count // types)
        capsules = self.squash(self.step("Transpose", capsules, perm=[0, 1, 3, 2]), 3)
        capsules = self.shape(capsules, -1, count, size)
        capsules = self.step("Transpose", capsules, perm=[1, 0, 2])
        votes = self.step("MatMul", capsules, self.constant(transform))
        votes = self.step("Transpose", votes, perm=[1, 0, 2])
        return self.shape(votes, -1, count, classes, width // classes)

    def route(self, votes: str, inputs: int, iterations: int, classes: int) -> tuple[str, str]:
        """As `capsules.dynamic_routing`: class capsules (B, k, d), coupling (B, n_in, k)."""
        # before anything agrees, the coupling is even
        coupling = self.constant(np.full((1, inputs, classes), 1 / classes, np.float32))
        logits = ""
        for number in range(iterations):
            weighted = self.step("Mul", self.expand(coupling, 3), votes)
            upper = self.squash(self.sum(weighted, 1), 2)
            if number == iterations - 1:
                break
            agreement = self.sum(self.step("Mul", votes, self.expand(upper, 1)), 3)
            logits = self.step("Add", logits, agreement) if logits else agreement
            coupling = self.step("Softmax", logits, axis=2)
        return upper, coupling


def finish(
    graph: Graph,
    name: str,
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    metadata: Mapping[str, object],
) -> bytes:
    """A checked ONNX file of a graph."""

    def ends(shapes: Mapping[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(end, TensorProto.FLOAT, ["n", *shape])
            for end, shape in shapes.items()
        ]

    model = helper.make_model(
        helper.make_graph(graph.nodes, name, ends(inputs), ends(outputs), graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="micromimic",
    )
    model.ir_version = 8
    helper.set_model_props(model, {METADATA_KEY: json.dumps(dict(metadata), sort_keys=True)})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
