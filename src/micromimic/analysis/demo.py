"""The demo: plants micro-expressions in a public-domain face, finds them, and compares."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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


Row = tuple[PlantedEvent | None, MicroExpression | None]
"""A planted event and the found one that matches it; None for a false and for a missed one."""


def _frames(event: PlantedEvent | MicroExpression | None) -> tuple[int, int, int]:
    assert event is not None
    return event.onset_frame, event.apex_frame, event.offset_frame


def _cells(planted: PlantedEvent | None, found: MicroExpression | None) -> list[str]:
    """Frames as planted, or as found where nothing was, and by how many it was found too late."""
    frames, words, errors = _frames(planted or found), ["-", "missed"], [""] * 3
    if planted is not None:
        words[0] = f"{planted.label} (AU {'+'.join(planted.action_units)})"
    if found is not None:
        doubt = ", unsure" if found.uncertain else ""
        words[1] = f"{found.label} {found.probabilities[found.label]:.0%}{doubt}"
        if planted is None:
            words[1] = f"false: {words[1]}"
        else:
            pairs = zip(_frames(found), frames, strict=True)
            errors = [f"{seen - true:+d}" for seen, true in pairs]
    return [*map(str, frames), *words, *errors]


@dataclass(frozen=True)
class DemoResult:
    clip: Path  # the video
    folder: Path  # the results, ``report.html`` among them
    truth: ClipTruth
    analysis: Analysis
    score: SpottingScore
    rows: tuple[Row, ...]  # by time

    @property
    def right_classes(self) -> int:
        """Matched events whose class was named as planted."""
        return sum(bool(p and f and p.label == f.label) for p, f in self.rows)

    def __str__(self) -> str:
        from rich.console import Console  # noqa: PLC0415 - rich is needed for printing only
        from rich.table import Table  # noqa: PLC0415

        table = Table(title=f"Planted against found (frames at {self.truth.fps:g} frames/s)")
        for name in ("onset", "apex", "offset"):
            table.add_column(name, justify="right")
        for name in ("planted", "found"):
            table.add_column(name)
        for name in ("onset", "apex", "offset"):
            table.add_column(f"{name} error", justify="right")
        for row in self.rows:
            table.add_row(*_cells(*row))
        matched, score = len(self.score.pairs), self.score
        line = (
            f"{matched} of {score.planted} planted micro-expressions found, "
            f"{score.found - matched} false; class right for {self.right_classes} of {matched}"
        )
        if matched:
            line += f"; median apex error {score.median_error_frames('apex'):.1f} frames"
        console = Console(width=110, no_color=True, force_terminal=False)
        with console.capture() as capture:
            console.print(table)
        return f"{capture.get()}{line}\nreport: {self.folder / 'report.html'}"


def run_demo(
    out: str | Path,
    progress: Progress | None = None,
    *,
    clip: ClipConfig = DEMO_CLIP,
    seed: int = DEMO_SEED,
) -> DemoResult:
    """Render a clip with known truth, analyse it like any video, and compare. ``out`` gets
    ``demo.mp4``, ``truth.json`` and the results folder ``demo``; it is created if missing."""
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected to write into {out}, got {error.strerror or error}; choose a writable "
            "folder with room"
        ) from None
    path, folder = out / CLIP_NAME, out / RESULTS_NAME
    truth = write_clip(path, clip, seed, crf=_CRF, preset="superfast", progress=progress)
    write_whole(out / TRUTH_NAME, json.dumps(truth_document([truth]), indent=1) + "\n")
    analysis = analyze(path, progress=progress)
    write_analysis(analysis, folder)
    found = analysis.micro
    score = match_events(
        truth.intervals(),
        [event.interval for event in found],
        duration_s=truth.frames / truth.fps,
        fps=truth.fps,
    )
    by_truth = {pair.truth: found[pair.found] for pair in score.pairs}
    matched = {pair.found for pair in score.pairs}
    rows: list[Row] = [(event, by_truth.get(k)) for k, event in enumerate(truth.events)]
    rows += [(None, event) for k, event in enumerate(found) if k not in matched]
    ordered = tuple(sorted(rows, key=lambda row: _frames(row[0] or row[1])))
    return DemoResult(path, folder, truth, analysis, score, ordered)
