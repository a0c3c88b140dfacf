"""Where a mouth speaks.

A micro-expression goes there and back: within a second the path of a lip corner or of the chin is
twice its range. In speech the mouth turns at each sound, and the path grows while the range does
not. So path over range within a window, of the channel that turns most, tells speech (chewing,
laughter) from single movements, whatever their size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy  # its parts load when they are first used
from numpy.typing import NDArray

from micromimic.motion.spotting.blinks import MOUTH_CELLS
from micromimic.motion.spotting.bumps import Array, Mask, dilate, smooth
from micromimic.motion.spotting.config import SpeechConfig

_SMOOTHING: Final = 0.03
"""Seconds; the mouth's shapes follow each other some 12 times a second at most."""
_STEP: Final = 0.025  # seconds over which a step of the mouth is measured
_QUIET: Final = 0.05  # share of the time that a mouth is taken to be still, even a talking one's
_CHANCE: Final = 3.0
"""Steps of a still mouth exceed this multiple of their quantile at ``_QUIET`` 2 % of the time."""


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
