"""`micromimic analyze` over many inputs: one after the other, or several at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from micromimic.cli import options
from micromimic.cli.console import (
    Interrupted,
    complain,
    count_of,
    describe,
    note,
    say,
    text_table,
    trace_of,
)
from micromimic.cli.outputs import check_folder, check_writable
from micromimic.cli.progress import show_progress
from micromimic.cli.sensitivity import sensitivity_text

if TYPE_CHECKING:
    from micromimic.analysis.analyze import AnalyzeConfig
    from micromimic.analysis.inputs import Input
    from micromimic.core.progress import Progress
    from micromimic.core.results import Analysis
    from micromimic.core.types import MicroExpression
    from micromimic.core.workers import Workers

_HEADER: Final = (
    *("onset s", "apex s", "offset s", "class", "p", "sure", "strength", "where", "looks like"),
    "kind",
)


def analyze(
    inputs: Annotated[
        list[Path],
        options.argument(
            "Video files, folders of frames (with --fps), or folders of videos.", "INPUT"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Results go to OUT/<name of the input>/.")] = Path(
        "micromimic-results"
    ),
    fps: options.Fps = None,
    track: options.Track = None,
    jobs: Annotated[int, typer.Option(min=1, help="Inputs analysed at the same time.")] = 1,
    backend: options.BackendName = "loky",
    scheduler: options.Scheduler = None,
    go_on: Annotated[
        bool,
        typer.Option(
            "--continue",
            help="Leave inputs alone whose results lie whole in OUT, as after a killed run of the "
            "same command.",
        ),
    ] = False,
    model: options.Model = None,
    sensitivity: Annotated[
        options.Sensitivity,
        typer.Option(
            help="How many movements chance may make of a face's own movement: at most .2, 1 or 4 "
            "a minute."
        ),
    ] = "normal",
    inject: Annotated[
        str,
        typer.Option(
            metavar="SIZES",
            help="Then plant movements of these sizes in copies of each input, as `sensitivity` "
            "does.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Find candidate micro-expressions in videos.

    Writes events.json, events.csv, events.eaf (ELAN), curve.csv and report.html for each input.
    Exit code: 0 all done, 1 some inputs failed (the others are complete), 2 wrong usage,
    130 interrupted.
    """
    from micromimic.analysis.inputs import NameClashError, expand_inputs

    sizes = options.parse_sizes(inject)
    try:
        expanded = expand_inputs(inputs)
    except NameClashError as error:
        raise typer.BadParameter(str(error)) from None
    workers = options.workers_of(jobs, backend, scheduler)
    job = Job(out, fps, model, track, sizes, sensitivity)
    raise typer.Exit(run(expanded, job, workers, go_on=go_on))


@dataclass(frozen=True)
class Job:
    """What is the same for all inputs; after the analysis, ``inject`` sizes (canonical units) are
    planted in copies of each."""

    out: Path
    fps: float | None = None
    model: Path | None = None
    track: int | None = None
    inject: tuple[float, ...] = ()
    sensitivity: str = "normal"

    def config(self, *, evidence: bool = True) -> AnalyzeConfig:
        from micromimic.analysis.analyze import AnalyzeConfig
        from micromimic.motion.spotting.config import SENSITIVITY, SpottingConfig

        spotting = SpottingConfig(false_alarms=SENSITIVITY[self.sensitivity])
        return AnalyzeConfig(model=self.model, spotting=spotting, evidence=evidence)


@dataclass(frozen=True)
class Outcome:
    """How one input ended: a summary, or an error (both text, so that processes can send it)."""

    name: str
    summary: str = ""
    error: str = ""
    trace: str = ""
    seconds: float = 0.0


def run(inputs: Sequence[Input], job: Job, workers: Workers, *, go_on: bool = False) -> int:
    """Analyse all inputs, say results as they come, and return the exit code.

    With ``go_on`` those are left alone whose results are whole.
    """
    from micromimic.core.files import sweep_left

    out = job.out
    check_writable(out)
    sweep_left(out)
    if job.model is not None:
        from micromimic.models.onnx import load_model

        load_model(job.model)  # an unusable file is told once, before any video is read
    if job.inject:
        from micromimic.analysis.sensitivity.run import SensitivityConfig

        SensitivityConfig(sizes=job.inject)  # sizes that make no sense are told before, too
    ended: list[Outcome] = []
    left = [item for item in inputs if not (go_on and is_whole(item, job))]
    if len(left) < len(inputs):
        say(f"{len(inputs) - len(left)} of {len(inputs)} inputs are complete in {out} already")
    outcomes = _parallel if workers.side_by_side(len(left)) else _in_turn
    try:
        for outcome in outcomes(left, job, workers):
            ended.append(outcome)
            if not outcome.error:
                say(outcome.summary)
                continue
            if outcome.trace:
                note(outcome.trace)
            complain(f"{outcome.name}: {outcome.error}")
    except KeyboardInterrupt:
        sweep_left(out)
        done = len(inputs) - len(left) + sum(not outcome.error for outcome in ended)
        raise Interrupted(
            f"interrupted; {done} of {len(inputs)} inputs are complete in {out}"
        ) from None
    failed = [outcome.name for outcome in ended if outcome.error]
    if len(inputs) > 1:
        say(f"{len(inputs) - len(failed)} of {len(inputs)} inputs analysed, results in {out}")
    return 1 if failed else 0


def _in_turn(inputs: Sequence[Input], job: Job, workers: Workers) -> Iterator[Outcome]:
    for number, item in enumerate(inputs, 1):
        title = item.name if len(inputs) == 1 else f"[{number}/{len(inputs)}] {item.name}"
        with show_progress(title) as progress:
            outcome = analyse_one(item, job, progress)
            progress.ended = "failed" if outcome.error else "finished"
        yield outcome


