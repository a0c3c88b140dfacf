"""The demo: plants micro-expressions in a public-domain face, finds them, and compares."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from micromimic.analysis.analyze import analyze
from micromimic.core.errors import OutputError
from micromimic.core.files import write_whole
from micromimic.core.progress import Progress
from micromimic.core.results import Analysis
from micromimic.core.types import MicroExpression
from micromimic.evaluation.spotting import SpottingScore, match_events
from micromimic.report.write import write_analysis
from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.synthesis.truth import ClipTruth, PlantedEvent, truth_document

if TYPE_CHECKING:
    from rich.table import Table

CLIP_NAME: Final = "demo.mp4"
TRUTH_NAME: Final = "truth.json"
RESULTS_NAME: Final = "demo"

DEMO_CLIP: Final = ClipConfig(
    seconds=11.0,
    fps=200.0,
    colour=True,
    peak_px=2.0,
    events_per_minute=27.5,
    macros_per_minute=0.0,
    blinks_per_minute=5.5,
    head_moves_per_minute=0.0,
    blinks_apart=True,
)
"""Five micro-expressions and a blink; head drift, light drift, flicker and noise as in the
benchmark."""

DEMO_SEED: Final = 18
_CRF: Final = 15  # keeps the movement; the lossless clip would take 400 MB


@dataclass(frozen=True)
class DemoRow:
    """One planted event, one found event, or both when they match; errors are in frames."""

    planted: PlantedEvent | None  # None for a false event
    found: MicroExpression | None  # None for a missed one
    onset_error: int | None = None  # found less planted; None unless both are there
    apex_error: int | None = None
    offset_error: int | None = None

    @property
    def first_frame(self) -> int:
        """Where the row belongs in time."""
        if self.planted is not None:
            return self.planted.onset_frame
        return self.found.onset_frame if self.found is not None else 0


@dataclass(frozen=True)
class DemoResult:
    """What the demo planted and found."""

    clip: Path  # the video
    folder: Path  # the results, ``report.html`` among them
    truth: ClipTruth  # what was planted
    analysis: Analysis  # what was found
    score: SpottingScore  # how they match
    rows: tuple[DemoRow, ...]  # by time

    @property
    def right_classes(self) -> int:
        """Matched events whose class was named as planted."""
        return sum(
            row.planted is not None
            and row.found is not None
            and row.planted.label == row.found.label
            for row in self.rows
        )

    def summary(self) -> str:
        """One line: how many were found, and how well."""
        score = self.score
        matched = len(score.pairs)
        line = (
            f"{matched} of {score.planted} planted micro-expressions found, "
            f"{score.found - matched} false; class right for {self.right_classes} of {matched}"
        )
        if matched:
            line += f"; median apex error {score.median_error_frames('apex'):.1f} frames"
        return line

    def __str__(self) -> str:
        from rich.console import Console  # noqa: PLC0415 - rich is needed for printing only

        console = Console(width=110, no_color=True, force_terminal=False)
        with console.capture() as capture:
            console.print(demo_table(self))
        return f"{capture.get()}{self.summary()}\nreport: {self.folder / 'report.html'}"


def run_demo(
    out: str | Path,
    progress: Progress | None = None,
    *,
    clip: ClipConfig = DEMO_CLIP,
    seed: int = DEMO_SEED,
) -> DemoResult:
    """Render a clip with known truth, analyse it like any video, and compare. ``progress``: called
    with (done, total, stage)."""
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(out, error) from None
    path = out / CLIP_NAME
    truth = write_clip(path, clip, seed, crf=_CRF, preset="superfast", progress=progress)
    _write_truth(out / TRUTH_NAME, truth)
    analysis = analyze(path, progress=progress)
    folder = out / RESULTS_NAME
    write_analysis(analysis, folder)
    return compare(path, folder, truth, analysis)


def compare(path: Path, folder: Path, truth: ClipTruth, analysis: Analysis) -> DemoResult:
    """Put planted and found side by side."""
    score = match_events(
        truth.intervals(),
        [event.interval for event in analysis.micro],
        duration_s=truth.frames / truth.fps,
        fps=truth.fps,
    )
    return DemoResult(path, folder, truth, analysis, score, _rows(truth, analysis.micro, score))


def demo_table(result: DemoResult) -> Table:
    """Planted against found, as a rich table."""
    from rich.table import Table  # noqa: PLC0415 - rich is needed for printing only

    table = Table(title=f"Planted against found (frames at {result.truth.fps:g} frames/s)")
    for name in ("onset", "apex", "offset"):
        table.add_column(name, justify="right")
    table.add_column("planted")
    table.add_column("found")
    for name in ("onset", "apex", "offset"):
        table.add_column(f"{name} error", justify="right")
    for row in result.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: DemoRow) -> list[str]:
    shown = row.planted or row.found
    frames = [shown.onset_frame, shown.apex_frame, shown.offset_frame] if shown else []
    planted = "-"
    if row.planted is not None:
        planted = f"{row.planted.label} (AU {'+'.join(row.planted.action_units)})"
    errors = (row.onset_error, row.apex_error, row.offset_error)
    return [
        *(str(frame) for frame in frames),
        planted,
        _found_cell(row),
        *("" if error is None else f"{error:+d}" for error in errors),
    ]


def _found_cell(row: DemoRow) -> str:
    if row.found is None:
        return "missed"
    label = row.found.label
    share = f"{row.found.probabilities[label]:.0%}"
    doubt = ", uncertain" if row.found.uncertain else ""
    kind = "false: " if row.planted is None else ""
    return f"{kind}{label} {share}{doubt}"


def _rows(
    truth: ClipTruth, found: Sequence[MicroExpression], score: SpottingScore
) -> tuple[DemoRow, ...]:
    by_truth = {pair.truth: found[pair.found] for pair in score.pairs}
    matched = {pair.found for pair in score.pairs}
    rows = [_row(event, by_truth.get(number)) for number, event in enumerate(truth.events)]
    rows += [DemoRow(None, event) for i, event in enumerate(found) if i not in matched]
    return tuple(sorted(rows, key=lambda row: row.first_frame))


def _row(planted: PlantedEvent, found: MicroExpression | None) -> DemoRow:
    if found is None:
        return DemoRow(planted, None)
    return DemoRow(
        planted,
        found,
        found.onset_frame - planted.onset_frame,
        found.apex_frame - planted.apex_frame,
        found.offset_frame - planted.offset_frame,
    )


def _write_truth(path: Path, truth: ClipTruth) -> None:
    write_whole(path, json.dumps(truth_document([truth]), indent=1) + "\n")


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"expected to write into {folder}, got {error.strerror or error}; choose a writable "
        "folder with room"
    )
