"""The compact capsule network for flow maps: conv, primary capsules, class capsules.

Geometry. Both convolutions have kernel 6, stride 2 and padding 2, so a 28-unit map becomes 14 x 14
and then 7 x 7 places that tile the face: place (row, column) has its receptive field's centre at
``(4 column + 2, 4 row + 2)`` canonical units, the field is 16 units wide, and a mirrored map gives
mirrored places.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from micromimic.models.networks.balance import Balance
from micromimic.models.networks.capsules import dynamic_routing, squash

GRID: Final = 7
"""Places of primary capsules along a side of the face."""
PRIMARY_SIZE: Final = 8
CLASS_SIZE: Final = 16


class FlowCapsNet(nn.Module):
    """Class lengths from centred flow maps.

    ``width``: channels of the first convolution; ``capsule_types``: primary capsules at each place;
    ``iterations``: of routing; ``balanced``: look at u and v on one scale, smoothed, without strain
    (`balance`): what carries over from drawn maps to real ones. Else at the three centred channels;
    ``classes``: how many.

    >>> FlowCapsNet()(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        width: int = 16,
        capsule_types: int = 4,
        iterations: int = 3,
        *,
        balanced: bool = False,
        classes: int = 3,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.capsule_types = capsule_types
        self.iterations = iterations
        self.balance = Balance() if balanced else None
        self.conv = nn.Conv2d(2 if balanced else 3, width, 6, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(width)
        self.primary = nn.Conv2d(width, capsule_types * PRIMARY_SIZE, 6, stride=2, padding=2)
        places = GRID * GRID * capsule_types
        self.transform = nn.Parameter(torch.randn(places, PRIMARY_SIZE, classes * CLASS_SIZE) * 0.1)

    def seen(self, maps: Tensor) -> Tensor:
        """What the first convolution sees of (B, 3, 28, 28) centred maps."""
        return maps if self.balance is None else self.balance(maps)

    def votes(self, maps: Tensor) -> Tensor:
        """What each primary capsule predicts for each class capsule.

        ``maps``: (B, 3, 28, 28) centred. Returns (B, types * 49, k, 16); primary capsules ordered
        by type, then row, then column.
        """
        return self._votes(self.seen(maps))

    def _votes(self, seen: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.conv(seen)))
        shape = (-1, self.capsule_types, PRIMARY_SIZE, GRID * GRID)
        capsules = squash(self.primary(hidden).reshape(shape).transpose(2, 3))
        capsules = capsules.reshape(-1, self.capsule_types * GRID * GRID, PRIMARY_SIZE)
        predicted = torch.matmul(capsules.transpose(0, 1), self.transform).transpose(0, 1)
        return predicted.reshape(-1, predicted.shape[1], self.classes, CLASS_SIZE)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, k) lengths of the class capsules, each in [0, 1)."""
        return self.lengths_of(self.seen(maps))

    def lengths_of(self, seen: Tensor) -> Tensor:
        """(B, k) lengths of maps that ``seen`` has prepared."""
        upper, _ = dynamic_routing(self._votes(seen), self.iterations)
        return _length(upper)


def _length(capsules: Tensor) -> Tensor:
    return torch.sqrt((capsules * capsules).sum(2) + 1e-12)
