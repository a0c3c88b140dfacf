"""What tracking measures in each frame, as columns that grow without keeping any picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import INTEROCULAR, scale_of
from micromimic.core.labels import CELLS
from micromimic.core.types import FaceTrack

N_CELLS = len(CELLS)
_FIELDS: dict[str, tuple[int, ...]] = {
    "displacement": (N_CELLS, 2),
    "eye_change": (),
    "brightness": (),
    "similarity": (),
    "transform": (2, 3),
}
_TYPES = {name: np.float64 if name == "transform" else np.float32 for name in _FIELDS}


@dataclass(frozen=True)
class FaceSignals:
    """Measurements of one person's face, a row a frame; NaN where the face is lost."""

    times: NDArray[np.float64]  # (T,) seconds
    segments: NDArray[np.int_]  # (T,) number of the unbroken stretch; -1 where lost
    # (T, 10, 2) of the cells, canonical units, relative to the stretch's start
    displacement: NDArray[np.float32]
    # (T,) change of the eyes' boxes from the current template, in shares of their contrast
    eye_change: NDArray[np.float32]
    brightness: NDArray[np.float32]  # (T,) mean grey level of the face's rigid parts
    similarity: NDArray[np.float32]  # (T,) correlation of the rigid parts with the template
    transform: NDArray[np.float64]  # (T, 2, 3) canonical units to image pixels
    landmarks: dict[int, NDArray[np.float64]]  # by segment, (68, 2) canonical units
    others_seen: int = 0  # further people seen

    @property
    def found(self) -> NDArray[np.bool_]:
        """(T,) where the face is tracked."""
        return np.asarray(self.segments >= 0)

    def pixels_per_unit(self) -> NDArray[np.float64]:
        """(T,) image pixels a canonical unit; NaN where lost."""
        return scale_of(self.transform)

    def interocular(self) -> NDArray[np.float64]:
        """(T,) distance between the eyes in pixels; NaN where lost."""
        return self.pixels_per_unit() * INTEROCULAR

    def track(self) -> FaceTrack:
        """The landmarks and boxes in image pixels: each stretch's landmarks, carried along."""
        n = len(self.times)
        landmarks = np.full((n, 68, 2), np.nan, np.float32)
        for segment, points in self.landmarks.items():
            rows = np.flatnonzero(self.segments == segment)
            moved = np.einsum("tij,pj->tpi", self.transform[rows, :, :2], points)
            landmarks[rows] = moved + self.transform[rows, None, :, 2]
        boxes = np.concatenate([landmarks.min(1), landmarks.max(1)], axis=1)
        return FaceTrack(self.times, boxes, landmarks, self.found, self.transform, self.segments)


@dataclass(frozen=True, slots=True, eq=False)
class FaceRow:
    """What tracking measured in one frame: one row of ``FaceSignals``."""

    time: float  # seconds
    segment: int  # number of the unbroken stretch
    displacement: NDArray[np.float32]  # (10, 2) of the cells, canonical units
    eye_change: float  # as in ``FaceSignals``
    brightness: float
    similarity: float
    transform: NDArray[np.float64]  # (2, 3) canonical units to image pixels

    def columns(self) -> dict[str, Any]:
        """What was measured, by the names of the columns of ``FaceSignals``."""
        return {name: getattr(self, name) for name in _FIELDS}


def signals_of(rows: Sequence[tuple[float, FaceRow | None]]) -> FaceSignals:
    """Rows of one person, put together. ``rows``: seconds and what was measured then; None where
    the face is lost.

    >>> signals_of([(0.0, None)]).found
    array([False])
    """
    n = len(rows)
    places = [i for i, (_, row) in enumerate(rows) if row is not None]
    measured = [row for _, row in rows if row is not None]
    columns: dict[str, Any] = {}
    for name, shape in _FIELDS.items():
        column = np.full((n, *shape), np.nan, _TYPES[name])
        if measured:
            column[places] = [getattr(row, name) for row in measured]
        columns[name] = column
    segments = np.full(n, -1, np.int_)
    segments[places] = [row.segment for row in measured]
    times = np.array([time for time, _ in rows], np.float64)
    return FaceSignals(times=times, segments=segments, landmarks={}, **columns)


class SignalLog:
    """Collects rows; blocks of arrays, so that ten minutes at 200 fps are some 40 MB. ``keep_s``:
    seconds of rows to keep (a block more); None keeps all.

    >>> log = SignalLog()
    >>> log.lost(0.0)
    >>> len(log)
    1
    """

    BLOCK = 4096

    def __init__(self, keep_s: float | None = None) -> None:
        self._keep_s = keep_s
        self._blocks: list[dict[str, NDArray[np.float64]]] = []
        self._times: list[float] = []
        self._segments: list[int] = []

    def __len__(self) -> int:
        return len(self._times)

    def first_segment(self) -> int:
        """The earliest stretch of tracking that rows are kept of; -1 where there is none."""
        return min((s for s in self._segments if s >= 0), default=-1)

    def lost(self, time: float) -> None:
        """A frame without the face."""
        self._row(time, -1)

    def found(self, time: float, segment: int, **values: float | NDArray[np.floating]) -> None:
        """A frame with the face: one value for each of the columns."""
        block, row = self._row(time, segment)
        for name, value in values.items():
            block[name][row] = value

    def _row(self, time: float, segment: int) -> tuple[dict[str, NDArray[np.float64]], int]:
        row = len(self._times) % self.BLOCK
        if row == 0:
            self._forget(time)
            self._blocks.append(
                {
                    name: np.full((self.BLOCK, *shape), np.nan, _TYPES[name])
                    for name, shape in _FIELDS.items()
                }
            )
        self._times.append(time)
        self._segments.append(segment)
        return self._blocks[-1], row

    def _forget(self, now: float) -> None:
        """Let whole blocks go that are older than what is to be kept."""
        if self._keep_s is None:
            return
        while self._blocks and self._times[self.BLOCK - 1] < now - self._keep_s:
            del self._blocks[0], self._times[: self.BLOCK], self._segments[: self.BLOCK]

    def signals(
        self,
        keep: set[int],
        landmarks: dict[int, NDArray[np.float64]],
        others_seen: int,
    ) -> FaceSignals:
        """Everything collected, with only the segments to ``keep`` counted as found."""
        n = len(self)
        columns: dict[str, Any] = {
            name: np.concatenate([block[name] for block in self._blocks])[:n]
            if self._blocks
            else np.zeros((0, *shape))
            for name, shape in _FIELDS.items()
        }
        segments = np.array(self._segments, dtype=np.int_)
        gone = ~np.isin(segments, sorted(keep))
        segments[gone] = -1
        for column in columns.values():
            column[gone] = np.nan
        return FaceSignals(
            times=np.array(self._times, dtype=np.float64),
            segments=segments,
            landmarks={s: p for s, p in landmarks.items() if s in keep},
            others_seen=others_seen,
            **columns,
        )
