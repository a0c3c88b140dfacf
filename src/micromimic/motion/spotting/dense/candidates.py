"""Movements that stand out of a face's own movement, how often chance makes such, and the limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.motion.spotting.bumps import peaks
from micromimic.motion.spotting.dense.measure import DenseSignals
from micromimic.motion.spotting.dense.noise import Judged, NoiseConfig, moments_a_second

Array = NDArray[np.float64]

GAIN: Final = 0.65  # what the flow shows of a movement's largest displacement
HALF: Final = 0.29
"""The same for the score: a field is never quite a pattern, and what is not counts against it."""
SAME_S: Final = 0.12  # seconds about an apex in which the flow's answer is the same movement's
APART_S: Final = 0.5  # seconds between movements that are told apart
KEPT: Final = 0.6  # share of what chance makes that passes the second look
_TAIL: Final = 2.0  # score from which on the tail of what chance makes is fitted
_TAIL_PRIOR: Final = (13.4, 2.0, 0.53)
"""What other recordings add to a recording's own tail: peaks, in minutes, and their mean excess."""


@dataclass(frozen=True)
class Tail:
    """How often chance makes a peak of at least some score."""

    per_minute: float  # peaks above the fitted tail's beginning
    scale: float  # mean excess over it

    def rate(self, score: float) -> float:
        """Movements a minute that are at least as strong and pass the second look.

        >>> round(Tail(10.0, 0.75).rate(2.0), 3)
        6.0
        """
        return KEPT * self.per_minute * float(np.exp(-(score - _TAIL) / self.scale))

    def threshold(self, per_minute: float) -> float:
        """The score that chance reaches so often.

        >>> round(Tail(10.0, 0.5).threshold(6.0), 3)
        2.0
        """
        return _TAIL + self.scale * float(np.log(KEPT * self.per_minute / per_minute))


@dataclass(frozen=True)
class DenseCandidate:
    """One movement before it is looked at again."""

    moment: int  # row of the signals
    frame: int  # its frame's number
    score: float  # as in `noise`
    pattern: int  # which looked most like it
    amplitude: float  # canonical units, of the largest displacement
    deviation: float
    false_alarms: float  # how many as strong chance makes in a minute of this recording


def tail_of(signals: DenseSignals, judged: Judged) -> Tail:
    """Fit the tail of what movements look like whose direction no action unit has.

    A face's noise knows no direction: the opposite of each pattern answers to it as often.
    """
    excess = judged.null[_peaks(signals, judged.null)] - _TAIL
    excess = excess[excess > 0]
    count, minutes, scale = _TAIL_PRIOR
    known = int(np.isfinite(judged.score).sum())
    rate = moments_a_second(signals.times) if len(signals.times) > 1 else 1.0
    return Tail(
        (len(excess) + count) / (known / rate / 60 + minutes),
        (float(excess.sum()) + count * scale) / (len(excess) + count),
    )


def find_candidates(
    signals: DenseSignals, judged: Judged, tail: Tail, per_minute: float
) -> list[DenseCandidate]:
    """Movements of which chance makes at most ``per_minute``, the strongest first."""
    threshold = tail.threshold(per_minute)
    return [
        candidate_at(int(i), signals, judged, tail)
        for i in _peaks(signals, judged.score)
        if judged.score[i] > threshold
    ]


def candidate_at(i: int, signals: DenseSignals, judged: Judged, tail: Tail) -> DenseCandidate:
    """What is known of one moment's movement."""
    score = float(judged.score[i])
    return DenseCandidate(
        i,
        int(signals.frames[i]),
        score,
        int(judged.best[i]),
        float(judged.amplitude[i]) / GAIN,
        float(judged.deviation[i]) / GAIN,
        tail.rate(score),
    )


def seen_at(
    time: float, signals: DenseSignals, judged: Judged, tail: Tail
) -> DenseCandidate | None:
    """What the flow saw about a time; None where nothing stands out there."""
    near = np.flatnonzero(np.abs(signals.times - time) <= SAME_S)
    near = near[np.nan_to_num(judged.score[near], nan=0.0) > 0]
    if not len(near):
        return None
    return candidate_at(int(near[np.argmax(judged.score[near])]), signals, judged, tail)


def detection_limits(judged: Judged, tail: Tail, per_minute: float) -> Array:
    """(n, regions) canonical units: the movement that is found with probability one half.

    Order ``labels.REGIONS``; inf where a region is closed or only what is larger than any
    micro-expression would be found, NaN where nothing is known.
    """
    limits = judged.limits * tail.threshold(per_minute) / HALF
    return np.where(limits > NoiseConfig().largest / GAIN, np.inf, limits)


def _peaks(signals: DenseSignals, score: Array) -> NDArray[np.intp]:
    if len(score) < 2:
        return np.zeros(0, np.intp)
    apart = max(1, int(APART_S * moments_a_second(signals.times)))
    return peaks(np.nan_to_num(score, nan=-1.0), 1e-9, apart)
