"""Unbroken stretches of tracking on an even time grid, whatever the camera's timing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.face.signals import FaceSignals
from micromimic.media.formats import MOST_FPS

Array = NDArray[np.float64]

BRIDGE: Final = 0.1  # gaps shorter than this many seconds within one lock are interpolated
LONGEST_STEPS: Final = 2.5
"""A step of so many usual ones, and of more than `BRIDGE` seconds, is a gap."""
GAP_FACTOR: Final = 1.75  # a longer step, in usual ones, is one in which frames are missing
CLOCK_S: Final = 0.0011  # containers round timestamps to a millisecond: that is no jitter
_MOST_SAMPLES: Final = 4  # samples a frame of a grid, at most


@dataclass(frozen=True)
class Stretch:
    frames: NDArray[np.intp]  # (n,) index of the frame nearest to each sample
    times: Array  # (n,) seconds, even
    found: NDArray[np.bool_]  # (n,) False where a short gap was bridged
    displacement: Array  # (n, 10, 2) canonical units
    eye_change: Array  # (n,)
    brightness: Array
    transform: Array  # (n, 2, 3)


def frame_rate(times: Array, stated: float | None = None) -> float:
    """Rate of timestamps, frames a second.

    A steady clock has the rate of all its steps together, however its times are rounded; one that
    varies the rate of its median step. ``times``: of the frames, rising, seconds.

    >>> round(frame_rate(np.arange(5) / 29.97), 2)
    29.97
    >>> milliseconds = np.round(np.arange(600) / 240, 3)
    >>> round(frame_rate(milliseconds), 1), frame_rate(milliseconds, 240.0)
    (240.0, 240.0)
    """
    if len(times) < 2:
        raise ValueError(f"a rate needs at least 2 timestamps, got {len(times)}")
    regular, steady = regular_steps(times)
    if not steady:
        return 1.0 / float(np.median(np.diff(times)))
    off = CLOCK_S * (len(times) - len(regular))  # what rounding can do to the pieces between gaps
    if stated is not None and abs(len(regular) / stated - regular.sum()) <= off:
        return stated
    return 1.0 / float(regular.mean())


def regular_steps(times: Array) -> tuple[Array, bool]:
    """Steps of timestamps in which no frames are missing, and whether the clock is steady.

    >>> regular_steps(np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9]))[1]
    True
    """
    steps = np.diff(times)
    regular = steps[steps <= GAP_FACTOR * np.median(steps)]
    step = float(regular.mean())
    uneven = np.abs(regular - step) > max(0.1 * step, CLOCK_S)
    gaps = len(steps) - len(regular)
    return regular, bool(gaps <= 0.2 * len(steps) and uneven.sum() <= 0.05 * len(steps))


def grid_rate(times: Array) -> float:
    """Samples a second of an even grid: the frame rate, within what memory can hold.

    >>> round(grid_rate(np.arange(500) / 200.0), 2)
    200.0
    >>> burst = np.concatenate([np.arange(500) * 1e-9, 0.05 * np.arange(1, 400)])
    >>> grid_rate(burst) < 200
    True
    """
    rate = min(frame_rate(times), highest_rate(np.diff(times)))
    # To nine digits, and a hair more: whichever few frames a rate was measured in, it is one, and
    # widths of half a sample are rounded alike, offline and live.
    return float(f"{rate:.9g}") * (1 + 1e-12)


def highest_rate(steps: Array) -> float:
    """The finest grid for some steps, samples a second. Where most frames lie close together and
    the others far apart, a grid at the median rate would have thousands of samples a frame."""
    covered = float(np.minimum(steps, BRIDGE).sum())
    return min(_MOST_SAMPLES * len(steps) / covered, MOST_FPS)


def stretches(signals: FaceSignals, rate: float, shortest: float = 0.3) -> list[Stretch]:
    """Cut the signals at losses and at gaps in time, and put each piece on an even grid. ``rate``:
    samples a second of the grid; ``shortest``: pieces below this many seconds are left out."""
    pieces = []
    found = np.flatnonzero(signals.found)
    if not len(found):
        return []
    times, segments = signals.times[found], signals.segments[found]
    # A slow camera leaves long steps too; only a lost face or a pause of the source is a gap.
    steps = np.diff(times)
    lost = (steps > BRIDGE) & ((np.diff(found) > 1) | (steps > LONGEST_STEPS / rate))
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
