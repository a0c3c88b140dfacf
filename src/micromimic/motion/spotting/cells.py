"""Onset, apex and offset of every brief movement in a long video, and what was held back.

The ten cells' displacement is searched for bumps of 0.04-0.5 s (`spotting.bumps`). Each peak of the
score becomes a candidate: its cells' displacement is projected on the direction of the movement,
and apex, onset and offset are read from that single curve. Then the gates: blinks, head movement,
lighting, speech, longer (macro) expressions, crowds of movements.
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
from micromimic.motion.spotting.bumps import (
    Array,
    BumpResponse,
    bump_kernel,
    filter_columns,
    local_rest,
    mad,
    smooth,
    strengths,
)
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.dense.candidates import DenseCandidate
from micromimic.motion.spotting.gates import (
    CAUSES,
    Gates,
    bridge_blinks,
    closed_spans,
    dilate,
    find_gates,
)
from micromimic.motion.spotting.reading import Candidate, Scene, peaks_of, read_peaks
from micromimic.motion.spotting.speech import mouth_steps, quiet_rows, speech_mask, step_noise
from micromimic.motion.spotting.stretches import Stretch, grid_rate, stretches

__all__ = ["Noise", "Part", "Spotted", "SpottingConfig", "SpottingResult", "spot"]


@dataclass(frozen=True)
class Spotted:
    """One movement that passed."""

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
    """One unbroken stretch and the bump filters' answer to it."""

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
        flat = x.reshape(len(x), -1)
        answers = np.stack([filter_columns(flat, k).astype(np.float32) for k in kernels])
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


def weigh(part: Part, noise: Noise, config: SpottingConfig, *, ends: bool = True) -> BumpResponse:
    """The filters' answers in multiples of the noise."""
    durations = np.array(config.durations_at(noise.rate))
    strength = strengths(part.filtered, noise.cells, config.top_cells)
    if not ends:
        ahead = np.arange(strength.shape[1] - 1, -1, -1)
        strength = np.where(ahead >= np.rint(durations * noise.rate)[:, None], strength, 0.0)
    best = strength.argmax(0)
    score = strength.max(0).astype(np.float64)
    return BumpResponse(durations, part.filtered, noise.cells, score, best)


def read(
    part: Part,
    response: BumpResponse,
    rate: float,
    config: SpottingConfig,
    *,
    ends: bool = True,
    since: float = -np.inf,
) -> list[Candidate]:
    """Peaks of the score, strongest first, each read and judged; overlapping ones dropped.
    ``since``: seconds; peaks before are of no interest."""
    scene = Scene(part.x, response, part.gates, rate, ends)
    first = int(np.searchsorted(part.stretch.times, since))
    peaks = first + peaks_of(response.score[first:], rate, config)
    return read_peaks(scene, peaks, config)


def spot(signals: FaceSignals, config: SpottingConfig | None = None) -> SpottingResult:
    """Find the micro-expressions in what tracking measured.

    Source: the bump filter is ours; local past and future as reference follows Moilanen, Zhao,
    Pietikainen, ICPR 2014, doi 10.1109/ICPR.2014.303. ``config``: thresholds; the defaults hold for
    100 and 200 frames a second.
    """
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
        piece, response = part.stretch, weigh(part, noise, config)
        for item in read(part, response, rate, config):
            if item.reason:
                rejected.append(Rejected(float(piece.times[item.apex]), item.reason))
            else:
                onset, apex, offset = piece.frames[[item.onset, item.apex, item.offset]]
                events.append(Spotted(int(onset), int(apex), int(offset), item.score))
        blinks.extend(part.gates.blinks)
        closed, seconds, free = closed_spans(piece, part.gates, rate, edge=config.reach)
        spans += closed
        gated = {cause: gated[cause] + seconds[cause] for cause in gated}
        observed += free
        keep = piece.found
        score[piece.frames[keep]] = response.score[keep]
        off_rest = np.linalg.norm(part.x - local_rest(part.x, rate), axis=-1)
        cells[piece.frames[keep]] = off_rest[keep]
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
