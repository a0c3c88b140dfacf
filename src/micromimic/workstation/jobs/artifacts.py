"""From a video to everything that a review shows, in one folder.

The first pass tracks each frame and writes it to the proxy; the second reads the frames around each
event again, for flow and pictures. The clips of an event are made when they are looked at. Memory
does not grow with the video but for some hundred bytes a frame.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import AnalyzeConfig, analyze_frames
from micromimic.analysis.track_file import TrackTable
from micromimic.analysis.trends import movement_levels
from micromimic.core.files import write_whole
from micromimic.core.labels import CELLS, REGIONS
from micromimic.core.progress import Progress
from micromimic.core.results import STATED_UNITS, Analysis, held_back_to_dict
from micromimic.core.strict_json import tidy
from micromimic.core.types import AnalysisWarning, FaceTrack, MicroExpression
from micromimic.face.cells import cell_boxes
from micromimic.face.landmarks import LandmarkBackend
from micromimic.face.people import People, find_people
from micromimic.face.signals import FaceSignals
from micromimic.media.copied import copyable, write_copy
from micromimic.media.sound import PEAKS_PER_S
from micromimic.media.video import Frame, FrameSource, VideoSource, open_source
from micromimic.media.writer import ProxyWriter
from micromimic.motion.spotting.dense.measure import DenseSignals
from micromimic.report.elan import write_eaf
from micromimic.report.write import write_analysis
from micromimic.workstation.jobs.clips import (
    clip_range,
    evidence_of,
    magnifier_of,
    write_faces,
    write_held_back,
    write_people,
)
from micromimic.workstation.jobs.confinement import LimitError
from micromimic.workstation.jobs.frame_index import keep_index

REVIEW_SCHEMA: Final = "micromimic.review/1"
COLUMNS: Final = (
    *("time", "score", "segment", "t0", "t1", "t2", "t3", "t4", "t5"),
    *CELLS,
    *(f"limit_{name}" for name in REGIONS),
)
"""Columns of ``frames.bin``; limits are in canonical units, infinite where a region is closed."""
MOST_PIXELS_A_SECOND: Final = 1920 * 1080 * 90
"""Of the longest video allowed: how much its frames may show, all together."""
MOST_PIXELS_A_BYTE: Final = 100_000
"""No camera's recording compresses as far: hardly a black one does."""
FREE_PIXELS: Final = 2_000_000_000
"""So many are a minute's work, in however small a file."""
_EVEN: Final = 0.25
"""Frames by which a time may miss an even grid that still stands for all of them."""


def write_recording(
    video: Path,
    folder: Path,
    *,
    name: str | None = None,
    fps: float | None = None,
    person: int | None = None,
    max_seconds: float | None = None,
    config: AnalyzeConfig | None = None,
    progress: Progress | None = None,
    on_stated: Callable[[int, int], None] | None = None,
    backend: LandmarkBackend | None = None,
    decoder_threads: int | None = None,
) -> None:
    """Analyse a video and write what a review shows of it to a folder, best an empty one.

    After an error it holds a part. ``name``, how people call the video, stands in the results
    instead of its path; ``fps`` stands against the file's own timing; ``person`` is who of several
    is analysed, from 1, None who is seen largest as it goes; a video of more than
    ``max_seconds`` is refused; ``config`` must have evidence on; ``on_stated`` is called with the
    frames and the pixels of each that the file states, if it does. Errors are those of ``analyze``;
    InputError, too, where the video is too long or too much for its file, OutputError where the
    folder cannot be written.
    """
    report = progress or (lambda done, total, stage: None)
    with open_source(video, fps, threads=decoder_threads) as frames:
        check_work = _work_limit(frames, video, max_seconds)
        if on_stated is not None and frames.expected_frames:
            on_stated(frames.expected_frames, frames.width * frames.height)
        rate, people, wanted = frames.nominal_fps or 25.0, None, None

        def look(done: int, total: int | None, stage: str) -> None:
            check_work(done + 1, done / rate)
            report(done, total, stage)

        if person is not None:
            people = find_people(frames, backend, look)
            wanted = people.wanted(person)
        analysis, heard, (width, height) = _first_pass(
            frames,
            folder,
            check_work,
            config=config,
            progress=report,
            backend=backend,
            wanted=wanted,
        )
        if people is None and analysis.others_seen:
            people = find_people(frames, backend, report)
        if people is not None:
            write_people(frames, people, folder / "events" / "people")
        keep_index(frames, folder)
    for index, event in enumerate(analysis.events):
        proof = evidence_of(event)
        write_faces(proof.onset_face, proof.apex_face, folder / "events" / str(index))
    write_held_back(analysis, folder / "events" / "held-back")
    report(0, None, "writing")
    named = replace(
        analysis,
        source=replace(analysis.source, path=PurePath(name or video).name or video.name),
        settings={**analysis.settings, "fps": fps, "person": person},
    )
    review = review_document(named)
    review |= {"person": person, "people": [] if people is None else people_document(people)}
    review["proxy"] = {"width": width, "height": height, "sound": heard}
    write_analysis(named, folder)
    write_eaf(named, folder / "events.eaf", beside_video=True)
    write_whole(folder / "frames.bin", frames_bin(named))
    write_whole(folder / "review.json", json.dumps(review, allow_nan=False))


