"""Spotting scored: our spotter on long videos, or somebody's own events, against annotated ones."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd

import micromimic
from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.analysis.long_videos.inputs import SpottingTruth, found_events, read_truth, spotted
from micromimic.core.errors import InputError, MicromimicError, MissingExtraError, NoFaceError
from micromimic.core.files import write_whole
from micromimic.core.labels import LabelSet
from micromimic.core.progress import Progress
from micromimic.core.results import event_to_dict
from micromimic.core.workers import Workers, on_workers, run_tasks
from micromimic.datasets.clip import frame_number
from micromimic.datasets.events import Video, read_events, videos_path
from micromimic.datasets.schemes import scheme
from micromimic.datasets.table import table_text
from micromimic.evaluation.identity import code_digest
from micromimic.evaluation.one_fold import RunFolder, digest_of_file
from micromimic.evaluation.report.spotting import curve_figure, leaks_md, spotting_md
from micromimic.evaluation.spotting import Span, SpottedVideo
from micromimic.evaluation.spotting.megc import strs_csv, submission_csv
from micromimic.evaluation.spotting.scores import ALL, annotated, kinds_of, score_spotting
from micromimic.evaluation.spotting.thresholds import (
    Leak,
    have_scores,
    spotting_leaks,
    threshold_curve,
)
from micromimic.media.formats import image_files
from micromimic.models.onnx import SHIPPED, RecognitionModel, load_model
from micromimic.models.samples import UNKNOWN, FittedTo
from micromimic.motion.spotting.config import SENSITIVITY, SpottingConfig

_NAMES: Final = ("dataset", "subject", "video")
_OF_SPAN: Final = ("onset", "apex", "offset", "kind", "label", "score")
_OF_OURS: Final = ("uncertain", "strength", "false_alarm_rate_per_hour")

ScoreBy = Literal["strength", "rate"]
"""What a threshold is set on: strength, or how rarely chance makes one as strong."""

_UNKNOWN_RATE: Final = 1e6
"""An hour, where none is known: more than there could be, so that such a candidate goes first."""

_RUN: Final = (  # whose code decides what is found
    *("media", "face", "motion", "models"),
    *("analysis/analyze.py", "analysis/second_pass.py"),
)


@dataclass(frozen=True)
class SpottingRun:
    name: str  # of the model, or of the file
    videos: tuple[SpottedVideo, ...]  # with truth and found; as of `score_spotting`
    metrics: Mapping[str, Any]
    notes: tuple[str, ...]  # what a reader has to know
    folder: Path | None = None  # where it was written; None where it was not
    resumed: int = 0  # videos that an earlier call had analysed


def evaluate_spotting(
    events: str | Path,
    out: str | Path,
    *,
    videos: str | Path | None = None,
    model: str | Path | None = None,
    sensitivity: str = "normal",
    score_by: ScoreBy = "strength",
    workers: Workers | None = None,
    progress: Progress | None = None,
    allow_overlap: bool = False,
) -> SpottingRun:
    """Run the spotter on annotated long videos, and score what it finds and names.

    Parameters
    ----------
    events : str or Path
        The table of annotated events.
    out : str or Path
        The run's folder: tables.md, metrics.json, events.csv, curve.csv, curve.png and .svg,
        and a folder megc. A killed run continues there, video by video.
    videos : str or Path or None, optional
        The manifest of the videos; None looks beside the table.
    model : str or Path or None, optional
        An ONNX file that names what is found; None is the shipped one.
    sensitivity : str, optional
        As of ``analyze``.
    score_by : ScoreBy, optional
        What thresholds are set on.
    workers : Workers or None, optional
        Where videos are analysed; None is this process.
    progress : Progress or None, optional
        Told (done, total, stage).
    allow_overlap : bool, optional
        Also a model that was fitted to these subjects; the tables then say so.

    Raises
    ------
    InputError
        A table is wrong, a folder has no rate or unnumbered pictures, a video cannot be read,
        ``out`` holds another run, or the model was fitted to a tested subject.
    LabelError
        The model's classes do not cover a label.
    """
    out, model = Path(out), None if model is None else Path(model)
    if sensitivity not in SENSITIVITY:
        raise InputError(f"expected sensitivity {', '.join(SENSITIVITY)}, got {sensitivity!r}")
    truth = read_truth(events, videos)
    if not truth.complete:
        raise InputError(
            f"expected the manifest of the videos at {videos_path(events)}, found no file; name it "
            "with --videos"
        )
    opened = load_model(model)
    labels = opened.labels
    notes = [*truth.notes, *_overlap(opened, truth, allow_overlap)]
    spotted(truth, {}, labels)  # a label that the model does not know is an error before any work
    for video in truth.videos:
        _numbers(video)
    decides = {
        "protocol": "spotting",
        "model": digest_of_file(model or SHIPPED),
        "sensitivity": sensitivity,
        "micromimic": micromimic.__version__,
        "code": code_digest(*_RUN),
    }
    folder = RunFolder(out, decides)
    config = AnalyzeConfig(
        model=model, spotting=SpottingConfig(false_alarms=SENSITIVITY[sensitivity]), evidence=False
    )
    answers, resumed = _analysed(truth.videos, config, folder.path / "videos", workers, progress)
    notes += _problems(answers)
    entries = {key: answer["events"] for key, answer in answers.items()}
    found = {key: _spans(events, score_by) for key, events in entries.items()}
    matched = spotted(truth, found, labels)
    result = SpottingRun(opened.info.name, matched, {}, tuple(notes), out, resumed)
    return _scored(result, labels, entries)


def _problems(answers: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Videos that nothing could be found in, or nothing short."""
    faceless = [key for key, answer in answers.items() if answer["problem"]]
    slow = Counter(answer.get("frame_rate") for answer in answers.values())
    slow.pop(None, 0)
    return [
        *(f"No face, and so nothing, is found in {', '.join(faceless)}." for _ in faceless[:1]),
        *(f"Frame rate of {n} of {len(answers)} videos: {text}" for text, n in slow.items()),
    ]


