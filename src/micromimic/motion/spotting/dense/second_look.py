"""The second look: does a movement come, and does it go?

The frames around a candidate are read again at the recording's full rate, and flow from its apex to
each of them is projected on the pattern that it looks like. To that curve raised cosines of all
widths are fitted, each half with its own, over a line; the best is onset, apex and offset. It has
to explain a good part of the curve, and a lasting change must not explain it better - or a
good part of what the best lasting change leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.face.align import face_canvas
from micromimic.face.signals import FaceSignals
from micromimic.media.again import look_at
from micromimic.media.frames import Frame, Frames
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.dense.candidates import DenseCandidate
from micromimic.motion.spotting.dense.measure import FlowMeter, Gray, bank, project, small_face

Array = NDArray[np.float64]

Seen = NDArray[np.float32]
"""(d,) coordinates of the flow from a candidate's frame to another."""

RESOLUTION: Final = 4.0  # canvas pixels a unit, as in tracking
_APEXES: Final = (-0.08, -0.04, 0.0, 0.04, 0.08)
"""Seconds from the candidate at which its apex may lie."""
_HALVES: Final = (0.04, 0.08, 0.12, 0.17, 0.23, 0.3)
"""Seconds from onset to apex, and from apex to offset."""
_STEPS: Final = (0.06, 0.15, 0.3)  # seconds that a lasting change takes, about half of it
_LEAST_SHARE: Final = 0.4  # of the curve's spread about a line that the movement explains
_LEAST_BEYOND: Final = (0.3, 0.03)  # of what a lasting change leaves of it, and of all of it
_LARGEST_RATIO: Final = 1.2  # of what the movement leaves unexplained to what a lasting change does
_RATE: Final = 60.0  # frames a second that are looked at, about
_LEAST_S: Final = 0.2
"""Seconds before and after the apex without which nothing is seen to come or to go."""


@dataclass(frozen=True)
class Movement:
    candidate: DenseCandidate  # what was found first
    onset: int  # numbers of frames
    apex: int
    offset: int
    reason: str  # why it is no event, as in ``results.Rejected``; '' where it is one
    beyond: bool = False  # it stands out of a lasting change only

    @property
    def clear(self) -> bool:
        """It comes and goes, and nothing else goes on."""
        return not self.reason and not self.beyond


def look_again(
    frames: Frames,
    signals: FaceSignals,
    candidates: Sequence[DenseCandidate],
    filters: Array,
    rate: float,
    config: SpottingConfig,
    *,
    threads: int = 1,
    known: dict[int, Seen] | None = None,
) -> list[Movement]:
    """Look at each candidate again, by time. ``filters``: (p, d) as in ``noise.Judged``; ``known``:
    of a single candidate, by row, what earlier looks have seen; what this one sees is added."""
    ordered = sorted(candidates, key=lambda item: item.frame)
    looks = [
        _Look(item, signals, filters[item.pattern], rate, config, {} if known is None else known)
        for item in ordered
    ]
    return list(look_at(frames, looks, threads))


class _Look:
    """One candidate's frames, as they come."""

    def __init__(
        self,
        item: DenseCandidate,
        signals: FaceSignals,
        pattern: Array,
        rate: float,
        config: SpottingConfig,
        known: dict[int, Seen],
    ) -> None:
        self._item, self._span, self._signals = item, _span(item, signals, config), signals
        self._pattern, self._rate, self._config = pattern, rate, config
        self._known = known
        self._new = [row for row in self._span.tolist() if row not in known]
        self.rows: Sequence[int] = sorted({item.frame, *self._new})
        self._faces: dict[int, Gray] = {}

    def take(self, frame: Frame) -> None:
        canvas = face_canvas(frame.gray, self._signals.transform[frame.index], RESOLUTION)
        self._faces[frame.index] = small_face(canvas)

    def end(self) -> Movement:
        faces, meter = self._faces, FlowMeter()
        flows = [meter(faces[self._item.frame], faces[row]) for row in self._new]
        self._faces = {}
        if flows:
            self._known.update(zip(self._new, project(np.stack(flows), bank()), strict=True))
        curve = np.stack([self._known[row] for row in self._span.tolist()]) @ self._pattern
        times = self._signals.times
        return _read(self._item, self._span, curve, times, self._rate, self._config)


