"""How well do flow models learn from real maps? Leave-one-subject-out, and few subjects.

    python benchmarks/loso.py [--manifest FILE] [--models ...] [--starts ...] [--half all]
                              [--seeds N] [--draws N] [--files ONNX ...] [--jobs N]

For each model and start (``none``: random weights and real maps only, ``default``: with the shipped
synthetic ones) UF1 and UAR over all held-out subjects, a line a seed and their mean, and the
seconds that one seed took. Then the same models trained on the maps of five subjects only, tested
on all others: the mean of several draws of the five, the same five for all models and starts.
Nothing is selected on a tested subject; intervals are 95 % over subjects, those of a mean drawing
the same subjects for all of its runs; a difference under .03 is noise. flow-ensemble draws nothing,
so its seeds say the same; ``--files`` starts from other synthetic networks, a run each, and shows
what they vary by.

Settings may be chosen with ``--half development`` alone: the subjects whose names
`evaluation.development` puts there.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MicromimicError
from micromimic.core.splits import loso
from micromimic.core.workers import Workers, on_workers, run_tasks
from micromimic.datasets.manifest import read_manifest
from micromimic.evaluation.by_database import metrics_of
from micromimic.evaluation.controls import COSINE, MAJORITY, all_controls
from micromimic.evaluation.development import development_rows
from micromimic.evaluation.evaluate import Loaded, load
from micromimic.evaluation.metrics import scores_of_tables
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.resampling import quantiles, times_drawn
from micromimic.evaluation.run import RunConfig, model_of, run_protocol
from micromimic.models.base import FitRun, Init
from micromimic.models.fitting import fit_model, probabilities_of, seeded
from micromimic.models.samples import Samples
from micromimic.models.views import encoder_of
from published_maps import default_manifest

STARTS: tuple[Init, ...] = ("none", "default")


def leave_one_out(
    samples: Samples, model: str, starts: Sequence[tuple[str, Init, int]], jobs: int
) -> None:
    """Print a line for each (name, init, seed), and the mean."""
    runs = []
    for name, init, seed in starts:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            result = run_protocol(
                samples,
                RunConfig(model=model, init=init, seed=seed),
                Path(folder) / "run",
                workers=Workers(jobs),
            )
        seconds = time.monotonic() - began
        show(f"{model}, init {name}, seed {seed}", metrics_of(result.predictions)["composite"],
             f"{len(result.folds)} folds in {seconds:.0f} s")  # fmt: skip
        runs.append(result.predictions)
    names = list(dict.fromkeys(name for name, _, _ in starts))
    said = names[0] if len(names) == 1 else "files"
    show_mean(f"{model}, init {said}, mean of {len(starts)}", runs)


def show_mean(name: str, runs: Sequence[Predictions], draws: int = 2000) -> None:
    """One line: means over runs, and what they vary by when subjects are drawn anew."""
    who, labels = sorted(set(np.concatenate([run.who for run in runs]))), runs[0].labels
    tables = np.zeros((len(runs), len(who), len(labels), len(labels)), np.int64)
    for number, run in enumerate(runs):
        place = np.searchsorted(who, run.who)
        cells = labels.encode(run["y_true"]), labels.encode(run["y_pred"])
        np.add.at(tables[number], (place, *cells), 1)
    each = np.array(scores_of_tables(tables.sum(1)))
    times = times_drawn(len(who), draws, np.random.default_rng(0))
    drawn = np.mean([scores_of_tables(np.tensordot(times, run, 1)) for run in tables], 0)
    (low, high), (low_recall, high_recall) = (quantiles(values) for values in drawn)
    found = {"uf1": each[0].mean(), "uf1_ci95": (low, high),
             "uar": each[1].mean(), "uar_ci95": (low_recall, high_recall)}  # fmt: skip
    spread = each.std(1)
    show(name, found, f"+- {spread[0]:.3f} and {spread[1]:.3f} over runs")


def show(name: str, metrics: dict[str, Any], more: str = "") -> None:
    """One line."""
    low, high = metrics["uf1_ci95"]
    low_recall, high_recall = metrics["uar_ci95"]
    print(
        f"{name:52s} {metrics['uf1']:.3f} [{low:.3f}, {high:.3f}]  "
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
        if len(np.unique(samples.targets[rows])) == len(samples.label_set):
            return rows


def few_task(
    samples: Samples, model: str, init: Init, rows: NDArray[np.int64], seed: int
) -> tuple[int, Init, Predictions]:
    """Train on these rows, test on all others."""
    rest = np.setdiff1d(np.arange(len(samples)), rows)
    part, names = samples.take(rows), samples.label_set.names
    made = seeded(model_of(RunConfig(model=model, init=init)), seed)
    fit_model(made, model, part.inputs, part.labels, part.subjects, FitRun(threads=1))
    p = probabilities_of(made, model, samples.inputs[rest], names)
    return seed, init, Predictions.of_samples(samples.take(rest), p, seed=seed)


def few_subjects(
    samples: Samples, model: str, starts: Sequence[Init], count: int, draws: int, jobs: int
) -> None:
    """Print a line a draw, and the means."""
    from joblib import delayed  # noqa: PLC0415

    rows = [draw_subjects(samples, count, seed) for seed in range(draws)]
    tasks = [
        delayed(few_task)(samples, model, init, rows[seed], seed)
        for seed in range(draws)
        for init in starts
    ]
    with on_workers(Workers(jobs)):
        found = {(seed, init): said for seed, init, said in run_tasks(tasks)}
    for init in starts:
        for seed in range(draws):
            name = f"{model}, init {init}, {count} subjects, draw {seed}"
            show(name, metrics_of(found[seed, init])["composite"], f"{len(rows[seed])} maps")
        name = f"{model}, init {init}, {count} subjects, mean of {draws}"
        show_mean(name, [found[seed, init] for seed in range(draws)])


def half_of(loaded: Loaded, half: str) -> tuple[Samples, NDArray[np.float32] | None]:
    """The samples of a half of the subjects, or all, and their maps."""
    if half == "all":
        return loaded.samples, loaded.maps
    rows = np.flatnonzero(development_rows(loaded.samples.subjects) == (half == "development"))
    return loaded.samples.take(rows), None if loaded.maps is None else loaded.maps[rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--models", nargs="+", default=["flow-capsnet", "flow-ensemble"])
    parser.add_argument("--starts", nargs="+", default=list(STARTS), choices=STARTS)
    parser.add_argument("--half", default="all", choices=("all", "development", "other"))
    parser.add_argument("--files", nargs="+", type=Path, help="flow-capsnets to start from")
    parser.add_argument("--seeds", type=int, default=3, help="of leave-one-out; 0: none")
    parser.add_argument("--draws", type=int, default=5, help="of five training subjects; 0: none")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        first = encoder_of(model_of(RunConfig(model=options.models[0])))
        loaded = load(read_manifest(options.manifest), first, Path(tempfile.gettempdir()))
        samples, maps = half_of(loaded, options.half)
        print(f"{len(samples)} maps of {len(set(samples.subjects))} subjects, {options.jobs} jobs")
        print(f"{'':52s} UF1 [95 %]             UAR [95 %]")
        controls = all_controls(samples, list(loso(samples.subjects)), maps)
        for name in (MAJORITY, COSINE):
            show(name, metrics_of(controls[name])["composite"])
        for model in options.models:
            for init in options.starts if options.seeds else ():
                seeds = [(str(init), init, seed) for seed in range(options.seeds)]
                leave_one_out(samples, model, seeds, options.jobs)
            if options.files:
                files = [(f"file {k}", path, 0) for k, path in enumerate(options.files)]
                leave_one_out(samples, model, files, options.jobs)
            if options.draws:
                few_subjects(samples, model, options.starts, 5, options.draws, options.jobs)
    except MicromimicError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