def _parallel(inputs: Sequence[Input], job: Job, workers: Workers) -> Iterator[Outcome]:
    from joblib import delayed

    from micromimic.core.files import sweep_left
    from micromimic.core.workers import WorkerLostError, on_workers, run_tasks

    if workers.backend == "dask":  # workers have working directories of their own
        inputs = [replace(item, path=item.path.absolute()) for item in inputs]
        model = job.model and job.model.absolute()
        job = replace(job, out=job.out.absolute(), model=model)
        note(f"{len(inputs)} inputs on the cluster: started")
    else:
        workers = replace(workers, jobs=min(workers.jobs, len(inputs)))
        note(f"{len(inputs)} inputs, {workers.jobs} at a time: started")
    waiting = {item.name for item in inputs}
    try:
        with on_workers(workers):
            for outcome in run_tasks(delayed(_in_worker)(item, job) for item in inputs):
                waiting.discard(outcome.name)
                ended = "failed" if outcome.error else "finished"
                note(f"{outcome.name}: {ended} in {outcome.seconds:.1f} s")
                yield outcome
    except WorkerLostError:
        remedy = "use --jobs 1" if workers.backend == "loky" else "give workers more of it"
        lost = f"expected a worker to finish, got it killed (memory?); {remedy}"
        yield from (Outcome(name, error=lost) for name in sorted(waiting))
        sweep_left(job.out)


def _in_worker(item: Input, job: Job) -> Outcome:
    from micromimic.core.workers import parent_answers_interrupts

    parent_answers_interrupts()
    return analyse_one(item, job, None)


def is_whole(item: Input, job: Job) -> bool:
    """Whether an earlier run left all results of this input, as the input is now."""
    from micromimic.core.strict_json import printable
    from micromimic.report.write import FILES

    folder = job.out / item.name
    wanted = [*FILES, *(["sensitivity.json"] if job.inject else [])]
    try:
        made = min((folder / name).stat().st_mtime_ns for name in wanted)
        parts = item.path.iterdir() if item.path.is_dir() else ()
        changed = max(path.stat().st_mtime_ns for path in (item.path, *parts))
        source = json.loads((folder / "events.json").read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    same = Path(source["path"]).resolve() == Path(printable(str(item.path.resolve())))
    return same and changed < made


def analyse_one(item: Input, job: Job, progress: Progress | None) -> Outcome:
    """Analyse one input and write its results; an error becomes part of the outcome."""
    import cv2

    from micromimic.analysis.analyze import analyze as analyze_input
    from micromimic.report.write import write_analysis

    # Reading, tracking and flow have a thread each: more of them for each picture only wait.
    cv2.setNumThreads(1)
    folder = job.out / item.name
    began = time.monotonic()
    try:
        if item.problem is not None:
            raise item.problem
        check_folder(folder)
        analysis = analyze_input(
            item.path, fps=job.fps, config=job.config(), progress=progress, track=job.track
        )
        write_analysis(analysis, folder)
        summary = analysis_text(item.name, analysis, folder)
        if job.inject:
            summary += "\n" + _inject(item, job, folder, progress)
        return Outcome(item.name, summary, seconds=time.monotonic() - began)
    except Exception as error:  # noqa: BLE001 - one input's failure must not end the others
        return Outcome(
            item.name,
            error=describe(error),
            trace=trace_of(error),
            seconds=time.monotonic() - began,
        )


def _inject(item: Input, job: Job, folder: Path, progress: Progress | None) -> str:
    """Run `sensitivity` into the results folder of one input, and say what came back."""
    from micromimic.analysis.sensitivity.run import SensitivityConfig, sensitivity

    config = SensitivityConfig(
        sizes=job.inject, fps=job.fps, track=job.track, analysis=job.config(evidence=False)
    )
    return sensitivity_text(sensitivity(item.path, folder, config, progress=progress), item.name)


def analysis_text(name: str, analysis: Analysis, folder: Path) -> str:
    """What is printed for one input: candidates, warnings, where the report lies."""
    source = analysis.source
    count, longer = len(analysis.micro), len(analysis.macro)
    more = f" and {count_of(longer, 'longer expression')}" if longer else ""
    lines = [
        f"{name}: {count or 'no'} candidate{'' if count == 1 else 's'}{more} in "
        f"{source.duration_s:.1f} s of {source.width}x{source.height} at {source.fps:.4g} fps; "
        f"face in {analysis.found_ratio:.0%} of {source.frames} frames"
    ]
    if analysis.events:
        rows = [_row(event) for event in analysis.events]
        # models without capsules do not say where a class comes from
        filled = [k for k in range(len(_HEADER)) if any(row[k] for row in rows)]
        lines.append(
            text_table([_HEADER[k] for k in filled], [[r[k] for k in filled] for r in rows])
        )
    rejected = analysis.spotting.rejected_counts()
    if rejected:
        counted = ", ".join(f"{reason} {number}" for reason, number in rejected.items())
        lines.append(f"  not reported: {counted}")
    lines += [f"  warning: {warning.message} [{warning.code}]" for warning in analysis.warnings]
    lines.append(f"  report: {folder / 'report.html'}")
    return "\n".join(lines)


def _row(event: MicroExpression) -> list[str]:
    where = max(event.regions, key=lambda cell: event.regions[cell]) if event.regions else ""
    span = event.interval
    return [
        *(f"{time:.3f}" for time in (span.onset, span.apex, span.offset)),
        event.label,
        f"{event.probabilities[event.label]:.2f}",
        "no" if event.uncertain else "yes",
        f"{event.strength:.1f}",
        where.replace("_", " "),
        ", ".join(str(found) for found in event.action_units),
        "longer" if event.kind == "macro" else "",
    ]
