"""The main job: from a video to candidate micro-expressions with their evidence.

Two passes: the first tracks and measures every frame and keeps numbers only; the second decodes
few frames around each onset and apex again, for flow, pictures and what the model looks at.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.held_back import strongest, with_pictures
from micromimic.analysis.indicators import indicators
from micromimic.analysis.quality import blockiness, grey_levels, input_warnings
from micromimic.analysis.second_pass import AnalyzeConfig, EventPictures, second_pass
from micromimic.core.canonical import UNITS, apply_affine, scale_of
from micromimic.core.errors import InputError, MicromimicError, NoFaceError
from micromimic.core.memory import give_back
from micromimic.core.progress import Progress
from micromimic.core.results import Analysis
from micromimic.core.types import (
    Amplitude,
    Evidence,
    Interval,
    MediaTimes,
    MicroExpression,
    SourceInfo,
)
from micromimic.core.workers import own_cores, own_threads
from micromimic.face.cells import cell_boxes
from micromimic.face.landmarks import LandmarkBackend
from micromimic.face.people import Wanted, find_people
from micromimic.face.signals import FaceSignals
from micromimic.face.tracking import FaceTracker, TrackingConfig
from micromimic.media.video import Frame, FrameSource, open_source
from micromimic.models.action_units import UnitModel, shipped_unit_model
from micromimic.models.cell_shares import region_shares
from micromimic.models.onnx import RecognitionModel, opened_model
from micromimic.motion.spotting.cells import Spotted
from micromimic.motion.spotting.dense.measure import DenseMeter, DenseSignals
from micromimic.motion.spotting.gates import head_speed
from micromimic.motion.spotting.joined import Found, find
from micromimic.motion.spotting.macro import with_longer
from micromimic.motion.spotting.time_grid import frame_rate, grid_rate

__all__ = ["AnalyzeConfig", "analyze", "analyze_frames", "analyze_people", "event_of", "track"]

SAMPLE_INTERVAL = 1.7
"""Seconds between frames sampled for compression; encoders place key frames at whole seconds."""
SAME_MOMENT = 0.001
"""Times on two clocks that are no further apart are one, seconds; ELAN counts milliseconds."""


@dataclass(frozen=True)
class Appearance:
    blockiness: float  # mean of what compression leaves
    grey_levels: float | None  # median number of levels in the face; None without a face


def analyze(
    source: str | Path,
    *,
    fps: float | None = None,
    config: AnalyzeConfig | None = None,
    progress: Progress | None = None,
    backend: LandmarkBackend | None = None,
    track: int | None = None,
    person: int | None = None,
) -> Analysis:
    """Find and name the micro-expressions in one video.

    Parameters
    ----------
    source : str or Path
        A video file, or a folder of frames (then ``fps`` is needed).
    fps : float or None, optional
        Frames a second of a folder; for a file it overrides the stored timing.
    config : AnalyzeConfig or None, optional
        Settings; the defaults are what the benchmarks measure.
    progress : Progress or None, optional
        Called now and then.
    backend : LandmarkBackend or None, optional
        Landmark library; dlib when None.
    track : int or None, optional
        Which of a file's video tracks, from 1; None leaves it to the file's default, then to
        the number of frames.
    person : int or None, optional
        Which of several people, from 1 for the one who is seen largest and longest; None follows
        whoever is largest as it goes.

    Returns
    -------
    Analysis
        The analysis; ``.micro`` are candidates for a person to judge, ``.macro`` longer
        expressions, ``.events`` both.

    Raises
    ------
    InputError
        The input cannot be read.
    NoFaceError
        There is no face in it.
    ModelError
        The model file is unusable.

    Examples
    --------
    >>> import micromimic
    >>> result = micromimic.analyze("interview.mp4")  # doctest: +SKIP
    >>> result.to_frame()[["onset_s", "apex_s", "label"]]  # doctest: +SKIP
    """
    with open_source(source, fps, threads=_decoders(), track=track) as frames:
        wanted = None if person is None else find_people(frames, backend, progress).wanted(person)
        found = analyze_frames(
            frames, config=config, progress=progress, backend=backend, wanted=wanted
        )
    return replace(found, settings={**found.settings, "fps": fps, "track": track, "person": person})


def analyze_people(
    source: str | Path,
    *,
    fps: float | None = None,
    config: AnalyzeConfig | None = None,
    progress: Progress | None = None,
    backend: LandmarkBackend | None = None,
    track: int | None = None,
) -> Iterator[Analysis]:
    """``analyze`` of everybody in one video, one after the other: a pass over it for each."""
    with open_source(source, fps, threads=_decoders(), track=track) as frames:
        people = find_people(frames, backend, progress)
        for person in range(1, max(1, len(people.persons)) + 1):
            wanted = people.wanted(person)
            found = analyze_frames(
                frames, config=config, progress=progress, backend=backend, wanted=wanted
            )
            given = {"fps": fps, "track": track, "person": person}
            yield replace(found, settings={**found.settings, **given})


def analyze_frames(
    frames: FrameSource,
    *,
    config: AnalyzeConfig | None = None,
    progress: Progress | None = None,
    backend: LandmarkBackend | None = None,
    each: Callable[[Frame], None] | None = None,
    measured: Callable[[FaceSignals, DenseSignals], None] | None = None,
    wanted: Wanted | None = None,
) -> Analysis:
    """``analyze`` on an open source, which stays open: its frames can be asked for again. ``each``
    is shown every frame, ``measured`` what the first pass measured; nobody but ``wanted``, if
    anybody is, is followed."""
    config = config or AnalyzeConfig()
    report = progress or (lambda done, total, stage: None)
    # An unusable file is refused before any frame is read; later it may be another one.
    model = None if config.model is None else opened_model(config.model)
    beside = threading.Thread(target=_load_beside, args=(config.model,), name="load late")

    def shown(frame: Frame) -> None:
        if frame.index > 0 and beside.ident is None:  # the first is tracked
            beside.start()
        if each is not None:
            each(frame)

    signals, dense, appearance = track(frames, config.tracking, report, backend, shown, wanted)
    give_back()  # the frames that were read ahead
    if len(signals.times) < 2:
        raise InputError(
            f"expected a video of at least 2 frames, got {len(signals.times)}: {frames.path}; "
            "movement needs more than one picture"
        )
    if not signals.found.any():
        raise NoFaceError(
            f"expected a face in the video, found none in {len(signals.times)} frames: "
            f"{frames.path}; faces are found upright, frontal and with at least 40 pixels between "
            "the eyes: use a turned, cropped or larger version"
        )
    if measured is not None:
        measured(signals, dense)
    found = find(signals, dense, frames, config.spotting, frames.picture_share)
    found = replace(found, spotted=with_longer(found.spotted, signals, config.spotting))
    model, units = model or opened_model(), shipped_unit_model()
    spotted, events = found.spotted.events, []
    again = second_pass(frames, signals, spotted, config, model.view)
    for item, pictures in zip(spotted, again, strict=True):
        events.append(event_of(item, pictures, signals, model, units))
        report(len(events), len(spotted), "evidence")
    held = with_pictures(strongest(found.spotted, signals), frames, signals, config)
    return replace(
        _assemble(frames, signals, found, tuple(events), model, appearance),
        held_back=held,
        settings={"false_alarms_per_minute": config.spotting.false_alarms},
    )


def _decoders() -> int:
    """FFmpeg's threads beside the one that tracks, which would only wait for more of them."""
    return max(1, (own_threads() or own_cores()) - 1)


