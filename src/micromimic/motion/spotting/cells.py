"""Onset, apex and offset of every brief movement in a long video, and what was held back.

The ten cells' displacement is searched for bumps of 0.04-0.5 s (`spotting.bumps`). Each peak of the
score becomes a candidate: its cells' displacement is projected on the direction of the movement,
and apex, onset and offset are read from that single curve. Then the gates: blinks, head movement,
lighting, speech, longer (macro) expressions, crowds of movements. The same functions serve whole
recordings and one that goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import CELLS
from micromimic.core.results import Blink, GatedSpan, Rejected, Spotting
from micromimic.core.types import ExpressionKind, MotionCurve
from micromimic.face.signals import FaceSignals
from micromimic.motion.spotting.blinks import MOUTH_CELLS, bridge_blinks
from micromimic.motion.spotting.bumps import (
    Array,
    bump_kernel,
    dilate,
    filter_columns,
    local_rest,
    mad,
    peaks,
    smooth,
    strengths,
)
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.dense.candidates import DenseCandidate
from micromimic.motion.spotting.gates import CAUSES, Gates, closed_spans, closing, find_gates
from micromimic.motion.spotting.speech import mouth_steps, quiet_rows, speech_mask, step_noise
from micromimic.motion.spotting.time_grid import Stretch, grid_rate, stretches

PEAKS_APART = 0.1  # seconds between peaks of the score that are looked at on their own
PEAK_SURE = 0.05  # seconds of the score after a peak that show that it is one


@dataclass(frozen=True)
class Spotted:
    onset: int  # frame indices
    apex: int
    offset: int
    score: float  # multiples of the noise
    dense: DenseCandidate | None = None  # what the dense flow saw of it; None where it saw nothing
    kind: ExpressionKind = "micro"  # ``macro`` for longer expressions (`spotting.macro`)


@dataclass(frozen=True)
class SpottingResult:
    """Events by onset, the curve, and everything beside them."""

    events: tuple[Spotted, ...]
    curve: MotionCurve
    spotting: Spotting


@dataclass(frozen=True)
class Part:
    stretch: Stretch  # what tracking measured, at even times
    gates: Gates  # where it is closed
    x: Array  # (n, 10, 2) displacement without the pull of blinks, smoothed
    steps: Array  # (n,) of the mouth, as ``mouth_steps`` gives them
    filtered: NDArray[np.float32]  # (k, n, 10, 2) answers, by duration


@dataclass(frozen=True)
class Noise:
    """What a face does of itself."""

    rate: float  # samples a second at which it was measured
    cells: Array  # (k, 10, 2) robust standard deviation of the filters' answers, with the floor
    steps: float  # what a still mouth's steps seldom exceed


def measure(
    signals: FaceSignals, rate: float, config: SpottingConfig, steps: float | None = None
) -> list[Part]:
    """Cut into stretches, find what closes each, and filter them. ``signals``: one person's face, a
    recording or the last seconds of one; ``rate``: samples a second of the even grid; ``steps``: a
    still mouth's steps, where they are known; None measures them here."""
    pieces = stretches(signals, rate)
    gates = [find_gates(piece, rate, config.gates) for piece in pieces]
    smoothed = [
        smooth(bridge_blinks(p.displacement, dilate(g.blink, 0.03, rate)), config.lowpass, rate)
        for p, g in zip(pieces, gates, strict=True)
    ]
    mouths = [mouth_steps(x, rate) for x in smoothed]
    still = step_noise([s for _, s in mouths], config.speech) if steps is None else steps
    kernels = [bump_kernel(duration, rate) for duration in config.durations_at(rate)]
    parts = []
    for piece, gate, x, mouth in zip(pieces, gates, smoothed, mouths, strict=True):
        closed = replace(gate, speech=speech_mask(*mouth, still, rate, config.speech))
        answers = filter_columns(x.reshape(len(x), -1), kernels)
        parts.append(Part(piece, closed, x, mouth[1], answers.reshape(len(kernels), *x.shape)))
    return parts


def noise_of(parts: Sequence[Part], rate: float, config: SpottingConfig) -> Noise:
    """The noise that all stretches have in common: where the mouth does not speak."""
    speech = [part.gates.speech for part in parts if part.gates.speech is not None]
    quiet = quiet_rows(speech, rate, config.speech)
    cells = np.zeros((len(config.durations_at(rate)), len(CELLS), 2))
    for k in range(len(cells) if parts else 0):
        cells[k] = mad(np.concatenate([part.filtered[k] for part in parts])[quiet])
    steps = step_noise([part.steps for part in parts], config.speech)
    return Noise(rate, cells + config.noise_floor, steps)


