"""The article's baselines on the apex frame: ResNet18 and VGG11 with another last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn

from micromimic.models.networks.stems import Normalise, make_backbone

CnnName = Literal["resnet18", "vgg11"]


class FaceCnn(nn.Module):
    """Class logits from face crops.

    ``name``: which network; ``state``: its ImageNet weights, thousand-way last layer included; None
    draws random ones; ``classes``: how many.
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
        """(B, k) logits of (B, 3, 224, 224) in 0..1."""
        logits: Tensor = self.backbone(self.normalise(faces))
        return logits
