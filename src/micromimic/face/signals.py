"""What tracking measures in each frame, as columns that grow without keeping any picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import INTEROCULAR, scale_of
from micromimic.core.labels import CELLS
from micromimic.core.types import FaceTrack

N_CELLS = len(CELLS)
_ROW: Final = np.dtype(
    [
        ("time", np.float64),
        ("segment", np.int_),
        ("displacement", np.float32, (N_CELLS, 2)),
        ("eye_change", np.float32),
        ("brightness", np.float32),
        ("similarity", np.float32),
        ("transform", np.float64, (2, 3)),
    ]
)
_MEASURED: Final = ("displacement", "eye_change", "brightness", "similarity", "transform")
_LOST: Final = np.zeros((), _ROW)
_LOST["segment"] = -1
for _name in _MEASURED:
    _LOST[_name] = np.nan


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
        """Where the face is in the pictures."""
        return FaceTrack(self.times, self.found, self.transform, self.segments, self.landmarks)


@dataclass(frozen=True, slots=True, eq=False)
class FaceRow:
    time: float  # seconds
    segment: int  # number of the unbroken stretch
    displacement: NDArray[np.float32]  # (10, 2) of the cells, canonical units
    eye_change: float  # as in ``FaceSignals``
    brightness: float
    similarity: float
    transform: NDArray[np.float64]  # (2, 3) canonical units to image pixels


def signals_of(rows: Sequence[tuple[float, FaceRow | None]]) -> FaceSignals:
    """Seconds and what was measured then, of one person; None where the face is lost."""
    table = np.full(len(rows), _LOST, _ROW)
    table["time"] = [time for time, _ in rows]
    places = [i for i, (_, row) in enumerate(rows) if row is not None]
    if places:
        for name in ("segment", *_MEASURED):
            table[name][places] = [getattr(row, name) for _, row in rows if row is not None]
    return FaceSignals(**_columns([table]), landmarks={})


class SignalLog:
    """Collects rows; blocks of arrays, so that ten minutes at 200 fps are some 20 MB. Blocks that
    are older than ``keep_s`` seconds are forgotten; None keeps all."""

    BLOCK = 512

    def __init__(self, keep_s: float | None = None) -> None:
        self._keep_s = keep_s
        self._blocks: list[NDArray[Any]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def first_segment(self) -> int:
        """The earliest stretch of tracking that rows are kept of; -1 where there is none."""
        segments = [block["segment"][block["segment"] >= 0] for block in self._blocks]
        return min((int(found.min()) for found in segments if len(found)), default=-1)

    def add(self, time: float, row: FaceRow | None) -> None:
        """What was measured then; None where the face is lost."""
        place = self._count % self.BLOCK
        if place == 0:
            oldest = -np.inf if self._keep_s is None else time - self._keep_s
            while self._blocks and self._blocks[0]["time"][-1] < oldest:
                del self._blocks[0]
                self._count -= self.BLOCK
            self._blocks.append(np.full(self.BLOCK, _LOST, _ROW))
        block = self._blocks[-1]
        block["time"][place] = time
        if row is not None:
            for name in ("segment", *_MEASURED):
                block[name][place] = getattr(row, name)
        self._count += 1

    def since(self, first: float) -> FaceSignals:
        """What was measured from a time on, of whichever person."""
        parts = [np.zeros(0, _ROW)]
        for number, block in enumerate(self._blocks):
            rows = block[: self._count - number * self.BLOCK]
            parts.append(rows[np.searchsorted(rows["time"], first) :])
        return FaceSignals(**_columns(parts), landmarks={})

    def signals(
        self, landmarks: Mapping[int, NDArray[np.float64]], others_seen: int
    ) -> FaceSignals:
        """Everything collected, with only the stretches that have landmarks counted as found."""
        columns = _columns([np.zeros(0, _ROW), *self._blocks], self._count)
        gone = ~np.isin(columns["segments"], sorted(landmarks))
        columns["segments"][gone] = _LOST["segment"]
        for name in _MEASURED:
            columns[name][gone] = np.nan
        return FaceSignals(**columns, landmarks=dict(landmarks), others_seen=others_seen)


def _columns(blocks: Sequence[NDArray[Any]], count: int | None = None) -> dict[str, Any]:
    """The first ``count`` rows by the names of `FaceSignals`, a copy of each column at a time."""
    names = {"times": "time", "segments": "segment", **{name: name for name in _MEASURED}}
    return {
        name: np.concatenate([block[field] for block in blocks])[:count]
        for name, field in names.items()
    }
