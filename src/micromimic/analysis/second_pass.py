"""The second pass over a video: flow, pictures and what the model looks at, of each event.

Frames are read in order, once, and kept no longer than an event needs them. A volume's frames are
registered and cut as they come by, so that a long event of a large video is never held whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import follow, scale_of
from micromimic.core.types import FlowMap
from micromimic.face.align import face_canvas
from micromimic.face.crops import FaceFollower, face_crop, volume_frame
from micromimic.face.signals import FaceSignals
from micromimic.face.tracking import TrackingConfig
from micromimic.media.again import look_at
from micromimic.media.frames import Frame, Frames
from micromimic.models.samples import View
from micromimic.motion.flow import FlowConfig, average_reach, face_of, flow_of_faces
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
class EventPictures:
    """What the second pass keeps of one event."""

    flow: FlowMap  # onset to apex
    view: NDArray[np.generic]  # what the model looks at, one element of its ``predict``'s inputs
    onset_face: NDArray[np.uint8] | None  # pictures; None without evidence
    apex_face: NDArray[np.uint8] | None
    pixels_per_unit: float  # of the pictures
    margin: float


def second_pass(
    frames: Frames,
    signals: FaceSignals,
    events: Sequence[Spotted],
    config: AnalyzeConfig,
    view: View,
) -> Iterator[EventPictures]:
    """Read the frames around each event again, in order."""
    rate = frame_rate(signals.times)
    return look_at(frames, [_Look(item, signals, rate, config, view) for item in events])


class _Volume:
    """The face of one event, frame by frame, registered to the first; as in preparation."""

    def __init__(self, signals: FaceSignals) -> None:
        self._signals = signals
        self._follower: FaceFollower | None = None
        self.frames: list[NDArray[np.uint8]] = []

    def take(self, frame: Frame) -> None:
        place = self._signals.transform[frame.index]
        if self._follower is None:
            segment = int(self._signals.segments[frame.index])
            self._follower = FaceFollower(frame.gray, place, self._signals.landmarks[segment])
        followed = self._follower.next(frame.gray)
        # A frame too noisy to match a single other one was still found by the tracker.
        found = followed.transform if followed.found else follow(self._follower.start, place)
        self.frames.append(volume_frame(frame.gray, found))


class _Look:
    """The frames of one event: to average at onset and apex, tracked and never reaching into each
    other; and those of its volume."""

    def __init__(
        self, item: Spotted, signals: FaceSignals, rate: float, config: AnalyzeConfig, view: View
    ) -> None:
        self._item, self._signals, self._config, self._view = item, signals, config, view
        reach = average_reach(item.onset, item.apex, rate, config.average)
        self._onset, self._apex = self._around(item.onset, reach), self._around(item.apex, reach)
        whole = self._tracked(range(item.onset, item.offset + 1)) if view == "volume" else []
        self._inside, self._volume = frozenset(whole), _Volume(signals)
        self.rows = sorted({*self._onset, *self._apex, *whole})
        onset, apex = (rows[len(rows) // 2] for rows in (self._onset, self._apex))
        self._shape, self._ends = signals.transform[onset], (onset, apex)
        self._scale = float(scale_of(signals.transform[item.apex]))
        self._resolution = float(np.clip(self._scale, 3.0, config.crop_resolution))
        self._canvases: dict[int, NDArray[np.uint8]] = {}
        self._faces: dict[int, NDArray[np.uint8]] = {}
        self._crop: NDArray[np.uint8] | None = None

    def _around(self, centre: int, reach: int) -> list[int]:
        last = min(len(self._signals.times), centre + reach + 1)
        return self._tracked(range(max(0, centre - reach), last))

    def _tracked(self, rows: range) -> list[int]:
        segments, apex = self._signals.segments, self._item.apex
        return [row for row in rows if segments[row] == segments[apex]] or [apex]

    def take(self, frame: Frame) -> None:
        """Cut the face out; the frame itself, which is large, is not kept."""
        row, config = frame.index, self._config
        place = self._signals.transform[row]
        if row in self._onset or row in self._apex:
            self._canvases[row] = face_of(frame.gray, place, self._shape, config.flow)
        if row in self._inside:
            self._volume.take(frame)
        cropped = self._view == "faces" and row == self._ends[1]
        if row in self._ends and (config.evidence or cropped):
            colour, own = frame.rgb(), follow(self._shape, place)
            if cropped:
                self._crop = face_crop(colour, own)
            if config.evidence:
                self._faces[row] = face_canvas(colour, own, self._resolution, config.crop_margin)

    def end(self) -> EventPictures:
        canvases, faces = self._canvases, self._faces
        self._canvases, self._faces = {}, {}
        flow = flow_of_faces(
            *([canvases[row] for row in rows] for rows in (self._onset, self._apex)),
            scale=self._scale,
            config=self._config.flow,
        )
        looked_at: NDArray[np.generic] = flow.channels()
        if self._crop is not None:
            looked_at = self._crop
        elif self._view == "volume":
            looked_at = np.stack(self._volume.frames)
            self._volume.frames.clear()
        onset, apex = (faces.get(row) for row in self._ends)
        return EventPictures(
            flow, looked_at, onset, apex, self._resolution, self._config.crop_margin
        )
