"""Fit the flow network to synthetic maps: data, steps, nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromimic.canonical import UNITS
from micromimic.labels import EMOTIONS, Emotion
from micromimic.models.balance import Balance
from micromimic.models.capsules import margin_loss
from micromimic.models.flow_capsnet import FlowCapsNet
from micromimic.models.preprocess import center, mirror
from micromimic.synthesis.maps import Faces, MapConfig, generate_maps

Progress = Callable[[str, int, int], None]
"""Told (stage, steps done, steps in all)."""
Steps = Callable[[int, int], None]
"""Told (steps done, steps in all)."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; what was tried instead stands in ``docs/experiments.md``.

    Args:
        seed: decides maps, initial weights and order; the same seed gives the same model.
        maps: drawn training maps (`synthesis.maps`) of each teacher.
        measured: training maps that our own estimator measured on rendered frames
            (`synthesis.measured`), of warped and of mesh faces (``faces3d`` extra); all teachers
            see them.
        faces: where the action units' fields come from.
        shares: of the classes, order ``labels.EMOTIONS``: between even ones and those of the
            composite database (.57, .25, .19), which is where people meet the model.
        epochs: a teacher's passes over its maps; there is no early stopping.
        teachers: networks that learn from classes.
        lessons: the shipped network's passes over all maps, learning what the teachers say.
        batch: maps a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        validation: synthetic maps for each validation set.
    """

    seed: int = 0
    maps: int = 1500
    measured: int = 3000
    faces: Faces = "mesh"
    shares: tuple[float, float, float] = (0.42, 0.30, 0.28)
    epochs: int = 5
    teachers: int = 8
    lessons: int = 6
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
    """Drawn maps, classes in equal parts, in pieces of 3000: each piece has its own faces."""
    labels = tuple(EMOTIONS[index % len(EMOTIONS)] for index in range(count))
    return in_pieces(
        labels,
        3000,
        "maps",
        report,
        lambda piece, number: generate_maps(piece, seed * 1009 + number, config),
    )


def labels_by_share(config: TrainConfig, count: int, part: int) -> tuple[Emotion, ...]:
    """Classes of one part of the training maps, by their shares."""
    rng = np.random.default_rng([config.seed, part])
    return tuple(EMOTIONS[k] for k in rng.choice(len(EMOTIONS), count, p=config.shares))


def in_pieces(
    labels: tuple[Emotion, ...],
    size: int,
    stage: str,
    report: Progress | None,
    draw: Callable[[tuple[Emotion, ...], int], NDArray[np.float32]],
) -> MapSet:
    """Maps of all labels, some at a time."""
    pieces = [np.empty((0, 3, UNITS, UNITS), np.float32)]
    for number, start in enumerate(range(0, len(labels), size)):
        piece = labels[start : start + size]
        pieces.append(draw(piece, number))
        if report:
            report(stage, start + len(piece), len(labels))
    return MapSet(np.concatenate(pieces), labels)


def train_network(
    data: MapSet, config: TrainConfig, seed: int, report: Steps | None = None
) -> FlowCapsNet:
    """Fit a network to classes.

    Args:
        data: raw training maps.
        config: settings.
        seed: decides initial weights and order.
        report: told (steps done, steps in all).

    Returns:
        The network in evaluation mode.
    """
    classes = torch.from_numpy(data.targets)
    return fit(seen(data.maps), classes, margin_loss, config, seed, config.epochs, report)


def fit(
    inputs: Tensor,
    targets: Tensor,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    config: TrainConfig,
    seed: int,
    epochs: int,
    report: Steps | None = None,
) -> FlowCapsNet:
    """Fit a network's class lengths to anything.

    Each map is seen mirrored (u negated) half of the time; place, scale and rotation already vary
    in the generator.

    Args:
        inputs: (n, 2, 28, 28), as `seen` gives them.
        targets: (n, ...).
        loss_of: of (B, 3) lengths and their targets.
        config: settings.
        seed: decides initial weights and order.
        epochs: passes over the maps.
        report: told (steps done, steps in all).

    Returns:
        The network in evaluation mode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = FlowCapsNet(balanced=True)
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        per_epoch = max(1, len(inputs) // config.batch)
        steps = epochs * per_epoch
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, config.learning_rate, total_steps=steps, pct_start=0.2
        )
        network.train()
        for step in range(steps):
            if step % per_epoch == 0:
                order = torch.randperm(len(inputs))
            at = step % per_epoch * config.batch
            rows = order[at : at + config.batch]
            chosen = torch.rand(len(rows), 1, 1, 1) < 0.5
            maps = torch.where(chosen, mirrored(inputs[rows]), inputs[rows])
            loss = loss_of(network.lengths_of(maps), targets[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            if report:
                report(step + 1, steps)
    return network.eval()


def seen(maps: NDArray[np.float32]) -> Tensor:
    """(n, 2, 28, 28) what a balanced network sees of raw maps.

    Balancing learns nothing, and a mirrored map's is the mirrored one: once is enough.
    """
    balance = Balance()
    with torch.inference_mode():
        pieces = [balance(piece) for piece in torch.split(torch.from_numpy(center(maps)), 500)]
    return torch.cat(pieces).clone()


def mirrored(inputs: Tensor) -> Tensor:
    """The mirror image of what `seen` gives."""
    return inputs.flip(3) * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)


def mirrored_lengths(network: FlowCapsNet, maps: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, 3) class lengths, averaged over each map and its mirror image, as at run time."""
    data = center(maps)
    with torch.inference_mode():
        parts = [network(torch.from_numpy(view)).numpy() for view in (data, mirror(data))]
    return np.asarray((parts[0] + parts[1]) / 2, np.float64)
