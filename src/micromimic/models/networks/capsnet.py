"""CapsuleNet on the apex frame: stem, two 9 x 9 convolutions, primary and class capsules.

Quang, Chun, Tokuyama, "CapsuleNet for Micro-Expression Recognition", FG 2019 (doi
10.1109/FG.2019.8756544). No reconstruction decoder: the input is too large for one, and the data
too few.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from micromimic.face.crops import FACE_SIDE
from micromimic.models.networks.capsules import dynamic_routing, squash
from micromimic.models.networks.stems import STEM_CHANNELS, Normalise

PRIMARY_TYPES: Final = 32
PRIMARY_SIZE: Final = 8
CLASS_SIZE: Final = 16
GRID: Final = 6
"""Places of primary capsules along a side of the face."""
_KERNEL: Final = 9
_TRANSFORM_SPREAD: Final = 0.03
_PLAIN_SPREAD: Final = 0.01


class CapsNet(nn.Module):
    """Class lengths from face crops.

    Initial weights, unless ``plain``. Both convolutions keep the size of what they are given (He et
    al., ICCV 2015; torch's default divides it by 3 and more), and W has a spread of 0.03: so the
    class capsules of an untrained network are neither near 0, where nothing has a gradient, nor
    near 1, with ImageNet stems and random ones alike.

    ``stem``: (B, 3, 224, 224) normalised to (B, 256, 28, 28), as `stems.make_stem` gives it;
    ``iterations``: of routing; ``classes``: how many; ``plain``: start the convolutions as torch
    does and W with a spread of 0.01.
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
        *_, (_, upper) = self._stages(faces)
        return torch.sqrt((upper * upper).sum(2) + 1e-12)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """What one face becomes, step by step; places before channels, as articles write it.

        >>> from micromimic.models.networks.stems import make_stem
        >>> CapsNet(make_stem("mobilenet_v2")).shapes()["primary"]
        (6, 6, 32, 8)
        """
        device = self.transform.device
        training = self.training
        self.eval()
        with torch.no_grad():
            face = torch.zeros(1, 3, FACE_SIDE, FACE_SIDE, device=device)
            stages = {name: tuple(value.shape[1:]) for name, value in self._stages(face)}
        self.train(training)
        for name in ("input", "stem", "conv"):
            channels, height, width = stages[name]
            stages[name] = (height, width, channels)
        stages["primary"] = (GRID, GRID, stages["primary"][0] // GRID**2, stages["primary"][1])
        return stages

    def _stages(self, faces: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Each step's name and output; the last one is the class capsules (B, k, 16)."""
        yield "input", faces
        hidden = self.stem(self.normalise(faces))
        yield "stem", hidden
        hidden = torch.relu(self.conv(hidden))
        yield "conv", hidden
        maps = self.primary(hidden)
        # squares of small numbers vanish in half precision: capsules are always float32
        with _full_precision(maps):
            capsules = maps.float().reshape(-1, PRIMARY_TYPES, PRIMARY_SIZE, GRID * GRID)
            capsules = squash(capsules.transpose(2, 3).reshape(-1, len(self.transform), 8))
            yield "primary", capsules
            votes = torch.matmul(capsules.transpose(0, 1), self.transform).transpose(0, 1)
            votes = votes.reshape(-1, len(self.transform), self.classes, CLASS_SIZE)
            upper, _ = dynamic_routing(votes, self.iterations)
            yield "classes", upper


def _full_precision(tensor: Tensor) -> AbstractContextManager[Any]:
    kind = tensor.device.type
    if torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
