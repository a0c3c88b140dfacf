"""`micromimic score`, and what it and `evaluate` say of spotting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from micromimic.cli import options
from micromimic.cli.console import notes, say, text_table
from micromimic.cli.options import unset
from micromimic.cli.outputs import check_writable

if TYPE_CHECKING:
    from micromimic.analysis.long_videos.run import SpottingRun
    from micromimic.evaluation.score_file import OwnPredictions

Truth = Annotated[
    Path,
    unset(
        "Annotated events for found ones, the manifest of the clips for predictions.",
        metavar="EVENTS|MANIFEST",
    ),
]
ScoreBy = Annotated[
    Literal["strength", "rate"],
    typer.Option(help="Of spotting: what thresholds are set on: strength, or how rare by chance."),
]
_IN_FILE: Final = ("Naming precision", "Naming recall", "UF1", "UAR")
"""Columns of tables.md that are too many for a terminal."""


def score(
    file: Annotated[
        Path,
        options.argument("Your own events.csv, MEGC submission, or predictions.csv.", "FILE"),
    ],
    truth: Truth,
    videos: options.Videos = None,
    labels: options.Scheme = "three",
    out: Annotated[Path | None, unset("Write tables there, too.", metavar="DIR")] = None,
) -> None:
    """Score somebody's own results by the protocols of `evaluate`.

    Found events (video, onset, offset in frames, and where there are dataset, subject, kind, label,
    score) are scored as spotting, a row a clip (dataset, subject, clip, y_pred or p_...) as
    recognition.
    """
    from micromimic.analysis.long_videos.run import score_events
    from micromimic.evaluation.score_file import is_predictions, score_predictions

    if out is not None:
        check_writable(out)
    if not is_predictions(file):
        say_spotting(score_events(file, truth, videos=videos, labels=labels, out=out))
        return
    if videos is not None:
        raise typer.BadParameter("expected --videos with found events only; leave it out")
    _say_recognition(score_predictions(file, truth, labels=labels, out=out), out)


def say_spotting(result: SpottingRun) -> None:
    from micromimic.evaluation.report.spotting import SCORES, STRS, score_rows, strs_rows, summary

    resumed = f" {result.resumed} videos from before." if result.resumed else ""
    say(f"{result.name}: {summary(result.metrics)}{resumed}")
    say(text_table(SCORES, list(score_rows(result.metrics))))
    strs = list(strs_rows(result.metrics))
    if strs:
        shown = [k for k, name in enumerate(STRS) if name not in _IN_FILE]
        say(text_table([STRS[k] for k in shown], [[row[k] for k in shown] for row in strs]))
    notes(result.notes)
    if result.folder is not None:
        say(f"  results: {result.folder}")


def score_cells(metrics: Mapping[str, Any], digits: int = 3) -> list[str]:
    cells = []
    for score in ("uf1", "uar"):
        ends = metrics[f"{score}_ci95"]
        interval = f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}" if ends else "-"
        cells += [f"{metrics[score]:.3f}", interval]
    return cells


def _say_recognition(result: OwnPredictions, out: Path | None) -> None:
    metrics = result.metrics
    say(f"{metrics['composite']['n']} clips of {metrics['composite']['subjects']} subjects")
    rows = [[scope, str(found["n"]), *score_cells(found)] for scope, found in metrics.items()]
    say(text_table(("", "clips", "UF1", "95 %", "UAR", "95 %"), rows))
    notes(result.notes)
    if out is not None:
        say(f"  results: {out}")