@dataclass(frozen=True)
class Scene:
    """A stretch in multiples of the face's noise: what single movements are read from."""

    part: Part
    noise: Noise
    durations: Array  # (k,) seconds, the filters' widths
    score: Array  # (n,) of the strongest cells, largest over the filters
    best: NDArray[np.intp]  # (n,) which filter made it
    ends: bool  # nothing follows; False while the stretch still goes on


@dataclass(frozen=True)
class Candidate:
    onset: int  # samples of the stretch
    apex: int
    offset: int
    score: float  # peak score, multiples of the noise
    reason: str  # why it is no event; '' where it is one
    closed: bool  # it was seen to come back
    # the sample from which on nothing local is missing: the levels beside it and the filter's own
    # future. What comes later can only show a crowd
    needs: int


def weigh(part: Part, noise: Noise, config: SpottingConfig, *, ends: bool = True) -> Scene:
    """The filters' answers in multiples of the noise. While a stretch goes on, a filter answers
    only once all of its future is there."""
    durations = np.array(config.durations_at(noise.rate))
    strength = strengths(part.filtered, noise.cells, config.top_cells)
    if not ends:
        ahead = np.arange(strength.shape[1] - 1, -1, -1)
        strength = np.where(ahead >= np.rint(durations * noise.rate)[:, None], strength, 0.0)
    score = strength.max(0).astype(np.float64)
    return Scene(part, noise, durations, score, strength.argmax(0), ends)


def read(scene: Scene, config: SpottingConfig, *, since: float = -np.inf) -> list[Candidate]:
    """Peaks of the score after some seconds, strongest first, each read and judged; what overlaps
    an earlier one is dropped."""
    rate = scene.noise.rate
    first = int(np.searchsorted(scene.part.stretch.times, since))
    apart_by = max(1, round(PEAKS_APART * rate))
    kept: list[Candidate] = []
    for peak in first + peaks(scene.score[first:], config.threshold, apart_by):
        item = read_peak(int(peak), scene, config)
        if item is not None and all(apart(item, other, rate) for other in kept):
            kept.append(item)
    return kept


def apart(a: Candidate, b: Candidate, rate: float) -> bool:
    """Whether two candidates can both be movements of their own."""
    shared = min(a.offset, b.offset) - max(a.onset, b.onset)
    shorter = min(a.offset - a.onset, b.offset - b.onset)
    return shared <= 0.2 * shorter and abs(a.apex - b.apex) > 0.3 * rate


def read_peak(peak: int, scene: Scene, config: SpottingConfig) -> Candidate | None:
    """Apex, onset and offset of one peak, and the gate it fails; None where nothing moved. The
    filter answers to a movement beside it too, with the opposite sign: there the face is at rest
    (the displacement from the local rest is small)."""
    x, rate = scene.part.x, scene.noise.rate
    j = int(scene.best[peak])
    moved = scene.part.filtered[j, peak].astype(np.float64)
    energy = ((moved / scene.noise.cells[j]) ** 2).sum(-1)
    weights = np.where(energy >= 0.25 * energy.max(), 1.0, 0.0)[:, None] * moved
    score = float(scene.score[peak])
    reach = round(config.reach * rate)
    first, last = max(0, peak - reach), min(len(x), peak + reach + 1)
    curve = np.tensordot(x[first:last], weights, 2) / np.linalg.norm(weights)
    width = max(1, round(0.4 * scene.durations[j] * rate))
    near = slice(max(0, peak - first - width), peak - first + width + 1)
    apex = near.start + int(np.argmax(curve[near]))
    rest = _rest(x, first + apex, config.rest_window, rate)
    height = float(((x[first + apex] - rest) * weights).sum())
    if height < config.min_height * float((weights**2).sum()):
        return None
    # The rest is looked for as near to a short movement as its own length allows: drift is less.
    near_s = float(np.clip(scene.durations[j], 0.08, config.side_near))
    far_s = near_s + config.side_width
    level, step = _local_level(curve, apex, rate, near_s, far_s)
    onset, offset, closed = _feet(level, apex, config.foot)
    onset, apex, offset = first + onset, first + apex, first + offset
    own = scene.durations[j] + PEAK_SURE
    needs = max(apex + round(far_s * rate), peak + round(own * rate))
    item = Candidate(onset, apex, offset, score, "", closed, needs)
    if peak - reach < 0 or (scene.ends and peak + reach >= len(x)):
        reason = "lost"
    elif not closed or step > config.max_step:
        reason = "macro"
    else:
        largest = float(np.linalg.norm(weights, axis=1).max())
        mouth = float(energy[list(MOUTH_CELLS)].sum() / energy.sum())
        reason = _judge(item, largest, mouth, scene, config)
    return replace(item, reason=reason)


