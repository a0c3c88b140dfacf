"""Benchmark: end to end on rendered people, cameras and lights that nothing was trained on.

    python benchmarks/rendered.py --people 6 --jobs 2

Renders seeded clips of 3-D heads (people numbered from 10000 on, whom no training and no choice has
seen; cameras nearer, lamps lower and more to the side, lenses softer than those of training;
compressed video), analyses each as a user would, and prints two Markdown tables: what was found of
the planted micro-expressions, and what was reported where there was none. Intervals are 95 %, from
drawing people with replacement. Clips are kept in ``--cache`` and used again; without it each is
deleted after use.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from joblib import Parallel, delayed

from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.core.labels import THREE
from micromimic.evaluation.metrics import uf1
from micromimic.evaluation.spotting import SpottingScore, match_events, pool
from micromimic.synthesis.actors.head.moving import Studio, make_head
from micromimic.synthesis.actors.head.person import Lamp
from micromimic.synthesis.clips import render, write_frames
from micromimic.synthesis.schedule import CLIP_KINDS, ClipConfig, ClipKind, clip_of_kind, plan_clip
from micromimic.synthesis.truth import truth_of

CRF = 16
"""Good, but compressed: where a soft picture drifts, its blocks follow with a lag of up to a
quarter of a pixel, which is much of what is reported where nothing was planted."""
PRESET = "superfast"
TOGETHER = ("neutral", "blinking", "speaking")
"""Kinds that are also counted as one: what an interview without expressions holds."""


@dataclass(frozen=True)
class Job:
    """One clip to render and analyse."""

    kind: ClipKind
    person: int
    seconds: float
    fps: float
    peak: float
    crf: int = CRF

    def config(self) -> ClipConfig:
        """The clip's settings: the defaults, but for a head that turns further."""
        return clip_of_kind(
            self.kind, seconds=self.seconds, fps=self.fps, peak_px=self.peak, yaw_px=2.0
        )

    @property
    def seed(self) -> int:
        """Another for each kind, so that the clips of a person differ."""
        return 10 * self.person + CLIP_KINDS.index(self.kind)

    @property
    def name(self) -> str:
        """File name in the cache."""
        quality = "" if self.crf == CRF else f"_crf{self.crf}"
        length = f"{self.fps:g}fps_{self.seconds:g}s"
        return f"{self.kind}_{self.person}_{self.peak:g}px_{length}{quality}.mp4"


@dataclass(frozen=True)
class Outcome:
    """What one clip gave.

    Args:
        job: which.
        score: spotting.
        classes: (planted, found) label of each planted event; found is None where it was missed.
        units: action units of the missed ones.
        false: labels of false events.
        rejected: movements not reported, by reason.
    """

    job: Job
    score: SpottingScore
    classes: tuple[tuple[str, str | None], ...]
    units: tuple[str, ...]
    false: tuple[str, ...]
    rejected: dict[str, int]


def studio_of(person: int) -> Studio:
    """Camera and light outside the ranges of `synthesis.actors.head.moving.draw_studio`."""
    rng = np.random.default_rng([person, 11])
    return Studio(
        distance=float(rng.uniform(120.0, 170.0)),
        lamp=Lamp(
            azimuth=float(rng.choice((-1.0, 1.0)) * rng.uniform(0.8, 1.1)),
            elevation=float(rng.uniform(0.05, 0.2)),
            ambient=float(rng.uniform(0.34, 0.43)),
        ),
        blur=float(rng.uniform(0.65, 0.85)),
        exposure=float(rng.uniform(1.08, 1.2)),
    )


def run_job(job: Job, cache: Path, keep: bool, model: Path | None) -> Outcome:
    """Render (unless cached), analyse, score."""
    cv2.setNumThreads(1)
    path = cache / job.name
    plan = plan_clip(job.config(), job.seed)
    if not path.exists():
        head = make_head(job.person, plan.config, studio_of(job.person))
        write_frames(path, plan, render(plan, actor=head), crf=job.crf, preset=PRESET)
    truth = truth_of(plan, job.name)
    analysis = analyze(path, config=AnalyzeConfig(evidence=False, model=model))
    if not keep:
        path.unlink()
    score = match_events(
        truth.intervals(),
        [event.interval for event in analysis.micro],
        duration_s=job.seconds,
        fps=job.fps,
    )
    found = {pair.truth: analysis.micro[pair.found].label for pair in score.pairs}
    hits = {pair.found for pair in score.pairs}
    return Outcome(
        job,
        score,
        tuple((event.label, found.get(i)) for i, event in enumerate(truth.events)),
        tuple("+".join(e.action_units) for i, e in enumerate(truth.events) if i not in found),
        tuple(e.label for i, e in enumerate(analysis.micro) if i not in hits),
        analysis.spotting.rejected_counts(),
    )


def uf1_matched(outcomes: Sequence[Outcome]) -> float:
    """Class UF1 of the events that were found."""
    pairs = [(a, b) for outcome in outcomes for a, b in outcome.classes if b is not None]
    return uf1([a for a, _ in pairs], [b for _, b in pairs]) if pairs else float("nan")


def uf1_planted(outcomes: Sequence[Outcome]) -> float:
    """Class UF1 of all planted events: a missed one is found as no class."""
    pairs = [pair for outcome in outcomes for pair in outcome.classes]
    scores = []
    for label in THREE:
        hits = sum(a == b == label for a, b in pairs)
        named = sum(a == label for a, _ in pairs) + sum(b == label for _, b in pairs)
        if any(a == label for a, _ in pairs):
            scores.append(2 * hits / named)
    return float(np.mean(scores)) if scores else float("nan")


