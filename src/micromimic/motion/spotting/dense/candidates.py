"""Movements that stand out of a face's own movement, and how often chance makes such.

Under the local covariance S each moment's response r is matched with the patterns p of action
units; what no pattern explains counts against it (Kelly's test):

    score = p' S^-1 r / sqrt(p' S^-1 p) / sqrt(1 + e / k)
    e = r' S^-1 r - (p' S^-1 r)^2 / p' S^-1 p

and 1 / sqrt(p' S^-1 p) is the standard deviation of the amplitude at that moment: speech, turns and
compression are noise that is measured, not time that is closed.

Source: Kelly, IEEE Trans. AES 1986, doi 10.1109/TAES.1986.310745; the adaptive matched filter,
Robey et al., IEEE Trans. AES 1992, doi 10.1109/7.135446.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

from micromimic.core.labels import REGIONS
from micromimic.motion.spotting.bumps import peaks
from micromimic.motion.spotting.dense.measure import LAGS, DenseSignals, bank

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCK_S: Final = 0.2  # seconds that share one covariance
_AT_ONCE: Final = 300
"""Blocks that are judged at once: memory stays the same however long the recording."""
_TRUNCATE: Final = 4.0  # where the low-pass ends, its standard deviations


@dataclass(frozen=True)
class NoiseConfig:
    """How noise is learnt, and what counts against a movement."""

    local: float = 1.5  # seconds before and after from which a moment's covariance is learnt...
    gap: float = 0.4  # ...but for these nearest ones, which hold the movement itself
    whole: float = 0.35  # share of the whole recording's covariance in it
    shrink: float = 0.2  # share of its diagonal in it
    floor: float = 1e-4  # variance added, canonical units squared: a frozen picture raises no alarm
    kelly: float = 25.0  # k above; smaller counts more against what no pattern explains
    largest: float = 0.8  # canonical units; what moves further is no micro-expression
    lids: float = 0.25  # change of the eyes' boxes from which on the lids move...
    lid_margin: float = 0.1  # ...and the seconds by which that is widened
    # patterns with this share of their energy about brows and lids are closed then
    upper: float = 0.3
    # a movement counts only if no opposite one within ``opposite_s`` seconds reaches this share of
    # it: beside each movement there and back lies its mirror image
    opposite: float = 0.77
    opposite_s: float = 0.3  # seconds
    level_s: float = 3.0  # seconds before and after from which each pattern's own level is learnt
    level_floor: float = 1.0  # the least level, standard deviations
    smooth_s: float = 0.024  # seconds, low-pass of the score


@dataclass(frozen=True)
class Judged:
    score: Array  # (n,) the best pattern's; NaN where unknown
    null: Array  # (n,) that of the opposite patterns: what chance makes of this face
    best: NDArray[np.intp]  # (n,) the best pattern
    amplitude: Array  # (n,) of it, canonical units, as the flow shows them
    deviation: Array
    # (n, regions) canonical units that a movement must have in the flow for a score of one, the
    # median of a region's patterns; inf where it is closed, NaN where unknown
    limits: Array
    # (p, d) how coordinates are projected on each pattern's amplitude, by the noise of the whole
    # recording
    filters: Array
    lids: Mask  # (n,) True where the lids move


@dataclass(frozen=True)
class _Lag:
    """One lag's (m, p) scores, opposite scores, amplitudes, deviations and (m, p) limits."""

    score: Array
    null: Array
    amplitude: Array
    deviation: Array
    limit: Array


