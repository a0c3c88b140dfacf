"""Write a trained network as ONNX, layer by layer, and check it against torch.

Built from the modules rather than traced, as `models.training.export` is: it needs only the `onnx`
package, takes a fraction of a second, and gives the same file with every version of torch. A layer
that it does not know is told, and so is a file that does not compute what torch does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.mobilenetv2 import InvertedResidual
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vgg import VGG
from torchvision.ops.misc import Conv2dNormActivation

from micromimic.core.canonical import UNITS
from micromimic.core.errors import ModelError
from micromimic.face.crops import FACE_SIDE
from micromimic.models.graph import Graph, finish
from micromimic.models.networks.capsnet import PRIMARY_TYPES, CapsNet
from micromimic.models.networks.cnn import FaceCnn
from micromimic.models.networks.flow_cnn import FlowCnn
from micromimic.models.networks.stems import Normalise
from micromimic.models.runtime import open_session
from micromimic.models.samples import View

TOLERANCE: Final = 1e-4
"""Largest difference from torch's scores, relative to the largest score if that is above 1."""

_ENDS: Final[Mapping[View, tuple[str, tuple[int, ...]]]] = {
    "flow": ("maps", (3, UNITS, UNITS)),
    "faces": ("faces", (3, FACE_SIDE, FACE_SIDE)),
}


def export_network(network: nn.Module, view: View, metadata: Mapping[str, object]) -> bytes:
    """A network as an ONNX file that `models.onnx.load_model` opens.

    ``view``: ``flow``: input ``maps`` (n, 3, 28, 28), centred; ``faces``: input ``faces`` (n, 3,
    224, 224) in 0..1, normalised inside. Any number n. Returns the file: output ``scores`` (n, k),
    opset 17, dropout left out, batch normalisation folded into the convolutions.
    """
    if view not in _ENDS:
        raise ModelError(
            f"expected a network on one of {sorted(_ENDS)}, got {view!r}; export those"
        )
    name, shape = _ENDS[view]
    on_cpu = deepcopy(network).cpu().float().eval()
    graph = Graph()
    scores = _write(graph, on_cpu, name)
    with torch.inference_mode():
        classes = on_cpu(torch.zeros(1, *shape)).shape[1]
    graph.step("Identity", scores, name="scores")
    details = {"view": view, "encoder": None, **metadata}
    content = finish(graph, type(network).__name__, {name: shape}, {"scores": (classes,)}, details)
    _check(content, on_cpu, name, shape)
    return content


def _check(content: bytes, network: nn.Module, name: str, shape: tuple[int, ...]) -> None:
    session = open_session(content, "what was exported", "report this with your versions")
    rng = np.random.default_rng(0)
    for rows in (1, 2):
        inputs = rng.random((rows, *shape), np.float32)
        with torch.inference_mode():
            wanted = network(torch.from_numpy(inputs)).numpy()
        (got,) = session.run(["scores"], {name: inputs})
        gap = float(np.abs(got - wanted).max()) if got.shape == wanted.shape else float("inf")
        # written so that NaN fails too
        if not gap <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
            raise ModelError(
                f"expected ONNX scores equal to torch's within {TOLERANCE:g}, got a difference of "
                f"{gap:.3g}; export a network without custom layers"
            )


def _write(graph: Graph, module: nn.Module, value: str) -> str:
    if (layers := _LAYERS.get(type(module))) is not None:
        return add_layers(graph, layers(module), value)
    if (writer := _WRITERS.get(type(module))) is not None:
        return writer(graph, module, value)
    known = ", ".join(sorted(kind.__name__ for kind in (*_LAYERS, *_WRITERS)))
    raise ModelError(
        f"expected layers that can be exported ({known}), got {type(module).__name__}; "
        "add a writer for it to micromimic.models.training.torch_onnx"
    )


