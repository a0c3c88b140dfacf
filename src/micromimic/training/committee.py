"""Several networks learn classes; the one that ships learns what they say together.

Networks that start from other weights and other drawn maps err on other maps, and their mean errs
less than each. One network of the same size that is fitted to that mean, with no classes to fit,
keeps what the mean gained: Hinton, Vinyals and Dean, *Distilling the knowledge in a neural network*
(arXiv:1503.02531).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from micromimic.labels import EMOTIONS, Emotion
from micromimic.models.flow_capsnet import FlowCapsNet
from micromimic.synthesis.maps import Faces, MapConfig, generate_maps
from micromimic.synthesis.measured import MeasuredConfig, measured_maps
from micromimic.training.fit import (
    MapSet,
    Progress,
    Steps,
    TrainConfig,
    fit,
    in_pieces,
    labels_by_share,
    mirrored,
    mirrored_lengths,
    seen,
    synthetic_set,
    train_network,
)
from micromimic.training.sampling import derive_seed

_PEOPLE_SHARE = 300
"""Measured maps for which the same dozen people are rendered."""
_PIECE = 1000


@dataclass(frozen=True)
class Lessons:
    """Maps to learn from.

    Args:
        own: of each teacher alone.
        shared: of all of them.
    """

    own: tuple[MapSet, ...]
    shared: MapSet

    def of(self, teacher: int) -> MapSet:
        """What a teacher learns from."""
        return _joined([self.own[teacher], self.shared])

    def all(self) -> MapSet:
        """Everything once."""
        return _joined([*self.own, self.shared])


def lessons_of(config: TrainConfig, report: Progress | None = None) -> Lessons:
    """The maps that ``config`` trains on."""
    settings = MapConfig(faces=config.faces)
    filmed = MeasuredConfig(maps=settings, pictures="both")
    measured = in_pieces(
        labels_by_share(config, config.measured, 1),
        _PEOPLE_SHARE,
        "measured maps",
        report,
        lambda piece, number: measured_maps(piece, config.seed * 1009 + number, filmed).maps,
    )
    return Lessons(_own_maps(config, report), measured)


def _own_maps(config: TrainConfig, report: Progress | None) -> tuple[MapSet, ...]:
    """Drawn maps of each teacher, on faces of its own."""
    settings = MapConfig(faces=config.faces)

    def draw(piece: tuple[Emotion, ...], number: int) -> NDArray[np.float32]:
        return generate_maps(piece, config.seed * 1009 + number, settings)

    labels = labels_by_share(config, config.maps * config.teachers, 0)
    drawn = in_pieces(labels, config.maps, "maps", report, draw)
    starts = range(0, len(labels), config.maps)
    return tuple(
        MapSet(drawn.maps[at : at + config.maps], labels[at : at + config.maps]) for at in starts
    )


def train_model(
    lessons: Lessons, config: TrainConfig, report: Progress | None = None
) -> FlowCapsNet:
    """Teachers, and the network that learns from them.

    Args:
        lessons: a set for each teacher, and what all of them see.
        config: settings; with a single teacher there is nothing to be learnt from others, and it
            is the network.
        report: told of each step.

    Returns:
        The network in evaluation mode.
    """
    count = len(lessons.own)
    teachers = []
    for number in range(count):

        def steps(done: int, total: int, number: int = number) -> None:
            if report:
                report("teachers", number * total + done, count * total)

        seed = derive_seed(config.seed, number)
        teachers.append(train_network(lessons.of(number), config, seed, steps))
    if count == 1:
        return teachers[0]

    def lesson(done: int, total: int) -> None:
        if report:
            report("lessons", done, total)

    return distil(teachers, lessons.all().maps, config, lesson)


def distil(
    teachers: Sequence[FlowCapsNet],
    maps: NDArray[np.float32],
    config: TrainConfig,
    report: Steps | None = None,
) -> FlowCapsNet:
    """One network that says of these maps what the teachers say on average.

    Args:
        teachers: trained on balanced maps.
        maps: (n, 3, 28, 28) raw; no class is needed.
        config: settings.
        report: told (steps done, steps in all).

    Returns:
        The network in evaluation mode; its loss was the mean squared error of class lengths.
    """
    inputs = seen(maps)
    with torch.inference_mode():
        said = [_said(teachers, piece) for piece in torch.split(inputs, _PIECE)]
    wanted = torch.cat(said).clone()
    seed = derive_seed(config.seed, len(teachers))
    return fit(inputs, wanted, torch.nn.functional.mse_loss, config, seed, config.lessons, report)


def _said(teachers: Sequence[FlowCapsNet], inputs: Tensor) -> Tensor:
    """(B, 3) lengths, averaged over teachers and over each map and its mirror image."""
    views = (inputs, mirrored(inputs))
    parts = [teacher.lengths_of(view) for teacher in teachers for view in views]
    return torch.stack(parts).mean(0)


def across_faces(
    config: TrainConfig, seed: int, report: Progress | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the network says about faces of a kind it was not trained on.

    Two networks are trained as the shipped one is, each on drawn maps of one source of faces, and
    each is asked about harder maps of the other source: the nearest thing to real faces that
    synthetic ones allow.

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
        network = train_model(drawn_lessons(config, known, report), config, report)
        asked = synthetic_set(config.validation, seed, MapConfig(faces=unknown).harder())
        lengths.append(mirrored_lengths(network, asked.maps))
        targets.append(asked.targets)
    return (
        np.stack(lengths, axis=1).reshape(-1, len(EMOTIONS)),
        np.stack(targets, axis=1).reshape(-1),
    )


def drawn_lessons(config: TrainConfig, faces: Faces, report: Progress | None = None) -> Lessons:
    """As many maps as `lessons_of` gives, all drawn: measured ones take minutes."""
    settings = replace(config, faces=faces)
    shared = in_pieces(
        labels_by_share(config, config.measured, 1),
        3000,
        "maps",
        report,
        lambda piece, number: generate_maps(
            piece, config.seed * 1009 + config.teachers + number, MapConfig(faces=faces)
        ),
    )
    return Lessons(_own_maps(settings, report), shared)


def _joined(sets: Sequence[MapSet]) -> MapSet:
    labels = tuple(label for one in sets for label in one.labels)
    return MapSet(np.concatenate([one.maps for one in sets]), labels)
