"""`micromimic analyze` over many inputs: one after the other, or several at a time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from micromimic.analysis.inputs import Input
from micromimic.cli.console import Interrupted, complain, describe, note, say, trace_of
from micromimic.cli.progress import show_progress
from micromimic.core.errors import OutputError
from micromimic.core.files import sweep_left

if TYPE_CHECKING:
    from micromimic.analysis.analyze import AnalyzeConfig
    from micromimic.core.progress import Progress
    from micromimic.core.workers import Workers


@dataclass(frozen=True)
class Outcome:
    """How one input ended: a summary, or an error (both text, so that processes can send it)."""

    name: str
    summary: str = ""
    error: str = ""
    trace: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Job:
    """What is the same for all inputs.

    Args:
        out: results go to folders in here.
        fps: frames a second, as the user says; None leaves it to the files.
        model: an ONNX file; None is the shipped one.
        track: number of a video track in the files; None leaves it to them.
        inject: sizes to plant in copies of each input after its analysis, canonical units.
        sensitivity: a name of ``spotting_config.SENSITIVITY``.
    """

    out: Path
    fps: float | None = None
    model: Path | None = None
    track: int | None = None
    inject: tuple[float, ...] = ()
    sensitivity: str = "normal"

    def config(self, *, evidence: bool = True) -> AnalyzeConfig:
        """Settings of an analysis."""
        from micromimic.analysis.analyze import AnalyzeConfig
        from micromimic.motion.spotting.config import SENSITIVITY, SpottingConfig

        spotting = SpottingConfig(false_alarms=SENSITIVITY[self.sensitivity])
        return AnalyzeConfig(model=self.model, spotting=spotting, evidence=evidence)


def run(inputs: Sequence[Input], job: Job, workers: Workers, *, go_on: bool = False) -> int:
    """Analyse all inputs, say results as they come, and return the exit code.

    Args:
        inputs: what to analyse.
        job: how.
        workers: where.
        go_on: leave those alone whose results are whole.

    Raises:
        OutputError: when nothing can be written to ``out``.
        ModelError: when the model file is unusable.
        Interrupted: on Ctrl-C; what is complete stays.
    """
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
            _tell(outcome)
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


def _tell(outcome: Outcome) -> None:
    if outcome.error:
        if outcome.trace:
            note(outcome.trace)
        complain(f"{outcome.name}: {outcome.error}")
    else:
        say(outcome.summary)


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

    from micromimic.analysis.analyze import analyze
    from micromimic.cli.summary import analysis_text
    from micromimic.report.write import write_analysis

    # Reading, tracking and flow have a thread each: more of them for each picture only wait.
    cv2.setNumThreads(1)
    folder = job.out / item.name
    began = time.monotonic()
    try:
        if item.problem is not None:
            raise item.problem
        check_folder(folder)
        analysis = analyze(
            item.path, fps=job.fps, config=job.config(), progress=progress, track=job.track
        )
        write_analysis(analysis, folder)
        summary = analysis_text(item.name, analysis, folder)
        if job.inject:
            from micromimic.cli.sensitivity import injected

            summary += "\n" + injected(item, job, folder, progress)
        return Outcome(item.name, summary, seconds=time.monotonic() - began)
    except Exception as error:  # noqa: BLE001 - one input's failure must not end the others
        return Outcome(
            item.name,
            error=describe(error),
            trace=trace_of(error),
            seconds=time.monotonic() - began,
        )


def check_writable(out: Path, *names: str) -> None:
    """Fail before hours of work, not after; leaves nothing behind.

    Args:
        out: a folder.
        names: of files that will lie in it.

    Raises:
        OutputError: if no folder can be made at or in ``out``, or a name cannot be a file's.
    """
    place, missing = out.absolute(), list(names)
    while not os.path.exists(place) and place != place.parent:  # noqa: PTH110 - never raises
        missing.append(place.name)
        place = place.parent
    try:
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        os.rmdir(tempfile.mkdtemp(prefix=".micromimic-", dir=place))  # noqa: PTH106
        for name in missing:
            with contextlib.suppress(FileNotFoundError):
                (place / name).lstat()  # too long, say
    except OSError as error:
        raise OutputError(
            f"expected to write results to {out}, got {error.strerror or error} at {place}; "
            "choose another folder with --out"
        ) from None


def check_file(out: Path, *beside: Path) -> None:
    """Fail on a file that cannot be written before hours of work.

    Args:
        out: the file.
        beside: others in its folder, whose names are made from its own.

    Raises:
        OutputError: its folder or one of the names cannot be, or there is a folder in its place.
    """
    check_writable(out.parent, out.name, *(path.name for path in beside))
    for path in (out, *beside):
        if path.is_dir():
            raise OutputError(
                f"expected a file to write to, got the folder {path}; choose another --out"
            )


def check_folder(folder: Path) -> None:
    """Fail on a results folder that cannot be made, before the analysis.

    Raises:
        OutputError: its name is too long, or there is a file in its place.
    """
    from micromimic.report.write import FILES

    try:
        # The longest name that will lie in it, so that the whole path is tried.
        (folder / max(FILES, key=len)).lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(
            f"expected to write results to {folder}, got: {error.strerror or error}; choose "
            "another --out or rename the input"
        ) from None