def _overlap(model: RecognitionModel, truth: SpottingTruth, allowed: bool) -> list[str]:
    fitted = model.about.fitted_to
    if fitted is None:
        return [f"Of the model it is {UNKNOWN}: naming may be no result."]
    found = fitted.overlap(FittedTo(subjects=frozenset(video.who for video in truth.videos)))
    if found and not allowed:
        raise InputError(
            f"expected a model that was not fitted to the tested subjects, got one {found}; train "
            "one without them, or pass --allow-overlap to say so in every table"
        )
    return [f"The model was {found}: naming is no result."] if found else []


def _analysed(
    videos: Sequence[Video],
    config: AnalyzeConfig,
    folder: Path,
    workers: Workers | None,
    progress: Progress | None,
) -> tuple[dict[str, dict[str, Any]], int]:
    """What was found in each video, and in how many an earlier call found it."""
    from joblib import delayed  # noqa: PLC0415 - slow to import

    files = {video.key: folder / f"{_video_digest(video)}.json" for video in videos}
    answers = {key: json.loads(f.read_text("utf-8")) for key, f in files.items() if f.is_file()}
    resumed = len(answers)
    left = [video for video in videos if video.key not in answers]
    failed: list[str] = []
    with on_workers(workers or Workers()):
        for key, answer in run_tasks(delayed(_analyse)(video, config) for video in left):
            if "failed" in answer:
                failed.append(f"{key}: {answer['failed']}")
            else:
                write_whole(files[key], json.dumps(answer) + "\n")
                answers[key] = answer
            if progress:
                progress(len(answers) + len(failed), len(videos), "videos")
    if failed:
        raise InputError(
            f"expected videos that can be analysed, {len(failed)} cannot, the first {failed[0]}; "
            "correct them, and the same command goes on"
        )
    return {video.key: answers[video.key] for video in videos}, resumed


def _analyse(video: Video, config: AnalyzeConfig) -> tuple[str, dict[str, Any]]:
    """One video, under the manifest's numbers of frames: what JSON keeps of it."""
    import cv2  # noqa: PLC0415 - set where the work is done

    cv2.setNumThreads(1)  # reading, tracking and flow have a thread each already
    try:
        analysis = analyze(video.path, fps=video.fps, config=config)
    except NoFaceError as error:
        return video.key, {"events": [], "problem": str(error)}
    except MicromimicError as error:
        return video.key, {"failed": str(error)}
    numbers = _numbers(video)
    entries = []
    for event in analysis.events:
        entry = event_to_dict(event)
        for point in ("onset", "apex", "offset"):
            place = entry.pop(f"{point}_frame")
            entry[point] = place if numbers is None else numbers[place]
        last = math.inf if video.last is None else video.last
        if video.first <= entry["apex"] <= last:
            entry["onset"] = max(entry["onset"], video.first)
            entry["offset"] = int(min(entry["offset"], last))
            entries.append(entry)
    slow = next((w.message for w in analysis.warnings if w.code == "frame_rate"), None)
    return video.key, {"events": entries, "problem": None, "frame_rate": slow}


