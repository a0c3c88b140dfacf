"""The article's baselines on the apex frame: ResNet18 and VGG11 with a three-way last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn

from micromimic.labels import EMOTIONS
from micromimic.models.stems import Normalise, make_backbone

CnnName = Literal["resnet18", "vgg11"]


class FaceCnn(nn.Module):
    """Class logits from face crops.

    Args:
        name: which network.
        state: its ImageNet weights, thousand-way last layer included; None draws random ones.

    Raises:
        RuntimeError: if the weights are of another network.
    """

    def __init__(self, name: CnnName, state: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self.normalise = Normalise()
        self.backbone: Any = make_backbone(name, state)
        if name == "resnet18":
            self.backbone.fc = nn.Linear(self.backbone.fc.in_features, len(EMOTIONS))
        else:
            last = self.backbone.classifier[-1]
            self.backbone.classifier[-1] = nn.Linear(last.in_features, len(EMOTIONS))

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3) logits of (B, 3, 224, 224) in 0..1."""
        logits: Tensor = self.backbone(self.normalise(faces))
        return logits