def load_late(model: str | Path | None) -> None:
    """Load now what an analysis needs after its first frames only. ``model``: as `AnalyzeConfig`
    has it."""
    for name in ("scipy.fft", "scipy.ndimage", "scipy.special"):
        import_module(name)
    opened_model(model)
    shipped_unit_model()


def _load_beside(model: str | Path | None) -> None:
    with contextlib.suppress(MicromimicError):  # the analysis meets it, too
        load_late(model)


def track(
    frames: FrameSource,
    config: TrackingConfig,
    progress: Progress,
    backend: LandmarkBackend | None = None,
    each: Callable[[Frame], None] | None = None,
    wanted: Wanted | None = None,
) -> tuple[FaceSignals, DenseSignals, Appearance]:
    """First pass: follow the face through all frames, showing each to ``each`` first."""
    tracker, meter = FaceTracker(config, backend, wanted=wanted), DenseMeter()
    blocks: list[float] = []
    levels: list[int] = []
    sampled, count = -np.inf, 0
    try:
        for frame in frames:
            if each is not None:
                each(frame)
            row = tracker.update(frame.gray, frame.time, frame.few)
            if row is not None and tracker.canvas is not None:
                meter.add(frame.index, frame.time, row.segment, tracker.canvas)
            count += 1
            if frame.time - sampled >= SAMPLE_INTERVAL:
                sampled = frame.time
                blocks.append(blockiness(frame.gray))
                if row is not None:
                    levels.append(grey_levels(_face_of(frame.gray, row.transform)))
            if count % 20 == 0:
                progress(count, frames.expected_frames, "tracking")
        progress(count, count, "tracking")
        block = float(np.mean(blocks)) if blocks else 0.0
        appearance = Appearance(block, float(np.median(levels)) if levels else None)
        return tracker.finish(), meter.finish(), appearance
    finally:
        meter.close()