def _first_pass(
    frames: FrameSource, folder: Path, check_work: Callable[[int, float], None], **how: Any
) -> tuple[Analysis, bool, tuple[int, int]]:
    """Analyse; ``how`` is for `analyze_frames`. Then there is what the page plays: a copy of what
    every browser plays and steps through, else encoded on the way. Whether it has sound; its size.
    """
    path, size, rate = folder / "proxy.mp4", (frames.width, frames.height), frames.nominal_fps
    video = frames if isinstance(frames, VideoSource) else None
    with ExitStack() as stack:
        sound = None if video is None else stack.enter_context(video.open_sound())
        times = None if video is None else copyable(video)

        def begin() -> ProxyWriter:
            return stack.enter_context(ProxyWriter(path, *size, rate=rate or 25.0, sound=sound))

        proxy = begin() if times is None else None

        def each(frame: Frame) -> None:
            check_work(frame.index + 1, frame.time)
            if proxy is not None:
                proxy.write(frame.yuv() or frame.rgb(), frame.time)

        def measured(signals: FaceSignals, dense: DenseSignals) -> None:
            TrackTable.of(signals, dense).write(folder)

        analysis = analyze_frames(frames, each=each, measured=measured, **how)
        if video is not None and times is not None and not write_copy(video, times, path, sound):
            sound = stack.enter_context(video.open_sound())
            proxy = begin()
            for frame in frames:
                each(frame)
        size = size if proxy is None else proxy.size
    heard = sound is not None and bool(sound.layout)
    if sound is not None and heard:
        waveform = {"rate": PEAKS_PER_S, "peaks": list(sound.peaks)}
        write_whole(folder / "waveform.json", json.dumps(waveform))
    if sound is not None and sound.problem:
        warning = AnalysisWarning("sound", sound.problem)
        analysis = replace(analysis, warnings=(*analysis.warnings, warning))
    return analysis, heard, size


def _work_limit(
    frames: FrameSource, video: Path, max_seconds: float | None
) -> Callable[[int, float], None]:
    """Refuses what is stated to be too long or too much; returns what refuses a frame too many.

    A small file can hold hours of work: pictures that repeat take no room in it.
    """
    limit = np.inf if max_seconds is None else max_seconds
    size = video.stat().st_size
    work = min(limit * MOST_PIXELS_A_SECOND, max(FREE_PIXELS, size * MOST_PIXELS_A_BYTE))
    most = work / (frames.width * frames.height)

    def check(count: float, time: float, got: str = "more") -> None:
        if time > limit:
            raise LimitError(
                f"expected a video of at most {duration(limit)}, got {got}; cut it into parts"
            )
        if count > most:
            raise LimitError(
                f"expected at most {most:.0f} frames of {frames.width} x {frames.height} in a file "
                f"of {size} bytes, got more; scale the video down or cut it into parts"
            )

    if frames.expected_frames and frames.nominal_fps:
        stated = frames.expected_frames / frames.nominal_fps
        # A container may round up by a frame or a second; then the frames decide.
        check(0, stated - 1.0, duration(stated))
    check(frames.expected_frames or 0, 0.0)
    return check


