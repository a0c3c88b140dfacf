"""`micromimic analyze` over many inputs: one after the other, or several at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

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
    from micromimic.core.results import Analysis, ModelInfo
    from micromimic.core.types import MicroExpression
    from micromimic.core.workers import Workers
    from micromimic.datasets.assignments import Assignment

_HEADER: Final = (
    *("onset s", "apex s", "offset s", "class", "p", "model", "times noise", "where"),
    *("looks like", "kind"),
)
LARGEST: Final = "largest"
ALL: Final = "all"
PEOPLE: Final = "people.json"
"""Beside the folders of everybody in a video: how many they are."""
_FEW: Final = 3  # inputs, up to which each is described in full


def analyze(
    inputs: options.Inputs = None,
    out: Annotated[Path, typer.Option(help="Results go to OUT/<name of the input>/.")] = Path(
        "micromimic-results"
    ),
    fps: options.Fps = None,
    track: options.Track = None,
    person: options.Person = LARGEST,
    jobs: Annotated[int, typer.Option(min=1, help="Inputs analysed at the same time.")] = 1,
    backend: options.BackendName = "loky",
    scheduler: options.Scheduler = None,
    table: options.Table = None,
    again: options.Again = False,
    go_on: Annotated[
        bool, typer.Option("--continue", hidden=True, help="What is done anyway.")
    ] = False,
    model: options.Model = None,
    sensitivity: Annotated[
        options.Sensitivity,
        typer.Option(
            help="How many movements chance may make of a face's own movement: at most .2, 1 or 4 "
            "a minute."
        ),
    ] = "normal",
    inject: options.Inject = "",
) -> None:
    """Find candidate micro-expressions in videos.

    Writes events.json, events.csv, events.eaf (ELAN), curve.csv and report.html for each input,
    and of several inputs summary.csv (a row each) and all_events.csv.
    Exit code: 0 all done, 1 some inputs failed (the others are complete), 2 wrong usage,
    130 interrupted.
    """
    sizes = options.parse_sizes(inject)
    if again and go_on:
        raise typer.BadParameter("expected --again or --continue, got both")
    if person not in (LARGEST, ALL) and not (person.isdecimal() and int(person) > 0):
        raise typer.BadParameter(f"expected --person 1, 2, ..., largest or all, got {person}")
    if sizes and person != LARGEST:
        raise typer.BadParameter(
            "expected --inject or --person, got both; movements are planted "
            "in the person who is seen largest"
        )
    expanded, rows = _expanded(inputs or (), table)
    workers = options.workers_of(jobs, backend, scheduler)
    job = Job(out, fps, model, track, sizes, sensitivity, rows, person)
    raise typer.Exit(run(expanded, job, workers, again=again))


def _expanded(
    given: Sequence[str], table: Path | None
) -> tuple[list[Input], dict[Path, Assignment]]:
    """The inputs, and the row of each that the table has one of."""
    from micromimic.analysis.inputs import NameClashError, assign, expand_inputs
    from micromimic.datasets.assignments import read_assignments

    if table is None and not given:
        raise typer.BadParameter("expected an INPUT or --table, got neither")
    try:
        if table is None:
            return expand_inputs(given), {}
        rows = read_assignments(table)
        inputs = expand_inputs(given or [table.parent / row.video for row in rows])
        return inputs, assign(rows, inputs, table)
    except NameClashError as error:
        raise typer.BadParameter(str(error)) from None


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
    rows: Mapping[Path, Assignment] = field(default_factory=dict)  # whose an input is, by its path
    person: str = LARGEST

    def config(self, *, evidence: bool = True) -> AnalyzeConfig:
        from micromimic.analysis.analyze import AnalyzeConfig
        from micromimic.motion.spotting.config import SENSITIVITY, SpottingConfig

        spotting = SpottingConfig(false_alarms=SENSITIVITY[self.sensitivity])
        return AnalyzeConfig(model=self.model, spotting=spotting, evidence=evidence)

    @property
    def number(self) -> int | None:
        """Of the one person wanted."""
        return int(self.person) if self.person.isdecimal() else None

    def results_of(self, item: Input) -> list[tuple[Path, int | None]]:
        """Folders of an input's results, as far as they are known, and whose they are."""
        folder = self.out / item.name
        if self.person != ALL:
            return [(folder, self.number)]
        try:
            count = int(json.loads((folder / PEOPLE).read_text(encoding="utf-8"))["people"])
        except (OSError, ValueError, KeyError, TypeError):
            count = 0
        return [(folder / f"person{number}", number) for number in range(1, count + 1)]

    def settings(self, person: int | None) -> dict[str, Any]:
        """As a result has them that was made so."""
        from micromimic.motion.spotting.config import SENSITIVITY

        return {
            "false_alarms_per_minute": SENSITIVITY[self.sensitivity],
            "fps": self.fps,
            "track": self.track,
            "person": person,
        }

    @cached_property
    def model_info(self) -> ModelInfo:
        from micromimic.models.onnx import opened_model

        return opened_model(self.model).info


