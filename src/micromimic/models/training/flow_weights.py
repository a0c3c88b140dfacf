"""Take the weights of an exported flow-capsnet back into a network that can be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from micromimic.core.errors import ModelError
from micromimic.models.networks.flow_capsnet import CLASS_SIZE, PRIMARY_SIZE, FlowCapsNet
from micromimic.models.onnx import load_model


def read_flow_capsnet(
    path: Path, maps: Tensor, classes: Sequence[str] | None = None
) -> FlowCapsNet:
    """A network with the weights of an ONNX file.

    Batch normalisation was folded into the first convolution when the file was written. Here it is
    unfolded again, with the statistics of the maps to be trained on: the network says what the
    file's says, in evaluation mode exactly and in training mode as nearly as batches resemble the
    whole.

    ``maps``: (n, 3, 28, 28) centred, of the training part.
    """
    import onnx  # noqa: PLC0415 - slow to import
    from onnx import numpy_helper  # noqa: PLC0415

    known = list(load_model(path).labels)  # its errors are the right ones
    wanted = known if classes is None else list(classes)
    graph = onnx.load_model(path).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    nodes: dict[str, list[Any]] = {}
    for node in graph.node:
        nodes.setdefault(node.op_type, []).append(node)
    try:
        first, second = nodes["Conv"]
        product = nodes["MatMul"][-1]  # those before it balance u and v
        conv, conv_bias = (constants[name] for name in first.input[1:])
        primary, primary_bias = (constants[name] for name in second.input[1:])
        transform = constants[product.input[1]]
        balanced = first.input[0] != "maps"
        types = len(primary) // PRIMARY_SIZE
        network = FlowCapsNet(len(conv), types, balanced=balanced, classes=len(wanted))
        state = {
            "conv.weight": conv,
            "conv.bias": conv_bias,
            "primary.weight": primary,
            "primary.bias": primary_bias,
        }
        if set(wanted) <= set(known):
            heads = transform.reshape(*transform.shape[:2], len(known), CLASS_SIZE)
            heads = heads[:, :, [known.index(name) for name in wanted]]
            state["transform"] = heads.reshape(*transform.shape[:2], -1)
        own = network.state_dict()
        own |= {name: torch.from_numpy(np.array(value)) for name, value in state.items()}
        network.load_state_dict(own)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"expected a flow-capsnet with class capsules of {CLASS_SIZE}, got another network in "
            f"{path}; pass a file that `micromimic train --model flow-capsnet` wrote"
        ) from error
    _unfold(network, maps)
    return network.eval()


def _unfold(network: FlowCapsNet, maps: Tensor) -> None:
    """Give the normalisation the statistics of these maps, and undo it by its own scale."""
    with torch.no_grad():
        hidden = network.conv(network.seen(maps))
        mean, variance = hidden.mean((0, 2, 3)), hidden.var((0, 2, 3))
        norm = network.norm
        norm.running_mean = mean.clone()
        norm.running_var = variance.clone()
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.copy_(mean)
