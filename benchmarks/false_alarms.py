"""Benchmark: what is reported where there is no micro-expression.

    python benchmarks/false_alarms.py --seed 100 --clips 2

Renders seeded clips of a photographed face that holds still, blinks, speaks, or makes longer
expressions (with the default clip's drift of head and light, flicker and noise), analyses each as
a user would, and prints a Markdown table: each event is a false one. Clips are kept in ``--cache``
and used again. The interval is the exact one for a count (Garwood), 95 %.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from joblib import Parallel, delayed
from scipy.stats import chi2

from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.synthesis.clips import plan_clip, write_clip
from micromimic.synthesis.schedule import CLIP_KINDS, ClipConfig, ClipKind, clip_of_kind

CRF = 10
"""Near-lossless, as in ``benchmarks/spotting.py``."""
TOGETHER = ("neutral", "blinking", "speaking")
"""Kinds that are also counted as one: what an interview without expressions holds."""


@dataclass(frozen=True)
class Job:
    """One clip to render and analyse."""

    kind: ClipKind
    seconds: float
    fps: float
    seed: int

    def config(self) -> ClipConfig:
        """The clip's settings."""
        return clip_of_kind(self.kind, seconds=self.seconds, fps=self.fps)

    @property
    def name(self) -> str:
        """File name in the cache."""
        return f"{self.kind}_fps{self.fps:g}_{self.seconds:g}s_seed{self.seed}.mp4"


@dataclass(frozen=True)
class Outcome:
    """What one clip gave.

    Args:
        job: which.
        false: apexes of events, seconds.
        spoken_s: seconds of speech that were planted.
        gated_s: seconds closed, by cause.
        observed_s: seconds open.
        rejected: movements held back, by reason.
    """

    job: Job
    false: tuple[float, ...]
    spoken_s: float
    gated_s: dict[str, float]
    observed_s: float
    rejected: dict[str, int]


def run_job(job: Job, cache: Path, keep: bool) -> Outcome:
    """Render (unless cached), analyse, count."""
    cv2.setNumThreads(1)
    path = cache / job.name
    if not path.exists():
        write_clip(path, job.config(), job.seed, crf=CRF)
    analysis = analyze(path, config=AnalyzeConfig(evidence=False))
    if not keep:
        path.unlink()
    plan = plan_clip(job.config(), job.seed)
    spotting = analysis.spotting
    return Outcome(
        job,
        tuple(event.interval.apex for event in analysis.micro),
        sum(span.end - span.start for span in plan.speech),
        dict(spotting.gated_s),
        spotting.observed_s,
        spotting.rejected_counts(),
    )


def rate_interval(count: int, minutes: float) -> tuple[float, float]:
    """Exact 95 % interval of a rate a minute.

    >>> [round(x, 2) for x in rate_interval(0, 5.0)]
    [0.0, 0.74]
    """
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    high = chi2.ppf(0.975, 2 * count + 2) / 2
    return float(low) / minutes, float(high) / minutes


HEADER = (
    "| clips | minutes | false events | a minute | 95 % interval | spoken s | gated for speech s "
    "| observed s | held back |\n|---|---|---|---|---|---|---|---|---|"
)


def table_row(name: str, outcomes: Sequence[Outcome]) -> str:
    """One line of the Markdown table, its clips pooled."""
    minutes = sum(outcome.job.seconds for outcome in outcomes) / 60.0
    false = sum(len(outcome.false) for outcome in outcomes)
    low, high = rate_interval(false, minutes)
    held: Counter[str] = Counter()
    for outcome in outcomes:
        held.update(outcome.rejected)
    columns = [
        name,
        f"{minutes:.1f}",
        str(false),
        f"{false / minutes:.2f}",
        f"{low:.2f}-{high:.2f}",
        f"{sum(outcome.spoken_s for outcome in outcomes):.0f}",
        f"{sum(outcome.gated_s['speech'] for outcome in outcomes):.0f}",
        f"{sum(outcome.observed_s for outcome in outcomes):.0f}",
        ", ".join(f"{reason} {number}" for reason, number in sorted(held.items())) or "-",
    ]
    return "| " + " | ".join(columns) + " |"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    kinds = [kind for kind in CLIP_KINDS if kind != "mixed"]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--clips", type=int, default=2, help="clips of each kind")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each")
    parser.add_argument("--fps", type=float, default=100.0)
    parser.add_argument("--seed", type=int, default=100, help="of the first clip; then counts up")
    parser.add_argument("--cache", type=Path, help="folder for the clips; kept")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = parse(arguments)
    jobs = [
        Job(kind, args.seconds, args.fps, args.seed + number)
        for kind in args.kinds
        for number in range(args.clips)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        cache = args.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        keep = args.cache is not None
        work = (delayed(run_job)(job, cache, keep) for job in jobs)
        outcomes: list[Outcome] = []
        for outcome in Parallel(n_jobs=args.jobs, return_as="generator")(work):
            outcomes.append(outcome)
            times = ", ".join(f"{apex:.2f} s" for apex in outcome.false) or "none"
            print(f"{outcome.job.name}: false {times}", file=sys.stderr, flush=True)
    print(HEADER)
    for kind in args.kinds:
        print(table_row(kind, [o for o in outcomes if o.job.kind == kind]))
    together = [o for o in outcomes if o.job.kind in TOGETHER]
    if len({o.job.kind for o in together}) > 1:
        print(table_row(" + ".join(k for k in TOGETHER if k in args.kinds), together))
    return 0


if __name__ == "__main__":
    sys.exit(main())