def judge(
    signals: DenseSignals, config: NoiseConfig | None = None, *, since: float = -np.inf
) -> Judged:
    """Judge every moment of a recording, or of the last seconds. ``since``: seconds; what lies
    before is learnt from, and not judged."""
    config = config or NoiseConfig()
    n, dimensions = len(signals.times), signals.response.shape[2]
    known = np.flatnonzero(np.isfinite(signals.response).all((1, 2)))
    score, null, amplitude, deviation = (np.full(n, np.nan) for _ in range(4))
    best = np.zeros(n, np.intp)
    limits = np.full((n, len(REGIONS)), np.nan)
    filters = np.zeros((len(bank().patterns), dimensions))
    lids = np.zeros(n, bool)
    if len(known) >= 2:
        rate = moments_a_second(signals.times)
        lids = signals.lids > config.lids
        priors = [_prior(signals.response[known, lag], lids[known]) for lag in range(len(LAGS))]
        matched = bank().patterns @ np.linalg.inv(_regular(priors[-1].calm, config))
        filters = matched / (matched * bank().patterns).sum(1, keepdims=True)
        regions = bank().regions
        times, segments = signals.times[known], signals.segments[known]
        broken = (np.diff(times) > 2.5 / rate) | (np.diff(segments) != 0)
        for run in np.split(known, np.flatnonzero(broken) + 1):
            reach = [max(1, round((config.lid_margin + lag) * rate)) for lag in LAGS]
            closed = [
                scipy.ndimage.binary_dilation(lids[run], np.ones(2 * n + 1, bool)) for n in reach
            ]
            begin = int(np.searchsorted(signals.times[run], since))
            for first, last in _parts(begin, len(run), rate) if begin < len(run) else ():
                lags = [
                    _judge_lag(signals.response[run, i], (first, last), shut, prior, rate, config)
                    for i, (shut, prior) in enumerate(zip(closed, priors, strict=True))
                ]
                part = run[first:last]
                mean = np.mean([lag.score for lag in lags], axis=0)
                best[part] = mean.argmax(1)
                picked = (np.arange(len(part)), best[part])
                score[part] = mean[picked]
                null[part] = np.mean([lag.null for lag in lags], axis=0).max(1)
                amplitude[part] = lags[-1].amplitude[picked]
                deviation[part] = lags[-1].deviation[picked]
                ease = np.mean([1 / lag.limit for lag in lags], axis=0)
                medians = [np.median(ease[:, regions == i], 1) for i in range(len(REGIONS))]
                with np.errstate(divide="ignore"):
                    limits[part] = 1 / np.stack(medians, axis=1)
    return Judged(score, null, best, amplitude, deviation, limits, filters, lids)


def moments_a_second(times: Array) -> float:
    """Of a row of moments; the median's."""
    return 1.0 / float(np.median(np.diff(times)))


