"""Onset, apex and offset of every brief movement in a long video, and what was held back.

The ten cells' displacement is searched for bumps of 0.04-0.5 s (`motion.bumps`). Each peak of the
score becomes a candidate: its cells' displacement is projected on the direction of the movement,
and apex, onset and offset are read from that single curve. Then the gates: blinks, head movement,
lighting, speech, longer (macro) expressions, crowds of movements.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

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
    strengths,
)
from micromimic.motion.candidates import Candidate, Scene, peaks_of, read_peaks
from micromimic.motion.dense.candidates import DenseCandidate
from micromimic.motion.gates import (
    CAUSES,
    Gates,
    bridge_blinks,
    closed_spans,
    dilate,
    find_gates,
)
from micromimic.motion.speech import mouth_steps, quiet_rows, speech_mask, step_noise
from micromimic.motion.spotting_config import SpottingConfig
from micromimic.motion.stretches import Stretch, grid_rate, stretches
from micromimic.results import Blink, GatedSpan, Rejected, Spotting
from micromimic.types import ExpressionKind, MotionCurve

__all__ = ["Spotted", "SpottingConfig", "SpottingResult", "bridged", "bump_responses", "spot"]


@dataclass(frozen=True)
class Spotted:
    """One movement that passed.

    Args:
        onset, apex, offset: frame indices.
        score: multiples of the noise.
        dense: what the dense flow saw of it; None where it saw nothing.
        kind: ``macro`` for longer expressions (`motion.macro`).
    """

    onset: int
    apex: int
    offset: int
    score: float
    dense: DenseCandidate | None = None
    kind: ExpressionKind = "micro"


@dataclass(frozen=True)
class SpottingResult:
    """Events by onset, the curve, and everything beside them."""

    events: tuple[Spotted, ...]
    curve: MotionCurve
    spotting: Spotting


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
    rate = grid_rate(signals.times)
    pieces = stretches(signals, rate)
    gates = [find_gates(piece, rate, config.gates) for piece in pieces]
    smoothed = [
        bridged(p.displacement, g.blink, rate, config) for p, g in zip(pieces, gates, strict=True)
    ]
    gates = with_speech(gates, smoothed, rate, config)
    quiet = quiet_rows([g.speech for g in gates if g.speech is not None], rate, config.speech)
    responses = bump_responses(smoothed, rate, config, quiet)
    score = np.full(len(signals.times), np.nan)
    cells = np.full((len(signals.times), len(CELLS)), np.nan)
    events: list[Spotted] = []
    rejected: list[Rejected] = []
    blinks: list[Blink] = []
    gated = dict.fromkeys(CAUSES, 0.0)
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


def bridged(
    displacement: Array, blink: NDArray[np.bool_], rate: float, config: SpottingConfig
) -> Array:
    """(n, 10, 2) displacement without the pull of blinks, smoothed.

    Args:
        displacement: (n, 10, 2).
        blink: (n,) True while the lids move.
        rate: samples a second.
        config: the low-pass.
    """
    return smooth(bridge_blinks(displacement, dilate(blink, 0.03, rate)), config.lowpass, rate)


def with_speech(
    gates: list[Gates], smoothed: list[Array], rate: float, config: SpottingConfig
) -> list[Gates]:
    """The gates of all stretches, closed for speech too; the mouth's noise is common to them.

    Args:
        gates: of each stretch.
        smoothed: of each stretch, (n, 10, 2) displacement without the pull of blinks.
        rate: samples a second.
        config: limits.
    """
    mouths = [mouth_steps(x, rate) for x in smoothed]
    noise = step_noise([steps for _, steps in mouths], config.speech)
    masks = [speech_mask(*mouth, noise, rate, config.speech) for mouth in mouths]
    return [replace(g, speech=mask) for g, mask in zip(gates, masks, strict=True)]


def bump_responses(
    smoothed: list[Array],
    rate: float,
    config: SpottingConfig,
    quiet: NDArray[np.bool_] | None = None,
) -> list[BumpResponse]:
    """Filter each stretch; the noise is common to all of them.

    Args:
        smoothed: per stretch, (n, c, 2) displacement.
        rate: samples a second.
        config: durations and noise floor.
        quiet: True for the samples, stretch after stretch, that the noise is measured in; None
            for all.
    """
    if not smoothed:
        return []
    channels = smoothed[0].shape[1:]
    lengths = np.cumsum([len(x) for x in smoothed])[:-1]
    within = slice(None) if quiet is None or quiet.all() else quiet
    durations = config.durations_at(rate)
    stacked, noises = [], []
    for duration in durations:
        kernel = bump_kernel(duration, rate)
        rows = [filter_columns(x.reshape(len(x), -1), kernel) for x in smoothed]
        filtered = np.concatenate(rows).astype(np.float32)
        noises.append(mad(filtered[within]).reshape(channels) + config.noise_floor)
        stacked.append(filtered.reshape(-1, *channels))
    noise = np.stack(noises)
    parts = [np.split(filtered, lengths) for filtered in stacked]
    results = []
    for i in range(len(smoothed)):
        response = np.stack([part[i] for part in parts])
        strength = strengths(response, noise, config.top_cells)
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
) -> list[Candidate]:
    """Peaks of the score, strongest first, each read and judged; overlapping ones dropped."""
    rest = local_rest(x, rate, config.rest_window)
    scene = Scene(x, lambda at: np.asarray(rest[at]), response, gates, rate)
    return read_peaks(scene, peaks_of(response.score, rate, config), config)


def _fill_curve(
    piece: Stretch, x: Array, response: BumpResponse, rate: float, score: Array, cells: Array
) -> None:
    """Write a stretch's score and its cells' displacement into the whole video's curve."""
    keep = piece.found
    score[piece.frames[keep]] = response.score[keep]
    cells[piece.frames[keep]] = np.linalg.norm(x - local_rest(x, rate), axis=-1)[keep]
