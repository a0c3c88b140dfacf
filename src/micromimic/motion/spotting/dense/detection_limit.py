"""The smallest movement that is found half the time, here and now."""

from __future__ import annotations

from typing import Final

import numpy as np

from micromimic.motion.spotting.bumps import Array
from micromimic.motion.spotting.dense.candidates import GAIN, Judged, NoiseConfig, Tail

HALF: Final = 0.29
"""What the score shows of a movement's largest displacement: less than `candidates.GAIN`, for a
field is never quite a pattern, and what is not counts against it."""


def detection_limits(judged: Judged, tail: Tail, per_minute: float) -> Array:
    """(n, regions) canonical units: the movement that is found with probability one half. Order
    ``labels.REGIONS``; inf where a region is closed or only what is larger than any
    micro-expression would be found, NaN where nothing is known."""
    limits = judged.limits * tail.threshold(per_minute) / HALF
    return np.where(limits > NoiseConfig().largest / GAIN, np.inf, limits)
