"""The analyses of a sensitivity run: of the recording as it is, and of planted copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import AnalyzeConfig, analyze_frames
from micromimic.analysis.sensitivity.parts import Plain, candidates_of
from micromimic.core.errors import InputError
from micromimic.core.progress import Progress
from micromimic.core.workers import Workers, on_workers, parent_answers_interrupts, run_tasks
from micromimic.evaluation.recovery import Candidate
from micromimic.media.video import Frame, open_source
from micromimic.synthesis.bump_units import BumpUnits
from micromimic.synthesis.planted_source import PlantedSource, Warp, smoothed
from micromimic.synthesis.planting import RECIPES, FieldSource, Ground, Planted, Recipes

SIZES: Final = (0.15, 0.3, 0.6)
"""Canonical units; published maps of real micro-expressions peak at .14 to .42."""
PER_SIZE: Final = 30
_NEAR: Final = 0.4
"""A frame that changes so much less than one beside it repeats the one before, where any do."""
_ALL_PLAIN: Final = "unplanted copy"
_ALL_PLANTED: Final = "planted copies"


@dataclass(frozen=True)
class SensitivityConfig:
    """Everything that can be set.

    Args:
        sizes: largest displacements, canonical units (15 between the eyes).
        per_size: at least so many movements at each size; a copy holds as many as fit.
        seed: of what is planted, when.
        max_seconds: use only the beginning of the recording; None is all.
        fps, track: as of ``analyze``.
        analysis: settings of every analysis.
        fields: shapes of the action units, by a number of each copy.
        recipes: by class, which units act together.
    """

    sizes: tuple[float, ...] = SIZES
    per_size: int = PER_SIZE
    seed: int = 0
    max_seconds: float | None = None
    fps: float | None = None
    track: int | None = None
    analysis: AnalyzeConfig = field(default_factory=lambda: AnalyzeConfig(evidence=False))
    fields: Callable[[int], FieldSource] = BumpUnits
    recipes: Recipes = field(default_factory=lambda: RECIPES)

    def __post_init__(self) -> None:
        sizes = self.sizes
        if not sizes or len(set(sizes)) != len(sizes) or not all(0 < size <= 3 for size in sizes):
            raise InputError(
                f"expected different sizes above 0 and up to 3 units, got {list(sizes)}; "
                "pass --sizes .15,.3,.6"
            )
        if self.per_size < 1:
            raise InputError(f"expected at least 1 movement a size, got {self.per_size}; pass 30")


class _Repeats:
    """Notes how much each frame changes, to tell which show the picture before again."""

    def __init__(self) -> None:
        self._changes: list[float] = []
        self._before: NDArray[np.uint8] | None = None

    def look(self, frame: Frame) -> None:
        if self._before is not None:
            change = cv2.absdiff(frame.gray, self._before)
            self._changes.append(float(change.mean()))
        self._before = frame.gray

    def first(self, picture_share: float) -> NDArray[np.int_]:
        """(T,) the frame whose picture each shows; as of `Ground`."""
        changes = np.array([np.inf, *self._changes])
        again = changes == 0
        if picture_share < 1:
            padded = np.pad(changes[1:], 1)
            beside = np.maximum(padded[:-2], padded[2:])
            again[1:] |= changes[1:] < _NEAR * beside
        return np.maximum.accumulate(np.where(again, 0, np.arange(len(changes))))


def analyse_plain(source: str | Path, config: SensitivityConfig, report: Progress) -> Plain:
    """The recording as it is, with what planting in it needs."""
    repeats = _Repeats()
    with PlantedSource(
        open_source(source, config.fps, track=config.track), None, config.max_seconds
    ) as frames:
        analysis = analyze_frames(
            frames,
            config=config.analysis,
            progress=_tracking(report, 0, None, _ALL_PLAIN),
            each=repeats.look,
        )
        share = frames.picture_share
    track = analysis.track
    ground = Ground(
        np.asarray(track.times, np.float64),
        track.segments,
        smoothed(track.transforms, track.segments, track.times),
        repeats.first(share),
    )
    return Plain(
        source=analysis.source,
        warnings=analysis.warnings,
        model=analysis.model,
        found=analysis.found_ratio,
        candidates=candidates_of(analysis),
        ground=ground,
        limits=None if analysis.limits is None else analysis.limits.at(ground.times),
    )


@dataclass(frozen=True)
class CopyTask:
    """One copy to analyse."""

    source: str  # of the run
    config: SensitivityConfig
    ground: Ground  # the recording
    planted: tuple[Planted, ...]  # what moves
    size: float  # how much, canonical units
    number: int  # of the copy

    @property
    def key(self) -> tuple[float, int]:
        """Its size and number, by which results are kept."""
        return self.size, self.number


def _analyse_copy(task: CopyTask, progress: Progress | None = None) -> tuple[Candidate, ...]:
    config = task.config
    warp = Warp(task.ground, task.planted, task.size)
    with PlantedSource(
        open_source(task.source, config.fps, track=config.track), warp.apply, config.max_seconds
    ) as frames:
        analysis = analyze_frames(frames, config=config.analysis, progress=progress)
    return candidates_of(analysis)


def _in_worker(task: CopyTask) -> tuple[tuple[float, int], tuple[Candidate, ...]]:
    parent_answers_interrupts()
    return task.key, _analyse_copy(task)


def analyse_copies(
    tasks: Sequence[CopyTask],
    ended: frozenset[tuple[float, int]],
    workers: Workers,
    report: Progress,
) -> Iterator[tuple[CopyTask, tuple[Candidate, ...]]]:
    """Analyse what has not ended yet; each as it ends."""
    frames = len(tasks[0].ground.times)
    total = frames * len(tasks)
    left = {task.key: task for task in tasks if task.key not in ended}
    done = frames * (len(tasks) - len(left))
    if not workers.side_by_side(len(left)):
        for task in left.values():
            found = _analyse_copy(task, _tracking(report, done, total, _ALL_PLANTED))
            done += frames
            yield task, found
    else:
        from joblib import delayed  # noqa: PLC0415 - slow to import

        report(done, total, _ALL_PLANTED)
        with on_workers(workers):
            for key, found in run_tasks(delayed(_in_worker)(task) for task in left.values()):
                done += frames
                report(done, total, _ALL_PLANTED)
                yield left[key], found


def _tracking(report: Progress, before: int, total: int | None, stage: str) -> Progress:
    """Progress of one analysis as part of a whole."""

    def tell(done: int, expected: int | None, inner: str) -> None:
        if inner == "tracking":
            report(before + done, total or expected, stage)

    return tell
