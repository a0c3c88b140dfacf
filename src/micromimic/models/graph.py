"""Build ONNX graphs node by node: what kernel machines and templates are written with.

The package onnx (extra ``train``) is imported when the first graph is begun.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MissingExtraError
from micromimic.models.runtime import METADATA_KEY

OPSET: Final = 17
Shapes = Mapping[str, tuple[int, ...]]
"""Float32 ends by name, their shapes without the first axis, which is free."""


class Graph:
    """Collects nodes and constants; every step returns the name of its output."""

    def __init__(self) -> None:
        try:
            import onnx  # noqa: PLC0415 - of an extra, and slow to import
        except ImportError as error:
            raise MissingExtraError(
                "expected the package onnx, got none; pip install 'micromimic[train]'"
            ) from error
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def step(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node; its output bears ``name``, if given."""
        output = name or f"x{len(self.nodes)}"
        make = self.onnx.helper.make_node
        self.nodes.append(make(kind, list(inputs), [output], **attributes))
        return output

    def constant(self, values: NDArray[np.generic]) -> str:
        name = f"c{len(self.constants)}"
        array = np.ascontiguousarray(values)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def number(self, value: float, kind: type[np.floating] = np.float64) -> str:
        return self.constant(np.array(value, kind))

    def integers(self, *values: int) -> str:
        """A constant vector of whole numbers, as axes and sizes are."""
        return self.constant(np.array(values, np.int64))

    def double(self, value: str) -> str:
        return self.step("Cast", value, to=self.onnx.TensorProto.DOUBLE)

    def single(self, value: str, name: str) -> str:
        return self.step("Cast", value, to=self.onnx.TensorProto.FLOAT, name=name)

    def motion(self, maps: str, size: int) -> str:
        """(n, 2 * size) u and v of (n, 3, ...) maps."""
        pair = self.step("Slice", maps, self.integers(0), self.integers(2), self.integers(1))
        return self.step("Reshape", pair, self.integers(-1, 2 * size))

    def square_sum(self, value: str) -> str:
        """(n, 1) sums of squares of (n, d) rows."""
        square = self.step("Mul", value, value)
        return self.step("ReduceSum", square, self.integers(1), keepdims=1)

    def finish(
        self, name: str, inputs: Shapes, outputs: Shapes, metadata: Mapping[str, object]
    ) -> bytes:
        """A checked ONNX file; the steps of the outputs bear their names."""
        helper = self.onnx.helper
        model = helper.make_model(
            helper.make_graph(self.nodes, name, [], [], self.constants),
            opset_imports=[helper.make_opsetid("", OPSET)],
        )
        model.ir_version = 8
        return finish_model(self.onnx, model, inputs, outputs, metadata)


def finish_model(
    onnx: Any, model: Any, inputs: Shapes, outputs: Shapes, metadata: Mapping[str, object]
) -> bytes:
    """The bytes of a model, checked, with its ends and its description inside."""
    for ends, shapes in ((model.graph.input, inputs), (model.graph.output, outputs)):
        del ends[:]
        ends.extend(
            onnx.helper.make_tensor_value_info(end, onnx.TensorProto.FLOAT, ["n", *shape])
            for end, shape in shapes.items()
        )
    model.producer_name = "micromimic"
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(dict(metadata), sort_keys=True)})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))