def interval(
    outcomes: Sequence[Outcome], measure: Callable[[Sequence[Outcome]], float], draws: int = 1000
) -> str:
    """A measure and its 95 % interval over people, as text."""
    people = sorted({outcome.job.person for outcome in outcomes})
    of = {who: [o for o in outcomes if o.job.person == who] for who in people}
    rng = np.random.default_rng(0)
    values = []
    for _ in range(draws):
        drawn = rng.choice(people, len(people))
        value = measure([outcome for who in drawn for outcome in of[int(who)]])
        if np.isfinite(value):
            values.append(value)
    low, high = np.percentile(values, (2.5, 97.5))
    return f"{measure(outcomes):.2f} ({low:.2f} to {high:.2f})"


def spotting_table(outcomes: Sequence[Outcome]) -> str:
    """The table of what was found of the planted micro-expressions."""
    score = pool(outcome.score for outcome in outcomes)
    measures: dict[str, Callable[[Sequence[Outcome]], float]] = {
        "recall": lambda part: pool(o.score for o in part).recall,
        "precision": lambda part: pool(o.score for o in part).precision,
        "F1": lambda part: pool(o.score for o in part).f1,
        "class UF1 of those found": uf1_matched,
        "class UF1 of all planted": uf1_planted,
    }
    people = len({outcome.job.person for outcome in outcomes})
    cells = [interval(outcomes, measure) for measure in measures.values()]
    missed = Counter(units for outcome in outcomes for units in outcome.units)
    words = ", ".join(f"{units} {count}" for units, count in missed.most_common()) or "none"
    return (
        f"| peak px | people | events | {' | '.join(measures)} | missed (action units) |\n"
        f"|{'---|' * (len(measures) + 4)}\n"
        f"| {outcomes[0].job.peak:g} | {people} | {score.planted} | {' | '.join(cells)} "
        f"| {words} |"
    )


def false_table(outcomes: Sequence[Outcome]) -> str:
    """The table of what was reported where no micro-expression was planted."""
    rows = ["| kind | minutes | false events | a minute | as |", "|---|---|---|---|---|"]
    kinds = sorted({outcome.job.kind for outcome in outcomes})
    groups: list[tuple[str, list[Outcome]]] = [
        (kind, [o for o in outcomes if o.job.kind == kind]) for kind in kinds
    ]
    groups.append((" + ".join(TOGETHER), [o for o in outcomes if o.job.kind in TOGETHER]))
    for name, chosen in groups:
        if not chosen:
            continue
        minutes = sum(outcome.job.seconds for outcome in chosen) / 60.0
        labels = Counter(label for outcome in chosen for label in outcome.false)
        words = ", ".join(f"{label} {count}" for label, count in sorted(labels.items())) or "-"
        rate = interval(chosen, false_a_minute)
        rows.append(f"| {name} | {minutes:.1f} | {sum(labels.values())} | {rate} | {words} |")
    return "\n".join(rows)


def false_a_minute(outcomes: Sequence[Outcome]) -> float:
    """False events a minute."""
    minutes = sum(outcome.job.seconds for outcome in outcomes) / 60.0
    return sum(len(outcome.false) for outcome in outcomes) / minutes


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=6, help="how many")
    parser.add_argument("--seed", type=int, default=10_000, help="number of the first person")
    parser.add_argument("--seconds", type=float, default=60.0, help="with micro-expressions, each")
    parser.add_argument("--calm", type=float, default=25.0, help="seconds of each kind without")
    parser.add_argument("--fps", type=float, default=100.0)
    parser.add_argument("--peak", type=float, default=1.0, help="pixels")
    parser.add_argument("--crf", type=int, default=CRF, help="x264's quality; 10 is near-lossless")
    parser.add_argument("--kinds", nargs="+", choices=CLIP_KINDS, default=list(CLIP_KINDS))
    parser.add_argument("--model", type=Path, help="another recognition model (.onnx)")
    parser.add_argument("--cache", type=Path, help="folder for the clips; kept")
    parser.add_argument("--out", type=Path, help="JSON file for the outcomes")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    args = parse(arguments)
    people = range(args.seed, args.seed + args.people)
    jobs = [
        Job(
            kind,
            who,
            args.seconds if kind == "mixed" else args.calm,
            args.fps,
            args.peak,
            args.crf,
        )
        for kind in args.kinds
        for who in people
    ]
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as temporary:
        cache = args.cache or Path(temporary)
        cache.mkdir(parents=True, exist_ok=True)
        work = (delayed(run_job)(job, cache, args.cache is not None, args.model) for job in jobs)
        for outcome in Parallel(n_jobs=args.jobs, return_as="generator")(work):
            outcomes.append(outcome)
            score = outcome.score
            print(
                f"{outcome.job.name}: {len(score.pairs)} of {score.planted} found, "
                f"{len(outcome.false)} false, rejected {outcome.rejected}",
                file=sys.stderr,
                flush=True,
            )
    mixed = [outcome for outcome in outcomes if outcome.job.kind == "mixed"]
    calm = [outcome for outcome in outcomes if outcome.job.kind != "mixed"]
    if mixed:
        print(spotting_table(mixed), end="\n\n")
    if calm:
        print(false_table(calm))
    if args.out:
        rows = [
            {"clip": o.job.name, "classes": o.classes, "false": o.false, "rejected": o.rejected}
            for o in outcomes
        ]
        args.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
