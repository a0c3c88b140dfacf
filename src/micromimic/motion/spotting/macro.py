"""Longer expressions: what lasts more than a micro-expression and up to four seconds.

A macro-expression comes, stays and goes within four seconds, so for most of the seconds around it
the face is where it rests. The ten cells' displacement from that rest, in multiples of its own
spread in the whole recording, is followed with hysteresis: from a peak to both sides, until little
of it is left. What goes along with the head, what turns as often as a speaking mouth, and what the
micro-expressions of the same recording already say is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import INTEROCULAR, scale_of
from micromimic.face.signals import FaceSignals
from micromimic.motion.spotting.blinks import MOUTH_CELLS, bridge_blinks, find_blinks
from micromimic.motion.spotting.bumps import Array, dilate, local_rest, mad, peaks, smooth
from micromimic.motion.spotting.cells import Spotted, SpottingResult
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.gates import face_centre, head_speed
from micromimic.motion.spotting.time_grid import Stretch, grid_rate, stretches

LONGEST_S: Final = 4.25
"""From onset to offset: four seconds, and what measuring adds; what stays longer is a pose."""
_LEAST_S: Final = 6.0  # seconds of face; from less no rest can be told
_RATE: Final = 25.0  # samples a second that are looked at, or a little more
_LOWPASS_S: Final = 0.06
_REST_S: Final = 8.0
"""Seconds whose median is the rest: twice the longest, which then do not move it."""
_THRESHOLD: Final = 4.0  # multiples of the noise that the strongest cells must reach
_FLOOR: Final = 0.01  # canonical units added to the noise of each channel
_LEAST_UNITS: Final = 0.1  # displacement of the strongest cell
_FOOT: Final = 0.33  # share of the peak at which the walk to both sides ends
_PLATEAU: Final = 0.9
"""Share of the height that is reached at the apex; the fall begins where it is left."""
_TURNING: Final = (2.35, 3.0)
"""Path over range, of mouths and of other movements; there and back makes 2."""
_BESIDE_S: Final = 0.6  # seconds on either side that the path is looked at in
_EDGE_S: Final = 0.2
"""Seconds from its ends in which a rise or a fall that was rejected is the expression's own."""
_HEAD: Final = (3.0, 0.2)
"""Median speed of the head in multiples of the micro-expressions' limit, and how far it goes in
distances between the eyes: a turned head looks like an expression for as long as it is turned."""


@dataclass(frozen=True)
class _Part:
    frames: NDArray[np.intp]  # (n,) of the recording
    moved: Array  # (n, 10, 2) displacement from the rest
    blink: NDArray[np.bool_]  # (n,) where the lids move
    head: Array  # (n, 2) place of the face, distances between the eyes
    speed: Array  # (n,) of the head
    rate: float  # samples a second


def with_longer(
    found: SpottingResult, signals: FaceSignals, config: SpottingConfig
) -> SpottingResult:
    """The same result with longer expressions among its events, and not among what is rejected."""
    longer = longer_expressions(signals, found.events, config)
    ends = [(signals.times[e.onset], signals.times[e.offset]) for e in longer]
    spans = [(onset - _EDGE_S, offset + _EDGE_S) for onset, offset in ends]
    rejected = tuple(
        item
        for item in found.spotting.rejected
        if item.reason != "macro" or not any(a <= item.peak <= b for a, b in spans)
    )
    events = tuple(sorted((*found.events, *longer), key=lambda e: e.onset))
    return replace(found, events=events, spotting=replace(found.spotting, rejected=rejected))


def longer_expressions(
    signals: FaceSignals, micro: Sequence[Spotted], config: SpottingConfig
) -> tuple[Spotted, ...]:
    """Find expressions that last longer than a micro-expression, up to ``LONGEST_S``. Returns by
    onset, of kind ``macro``; scores are multiples of the noise."""
    rate = grid_rate(signals.times)
    step = max(1, int(rate / _RATE))
    parts = [_part(piece, rate, step, config) for piece in stretches(signals, rate)]
    if sum(len(part.moved) for part in parts) * step < _LEAST_S * rate:
        return ()
    noise = mad(np.concatenate([part.moved for part in parts])) + _FLOOR
    found = [item for part in parts for item in _of_part(part, noise, config)]
    return tuple(
        item
        for item in sorted(found, key=lambda e: e.onset)
        if not any(item.onset <= e.offset and e.onset <= item.offset for e in micro)
    )


