"""`micromimic score`, and what `evaluate` and `audit` say of spotting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from micromimic.cli.app import app, interruptible
from micromimic.cli.console import Interrupted, note, say

if TYPE_CHECKING:
    from micromimic.analysis.long_videos.run import Spotted
    from micromimic.core.workers import Workers
    from micromimic.evaluation.score_file import OwnPredictions

Truth = Annotated[
    Path,
    typer.Option(
        metavar="EVENTS|MANIFEST",
        help="Annotated events for found ones, the manifest of the clips for predictions.",
        show_default=False,
    ),
]
Videos = Annotated[
    Path | None,
    typer.Option(
        metavar="MANIFEST",
        help="Of spotting: the videos of the table of events; looked for beside it if left out.",
        show_default=False,
    ),
]
ScoreBy = Annotated[
    Literal["strength", "rate"],
    typer.Option(help="Of spotting: what thresholds are set on: strength, or how rare by chance."),
]
_IN_FILE = ("Naming precision", "Naming recall", "UF1", "UAR")
"""Columns of tables.md that are too many for a terminal."""

Labels = Annotated[str, typer.Option(metavar="SCHEME", help="The scheme of the labels.")]


@app.command()
@interruptible
def score(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Your own events.csv, MEGC submission, or predictions.csv.",
            show_default=False,
        ),
    ],
    truth: Truth,
    videos: Videos = None,
    labels: Labels = "three",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write tables there, too.", show_default=False),
    ] = None,
) -> None:
    """Score somebody's own results by the protocols of `evaluate`.

    Found events (video, onset, offset in frames, and where there are dataset, subject, kind, label,
    score) are scored as spotting, a row a clip (dataset, subject, clip, y_pred or p_...) as
    recognition.
    """
    from micromimic.analysis.long_videos.run import score_events
    from micromimic.cli.analyze import check_writable
    from micromimic.evaluation.score_file import is_predictions, score_predictions

    if out is not None:
        check_writable(out)
    if not is_predictions(file):
        _tell(score_events(file, truth, videos=videos, labels=labels, out=out))
        return
    if videos is not None:
        raise typer.BadParameter("expected --videos with found events only; leave it out")
    _tell_recognition(score_predictions(file, truth, labels=labels, out=out), out)


def run_spotting(
    events: Path,
    out: Path,
    videos: Path | None,
    model: Path | None,
    sensitivity: str,
    score_by: ScoreBy,
    workers: Workers,
    allow_overlap: bool = False,
) -> int:
    """`micromimic evaluate --protocol spotting`.

    Raises:
        Interrupted: on Ctrl-C; what was found until then is kept.
    """
    from micromimic.analysis.long_videos.run import evaluate_spotting
    from micromimic.cli.analyze import check_writable
    from micromimic.cli.progress import show_progress

    check_writable(out)
    try:
        with show_progress("spotting", unit="videos") as progress:
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
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; the videos that ended are kept in {out}, "
            "the same command goes on from there"
        ) from None
    _tell(result)
    return 0


def run_spotting_audit(
    file: Path, truth: Path, videos: Path | None, labels: str, out: Path
) -> None:
    """`micromimic audit FILE --truth EVENTS`."""
    from micromimic.analysis.long_videos.run import audit_events
    from micromimic.cli.summary import text_table
    from micromimic.evaluation.report.spotting import LEAKS, leak_rows, leak_sentence

    leaks, notes = audit_events(file, truth, videos=videos, labels=labels, out=out)
    say(text_table(LEAKS, list(leak_rows(leaks))))
    for kind in dict.fromkeys(leak.kind for leak in leaks):
        say(leak_sentence(leaks, kind))
    _note(notes)
    say(f"  results: {out}")


def _tell(result: Spotted) -> None:
    """The tables, and where the files lie."""
    from micromimic.cli.summary import text_table
    from micromimic.evaluation.report.spotting import SCORES, STRS, score_rows, strs_rows, summary

    resumed = f" {result.resumed} videos from before." if result.resumed else ""
    say(f"{result.name}: {summary(result.metrics)}{resumed}")
    say(text_table(SCORES, list(score_rows(result.metrics))))
    strs = list(strs_rows(result.metrics))
    if strs:
        shown = [k for k, name in enumerate(STRS) if name not in _IN_FILE]
        say(text_table([STRS[k] for k in shown], [[row[k] for k in shown] for row in strs]))
    _note(result.notes)
    if result.folder is not None:
        say(f"  results: {result.folder}")


def _tell_recognition(result: OwnPredictions, out: Path | None) -> None:
    from micromimic.cli.summary import text_table

    metrics = result.metrics
    say(f"{metrics['composite']['n']} clips of {metrics['composite']['subjects']} subjects")
    rows = []
    for scope, found in metrics.items():
        cells = []
        for name in ("uf1", "uar"):
            ends = found[f"{name}_ci95"]
            cells += [f"{found[name]:.3f}", f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "-"]
        rows.append([scope, str(found["n"]), *cells])
    say(text_table(("", "clips", "UF1", "95 %", "UAR", "95 %"), rows))
    _note(result.notes)
    if out is not None:
        say(f"  results: {out}")


def _note(notes: Sequence[str]) -> None:
    for text in notes:
        note(f"note: {text}")