def _face_of(gray: NDArray[np.uint8], transform: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The part of a picture that the canonical face lies in; all of it where that is nothing."""
    corners = apply_affine(transform, np.array([[0, 0], [UNITS, 0], [0, UNITS], [UNITS, UNITS]]))
    high, wide = gray.shape
    left, top = np.clip(corners.min(0), 0, (wide, high)).astype(int)
    right, bottom = np.clip(corners.max(0), 0, (wide, high)).astype(int)
    face = gray[top:bottom, left:right]
    return face if face.size else gray


def event_of(
    item: Spotted,
    pictures: EventPictures,
    signals: FaceSignals,
    model: RecognitionModel,
    units: UnitModel,
) -> MicroExpression:
    """Name one movement. ``units``: tells the action units that its flow looks like, whatever the
    model looks at."""
    recognition = model.predict([pictures.view])[0]
    segment = int(signals.segments[item.apex])
    cells = cell_boxes(signals.landmarks[segment])
    regions = (
        region_shares(np.asarray(recognition.votes), cells) if recognition.votes is not None else {}
    )
    proof = None
    if pictures.onset_face is not None and pictures.apex_face is not None:
        proof = Evidence(
            pictures.onset_face,
            pictures.apex_face,
            pictures.pixels_per_unit,
            pictures.margin,
            cells,
            pictures.flow,
            recognition.votes,
        )
    amplitude, seen = None, item.dense
    if seen is not None:
        pixels = seen.amplitude * float(scale_of(signals.transform[item.apex]))
        amplitude = Amplitude(seen.amplitude, seen.deviation, pixels)
    return MicroExpression(
        interval=Interval(*signals.times[[item.onset, item.apex, item.offset]].tolist()),
        onset_frame=item.onset,
        apex_frame=item.apex,
        offset_frame=item.offset,
        label=recognition.label,
        probabilities=recognition.probabilities,
        uncertain=recognition.uncertain,
        strength=item.score,
        regions=regions,
        evidence=proof,
        action_units=units.evidence(pictures.flow.channels()[None])[0],
        amplitude=amplitude,
        false_alarms_per_hour=None if seen is None else 60 * seen.false_alarms,
        kind=item.kind,
    )


def _source_info(frames: FrameSource, signals: FaceSignals) -> SourceInfo:
    rate = frame_rate(signals.times, frames.nominal_fps)
    duration = float(signals.times[-1] - signals.times[0]) + 1.0 / rate
    return SourceInfo(
        str(frames.path),
        round(rate, 4),
        len(signals.times),
        round(duration, 6),
        frames.width,
        frames.height,
    )


def _media_times(frames: FrameSource, signals: FaceSignals) -> MediaTimes | None:
    if frames.media_times is None:
        return None
    media = np.asarray(frames.media_times, np.float64)
    if np.abs(media - signals.times).max() < SAME_MOMENT:
        return None
    return MediaTimes(signals.times, media)


def _assemble(
    frames: FrameSource,
    signals: FaceSignals,
    found: Found,
    events: tuple[MicroExpression, ...],
    model: RecognitionModel,
    appearance: Appearance,
) -> Analysis:
    info = _source_info(frames, signals)
    found_ratio = round(float(signals.found.mean()), 4)
    spotted, spotting = found.spotted, found.spotted.spotting
    track_ = signals.track()
    rate = grid_rate(signals.times)
    speed = np.full(len(signals.times), np.nan)
    for segment in np.unique(signals.segments[signals.found]):
        rows = np.flatnonzero(signals.segments == segment)
        if len(rows) > 2:
            speed[rows] = head_speed(signals.transform[rows], rate)
    warnings = input_warnings(
        times=signals.times,
        picture_share=frames.picture_share,
        width=info.width,
        height=info.height,
        interocular_px=signals.interocular(),
        brightness=signals.brightness.astype(np.float64),
        head_speed=speed,
        blockiness=appearance.blockiness,
        grey_levels=appearance.grey_levels,
        damage=frames.damage,
        notices=frames.notices,
        found_ratio=found_ratio,
        others_seen=signals.others_seen,
        gated_s=spotting.gated_s,
        observed_s=spotting.observed_s,
    )
    return Analysis(
        source=info,
        found_ratio=found_ratio,
        others_seen=signals.others_seen,
        warnings=warnings,
        model=model.info,
        events=events,
        indicators=indicators(
            events,
            spotting,
            spotted.curve,
            info,
            track_,
            labels=model.info.labels,
            limits=found.limits,
        ),
        curve=spotted.curve,
        track=track_,
        spotting=spotting,
        media=_media_times(frames, signals),
        limits=found.limits,
    )
