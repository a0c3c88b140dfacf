"""When a movement cannot be told from something else: blinks, head, light, and speech.

A micro-expression goes there and back: within a second the path of a lip corner or of the chin is
twice its range. In speech the mouth turns at each sound, and the path grows while the range does
not. So path over range within a window, of the channel that turns most, tells speech (chewing,
laughter) from single movements, whatever their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

from micromimic.core.canonical import INTEROCULAR, scale_of
from micromimic.core.labels import CELLS
from micromimic.core.results import Blink, GatedSpan
from micromimic.motion.spotting.bumps import Array, mad, smooth
from micromimic.motion.spotting.time_grid import Stretch

Mask = NDArray[np.bool_]


MOUTH_CELLS = tuple(i for i, name in enumerate(CELLS) if "mouth" in name or "chin" in name)
LID_CELLS = tuple(i for i in range(len(CELLS)) if i not in MOUTH_CELLS)
"""Cells that a blink pulls along: brows, eye corners, nose wings."""


CAUSES = ("edge", "head", "light", "blink", "speech")
"""Why time is closed to events, in the order in which a moment with several is counted."""


@dataclass(frozen=True)
class GateConfig:
    head_speed: float = 0.08  # interocular distances a second; faster is head movement
    # relative change of the face's brightness within a tenth of a second
    light_change: float = 0.05
    blink_noise: float = 8.0  # eyelid signal above this many times its own noise is a blink...
    blink_floor: float = 0.2  # ...and above this share of the eyes' contrast
    blink_foot: float = 0.15  # share of a blink's height at which it begins and ends
    blink_longest: float = 1.0  # seconds; longer closures are closed eyes, gated but no blinks


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


def find_blinks(
    eye_change: Array, times: Array, rate: float, config: GateConfig
) -> tuple[list[Blink], Mask]:
    """Blinks, and where the eyes move too much to tell. ``eye_change``: (T,) shares of the eyes'
    contrast; ``times``: (T,) seconds. Returns the blinks, and (T,) True while the lids move."""
    level = smooth(eye_change.astype(np.float64), 0.01, rate)
    window = round(1.2 * rate) | 1
    raised = level - scipy.ndimage.median_filter(level, window, mode="nearest")
    limit = max(config.blink_floor, config.blink_noise * float(mad(raised)))
    mask = np.zeros(len(level), bool)
    blinks: list[Blink] = []
    above = np.flatnonzero(raised > limit)
    if not len(above):
        return blinks, mask
    for run in np.split(above, np.flatnonzero(np.diff(above) > max(1, 0.06 * rate)) + 1):
        peak = run[0] + int(np.argmax(raised[run[0] : run[-1] + 1]))
        foot = max(config.blink_foot * raised[peak], 0.5 * limit)
        start, end = int(run[0]), int(run[-1])
        while start > 0 and raised[start] > foot:
            start -= 1
        while end < len(raised) - 1 and raised[end] > foot:
            end += 1
        mask[start : end + 1] = True
        if times[end] - times[start] <= config.blink_longest:
            blinks.append(Blink(float(times[start]), float(times[peak]), float(times[end])))
    return blinks, mask


def dilate(mask: Mask, seconds: float, rate: float) -> Mask:
    """Widen a mask by some seconds to both sides."""
    n = round(seconds * rate)
    return np.asarray(scipy.ndimage.binary_dilation(mask, np.ones(2 * n + 1, bool))) if n else mask


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


def bridge_blinks(displacement: Array, blink: Mask) -> Array:
    """Bridge the upper cells' displacement while the lids move. A blink then makes no bump of its
    own, and a movement of the mouth, or a brow movement that outlasts the blink, is still seen."""
    moving = np.flatnonzero(blink)
    still = np.flatnonzero(~blink)
    if not len(moving) or not len(still):
        return displacement
    bridged = displacement.copy()
    for cell in LID_CELLS:
        for axis in range(2):
            column = displacement[:, cell, axis]
            bridged[moving, cell, axis] = np.interp(moving, still, column[still])
    return bridged


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


_SMOOTHING: Final = 0.03
"""Seconds; the mouth's shapes follow each other some 12 times a second at most."""
_STEP: Final = 0.025  # seconds over which a step of the mouth is measured
_QUIET: Final = 0.05  # share of the time that a mouth is taken to be still, even a talking one's
_CHANCE: Final = 3.0
"""Steps of a still mouth exceed this multiple of their quantile at ``_QUIET`` 2 % of the time."""
_SETTLED_S: Final = 0.16  # seconds of past and future that a step depends on


