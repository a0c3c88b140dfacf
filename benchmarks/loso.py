"""How well does the flow model learn from real maps? Leave-one-subject-out, and few subjects.

    python benchmarks/loso.py [--manifest FILE] [--seeds N] [--jobs N] [--draws N] [--models ...]

For each model and start (``none``: random weights, ``default``: the shipped synthetic ones) UF1 and
UAR over all held-out subjects, a line a seed and their mean, and the seconds that one seed took.
Then the same models trained on the maps of five subjects only, tested on all others: the mean of
several draws of the five, the same five for both starts. Nothing is selected on a tested subject;
intervals are 95 % over subjects; a difference under .03 is noise.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.datasets.manifest import read_manifest
from micromimic.errors import MicromimicError
from micromimic.evaluation.controls import COSINE, MAJORITY, all_controls
from micromimic.evaluation.metrics import uar, uf1
from micromimic.evaluation.parallel import Workers, on_workers, run_tasks
from micromimic.evaluation.run import RunConfig, run_protocol
from micromimic.evaluation.scores import metrics_of
from micromimic.evaluation.splits import loso
from micromimic.labels import EMOTIONS
from micromimic.models.learner import FitOptions, Init, Samples
from micromimic.models.registry import entry
from micromimic.pipelines.experiment import load

ROOT = Path(__file__).resolve().parents[1]
STARTS: tuple[Init, ...] = ("none", "default")


def default_manifest() -> Path:
    """``shared`` beside the repository, or the folder that MICROMIMIC_SHARED names."""
    shared = Path(os.environ.get("MICROMIMIC_SHARED", ROOT.parent / "shared"))
    return shared / "data" / "flow_maps" / "manifest.csv"


def leave_one_out(samples: Samples, model: str, init: Init, seeds: int, jobs: int) -> None:
    """Print a line a seed, and the mean."""
    scores = []
    for seed in range(seeds):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            result = run_protocol(
                samples,
                RunConfig(model=model, init=init, seed=seed),
                Path(folder) / "run",
                workers=Workers(jobs),
            )
        seconds = time.monotonic() - began
        show(f"{model}, init {init}, seed {seed}", metrics_of(result.predictions)["composite"],
             f"{len(result.folds)} folds in {seconds:.0f} s")  # fmt: skip
        part = metrics_of(result.predictions, draws=2)
        scores.append([part["composite"]["uf1"], part["composite"]["uar"]])
    mean, spread = np.mean(scores, 0), np.std(scores, 0)
    print(
        f"{f'{model}, init {init}, mean of {seeds}':44s} {mean[0]:.3f} +- {spread[0]:.3f}"
        f"{'':8s}{mean[1]:.3f} +- {spread[1]:.3f}",
        flush=True,
    )


def show(name: str, metrics: dict[str, Any], more: str = "") -> None:
    """One line."""
    low, high = metrics["uf1_ci95"]
    low_recall, high_recall = metrics["uar_ci95"]
    print(
        f"{name:44s} {metrics['uf1']:.3f} [{low:.3f}, {high:.3f}]  "
        f"{metrics['uar']:.3f} [{low_recall:.3f}, {high_recall:.3f}]  {more}",
        flush=True,
    )


def draw_subjects(samples: Samples, count: int, seed: int) -> NDArray[np.int64]:
    """Rows of a few subjects who show all classes between them."""
    rng = np.random.default_rng(seed)
    names = np.unique(samples.subjects)
    while True:
        chosen = rng.choice(names, count, replace=False)
        rows = np.flatnonzero(np.isin(samples.subjects, chosen))
        if len(np.unique(samples.targets[rows])) == len(EMOTIONS):
            return rows


def few_task(
    samples: Samples, model: str, init: Init, rows: NDArray[np.int64], seed: int
) -> tuple[int, Init, float, float]:
    """Train on these rows, test on all others."""
    learner = entry(model).learner()
    rest = np.setdiff1d(np.arange(len(samples)), rows)
    fitted = learner.fit(samples.take(rows), FitOptions(seed=seed, init=init))
    said = np.asarray(EMOTIONS)[fitted.scores(samples.inputs[rest]).argmax(1)]
    truth = samples.labels[rest]
    return seed, init, uf1(truth, said), uar(truth, said)


def few_subjects(samples: Samples, model: str, count: int, draws: int, jobs: int) -> None:
    """Print a line a draw, and the means."""
    from joblib import delayed  # noqa: PLC0415

    rows = [draw_subjects(samples, count, seed) for seed in range(draws)]
    tasks = [
        delayed(few_task)(samples, model, init, rows[seed], seed)
        for seed in range(draws)
        for init in STARTS
    ]
    with on_workers(Workers(jobs)):
        found = {(seed, init): (f1, recall) for seed, init, f1, recall in run_tasks(tasks)}
    for seed in range(draws):
        parts = ", ".join(f"{init} {found[seed, init][0]:.3f}" for init in STARTS)
        print(f"{model}, {count} subjects ({len(rows[seed])} maps), draw {seed}: UF1 {parts}")
    for init in STARTS:
        mean = np.mean([found[seed, init] for seed in range(draws)], 0)
        print(f"{f'{model}, {count} subjects, init {init}, mean of {draws}':44s} "
              f"UF1 {mean[0]:.3f}  UAR {mean[1]:.3f}")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--models", nargs="+", default=["flow-capsnet"])
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=STARTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=5, help="of five training subjects; 0: none")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        learner = entry(options.models[0]).learner()
        loaded = load(read_manifest(options.manifest), learner, Path(tempfile.gettempdir()))
        samples = loaded.samples
        print(f"{len(samples)} maps of {len(set(samples.subjects))} subjects, {options.jobs} jobs")
        print(f"{'':44s} UF1 [95 %]             UAR [95 %]")
        controls = all_controls(samples, list(loso(samples.subjects)), loaded.maps)
        for name in (MAJORITY, COSINE):
            show(name, metrics_of(controls[name])["composite"])
        for model in options.models:
            for init in options.starts:
                leave_one_out(samples, model, init, options.seeds, options.jobs)
            if options.draws:
                few_subjects(samples, model, 5, options.draws, options.jobs)
    except MicromimicError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
