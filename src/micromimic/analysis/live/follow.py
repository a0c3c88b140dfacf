"""What becomes of a frame: the face is followed, kept for seconds, movements spotted and named."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import event_of
from micromimic.analysis.live.messages import CurvePoint, FaceShape, LiveEvent, LiveMessage, Settled
from micromimic.analysis.second_pass import AnalyzeConfig, second_pass
from micromimic.core.canonical import MARGIN, UNITS, compose
from micromimic.face.cells import cell_boxes
from micromimic.face.signals import FaceRow, FaceSignals, signals_of
from micromimic.face.tracking import FaceTracker
from micromimic.media.frames import ColourImage, Frame, GrayImage
from micromimic.models.action_units import shipped_unit_model
from micromimic.models.onnx import RecognitionModel
from micromimic.motion.spotting.cells import Spotted
from micromimic.motion.spotting.live import Finding, LiveCurve, LiveSpotter, Sighting, Verdict

SLACK: Final = 2.0
"""Canonical units more than any picture of the face shows: it moves within an event."""

Colour = Callable[[], ColourImage]


@dataclass(frozen=True, slots=True, eq=False)
class RingFrame:
    number: int  # of the frame
    row: FaceRow  # what was measured; its transform is into the whole picture
    corner: tuple[int, int]  # (left, top) pixel of the cut in the picture
    gray: GrayImage  # (h, w) uint8, the cut
    colour: Colour | None  # makes the whole picture in RGB; None where colour is not needed
    nbytes: int  # memory that this takes


class FaceRing:
    """Cuts of recent frames, bounded in bytes. ``margin``: canonical units around the face that are
    kept."""

    def __init__(self, most_bytes: int, margin: float = MARGIN) -> None:
        self._most_bytes = most_bytes
        self._margin = margin + SLACK
        self._items: deque[RingFrame] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def nbytes(self) -> int:
        """Memory that the cuts take, a picture's colour included."""
        return self._bytes

    def add(self, number: int, gray: GrayImage, row: FaceRow, colour: Colour | None) -> None:
        left, top, right, bottom = face_box(row.transform, gray.shape, self._margin)
        cut = gray[top:bottom, left:right].copy()
        size = cut.nbytes + (0 if colour is None else 3 * gray.size)
        self._items.append(RingFrame(number, row, (left, top), cut, colour, size))
        self._bytes += size
        while self._bytes > self._most_bytes and len(self._items) > 1:
            self._drop()

    def trim(self, before: float) -> None:
        while self._items and self._items[0].row.time < before:
            self._drop()

    def clear(self) -> None:
        self._items.clear()
        self._bytes = 0

    def cut(self, first: float, last: float, segment: int) -> Cut | None:
        """The frames of one stretch between two times; None where there are fewer than two."""
        items = [
            item
            for item in self._items
            if first <= item.row.time <= last and item.row.segment == segment
        ]
        return Cut(items) if len(items) > 1 else None

    def _drop(self) -> None:
        self._bytes -= self._items.popleft().nbytes


