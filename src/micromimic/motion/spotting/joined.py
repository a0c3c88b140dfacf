"""What the ten cells and the dense flow say together.

The cells see the shortest movements of a face that is otherwise quiet, at the recording's full
rate; the dense flow sees movements that stand out of whatever else the face does. An event of
either is an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import REGIONS
from micromimic.core.results import OPEN_UNITS, GatedSpan, Rejected, Spotting
from micromimic.core.types import DetectionLimits
from micromimic.face.signals import FaceSignals
from micromimic.media.again import THREADS
from micromimic.media.frames import Frames
from micromimic.motion.spotting.cells import Spotted, SpottingResult, spot
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.dense.candidates import (
    SAME_S,
    find_candidates,
    judge,
    seen_at,
    tail_of,
)
from micromimic.motion.spotting.dense.detection_limit import detection_limits
from micromimic.motion.spotting.dense.measure import DenseSignals
from micromimic.motion.spotting.dense.second_look import Movement, look_again
from micromimic.motion.spotting.time_grid import grid_rate

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SURE: Final = 7.0
"""Multiples of the cells' noise from which on a movement needs no second look by the flow."""


@dataclass(frozen=True)
class Found:
    """Both instruments' events, and how small a movement would have been found."""

    spotted: SpottingResult
    limits: DetectionLimits


def find(
    signals: FaceSignals,
    dense: DenseSignals,
    frames: Frames,
    config: SpottingConfig,
    picture_share: float = 1.0,
) -> Found:
    """Find the micro-expressions of one recording.

    Parameters
    ----------
    signals : FaceSignals
        What tracking measured.
    dense : DenseSignals
        What the dense flow measured in the same pass.
    frames : Frames
        The recording, to look at candidates again.
    config : SpottingConfig
        Limits.
    picture_share : float, optional
        How many of the frames show a new picture; what is too short for these is not looked
        for.

    Raises
    ------
    InputError
        The file is no longer what it was in the first pass.
    """
    rate = grid_rate(signals.times)
    durations = tuple(config.durations_at(picture_share * rate))
    cells = spot(signals, replace(config, durations=durations))
    dense = dense.only(signals.segments[dense.frames] == dense.segments)  # of who was chosen
    judged = judge(dense)
    tail = tail_of(dense, judged)
    of_cells = [
        replace(e, dense=seen_at(float(signals.times[e.apex]), dense, judged, tail))
        for e in cells.events
    ]
    weak = [e.dense for e in of_cells if e.score < SURE and e.dense is not None]
    candidates = [
        item
        for item in find_candidates(dense, judged, tail, config.false_alarms)
        if not any(e.onset <= item.frame <= e.offset for e in of_cells)
    ]
    looked = look_again(
        frames, signals, [*weak, *candidates], judged.filters, rate, config, threads=THREADS
    )
    passed = {id(item.candidate) for item in looked if item.clear}
    limits = detection_limits(judged, tail, config.false_alarms)
    kept = [e for e in of_cells if e.score >= SURE or id(e.dense) in passed]
    strong = {id(item) for item in candidates}
    events = _events(kept, [item for item in looked if id(item.candidate) in strong])
    seen = np.asarray((limits <= OPEN_UNITS).any(1))
    spotting = replace(
        _opened(cells.spotting, _spans(dense.times, seen), 1 / rate),
        rejected=_rejected(
            [
                *cells.spotting.rejected,
                *(_crowded(e, signals.times) for e in of_cells),
            ],
            looked,
            events,
            signals.times,
        ),
    )
    by_region = {name: limits[:, i] for i, name in enumerate(REGIONS)}
    return Found(
        replace(cells, events=events, spotting=spotting), DetectionLimits(dense.times, by_region)
    )


def _events(cells: Sequence[Spotted], looked: Sequence[Movement]) -> tuple[Spotted, ...]:
    events = list(cells)
    for item in sorted(looked, key=lambda m: -m.candidate.score):
        beside = any(item.onset <= e.offset and e.onset <= item.offset for e in events)
        if not item.reason and not beside:
            seen = item.candidate
            times_noise = seen.amplitude / seen.deviation
            events.append(Spotted(item.onset, item.apex, item.offset, times_noise, seen))
    return tuple(sorted(events, key=lambda e: e.onset))


def _crowded(item: Spotted, times: Array) -> Rejected:
    units = None if item.dense is None else item.dense.amplitude
    ends = (item.onset, item.apex, item.offset)
    return Rejected(float(times[item.apex]), "crowded", ends, item.score, units)


def _rejected(
    cells: Sequence[Rejected], looked: Sequence[Movement], events: Sequence[Spotted], times: Array
) -> tuple[Rejected, ...]:
    """Movements of either that are no events of the other."""
    spans = [(times[e.onset], times[e.offset]) for e in events]
    rejected = [r for r in cells if not any(start <= r.peak <= end for start, end in spans)]
    peaks = [r.peak for r in rejected]
    for item in looked:
        peak = float(times[item.apex])
        known = any(abs(peak - other) <= SAME_S for other in peaks)
        if item.reason and not known and not any(s <= peak <= e for s, e in spans):
            seen, ends = item.candidate, (item.onset, item.apex, item.offset)
            strength = seen.amplitude / seen.deviation
            rejected.append(Rejected(peak, item.reason, ends, strength, seen.amplitude))
    return tuple(sorted(rejected, key=lambda r: r.peak))


def _opened(spotting: Spotting, seen: tuple[Array, Array], step: float) -> Spotting:
    """Gated time without that in which the dense flow would have found a movement."""
    starts, ends = seen
    spans: list[GatedSpan] = []
    gated = dict(spotting.gated_s)
    opened = 0.0
    for span in spotting.gated_spans:
        stop = span.end + step
        some = slice(np.searchsorted(ends, span.start, "right"), np.searchsorted(starts, stop))
        inside = np.stack([starts[some], ends[some]], axis=1).clip(span.start, stop)
        seconds = min(float((inside[:, 1] - inside[:, 0]).sum()), gated[span.cause])
        opened += seconds
        gated[span.cause] -= seconds
        edges = [span.start, *inside.ravel().tolist(), stop]
        spans += [
            GatedSpan(first, max(first, last - step), span.cause)
            for first, last in zip(edges[::2], edges[1::2], strict=True)
            if last - first > step / 2
        ]
    return replace(
        spotting,
        gated_s={cause: round(seconds, 3) for cause, seconds in gated.items()},
        observed_s=round(spotting.observed_s + opened, 3),
        gated_spans=tuple(spans),
    )


def _spans(times: Array, mask: Mask) -> tuple[Array, Array]:
    """Where each run of True begins and ends, seconds; each moment counts to the next one."""
    if len(times) < 2:
        return np.zeros(0), np.zeros(0)
    step = float(np.median(np.diff(times)))
    lasts = np.minimum(np.append(np.diff(times), step), 1.5 * step)
    change = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    first, stop = np.flatnonzero(change == 1), np.flatnonzero(change == -1) - 1
    return times[first], times[stop] + lasts[stop]
