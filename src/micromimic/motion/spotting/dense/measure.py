"""What came and went around each moment, over the whole face.

Half of (flow from ``lag`` seconds before) minus (flow to ``lag`` seconds after) is what a movement
there and back leaves and steady movement does not; where frames come unevenly, the nearer of the
two counts more, for the same end. The rigid part of a turning head is fitted away, and what is left
is kept as its coordinates in the space of action units: some hundred numbers a second and no
picture. Fields lie on a grid of one sample a canonical unit, ``MARGIN`` units wider than the face's
square on each side, as one row: first all of u, then all of v.

Source of the flow: Kroeger et al., ECCV 2016, doi 10.1007/978-3-319-46493-0_29 (DIS).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, MARGIN as CANVAS_MARGIN, MOUTH, UNITS
from micromimic.core.labels import REGIONS
from micromimic.face.units import RESOLUTION, UNIT_NAMES, depth_field, unit_fields

Array = NDArray[np.float64]
Floats = NDArray[np.floating]

MARGIN: Final = 4
GRID: Final = UNITS + 2 * MARGIN
DIMENSIONS: Final = 20
"""Of the space that is looked at: what the fields of all action units span, by and large."""
UNITS_SEEN: Final = ("1", "2", "4", "5", "6", "7", "9", "10", "12", "14", "15", "17")
"""Action units that are looked for, each side alone and both together."""
# Combinations that micro-expressions are made of.
TOGETHER: Final = (
    ("1", "2"), ("4", "7"), ("6", "12"), ("4", "9"), ("1", "2", "5"), ("4", "6"), ("9", "10"),
)  # fmt: skip
UNITS_SPANNING: Final = (*UNITS_SEEN, "20", "23", "24")
"""Action units whose fields span the space; the last ones are mouths that speak."""
REGION_OF: Final = {
    "1": "forehead", "2": "forehead", "4": "forehead", "5": "eyes", "6": "eyes", "7": "eyes",
    "9": "nose", "10": "mouth", "12": "mouth", "14": "mouth", "15": "mouth", "17": "chin",
}  # fmt: skip
FEW: Final = 8
"""Fields that are fitted at once: BLAS takes a second thread for larger products, which then waits
at full speed for more of them, ten times as long as they take."""
_RIDGE: Final = 1e-6
_APART: Final = 3  # every so many samples give the spread of all
_BELOW_EYES: Final = 10.0  # row of the canonical face; what lies above is pulled along by a blink


@dataclass(frozen=True)
class Head:
    """What head movement does to u, and to v alike, and how it is fitted away."""

    rigid: Floats  # (k, G * G) an affine map, by depth too
    weight: Floats  # (G * G,) where the face is
    products: Floats  # (G * G, k * k) of each two of ``rigid``
    first: Floats  # (G * G, k) the least-squares fit under ``weight`` alone

    @classmethod
    def of(cls, rigid: Array, weight: Array, kind: type[np.floating] = np.float64) -> Head:
        size = len(rigid)
        products = (rigid[:, None] * rigid[None]).reshape(size * size, -1).T
        normal = (weight @ products).reshape(size, size) + _RIDGE * np.eye(size)
        parts = (rigid, weight, products, np.linalg.solve(normal, weight * rigid).T)
        return cls(*(np.ascontiguousarray(part, kind) for part in parts))


@dataclass(frozen=True)
class Bank:
    """The fields that are looked for, in the space that they span."""

    basis: Array  # (d, 2 * G * G) orthonormal rows
    patterns: Array  # (p, d) fields of one unit's largest displacement, without their rigid part
    upper: Array  # (p,) share of each field's energy about brows and lids
    regions: NDArray[np.intp]  # (p,) each field's place in ``REGIONS``; -1 for combinations
    head: Head
    seen: NDArray[np.float32]  # (2 * G * G, d) the basis where the face is


@lru_cache(maxsize=1)
def bank() -> Bank:
    """The fields of `face.units` on the grid."""
    rows, columns = (np.mgrid[:GRID, :GRID] + 0.5 - GRID / 2) / GRID
    depth = _on_grid(depth_field())
    head = (np.ones_like(columns), columns, rows, depth / np.abs(depth).max())
    rigid = np.stack([field.ravel() for field in head])
    x, y = columns * GRID + UNITS / 2, rows * GRID + UNITS / 2
    face = np.exp(-((((x - MOUTH[0]) / 13) ** 4) + (((y - 12) / 15) ** 4)))
    weight = face.ravel()
    fields = unit_fields()
    forms = {unit: _forms(unit, fields) for unit in UNITS_SPANNING}
    spanning = np.array([field for unit in UNITS_SPANNING for field in forms[unit]])
    both = np.tile(weight, 2)
    exact = Head.of(rigid, weight)
    basis = _span(without_rigid(spanning, exact) * both)
    named = [(unit, field) for unit in UNITS_SEEN for field in forms[unit]]
    joint = [("", _joined([forms[unit][-1] for unit in units])) for units in TOGETHER]
    sought = np.array([field for _, field in named + joint])
    energy = (sought.reshape(len(sought), 2, GRID, GRID) ** 2).sum(1)
    regions = [REGIONS.index(REGION_OF[unit]) if unit else -1 for unit, _ in named + joint]
    return Bank(
        basis,
        _products(without_rigid(sought, exact) * both, basis),
        (energy * (y < _BELOW_EYES)).sum((1, 2)) / energy.sum((1, 2)),
        np.array(regions),
        Head.of(rigid, weight, np.float32),
        np.ascontiguousarray((basis * both).T, np.float32),
    )


def without_rigid(rows: Floats, head: Head, rounds: int = 3) -> Floats:
    """What is left of each field once head movement is fitted away, outliers counting little.
    ``rows``: (n, 2 * G * G)."""
    size, points = head.rigid.shape
    ridge = _RIDGE * np.eye(size, dtype=rows.dtype)
    results = np.empty_like(rows)
    for start in range(0, len(rows), FEW):
        part = rows[start : start + FEW].reshape(-1, points)
        left = part - (part @ head.first) @ head.rigid
        for _ in range(rounds - 1):
            spread = 1.48 * _middle(np.abs(left.reshape(-1, 2 * points)[:, ::_APART])) + 1e-3
            weights = left / (2 * np.repeat(spread, 2, axis=0))
            weights = head.weight / (1 + weights * weights)
            normal = (weights @ head.products).reshape(-1, size, size) + ridge
            fitted = np.linalg.solve(normal, ((weights * part) @ head.rigid.T)[..., None])[..., 0]
            left = part - fitted @ head.rigid
        results[start : start + FEW] = left.reshape(-1, 2 * points)
    return results


def _middle(rows: Floats) -> Floats:
    """(n, 1) the median of each row of an even number of values, none of them NaN: `np.median`
    takes twice the time for so few."""
    half = rows.shape[1] // 2
    halves = np.partition(rows, half, axis=1)
    middle = halves[:, :half].max(axis=1, keepdims=True) + halves[:, half : half + 1]
    return np.asarray(middle / 2)


def _on_grid(canvas: NDArray[np.floating]) -> Array:
    """A field of `face.units` (its last two axes) at one sample a unit."""
    step = int(RESOLUTION)
    cut = int(CANVAS_MARGIN) - MARGIN
    side = canvas.shape[-1] // step
    pooled = canvas.reshape(*canvas.shape[:-2], side, step, side, step).mean((-3, -1))
    return np.asarray(pooled[..., cut : cut + GRID, cut : cut + GRID], np.float64)


def _forms(unit: str, fields: NDArray[np.floating]) -> list[Array]:
    """An action unit as it is looked for: left, right and both sides, or the one in the middle."""
    names = [unit] if unit in UNIT_NAMES else [f"{unit}L", f"{unit}R"]
    sides = [_scaled(_on_grid(fields[UNIT_NAMES.index(name)]).ravel()) for name in names]
    return [*sides, _joined(sides)] if len(sides) == 2 else sides


def _joined(fields: Sequence[Array]) -> Array:
    return _scaled(np.sum(fields, axis=0))


def _scaled(field: Array) -> Array:
    return np.asarray(field / np.hypot(*field.reshape(2, -1)).max())


def _span(fields: Array) -> Array:
    """(d, 2 * G * G) their first principal directions."""
    even = fields / np.linalg.norm(fields, axis=1, keepdims=True)
    power, directions = np.linalg.eigh(_products(even, even))
    strongest = directions[:, : -DIMENSIONS - 1 : -1] / np.sqrt(power[: -DIMENSIONS - 1 : -1])
    return np.asarray(np.einsum("nd,ni->di", strongest, even))


def _products(a: Array, b: Array) -> Array:
    """``a @ b.T`` on one thread."""
    return np.asarray(np.einsum("ai,bi->ab", a, b))


Gray = NDArray[np.uint8]

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
        return DenseSignals(**{name: values[rows] for name, values in vars(self).items()})


class _Eyes(NamedTuple):
    """Both eyes' boxes: (2, k) grey levels about their median, and (2,) their spread."""

    levels: NDArray[np.float32]
    contrast: NDArray[np.float32]


