"""The maps that flow-capsnet learns from: drawn ones of each teacher, measured ones of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.labels import THREE
from micromimic.core.progress import Progress
from micromimic.synthesis.maps import Faces, MapConfig, generate_maps
from micromimic.synthesis.measured import MeasuredConfig, measured_maps
from weights.config import FlowConfig

Labels = tuple[str, ...]

_PEOPLE_SHARE = 300
"""Measured maps for which the same dozen people are rendered."""
_PIECE = 3000
"""Drawn maps with the same own faces."""


@dataclass(frozen=True)
class MapSet:
    """Raw maps (n, 3, 28, 28) and their classes."""

    maps: NDArray[np.float32]
    labels: Labels

    @property
    def targets(self) -> NDArray[np.int64]:
        """(n,) class numbers."""
        return THREE.encode(self.labels)


@dataclass(frozen=True)
class Lessons:
    """Maps to learn from."""

    own: tuple[MapSet, ...]  # of each teacher alone
    shared: MapSet  # of all of them

    def of(self, teacher: int) -> MapSet:
        """What a teacher learns from."""
        return _joined([self.own[teacher], self.shared])

    def all(self) -> MapSet:
        """Everything once."""
        return _joined([*self.own, self.shared])


def lessons_of(
    config: FlowConfig, progress: Progress | None = None, *, drawn: Faces | None = None
) -> Lessons:
    """The maps that ``config`` trains on.

    ``drawn``: draw the measured ones too, which takes no minutes, all of this source of faces.
    """
    settings = MapConfig(faces=drawn or config.faces, recipes=config.recipes)
    filmed = MeasuredConfig(maps=settings, pictures="both")
    first = config.seed * 1009

    def draw(labels: Labels, number: int) -> NDArray[np.float32]:
        return generate_maps(labels, first + number, settings)

    def draw_more(labels: Labels, number: int) -> NDArray[np.float32]:
        return draw(labels, config.teachers + number)

    def measure(labels: Labels, number: int) -> NDArray[np.float32]:
        return measured_maps(labels, first + number, filmed).maps

    own, shared = (
        tuple(THREE.decode(rng.choice(len(THREE), count, p=config.shares)).tolist())
        for count, rng in (
            (config.maps * config.teachers, np.random.default_rng([config.seed, 0])),
            (config.measured, np.random.default_rng([config.seed, 1])),
        )
    )
    size, more = (_PIECE, draw_more) if drawn else (_PEOPLE_SHARE, measure)
    return Lessons(
        tuple(_in_pieces(own, config.maps, draw, progress, "maps")),
        _joined(_in_pieces(shared, size, more, progress, "maps of all")),
    )


def even_maps(count: int, seed: int, config: MapConfig) -> MapSet:
    """Drawn maps, classes in equal parts."""
    labels = tuple(THREE.names[index % len(THREE)] for index in range(count))
    first = seed * 1009
    pieces = _in_pieces(labels, _PIECE, lambda part, n: generate_maps(part, first + n, config))
    return _joined(pieces)


def _in_pieces(
    labels: Labels,
    size: int,
    draw: Callable[[Labels, int], NDArray[np.float32]],
    progress: Progress | None = None,
    stage: str = "",
) -> Iterator[MapSet]:
    """Maps of all labels, some at a time."""
    for number, start in enumerate(range(0, len(labels), size)):
        piece = labels[start : start + size]
        yield MapSet(draw(piece, number), piece)
        if progress:
            progress(start + len(piece), len(labels), stage)


def _joined(sets: Iterable[MapSet]) -> MapSet:
    maps = [np.empty((0, 3, UNITS, UNITS), np.float32)]
    labels: Labels = ()
    for one in sets:
        maps.append(one.maps)
        labels += one.labels
    return MapSet(np.concatenate(maps), labels)
