"""`micromimic evaluate`, `train`, `compare`, `datasets prepare`: say what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from micromimic._cli.analyze import check_file, check_writable
from micromimic._cli.console import Interrupted, note, say
from micromimic._cli.progress import show_progress
from micromimic._cli.summary import text_table

FEW_CLIPS = 30
"""Fewer to calibrate on than this are worth a warning."""

if TYPE_CHECKING:
    from micromimic.evaluation.run import RunConfig
    from micromimic.models.learner import FitOptions
    from micromimic.pipelines.experiment import Evaluation
    from micromimic.preparation.clip import PrepareConfig
    from micromimic.workers import Workers


def run_evaluate(
    manifest: Path,
    models: Sequence[str],
    config: RunConfig,
    out: Path,
    workers: Workers,
    cache: Path | None,
    log: bool,
) -> int:
    """Evaluate models one after the other; several get a folder each, and one table together.

    Raises:
        Interrupted: on Ctrl-C; folds that ended are kept.
    """
    check_writable(out)
    from micromimic.files import write_whole
    from micromimic.models.registry import entry
    from micromimic.pipelines.experiment import evaluate
    from micromimic.reports.recognition_tables import tables_md

    known = [entry(name) for name in models]  # an unknown name is told before hours of work
    if config.protocol != "apply":
        for model in known:
            _warn(model.learner().warning(config.init))
    unit = "clips" if config.protocol == "apply" else "folds"
    done: list[Evaluation] = []
    for name in models:
        folder = out if len(models) == 1 else out / name
        title = f"{name}, {config.protocol}"
        try:
            with show_progress(title, unit=unit) as progress:
                result = evaluate(
                    manifest,
                    replace(config, model=name),
                    folder,
                    workers=workers,
                    cache=cache,
                    report=lambda stage, now, total: progress(now, total, stage),
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
        write_whole(out / "tables.md", tables_md([result.summary for result in done]))
        say(f"tables: {out / 'tables.md'}")
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
    options: FitOptions,
    workers: Workers,
    cache: Path | None,
) -> int:
    """Train one model and say what was written."""
    from micromimic.models.registry import entry
    from micromimic.pipelines.training import train, written_beside

    check_file(out, *written_beside(out))
    if options.log_dir is not None:
        check_writable(options.log_dir)

    _warn(entry(model).learner().warning(options.init))

    with show_progress(f"{model}, training", unit="steps") as progress:
        options = replace(options, report=lambda stage, now, total: progress(now, total, stage))
        result = train(manifest, model, out, options, workers=workers, cache=cache)
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
    from micromimic.evaluation.predictions import read_predictions
    from micromimic.evaluation.statistics import compare_runs

    runs = [
        read_predictions(path / "predictions.csv" if path.is_dir() else path)
        for path in (first, second)
    ]
    for score in (uf1, uar):
        compared = compare_runs(runs[0], runs[1], score, seed=seed)
        say(compared.text(str(first), str(second)))
    return 0


def run_prepare(manifest: Path, cache: Path | None, workers: Workers, config: PrepareConfig) -> int:
    """Prepare every clip of a manifest for every kind of model that it allows."""
    from micromimic.datasets.manifest import read_manifest
    from micromimic.pipelines.experiment import cache_of
    from micromimic.preparation.cache import prepare_all, prepared_summary, views_of
    from micromimic.workers import on_workers

    clips = read_manifest(manifest)
    place = cache or cache_of(manifest)
    check_writable(place)
    views = set.intersection(*(set(views_of(clip.kind)) for clip in clips))
    with show_progress("preparation", unit="clips") as progress, on_workers(workers):
        failures = prepare_all(clips, views, place, config=config, progress=progress)
    for failure in failures:
        note(f"left out: {failure.clip.key}: {failure.reason}")
    say(prepared_summary(clips, failures, place, config))
    return 1 if failures else 0