@dataclass(frozen=True)
class Outcome:
    """How one input ended: a summary, or an error (both text, so that processes can send it)."""

    name: str
    summary: str = ""
    brief: str = ""  # the same in a line or two, for one of many
    error: str = ""
    trace: str = ""
    seconds: float = 0.0


def run(inputs: Sequence[Input], job: Job, workers: Workers, *, again: bool = False) -> int:
    """Analyse all inputs, say results as they come, and return the exit code.

    What cannot be read is named before the first analysis; unless ``again`` those are left alone
    whose results are whole.
    """
    out = job.out
    check_writable(out)
    _sweep(out, inputs)
    if job.model is not None:
        from micromimic.models.onnx import opened_model

        opened_model(job.model)  # an unusable file is refused once, before any video is read
    if job.inject:
        from micromimic.analysis.sensitivity.run import SensitivityConfig

        SensitivityConfig(sizes=job.inject)  # so are sizes that make no sense
    problems = {item.name: describe(item.problem) for item in inputs if item.problem is not None}
    for name, problem in problems.items():
        complain(f"{name}: {problem}")
    sound = [item for item in inputs if item.problem is None]
    left = [item for item in sound if again or not is_whole(item, job)]
    done = len(sound) - len(left)
    if done:
        say(
            f"{done} of {len(inputs)} inputs are complete in {out} already; --again makes them anew"
        )
    outcomes = _parallel if workers.side_by_side(len(left)) else _in_turn
    try:
        for outcome in outcomes(left, job, workers):
            if not outcome.error:
                done += 1
                say(outcome.summary if len(inputs) <= _FEW else outcome.brief)
                continue
            problems[outcome.name] = outcome.error
            if outcome.trace:
                note(outcome.trace)
            complain(f"{outcome.name}: {outcome.error}")
    except KeyboardInterrupt:
        _sweep(out, inputs)
        raise Interrupted(
            f"interrupted; {done} of {len(inputs)} inputs are complete in {out}"
        ) from None
    if len(inputs) > 1 or job.rows or job.person == ALL:
        _write_tables(inputs, job, problems)
        say(f"{done} of {len(inputs)} inputs analysed, results in {out}")
        say(f"  {out / SUMMARY}: a row each; {out / ALL_EVENTS}: all events")
    return 1 if problems else 0


def _sweep(out: Path, inputs: Sequence[Input]) -> None:
    """Remove what killed runs left where results are written."""
    from micromimic.core.files import sweep_left

    folders = {out / item.name for item in inputs}
    for folder in {out, *folders, *(folder.parent for folder in folders)}:
        sweep_left(folder)


SUMMARY: Final = "summary.csv"
ALL_EVENTS: Final = "all_events.csv"


