"""Fit the flow network to synthetic maps: data, steps, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromimic.canonical import UNITS
from micromimic.labels import EMOTIONS, Emotion
from micromimic.models.capsules import margin_loss
from micromimic.models.flow_capsnet import FlowCapsNet
from micromimic.models.preprocess import center, mirror
from micromimic.synthesis.maps import Faces, MapConfig, generate_maps

Progress = Callable[[str, int, int], None]
"""Told (stage, steps done, steps in all)."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Args:
        seed: decides maps, initial weights and order; the same seed gives the same model.
        maps: synthetic training maps, classes in equal parts.
        harder_share: how many of them have the stronger nuisances of `MapConfig.harder`. Chosen on
            synthetic maps alone: with half of them, a model trained on one source of faces
            recognised the other source's better (UF1 .683 against .663, .672 against .645).
        epochs: passes over them; there is no early stopping.
        batch: maps a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        validation: synthetic maps for each of the two validation sets.
    """

    seed: int = 0
    maps: int = 12000
    harder_share: float = 0.5
    epochs: int = 10
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    validation: int = 3000


@dataclass(frozen=True)
class MapSet:
    """Raw maps (n, 3, 28, 28) and their classes."""

    maps: NDArray[np.float32]
    labels: tuple[Emotion, ...]

    @property
    def targets(self) -> NDArray[np.int64]:
        """(n,) class numbers."""
        place = {name: index for index, name in enumerate(EMOTIONS)}
        return np.array([place[label] for label in self.labels], np.int64)


def synthetic_set(
    count: int, seed: int, config: MapConfig, report: Progress | None = None
) -> MapSet:
    """Draw classes in equal parts, in pieces of 3000 so that each piece has its own faces."""
    labels = tuple(EMOTIONS[index % len(EMOTIONS)] for index in range(count))
    pieces = [np.empty((0, 3, UNITS, UNITS), np.float32)]
    for number, start in enumerate(range(0, count, 3000)):
        piece = labels[start : start + 3000]
        pieces.append(generate_maps(piece, seed * 1009 + number, config))
        if report:
            report("maps", start + len(piece), count)
    return MapSet(np.concatenate(pieces), labels)


def training_set(
    config: TrainConfig, faces: Faces = "both", report: Progress | None = None
) -> MapSet:
    """The maps that ``config`` trains on: plain ones first, then the harder ones."""
    harder = round(config.maps * config.harder_share)
    settings = MapConfig(faces=faces)
    plain = synthetic_set(config.maps - harder, 2 * config.seed, settings, report)
    rest = synthetic_set(harder, 2 * config.seed + 1, settings.harder(), report)
    return MapSet(np.concatenate([plain.maps, rest.maps]), plain.labels + rest.labels)


def across_faces(
    config: TrainConfig, seed: int, report: Progress | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the network says about faces of a kind it was not trained on.

    Two networks are trained, each on half as many maps of one source of faces, and each is asked
    about harder maps of the other source: the nearest thing to real faces that synthetic ones
    allow.

    Args:
        config: settings.
        seed: of the maps asked about.
        report: told of each step.

    Returns:
        (n, 3) class lengths and (n,) class numbers, the two directions taking turns.
    """
    half = replace(config, maps=config.maps // 2)
    directions: tuple[tuple[Faces, Faces], ...] = (("own", "mesh"), ("mesh", "own"))
    lengths, targets = [], []
    for known, unknown in directions:
        network = train_network(training_set(half, known, report), half, report)
        asked = synthetic_set(config.validation, seed, MapConfig(faces=unknown).harder())
        lengths.append(mirrored_lengths(network, asked.maps))
        targets.append(asked.targets)
    return (
        np.stack(lengths, axis=1).reshape(-1, len(EMOTIONS)),
        np.stack(targets, axis=1).reshape(-1),
    )


def train_network(data: MapSet, config: TrainConfig, report: Progress | None = None) -> FlowCapsNet:
    """Fit the network.

    Each map is seen mirrored (u negated) half of the time; place, scale and rotation already vary
    in the generator.

    Args:
        data: raw training maps.
        config: settings.
        report: told of each step.

    Returns:
        The network in evaluation mode.
    """
    inputs = torch.from_numpy(center(data.maps))
    targets = torch.from_numpy(data.targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = FlowCapsNet()
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
            loss = margin_loss(network(_mirror_some(inputs[rows])), targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if report:
                report("training", step + 1, steps)
    return network.eval()


def mirrored_lengths(network: FlowCapsNet, maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 3) class lengths, averaged over each map and its mirror image, as at run time."""
    data = center(maps)
    with torch.inference_mode():
        parts = [network(torch.from_numpy(view)).numpy() for view in (data, mirror(data))]
    return np.asarray((parts[0] + parts[1]) / 2, np.float64)


def _mirror_some(maps: Tensor) -> Tensor:
    flipped = maps.flip(3) * torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1)
    chosen = torch.rand(len(maps), 1, 1, 1) < 0.5
    return torch.where(chosen, flipped, maps)