def duration(seconds: float) -> str:
    """For people.

    >>> duration(90), duration(3600), duration(14_460)
    ('90 s', '60 min', '241 min')
    """
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def review_document(analysis: Analysis) -> dict[str, Any]:
    source, spotting, times = analysis.source, analysis.spotting, analysis.track.times
    timing = _timing(times, source.fps)
    track = replace(analysis.track, times=times_of(timing, len(times)))
    media = None if analysis.media is None else _timing(analysis.media.media, source.fps)
    content = {
        "schema": REVIEW_SCHEMA,
        "frames": source.frames,
        "width": source.width,
        "height": source.height,
        "duration_s": source.duration_s,
        "threshold": spotting.threshold,
        "stated_units": None if analysis.limits is None else STATED_UNITS,
        "frames_bin": {"dtype": "<f4", "rows": source.frames, "columns": list(COLUMNS)},
        "segments": _segments(analysis.track),
        "cell_names": list(CELLS),
        "blinks": [{"start": b.start, "peak": b.peak, "end": b.end} for b in spotting.blinks],
        "gated": [{"start": g.start, "end": g.end, "cause": g.cause} for g in spotting.gated_spans],
        "rejected": [{"peak": r.peak, "reason": r.reason} for r in spotting.rejected],
        "held_back": [
            {**held_back_to_dict(item), "picture": item.apex_face is not None}
            for item in analysis.held_back
        ],
        "movement_levels": movement_levels(analysis.curve, analysis.track.found, spotting.blinks),
        "events": [
            event_document(index, event, track, source.fps)
            for index, event in enumerate(analysis.events)
        ],
    }
    # Rounding a rate would move the last frames of a long video by more than a frame.
    return {**tidy(content), **timing, "media": media}


def people_document(people: People) -> list[dict[str, Any]]:
    """Everybody in the video, by number: the share of it in which they are seen, and when first."""
    return [
        {
            "person": number,
            "share": round(len(person.times) / people.looks, 3),
            "first_s": round(person.times[0], 3),
        }
        for number, person in enumerate(people.persons, 1)
    ]


def _timing(times: NDArray[np.floating], fps: float) -> dict[str, Any]:
    """Start, rate, and times of all frames where no even grid stands for them."""
    steps = np.arange(len(times))
    mean = float((len(times) - 1) / (times[-1] - times[0]))
    if np.abs(times - times[0] - steps / mean).max() * mean <= _EVEN:
        return {"start_s": round(float(times[0]), 6), "fps": mean, "frame_times": None}
    every = [round(float(time), 6) for time in times]
    return {"start_s": every[0], "fps": fps, "frame_times": every}


def times_of(review: Mapping[str, Any], count: int) -> NDArray[np.float64]:
    """The frames' times as a review document tells them."""
    if review["frame_times"] is not None:
        return np.asarray(review["frame_times"], np.float64)
    return np.asarray(np.arange(count) / review["fps"] + review["start_s"])


def _segments(track: FaceTrack) -> dict[str, Any]:
    """Each stretch's face, canonical units."""
    document = {}
    for segment in np.unique(track.segments[track.found]).tolist():
        points = np.asarray(track.shapes[segment], np.float64)
        document[str(segment)] = {
            "landmarks": np.round(points, 3).tolist(),
            "cells": np.round(cell_boxes(points), 3).tolist(),
        }
    return document


def event_document(
    index: int, event: MicroExpression, track: FaceTrack, fps: float
) -> dict[str, Any]:
    """What a review shows of an event beside its numbers; ``fps`` is the clips'."""
    proof, clip = evidence_of(event), clip_range(event, track)
    return {
        "index": index,
        "margin": proof.margin,
        "pixels_per_unit": proof.pixels_per_unit,
        "size": [proof.onset_face.shape[1], proof.onset_face.shape[0]],
        "cells": proof.cells,
        "flow": {"u": proof.flow.uv[0], "v": proof.flow.uv[1], "scale": proof.flow.scale},
        "votes": proof.votes,
        "clip": {
            "first_frame": clip.start,
            "frames": len(clip),
            "fps": fps,
            "factor": round(magnifier_of(event).factor, 2),
        },
    }


def frames_bin(analysis: Analysis) -> bytes:
    """``COLUMNS`` of all frames as little-endian float32, one column after the other."""
    track, curve = analysis.track, analysis.curve
    known = {} if analysis.limits is None else analysis.limits.at(track.times)
    unknown = np.full(len(track.times), np.nan)
    columns = [
        track.times,
        curve.score,
        track.segments,
        *np.asarray(track.transforms).reshape(-1, 6).T,
        *curve.cells.T,
        *(np.where(track.found, known.get(name, unknown), np.nan) for name in REGIONS),
    ]
    return b"".join(np.ascontiguousarray(column, dtype="<f4").tobytes() for column in columns)