class _Before(NamedTuple):
    """What lies a lag before a moment: the flow from there, its seconds, and the eyes there."""

    flow: NDArray[np.float32]
    seconds: float
    eyes: _Eyes


@dataclass(eq=False)
class _Row:
    """One row of `DenseSignals`; its response and lids come later."""

    frame: int
    time: float
    segment: int
    response: NDArray[np.float32]
    lids: float = 0.0


@dataclass
class _Moment:
    time: float
    segment: int
    face: Gray
    eyes: _Eyes
    row: _Row
    before: list[_Before | None]  # by lag; None where there is none, and once it was measured


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
        return np.asarray(pooled.transpose(2, 0, 1) * np.float32(1 / PIXELS)).ravel()


def small_face(canvas: Gray) -> Gray:
    """The face as flow sees it. ``canvas``: (S, S) the stabilised face with its full margin, as
    tracking leaves it."""
    cut = round(len(canvas) * (CANVAS_MARGIN - MARGIN) / (GRID + 2 * (CANVAS_MARGIN - MARGIN)))
    side = GRID * PIXELS
    face = canvas[cut : len(canvas) - cut, cut : len(canvas) - cut]
    return np.asarray(cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


class DenseMeter:
    """Measures as frames come; a thread of its own computes the flow. ``keep_s``: seconds of
    moments that are kept, for sessions without an end; None keeps all."""

    def __init__(self, keep_s: float | None = None) -> None:
        self._keep_s = keep_s
        self._bank = bank()
        self._flow = FlowMeter()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="micromimic-flow")
        self._waiting: deque[Future[None]] = deque()
        self._recent: deque[_Moment] = deque()
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
        shape = len(rows), len(LAGS), len(self._bank.basis)
        responses = [np.zeros((0, shape[2]), np.float32), *(row.response for row in rows)]
        return DenseSignals(
            np.array([row.frame for row in rows], np.intp),
            np.array([row.time for row in rows], np.float64),
            np.array([row.segment for row in rows], np.intp),
            np.concatenate(responses).reshape(shape),
            np.array([row.lids for row in rows], np.float64),
        )

    def finish(self) -> DenseSignals:
        measured = self.signals()
        self._pool.shutdown()
        return measured

    def close(self) -> None:
        """Let go of the thread; what was measured is lost."""
        self._pool.shutdown(cancel_futures=True)

    def _take(self, frame: int, time: float, segment: int, face: Gray) -> None:
        if self._recent and self._recent[-1].segment != segment:
            self._recent.clear()
        response = np.full((len(LAGS), len(self._bank.basis)), np.nan, np.float32)
        row = _Row(frame, time, segment, response)
        now = _Moment(time, segment, face, _eyes_of(face), row, [None] * len(LAGS))
        self._rows.append(row)
        while self._keep_s is not None and time - self._rows[0].time > self._keep_s:
            self._rows.popleft()
        span = self._recent[-1].time - self._recent[0].time if self._recent else 0.0
        step = span / max(1, len(self._recent) - 1)
        for place, lag in enumerate(LAGS if self._recent else ()):
            off = max(_OFF * lag, 0.501 * step)
            then = min(self._recent, key=lambda m: abs(time - lag - m.time))
            if abs(time - lag - then.time) <= off:
                flow = self._flow(then.face, face)
                now.before[place] = _Before(flow, time - then.time, then.eyes)
                self._measure(then, place, now, flow)
            # Where frames come unevenly, some are nobody's nearest.
            for passed in self._recent:
                if passed.time < then.time and passed.before[place] is not None:
                    due = passed.time + lag
                    after = min(self._recent[-1], now, key=lambda m: abs(m.time - due))
                    if abs(after.time - due) <= off:
                        flow = self._flow(passed.face, after.face)
                        self._measure(passed, place, after, flow)
        self._recent.append(now)
        while time - self._recent[0].time > LAGS[-1] * (1 + _OFF):
            self._recent.popleft()
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
        # How much more the eyes differ from both neighbours than these differ from each other.
        first, now, last = (eyes.levels for eyes in (before.eyes, moment.eyes, after.eyes))
        apart = np.abs(now - first) + np.abs(now - last) - np.abs(last - first)
        contrast = before.eyes.contrast + after.eyes.contrast + 10.0
        lids = float((apart.sum(axis=1) / contrast).sum()) / apart.size
        moment.row.lids = max(moment.row.lids, lids)

    def _project(self) -> None:
        if not self._raw:
            return
        rows = project(np.stack([flow for _, _, flow in self._raw]), self._bank)
        for (row, place, _), coordinates in zip(self._raw, rows, strict=True):
            row.response[place] = coordinates
        self._raw.clear()


