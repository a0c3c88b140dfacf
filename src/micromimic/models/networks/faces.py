"""Networks on the apex frame: the article's CapsuleNet on an ImageNet stem, and its baselines.

Quang, Chun, Tokuyama, "CapsuleNet for Micro-Expression Recognition", FG 2019 (doi
10.1109/FG.2019.8756544); without its decoder: the input is too large for one, the data too few.
Stems are cut from torchvision's models, so their ImageNet weights fit: ResNet18 (He et al., CVPR
2016), VGG11 (Simonyan, Zisserman, ICLR 2015), MobileNetV2 (Sandler et al., CVPR 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, Literal, cast

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from micromimic.models.networks.capsules import dynamic_routing, lengths_of, squash

Backbone = Literal["resnet18", "vgg11", "mobilenet_v2"]
"""torchvision's name of the network that a stem is cut from."""

STEM_CHANNELS: Final = 256


class Normalise(nn.Module):
    """From 0..1 to the mean and spread that ImageNet weights expect."""

    mean: Tensor
    spread: Tensor

    def __init__(self) -> None:
        super().__init__()
        # constants, not weights: they are in no state file
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("spread", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, faces: Tensor) -> Tensor:
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
    """The features that end at 28 x 28 with 32 channels, widened by a 1 x 1 convolution of ours."""
    widen = nn.Conv2d(32, STEM_CHANNELS, 1, bias=False)
    nn.init.kaiming_normal_(widen.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(*backbone.features[:7], widen, nn.BatchNorm2d(STEM_CHANNELS), nn.ReLU())


_STEMS: Final[Mapping[Backbone, Callable[[Any], nn.Sequential]]] = {
    "resnet18": resnet18_stem,
    "vgg11": vgg11_stem,
    "mobilenet_v2": mobilenetv2_stem,
}


def make_stem(name: Backbone, state: Mapping[str, Tensor] | None = None) -> nn.Sequential:
    """(B, 3, 224, 224) normalised faces to (B, 256, 28, 28); arguments as of `make_backbone`."""
    return _STEMS[name](make_backbone(name, state))


PRIMARY_TYPES: Final = 32
PRIMARY_SIZE: Final = 8
CLASS_SIZE: Final = 16
GRID: Final = 6
"""Places of primary capsules along a side of the face."""
_KERNEL: Final = 9
_TRANSFORM_SPREAD: Final = 0.03
_PLAIN_SPREAD: Final = 0.01


class CapsNet(nn.Module):
    """Class lengths from face crops: stem, two 9 x 9 convolutions, primary and class capsules.

    Initial weights, unless ``plain``. Both convolutions keep the size of what they are given (He et
    al., ICCV 2015; torch's default divides it by 3 and more), and W has a spread of 0.03: so the
    class capsules of an untrained network are neither near 0, where nothing has a gradient, nor
    near 1, with ImageNet stems and random ones alike.

    ``plain`` starts the convolutions as torch does and W with a spread of 0.01. ``stem`` is as
    `make_stem` gives it.
    """

    def __init__(
        self, stem: nn.Module, iterations: int = 3, classes: int = 3, *, plain: bool = False
    ) -> None:
        super().__init__()
        self.iterations = iterations
        self.classes = classes
        self.normalise = Normalise()
        self.stem = stem
        self.conv = nn.Conv2d(STEM_CHANNELS, STEM_CHANNELS, _KERNEL)
        self.primary = nn.Conv2d(STEM_CHANNELS, PRIMARY_TYPES * PRIMARY_SIZE, _KERNEL, stride=2)
        if not plain:
            nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")
            nn.init.kaiming_normal_(self.primary.weight, nonlinearity="linear")
            for part in (self.conv, self.primary):
                nn.init.zeros_(cast(Tensor, part.bias))
        spread = _PLAIN_SPREAD if plain else _TRANSFORM_SPREAD
        places = GRID * GRID * PRIMARY_TYPES
        self.transform = nn.Parameter(
            torch.randn(places, PRIMARY_SIZE, classes * CLASS_SIZE) * spread
        )

    def forward(self, faces: Tensor) -> Tensor:
        """(B, k) lengths of the class capsules, each in [0, 1), of (B, 3, 224, 224) in 0..1."""
        maps = self.primary(torch.relu(self.conv(self.stem(self.normalise(faces)))))
        # squares of small numbers vanish in half precision: capsules are always float32
        with _full_precision(maps):
            capsules = maps.float().reshape(-1, PRIMARY_TYPES, PRIMARY_SIZE, GRID * GRID)
            capsules = squash(capsules.transpose(2, 3).reshape(-1, len(self.transform), 8))
            votes = torch.matmul(capsules.transpose(0, 1), self.transform).transpose(0, 1)
            votes = votes.reshape(-1, len(self.transform), self.classes, CLASS_SIZE)
            upper, _ = dynamic_routing(votes, self.iterations)
        return lengths_of(upper)


def _full_precision(tensor: Tensor) -> AbstractContextManager[Any]:
    kind = tensor.device.type
    if torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()


CnnName = Literal["resnet18", "vgg11"]


class FaceCnn(nn.Module):
    """Class logits from face crops: ResNet18 or VGG11 with another last layer.

    ``state``: ImageNet's weights, thousand-way last layer included; None draws random ones.
    """

    def __init__(
        self, name: CnnName, state: Mapping[str, Tensor] | None = None, classes: int = 3
    ) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.backbone: Any = make_backbone(name, state)
        if name == "resnet18":
            self.backbone.fc = nn.Linear(self.backbone.fc.in_features, classes)
        else:
            last = self.backbone.classifier[-1]
            self.backbone.classifier[-1] = nn.Linear(last.in_features, classes)

    def forward(self, faces: Tensor) -> Tensor:
        logits: Tensor = self.backbone(self.normalise(faces))
        return logits