def _rest(x: Array, at: int, window: float, rate: float) -> Array:
    """(10, 2) where the face rests about a sample: the median, at 40 samples a second."""
    step = max(1, round(rate / 40.0))
    half = round(window * rate / step) // 2
    places = np.clip(at + step * np.arange(-half, half + 1), 0, len(x) - 1)
    return np.asarray(np.median(x[places], axis=0))


def _judge(
    item: Candidate, largest: float, mouth: float, scene: Scene, config: SpottingConfig
) -> str:
    """The gate that a movement fails; '' where it passes all. ``largest``: displacement of the
    strongest cell, canonical units."""
    duration = (item.offset - item.onset) / scene.noise.rate
    if duration > config.longest:
        return "macro"
    if duration < config.shortest or largest < config.min_displacement:
        return "short"
    cause = closing(scene.part.gates, item.onset, item.apex, item.offset, mouth)
    if cause:
        return cause
    return "crowded" if _crowded(item, scene, config) else ""


def _local_level(
    curve: Array, apex: int, rate: float, near_s: float, far_s: float
) -> tuple[Array, float]:
    """The curve over the line between the levels before and after, apex = 1; and the step. The
    levels are medians between ``near_s`` and ``far_s`` seconds from the apex."""
    near = max(1, round(near_s * rate))
    far = max(near + 1, round(far_s * rate))
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


def _crowded(item: Candidate, scene: Scene, config: SpottingConfig) -> bool:
    """Whether movement fills the seconds on both sides, or nearly all of one, or is as unquiet.
    Speech beside it does not count: it is closed on its own, with a margin."""
    near, far = (max(1, round(s * scene.noise.rate)) for s in config.crowd_window)
    far = max(near + 1, far)
    limit = max(config.threshold, config.crowd_level * item.score)
    shares, quiet = [], []
    for side in (
        slice(max(0, item.apex - far), max(0, item.apex - near)),
        slice(item.apex + near, item.apex + far),
    ):
        score = scene.score[side]
        speech = np.zeros(len(score), bool)
        if scene.part.gates.speech is not None:
            speech = scene.part.gates.speech[side]
        busy = (score > limit) & ~speech
        shares.append(float(busy.mean()) if len(busy) else 0.0)
        quiet.append(score[~speech])
    if min(shares) > config.crowd_share or max(shares) > config.crowd_one_side:
        return True
    beside = np.concatenate(quiet)
    known = len(beside) >= far - near  # of less than one side's length nothing can be said
    return bool(known and item.score < config.stand_out * np.median(beside))


def spot(signals: FaceSignals, config: SpottingConfig | None = None) -> SpottingResult:
    """Find the micro-expressions in what tracking measured. Source: the bump filter is ours; local
    past and future as reference follows Moilanen, Zhao, Pietikainen, ICPR 2014, doi
    10.1109/ICPR.2014.303. ``config``: thresholds; the defaults hold for 100 and 200 frames a
    second."""
    config = config or SpottingConfig()
    rate = grid_rate(signals.times)
    parts = measure(signals, rate, config)
    noise = noise_of(parts, rate, config)
    score = np.full(len(signals.times), np.nan)
    cells = np.full((len(signals.times), len(CELLS)), np.nan)
    events: list[Spotted] = []
    rejected: list[Rejected] = []
    blinks: list[Blink] = []
    gated = dict.fromkeys(CAUSES, 0.0)
    spans: list[GatedSpan] = []
    observed = 0.0
    for part in parts:
        piece, scene = part.stretch, weigh(part, noise, config)
        for item in read(scene, config):
            onset, apex, offset = piece.frames[[item.onset, item.apex, item.offset]].tolist()
            if item.reason:
                peak, ends = float(piece.times[item.apex]), (onset, apex, offset)
                rejected.append(Rejected(peak, item.reason, ends, item.score))
            else:
                events.append(Spotted(onset, apex, offset, item.score))
        blinks.extend(part.gates.blinks)
        closed, seconds, free = closed_spans(piece, part.gates, rate, edge=config.reach)
        spans += closed
        gated = {cause: gated[cause] + seconds[cause] for cause in gated}
        observed += free
        keep = piece.found
        score[piece.frames[keep]] = scene.score[keep]
        for cell in range(len(CELLS)):
            x = part.x[:, cell]
            off_rest = np.linalg.norm(x - local_rest(x, rate), axis=-1)
            cells[piece.frames[keep], cell] = off_rest[keep]
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
