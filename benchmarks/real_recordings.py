"""Benchmark: movements planted in real recordings, and how many come back.

    python benchmarks/real_recordings.py ../shared/data/videos --seeds 0 1 --jobs 2

Plants movements by warping frames, with fields that no part of the product uses (``bump_basis.py``
of the spikes, loaded by its path), runs the whole analysis, and prints Markdown tables: recall at
each size, the class UF1 of what was found, candidates a minute of the unplanted recording (all
counted as false), and, where the analysis gives detection limits, how often a movement was found by
its size over its limit. Videos in which nothing can be planted (no face for long enough) are named.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, cast

import cv2
import numpy as np
from joblib import Parallel, delayed

from micromimic.analysis.sensitivity.run import SensitivityConfig, analyse_plain, recover
from micromimic.core.errors import MicromimicError
from micromimic.core.labels import REGIONS
from micromimic.evaluation.markdown import grid
from micromimic.evaluation.recovery import (
    AT_LIMIT,
    RATIO_EDGES,
    Recovery,
    Share,
    Trial,
    calibration,
    classes_of,
    share_of,
)
from micromimic.media.formats import video_files
from micromimic.synthesis.bump_units import Field
from micromimic.synthesis.planted.plan import FieldSource, Recipes

SHARED: Final = Path(__file__).resolve().parents[1].parent / "shared"
RECIPES: Final[Recipes] = {
    "negative": (("4",), ("4", "7"), ("9", "4"), ("10",), ("15",), ("14",), ("17",)),
    "positive": (("12",), ("6", "12"), ("L12",), ("R12",)),
    "surprise": (("1", "2"), ("1",), ("L2",), ("5",), ("1", "2", "5")),
}
"""What the spikes plant."""


@dataclass(frozen=True)
class SpikeFields:
    """The displacement fields of the spikes, whatever the copy.

    Args:
        script: ``bump_basis.py``.
    """

    script: Path

    def __call__(self, number: int) -> FieldSource:
        """Shapes of the action units, by name."""
        spec = importlib.util.spec_from_file_location("bump_basis", self.script)
        if spec is None or spec.loader is None:
            raise FileNotFoundError(self.script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        fields = cast("dict[str, np.ndarray]", module.bump_fields()[0])

        def field(name: str) -> Field:
            return fields[name].astype(np.float32)

        return field


@dataclass(frozen=True)
class Outcome:
    """What one video gave: a recovery a seed, or why there is none."""

    name: str
    runs: tuple[Recovery, ...] = ()
    problem: str = ""

    @property
    def trials(self) -> list[Trial]:
        """Of all seeds."""
        return [trial for run in self.runs for trial in run.trials]


def run_video(
    video: Path, seeds: Sequence[int], sizes: tuple[float, ...], seconds: float, script: Path
) -> Outcome:
    """One copy a seed and size."""
    cv2.setNumThreads(1)

    def config(seed: int) -> SensitivityConfig:
        return SensitivityConfig(
            sizes=sizes,
            per_size=1,
            seed=seed,
            max_seconds=seconds,
            fields=SpikeFields(script),
            recipes=RECIPES,
        )

    try:
        plain = analyse_plain(video, config(seeds[0]), lambda done, total, stage: None)
        runs = tuple(recover(video, config(seed), plain)[0] for seed in seeds)
    except MicromimicError as error:
        return Outcome(video.name, problem=str(error))
    return Outcome(video.name, runs)


def told(share: Share) -> str:
    """A share with its interval.

    >>> told(Share(3, 10))
    '3/10 = .30 (.07-.65)'
    """
    if not share.planted:
        return "-"
    numbers = [f"{value:.2f}".removeprefix("0") for value in (share.value, *share.interval)]
    return f"{share.found}/{share.planted} = {numbers[0]} ({numbers[1]}-{numbers[2]})"


def uf1_of(trials: Iterable[Trial]) -> str:
    """Class UF1 of what was found."""
    score = classes_of(trials)[1]
    return "-" if score is None else f"{score:.2f}"


def video_rows(outcomes: Sequence[Outcome], sizes: Sequence[float]) -> list[list[str]]:
    """A row a video, and one of all."""
    rows = []
    for outcome in outcomes:
        first = outcome.runs[0]
        minutes = first.source.duration_s / 60
        by_size = [[t for t in outcome.trials if t.size == size] for size in sizes]
        rows.append(
            [
                outcome.name,
                f"{first.source.duration_s:.1f}",
                f"{first.source.fps:.4g}",
                f"{first.eyes_px:.0f}",
                *(f"{share_of(group).found}/{len(group)}" for group in by_size),
                uf1_of(outcome.trials),
                f"{len(first.plain) / minutes:.1f}",
            ]
        )
    trials = [trial for outcome in outcomes for trial in outcome.trials]
    seconds = sum(outcome.runs[0].source.duration_s for outcome in outcomes)
    false = sum(len(outcome.runs[0].plain) for outcome in outcomes)
    shares = [share_of(t for t in trials if t.size == size) for size in sizes]
    rows.append(
        [
            "**all**",
            f"{seconds:.1f}",
            "",
            "",
            *(told(share) for share in shares),
            uf1_of(trials),
            f"{60 * false / seconds:.2f}",
        ]
    )
    return rows


def part_rows(
    trials: Sequence[Trial],
    sizes: Sequence[float],
    names: Sequence[str],
    key: Callable[[Trial], str],
) -> list[list[str]]:
    """A row a part of the face, or a class."""
    return [
        [
            name,
            *(told(share_of(t for t in trials if t.size == s and key(t) == name)) for s in sizes),
        ]
        for name in names
    ]


def limit_rows(trials: Sequence[Trial], sizes: Sequence[float]) -> list[list[str]]:
    """A row a bin of size over limit."""
    columns = [
        *(calibration(t for t in trials if t.size == size) for size in sizes),
        calibration(trials),
    ]
    return [
        [
            f"{low:g} to {high:g}" + (" (half expected)" if k == AT_LIMIT else ""),
            *(told(column[k]) for column in columns),
        ]
        for k, (low, high) in enumerate(pairwise(RATIO_EDGES))
    ]


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=SHARED / "data" / "videos")
    parser.add_argument(
        "--videos", nargs="+", metavar="NAME", help="of the folder; all if left out"
    )
    parser.add_argument("--sizes", nargs="+", type=float, default=[0.15, 0.3, 0.6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--max-seconds", type=float, default=45.0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument(
        "--fields",
        type=Path,
        default=SHARED / "reference" / "prototypes" / "bump_basis.py",
        help="the script with bump_fields()",
    )
    options = parser.parse_args()
    videos = video_files(options.folder)
    if options.videos:
        videos = [path for path in videos if path.name in options.videos]
    if not videos:
        parser.error(f"no such videos in {options.folder}")
    sizes = tuple(sorted(options.sizes))
    began = time.monotonic()
    work = Parallel(n_jobs=options.jobs, return_as="generator", pre_dispatch="all")
    jobs = (
        delayed(run_video)(path, options.seeds, sizes, options.max_seconds, options.fields)
        for path in sorted(videos, key=lambda path: -path.stat().st_size)
    )
    outcomes = []
    for outcome in work(jobs):
        print(f"{outcome.name}: {outcome.problem or 'done'}", file=sys.stderr, flush=True)
        outcomes.append(outcome)
    outcomes = sorted((item for item in outcomes if item.runs), key=lambda item: item.name)
    if not outcomes:
        return 1
    trials = [trial for outcome in outcomes for trial in outcome.trials]
    shown = [f"at {size:g}" for size in sizes]
    head = ["video", "s", "frames/s", "eyes px", *shown, "class UF1", "false a minute"]
    print(grid(head, video_rows(outcomes, sizes)), "\n")
    print(grid(["part", *shown], part_rows(trials, sizes, REGIONS, lambda t: t.region)), "\n")
    classes = ("negative", "positive", "surprise")
    print(grid(["class", *shown], part_rows(trials, sizes, classes, lambda t: t.label)), "\n")
    if any(run.limited for outcome in outcomes for run in outcome.runs):
        print(grid(["size over limit", *shown, "all"], limit_rows(trials, sizes)), "\n")
    print(
        f"{len(outcomes)} videos, seeds {' '.join(map(str, options.seeds))}, "
        f"{time.monotonic() - began:.0f} s."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
