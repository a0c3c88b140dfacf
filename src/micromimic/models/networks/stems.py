"""Stems: the first layers of an ImageNet network, from a face crop to 28 x 28 x 256.

Each is cut from torchvision's model, so its ImageNet weights fit: ResNet18 (He et al., CVPR 2016),
VGG11 (Simonyan, Zisserman, ICLR 2015), MobileNetV2 (Sandler et al., CVPR 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torchvision.models import get_model

Backbone = Literal["resnet18", "vgg11", "mobilenet_v2"]
"""torchvision's name of the network that a stem is cut from."""

STEM_CHANNELS: Final = 256


class Normalise(nn.Module):
    """From 0..1 to the mean and spread that ImageNet weights expect.

    >>> Normalise()(torch.full((1, 3, 2, 2), 0.5)).mean((0, 2, 3))
    tensor([0.0655, 0.1964, 0.4178])
    """

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        # constants, not weights: they are in no state file
        self.register_buffer("mean", _channels(0.485, 0.456, 0.406), persistent=False)
        self.register_buffer("spread", _channels(0.229, 0.224, 0.225), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, H, W) of the same."""
        return (faces - self.mean) / self.spread


def make_backbone(name: Backbone, state: Mapping[str, Tensor] | None = None) -> Any:
    """torchvision's network; without a state, random weights from torch's global generator."""
    network = get_model(name)
    if state is not None:
        network.load_state_dict(state, strict=True)
    return network


def resnet18_stem(backbone: Any) -> nn.Sequential:
    """conv1, bn1, ReLU, layer1 to layer3, without the max-pool: with it the output is 14 x 14."""
    first = backbone.conv1, backbone.bn1, backbone.relu
    return nn.Sequential(*first, backbone.layer1, backbone.layer2, backbone.layer3)


def vgg11_stem(backbone: Any) -> nn.Sequential:
    """The features up to and including the third max-pool."""
    layers = list(backbone.features)
    pools = [place for place, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    return nn.Sequential(*layers[: pools[2] + 1])


def mobilenetv2_stem(backbone: Any) -> nn.Sequential:
    """The features that end at 28 x 28 with 32 channels, widened by a 1 x 1 convolution.

    The convolution is not part of MobileNetV2, so it starts at random.
    """
    widen = nn.Conv2d(32, STEM_CHANNELS, 1, bias=False)
    nn.init.kaiming_normal_(widen.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(*backbone.features[:7], widen, nn.BatchNorm2d(STEM_CHANNELS), nn.ReLU())


_STEMS: Final[Mapping[Backbone, Callable[[Any], nn.Sequential]]] = {
    "resnet18": resnet18_stem,
    "vgg11": vgg11_stem,
    "mobilenet_v2": mobilenetv2_stem,
}


def make_stem(name: Backbone, state: Mapping[str, Tensor] | None = None) -> nn.Sequential:
    """(B, 3, 224, 224) normalised faces to (B, 256, 28, 28); arguments as of `make_backbone`.

    >>> make_stem("mobilenet_v2")(torch.zeros(2, 3, 224, 224)).shape
    torch.Size([2, 256, 28, 28])
    """
    return _STEMS[name](make_backbone(name, state))


def _channels(*values: float) -> Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)