def _write_tables(inputs: Sequence[Input], job: Job, problems: Mapping[str, str]) -> None:
    """The tables over all inputs, those included that were complete before."""
    from micromimic.core.files import write_whole
    from micromimic.report.batch import Row, tables

    rows = []
    for item in inputs:
        row = job.rows.get(item.path)
        about = {"video": str(item.path)} if row is None else dict(row.about)
        if problem := problems.get(item.name, ""):
            rows.append(Row(about, item.name, None, problem))
            continue
        folders = (folder for folder, _ in job.results_of(item))
        rows += [Row(about, f.relative_to(job.out).as_posix(), f) for f in folders]
    job.out.mkdir(parents=True, exist_ok=True)
    summary, events = tables(rows)
    write_whole(job.out / SUMMARY, summary)
    write_whole(job.out / ALL_EVENTS, events)


def _in_turn(inputs: Sequence[Input], job: Job, workers: Workers) -> Iterator[Outcome]:
    for number, item in enumerate(inputs, 1):
        title = item.name if len(inputs) == 1 else f"[{number}/{len(inputs)}] {item.name}"
        with show_progress(title) as progress:
            outcome = analyse_one(item, job, progress)
            progress.ended = "failed" if outcome.error else "finished"
        yield outcome


def _parallel(inputs: Sequence[Input], job: Job, workers: Workers) -> Iterator[Outcome]:
    from joblib import delayed

    from micromimic.core.workers import WorkerLostError, on_workers, run_tasks

    job = replace(job, rows={})  # of a thousand inputs: nobody wants them with each
    inputs = longest_first(inputs)
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
            for outcome in run_tasks(delayed(analyse_one)(item, job, None) for item in inputs):
                waiting.discard(outcome.name)
                ended = "failed" if outcome.error else "finished"
                note(f"{outcome.name}: {ended} in {outcome.seconds:.1f} s")
                yield outcome
    except WorkerLostError:
        remedy = "use --jobs 1" if workers.backend == "loky" else "give workers more of it"
        lost = f"expected a worker to finish, got it killed (memory?); {remedy}"
        yield from (Outcome(name, error=lost) for name in sorted(waiting))
        _sweep(job.out, inputs)


def longest_first(inputs: Iterable[Input]) -> list[Input]:
    """As workers are to take them: the longest one last would leave all but one without work."""
    return sorted(inputs, key=lambda item: -_size(item.path))


def _size(path: Path) -> int:
    """Bytes of a file, or of what lies in a folder; 0 of what is no longer there."""
    try:
        return sum(part.stat().st_size for part in (path.iterdir() if path.is_dir() else [path]))
    except OSError:  # the analysis will say so
        return 0


def is_whole(item: Input, job: Job) -> bool:
    """Whether an earlier run left all results of this input, as input and settings are now."""
    places = job.results_of(item)
    return bool(places) and all(_is_whole(item, job, *place) for place in places)


