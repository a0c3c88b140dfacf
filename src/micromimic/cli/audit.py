"""`micromimic audit`: what choosing on the test data would claim."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import note, notes, resumable, say, text_table, warn
from micromimic.cli.options import unset
from micromimic.cli.outputs import check_writable
from micromimic.cli.progress import show_progress
from micromimic.cli.score import score_cells

if TYPE_CHECKING:
    from micromimic.evaluation.audit.runs import Audited
    from micromimic.evaluation.run import RunConfig

Table = Annotated[
    Path,
    options.argument(
        "CSV of logged per-epoch predictions, or (with --model) a manifest of clips, or (with "
        "--truth) found events.",
        "FILE|MANIFEST",
    ),
]
Events = Annotated[Path | None, unset("Annotated events: spotting is audited.", metavar="EVENTS")]


def audit(
    table: Table,
    model: Annotated[
        str | None,
        unset("A name of `micromimic models`, trained on the manifest's clips.", metavar="NAME"),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The audit's folder; a killed audit continues in it.")
    ] = Path("micromimic-audit"),
    shuffles: Annotated[
        int, typer.Option(min=0, help="Runs on shuffled training labels, beside the true ones.")
    ] = 3,
    init: options.InitName = "none",
    seed: options.Seed = 0,
    epochs: options.Epochs = None,
    groups: options.Groups = None,
    jobs: options.Jobs = 1,
    cache: options.Cache = None,
    device: options.Device = None,
    truth: Events = None,
    videos: options.Videos = None,
    labels: options.Scheme = "three",
) -> None:
    """Show what choosing the epoch on test data claims.

    Beside it stand the honest figure and the same with shuffled training labels. Reads per-epoch
    predictions (columns dataset, subject, clip, fold, seed, epoch, y_true, y_pred), or trains a
    model with true and with shuffled labels. Writes audit.json, audit.md, audit.png and audit.svg;
    of a model also epochs.csv. With --truth: what choosing the epoch or the threshold of spotting,
    or leaving out videos without an event, claims; found events as `score` takes them, with a
    column epoch where there are several. Writes audit.json and audit.md.
    """
    from micromimic.evaluation.audit.epochs import is_epochs_table

    if truth is not None:
        check_writable(out)
        _audit_spotting(table, truth, videos, labels, out)
        return
    logged = is_epochs_table(table)
    if logged and model is not None:
        raise typer.BadParameter(
            "expected a manifest with --model, got a table of epochs; leave --model out"
        )
    if not logged and model is None:
        raise typer.BadParameter(
            "expected a table with a column epoch, or --model NAME with a manifest, got neither"
        )
    check_writable(out)
    if model is None:
        from micromimic.evaluation.audit.runs import audit_table

        _say_audit(audit_table(table, out))
        return
    from micromimic.evaluation.run import RunConfig

    config = RunConfig(
        model=model, init=init, seed=seed, epochs=epochs, groups=groups, device=device
    )
    _say_audit(_train_and_audit(table, config, out, labels, shuffles, jobs, cache))


def _audit_spotting(file: Path, truth: Path, videos: Path | None, labels: str, out: Path) -> None:
    from micromimic.analysis.long_videos.run import audit_events
    from micromimic.evaluation.report.spotting import LEAKS, leak_rows, leak_sentence

    leaks, remarks = audit_events(file, truth, videos=videos, labels=labels, out=out)
    say(text_table(LEAKS, list(leak_rows(leaks))))
    for kind in dict.fromkeys(leak.kind for leak in leaks):
        say(leak_sentence(leaks, kind))
    notes(remarks)
    say(f"  results: {out}")


def _train_and_audit(
    manifest: Path,
    config: RunConfig,
    out: Path,
    labels: str,
    shuffles: int,
    jobs: int,
    cache: Path | None,
) -> Audited:
    from micromimic.evaluation.audit.runs import audit_model
    from micromimic.evaluation.evaluate import read_clips, warning_of
    from micromimic.evaluation.run import model_of

    warn(warning_of(model_of(config), read_clips(manifest, labels)[1]))
    with (
        resumable("the folds that ended", out),
        show_progress(f"{config.model}, audit", unit="folds") as progress,
    ):
        return audit_model(
            manifest,
            config,
            out,
            labels=labels,
            shuffles=shuffles,
            workers=options.workers_of(jobs),
            cache=cache,
            progress=progress,
        )


def _say_audit(result: Audited) -> None:
    from micromimic.evaluation.article import COMPOSITE
    from micromimic.evaluation.audit.report import score_rows, sentences
    from micromimic.evaluation.by_database import databases_of
    from micromimic.evaluation.markdown import title

    for line in result.left_out:
        note(f"left out: {line}")
    scores = result.audit.rows[0].scores
    databases = databases_of(scores)
    people = scores[COMPOSITE]
    resumed = f", {result.resumed} folds from before" if result.resumed else ""
    say(
        f"{result.name}: {people['n']} clips of {people['subjects']} subjects, "
        f"{len(result.audit.runs[0].epochs)} epochs{resumed}"
    )
    header = ("trained on", "epoch chosen", "UF1", "95 %", "UAR", "95 %", *map(title, databases))
    rows = []
    for labels, choice, found in score_rows(result.audit):
        by_database = (f"{found[name]['uf1']:.3f}/{found[name]['uar']:.3f}" for name in databases)
        rows.append([labels, choice, *score_cells(found[COMPOSITE], 2), *by_database])
    say(text_table(header, rows))
    say("  (databases: UF1/UAR)")
    for text in sentences(result.audit):
        say(text)
    notes((*result.audit.notes, *result.notes))
    say(f"  results: {result.folder}")
