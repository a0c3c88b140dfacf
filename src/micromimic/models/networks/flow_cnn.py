"""The plain counterpart of the flow capsule network: the same two convolutions, no capsules."""

from __future__ import annotations

from torch import Tensor, nn

_PLACES = 7 * 7


class FlowCnn(nn.Module):
    """Class logits from centred flow maps.

    ``width``: channels of the first convolution; the second has twice as many; ``dropout``: share
    of features left out before the last layer; ``classes``: how many.

    >>> import torch
    >>> FlowCnn()(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([2, 3])
    """

    def __init__(self, width: int = 16, dropout: float = 0.5, classes: int = 3) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 6, stride=2, padding=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 6, stride=2, padding=2),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(2 * width * _PLACES, classes)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, k) logits of (B, 3, 28, 28) centred maps."""
        logits: Tensor = self.last(self.dropout(self.features(maps).flatten(1)))
        return logits
