"""Fit the network of action units to synthetic maps: data, network, steps, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from micromimic.canonical import UNITS
from micromimic.face.units import UNIT_NAMES
from micromimic.labels import EMOTIONS
from micromimic.models.action_units import UnitScores
from micromimic.models.preprocess import center, mirror
from micromimic.synthesis.maps import Faces, MapConfig, draw_maps
from micromimic.synthesis.recipes import COMBINATIONS
from micromimic.training.fit import Progress

_BLINK: Final = "45"  # tracking sees blinks, and lids differ in half of all maps
TOLD: Final = tuple(
    sorted(
        {unit for each in COMBINATIONS.values() for one in each for unit in one.units} - {_BLINK},
        key=int,
    )
)
"""Action units that the network tells: those of the recipes but blinks, by number."""
SIDED: Final = tuple(unit for unit in TOLD if f"{unit}L" in UNIT_NAMES)
"""Those with a muscle on each side."""
_PIECE: Final = 3000


@dataclass(frozen=True)
class UnitTrainConfig:
    """How the network is trained.

    Args:
        seed: decides maps, initial weights and order; the same seed gives the same model.
        maps: synthetic training maps, classes in equal parts.
        harder_share: how many of them have the stronger nuisances of `MapConfig.harder`.
        epochs: passes over them; there is no early stopping.
        batch: maps a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        one_sided_weight: how much more a movement of one side counts than one of both when sides
            are learnt: nine in ten movements are of both, and a network may call all of them so.
        validation: synthetic maps for each validation set.
    """

    seed: int = 0
    maps: int = 24000
    harder_share: float = 0.5
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    one_sided_weight: float = 3.0
    validation: int = 6000


@dataclass(frozen=True)
class UnitTruth:
    """What acts in n maps.

    Args:
        presence: (n, units) True where the unit acts; order `TOLD`.
        sides: (n, sided) 0 both, 1 left, 2 right, -1 where the unit does not act; order `SIDED`.
        shares: (n, units) parts of the movement, a row adding up to 1.
    """

    presence: NDArray[np.bool_]
    sides: NDArray[np.int64]
    shares: NDArray[np.float32]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_] | slice) -> UnitTruth:
        """The truth of these rows."""
        return UnitTruth(self.presence[rows], self.sides[rows], self.shares[rows])


@dataclass(frozen=True)
class UnitMaps:
    """Raw maps (n, 3, 28, 28), their truth, and their classes (n,)."""

    maps: NDArray[np.float32]
    truth: UnitTruth
    classes: NDArray[np.int64]


def truth_of(
    action_units: Sequence[Sequence[str]], weights: NDArray[np.floating] | None = None
) -> UnitTruth:
    """Truth from FACS names and amplitudes.

    Args:
        action_units: of each map, as ``("6", "L12")``; units that are not told are left out.
        weights: (n, n_units) amplitudes, order ``UNIT_NAMES``; None takes all for equally strong.

    >>> truth = truth_of([("6", "L12")])
    >>> [unit for unit, acts in zip(TOLD, truth.presence[0]) if acts]
    ['6', '12']
    >>> [truth.sides[0, SIDED.index(unit)].item() for unit in ("6", "12", "4")]
    [0, 1, -1]
    """
    n = len(action_units)
    presence = np.zeros((n, len(TOLD)), bool)
    sides = np.full((n, len(SIDED)), -1, np.int64)
    amounts = np.zeros((n, len(TOLD)), np.float32)
    index = {name: k for k, name in enumerate(UNIT_NAMES)}
    for row, names in enumerate(action_units):
        for name in names:
            side, unit = (name[0], name[1:]) if name[0] in "LR" else ("", name)
            if unit not in TOLD:
                continue
            k = TOLD.index(unit)
            presence[row, k] = True
            if unit in SIDED:
                sides[row, SIDED.index(unit)] = ("", "L", "R").index(side)
            if weights is None:
                amounts[row, k] = 1.0
            elif unit in SIDED:
                amounts[row, k] = sum(max(0.0, weights[row, index[unit + s]]) for s in "LR")
            else:  # a midline unit moves both halves of the face
                amounts[row, k] = 2 * max(0.0, weights[row, index[unit]])
    total = amounts.sum(1, keepdims=True)
    shares = np.divide(amounts, total, out=np.zeros_like(amounts), where=total > 0)
    return UnitTruth(presence, sides, shares)


def unit_maps(count: int, seed: int, config: MapConfig, report: Progress | None = None) -> UnitMaps:
    """Draw classes in equal parts, in pieces so that each has its own faces."""
    labels = [EMOTIONS[index % len(EMOTIONS)] for index in range(count)]
    maps = [np.empty((0, 3, UNITS, UNITS), np.float32)]
    weights = [np.empty((0, len(UNIT_NAMES)), np.float32)]
    names: list[tuple[str, ...]] = []
    for number, start in enumerate(range(0, count, _PIECE)):
        drawn = draw_maps(labels[start : start + _PIECE], seed * 1009 + number, config)
        maps.append(drawn.maps)
        weights.append(drawn.weights)
        names += drawn.action_units
        if report:
            report("maps", len(names), count)
    truth = truth_of(names, np.concatenate(weights))
    return UnitMaps(np.concatenate(maps), truth, np.arange(count) % len(EMOTIONS))


def unit_training_maps(
    config: UnitTrainConfig, faces: Faces = "both", report: Progress | None = None
) -> UnitMaps:
    """The maps that ``config`` trains on: plain ones first, then the harder ones."""
    harder = round(config.maps * config.harder_share)
    settings = MapConfig(faces=faces)
    plain = unit_maps(config.maps - harder, 2 * config.seed + 100_000, settings, report)
    rest = unit_maps(harder, 2 * config.seed + 100_001, settings.harder(), report)
    joined = UnitTruth(
        np.concatenate([plain.truth.presence, rest.truth.presence]),
        np.concatenate([plain.truth.sides, rest.truth.sides]),
        np.concatenate([plain.truth.shares, rest.truth.shares]),
    )
    return UnitMaps(
        np.concatenate([plain.maps, rest.maps]),
        joined,
        np.concatenate([plain.classes, rest.classes]),
    )


class UnitNet(nn.Module):
    """Presence, sides and shares of action units from centred flow maps.

    Two convolutions as in `models.flow_cnn`, a hidden layer, and a linear layer for each answer.

    >>> presence, sides, shares = UnitNet().eval()(torch.zeros(2, 3, 28, 28))
    >>> presence.shape == shares.shape == (2, len(TOLD)), sides.shape == (2, len(SIDED), 3)
    (True, True)
    """

    def __init__(self, width: int = 16, hidden: int = 48, dropout: float = 0.2) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 6, stride=2, padding=2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 6, stride=2, padding=2),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(2 * width * 49, hidden)
        self.presence = nn.Linear(hidden, len(TOLD))
        self.sides = nn.Linear(hidden, 3 * len(SIDED))
        self.shares = nn.Linear(hidden, len(TOLD))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of presence (B, units), of sides (B, sided, 3), and of shares (B, units)."""
        hidden = torch.relu(self.hidden(self.dropout(self.layers(maps).flatten(1))))
        sides = self.sides(hidden).reshape(-1, len(SIDED), 3)
        return self.presence(hidden), sides, self.shares(hidden)