def _span(item: DenseCandidate, signals: FaceSignals, config: SpottingConfig) -> NDArray[np.intp]:
    """Frames of the same stretch that the movement is judged by."""
    times = signals.times
    near = np.abs(times - times[item.frame]) <= config.reach
    rows = np.flatnonzero(near & signals.found & (signals.segments == signals.segments[item.frame]))
    step = (times[rows[-1]] - times[rows[0]]) / max(1, len(rows) - 1)
    apart = max(1, round(1 / (_RATE * step))) if step > 0 else 1
    return np.asarray(rows[int(np.searchsorted(rows, item.frame)) % apart :: apart])


def _read(
    item: DenseCandidate,
    span: NDArray[np.intp],
    curve: Array,
    times: Array,
    rate: float,
    config: SpottingConfig,
) -> Movement:
    at = times[item.frame]
    if min(at - times[span[0]], times[span[-1]] - at) < _LEAST_S:
        return Movement(item, item.frame, item.frame, item.frame, "lost")
    even = np.arange(times[span[0]], times[span[-1]] + 0.5 / rate, 1 / rate)
    level = np.interp(even, times[span], curve)
    shape, stands_out, beyond = _fit(even - at, level)
    frames = [int(span[np.argmin(np.abs(times[span] - at - moment))]) for moment in shape]
    if not stands_out or shape[2] - shape[0] > config.longest:
        reason = "macro"
    else:
        reason = "" if frames[0] < frames[1] < frames[2] else "short"
    return Movement(item, frames[0], frames[1], frames[2], reason, beyond)


def _fit(t: Array, level: Array) -> tuple[tuple[float, float, float], bool, bool]:
    """Onset, apex and offset of the best movement, whether it is one, and beyond a lasting change.
    ``t``: (n,) seconds from the candidate; ``level``: (n,) the curve."""
    line = np.linalg.qr(np.stack([np.ones_like(t), t], axis=1))[0]
    movements = [(a - rise, a, a + fall) for a, rise, fall in product(_APEXES, _HALVES, _HALVES)]
    onset, apex, offset = np.array(movements).T[:, :, None]
    x = np.where(t < apex, (t - apex) / (apex - onset), (t - apex) / (offset - apex))
    shapes = np.where(np.abs(x) < 1, 0.5 + 0.5 * np.cos(np.pi * x), 0.0)
    moments = np.arange(-0.3, 0.31, 0.06)
    steps = np.array([np.tanh((t - moment) / width) for moment in moments for width in _STEPS])
    best, share = _best(shapes, level, line, rising=True)
    step, lasting = _best(steps, level, line, rising=False)
    if share >= _LEAST_SHARE and 1 - share <= _LARGEST_RATIO * (1 - lasting):
        return movements[best], True, False
    beyond, left = _best(shapes, level, np.linalg.qr(np.c_[line, steps[step]])[0], rising=True)
    if left >= _LEAST_BEYOND[0] and left * (1 - lasting) >= _LEAST_BEYOND[1]:
        return movements[beyond], True, True
    return movements[best], False, False


def _best(shapes: Array, level: Array, basis: Array, *, rising: bool) -> tuple[int, float]:
    """Which of (m, n) shapes explains most of what the basis leaves of a curve, and the share.
    ``level``: (n,) the curve; ``basis``: (n, k) orthonormal; fitted to both first."""
    left = level - basis @ (basis.T @ level)
    own = shapes - (shapes @ basis) @ basis.T
    power = (own**2).sum(1) + 1e-9
    height = own @ left / power
    explained = np.where((height > 0) | (not rising), height**2 * power, -1.0)
    best = int(explained.argmax())
    return best, float(explained[best] / ((left**2).sum() + 1e-12))
