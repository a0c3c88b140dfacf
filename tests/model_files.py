"""Small ONNX models of every view, whose scores a line of numpy gives too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from micromimic.core.labels import THREE
from micromimic.models.runtime import METADATA_KEY

SHAPES: dict[str, tuple[str, tuple[int, ...]]] = {
    "flow": ("maps", (3, 28, 28)),
    "faces": ("faces", (3, 224, 224)),
}
TEMPERATURE = 0.7


def describe(view: str, encoder: str | None = None) -> dict[str, Any]:
    """What a file says of itself."""
    return {
        "name": f"linear-{view}", "version": "1.2", "trained_on": "nothing",
        "classes": list(THREE), "temperature": TEMPERATURE, "margin": 0.1,
        "view": view, "encoder": encoder,
    }  # fmt: skip


def weights_of(view: str, size: int | None = None, seed: int = 0, classes: int = 3) -> np.ndarray:
    """(d, k) of the linear model; faces are first averaged in squares of 32 pixels."""
    counts = {"flow": 3 * 28 * 28, "faces": 3 * 7 * 7}
    rng = np.random.default_rng(seed)
    shape = (size or counts[view], classes)
    return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)


def write_model(
    path: Path,
    view: str,
    *,
    weights: np.ndarray | None = None,
    encoder: str | None = None,
    details: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Path:
    """A linear model of a view.

    Args:
        path: the file.
        view: what it looks at.
        weights: (d, k); None is ``weights_of``.
        encoder: for volumes.
        details: its description; None is ``describe``.
        changes: ``input`` (name, shape), ``batch`` (first axis), ``kind`` (type of the ends) and
            ``output`` (name) that differ from what they should be.
    """
    from onnx import TensorProto, helper, numpy_helper

    changes = changes or {}
    weights = weights_of(view) if weights is None else weights
    name, shape = changes.get("input") or SHAPES.get(view) or ("features", (len(weights),))
    kind, batch = changes.get("kind", TensorProto.FLOAT), changes.get("batch", "n")
    output = changes.get("output", "scores")
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    nodes, last = [], name
    if view == "faces":
        window = {"kernel_shape": [32, 32], "strides": [32, 32]}
        nodes.append(helper.make_node("AveragePool", [last], ["pooled"], **window))
        last = "pooled"
    nodes.append(helper.make_node("Flatten", [last], ["flat"]))
    nodes.append(helper.make_node("MatMul", ["flat", "w"], [output]))
    graph = helper.make_graph(
        nodes,
        view,
        [helper.make_tensor_value_info(name, kind, [batch, *shape])],
        [helper.make_tensor_value_info(output, kind, [batch, weights.shape[1]])],
        [numpy_helper.from_array(weights.astype(dtype), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    said = describe(view, encoder) if details is None else details
    helper.set_model_props(model, {METADATA_KEY: json.dumps(said)})
    path.write_bytes(model.SerializeToString())
    return path


def softmax(scores: np.ndarray) -> np.ndarray:
    """(n, 3) probabilities at the files' temperature."""
    powers = np.exp(scores / TEMPERATURE)
    return powers / powers.sum(1, keepdims=True)
