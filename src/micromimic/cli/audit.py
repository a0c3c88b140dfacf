"""`micromimic audit`: what choosing on the test data would claim."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from micromimic.cli.app import app, interruptible
from micromimic.cli.console import Interrupted, note, say
from micromimic.cli.research import (
    Cache,
    Device,
    Epochs,
    Groups,
    InitName,
    Jobs,
    Seed,
)
from micromimic.cli.score import Labels, Videos, run_spotting_audit

if TYPE_CHECKING:
    from micromimic.evaluation.audit.runs import Audited
    from micromimic.evaluation.run import RunConfig


Table = Annotated[
    Path,
    typer.Argument(
        metavar="FILE|MANIFEST",
        help="CSV of logged per-epoch predictions, or (with --model) a manifest of clips, or (with "
        "--truth) found events.",
        show_default=False,
    ),
]
Events = Annotated[
    Path | None,
    typer.Option(
        metavar="EVENTS",
        help="Annotated events: spotting is audited.",
        show_default=False,
    ),
]


@app.command()
@interruptible
def audit(
    table: Table,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name of `micromimic models`, trained on the manifest's clips.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="The audit's folder; a killed audit continues in it.")
    ] = Path("micromimic-audit"),
    shuffles: Annotated[
        int, typer.Option(min=0, help="Runs on shuffled training labels, beside the true ones.")
    ] = 3,
    init: InitName = "none",
    seed: Seed = 0,
    epochs: Epochs = None,
    groups: Groups = None,
    jobs: Jobs = 1,
    cache: Cache = None,
    device: Device = None,
    truth: Events = None,
    videos: Videos = None,
    labels: Labels = "three",
) -> None:
    """Show what choosing the epoch on test data claims.

    Beside it stand the honest figure and the same with shuffled training labels. Reads per-epoch
    predictions (columns dataset, subject, clip, fold, seed, epoch, y_true, y_pred), or trains a
    model with true and with shuffled labels. Writes audit.json, audit.md, audit.png and audit.svg;
    of a model also epochs.csv. With --truth: what choosing the epoch or the threshold of spotting,
    or leaving out videos without an event, claims; found events as `score` takes them, with a
    column epoch where there are several. Writes audit.json and audit.md.
    """
    from micromimic.cli.analyze import check_writable
    from micromimic.evaluation.audit.epochs import is_epochs_table

    if truth is not None:
        check_writable(out)
        run_spotting_audit(table, truth, videos, labels, out)
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

        _tell(audit_table(table, out))
        return
    from micromimic.evaluation.run import RunConfig

    config = RunConfig(
        model=model, init=init, seed=seed, epochs=epochs, groups=groups, device=device
    )
    _tell(_train(table, config, out, labels, shuffles, jobs, cache))


def _train(
    manifest: Path,
    config: RunConfig,
    out: Path,
    labels: str,
    shuffles: int,
    jobs: int,
    cache: Path | None,
) -> Audited:
    """Train and audit; Ctrl-C says that it can go on."""
    from micromimic.cli.progress import show_progress
    from micromimic.core.workers import Workers
    from micromimic.evaluation.audit.runs import audit_model
    from micromimic.evaluation.evaluate import read_clips, warning_of
    from micromimic.evaluation.run import model_of

    if text := warning_of(model_of(config), read_clips(manifest, labels)[1]):
        note(f"warning: {text}")
    try:
        with show_progress(f"{config.model}, audit", unit="folds") as progress:
            return audit_model(
                manifest,
                config,
                out,
                labels=labels,
                shuffles=shuffles,
                workers=Workers(jobs),
                cache=cache,
                progress=progress,
            )
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; the folds that ended are kept in {out}, "
            "the same command goes on from there"
        ) from None


def _tell(result: Audited) -> None:
    """The table, the sentences, and where the files lie."""
    from micromimic.cli.summary import text_table
    from micromimic.evaluation.article import COMPOSITE
    from micromimic.evaluation.audit.report import score_rows, sentences
    from micromimic.evaluation.markdown import title
    from micromimic.evaluation.scores import databases_of

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
    rows = [
        [labels, choice, *_cells(found, databases)]
        for labels, choice, found in score_rows(result.audit)
    ]
    say(text_table(header, rows))
    say("  (databases: UF1/UAR)")
    for text in sentences(result.audit):
        say(text)
    for text in (*result.audit.notes, *result.notes):
        note(f"note: {text}")
    say(f"  results: {result.folder}")


def _cells(scores: Mapping[str, Mapping[str, Any]], databases: list[str]) -> list[str]:
    """Cells of one line."""
    from micromimic.evaluation.article import COMPOSITE

    cells = []
    for score in ("uf1", "uar"):
        ends = scores[COMPOSITE][f"{score}_ci95"]
        cells.append(f"{scores[COMPOSITE][score]:.3f}")
        cells.append(f"{ends[0]:.2f} to {ends[1]:.2f}" if ends else "-")
    return cells + [f"{scores[name]['uf1']:.3f}/{scores[name]['uar']:.3f}" for name in databases]