def _is_whole(item: Input, job: Job, folder: Path, person: int | None) -> bool:
    from micromimic.core.results import ModelInfo
    from micromimic.core.strict_json import printable
    from micromimic.report.write import FILES

    wanted = [*FILES, *(["sensitivity.json"] if job.inject else [])]
    try:
        made = min((folder / name).stat().st_mtime_ns for name in wanted)
        parts = item.path.iterdir() if item.path.is_dir() else ()
        changed = max(path.stat().st_mtime_ns for path in (item.path, *parts))
        content = json.loads((folder / "events.json").read_text(encoding="utf-8"))
        path, settings = content["source"]["path"], content["settings"]
        model = ModelInfo.from_dict(content["model"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    same = Path(path).resolve() == Path(printable(str(item.path.resolve())))
    return same and changed < made and settings == job.settings(person) and model == job.model_info


def analyse_one(item: Input, job: Job, progress: Progress | None) -> Outcome:
    """Analyse one input and write its results; an error becomes part of the outcome."""
    import cv2

    from micromimic.core.files import write_whole
    from micromimic.report.write import write_analysis

    # Reading, tracking and flow have a thread each: more of them for each picture only wait.
    cv2.setNumThreads(1)
    folder = job.out / item.name
    began = time.monotonic()
    try:
        if item.problem is not None:
            raise item.problem
        check_folder(folder)
        summaries: list[str] = []
        briefs: list[str] = []
        for analysis in _analyses(item, job, progress):
            name, place = item.name, folder
            if job.person == ALL:
                part = f"person{len(briefs) + 1}"
                name, place = f"{name}/{part}", folder / part
            write_analysis(analysis, place)
            summaries.append(analysis_text(name, analysis, place))
            briefs.append(brief_text(name, analysis, place))
        if job.person == ALL:
            write_whole(folder / PEOPLE, json.dumps({"people": len(briefs)}))
        if job.inject:
            summaries.append(_inject(item, job, folder, progress))
        outcome = Outcome(item.name, "\n".join(summaries), "\n".join(briefs))
    except Exception as error:  # noqa: BLE001 - one input's failure must not end the others
        outcome = Outcome(item.name, error=describe(error), trace=trace_of(error))
    return replace(outcome, seconds=time.monotonic() - began)


def _analyses(item: Input, job: Job, progress: Progress | None) -> Iterable[Analysis]:
    """The one analysis of an input, or one of each person in it."""
    from micromimic.analysis.analyze import analyze as analyze_input, analyze_people

    how: dict[str, Any] = {"fps": job.fps, "track": job.track, "progress": progress}
    how["config"] = job.config()
    if job.person == ALL:
        return analyze_people(item.path, **how)
    return [analyze_input(item.path, person=job.number, **how)]


def _inject(item: Input, job: Job, folder: Path, progress: Progress | None) -> str:
    """Run `sensitivity` into the results folder of one input, and say what came back."""
    from micromimic.analysis.sensitivity.run import SensitivityConfig, sensitivity

    config = SensitivityConfig(
        sizes=job.inject, fps=job.fps, track=job.track, analysis=job.config(evidence=False)
    )
    return sensitivity_text(sensitivity(item.path, folder, config, progress=progress), item.name)


def analysis_text(name: str, analysis: Analysis, folder: Path) -> str:
    """What is printed for one input: what was found, what was held back, limits, the report."""
    from micromimic.core.summary import advice, summary
    from micromimic.report.words import reason

    source, content = analysis.source, analysis.to_dict()
    lines = [
        f"{name}: {source.duration_s:.1f} s of {source.width}x{source.height} at "
        f"{source.fps:.4g} fps; face in {analysis.found_ratio:.0%} of {source.frames} frames",
        *(f"  {sentence}" for sentence in summary(content)),
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
        counted = ", ".join(
            f"{reason(code)[0].lower()} {number}" for code, number in rejected.items()
        )
        lines.append(f"  seen and not reported: {counted}")
    lines += [f"  limit: {warning.message}" for warning in analysis.warnings]
    lines += [f"  advice: {sentence}" for sentence in advice(content)]
    lines.append(f"  report: {folder / 'report.html'}")
    return "\n".join(lines)


def brief_text(name: str, analysis: Analysis, folder: Path) -> str:
    """The same of one input among many."""
    from micromimic.core.summary import summary

    limits = count_of(len(analysis.warnings), "limit")
    sentences = " ".join(summary(analysis.to_dict()))
    return f"{name}: {sentences}\n  {limits}; report: {folder / 'report.html'}"


def _row(event: MicroExpression) -> list[str]:
    from micromimic.report.words import CELL_WORDS, unit_text

    where = max(event.regions, key=lambda cell: event.regions[cell]) if event.regions else ""
    span = event.interval
    return [
        *(f"{time:.3f}" for time in (span.onset, span.apex, span.offset)),
        event.label,
        f"{event.probabilities[event.label]:.2f}",
        "unsure" if event.uncertain else "",
        f"{event.strength:.1f}",
        CELL_WORDS.get(where, where),
        "; ".join(unit_text(found) for found in event.action_units),
        "longer" if event.kind == "macro" else "",
    ]
