"""`micromimic sensitivity`: what would have been found in this recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from micromimic.cli import options
from micromimic.cli.console import count_of, notes, resumable, say, text_table
from micromimic.cli.options import above_zero, unset
from micromimic.cli.outputs import check_writable
from micromimic.cli.progress import show_progress

if TYPE_CHECKING:
    from micromimic.analysis.sensitivity.run import Sensitivity
    from micromimic.evaluation.recovery import Recovery


def sensitivity(
    video: Annotated[
        Path,
        options.argument("A video file, or a folder of frames (with --fps).", "VIDEO"),
    ],
    out: Annotated[
        Path, typer.Option(help="Results; the same command continues a stopped run there.")
    ] = Path("micromimic-sensitivity"),
    sizes: Annotated[
        str,
        typer.Option(
            help="Largest displacements to plant, canonical units (15 between the eyes), between "
            "commas."
        ),
    ] = ".15,.3,.6",
    per_size: Annotated[
        int,
        typer.Option(
            min=1, help="Plant at least so many at each size, in as many copies as needed."
        ),
    ] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Of what is planted, and when.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Copies analysed at the same time.")] = 1,
    backend: options.BackendName = "loky",
    scheduler: options.Scheduler = None,
    max_seconds: Annotated[
        float | None, unset("Use only the beginning of the recording.", callback=above_zero)
    ] = None,
    fps: options.Fps = None,
    track: options.Track = None,
    model: options.Model = None,
) -> None:
    """Plant movements of known size in copies of a recording, and see how many are found.

    The copies are made while they are read; no picture is written. Writes sensitivity.html, .json,
    .csv (a row a planted movement), .png and .svg to OUT, and keeps what ended in
    OUT/sensitivity.parts, so that a stopped run goes on there.
    """
    from micromimic.analysis.analyze import AnalyzeConfig
    from micromimic.analysis.sensitivity.run import SensitivityConfig, sensitivity as measure

    config = SensitivityConfig(
        sizes=options.parse_sizes(sizes),
        per_size=per_size,
        seed=seed,
        max_seconds=max_seconds,
        fps=fps,
        track=track,
        analysis=AnalyzeConfig(model=model, evidence=False),
    )
    workers = options.workers_of(jobs, backend, scheduler)
    check_writable(out, "sensitivity.parts")
    with (
        resumable("the copies that ended", out),
        show_progress(f"{video.name}, sensitivity", ended="failed") as progress,
    ):
        result = measure(video, out, config, workers=workers, progress=progress)
        progress.ended = "finished"
    say(sensitivity_text(result, video.name))
    notes(result.notes)


def sensitivity_text(result: Sensitivity, name: str) -> str:
    """What is printed: the table, the controls, warnings, and where the page lies."""
    from micromimic.core.labels import REGIONS
    from micromimic.evaluation.recovery import share_of
    from micromimic.report.sensitivity import answer

    recovery = result.recovery
    resumed = f", {result.resumed} analyses from before" if result.resumed else ""
    copies = "1 copy" if recovery.copies == 1 else f"{recovery.copies} copies"
    title = (
        f"{name}: {len(recovery.at(recovery.sizes[0]))} movements a size planted in "
        f"{recovery.source.duration_s:.1f} s, {copies} a size{resumed}"
    )
    header = ("size units", "px", "found", "of", "share", "95 %", *REGIONS)
    rows = []
    for size in recovery.sizes:
        trials = recovery.at(size)
        share = share_of(trials)
        low, high = share.interval
        regions = [share_of(t for t in trials if t.region == region) for region in REGIONS]
        rows.append(
            [
                f"{size:g}",
                f"{size * recovery.scale:.2f}",
                str(share.found),
                str(share.planted),
                f"{share.value:.2f}",
                f"{low:.2f} to {high:.2f}",
                *(f"{part.found}/{part.planted}" if part.planted else "-" for part in regions),
            ]
        )
    return "\n".join(
        (
            title,
            text_table(header, rows),
            _controls(recovery),
            f"  {answer(recovery)}",
            *(f"  limit: {w.message}" for w in recovery.warnings),
            f"  page: {result.folder / 'sensitivity.html'}",
        )
    )


def _controls(recovery: Recovery) -> str:
    chance, count = recovery.chance(), len(recovery.plain)
    low, high = recovery.plain_per_minute
    return (
        f"  controls: {chance.found} of {chance.planted} found at size 0; "
        f"{count_of(count, 'candidate')} in the unplanted copy, "
        f"{60 * count / recovery.source.duration_s:.1f} a minute ({low:.1f} to {high:.1f})"
    )
