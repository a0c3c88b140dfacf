"""Blinks: where the lids close, and which movements are theirs."""

from __future__ import annotations

import numpy as np
import scipy  # its parts load when they are first used

from micromimic.core.labels import CELLS
from micromimic.core.results import Blink
from micromimic.motion.spotting.bumps import Array, Mask, mad, smooth
from micromimic.motion.spotting.config import GateConfig

MOUTH_CELLS = tuple(i for i, name in enumerate(CELLS) if "mouth" in name or "chin" in name)
LID_CELLS = tuple(i for i in range(len(CELLS)) if i not in MOUTH_CELLS)
"""Cells that a blink pulls along: brows, eye corners, nose wings."""


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


def is_blink(lids: Mask, mouth: float) -> bool:
    """Whether a movement is a blink's, to be rejected. ``lids``: (n,) where they move, from its
    onset to its offset; ``mouth``: share of its energy about the mouth, which no blink pulls."""
    return bool(lids.mean() > 0.5 and mouth < 0.5)


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
