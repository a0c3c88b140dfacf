"""Injection and recovery on one recording: what would have been found here?

The recording is analysed as it is, then copies of it in which movements of known size were planted
while they were read. No copy is written anywhere. What each analysis found is kept as it ends, so a
run that was stopped goes on where it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import AnalyzeConfig, analyze_frames
from micromimic.analysis.indicators import poisson_interval
from micromimic.analysis.sensitivity.parts import Parts, Plain, candidates_of, digest_of_input
from micromimic.core.canonical import INTEROCULAR
from micromimic.core.errors import InputError
from micromimic.core.progress import Progress
from micromimic.core.workers import Workers, on_workers, run_tasks
from micromimic.evaluation.recovery import Candidate, Recovery, Trial, matching
from micromimic.media.video import Frame, open_source
from micromimic.report.sensitivity import write_sensitivity
from micromimic.synthesis.bump_units import BumpUnits
from micromimic.synthesis.planted.plan import (
    DURATION_S,
    LEAD_S,
    RECIPES,
    FieldSource,
    Ground,
    Planted,
    Recipes,
    deal,
    plan_copy,
)
from micromimic.synthesis.planted.source import PlantedSource, Warp, smoothed

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

    Parameters
    ----------
    sizes : tuple[float, ...]
        Largest displacements, canonical units (15 between the eyes).
    per_size : int
        At least so many movements at each size; a copy holds as many as fit.
    seed : int
        Of what is planted, when.
    max_seconds : float or None
        Use only the beginning of the recording; None is all.
    fps, track : float or None
        As of ``analyze``.
    analysis : AnalyzeConfig
        Settings of every analysis.
    fields : Callable[[int], FieldSource]
        Shapes of the action units, by a number of each copy.
    recipes : Recipes
        By class, which units act together.
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

    def of_whole(done: int, expected: int | None, inner: str) -> None:
        if inner == "tracking":
            report(before + done, total or expected, stage)

    return of_whole


MOST_COPIES: Final = 400


@dataclass(frozen=True)
class Sensitivity:
    recovery: Recovery  # its figures
    folder: Path  # where its files lie
    resumed: int = 0  # analyses that an earlier run had ended
    notes: tuple[str, ...] = ()  # what could not be done


NO_FIGURE: Final = "no plot: matplotlib is not installed; pip install 'micromimic[train]'"


def sensitivity(
    source: str | Path,
    out: str | Path,
    config: SensitivityConfig | None = None,
    *,
    jobs: int = 1,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> Sensitivity:
    """Plant movements in copies of a recording, find them again, and write how many came back.

    Parameters
    ----------
    source : str or Path
        A video file, or a folder of frames.
    out : str or Path
        Folder for sensitivity.json, .csv, .html, and .png and .svg where matplotlib is
        installed; what ended is kept in ``sensitivity.parts``.
    config : SensitivityConfig or None, optional
        What to plant.
    jobs : int, optional
        Copies analysed at the same time, each in its own process.
    workers : Workers or None, optional
        Where copies are analysed; None is so many jobs on this machine. The recording as it is
        is always analysed here.
    progress : Progress or None, optional
        Called with frames done, frames in all, and the stage's name.

    Raises
    ------
    InputError
        The input cannot be read, or is too short to plant anything in.
    NoFaceError
        There is no face in it.
    OutputError
        Results cannot be written.
    WorkerLostError
        A worker was killed.
    """
    config, out = config or SensitivityConfig(), Path(out)
    parts = Parts(out / "sensitivity.parts", record_of(Path(source), config))
    report = progress or (lambda done, total, stage: None)
    plain = parts.plain()
    resumed = int(plain is not None)
    if plain is None:
        plain = analyse_plain(source, config, report)
        parts.keep_plain(plain)
    workers = workers or Workers(jobs)
    recovery, copies = recover(source, config, plain, parts=parts, workers=workers, progress=report)
    resumed += copies
    figure = find_spec("matplotlib") is not None
    write_sensitivity(recovery, out, figure=figure)
    return Sensitivity(recovery, out, resumed, () if figure else (NO_FIGURE,))


def recover(
    source: str | Path,
    config: SensitivityConfig,
    plain: Plain,
    *,
    parts: Parts | None = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
) -> tuple[Recovery, int]:
    """Plant, analyse the copies, and compare. ``parts``: which copies an earlier run kept, and
    where this one keeps them; None keeps nothing."""
    copies = plan(plain.ground, config)
    if not copies:
        need = 2 * LEAD_S + DURATION_S[1]
        raise InputError(
            f"expected a face followed for {need:.2f} s or more to plant movements in, got "
            f"{plain.source.duration_s:.2f} s of video with it in {plain.found:.0%}: {source}; "
            "use a longer recording"
        )
    tasks = [
        CopyTask(str(Path(source).absolute()), config, plain.ground, planted, size, number)
        for size in sorted(config.sizes)
        for number, planted in enumerate(copies)
    ]
    kept = {task.key: parts.copy(*task.key) for task in tasks} if parts else {}
    ended = {key: candidates for key, candidates in kept.items() if candidates is not None}
    resumed = len(ended)
    report = progress or (lambda done, total, stage: None)
    for task, candidates in analyse_copies(tasks, frozenset(ended), workers or Workers(), report):
        ended[task.key] = candidates
        if parts:
            parts.keep_copy(*task.key, candidates)
    return _gathered(plain, tasks, ended, config), resumed


def plan(ground: Ground, config: SensitivityConfig) -> list[tuple[Planted, ...]]:
    """What is planted, copy by copy: the first copies are the same however many there are."""
    cards = deal(config.seed, config.recipes)
    copies: list[tuple[Planted, ...]] = []
    count = 0
    for number in itertools.count():
        if count >= config.per_size or number >= MOST_COPIES or (number >= 40 and not count):
            break
        rng = np.random.default_rng([config.seed, number, 1])
        planted = plan_copy(ground, config.fields(config.seed * MOST_COPIES + number), cards, rng)
        if planted:
            copies.append(planted)
            count += len(planted)
    return copies


def record_of(source: Path, config: SensitivityConfig) -> Mapping[str, Any]:
    """Everything that decides what an analysis of one copy finds, its size and number aside."""
    return {
        "input": digest_of_input(source),
        "seed": config.seed,
        "max_seconds": config.max_seconds,
        "fps": config.fps,
        "track": config.track,
        "analysis": repr(config.analysis),
        "model": digest_of_input(Path(config.analysis.model)) if config.analysis.model else None,
    }


def _gathered(
    plain: Plain,
    tasks: Sequence[CopyTask],
    ended: Mapping[tuple[float, int], Sequence[Candidate]],
    config: SensitivityConfig,
) -> Recovery:
    trials: list[Trial] = []
    others = dict.fromkeys(sorted(config.sizes), 0)
    for task in tasks:
        candidates = ended[task.key]
        for move in task.planted:
            trials.append(
                Trial(
                    copy=task.number,
                    interval=move.interval,
                    size=task.size,
                    size_px=task.size * move.scale,
                    label=move.label,
                    region=move.region,
                    units=move.units,
                    found=matching(move.interval, candidates),
                    chance=matching(move.interval, plain.candidates) is not None,
                    limit=_limit(plain, move),
                )
            )
        known = [move.interval for move in task.planted]
        known += [item.interval for item in plain.candidates]
        others[task.size] += sum(
            all(matching(interval, [item]) is None for interval in known) for item in candidates
        )
    minutes = plain.source.duration_s / 60
    low, high = poisson_interval(len(plain.candidates))
    return Recovery(
        source=plain.source,
        warnings=plain.warnings,
        model=plain.model,
        trials=tuple(trials),
        sizes=tuple(sorted(config.sizes)),
        plain=plain.candidates,
        plain_per_minute=(low / minutes, high / minutes),
        others=others,
        eyes_px=INTEROCULAR * float(np.nanmedian(np.hypot(*plain.ground.transforms[:, :, 0].T))),
        seed=config.seed,
        limited=plain.limits is not None,
    )


def _limit(plain: Plain, move: Planted) -> float | None:
    """How large this movement would have to be for its clearest region to be found half the time. A
    movement of several regions is found by any of them."""
    if plain.limits is None:
        return None
    at = int(np.abs(plain.ground.times - move.interval.apex).argmin())
    limits = [
        float(plain.limits[region][at]) / share
        for region, share in move.shares.items()
        if region in plain.limits and share > 0
    ]
    known = [limit for limit in limits if np.isfinite(limit) and limit > 0]
    return min(known, default=None)