def _numbers(video: Video) -> list[int] | None:
    """Numbers of a folder's pictures in their order; None of a video file, which counts from 0."""
    if video.kind == "video":
        return None
    if not video.fps:
        raise InputError(
            f"expected frames a second of the folder {video.path} of {video.key}, got none; fill "
            "in fps in the manifest"
        )
    names = [file.name for file in image_files(video.path)]
    numbers = [n for name in names if (n := frame_number(name)) is not None]
    if len(numbers) < len(names) or sorted(set(numbers)) != numbers:
        raise InputError(
            f"expected pictures that are numbered one after the other in {video.path} of "
            f"{video.key}, got others; rename or remove them"
        )
    return numbers


def _video_digest(video: Video) -> str:
    """What a video is known by: another path, rate or content is analysed anew."""
    files = image_files(video.path) if video.kind == "frames" else [video.path]
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    identity = [video.key, str(video.path), video.fps, video.first, video.last, stats]
    return blake2b(json.dumps(identity).encode(), digest_size=16).hexdigest()


def _spans(entries: Iterable[Mapping[str, Any]], score_by: ScoreBy) -> list[Span]:

    def score(entry: Mapping[str, Any]) -> float:
        rate = entry["false_alarm_rate_per_hour"]
        if score_by == "strength":
            return float(entry["strength"])
        return -_UNKNOWN_RATE if rate is None else -float(rate)

    names = ("onset", "offset", "kind", "label", "apex")
    return [Span(**{name: e[name] for name in names}, score=score(e)) for e in entries]


def score_events(
    file: str | Path,
    events: str | Path,
    *,
    videos: str | Path | None = None,
    labels: str | LabelSet = "three",
    out: str | Path | None = None,
) -> SpottingRun:
    """Score somebody's own events, as our ``events.csv`` or a MEGC submission has them.

    Parameters
    ----------
    file : str or Path
        The found events: ``video``, ``onset``, ``offset``, and where they are there
        ``dataset``, ``subject``, ``kind`` (without it every one is a micro-expression),
        ``label`` and ``score``.
    events : str or Path
        The table of annotated events.
    videos : str or Path or None, optional
        The manifest of the videos; None looks beside the table, and does without.
    labels : str or LabelSet, optional
        The scheme of the labels.
    out : str or Path or None, optional
        As of `evaluate_spotting`; None writes nothing.

    Raises
    ------
    InputError
        A table is wrong, an event ends before it begins, lies outside its video or in an
        unknown one, or there are several epochs.
    LabelError
        A label is none of the scheme.
    """
    truth, chosen = read_truth(events, videos), _scheme(labels, events)
    epochs, notes = found_events(file, truth, chosen)
    if len(epochs) > 1:
        raise InputError(
            f"expected the events of one epoch in {file}, got {len(epochs)} epochs; keep one, or "
            "see what choosing one would claim with `micromimic audit`"
        )
    (found,) = epochs.values()
    folder = None if out is None else Path(out)
    result = SpottingRun(Path(file).name, spotted(truth, found, chosen), {}, notes, folder)
    return _scored(result, chosen)


def audit_events(
    file: str | Path,
    events: str | Path,
    *,
    videos: str | Path | None = None,
    labels: str | LabelSet = "three",
    out: str | Path | None = None,
) -> tuple[list[Leak], tuple[str, ...]]:
    """What choosing the epoch or the threshold on the tested subjects would claim.

    Parameters
    ----------
    file, events, videos, labels : str or Path
        As of `score_events`; with a column ``epoch`` the file has the found events of several.
    out : str or Path or None, optional
        A folder for audit.md and audit.json; None writes nothing.

    Returns
    -------
    tuple[list[Leak], tuple[str, ...]]
        The choices, and what a reader has to know.

    Raises
    ------
    InputError, LabelError
        As `score_events`.
    """
    truth, chosen = read_truth(events, videos), _scheme(labels, events)
    epochs, notes = found_events(file, truth, chosen)
    seen = {epoch: annotated(spotted(truth, found, chosen)) for epoch, found in epochs.items()}
    kinds_of(seen[min(seen)])  # there is something to find
    leaks = spotting_leaks(seen)
    if out is not None:
        content = {
            "schema": "micromimic.spotting-audit/1",
            "name": Path(file).name,
            "notes": list(notes),
            "rows": [{**vars(leak), "honest": leak.honest} for leak in leaks],
        }
        write_whole(Path(out) / "audit.json", json.dumps(content, indent=2) + "\n")
        write_whole(Path(out) / "audit.md", leaks_md(leaks, Path(file).name, notes))
    return leaks, notes


