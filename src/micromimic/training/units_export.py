"""Write the network of action units as ONNX, node by node, and check it against torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
import torch

from micromimic.canonical import UNITS
from micromimic.errors import ModelError
from micromimic.models.action_units import SIDES
from micromimic.models.graph import Graph, finish
from micromimic.models.runtime import open_session
from micromimic.training.torch_onnx import TOLERANCE, add_layers
from micromimic.training.units_fit import SIDED, TOLD, UnitNet


def build_units_onnx(network: UnitNet, metadata: Mapping[str, object]) -> onnx.ModelProto:
    """The trained network as an ONNX model.

    Args:
        network: trained.
        metadata: what `models.action_units.load_unit_model` reads.

    Returns:
        A checked model: input ``maps`` (n, 3, 28, 28) centred; outputs ``presence``, ``sides``
        and ``shares`` as `models.action_units` describes them.

    Raises:
        ModelError: if the file does not compute what torch does.
    """
    graph = Graph()
    hidden = graph.step("Flatten", add_layers(graph, network.layers, "maps"), axis=1)
    hidden = graph.step("Relu", add_layers(graph, [network.hidden], hidden))
    presence = add_layers(graph, [network.presence], hidden)
    graph.step("Identity", presence, name="presence")
    sides = add_layers(graph, [network.sides], hidden)
    shape = graph.integers(-1, len(SIDED), len(SIDES))
    graph.step("Reshape", sides, shape, name="sides")
    graph.step("Softmax", add_layers(graph, [network.shares], hidden), name="shares", axis=1)
    model = finish(
        graph,
        "flow-units",
        {"maps": (3, UNITS, UNITS)},
        {"presence": (len(TOLD),), "sides": (len(SIDED), len(SIDES)), "shares": (len(TOLD),)},
        metadata,
    )
    _check(model.SerializeToString(deterministic=True), network)
    return model


def _check(content: bytes, network: UnitNet) -> None:
    """Compare the file with torch, on one row and on several."""
    session = open_session(content, "what was exported", "report this with your versions")
    rng = np.random.default_rng(0)
    for rows in (1, 3):
        maps = rng.normal(size=(rows, 3, UNITS, UNITS)).astype(np.float32)
        with torch.inference_mode():
            presence, sides, shares = network(torch.from_numpy(maps))
        wanted = [one.numpy() for one in (presence, sides, shares.softmax(1))]
        got = session.run(["presence", "sides", "shares"], {"maps": maps})
        for one, other in zip(got, wanted, strict=True):
            gap = float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")
            # written so that NaN fails too
            if not gap <= TOLERANCE * max(1.0, float(np.abs(other).max())):
                raise ModelError(
                    f"expected an ONNX file equal to torch within {TOLERANCE:g}, got a difference "
                    f"of {gap:.3g}; train again with this version"
                )
