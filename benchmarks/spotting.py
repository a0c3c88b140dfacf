"""Benchmark: finding planted micro-expressions in one-minute clips.

    python benchmarks/spotting.py --clips 2 --jobs 2

Renders seeded clips (a 450 px face, a second of rest between movements, blinks, longer
expressions, head and light drift, flicker, noise), analyses each, and prints a Markdown table.
Clips are kept in ``--cache`` and used again; without it each is deleted after use.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
from joblib import Parallel, delayed

from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.core.results import Analysis
from micromimic.evaluation.metrics import uf1
from micromimic.evaluation.spotting import SpottingScore, match_events, pool
from micromimic.synthesis.clips import ClipConfig, plan_clip, write_clip
from micromimic.synthesis.truth import ClipTruth, truth_of

CRF = 10
"""Near-lossless: 90 % of the sensor's noise stays; a minute at 200 frames/s takes 0.6 GB, not 2."""


@dataclass(frozen=True)
class Job:
    """One clip to render and analyse."""

    peak: float
    fps: float
    seconds: float
    seed: int

    def config(self) -> ClipConfig:
        """The clip's settings; all but these three are the defaults."""
        return ClipConfig(seconds=self.seconds, fps=self.fps, peak_px=self.peak)

    @property
    def name(self) -> str:
        """File name in the cache."""
        return f"peak{self.peak:g}_fps{self.fps:g}_{self.seconds:g}s_seed{self.seed}.mp4"


@dataclass(frozen=True)
class Outcome:
    """What one clip gave.

    Args:
        job: which.
        score: spotting of micro-expressions.
        longer: spotting of longer expressions.
        clear: recall's parts for events that no blink touches: (found, planted).
        classes: (planted, found) label of each matched event.
        rejected: movements not reported, by reason.
        false_near: false events, by what was planted near them.
        speed: frames a second of ``analyze``.
    """

    job: Job
    score: SpottingScore
    longer: SpottingScore
    clear: tuple[int, int]
    classes: tuple[tuple[str, str], ...]
    rejected: dict[str, int]
    false_near: dict[str, int]
    speed: float


def run_job(job: Job, cache: Path, keep: bool) -> Outcome:
    """Render (unless cached), analyse, score."""
    cv2.setNumThreads(1)
    path = cache / job.name
    truth = truth_of(plan_clip(job.config(), job.seed), job.name)
    if not path.exists():
        write_clip(path, job.config(), job.seed, crf=CRF)
    start = time.perf_counter()
    analysis = analyze(path, config=AnalyzeConfig(evidence=False))
    speed = truth.frames / (time.perf_counter() - start)
    if not keep:
        path.unlink()
    return score_clip(job, truth, analysis, speed)


def score_clip(job: Job, truth: ClipTruth, analysis: Analysis, speed: float) -> Outcome:
    """Compare one analysis with the truth."""
    seconds = truth.frames / truth.fps
    score, longer = (
        match_events(
            [event.interval(truth.fps) for event in planted],
            [event.interval for event in found],
            duration_s=seconds,
            fps=truth.fps,
        )
        for planted, found in (
            (truth.events, analysis.micro),
            (truth.expressions, analysis.macro),
        )
    )
    matched = {pair.truth for pair in score.pairs}
    clear = [
        i
        for i, event in enumerate(truth.events)
        if not any(a <= event.offset_frame and event.onset_frame <= b for a, b in truth.blinks)
    ]
    hits = {pair.found for pair in score.pairs}
    false = [event.apex_frame for i, event in enumerate(analysis.micro) if i not in hits]
    return Outcome(
        job,
        score,
        longer,
        (len(matched.intersection(clear)), len(clear)),
        tuple(
            (truth.events[pair.truth].label, analysis.micro[pair.found].label)
            for pair in score.pairs
        ),
        analysis.spotting.rejected_counts(),
        dict(Counter(what_is_near(frame, truth) for frame in false)),
        speed,
    )


def what_is_near(frame: int, truth: ClipTruth) -> str:
    """What was planted within 0.15 s of a frame: the likely cause of a false event."""
    reach = 0.15 * truth.fps
    spans = {
        "micro": tuple((event.onset_frame, event.offset_frame) for event in truth.events),
        "blink": truth.blinks,
        "head": truth.head_moves,
        "macro": truth.macros,
    }
    for kind, places in spans.items():
        if any(a - reach <= frame <= b + reach for a, b in places):
            return kind
    return "nothing"


HEADER = (
    "| peak px | fps | events | recall | away from blinks | precision | F1 | false/min "
    "| median error onset, apex, offset (frames) | class accuracy | class UF1 | rejected "
    "| false near |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


def table_row(outcomes: Sequence[Outcome]) -> str:
    """One setting's line of the Markdown table, its clips pooled."""
    score = pool(outcome.score for outcome in outcomes)
    pairs = [pair for outcome in outcomes for pair in outcome.classes]
    clear = [sum(outcome.clear[k] for outcome in outcomes) for k in (0, 1)]
    accuracy, macro = "-", "-"
    if pairs:
        planted, found = zip(*pairs, strict=True)
        accuracy = f"{sum(a == b for a, b in pairs) / len(pairs):.2f}"
        macro = f"{uf1(planted, found):.2f}"
    errors = ", ".join(
        f"{score.median_error_frames(point):.1f}" for point in ("onset", "apex", "offset")
    )
    columns = [
        f"{outcomes[0].job.peak:g}",
        f"{outcomes[0].job.fps:g}",
        str(score.planted),
        f"{score.recall:.2f}",
        f"{clear[0] / clear[1]:.2f}" if clear[1] else "-",
        f"{score.precision:.2f}",
        f"{score.f1:.2f}",
        f"{score.false_per_minute:.1f}",
        errors,
        accuracy,
        macro,
        counts(outcome.rejected for outcome in outcomes),
        counts(outcome.false_near for outcome in outcomes),
    ]
    return "| " + " | ".join(columns) + " |"


def counts(parts: Iterable[dict[str, int]]) -> str:
    """Sums of counts in words."""
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return ", ".join(f"{name} {number}" for name, number in sorted(total.items())) or "-"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=2, help="clips for each setting")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each")
    parser.add_argument("--fps", type=float, nargs="+", default=[100.0, 200.0])
    parser.add_argument("--peaks", type=float, nargs="+", default=[0.5, 1.0, 2.0], help="pixels")
    parser.add_argument("--seed", type=int, default=1, help="of the first clip; then counts up")
    parser.add_argument("--cache", type=Path, help="folder for the clips; kept")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = parse(arguments)
    jobs = [
        Job(peak, fps, args.seconds, args.seed + number)
        for fps in args.fps
        for peak in args.peaks
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
            score = outcome.score
            print(
                f"{outcome.job.name}: {len(score.pairs)} of {score.planted} found, "
                f"{score.found - len(score.pairs)} false, {outcome.speed:.0f} frames/s",
                file=sys.stderr,
                flush=True,
            )
    print(HEADER)
    for fps in args.fps:
        for peak in args.peaks:
            chosen = [o for o in outcomes if (o.job.fps, o.job.peak) == (fps, peak)]
            print(table_row(chosen))
    longer = [outcome.longer for outcome in outcomes]
    planted, found = sum(part.planted for part in longer), sum(part.found for part in longer)
    print(
        f"\nLonger expressions: {planted} planted, {found} found, "
        f"{sum(len(part.pairs) for part in longer)} of them planted"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