def _scheme(labels: str | LabelSet, events: str | Path) -> LabelSet:
    if isinstance(labels, LabelSet):
        return labels
    found = read_events(events)
    return scheme(labels, {e.dataset for e in found}, found=(e.label for e in found))


Entries = Mapping[str, Sequence[Mapping[str, Any]]]
"""By video what JSON keeps of the events that we found there."""


def _scored(result: SpottingRun, labels: LabelSet, entries: Entries | None = None) -> SpottingRun:
    videos = annotated(result.videos)
    stray = sum(len(v.found) for v in result.videos) - sum(len(v.found) for v in videos)
    notes = result.notes
    if stray:
        notes += (
            f"{stray} found events are of a kind that their database does not annotate: they do "
            "not count.",
        )
    result = replace(result, metrics=score_spotting(videos, labels.names), notes=notes)
    if result.folder is not None:
        _write(result, result.folder, entries)
        _write_curve(videos, result.metrics["chosen"], result.folder)
    return result


def _write(result: SpottingRun, out: Path, entries: Entries | None) -> None:
    metrics = {"name": result.name, "protocol": "spotting", **result.metrics}
    metrics["notes"] = list(result.notes)
    write_whole(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_whole(out / "tables.md", spotting_md(result.metrics, result.name, result.notes))
    write_whole(out / "events.csv", table_text(_events_frame(result, entries)))
    for dataset in dict.fromkeys(video.dataset for video in result.videos):
        mine = [video for video in result.videos if video.dataset == dataset]
        name = dataset.replace(os.sep, "_")
        write_whole(out / "megc" / f"{name}_pred.csv", submission_csv(mine))
        write_whole(out / "megc" / f"{name}_strs.csv", strs_csv(mine))


def _write_curve(
    videos: Sequence[SpottedVideo], chosen: Mapping[str, Any] | None, out: Path
) -> None:
    """Write what each threshold changes, where there are scores; drawn where minutes are known."""
    if not have_scores(videos):
        return
    curves = {kind: threshold_curve(videos, kind) for kind in kinds_of(videos)}
    table = pd.concat(curves, names=["kind"]).reset_index("kind")
    write_whole(out / "curve.csv", table_text(table.replace([-math.inf, math.nan], None)))
    if table["false_per_minute"].isna().any():
        return
    try:
        curve_figure(curves, out / "curve", chosen=chosen and chosen[ALL])
    except MissingExtraError:
        return  # matplotlib belongs to an extra; the same numbers are in curve.csv


def _events_frame(result: SpottingRun, entries: Entries | None) -> pd.DataFrame:
    """Found events: what `score_events` reads again, and of ours what else is known."""
    thresholds = result.metrics["thresholds"]
    rows = []
    for video in result.videos:
        more = sorted((entries or {}).get(video.key, ()), key=lambda e: (e["onset"], e["offset"]))
        for at, span in enumerate(video.found):
            row = {name: getattr(video, name) for name in _NAMES}
            row |= {name: getattr(span, name) for name in _OF_SPAN}
            if thresholds is not None and span.score is not None:
                least = thresholds.get(span.kind, {}).get(video.who)
                row["chosen"] = "yes" if least is None or span.score >= least else "no"
            if entries is not None:
                row |= {f"p_{name}": value for name, value in more[at]["probabilities"].items()}
                row |= {name: more[at][name] for name in _OF_OURS}
            rows.append(row)
    columns = list(rows[0]) if rows else [*_NAMES, *_OF_SPAN]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    return frame.drop(columns=[name for name in ("score", "label") if frame[name].isna().all()])