def project(flows: NDArray[np.floating], bank: Bank) -> NDArray[np.float32]:
    """(n, d) coordinates of (n, 2 * G * G) flows, without what head movement explains."""
    left = without_rigid(np.asarray(flows, np.float32), bank.head)
    return np.concatenate([left[i : i + FEW] @ bank.seen for i in range(0, len(left), FEW)])


def unit_amplitudes(signals: DenseSignals) -> Array:
    """(n, 12) by ``UNITS_SEEN``: how far each unit alone would have moved the face there and back
    about each moment, on the side that fits best; canonical units, NaN where nothing is known."""
    here = bank()
    response = np.asarray(signals.response, np.float64).mean(1)
    power = (here.patterns**2).sum(1)
    alone = _products(response, here.patterns / power[:, None])
    fits = alone * np.sqrt(power)
    sizes = [1 if unit in UNIT_NAMES else 3 for unit in UNITS_SEEN]  # as `_forms` makes them
    amplitudes, first = [], 0
    for size in sizes:
        forms = slice(first, first + size)
        best = fits[:, forms].argmax(1)[:, None]
        amplitudes.append(np.take_along_axis(alone[:, forms], best, axis=1)[:, 0])
        first += size
    return np.stack(amplitudes, axis=1)


def _eyes_of(face: Gray) -> _Eyes:
    boxes = []
    for x, y in (EYE_RIGHT, EYE_LEFT):
        columns, rows = (
            slice(int((at + MARGIN - half) * PIXELS), int((at + MARGIN + half) * PIXELS))
            for at, half in zip((x, y), _EYE_BOX, strict=True)
        )
        boxes.append(face[rows, columns])
    levels = np.reshape(boxes, (2, -1)).astype(np.float32)
    levels -= _middle(levels)
    return _Eyes(levels, levels.std(axis=1))
