"""The main job: from a video to candidate micro-expressions with their evidence.

Two passes: the first tracks and measures every frame and keeps numbers only; the second decodes
the few frames around each onset and apex again, for flow and pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import follow
from micromimic.errors import InputError, NoFaceError
from micromimic.face.align import face_canvas
from micromimic.face.landmarks import LandmarkBackend
from micromimic.face.regions import cell_boxes
from micromimic.face.signals import FaceSignals
from micromimic.face.tracking import FaceTracker, TrackingConfig
from micromimic.media.video import Frame, FrameSource, open_source
from micromimic.models.onnx import FlowModel, load_model, region_shares
from micromimic.motion.flow import FlowConfig, flow_map
from micromimic.motion.gates import head_speed
from micromimic.motion.spotting import Spotted, SpottingConfig, SpottingResult, spot
from micromimic.motion.stretches import frame_rate
from micromimic.pipelines.indicators import indicators
from micromimic.pipelines.quality import blockiness, input_warnings
from micromimic.results import Analysis
from micromimic.types import Evidence, FlowMap, Interval, MicroExpression, SourceInfo

Progress = Callable[[int, int | None, str], None]
"""Called with frames done, frames in all (None = unknown), and the stage's name."""


SAMPLE_INTERVAL = 1.7
"""Seconds between frames sampled for compression; encoders place key frames at whole seconds."""


