"""How much one session differs from another: each change with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.indicators import MIN_BLOCKS, RESAMPLES, balance_interval
from micromimic.evaluation.agreement import binomial_interval

Kind = Literal["ratio", "difference"]
_NOTHING: Final[dict[Kind, float]] = {"ratio": 1.0, "difference": 0.0}


@dataclass(frozen=True)
class Change:
    """One session against the baseline."""

    kind: Kind  # ``ratio`` (1: no change) or ``difference`` (0: no change)
    value: float | None = None  # None where it cannot be computed
    # 95 % interval. Both None: unknown. Only ``high`` None: nothing bounds it above, as with a
    # baseline in which nothing was counted
    low: float | None = None
    high: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves "no change" out.

        >>> Change("ratio", 1.5, 1.1, 2.0).clear, Change("difference", 0.2, -0.1, 0.5).clear
        (True, False)
        """
        same = _NOTHING[self.kind]
        above = self.low is not None and self.low > same
        return above or (self.high is not None and self.high < same)


def rate_ratio(count: int, seconds: float, base_count: int, base_seconds: float) -> Change:
    """Ratio of two Poisson rates with its exact conditional interval.

    Given the sum of both counts, the first is binomial, with a probability that the ratio decides
    (Przyborowski and Wilenski, Homogeneity of results in testing samples from Poisson series,
    Biometrika 1940); the interval of that probability is Clopper's and Pearson's (1934).

    >>> change = rate_ratio(12, 600.0, 6, 600.0)
    >>> change.value, round(change.low, 3), round(change.high, 3), change.clear
    (2.0, 0.695, 6.495, False)
    """
    if count < 0 or base_count < 0:
        raise ValueError(f"expected counts >= 0, got {count} and {base_count}")
    if count + base_count == 0 or not (seconds > 0 and base_seconds > 0):
        return Change("ratio")
    longer = base_seconds / seconds
    low, high = binomial_interval(count, count + base_count)
    return Change(
        "ratio",
        count / base_count * longer if base_count else None,
        low / (1 - low) * longer,
        high / (1 - high) * longer if base_count else None,
    )


def balance_difference(above: int, below: int, base_above: int, base_below: int) -> Change:
    """Difference of two balances (above - below) / (above + below).

    The interval joins those of both balances (``indicators.balance_interval``) by the squares of
    their one-sided widths: Newcombe, Interval estimation for the difference between independent
    proportions, Statistics in Medicine 1998 (method 10, here with Jeffreys intervals).

    >>> change = balance_difference(8, 2, 3, 7)
    >>> round(change.value, 6), change.clear
    (1.0, True)
    """
    if above + below == 0 or base_above + base_below == 0:
        return Change("difference")
    now, base = ((p - n) / (p + n) for p, n in ((above, below), (base_above, base_below)))
    low, high = balance_interval(above, below)
    base_low, base_high = balance_interval(base_above, base_below)
    return Change(
        "difference",
        now - base,
        max(-2.0, now - base - math.hypot(now - low, base_high - base)),
        min(2.0, now - base + math.hypot(high - now, base - base_low)),
    )


def median_interval(levels: Sequence[float], *, seed: int = 0) -> Change:
    """Median of blocks of time with its bootstrap interval; unknown with fewer than four blocks."""
    if len(levels) < MIN_BLOCKS:
        return Change("difference")
    values = _medians(np.asarray(levels, dtype=np.float64), np.random.default_rng([seed, 0]))
    low, high = np.quantile(values, [0.025, 0.975])
    return Change("difference", float(np.median(levels)), float(low), float(high))


def level_ratio(levels: Sequence[float], base: Sequence[float], *, seed: int = 0) -> Change:
    """Ratio of the medians of two sets of blocks, each set drawn with replacement.

    Unknown with fewer than four blocks on a side, or a baseline without any movement.
    """
    if min(len(levels), len(base)) < MIN_BLOCKS or not np.median(base) > 0:
        return Change("ratio")
    rng = np.random.default_rng([seed, 1])
    top = _medians(np.asarray(levels, dtype=np.float64), rng)
    bottom = _medians(np.asarray(base, dtype=np.float64), rng)
    low, high = np.nanquantile(top / np.where(bottom > 0, bottom, np.nan), [0.025, 0.975])
    return Change("ratio", float(np.median(levels) / np.median(base)), float(low), float(high))


def _medians(levels: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """(RESAMPLES,) medians of resampled blocks."""
    # The median of a resample needs ranks only, so an hour's blocks are drawn in a few chunks.
    step = max(1, 2_000_000 // len(levels))
    parts = [
        np.median(
            levels[rng.integers(len(levels), size=(min(step, RESAMPLES - s), len(levels)))], 1
        )
        for s in range(0, RESAMPLES, step)
    ]
    return np.concatenate(parts)