def add_layers(graph: Graph, modules: Iterable[nn.Module], value: str) -> str:
    """Add modules one after the other, batch normalisation folded into the convolution before it.

    Returns the name of the last one's output.
    """
    layers = list(modules)
    for place, layer in enumerate(layers):
        before = layers[place - 1] if place else None
        after = layers[place + 1] if place + 1 < len(layers) else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            continue
        if isinstance(layer, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            value = _convolution(graph, layer, value, after)
        else:
            value = _write(graph, layer, value)
    return value


def _convolution(
    graph: Graph, layer: nn.Conv2d, value: str, norm: nn.BatchNorm2d | None = None
) -> str:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise ModelError("expected convolutions padded with zeros by number, got another padding")
    weight = layer.weight.detach()
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias.detach()
    if norm is not None:
        # once trained, batch normalisation is a fixed affine map
        mean, variance = _kept(norm.running_mean), _kept(norm.running_var)
        scale = norm.weight.detach() * torch.rsqrt(variance + norm.eps)
        weight = weight * scale[:, None, None, None]
        bias = (bias - mean) * scale + norm.bias.detach()
    return graph.step(
        "Conv",
        value,
        graph.constant(weight.numpy()),
        graph.constant(bias.numpy()),
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        pads=[*layer.padding, *layer.padding],
        dilations=list(layer.dilation),
        group=layer.groups,
    )


def _kept(statistic: Tensor | None) -> Tensor:
    if statistic is None:
        raise ModelError("expected batch normalisation with running statistics, got none")
    return statistic


def _max_pool(graph: Graph, layer: nn.MaxPool2d, value: str) -> str:
    kernel, stride, padding = (
        [size, size] if isinstance(size, int) else list(size)
        for size in (layer.kernel_size, layer.stride, layer.padding)
    )
    return graph.step("MaxPool", value, kernel_shape=kernel, strides=stride, pads=padding + padding)


def _linear(graph: Graph, layer: nn.Linear, value: str) -> str:
    weight, bias = graph.constant(layer.weight.detach().numpy()), layer.bias.detach().numpy()
    return graph.step("Gemm", value, weight, graph.constant(bias), transB=1)


def _normalise(graph: Graph, layer: Normalise, value: str) -> str:
    centred = graph.step("Sub", value, graph.constant(layer.mean.numpy()))
    return graph.step("Div", centred, graph.constant(layer.spread.numpy()))


def _basic_block(graph: Graph, block: BasicBlock, value: str) -> str:
    inside = add_layers(graph, (block.conv1, block.bn1, block.relu, block.conv2, block.bn2), value)
    beside = value if block.downsample is None else _write(graph, block.downsample, value)
    return graph.step("Relu", graph.step("Add", inside, beside))


def _inverted_residual(graph: Graph, block: InvertedResidual, value: str) -> str:
    inside = _write(graph, block.conv, value)
    return graph.step("Add", value, inside) if block.use_res_connect else inside


def _mean_pool(graph: Graph, layer: nn.AdaptiveAvgPool2d, value: str) -> str:
    if layer.output_size not in (1, (1, 1)):
        raise ModelError("expected average pools to a single place, got another")
    return graph.step("GlobalAveragePool", value)


def _capsnet(graph: Graph, network: CapsNet, value: str) -> str:
    layers = (network.normalise, network.stem, network.conv, nn.ReLU(), network.primary)
    transform, classes = network.transform.detach().numpy(), network.classes
    votes = graph.votes(add_layers(graph, layers, value), PRIMARY_TYPES, transform, classes)
    upper, _ = graph.route(votes, len(transform), network.iterations, classes)
    return graph.lengths(upper)


# the exact types: a subclass may compute something else
_LAYERS: Final[Mapping[type[nn.Module], Callable[[Any], Iterable[nn.Module]]]] = {
    nn.Sequential: list,
    Conv2dNormActivation: list,
    ResNet: lambda net: (
        *(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3),
        *(net.layer4, net.avgpool, nn.Flatten(), net.fc),
    ),
    # its average pool to 7 x 7 changes nothing: at 224 pixels the features are 7 x 7
    VGG: lambda net: (net.features, nn.Flatten(), net.classifier),
    FaceCnn: lambda net: (net.normalise, net.backbone),
    FlowCnn: lambda net: (net.features, nn.Flatten(), net.last),
}
"""What is no more than layers one after the other."""
_WRITERS: Final[Mapping[type[nn.Module], Callable[[Graph, Any, str], str]]] = {
    nn.Conv2d: _convolution,
    nn.ReLU: lambda graph, layer, value: graph.step("Relu", value),
    nn.ReLU6: lambda graph, layer, value: graph.step(
        "Clip", value, graph.number(0.0), graph.number(6.0)
    ),
    nn.MaxPool2d: _max_pool,
    nn.AdaptiveAvgPool2d: _mean_pool,
    nn.Flatten: lambda graph, layer, value: graph.step("Flatten", value, axis=1),
    nn.Linear: _linear,
    nn.Dropout: lambda graph, layer, value: value,
    Normalise: _normalise,
    BasicBlock: _basic_block,
    InvertedResidual: _inverted_residual,
    CapsNet: _capsnet,
}
