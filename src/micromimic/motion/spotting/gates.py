"""When a movement cannot be told from something else: head, light, lids (`blinks`), `speech`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from micromimic.core.canonical import INTEROCULAR, scale_of
from micromimic.core.results import Blink, GatedSpan
from micromimic.motion.spotting.blinks import find_blinks, is_blink
from micromimic.motion.spotting.bumps import Array, Mask, smooth
from micromimic.motion.spotting.config import GateConfig
from micromimic.motion.spotting.time_grid import Stretch

CAUSES = ("edge", "head", "light", "blink", "speech")
"""Why time is closed to events, in the order in which a moment with several is counted."""


def face_centre(transform: Array) -> Array:
    """(T, 2) pixels of the face's middle, by (T, 2, 3) maps from canonical units."""
    return np.asarray(transform[:, :, :2] @ np.array([13.4, 13.5]) + transform[:, :, 2])


def head_speed(transform: Array, rate: float) -> Array:
    """Speed of the face's centre relative to its size. ``transform``: (T, 2, 3) canonical units to
    image pixels. Returns (T,) interocular distances a second, over a fifth of a second."""
    centre = face_centre(transform)
    size = INTEROCULAR * scale_of(transform)
    path = smooth(centre, 0.02, rate)
    half = max(1, round(0.1 * rate))
    speed = np.zeros(len(path))
    if len(path) > 2 * half:
        moved = np.linalg.norm(path[2 * half :] - path[: -2 * half], axis=1)
        speed[half:-half] = moved / size[half:-half] * rate / (2 * half)
        speed[:half], speed[-half:] = speed[half], speed[-half - 1]
    return speed


def light_change(brightness: Array, rate: float) -> Array:
    """(T,) relative change of brightness within a tenth of a second. The mean over 20 ms is
    compared, so mains flicker above 50 Hz does not count."""
    level = smooth(brightness.astype(np.float64), 0.01, rate)
    half = max(1, round(0.05 * rate))
    change = np.zeros(len(level))
    if len(level) > 2 * half:
        change[half:-half] = np.abs(level[2 * half :] / level[: -2 * half] - 1)
    return change


@dataclass(frozen=True)
class Gates:
    head: Mask  # (n,) masks
    light: Mask
    blink: Mask
    blinks: list[Blink]  # the eyelid closures in it
    # (n,) mask (`spotting.speech`); None before the displacement is looked at
    speech: Mask | None = None


def find_gates(piece: Stretch, rate: float, config: GateConfig) -> Gates:
    """Measure head, light and lids of one stretch; speech shows only in the displacement."""
    speed = head_speed(piece.transform, rate)
    blinks, blink = find_blinks(piece.eye_change, piece.times, rate, config)
    light = light_change(piece.brightness, rate) > config.light_change
    return Gates(speed > config.head_speed, light, blink, blinks)


def closing(gates: Gates, onset: int, apex: int, offset: int, mouth: float) -> str:
    """Why a movement cannot be told from something else; '' where it can. ``mouth``: as `is_blink`
    has it."""
    span = slice(onset, offset + 1)
    causes = {
        "head": gates.head[span].any(),
        "light": gates.light[span].any(),
        "blink": is_blink(gates.blink[span], mouth),
        "speech": gates.speech is not None and gates.speech[apex],
    }
    return next((cause for cause, closed in causes.items() if closed), "")


def closed_spans(
    piece: Stretch, gates: Gates, rate: float, edge: float
) -> tuple[list[GatedSpan], dict[str, float], float]:
    """Where a stretch is closed to events: the spans, seconds by cause, and the seconds open. The
    first and last ``edge`` seconds of a stretch lack a past or future to compare with. A moment
    with several causes counts for the first of them."""
    n = len(piece.times)
    ends = np.zeros(n, bool)
    reach = round(edge * rate)
    ends[:reach], ends[max(0, n - reach) :] = True, True
    speech = gates.speech if gates.speech is not None else np.zeros(n, bool)
    masks = (ends, gates.head, gates.light, gates.blink, speech)
    causes = dict(zip(CAUSES, masks, strict=True))
    free = np.ones(n, bool)
    spans: list[GatedSpan] = []
    seconds: dict[str, float] = {}
    for cause, mask in causes.items():
        closed = np.concatenate([[False], mask & free, [False]])
        seconds[cause] = float(closed.sum()) / rate
        starts, stops = np.flatnonzero(np.diff(closed.astype(np.int8))).reshape(-1, 2).T
        spans += [
            GatedSpan(float(piece.times[i]), float(piece.times[j - 1]), cause)
            for i, j in zip(starts, stops, strict=True)
        ]
        free &= ~mask
    return spans, seconds, float(free.sum()) / rate