def _part(piece: Stretch, rate: float, step: int, config: SpottingConfig) -> _Part:
    _, blink = find_blinks(piece.eye_change, piece.times, rate, config.gates)
    bridged = bridge_blinks(piece.displacement, dilate(blink, _LOWPASS_S, rate))
    x = smooth(bridged, _LOWPASS_S, rate)[::step]
    place, scale = piece.transform, scale_of(piece.transform)
    return _Part(
        piece.frames[::step],
        x - local_rest(x, rate / step, _REST_S),
        blink[::step],
        smooth(face_centre(place) / (INTEROCULAR * np.median(scale)), _LOWPASS_S, rate)[::step],
        head_speed(place, rate)[::step],
        rate / step,
    )


def _of_part(part: _Part, noise: Array, config: SpottingConfig) -> list[Spotted]:
    """The strongest first; what overlaps a stronger one, accepted or not, is a part of it."""
    energy = ((part.moved / noise) ** 2).sum(-1)
    score = np.sqrt(np.sort(energy, axis=1)[:, -config.top_cells :].mean(1))
    taken = np.zeros(len(score), bool)
    found = []
    for peak in peaks(score, _THRESHOLD, max(1, round(0.3 * part.rate))).tolist():
        if taken[peak]:
            continue
        strong = energy[peak] >= 0.25 * energy[peak].max()
        weights = strong[:, None] * part.moved[peak]
        curve = np.tensordot(part.moved, weights, 2) / np.linalg.norm(weights)
        points = _points(curve, peak)
        if points is None:
            continue
        onset, apex, offset = points
        span = slice(onset, offset + 1)
        beside = taken[span].any()
        taken[span] = True
        large = np.linalg.norm(weights, axis=1).max() >= _LEAST_UNITS
        lasts = config.longest < (offset - onset) / part.rate <= LONGEST_S
        mouth = float(energy[peak, list(MOUTH_CELLS)].sum() / energy[peak].sum())
        if not beside and large and lasts and _is_face(part, curve, span, mouth, config):
            at = [int(part.frames[i]) for i in (onset, apex, offset)]
            found.append(Spotted(at[0], at[1], at[2], float(score[peak]), kind="macro"))
    return found


def _points(curve: Array, peak: int) -> tuple[int, int, int] | None:
    """Onset, apex and offset; None where the stretch begins or ends in it."""
    low = np.flatnonzero(curve < _FOOT * curve[peak])
    k = int(np.searchsorted(low, peak))
    if k == 0 or k == len(low):
        return None
    first, last = int(low[k - 1]), int(low[k])
    span = curve[first : last + 1]
    high = first + np.flatnonzero(span >= _PLATEAU * span.max())
    # A raised cosine falls to the foot at this share of its way to zero.
    share = np.arccos(2 * _FOOT - 1) / np.pi
    onset = max(0, round(high[0] - (high[0] - first) / share))
    offset = min(len(curve) - 1, round(high[-1] + (last - high[-1]) / share))
    return onset, int(high[0]), offset


def _is_face(part: _Part, curve: Array, span: slice, mouth: float, config: SpottingConfig) -> bool:
    """Whether neither the head, nor the lids, nor speech makes the movement. ``curve``: (n,) the
    movement along its own direction."""
    head = part.head[span]
    away = head - np.linspace(head[0], head[-1], len(head))
    fast = np.median(part.speed[span]) > _HEAD[0] * config.gates.head_speed
    if fast or np.abs(away).max() > _HEAD[1]:
        return False
    if mouth < 0.5 and part.blink[span].mean() > 0.5:
        return False
    beside = round(_BESIDE_S * part.rate)
    around = curve[max(0, span.start - beside) : span.stop + beside]
    path = np.abs(np.diff(around)).sum() / np.ptp(around)
    return bool(path <= _TURNING[0 if mouth > 1 / 3 else 1])
