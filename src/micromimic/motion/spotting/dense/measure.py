"""What came and went around each moment, over the whole face.

Half of (flow from ``lag`` seconds before) minus (flow to ``lag`` seconds after) is what a movement
there and back leaves and steady movement does not; where frames come unevenly, the nearer of the
two counts more, for the same end. The rigid part of a turning head is fitted away, and what is left
is kept as its coordinates in the space of action units: some hundred numbers a second and no
picture.

Source of the flow: Kroeger et al., ECCV 2016, doi 10.1007/978-3-319-46493-0_29 (DIS).
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, MARGIN as CANVAS_MARGIN
from micromimic.motion.spotting.dense.patterns import FEW, GRID, MARGIN, Bank, bank, without_rigid

Gray = NDArray[np.uint8]
Array = NDArray[np.float64]

LAGS: Final = (0.12, 0.2)  # seconds before and after a moment that it is compared with
RATE: Final = 24.0
"""Moments a second that are looked at, or as few more as frames come; others are passed over."""
PIXELS: Final = 2  # of the pictures that flow is computed of, a canonical unit
_OFF: Final = 0.25
"""Share of a lag by which a frame may lie beside it, or half a step between frames if that is more:
at 12 frames/s there is none nearer."""
_STEPS: Final = 15  # steps between frames whose median says how many frames are passed over
_AHEAD: Final = 8  # frames that may wait for their flow
_EYE_BOX: Final = (3.0, 2.0)  # half width and half height of an eye's box, canonical units


@dataclass(frozen=True)
class DenseSignals:
    """What came and went, moment by moment."""

    frames: NDArray[np.intp]  # (n,) numbers of the frames looked at
    times: Array  # (n,) their seconds
    segments: NDArray[np.intp]  # (n,) stretch of tracking
    # (n, lags, d) coordinates in the space of `patterns.bank`, canonical units; NaN where a frame
    # before or after is missing
    response: NDArray[np.float32]
    lids: Array  # (n,) how much the eyes' boxes came and went, in shares of their contrast

    def only(self, rows: NDArray[np.bool_]) -> DenseSignals:
        """Some of the moments."""
        return DenseSignals(
            self.frames[rows],
            self.times[rows],
            self.segments[rows],
            self.response[rows],
            self.lids[rows],
        )


class _Eyes(NamedTuple):
    """Both eyes' boxes: (2, k) grey levels about their median, and (2,) their spread."""

    levels: NDArray[np.float32]
    contrast: NDArray[np.float32]


@dataclass
class _Before:
    """What lies a lag before a moment: the flow from there, its seconds, and the eyes there."""

    flow: NDArray[np.float32]
    seconds: float
    eyes: _Eyes


@dataclass(frozen=True, eq=False)
class _Row:
    """One row of `DenseSignals`; its response and lids come later."""

    frame: int
    time: float
    segment: int
    response: NDArray[np.float32]
    lids: list[float]


@dataclass
class _Moment:
    time: float
    segment: int
    face: Gray
    eyes: _Eyes
    row: _Row
    before: list[_Before | None]
    """For each lag; None where there is none, and once the moment has been measured."""


class FlowMeter:
    """Dense flow between two small faces; not for two threads at once."""

    def __init__(self) -> None:
        self._solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        # One scale in 8 steps takes two thirds of the time; with it more is found by chance.
        self._solver.setFinestScale(0)
        self._solver.setVariationalRefinementIterations(3)

    def __call__(self, first: Gray, second: Gray) -> NDArray[np.float32]:
        """(2 * G * G,) canonical units from the first face to the second."""
        flow = self._solver.calc(first, second, None)
        pooled = cv2.resize(flow, (GRID, GRID), interpolation=cv2.INTER_AREA)
        return np.asarray(np.moveaxis(pooled, -1, 0).ravel() / PIXELS, np.float32)


def small_face(canvas: Gray) -> Gray:
    """The face as flow sees it. ``canvas``: (S, S) the stabilised face with its full margin, as
    tracking leaves it."""
    cut = round(len(canvas) * (CANVAS_MARGIN - MARGIN) / (GRID + 2 * (CANVAS_MARGIN - MARGIN)))
    side = GRID * PIXELS
    face = canvas[cut : len(canvas) - cut, cut : len(canvas) - cut]
    return np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


