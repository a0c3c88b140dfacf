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
from micromimic.synthesis.measured import MeasuredConfig, measured_maps

Progress = Callable[[str, int, int], None]
"""Told (stage, steps done, steps in all)."""
_PEOPLE_SHARE = 300
"""Measured maps for which the same dozen people are rendered."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained; what was tried instead stands in ``docs/experiments.md``.

    Args:
        seed: decides maps, initial weights and order; the same seed gives the same model.
        maps: drawn training maps (`synthesis.maps`).
        measured: training maps that our own estimator measured on rendered frames
            (`synthesis.measured`), of warped and of mesh faces (``faces3d`` extra).
        faces: where the action units' fields come from.
        shares: of the classes, order ``labels.EMOTIONS``: halfway between even ones and those of
            the composite database (.57, .25, .19), which is where people meet the model.
        epochs: passes over the maps; there is no early stopping.
        batch: maps a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        validation: synthetic maps for each validation set.
    """

    seed: int = 0
    maps: int = 1500
    measured: int = 3000
    faces: Faces = "mesh"
    shares: tuple[float, float, float] = (0.45, 0.29, 0.26)
    epochs: int = 5
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
    return _in_pieces(
        labels,
        3000,
        "maps",
        report,
        lambda piece, number: generate_maps(piece, seed * 1009 + number, config),
    )


def training_set(config: TrainConfig, report: Progress | None = None) -> MapSet:
    """The maps that ``config`` trains on: drawn ones first, then measured ones."""
    settings = MapConfig(faces=config.faces)
    drawn = _in_pieces(
        _labels(config, config.maps, 0),
        3000,
        "maps",
        report,
        lambda piece, number: generate_maps(piece, config.seed * 1009 + number, settings),
    )
    filmed = MeasuredConfig(maps=settings, pictures="both")
    measured = _in_pieces(
        _labels(config, config.measured, 1),
        _PEOPLE_SHARE,
        "measured maps",
        report,
        lambda piece, number: measured_maps(piece, config.seed * 1009 + number, filmed).maps,
    )
    return MapSet(np.concatenate([drawn.maps, measured.maps]), drawn.labels + measured.labels)


def _labels(config: TrainConfig, count: int, part: int) -> tuple[Emotion, ...]:
    """Classes of one part of the training maps, by their shares."""
    rng = np.random.default_rng([config.seed, part])
    return tuple(EMOTIONS[k] for k in rng.choice(len(EMOTIONS), count, p=config.shares))


def _in_pieces(
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


def across_faces(
    config: TrainConfig, seed: int, report: Progress | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the network says about faces of a kind it was not trained on.

    Two networks are trained, each on as many drawn maps of one source of faces, and each is asked
    about harder maps of the other source: the nearest thing to real faces that synthetic ones
    allow.

    Args:
        config: settings.
        seed: of the maps asked about.
        report: told of each step.

    Returns:
        (n, 3) class lengths and (n,) class numbers, the two directions taking turns.
    """
    directions: tuple[tuple[Faces, Faces], ...] = (("own", "mesh"), ("mesh", "own"))
    lengths, targets = [], []
    for known, unknown in directions:
        # drawn maps alone: measured ones take minutes, and what is asked about is drawn
        settings = replace(config, maps=config.maps + config.measured, measured=0, faces=known)
        network = train_network(training_set(settings, report), settings, report)
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
    maps = torch.from_numpy(center(data.maps))
    targets = torch.from_numpy(data.targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = FlowCapsNet(balanced=True)
        # balancing learns nothing, and a mirrored map's is the mirrored one: once is enough
        inputs = torch.cat([network.seen(piece) for piece in torch.split(maps, 500)])
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
            lengths = network.lengths_of(_mirror_some(inputs[rows]))
            loss = margin_loss(lengths, targets[rows])
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
    flipped = maps.flip(3) * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1)
    chosen = torch.rand(len(maps), 1, 1, 1) < 0.5
    return torch.where(chosen, flipped, maps)