@dataclass(frozen=True)
class SpeechConfig:
    window: float = 1.2  # seconds in which path and range are compared
    turning: float = 2.35  # path over range; a movement there and back has 2
    part: float = 0.3  # only channels count whose range is at least this share of all channels'...
    # seconds by which what was found is widened: a phrase's last sounds are no events
    margin: float = 0.5
    least_range: float = 0.02  # ...and so many canonical units
    least_noise: float = 0.0008  # canonical units, floor of the steps' noise
    least_quiet: float = 2.0  # seconds without speech from which a face's noise can be learnt

    @property
    def reach(self) -> float:
        """Seconds of past and of future that decide whether a moment is speech."""
        return self.window / 2 + self.margin + _SETTLED_S


def mouth_steps(x: Array, rate: float) -> tuple[Array, Array]:
    """Where the mouth is, and how far it goes. ``x``: (n, 10, 2) displacement of the cells. Returns
    (n, 6) smoothed displacement of lip corners and chin, and (n,) the length of the step that ends
    at each sample, over ``_STEP`` seconds."""
    mouth = smooth(x[:, list(MOUTH_CELLS)].reshape(len(x), -1), _SMOOTHING, rate)
    return mouth, np.asarray(np.linalg.norm(_moves(mouth, rate), axis=1))


def _lag(rate: float) -> int:
    return max(1, round(_STEP * rate))


def _moves(mouth: Array, rate: float) -> Array:
    """(n, 6) how far each channel went in the ``_STEP`` seconds before each sample."""
    lag = _lag(rate)
    moves = np.zeros_like(mouth)
    moves[lag:] = (mouth[lag:] - mouth[:-lag]) * (_STEP * rate / lag)
    return moves


def step_noise(steps: Sequence[Array], config: SpeechConfig) -> float:
    """What a still mouth's steps seldom exceed, canonical units."""
    known = [part for part in steps if len(part)]
    quiet = float(np.quantile(np.concatenate(known), _QUIET)) if known else 0.0
    return max(_CHANCE * quiet, config.least_noise)


def speech_mask(
    mouth: Array, steps: Array, noise: float, rate: float, config: SpeechConfig
) -> Mask:
    """Where the mouth moves on and on. Returns (n,) True while it does; nothing moves before the
    first sample and after the last.

    >>> t = np.arange(300) / 100.0
    >>> one = np.zeros((300, 10, 2)); one[:, 2, 1] = 0.2 * np.exp(-(((t - 1.5) / 0.1) ** 2))
    >>> many = np.zeros((300, 10, 2)); many[:, 2, 1] = 0.1 * np.sin(2 * np.pi * 4.0 * t)
    >>> [float(speech_mask(*mouth_steps(x, 100.0), 0.001, 100.0, SpeechConfig()).mean())
    ...  for x in (one, many)]
    [0.0, 1.0]
    """
    n = max(3, round(config.window * rate) | 1)
    counted = np.sqrt(np.maximum(1.0 - (noise / np.maximum(steps, noise)) ** 2, 0.0))
    moves = np.abs(_moves(mouth, rate)) * counted[:, None]
    path = scipy.ndimage.uniform_filter1d(moves, n, axis=0, mode="constant") * (n / (_STEP * rate))
    wide = n + 2 * _lag(rate)  # steps that end in the window may begin before it
    highest = scipy.ndimage.maximum_filter1d(mouth, wide, axis=0, mode="nearest")
    reach = highest - scipy.ndimage.minimum_filter1d(mouth, wide, axis=0, mode="nearest")
    whole = np.linalg.norm(reach, axis=1, keepdims=True)
    large = reach > np.maximum(config.part * whole, config.least_range)
    talking = (large & (path > config.turning * reach)).any(axis=1)
    return dilate(np.asarray(talking), config.margin, rate)


def quiet_rows(speech: Sequence[Mask], rate: float, config: SpeechConfig) -> NDArray[np.bool_]:
    """From which samples a face's noise is learnt: those without speech, if there are enough.
    ``speech``: (n,) of each stretch. Returns (sum of n,) True where noise is learnt."""
    silent = ~np.concatenate([*speech, np.zeros(0, bool)])
    if silent.sum() < config.least_quiet * rate:
        return np.ones(len(silent), bool)
    return silent