class DenseMeter:
    """Measures as frames come; a thread of its own computes the flow. ``keep_s``: seconds of
    moments that are kept, for sessions without an end; None keeps all.

    >>> meter = DenseMeter()
    >>> for frame in range(20):
    ...     meter.add(frame, frame / 25.0, 0, np.full((168, 168), 90, np.uint8))
    >>> meter.finish().response.shape
    (20, 2, 20)
    """

    def __init__(self, keep_s: float | None = None) -> None:
        self._keep_s = keep_s
        self._bank = bank()
        self._flow = FlowMeter()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="micromimic-flow")
        self._waiting: deque[Future[None]] = deque()
        self._kept: deque[_Moment] = deque()
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._last: float | None = None
        self._taken = -np.inf
        self._rows: deque[_Row] = deque()
        self._raw: list[tuple[_Row, int, NDArray[np.float32]]] = []

    def add(self, frame: int, time: float, segment: int, canvas: Gray) -> None:
        """Take the next frame that shows the face. ``canvas``: (S, S) the stabilised face."""
        if self._last is not None:
            self._steps.append(time - self._last)
            step = median(self._steps)
            if time - self._taken < (max(1, int(1 / (RATE * step) + 0.05)) - 0.5) * step:
                self._last = time
                return
        self._last = time
        self._taken = time
        while len(self._waiting) >= _AHEAD:
            self._waiting.popleft().result()
        face = small_face(canvas)
        self._waiting.append(self._pool.submit(self._take, frame, time, segment, face))

    def signals(self) -> DenseSignals:
        """All that was measured and is kept, up to the frame that was taken last."""
        while self._waiting:
            self._waiting.popleft().result()
        self._project()
        rows = self._rows
        empty = np.zeros((0, len(LAGS), len(self._bank.basis)), np.float32)
        return DenseSignals(
            np.array([row.frame for row in rows], np.intp),
            np.array([row.time for row in rows], np.float64),
            np.array([row.segment for row in rows], np.intp),
            np.stack([row.response for row in rows]) if rows else empty,
            np.array([max(row.lids, default=0.0) for row in rows], np.float64),
        )

    def finish(self) -> DenseSignals:
        """``signals``, and the thread is let go."""
        measured = self.signals()
        self._pool.shutdown()
        return measured

    def close(self) -> None:
        """Let go of the thread; what was measured is lost."""
        self._pool.shutdown(cancel_futures=True)

    def _take(self, frame: int, time: float, segment: int, face: Gray) -> None:
        if self._kept and self._kept[-1].segment != segment:
            self._kept.clear()
        response = np.full((len(LAGS), len(self._bank.basis)), np.nan, np.float32)
        row = _Row(frame, time, segment, response, [])
        now = _Moment(time, segment, face, _eyes_of(face), row, [None] * len(LAGS))
        self._rows.append(row)
        while self._keep_s is not None and time - self._rows[0].time > self._keep_s:
            self._rows.popleft()
        span = self._kept[-1].time - self._kept[0].time if self._kept else 0.0
        step = span / max(1, len(self._kept) - 1)
        for place, lag in enumerate(LAGS if self._kept else ()):
            off = max(_OFF * lag, 0.501 * step)
            then = min(self._kept, key=lambda m: abs(time - lag - m.time))
            if abs(time - lag - then.time) <= off:
                flow = self._flow(then.face, face)
                now.before[place] = _Before(flow, time - then.time, then.eyes)
                self._measure(then, place, now, flow)
            # Where frames come unevenly, some are nobody's nearest.
            for passed in self._kept:
                if passed.time < then.time and passed.before[place] is not None:
                    due = passed.time + lag
                    after = min(self._kept[-1], now, key=lambda m: abs(m.time - due))
                    if abs(after.time - due) <= off:
                        flow = self._flow(passed.face, after.face)
                        self._measure(passed, place, after, flow)
        self._kept.append(now)
        while time - self._kept[0].time > LAGS[-1] * (1 + _OFF):
            self._kept.popleft()
        if len(self._raw) >= FEW:
            self._project()

    def _measure(
        self, moment: _Moment, place: int, after: _Moment, flow: NDArray[np.float32]
    ) -> None:
        """What came and went about a moment, by the flow from it to one a lag after."""
        before, moment.before[place] = moment.before[place], None
        if before is None:
            return
        seconds = after.time - moment.time
        share = np.float32(seconds / (before.seconds + seconds))
        self._raw.append((moment.row, place, share * before.flow - (1 - share) * flow))
        moment.row.lids.append(_lid_change(before.eyes, moment.eyes, after.eyes))

    def _project(self) -> None:
        if not self._raw:
            return
        rows = project(np.stack([flow for _, _, flow in self._raw]), self._bank)
        for (row, place, _), coordinates in zip(self._raw, rows, strict=True):
            row.response[place] = coordinates
        self._raw.clear()


def project(flows: NDArray[np.floating], bank: Bank) -> Array:
    """(n, d) coordinates of (n, 2 * G * G) flows, without what head movement explains."""
    rigid, weight = bank.rigid.astype(np.float32), bank.weight.astype(np.float32)
    seen = (bank.basis * np.tile(bank.weight, 2)).astype(np.float32).T
    left = without_rigid(np.asarray(flows, np.float32), rigid, weight)
    parts = [left[i : i + FEW] @ seen for i in range(0, len(left), FEW)]
    return np.concatenate(parts)


def _eyes_of(face: Gray) -> _Eyes:
    boxes = []
    for x, y in (EYE_RIGHT, EYE_LEFT):
        columns, rows = (
            slice(int((at + MARGIN - half) * PIXELS), int((at + MARGIN + half) * PIXELS))
            for at, half in zip((x, y), _EYE_BOX, strict=True)
        )
        boxes.append(face[rows, columns])
    levels = np.reshape(boxes, (2, -1)).astype(np.float32)
    levels -= np.median(levels, axis=1, keepdims=True)
    return _Eyes(levels, levels.std(axis=1))


def _lid_change(before: _Eyes, now: _Eyes, after: _Eyes) -> float:
    """How much more the eyes differ from both neighbours than these differ from each other."""
    apart = np.abs(now.levels - before.levels) + np.abs(now.levels - after.levels)
    apart -= np.abs(after.levels - before.levels)
    contrast = (before.contrast + after.contrast) / 2 + 5.0
    return float((apart.mean(axis=1) / 2 / contrast).mean())