def _parts(begin: int, count: int, rate: float) -> Iterator[tuple[int, int]]:
    """Whole blocks together, as many as are judged at once."""
    block = _block(rate)
    step = _AT_ONCE * block
    starts = range(begin // block * block, count, step)
    return ((first, min(first + step, count)) for first in starts)


def _block(rate: float) -> int:
    return max(1, round(BLOCK_S * rate))


@dataclass(frozen=True)
class _Prior:
    """What the whole recording says: (d, d) at rest and while lids move; (d,) spread."""

    calm: Array
    blinks: Array
    spread: Array


def _prior(rows: NDArray[np.floating], lids: Mask) -> _Prior:
    rows = rows.astype(np.float64)
    calm = rows[~lids] if (~lids).sum() > len(lids) // 4 else rows
    spread = 1.4826 * np.median(np.abs(calm), axis=0) + 1e-3
    weight = 1 / (1 + ((calm / spread) ** 2).mean(1) / 4)
    moving = rows[lids]
    # Summed on one thread: for so little BLAS wakes its others.
    blinks = np.einsum("ni,nj->ij", moving, moving) / max(1, len(moving))
    whole = np.einsum("ni,nj->ij", calm * weight[:, None], calm) / weight.sum()
    return _Prior(whole, blinks, spread)


def _judge_lag(
    rows: NDArray[np.floating],
    part: tuple[int, int],
    closed: Mask,
    prior: _Prior,
    rate: float,
    config: NoiseConfig,
) -> _Lag:
    """Judge moments ``part`` of the (m, d) rows of one unbroken run."""
    m = len(rows)
    block = _block(rate)
    window = min(int(2 * config.level_s * rate) | 1, 2 * m - 1)
    sigma = config.smooth_s * rate
    # Moments beside the part that level, mirror image and low-pass are taken from, in whole blocks.
    beside = max(window // 2, round(config.opposite_s * rate)) + int(_TRUNCATE * sigma + 1)
    beside = -(-beside // block) * block
    first, last = max(0, part[0] - beside), min(m, part[1] + beside)
    own = np.asarray(rows, np.float64)
    matched, deviation, energy = _matched(own, (first, last), closed, prior, rate, config)
    rest = np.maximum(energy[:, None] - matched**2, 0.0)
    tested = matched / np.sqrt(1 + rest / config.kelly)
    level = np.maximum(_level(tested, window), config.level_floor)
    shut = closed[first:last, None] & (bank().upper > config.upper)[None]
    amplitude = matched * deviation
    # With nothing but noise beside it, a movement of one standard deviation has this score.
    expected = np.sqrt(1 + (rows.shape[1] - 1) / config.kelly)
    limit = np.where(shut, np.inf, deviation * expected * level)
    score = _single(tested, amplitude, shut, rate, config) / level
    null = _single(-tested, -amplitude, shut, rate, config) / level
    inner = slice(part[0] - first, part[1] - first)
    return _Lag(
        _smooth(score, sigma)[inner],
        _smooth(null, sigma)[inner],
        amplitude[inner],
        deviation[inner],
        limit[inner],
    )


def _matched(
    rows: Array,
    part: tuple[int, int],
    closed: Mask,
    prior: _Prior,
    rate: float,
    config: NoiseConfig,
) -> tuple[Array, Array, Array]:
    """Of the moments ``part``, which begins with a block. Returns (k, p) each pattern's response
    and (k, p) the standard deviation of its amplitude; (k,) what all responses together come to."""
    patterns = bank().patterns
    first, last = part
    block = _block(rate)
    reach, gap = int(config.local * rate), int(config.gap * rate)
    energy = ((rows / prior.spread) ** 2).mean(1)
    free = np.flatnonzero(~closed)
    noises, moments = [], []
    for start in range(first, last, block):
        stop = min(last, start + block)
        past = max(0, start - reach), max(0, start - gap)
        future = stop + gap, max(stop + gap, min(len(rows), stop + reach))
        edges = free.searchsorted((*past, *future))
        around = np.concatenate([free[edges[0] : edges[1]], free[edges[2] : edges[3]]])
        known = past[1] - past[0] + future[1] - future[0]
        share = min(1.0, known / (2 * reach)) * (1 - config.whole)
        local = _local(rows[around], energy[around], prior)
        calm = _regular(share * local + (1 - share) * prior.calm, config)
        here = np.arange(start, stop)
        for shut in set(closed[here].tolist()):
            noises.append(calm + 3 * prior.blinks if shut else calm)
            moments.append(here[closed[here] == shut])
    inverses = np.linalg.inv(np.stack(noises))
    filters = patterns @ inverses
    power = (filters * patterns).sum(2)
    shape = (last - first, len(patterns))
    matched, deviation, whole = np.zeros(shape), np.zeros(shape), np.zeros(last - first)
    for at, inverse, filtered, strength in zip(moments, inverses, filters, power, strict=True):
        own = rows[at]
        root = np.sqrt(strength)
        matched[at - first] = own @ filtered.T / root
        deviation[at - first] = 1 / root
        whole[at - first] = ((own @ inverse) * own).sum(1)
    return matched, deviation, whole


def _level(tested: Array, window: int) -> Array:
    """Each pattern's own spread over the moments around, standard deviations."""
    half = window // 2
    # All in a row: what is padded to half a window on both sides sees nothing of its neighbours.
    padded = np.pad(np.abs(tested).T, ((0, 0), (half, half)), mode="edge")
    level = scipy.ndimage.percentile_filter(padded.ravel(), 80, size=window).reshape(padded.shape)
    return np.asarray(level[:, half : half + len(tested)].T / 1.28)


def _local(rows: Array, energy: Array, prior: _Prior) -> Array:
    """Covariance of some moments, strong ones counting less; the recording's for few moments."""
    if len(rows) <= 5:
        return prior.calm
    ranked = np.sort(energy)  # its median: `np.median` takes ten times as long for so few
    median = (ranked[(len(ranked) - 1) // 2] + ranked[len(ranked) // 2]) / 2
    weight = 1 / (1 + energy / (3 * median + 1e-9))
    return np.asarray((rows * weight[:, None]).T @ rows / weight.sum())


def _regular(covariance: Array, config: NoiseConfig) -> Array:
    shrunk = (1 - config.shrink) * covariance
    np.fill_diagonal(shrunk, covariance.diagonal() + config.floor)
    return shrunk


def _single(tested: Array, amplitude: Array, shut: Mask, rate: float, config: NoiseConfig) -> Array:
    """Scores of what can be a movement of its own; 0 elsewhere."""
    width = 2 * round(config.opposite_s * rate) + 1
    mirror = -scipy.ndimage.minimum_filter1d(amplitude, width, axis=0)
    no = shut | (amplitude > config.largest) | (mirror > config.opposite * amplitude)
    return np.where(no, 0.0, np.maximum(tested, 0.0))


def _smooth(score: Array, sigma: float) -> Array:
    if sigma <= 0.3:
        return score
    return np.asarray(scipy.ndimage.gaussian_filter1d(score, sigma, axis=0, truncate=_TRUNCATE))


GAIN: Final = 0.65  # what the flow shows of a movement's largest displacement
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
        """Movements a minute that are at least as strong and pass the second look."""
        return KEPT * self.per_minute * float(np.exp(-(score - _TAIL) / self.scale))

    def threshold(self, per_minute: float) -> float:
        """The score that chance reaches so often."""
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
    """Fit the tail of what movements look like whose direction no action unit has. A face's noise
    knows no direction: the opposite of each pattern answers to it as often."""
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


def _peaks(signals: DenseSignals, score: Array) -> NDArray[np.intp]:
    if len(score) < 2:
        return np.zeros(0, np.intp)
    apart = max(1, int(APART_S * moments_a_second(signals.times)))
    return peaks(np.nan_to_num(score, nan=-1.0), 1e-9, apart)
