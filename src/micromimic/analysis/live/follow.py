"""What the tracking thread does with a frame: follow the face, spot, hand on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.live.messages import CurvePoint, FaceShape, LiveMessage
from micromimic.analysis.live.naming import Naming
from micromimic.analysis.live.ring import FaceRing
from micromimic.core.canonical import compose
from micromimic.face.regions import cell_boxes
from micromimic.face.signals import FaceRow
from micromimic.face.tracking import FaceTracker
from micromimic.media.frames import Frame, GrayImage
from micromimic.motion.spotting.live import Finding, LiveSpotter, Sighting, Verdict
from micromimic.motion.spotting.live_curve import LiveCurve

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
        tell: Callable[[LiveMessage], None],
        name: Callable[[Naming | Verdict], object],
        *,
        colour: bool,
    ) -> None:
        self._tracker, self._spotter, self._ring = tracker, spotter, ring
        self._tell, self._name = tell, name
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
        """Take the next frame: measure it, and tell the motion at once. ``latency``: seconds since
        it arrived, asked when its point of the curve is ready."""
        gray, shrink = smaller(frame.gray)
        row = self._tracker.update(gray, frame.time)
        row = None if row is None else self._watched(row)
        self.found = row is not None
        if row is not None and row.segment != self.segment:
            self._lock_on(row.segment)
        self._tell(self._point(frame, row, shrink, latency))
        if row is not None:
            colour = self._colour(frame, shrink) if self._keep_colour else None
            self._ring.add(frame.index, gray, row, colour)
        self._last = (frame.index, frame.time, row, self._tracker.canvas)

    def spot(self) -> None:
        """Look for movements, up to the frame that was tracked last."""
        self._hand_on(self._spotter.add(*self._last))
        self._ring.trim(self._spotter.keep_from(self._last[1]))

    def gap(self) -> None:
        """The source is gone for a while: no more future for what was seen."""
        self._hand_on(self._spotter.close())

    def finish(self) -> None:
        """The source has ended."""
        self._hand_on(self._spotter.finish())

    def let_go(self) -> None:
        """Give memory and threads back, however long the session itself is held."""
        self._spotter.let_go()
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
                self._hand_on(self._spotter.change_person())
                self._curve.forget_noise()
            self._person = chosen
        return row

    def _lock_on(self, segment: int) -> None:
        self.segment = segment
        self._curve.start_stretch()
        landmarks = self._tracker.shape_of(segment)
        self._tell(FaceShape(segment, landmarks, cell_boxes(landmarks)))

    def _point(
        self, frame: Frame, row: FaceRow | None, shrink: float, latency: Callable[[], float]
    ) -> CurvePoint:
        if row is None:
            return CurvePoint(frame.index, frame.time, False, latency_s=latency())
        score, cells = self._curve.point(frame.time, row.displacement)
        transform = compose(to_whole(shrink), row.transform)
        return CurvePoint(
            frame.index, frame.time, True, row.segment, score, cells, transform, latency()
        )

    def _colour(self, frame: Frame, shrink: float) -> Callable[[], NDArray[np.uint8]]:
        # Not the frame itself: its grey picture would be held too.
        load, gray = frame.load_rgb, frame.gray
        if load is None:
            return lambda: np.repeat(_shrunk(gray, shrink)[..., None], 3, axis=2)
        return lambda: _shrunk(load(), shrink)

    def _hand_on(self, findings: list[Finding]) -> None:
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
