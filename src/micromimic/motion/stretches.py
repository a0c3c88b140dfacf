"""Unbroken stretches of tracking on an even time grid, whatever the camera's timing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromimic.face.signals import FaceSignals

Array = NDArray[np.float64]

BRIDGE = 0.1
"""Gaps shorter than this many seconds within one lock are interpolated."""


@dataclass(frozen=True)
class Stretch:
    """One unbroken stretch.

    Args:
        frames: (n,) index of the frame nearest to each sample.
        times: (n,) seconds, even.
        found: (n,) False where a short gap was bridged.
        displacement: (n, 10, 2) canonical units.
        eye_change, brightness: (n,).
        transform: (n, 2, 3).
    """

    frames: NDArray[np.intp]
    times: Array
    found: NDArray[np.bool_]
    displacement: Array
    eye_change: Array
    brightness: Array
    transform: Array


def frame_rate(times: Array) -> float:
    """Median rate of timestamps, frames a second.

    Raises:
        ValueError: with fewer than two frames.

    >>> round(frame_rate(np.arange(5) / 29.97), 2)
    29.97
    """
    if len(times) < 2:
        raise ValueError(f"a rate needs at least 2 timestamps, got {len(times)}")
    return float(1.0 / np.median(np.diff(times)))


def stretches(signals: FaceSignals, rate: float, shortest: float = 0.3) -> list[Stretch]:
    """Cut the signals at losses and put each piece on an even grid.

    Args:
        signals: what tracking measured.
        rate: samples a second of the grid.
        shortest: pieces below this many seconds are left out.
    """
    pieces = []
    found = np.flatnonzero(signals.found)
    if not len(found):
        return []
    times, segments = signals.times[found], signals.segments[found]
    # A lost frame leaves a jump in the frame numbers; a slow camera leaves one in time only.
    lost = (np.diff(found) > 1) & (np.diff(times) > BRIDGE)
    cuts = np.flatnonzero(lost | (np.diff(segments) != 0)) + 1
    for rows in np.split(found, cuts):
        if len(rows) >= 4 and signals.times[rows[-1]] - signals.times[rows[0]] >= shortest:
            pieces.append(_even(signals, rows, rate))
    return pieces


def _even(signals: FaceSignals, rows: NDArray[np.intp], rate: float) -> Stretch:
    times = signals.times[rows]
    steps = np.diff(times) * rate
    if np.abs(steps - 1).max() < 0.25:
        grid, nearest = times, rows
        found = np.ones(len(rows), bool)
    else:
        grid = np.arange(times[0], times[-1] + 0.5 / rate, 1 / rate)
        after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
        after -= grid - times[after - 1] < times[after] - grid
        nearest = rows[after]
        found = np.abs(signals.times[nearest] - grid) < 1.0 / rate
    return Stretch(
        frames=nearest.astype(np.intp),
        times=grid,
        found=found,
        displacement=_resample(signals.displacement[rows], times, grid),
        eye_change=_resample(signals.eye_change[rows], times, grid),
        brightness=_resample(signals.brightness[rows], times, grid),
        transform=_resample(signals.transform[rows], times, grid),
    )


def _resample(values: NDArray[np.floating], times: Array, grid: Array) -> Array:
    even = np.asarray(values, dtype=np.float64)
    if grid is times:
        return even
    flat = even.reshape(len(even), -1)
    columns = [np.interp(grid, times, column) for column in flat.T]
    return np.stack(columns, axis=1).reshape(len(grid), *values.shape[1:])
