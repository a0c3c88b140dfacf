"""Onset, apex and offset of every brief movement in a long video, and what was held back.

The ten cells' displacement is searched for bumps of 0.04-0.5 s (`motion.bumps`). Each peak of the
score becomes a candidate: its cells' displacement is projected on the direction of the movement,
and apex, onset and offset are read from that single curve. Then the gates: blinks, head movement,
lighting, longer (macro) expressions, crowds of movements (speech).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.signal import find_peaks

from micromimic.face.signals import FaceSignals
from micromimic.labels import CELLS
from micromimic.motion.bumps import (
    Array,
    BumpResponse,
    bump_kernel,
    filter_columns,
    local_rest,
    mad,
    smooth,
)
from micromimic.motion.gates import (
    MOUTH_CELLS,
    GateConfig,
    Gates,
    bridge_blinks,
    closed_spans,
    dilate,
    find_gates,
)
from micromimic.motion.stretches import Stretch, frame_rate, stretches
from micromimic.results import Blink, GatedSpan, Rejected, Spotting
from micromimic.types import MotionCurve


@dataclass(frozen=True)
class SpottingConfig:
    """How movements are told from noise.

    Args:
        durations: seconds, the bump filters' widths.
        threshold: score that a movement must reach, multiples of the noise.
        top_cells: how many of the strongest cells make the score.
        noise_floor: canonical units added to each channel's noise, so that a perfectly still
            (synthetic or frozen) picture raises no alarms.
        lowpass: seconds, Gaussian smoothing of the displacement.
        shortest, longest: seconds from onset to offset of what may be a micro-expression.
        foot: share of the apex at which the walk down to onset and offset ends.
        side_near, side_width: the level before and after is measured from this many seconds from
            the apex (nearer for shorter movements) over so many seconds.
        max_step: difference of those levels over the apex's height; more is a lasting change,
            the beginning or end of a macro-expression.
        min_height: displacement at the apex from the local rest, over the filter's answer.
        rest_window: seconds whose median is the local rest; longer than macro-expressions, so that
            their rise and fall are seen, rejected and counted.
        min_displacement: canonical units, smallest peak of the strongest cell.
        crowd_window: seconds before and after the apex that are looked at for other movement.
        crowd_level: share of the peak that movement must reach to count.
        crowd_share, crowd_one_side: a movement is part of a crowd (speech, laughter) if other
            movement fills this share of both sides, or this share of one.
        gates: limits for blinks, head and light.
    """

    durations: tuple[float, ...] = (0.06, 0.085, 0.12, 0.17, 0.24, 0.34, 0.48)
    threshold: float = 4.0
    top_cells: int = 3
    noise_floor: float = 0.001
    lowpass: float = 0.012
    shortest: float = 0.04
    longest: float = 0.62
    foot: float = 0.12
    side_near: float = 0.30
    side_width: float = 0.25
    max_step: float = 0.5
    min_height: float = 0.5
    rest_window: float = 3.0
    min_displacement: float = 0.01
    crowd_window: tuple[float, float] = (0.45, 1.6)
    crowd_level: float = 0.5
    crowd_share: float = 0.3
    crowd_one_side: float = 0.8
    gates: GateConfig = field(default_factory=GateConfig)

    @property
    def reach(self) -> float:
        """Seconds of past and of future that a movement is judged by."""
        return self.side_near + self.side_width + 0.15


@dataclass(frozen=True)
class Spotted:
    """One movement that passed: frame indices and its score."""

    onset: int
    apex: int
    offset: int
    score: float


@dataclass(frozen=True)
class SpottingResult:
    """Events by onset, the curve, and everything beside them."""

    events: tuple[Spotted, ...]
    curve: MotionCurve
    spotting: Spotting


@dataclass(frozen=True)
class _Candidate:
    """Sample indices within a stretch, and why it is no event ('' = it is)."""

    onset: int
    apex: int
    offset: int
    score: float
    reason: str


def spot(signals: FaceSignals, config: SpottingConfig | None = None) -> SpottingResult:
    """Find the micro-expressions in what tracking measured.

    Args:
        signals: one person's face through the video.
        config: thresholds; the defaults hold for 100 and 200 frames a second.

    Returns:
        Events, curve, rejections, gated time.

    Source: the bump filter is ours; local past and future as reference follows Moilanen, Zhao,
    Pietikainen, ICPR 2014, doi 10.1109/ICPR.2014.303.
    """
    config = config or SpottingConfig()
    rate = frame_rate(signals.times)
    pieces = stretches(signals, rate)
    gates = [find_gates(piece, rate, config.gates) for piece in pieces]
    smoothed = [
        smooth(bridge_blinks(p.displacement, dilate(g.blink, 0.03, rate)), config.lowpass, rate)
        for p, g in zip(pieces, gates, strict=True)
    ]
    responses = bump_responses(smoothed, rate, config)
    score = np.full(len(signals.times), np.nan)
    cells = np.full((len(signals.times), len(CELLS)), np.nan)
    events: list[Spotted] = []
    rejected: list[Rejected] = []
    blinks: list[Blink] = []
    gated = dict.fromkeys(("edge", "head", "light", "blink"), 0.0)
    spans: list[GatedSpan] = []
    observed = 0.0
    for piece, gate, x, response in zip(pieces, gates, smoothed, responses, strict=True):
        candidates = _candidates(x, response, gate, rate, config)
        for item in candidates:
            if item.reason:
                rejected.append(Rejected(float(piece.times[item.apex]), item.reason))
            else:
                onset, apex, offset = (
                    int(piece.frames[i]) for i in (item.onset, item.apex, item.offset)
                )
                events.append(Spotted(onset, apex, offset, item.score))
        blinks.extend(gate.blinks)
        closed, seconds, free = closed_spans(piece, gate, rate, edge=config.reach)
        spans += closed
        gated = {cause: gated[cause] + seconds[cause] for cause in gated}
        observed += free
        _fill_curve(piece, x, response, rate, score, cells)
    return SpottingResult(
        tuple(sorted(events, key=lambda e: e.onset)),
        MotionCurve(signals.times, score, cells),
        Spotting(
            threshold=config.threshold,
            blinks=tuple(blinks),
            rejected=tuple(sorted(rejected, key=lambda r: r.peak)),
            gated_s={name: round(seconds, 3) for name, seconds in gated.items()},
            observed_s=round(observed, 3),
            gated_spans=tuple(sorted(spans, key=lambda span: span.start)),
        ),
    )


def bump_responses(
    smoothed: list[Array], rate: float, config: SpottingConfig
) -> list[BumpResponse]:
    """Filter each stretch; the noise is common to all of them.

    Args:
        smoothed: per stretch, (n, c, 2) displacement.
        rate: samples a second.
        config: durations and noise floor.
    """
    if not smoothed:
        return []
    channels = smoothed[0].shape[1:]
    lengths = np.cumsum([len(x) for x in smoothed])[:-1]
    durations = [d for d in config.durations if d * rate >= 3] or [config.durations[-1]]
    stacked, noises = [], []
    for duration in durations:
        kernel = bump_kernel(duration, rate)
        rows = [filter_columns(x.reshape(len(x), -1), kernel) for x in smoothed]
        filtered = np.concatenate(rows).astype(np.float32)
        noises.append(mad(filtered).reshape(channels) + config.noise_floor)
        stacked.append(filtered.reshape(-1, *channels))
    noise = np.stack(noises)
    parts = [np.split(filtered, lengths) for filtered in stacked]
    results = []
    for i in range(len(smoothed)):
        response = np.stack([part[i] for part in parts])
        energy = np.sort(((response / noise[:, None]) ** 2).sum(-1), axis=2)
        strength = np.sqrt(energy[:, :, -config.top_cells :].mean(-1))
        results.append(
            BumpResponse(
                np.array(durations),
                response,
                noise,
                strength.max(0).astype(np.float64),
                strength.argmax(0),
            )
        )
    return results


def _candidates(
    x: Array, response: BumpResponse, gates: Gates, rate: float, config: SpottingConfig
) -> list[_Candidate]:
    """Peaks of the score, strongest first, each read and judged; overlapping ones dropped."""
    distance = max(1, round(0.1 * rate))
    peaks, _ = find_peaks(response.score, height=config.threshold, distance=distance)
    still = x - local_rest(x, rate, config.rest_window)
    kept: list[_Candidate] = []
    for peak in peaks[np.argsort(-response.score[peaks], kind="stable")]:
        item = _read(int(peak), x, still, response, gates, rate, config)
        if item is not None and all(_apart(item, other, rate) for other in kept):
            kept.append(item)
    return kept


def _apart(a: _Candidate, b: _Candidate, rate: float) -> bool:
    shared = min(a.offset, b.offset) - max(a.onset, b.onset)
    shorter = min(a.offset - a.onset, b.offset - b.onset)
    return shared <= 0.2 * shorter and abs(a.apex - b.apex) > 0.3 * rate


def _read(
    peak: int,
    x: Array,
    still: Array,
    response: BumpResponse,
    gates: Gates,
    rate: float,
    config: SpottingConfig,
) -> _Candidate | None:
    """Apex, onset and offset of one peak, and the gate it fails; None where nothing moved.

    The filter answers to a movement beside it too, with the opposite sign: there the face is at
    rest (``still``, the displacement from the local rest, is small).
    """
    j = int(response.best[peak])
    moved = response.response[j, peak].astype(np.float64)
    energy = ((moved / response.noise[j]) ** 2).sum(-1)
    weights = np.where(energy >= 0.25 * energy.max(), 1.0, 0.0)[:, None] * moved
    score = float(response.score[peak])
    reach = round(config.reach * rate)
    first, last = max(0, peak - reach), min(len(x), peak + reach + 1)
    curve = np.tensordot(x[first:last], weights, 2) / np.linalg.norm(weights)
    width = max(1, round(0.4 * response.durations[j] * rate))
    near = slice(max(0, peak - first - width), peak - first + width + 1)
    apex = near.start + int(np.argmax(curve[near]))
    height = float((still[first + apex] * weights).sum())
    if height < config.min_height * float((weights**2).sum()):
        return None
    # The rest is looked for as near to a short movement as its own length allows: drift is less.
    near_s = float(np.clip(response.durations[j], 0.08, config.side_near))
    level, step = _local_level(curve, apex, rate, near_s, near_s + config.side_width)
    onset, offset, closed = _feet(level, apex, config.foot)
    onset, apex, offset = first + onset, first + apex, first + offset
    item = _Candidate(onset, apex, offset, score, "")
    if peak - reach < 0 or peak + reach >= len(x):
        reason = "lost"
    elif not closed or step > config.max_step:
        reason = "macro"
    else:
        largest = float(np.linalg.norm(weights, axis=1).max())
        mouth = float(energy[list(MOUTH_CELLS)].sum() / energy.sum())
        reason = _judge(item, largest, mouth, gates, response.score, rate, config)
    return replace(item, reason=reason)


def _judge(
    item: _Candidate,
    largest: float,
    mouth: float,
    gates: Gates,
    score: Array,
    rate: float,
    config: SpottingConfig,
) -> str:
    """The gate that a movement fails; '' where it passes all.

    Args:
        item: onset, apex, offset.
        largest: displacement of the strongest cell, canonical units.
        mouth: share of the movement's energy in the mouth's cells, which no blink moves.
        gates, score: of the stretch.
        rate, config: samples a second, limits.
    """
    span = slice(item.onset, item.offset + 1)
    duration = (item.offset - item.onset) / rate
    if duration > config.longest:
        return "macro"
    if duration < config.shortest or largest < config.min_displacement:
        return "short"
    if gates.head[span].any():
        return "head"
    if gates.light[span].any():
        return "light"
    if gates.blink[span].mean() > 0.5 and mouth < 0.5:
        return "blink"
    return "crowded" if _crowded(score, item.apex, item.score, rate, config) else ""


def _local_level(
    curve: Array, apex: int, rate: float, near_s: float, far_s: float
) -> tuple[Array, float]:
    """The curve over the line between the levels before and after, apex = 1; and the step.

    The levels are medians between ``near_s`` and ``far_s`` seconds from the apex.
    """
    near, far = round(near_s * rate), round(far_s * rate)
    before, after = curve[max(0, apex - far) : max(1, apex - near)], curve[apex + near : apex + far]
    low = float(np.median(before)) if len(before) else float(curve[0])
    high = float(np.median(after)) if len(after) else float(curve[-1])
    height = curve[apex] - (low + high) / 2
    centre = (near + far) / 2
    line = low + (high - low) * (np.arange(len(curve)) - (apex - centre)) / (2 * centre)
    flat = curve - line
    # Drift that goes on before and after alike is no step; a macro-expression has a flat side.
    slopes = [float(np.polyfit(np.arange(len(s)), s, 1)[0]) for s in (before, after) if len(s) > 2]
    drift = 0.0
    if len(slopes) == 2 and slopes[0] * slopes[1] > 0:
        drift = min(slopes, key=abs) * 2 * centre
    step = min(abs(high - low), abs(high - low - drift)) / (abs(height) + 1e-9)
    return flat / (flat[apex] + 1e-9), step


def _feet(level: Array, apex: int, foot: float) -> tuple[int, int, bool]:
    """Onset and offset: walk down to the foot, then on to where a raised cosine is zero."""
    onset = offset = apex
    while onset > 0 and level[onset] > foot:
        onset -= 1
    while offset < len(level) - 1 and level[offset] > foot:
        offset += 1
    closed = level[onset] <= foot and level[offset] <= foot
    # A raised cosine falls to the foot at this share of its way from apex to zero.
    share = float(np.arccos(2 * foot - 1) / np.pi)
    onset = max(0, round(apex - (apex - onset) / share))
    offset = min(len(level) - 1, round(apex + (offset - apex) / share))
    return onset, offset, closed


def _crowded(score: Array, apex: int, peak: float, rate: float, config: SpottingConfig) -> bool:
    """Whether movement fills the seconds on both sides, or nearly all of one side."""
    near, far = (round(s * rate) for s in config.crowd_window)
    limit = max(config.threshold, config.crowd_level * peak)
    sides = (score[max(0, apex - far) : max(0, apex - near)], score[apex + near : apex + far])
    shares = [float((side > limit).mean()) if len(side) else 0.0 for side in sides]
    return min(shares) > config.crowd_share or max(shares) > config.crowd_one_side


def _fill_curve(
    piece: Stretch, x: Array, response: BumpResponse, rate: float, score: Array, cells: Array
) -> None:
    """Write a stretch's score and its cells' displacement into the whole video's curve."""
    keep = piece.found
    score[piece.frames[keep]] = response.score[keep]
    cells[piece.frames[keep]] = np.linalg.norm(x - local_rest(x, rate), axis=-1)[keep]
