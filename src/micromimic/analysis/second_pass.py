"""The second pass over a video: flow, pictures and what the model looks at, of each event.

Frames are read in order, once, and kept no longer than an event needs them. A volume's frames are
registered and cut as they come by, so that a long event of a large video is never held whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import follow
from micromimic.core.progress import Progress
from micromimic.core.types import FlowMap
from micromimic.face.align import face_canvas
from micromimic.face.crops import FaceFollower, face_crop, volume_frame
from micromimic.face.signals import FaceSignals
from micromimic.face.tracking import TrackingConfig
from micromimic.media.frames import Frame, Frames, read_again
from micromimic.models.samples import View
from micromimic.motion.flow import FlowConfig, average_reach, flow_of_spans
from micromimic.motion.spotting.cells import Spotted
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.time_grid import frame_rate


@dataclass(frozen=True)
class AnalyzeConfig:
    """Everything that can be set.

    Parameters
    ----------
    tracking, spotting, flow
        The stages' settings.
    model : str or Path or None
        An ONNX file of any model that ``micromimic train`` writes; None is the shipped
        flow-capsnet.
    average : float
        Seconds either side of onset and apex averaged before flow is computed.
    evidence : bool
        Keep pictures of each event; False saves memory where only numbers are wanted.
    crop_margin : float
        Canonical units around the face in the pictures.
    crop_resolution : float
        At most this many picture pixels a unit.
    """

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    spotting: SpottingConfig = field(default_factory=SpottingConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    model: str | Path | None = None
    average: float = 0.01
    evidence: bool = True
    crop_margin: float = 5.0
    crop_resolution: float = 8.0


@dataclass(frozen=True)
class Shot:
    """What the second pass keeps of one event."""

    flow: FlowMap  # onset to apex
    view: NDArray[np.generic]  # what the model looks at, one element of its ``predict``'s inputs
    onset_face: NDArray[np.uint8] | None  # pictures; None without evidence
    apex_face: NDArray[np.uint8] | None
    pixels_per_unit: float  # of the pictures
    margin: float


@dataclass(frozen=True)
class _Span:
    """The frames of one event: to average at onset and apex, and those of its volume."""

    onset: list[int]
    apex: list[int]
    volume: list[int]

    @property
    def first(self) -> int:
        return min([self.onset[0], *self.volume[:1]])

    @property
    def last(self) -> int:
        return max([self.apex[-1], *self.volume[-1:]])


def take_shots(
    frames: Frames,
    signals: FaceSignals,
    events: Sequence[Spotted],
    config: AnalyzeConfig,
    view: View,
    progress: Progress,
) -> Iterator[Shot]:
    """Read the frames around each event again; a shot an event, in order."""
    rate = frame_rate(signals.times)
    spans = [_span(item, signals, rate, config.average, view) for item in events]
    pictures = {index for span in spans for rows in (span.onset, span.apex) for index in rows}
    volumes = [_Volume(span.volume, signals) for span in spans]
    reader = frames.frames_at(sorted(pictures.union(*(span.volume for span in spans))))
    kept: dict[int, Frame] = {}
    at = -1
    for number, (item, span) in enumerate(zip(events, spans, strict=True)):
        while at < span.last:
            frame = read_again(reader, span.last)
            at = frame.index
            if at in pictures:
                kept[at] = frame
            for volume in volumes[number:]:
                volume.take(frame)
        yield _shot(item, span, kept, signals, config, view, volumes[number])
        volumes[number].frames.clear()
        ahead = spans[number + 1].first if number + 1 < len(spans) else span.last + 1
        kept = {index: frame for index, frame in kept.items() if index >= ahead}
        progress(number + 1, len(events), "evidence")


class _Volume:
    """The face of one event, frame by frame, registered to the first; as in preparation."""

    def __init__(self, rows: Sequence[int], signals: FaceSignals) -> None:
        self._rows = frozenset(rows)
        self._signals = signals
        self._follower: FaceFollower | None = None
        self.frames: list[NDArray[np.uint8]] = []

    def take(self, frame: Frame) -> None:
        if frame.index not in self._rows:
            return
        place = self._signals.transform[frame.index]
        if self._follower is None:
            segment = int(self._signals.segments[frame.index])
            self._follower = FaceFollower(frame.gray, place, self._signals.landmarks[segment])
        followed = self._follower.next(frame.gray)
        # A frame too noisy to match a single other one was still found by the tracker.
        found = followed.transform if followed.found else follow(self._follower.start, place)
        self.frames.append(volume_frame(frame.gray, found))


def _span(item: Spotted, signals: FaceSignals, rate: float, average: float, view: View) -> _Span:
    """Frames to average: tracked, and never reaching into each other; and those of the volume."""
    reach = average_reach(item.onset, item.apex, rate, average)

    def tracked(rows: range) -> list[int]:
        found = [row for row in rows if signals.segments[row] == signals.segments[item.apex]]
        return found or [item.apex]

    def around(centre: int) -> list[int]:
        return tracked(range(max(0, centre - reach), min(len(signals.times), centre + reach + 1)))

    whole = tracked(range(item.onset, item.offset + 1)) if view == "volume" else []
    return _Span(around(item.onset), around(item.apex), whole)


def _shot(
    item: Spotted,
    span: _Span,
    kept: Mapping[int, Frame],
    signals: FaceSignals,
    config: AnalyzeConfig,
    view: View,
    volume: _Volume,
) -> Shot:
    scale = float(signals.pixels_per_unit()[item.apex])
    onset, apex = (rows[len(rows) // 2] for rows in (span.onset, span.apex))
    shape = signals.transform[onset]
    flow = flow_of_spans(
        *([(kept[i].gray, signals.transform[i]) for i in rows] for rows in (span.onset, span.apex)),
        scale=scale,
        config=config.flow,
    )
    looked_at: NDArray[np.generic] = flow.channels()
    if view == "faces":
        looked_at = face_crop(kept[apex].rgb(), follow(shape, signals.transform[apex]))
    elif view == "volume":
        looked_at = np.stack(volume.frames)
    resolution = float(np.clip(scale, 3.0, config.crop_resolution))
    faces: list[NDArray[np.uint8] | None] = [None, None]
    if config.evidence:
        places = {i: follow(shape, signals.transform[i]) for i in (onset, apex)}
        faces = [
            face_canvas(kept[i].rgb(), places[i], resolution, config.crop_margin)
            for i in (onset, apex)
        ]
    return Shot(flow, looked_at, faces[0], faces[1], resolution, config.crop_margin)
