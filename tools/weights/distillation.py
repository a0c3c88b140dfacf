"""Several networks learn classes; the one that ships learns what they say together.

Networks that start from other weights and other drawn maps err on other maps, and their mean errs
less than each. One network of the same size that is fitted to that mean, with no classes to fit,
keeps what the mean gained: Hinton, Vinyals and Dean, *Distilling the knowledge in a neural network*
(arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from micromimic.core.labels import THREE
from micromimic.core.progress import Progress
from micromimic.models.networks.capsules import margin_loss
from micromimic.models.networks.flow import Balance, FlowCapsNet
from micromimic.models.preprocess import center, mirror
from micromimic.models.training.batches import derive_seed
from micromimic.synthesis.maps import Faces, MapConfig
from weights.config import FlowConfig
from weights.flow_maps import Lessons, MapSet, even_maps, lessons_of
from weights.loop import fit


def train_model(
    lessons: Lessons, config: FlowConfig, progress: Progress | None = None
) -> FlowCapsNet:
    """The network that learns from teachers, in evaluation mode; a single one is the network."""
    count = len(lessons.own)
    teachers = []
    for number in range(count):

        def steps(done: int, total: int | None, stage: str, number: int = number) -> None:
            if progress and total:
                progress(number * total + done, count * total, stage)

        seed = derive_seed(config.seed, number)
        teachers.append(train_network(lessons.of(number), config, seed, steps))
    if count == 1:
        return teachers[0]
    return distil(teachers, lessons.all().maps, config, progress)


def train_network(
    data: MapSet, config: FlowConfig, seed: int, progress: Progress | None = None
) -> FlowCapsNet:
    """Fit a network to classes; the seed decides initial weights and order."""
    targets = torch.from_numpy(data.targets)
    return _fit(
        seen(data.maps), targets, margin_loss, config, seed, config.epochs, progress, "teachers"
    )


def distil(
    teachers: Sequence[FlowCapsNet],
    maps: NDArray[np.float32],
    config: FlowConfig,
    progress: Progress | None = None,
) -> FlowCapsNet:
    """One network that says of (n, 3, 28, 28) raw maps what the teachers say on average.

    Its loss is the mean squared error of class lengths; no class is needed.
    """
    inputs = seen(maps)
    with torch.inference_mode():
        lengths = [_mean_lengths(teachers, piece) for piece in torch.split(inputs, 1000)]
    wanted, seed = torch.cat(lengths).clone(), derive_seed(config.seed, len(teachers))
    return _fit(
        inputs, wanted, nn.functional.mse_loss, config, seed, config.lessons, progress, "lessons"
    )


def across_faces(
    config: FlowConfig, seed: int, progress: Progress | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the network says about faces of a kind it was not trained on.

    Two networks are trained as the shipped one is, each on drawn maps of one source of faces, and
    each is asked about harder maps of the other source: the nearest thing to real faces that
    synthetic ones allow. (n, 3) class lengths and (n,) class numbers, the two directions taking
    turns; ``seed`` is that of the maps asked about.
    """
    directions: tuple[tuple[Faces, Faces], ...] = (("own", "mesh"), ("mesh", "own"))
    lengths, targets = [], []
    for known, unknown in directions:
        network = train_model(lessons_of(config, progress, drawn=known), config, progress)
        settings = MapConfig(faces=unknown, recipes=config.recipes).harder()
        asked = even_maps(config.validation, seed, settings)
        lengths.append(mirrored_lengths(network, asked.maps))
        targets.append(asked.targets)
    return (
        np.stack(lengths, axis=1).reshape(-1, len(THREE)),
        np.stack(targets, axis=1).reshape(-1),
    )


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


class _OfSeen(nn.Module):
    """A network asked about what `seen` gives."""

    def __init__(self) -> None:
        super().__init__()
        self.network = FlowCapsNet(balanced=True)

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, 3) class lengths."""
        return self.network.lengths_of(inputs)


def _fit(
    inputs: Tensor,
    targets: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    config: FlowConfig,
    seed: int,
    epochs: int,
    progress: Progress | None,
    stage: str,
) -> FlowCapsNet:
    """Fit class lengths; place, scale and rotation already vary in the generator."""
    return fit(
        _OfSeen,
        inputs,
        targets,
        loss=loss,
        mirror=lambda maps, wanted: (mirrored(maps), wanted),
        seed=seed,
        epochs=epochs,
        config=config,
        progress=progress,
        stage=stage,
    ).network


def _mean_lengths(teachers: Sequence[FlowCapsNet], inputs: Tensor) -> Tensor:
    """(B, 3) lengths, averaged over teachers and over each map and its mirror image."""
    views = (inputs, mirrored(inputs))
    parts = [teacher.lengths_of(view) for teacher in teachers for view in views]
    return torch.stack(parts).mean(0)
