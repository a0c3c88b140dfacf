"""`micromimic evaluate`, `train`, `compare`, `datasets prepare`: say what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from micromimic.cli.analyze import check_file, check_writable
from micromimic.cli.console import Interrupted, note, say
from micromimic.cli.progress import show_progress
from micromimic.cli.summary import text_table

FEW_CLIPS = 30
"""Fewer to calibrate on than this are worth a warning."""

if TYPE_CHECKING:
    from micromimic.core.workers import Workers
    from micromimic.evaluation.evaluate import Evaluation
    from micromimic.evaluation.run import RunConfig
    from micromimic.models.base import EarlyStopping, FitRun
    from micromimic.preparation.clip import PrepareConfig


def run_evaluate(
    manifest: Path,
    models: Sequence[str],
    config: RunConfig,
    out: Path,
    workers: Workers,
    cache: Path | None,
    log: bool,
    labels: str = "three",
) -> int:
    """Evaluate models one after the other; several get a folder each, and one table together.

    Raises:
        Interrupted: on Ctrl-C; folds that ended are kept.
    """
    check_writable(out)
    from micromimic.datasets.manifest import manifest_notes
    from micromimic.evaluation import evaluate as experiment
    from micromimic.evaluation.run import model_of
    from micromimic.models.registry import Chosen

    # an unknown name, a plug-in that fails, a wrong manifest: told before hours of work
    applied = config.protocol == "apply"
    known = [Chosen(text, None) for text in models] if applied else experiment.chosen_models(models)
    chosen = experiment.read_clips(manifest, labels)[1]
    for text in manifest_notes(manifest, labels):
        note(f"note: {text}")
    for name, model, _ in known:
        if model is not None:
            _warn(experiment.warning_of(model_of(replace(config, model=name), model), chosen))
    done: list[Evaluation] = []
    for name, model, code in known:
        folder = out if len(models) == 1 else out / name
        unit = "clips" if applied else "folds"
        shown = config.init.name if applied and isinstance(config.init, Path) else name
        try:
            with show_progress(f"{shown}, {config.protocol}", unit=unit) as progress:
                result = experiment.evaluate_run(
                    manifest,
                    replace(config, model=name, code=code),
                    folder,
                    labels=labels,
                    model=model,
                    workers=workers,
                    cache=cache,
                    progress=progress,
                    log=log,
                )
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; the folds that ended are kept in {folder}, "
                "the same command goes on from there"
            ) from None
        done.append(result)
        _tell(result)
        if config.leaky and result.summary.leaky is None:
            note(f"{name} has no epochs to choose from: nothing leaky to report")
    if len(models) > 1:
        say(f"tables: {experiment.write_tables(out, done)}")
    return 0


def _tell(result: Evaluation) -> None:
    _tell_left_out(result.left_out)
    rows = [_row(result.summary.name, result.metrics["composite"])]
    rows += [_row(f"  {name}", m["composite"]) for name, m in result.metrics["controls"].items()]
    if "leaky" in result.metrics:
        rows.append(
            _row("  best epoch on the test subject (leaky)", result.metrics["leaky"]["composite"])
        )
    composite = result.metrics["composite"]
    resumed = f", {result.resumed} folds from before" if result.resumed else ""
    say(
        f"{result.summary.name}, {result.summary.protocol}, init {result.summary.init}, seed "
        f"{result.summary.seed}: {composite['n']} clips of {composite['subjects']} "
        f"subjects{resumed}"
    )
    say(text_table(("", "UF1", "95 %", "UAR", "95 %"), rows))
    say(f"  results: {result.folder}")


def _row(name: str, metrics: dict[str, object]) -> list[str]:
    def interval(key: str) -> str:
        ends = metrics[key]
        return f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "-"  # type: ignore[index]

    return [
        name,
        f"{metrics['uf1']:.3f}",
        interval("uf1_ci95"),
        f"{metrics['uar']:.3f}",
        interval("uar_ci95"),
    ]


def run_train(
    manifest: Path,
    model: str,
    out: Path,
    workers: Workers,
    *,
    labels: str,
    init: str | Path,
    seed: int,
    epochs: int | None,
    stop: EarlyStopping | None,
    run: FitRun,
    cache: Path | None,
) -> int:
    """Train one model and say what was written."""
    from micromimic.evaluation.evaluate import read_clips, warning_of
    from micromimic.evaluation.train import train, written_beside
    from micromimic.models.fitting import configure
    from micromimic.models.registry import make_model

    check_file(out, *written_beside(out))
    if run.log_dir is not None:
        check_writable(run.log_dir)
    name, fresh, _ = make_model(model)
    configured = configure(fresh, name, init=init, epochs=epochs, stop=stop)
    _warn(warning_of(configured, read_clips(manifest, labels)[1]))
    with show_progress(f"{name}, training", unit="steps") as progress:
        result = train(
            manifest,
            model,
            out,
            labels=labels,
            init=init,
            seed=seed,
            epochs=epochs,
            stop=stop,
            run=replace(run, progress=progress),
            workers=workers,
            cache=cache,
        )
    _tell_left_out(result.left_out)
    say(
        f"{model}: trained on {result.clips} clips of {result.subjects} subjects; on "
        f"{result.checked} clips of subjects held out to calibrate, UF1 {result.uf1:.3f}, "
        f"UAR {result.uar:.3f}"
    )
    if result.checked < FEW_CLIPS:
        _warn(f"only {result.checked} clips to calibrate on: probabilities mean little")
    say(f"  model: {result.path} (micromimic analyze VIDEO --model {result.path})")
    if result.weights:
        say(f"  weights to fine-tune: {result.weights} (--init {result.weights})")
    return 0


def _tell_left_out(lines: Sequence[str]) -> None:
    if lines:
        note(f"{len(lines)} clips left out:")
        for line in lines:
            note(f"  {line}")


def _warn(text: str | None) -> None:
    if text:
        note(f"warning: {text}")


def run_compare(first: Path, second: Path, seed: int) -> int:
    """Say whether two runs differ."""
    from micromimic.evaluation.metrics import uar, uf1
    from micromimic.evaluation.predictions import Predictions
    from micromimic.evaluation.statistics import compare_runs

    runs = [
        Predictions.read(path / "predictions.csv" if path.is_dir() else path)
        for path in (first, second)
    ]
    for score in (uf1, uar):
        compared = compare_runs(runs[0], runs[1], score, seed=seed)
        say(compared.text(str(first), str(second)))
    return 0


def run_prepare(manifest: Path, cache: Path | None, workers: Workers, config: PrepareConfig) -> int:
    """Prepare every clip of a manifest for every kind of model that it allows."""
    from micromimic.core.workers import on_workers
    from micromimic.datasets.manifest import manifest_clips
    from micromimic.evaluation.evaluate import cache_of
    from micromimic.preparation.cache import prepare_all, prepared_summary
    from micromimic.preparation.clip import VIEWS

    clips = manifest_clips(manifest, labelled=True)
    place = cache or cache_of(manifest)
    check_writable(place)
    views = set.intersection(*(set(VIEWS[clip.kind]) for clip in clips))
    with show_progress("preparation", unit="clips") as progress, on_workers(workers):
        failures = prepare_all(clips, views, place, config=config, progress=progress)
    for failure in failures:
        note(f"left out: {failure.clip.key}: {failure.reason}")
    say(prepared_summary(clips, failures, place, config))
    return 1 if failures else 0