def train_units(data: UnitMaps, config: UnitTrainConfig, report: Progress | None = None) -> UnitNet:
    """Fit the network; each map is seen mirrored, its sides exchanged, half of the time.

    Returns:
        The network in evaluation mode.
    """
    inputs = torch.from_numpy(center(data.maps))
    presence = torch.from_numpy(data.truth.presence.astype(np.float32))
    sides, shares = torch.from_numpy(data.truth.sides), torch.from_numpy(data.truth.shares)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = UnitNet()
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        per_epoch = max(1, len(inputs) // config.batch)
        steps = config.epochs * per_epoch
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=steps, pct_start=0.2
        )
        network.train()
        for step in range(steps):
            if step % per_epoch == 0:
                order = torch.randperm(len(inputs))
            at = step % per_epoch * config.batch
            rows = order[at : at + config.batch]
            maps, sided = _mirror_some(inputs[rows], sides[rows])
            loss = _loss(network(maps), presence[rows], sided, shares[rows], config)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if report:
                report("training", step + 1, steps)
    return network.eval()


def said_of(network: UnitNet, maps: NDArray[np.float32]) -> UnitScores:
    """What the network says, averaged over each map and its mirror image, as at run time."""
    data = center(maps)
    parts = []
    with torch.inference_mode():
        for view in (data, mirror(data)):
            presence, sides, shares = network(torch.from_numpy(view))
            parts.append((presence, sides.softmax(2), shares.softmax(1)))
    (presence, sides, shares), (other, turned, split) = parts
    return UnitScores(
        ((presence + other) / 2).double().numpy(),
        ((sides + turned[..., [0, 2, 1]]) / 2).double().numpy(),
        ((shares + split) / 2).double().numpy(),
    )


def _loss(
    said: tuple[Tensor, Tensor, Tensor],
    presence: Tensor,
    sides: Tensor,
    shares: Tensor,
    config: UnitTrainConfig,
) -> Tensor:
    """Cross-entropies of the three answers; sides count where a unit acts."""
    acts = functional.binary_cross_entropy_with_logits(said[0], presence)
    weight = torch.tensor([1.0, config.one_sided_weight, config.one_sided_weight])
    where = functional.cross_entropy(
        said[1].reshape(-1, 3), sides.reshape(-1), weight=weight, ignore_index=-1
    )
    split = -(shares * functional.log_softmax(said[2], dim=1)).sum(1).mean()
    # about one unit in four acts at a time: this brings the three to one size
    return 4.0 * acts + 0.5 * where + 0.2 * split


def _mirror_some(maps: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    flipped = maps.flip(3) * torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
    chosen = torch.rand(len(maps), 1) < 0.5
    exchanged = torch.where(sides > 0, 3 - sides, sides)
    return (
        torch.where(chosen[:, :, None, None], flipped, maps),
        torch.where(chosen, exchanged, sides),
    )