def face_box(
    transform: NDArray[np.floating], shape: Sequence[int], margin: float
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom pixels of the face's square with a margin, within the picture.
    ``margin``: canonical units.

    >>> face_box(np.array([[2.0, 0, 50], [0, 2.0, 50]]), (100, 200), 1.0)
    (48, 48, 109, 100)
    """
    sides = -margin, UNITS + margin
    height, width = shape[0], shape[1]
    (left, right), (top, bottom) = (  # in plain numbers: it is asked for each frame
        (
            math.floor(shift + min(a * side for side in sides) + min(b * side for side in sides)),
            math.ceil(shift + max(a * side for side in sides) + max(b * side for side in sides))
            + 1,
        )
        for a, b, shift in transform.tolist()
    )
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))


class Cut:
    """Frames in a row, as the second pass over a video reads them."""

    def __init__(self, items: Sequence[RingFrame]) -> None:
        self._items = list(items)
        self.numbers = np.array([item.number for item in items], np.intp)
        """(n,) of the frames; they rise."""
        corners = np.array([item.corner for item in items])
        ends = corners + [item.gray.shape[::-1] for item in items]
        self._low, self._high = corners.min(0), ends.max(0)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        for index in indices:
            item = self._items[index]
            colour = None if item.colour is None else partial(self._coloured, item.colour)
            yield Frame(index, item.row.time, self._whole(item), colour)

    def signals(self) -> FaceSignals:
        """What was measured in them, a row a frame, in the cut's own pixels."""
        signals = signals_of([(item.row.time, item.row) for item in self._items])
        signals.transform[:, :, 2] -= self._low
        return signals

    def place_of(self, number: int) -> int:
        """Where a frame is, or the one nearest to it."""
        return int(np.abs(self.numbers - number).argmin())

    def _whole(self, item: RingFrame) -> GrayImage:
        """One frame's cut on the place that all of them share; its edges repeat."""
        left, top = item.corner - self._low
        right, bottom = self._high - item.corner - item.gray.shape[::-1]
        if not (left or top or right or bottom):
            return item.gray
        edges = (int(top), int(bottom), int(left), int(right))
        return np.asarray(cv2.copyMakeBorder(item.gray, *edges, cv2.BORDER_REPLICATE), np.uint8)

    def _coloured(self, colour: Colour) -> ColourImage:
        (left, top), (right, bottom) = self._low, self._high
        return np.ascontiguousarray(colour()[top:bottom, left:right])


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    seen: Sighting  # the movement
    cut: Cut  # its frames
    landmarks: NDArray[np.float64]  # (68, 2) of its stretch, canonical units


class Namer:
    def __init__(self, model: RecognitionModel, config: AnalyzeConfig) -> None:
        self._model = model
        self._units = shipped_unit_model()
        self._config = config
        self._numbers: dict[int, int] = {}
        self.events = 0
        self.withdrawn = 0

    def name(self, job: Naming, source_time: Callable[[], float]) -> LiveEvent:
        """The message for one movement; ``source_time`` is asked when it has been named."""
        seen = job.seen
        signals = replace(job.cut.signals(), landmarks={seen.segment: job.landmarks})
        places = [job.cut.place_of(number) for number in seen.frames]
        spotted = Spotted(places[0], places[1], places[2], seen.score, seen.dense)
        view = self._model.view
        [pictures] = second_pass(job.cut, signals, [spotted], self._config, view)
        event = event_of(spotted, pictures, signals, self._model, self._units)
        onset, apex, offset = seen.frames
        event = replace(event, interval=seen.interval, onset_frame=onset)
        event = replace(event, apex_frame=apex, offset_frame=offset)
        self.events += 1
        self._numbers[seen.number] = self.events
        delay = max(0.0, source_time() - seen.interval.offset)
        return LiveEvent(self.events, event, delay, seen.late, seen.segment)

    def settle(self, verdict: Verdict) -> Settled | None:
        """The message for a second look; None where the movement could not be named."""
        number = self._numbers.pop(verdict.number, None)
        if number is None:
            return None
        self.withdrawn += not verdict.kept
        return Settled(number, verdict.kept, verdict.reason)


LONGEST_SIDE: Final = 1280  # pixels; larger pictures are made smaller before anything else
AROUND_S: Final = 0.05
"""Seconds before the onset and after the offset that averaging may reach into."""


class Follower:
    """Follows one face and spots its movements, a frame at a time; used by one thread. ``name``:
    takes movements to be named, and second looks at them."""

    def __init__(
        self,
        tracker: FaceTracker,
        spotter: LiveSpotter,
        ring: FaceRing,
        emit: Callable[[LiveMessage], None],
        name: Callable[[Naming | Verdict], object],
        *,
        colour: bool,
    ) -> None:
        self._tracker, self._spotter, self._ring = tracker, spotter, ring
        self._emit, self._name = emit, name
        self._keep_colour = colour
        self._curve = LiveCurve(spotter.config)
        self._person = -1
        self.segment = -1  # stretch of tracking; -1 before a face was seen
        self._last: tuple[int, float, FaceRow | None, GrayImage | None] = (-1, 0.0, None, None)
        self.found = False  # the last frame showed the person who is watched
        self.other = False  # the last frame showed somebody else
        self.unnamed = 0  # movements whose frames were no longer held

    @property
    def learning(self) -> bool:
        """The noise of this face is being learnt."""
        return self._spotter.learning

    def track(self, frame: Frame, latency: Callable[[], float]) -> None:
        """Take the next frame: measure it, and emit the motion at once. ``latency``: seconds since
        it arrived, asked when its point of the curve is ready."""
        gray, shrink = smaller(frame.gray)
        row = self._tracker.update(gray, frame.time)
        row = None if row is None else self._watched(row)
        self.found = row is not None
        if row is not None and row.segment != self.segment:
            self.segment = row.segment
            self._curve.start_stretch()
            landmarks = self._tracker.shape_of(row.segment)
            self._emit(FaceShape(row.segment, landmarks, cell_boxes(landmarks)))
        if row is None:
            self._emit(CurvePoint(frame.index, frame.time, False, latency_s=latency()))
        else:
            score, cells = self._curve.point(frame.time, row.displacement)
            at, place = (frame.index, frame.time), row.transform.copy()
            if shrink != 1.0:
                place = compose(to_whole(shrink), place)
            self._emit(CurvePoint(*at, True, row.segment, score, cells, place, latency()))
            colour = _colour(frame, shrink) if self._keep_colour else None
            self._ring.add(frame.index, gray, row, colour)
        self._last = (frame.index, frame.time, row, self._tracker.canvas)

    def spot(self) -> None:
        """Look for movements, up to the frame that was tracked last."""
        self._forward(self._spotter.add(*self._last))
        self._ring.trim(self._spotter.keep_from(self._last[1]))

    def gap(self) -> None:
        """The source is gone for a while: no more future for what was seen."""
        self._forward(self._spotter.close())

    def finish(self) -> None:
        self._forward(self._spotter.finish())

    def release(self) -> None:
        """Give memory and threads back, however long the session itself is held."""
        self._spotter.release()
        self._ring.clear()

    def _watched(self, row: FaceRow) -> FaceRow | None:
        """A row of the person who is watched; None for others."""
        person = self._tracker.person_of(row.segment)
        chosen = self._tracker.chosen()
        self.other = person != chosen
        if self.other:
            return None
        if chosen != self._person:
            if self._person >= 0:
                self._forward(self._spotter.change_person())
                self._curve.forget_noise()
            self._person = chosen
        return row

    def _forward(self, findings: list[Finding]) -> None:
        for item in findings:
            if not isinstance(item, Sighting):
                self._name(item)
                continue
            span = item.interval
            cut = self._ring.cut(span.onset - AROUND_S, span.offset + AROUND_S, item.segment)
            # The offset is looked at only by models of whole volumes; late frames stand in for it.
            if cut is None or not set(item.frames[:2]) <= set(cut.numbers.tolist()):
                self.unnamed += 1
            else:
                self._name(Naming(item, cut, self._tracker.shape_of(item.segment)))


def _colour(frame: Frame, shrink: float) -> Colour:
    # Not of the frame itself: its grey picture would be held too.
    load, gray = frame.load_rgb, frame.gray
    if load is None:
        return lambda: np.repeat(_shrunk(gray, shrink)[..., None], 3, axis=2)
    return lambda: _shrunk(load(), shrink)


def smaller(gray: GrayImage) -> tuple[GrayImage, float]:
    """A picture of at most ``LONGEST_SIDE`` pixels a side, and the factor it was scaled by."""
    factor = LONGEST_SIDE / max(gray.shape)
    return (_shrunk(gray, factor), factor) if factor < 1 else (gray, 1.0)


def _shrunk(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    if factor == 1.0:
        return picture
    size = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def to_whole(factor: float) -> NDArray[np.float64]:
    """(2, 3) pixels of a scaled picture to those of the whole one; pixel centres are integers.

    >>> to_whole(0.5)
    array([[2. , 0. , 0.5],
           [0. , 2. , 0.5]])
    """
    scale = 1 / factor
    shift = 0.5 * scale - 0.5
    return np.array([[scale, 0.0, shift], [0.0, scale, shift]])
