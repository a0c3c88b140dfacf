"""Injection and recovery on one recording: what would have been found here?

The recording is analysed as it is, then copies of it in which movements of known size were planted
while they were read. No copy is written anywhere. What each analysis found is kept as it ends, so a
run that was stopped goes on where it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from micromimic.analysis.indicators import poisson_interval
from micromimic.analysis.sensitivity.copies import (
    CopyTask,
    SensitivityConfig,
    analyse_copies,
    analyse_plain,
)
from micromimic.analysis.sensitivity.parts import Parts, Plain, digest_of_input
from micromimic.core.canonical import INTEROCULAR
from micromimic.core.errors import InputError
from micromimic.core.progress import Progress
from micromimic.core.workers import Workers
from micromimic.evaluation.recovery import Candidate, Recovery, Trial, matching
from micromimic.report.sensitivity.write import write_sensitivity
from micromimic.synthesis.planting import DURATION_S, LEAD_S, Ground, Planted, deal, plan_copy

__all__ = [
    "Sensitivity",
    "SensitivityConfig",
    "analyse_plain",
    "plan",
    "record_of",
    "recover",
    "sensitivity",
]

MOST_COPIES: Final = 400


@dataclass(frozen=True)
class Sensitivity:
    """What a run gave."""

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

    Args:
        source: a video file, or a folder of frames.
        out: folder for sensitivity.json, .csv, .html, and .png and .svg where matplotlib is
            installed; what ended is kept in ``sensitivity.parts``.
        config: what to plant.
        jobs: copies analysed at the same time, each in its own process.
        workers: where copies are analysed; None is so many jobs on this machine. The recording as
            it is is always analysed here.
        progress: called with frames done, frames in all, and the stage's name.

    Raises:
        InputError: the input cannot be read, or is too short to plant anything in.
        NoFaceError: there is no face in it.
        OutputError: results cannot be written.
        WorkerLostError: a worker was killed.
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
    """How large this movement would have to be for its clearest region to be found half the time.

    A movement of several regions is found by any of them.
    """
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