@dataclass(frozen=True)
class AnalyzeConfig:
    """Everything that can be set.

    Args:
        tracking, spotting, flow: the stages' settings.
        model: an ONNX file; None is the shipped flow-capsnet.
        average: seconds either side of onset and apex averaged before flow is computed.
        evidence: keep pictures of each event; False saves memory where only numbers are wanted.
        crop_margin: canonical units around the face in the pictures.
        crop_resolution: at most this many picture pixels a unit.
    """

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    spotting: SpottingConfig = field(default_factory=SpottingConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    model: Path | None = None
    average: float = 0.01
    evidence: bool = True
    crop_margin: float = 5.0
    crop_resolution: float = 8.0


def analyze(
    source: str | Path,
    *,
    fps: float | None = None,
    config: AnalyzeConfig | None = None,
    progress: Progress | None = None,
    backend: LandmarkBackend | None = None,
) -> Analysis:
    """Find and name the micro-expressions in one video.

    Args:
        source: a video file, or a folder of frames (then ``fps`` is needed).
        fps: frames a second of a folder; for a file it overrides the stored timing.
        config: settings; the defaults are what the benchmarks measure.
        progress: called now and then.
        backend: landmark library; dlib when None.

    Returns:
        The analysis; ``.events`` are candidates for a person to judge.

    Raises:
        InputError: the input cannot be read.
        NoFaceError: there is no face in it.
        ModelError: the model file is unusable.

    Example:
        >>> import micromimic
        >>> result = micromimic.analyze("interview.mp4")  # doctest: +SKIP
        >>> result.to_frame()[["onset_s", "apex_s", "label"]]  # doctest: +SKIP
    """
    config = config or AnalyzeConfig()
    report = progress or (lambda done, total, stage: None)
    with open_source(source, fps) as frames:
        model = load_model(config.model)
        signals, blocks = track(frames, config.tracking, report, backend)
        if len(signals.times) < 2:
            raise InputError(
                f"expected a video of at least 2 frames, got {len(signals.times)}: {source}; "
                "movement needs more than one picture"
            )
        if not signals.found.any():
            raise NoFaceError(
                f"expected a face in the video, found none in {len(signals.times)} frames: "
                f"{source}; show one person frontal, at least 40 pixels between the eyes"
            )
        spotted = spot(signals, config.spotting)
        shots = list(_shots(frames, signals, spotted.events, config, report))
        damage = tuple(frames.damage)
        info = _source_info(frames, signals)
    events = tuple(
        _event(item, shot, signals, model, config.evidence)
        for item, shot in zip(spotted.events, shots, strict=True)
    )
    return _assemble(info, signals, spotted, events, model, damage, blocks)


def track(
    frames: FrameSource,
    config: TrackingConfig,
    progress: Progress,
    backend: LandmarkBackend | None = None,
) -> tuple[FaceSignals, float]:
    """First pass: follow the face through all frames.

    Returns:
        The measurements, and the mean compression measure of sampled frames.
    """
    tracker = FaceTracker(config, backend)
    blocks: list[float] = []
    sampled = -np.inf
    count = 0
    for frame in frames:
        tracker.update(frame.gray, frame.time)
        count += 1
        if frame.time - sampled >= SAMPLE_INTERVAL:
            sampled = frame.time
            blocks.append(blockiness(frame.gray))
        if count % 20 == 0:
            progress(count, frames.expected_frames, "tracking")
    progress(count, count, "tracking")
    return tracker.finish(), float(np.mean(blocks)) if blocks else 0.0


@dataclass(frozen=True)
class _Shot:
    """What the second pass keeps of one event."""

    flow: FlowMap
    onset_face: NDArray[np.uint8] | None
    apex_face: NDArray[np.uint8] | None
    pixels_per_unit: float
    margin: float


def _shots(
    frames: FrameSource,
    signals: FaceSignals,
    events: tuple[Spotted, ...],
    config: AnalyzeConfig,
    progress: Progress,
) -> Iterator[_Shot]:
    """Second pass: flow and pictures of each event, in order."""
    rate = frame_rate(signals.times)
    spans = [_average_span(item, signals, rate, config.average) for item in events]
    wanted = sorted({index for span in spans for rows in span for index in rows})
    reader = frames.frames_at(wanted)
    kept: dict[int, Frame] = {}
    for number, (item, (onset_rows, apex_rows)) in enumerate(zip(events, spans, strict=True)):
        last = apex_rows[-1]
        while not kept or max(kept) < last:
            frame = next(reader, None)
            if frame is None:
                raise InputError(
                    f"expected frame {last} again in the second pass, the file ended before; "
                    "the file changed while it was read - analyse a copy"
                )
            kept[frame.index] = frame
        yield _shot(item, onset_rows, apex_rows, kept, signals, config)
        ahead = spans[number + 1][0][0] if number + 1 < len(spans) else last + 1
        kept = {index: frame for index, frame in kept.items() if index >= ahead}
        progress(number + 1, len(events), "evidence")


def _average_span(
    item: Spotted, signals: FaceSignals, rate: float, seconds: float
) -> tuple[list[int], list[int]]:
    """Frames to average for onset and apex: tracked, and never reaching into each other."""
    reach = min(round(seconds * rate), max(0, (item.apex - item.onset) // 4))

    def around(centre: int) -> list[int]:
        rows = range(max(0, centre - reach), min(len(signals.times), centre + reach + 1))
        found = [row for row in rows if signals.segments[row] == signals.segments[item.apex]]
        return found or [item.apex]

    return around(item.onset), around(item.apex)


def _shot(
    item: Spotted,
    onset_rows: list[int],
    apex_rows: list[int],
    kept: Mapping[int, Frame],
    signals: FaceSignals,
    config: AnalyzeConfig,
) -> _Shot:
    scale = float(signals.pixels_per_unit()[item.apex])
    flow = config.flow
    ends = (onset_rows[len(onset_rows) // 2], apex_rows[len(apex_rows) // 2])
    means = [
        np.stack(
            [
                face_canvas(
                    kept[i].gray,
                    follow(signals.transform[ends[0]], signals.transform[i]),
                    flow.resolution,
                    flow.margin,
                )
                for i in rows
            ]
        ).mean(0, dtype=np.float32)
        for rows in (onset_rows, apex_rows)
    ]
    result = flow_map(means[0], means[1], scale=scale, config=flow)
    resolution = float(np.clip(scale, 3.0, config.crop_resolution))
    faces: list[NDArray[np.uint8] | None] = [None, None]
    if config.evidence:
        faces = [
            face_canvas(
                kept[i].rgb(),
                follow(signals.transform[ends[0]], signals.transform[i]),
                resolution,
                config.crop_margin,
            )
            for i in ends
        ]
    return _Shot(result, faces[0], faces[1], resolution, config.crop_margin)


def _event(
    item: Spotted, shot: _Shot, signals: FaceSignals, model: FlowModel, evidence: bool
) -> MicroExpression:
    recognition = model.predict(shot.flow.channels()[None])[0]
    segment = int(signals.segments[item.apex])
    cells = cell_boxes(signals.landmarks[segment])
    regions = (
        region_shares(np.asarray(recognition.votes), cells) if recognition.votes is not None else {}
    )
    proof = None
    if evidence and shot.onset_face is not None and shot.apex_face is not None:
        proof = Evidence(
            shot.onset_face,
            shot.apex_face,
            shot.pixels_per_unit,
            shot.margin,
            cells,
            shot.flow,
            recognition.votes,
        )
    times = signals.times
    return MicroExpression(
        interval=Interval(
            float(times[item.onset]), float(times[item.apex]), float(times[item.offset])
        ),
        onset_frame=item.onset,
        apex_frame=item.apex,
        offset_frame=item.offset,
        label=recognition.label,
        probabilities=recognition.probabilities,
        uncertain=recognition.uncertain,
        strength=item.score,
        regions=regions,
        evidence=proof,
    )


def _source_info(frames: FrameSource, signals: FaceSignals) -> SourceInfo:
    rate = frame_rate(signals.times)
    duration = float(signals.times[-1] - signals.times[0]) + 1.0 / rate
    return SourceInfo(
        str(frames.path),
        round(rate, 4),
        len(signals.times),
        round(duration, 6),
        frames.width,
        frames.height,
    )


def _assemble(
    info: SourceInfo,
    signals: FaceSignals,
    spotted: SpottingResult,
    events: tuple[MicroExpression, ...],
    model: FlowModel,
    damage: tuple[str, ...],
    blocks: float,
) -> Analysis:
    found_ratio = round(float(signals.found.mean()), 4)
    spotting = spotted.spotting
    track_ = signals.track()
    speed = np.full(len(signals.times), np.nan)
    for segment in np.unique(signals.segments[signals.found]):
        rows = np.flatnonzero(signals.segments == segment)
        if len(rows) > 2:
            speed[rows] = head_speed(signals.transform[rows], info.fps)
    warnings = input_warnings(
        times=signals.times,
        width=info.width,
        height=info.height,
        interocular_px=signals.interocular(),
        brightness=signals.brightness.astype(np.float64),
        head_speed=speed,
        blockiness=blocks,
        damage=damage,
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
        indicators=indicators(events, spotting, spotted.curve, info, track_),
        curve=spotted.curve,
        track=track_,
        spotting=spotting,
    )
