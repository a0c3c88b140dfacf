"""The network of action units: what it is, how it is fitted, what it says, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from micromimic.core.canonical import UNITS
from micromimic.core.progress import Progress
from micromimic.models.action_units import UnitScores
from micromimic.models.networks.flow import two_convolutions
from micromimic.models.preprocess import center, mirror
from micromimic.models.training.export import export_module
from weights.config import UnitConfig
from weights.loop import fit
from weights.units_maps import SIDED, TOLD, UnitMaps

_OUTPUTS: Final = [len(TOLD), 3 * len(SIDED), len(TOLD)]
_TARGETS: Final = [len(TOLD), len(SIDED), len(TOLD)]


class UnitNet(nn.Module):
    """Presence, sides and shares of action units from centred flow maps.

    Two convolutions as in `FlowCnn`, a hidden layer, and a linear layer for each answer.

    >>> presence, sides, shares = answers(UnitNet().eval()(torch.zeros(2, 3, 28, 28)))
    >>> presence.shape == shares.shape == (2, len(TOLD)), sides.shape == (2, len(SIDED), 3)
    (True, True)
    """

    def __init__(self, width: int = 16, hidden: int = 48, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = two_convolutions(width)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * width * 49, hidden)
        self.presence = nn.Linear(hidden, len(TOLD))
        self.sides = nn.Linear(hidden, 3 * len(SIDED))
        self.shares = nn.Linear(hidden, len(TOLD))

    def forward(self, maps: Tensor) -> Tensor:
        """Logits of all three answers beside each other, which `answers` takes apart."""
        hidden = torch.relu(self.hidden(self.dropout(self.layers(maps).flatten(1))))
        sides = self.sides(hidden)  # first: gradients are added up in the order of the shipped file
        return torch.cat([self.presence(hidden), sides, self.shares(hidden)], 1)


def answers(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of presence (B, units), of sides (B, sided, 3), and of shares (B, units)."""
    presence, sides, shares = (part.contiguous() for part in torch.split(outputs, _OUTPUTS, 1))
    return presence, sides.reshape(-1, len(SIDED), 3), shares


def train_units(data: UnitMaps, config: UnitConfig, progress: Progress | None = None) -> UnitNet:
    """The fitted network, in evaluation mode."""
    weight = torch.tensor([1.0, config.one_sided_weight, config.one_sided_weight])

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropies of the three answers; sides count where a unit acts."""
        presence, sides, shares = answers(outputs)
        wanted, sided, parts = (part.contiguous() for part in torch.split(targets, _TARGETS, 1))
        acts = functional.binary_cross_entropy_with_logits(presence, wanted)
        where = functional.cross_entropy(
            sides.reshape(-1, 3), sided.reshape(-1).long(), weight=weight, ignore_index=-1
        )
        split = -(parts * functional.log_softmax(shares, dim=1)).sum(1).mean()
        # about one unit in four acts at a time: this brings the three to one size
        return 4.0 * acts + 0.5 * where + 0.2 * split

    truth = (data.truth.presence, data.truth.sides, data.truth.shares)
    return fit(
        UnitNet,
        torch.from_numpy(center(data.maps)),
        torch.from_numpy(np.concatenate([part.astype(np.float32) for part in truth], 1)),
        loss=loss,
        mirror=_mirrored,
        seed=config.seed,
        epochs=config.epochs,
        config=config,
        progress=progress,
    )


def _mirrored(maps: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mirror images; the sides are exchanged."""
    presence, sides, shares = torch.split(targets, _TARGETS, 1)
    exchanged = torch.where(sides > 0, 3 - sides, sides)
    return (
        maps.flip(3) * torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1),
        torch.cat([presence, exchanged, shares], 1),
    )


def scores_of(network: UnitNet, maps: NDArray[np.float32]) -> UnitScores:
    """What the network says, averaged over each map and its mirror image, as at run time."""
    data = center(maps)
    parts = []
    with torch.inference_mode():
        for view in (data, mirror(data)):
            presence, sides, shares = answers(network(torch.from_numpy(view)))
            parts.append((presence, sides.softmax(2), shares.softmax(1)))
    (presence, sides, shares), (other, turned, split) = parts
    return UnitScores(
        ((presence + other) / 2).double().numpy(),
        ((sides + turned[..., [0, 2, 1]]) / 2).double().numpy(),
        ((shares + split) / 2).double().numpy(),
    )


class _Answers(nn.Module):
    """The network with its answers apart, as the file has them: shares add up to 1."""

    def __init__(self, network: UnitNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        presence, sides, shares = answers(self.network(maps))
        return presence, sides, shares.softmax(1)


def build_units_onnx(network: UnitNet, metadata: Mapping[str, object]) -> bytes:
    """The trained network as an ONNX file, checked against torch.

    Input ``maps`` (n, 3, 28, 28) centred; outputs and metadata as `models.action_units` has them.
    """
    outputs = ("presence", "sides", "shares")
    return export_module(_Answers(network), "maps", (3, UNITS, UNITS), outputs, metadata)
