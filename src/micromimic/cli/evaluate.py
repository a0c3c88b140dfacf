"""`micromimic evaluate`: recognition by subjects or databases, or spotting on long videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from micromimic.cli import options
from micromimic.cli.console import (
    list_left_out,
    note,
    notes,
    resumable,
    say,
    text_table,
    warn,
)
from micromimic.cli.outputs import check_writable
from micromimic.cli.progress import show_progress
from micromimic.cli.score import ScoreBy, say_spotting, score_cells

if TYPE_CHECKING:
    from micromimic.core.workers import Workers
    from micromimic.evaluation.evaluate import Evaluation
    from micromimic.evaluation.run import Protocol, RunConfig

Models = Annotated[
    list[str],
    typer.Option(
        metavar="NAME|FILE.py:FUNCTION",
        help="A name of `micromimic models`, or a function that gives a scikit-learn classifier; "
        "several times for one table of several.",
    ),
]
ProtocolName = Annotated[
    str,
    typer.Option(
        metavar="loso|hde|apply|spotting",
        help="Leave a subject out, hold a database out, or test a trained model as it is; or run "
        "the spotter on long videos: MANIFEST is then the table of their events.",
    ),
]
Stopping = Annotated[
    bool,
    typer.Option(
        "--early-stopping", help="Stop by subjects held out of the training part (never the test)."
    ),
]
Overlap = Annotated[
    bool,
    typer.Option(
        "--allow-overlap",
        help="Go on where --init was fitted to clips or people that are tested, and say so in "
        "every table.",
    ),
]
Leaky = Annotated[
    bool,
    typer.Option(
        "--report-leaky", help="Also what keeping the best epoch on the test subject would claim."
    ),
]
_SPOTTING: Final = ("videos", "sensitivity", "score_by")
_RECOGNITION: Final = (
    *("seed", "apex", "preset", "epochs", "early_stopping", "groups", "report_leaky", "labels"),
    *("cache", "device", "tensorboard"),
)
"""Options of one kind of protocol."""


def evaluate(
    manifest: options.Manifest,
    model: Models = ["flow-capsnet"],  # noqa: B006 - typer copies it
    protocol: ProtocolName = "loso",
    init: options.InitName = "default",
    out: Annotated[
        Path, typer.Option(help="The run's folder; a killed run continues in it.")
    ] = Path("micromimic-evaluation"),
    seed: options.Seed = 0,
    jobs: options.Jobs = 1,
    backend: options.BackendName = "loky",
    scheduler: options.Scheduler = None,
    apex: options.ApexRule = "annotated",
    preset: options.Preset = None,
    epochs: options.Epochs = None,
    early_stopping: Stopping = False,
    groups: options.Groups = None,
    report_leaky: Leaky = False,
    labels: options.Labels = "three",
    allow_overlap: Overlap = False,
    cache: options.Cache = None,
    device: options.Device = None,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write curves to OUT/tensorboard.")
    ] = False,
    videos: options.Videos = None,
    sensitivity: options.Sensitivity = "normal",
    score_by: ScoreBy = "strength",
) -> None:
    """Evaluate models without any leak from the tested subject.

    Writes predictions.csv, metrics.json, tables.md, confusion.png and confusion.svg; with several
    models each into OUT/<name>/, and one tables.md for all. Of spotting: tables.md, metrics.json,
    events.csv, curve.csv, curve.png and curve.svg, and submissions in megc/.
    """
    _refuse_unused(locals())
    if protocol == "spotting":
        named, workers = _spotting_model(model, init), options.workers_of(jobs, backend, scheduler)
        _spot(manifest, out, videos, named, sensitivity, score_by, workers, allow_overlap)
        return
    from micromimic.evaluation.run import RunConfig
    from micromimic.models.base import EarlyStopping

    config = RunConfig(
        model=model[0],
        protocol=cast("Protocol", protocol),
        init=init,
        seed=seed,
        epochs=epochs,
        stop=EarlyStopping() if early_stopping else None,
        groups=groups,
        leaky=report_leaky,
        device=device,
        prepare=options.preparation(apex, preset),
        article=preset == "article",
        allow_overlap=allow_overlap,
    )
    workers = options.workers_of(jobs, backend, scheduler)
    _recognize(manifest, model, config, out, workers, cache, tensorboard, labels)


def _refuse_unused(given: Mapping[str, object]) -> None:
    """Refuse options that the protocol would pass over in silence."""
    protocol = given["protocol"]
    for name in _RECOGNITION if protocol == "spotting" else _SPOTTING:
        if given[name] != signature(evaluate).parameters[name].default:
            raise typer.BadParameter(
                f"expected no --{name.replace('_', '-')} with protocol {protocol}, which has no "
                "use for it; leave it out"
            )


def _spotting_model(models: list[str], init: str) -> Path | None:
    """What names the events that are spotted; None is the shipped model."""
    if init not in ("default", "none", "download"):
        return Path(init)
    if models != ["flow-capsnet"] or init != "default":
        raise typer.BadParameter(
            "expected the shipped model, or --init FILE of another, with protocol spotting, got "
            f"--model {' --model '.join(models)} --init {init}"
        )
    return None


def _spot(
    events: Path,
    out: Path,
    videos: Path | None,
    model: Path | None,
    sensitivity: str,
    score_by: ScoreBy,
    workers: Workers,
    allow_overlap: bool,
) -> None:
    from micromimic.analysis.long_videos.run import evaluate_spotting

    check_writable(out)
    with (
        resumable("the videos that ended", out),
        show_progress("spotting", unit="videos") as progress,
    ):
        result = evaluate_spotting(
            events,
            out,
            videos=videos,
            model=model,
            sensitivity=sensitivity,
            score_by=score_by,
            workers=workers,
            progress=progress,
            allow_overlap=allow_overlap,
        )
    say_spotting(result)


def _recognize(
    manifest: Path,
    models: Sequence[str],
    config: RunConfig,
    out: Path,
    workers: Workers,
    cache: Path | None,
    log: bool,
    labels: str,
) -> None:
    """Models one after the other; several get a folder each, and one table together."""
    check_writable(out)
    from micromimic.datasets.manifest import manifest_notes
    from micromimic.evaluation.evaluate import (
        chosen_models,
        evaluate_run,
        read_clips,
        warning_of,
        write_tables,
    )
    from micromimic.evaluation.run import model_of
    from micromimic.models.registry import Chosen

    # an unknown name, a plug-in that fails, a wrong manifest: refused before hours of work
    applied = config.protocol == "apply"
    known = [Chosen(text, None) for text in models] if applied else chosen_models(models)
    chosen = read_clips(manifest, labels)[1]
    notes(manifest_notes(manifest, labels))
    for name, model, _ in known:
        if model is not None:
            warn(warning_of(model_of(replace(config, model=name), model), chosen))
    done: list[Evaluation] = []
    for name, model, code in known:
        folder = out if len(models) == 1 else out / name
        shown = config.init.name if applied and isinstance(config.init, Path) else name
        with (
            resumable("the folds that ended", folder),
            show_progress(
                f"{shown}, {config.protocol}", unit="clips" if applied else "folds"
            ) as progress,
        ):
            result = evaluate_run(
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
        done.append(result)
        _say_scores(result)
        if config.leaky and result.summary.leaky is None:
            note(f"{name} has no epochs to choose from: nothing leaky to report")
    if len(models) > 1:
        say(f"tables: {write_tables(out, done)}")


def _say_scores(result: Evaluation) -> None:
    list_left_out(result.left_out)
    summary, composite = result.summary, result.metrics["composite"]
    scores = {summary.name: composite}
    for name, scopes in result.metrics["controls"].items():
        found = scopes["composite"]
        scores[f"  {name}"] = found | found.get("expected", {})  # of draws, as in tables.md
    if "leaky" in result.metrics:
        leaky = result.metrics["leaky"]["composite"]
        scores["  best epoch on the test subject (leaky)"] = leaky
    rows = [[name, *score_cells(found)] for name, found in scores.items()]
    resumed = f", {result.resumed} folds from before" if result.resumed else ""
    say(
        f"{summary.name}, {summary.protocol}, init {summary.init}, seed {summary.seed}: "
        f"{composite['n']} clips of {composite['subjects']} subjects{resumed}"
    )
    say(text_table(("", "UF1", "95 %", "UAR", "95 %"), rows))
    say(f"  results: {result.folder}")
