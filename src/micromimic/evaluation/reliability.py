"""From rows to the numbers behind a run's reliability diagram and coverage curve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from micromimic.evaluation.predictions import Prediction, by_clip
from micromimic.evaluation.selective import (
    calibration_error,
    calibration_interval,
    coverage_curve,
    gain_at,
    reliability_bins,
    risk_area,
)

COVERAGE: Final = 0.7
"""The share of clips at which a gain is told."""


def reliability_of(
    rows: Iterable[Prediction], *, draws: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """The key ``reliability`` of ``metrics.json``.

    Args:
        rows: of one run, each clip once; their order does not matter.
        draws, seed: of the bootstraps over subjects.

    Returns:
        ``ece``, ``ece_ci95`` and ``bins`` (ten of equal width, empty ones left out),
        ``ece_equal_mass``, ``risk_area`` (mean error over all coverages), ``coverage`` (a list of
        points: coverage, n, lead, uf1, uar, accuracy), and ``gain`` (what UF1 gains when 70 % are
        answered: coverage, full, part, gain, ci95). Intervals are None with one subject.

    Raises:
        InputError: if there are no rows, or a clip comes twice.
    """
    ordered = list(by_clip(rows).values())
    truth = [row.y_true for row in ordered]
    p = np.array([row.probabilities for row in ordered])
    who = [row.who for row in ordered]
    bins = reliability_bins(truth, p)
    interval = calibration_interval(truth, p, who, draws=draws, seed=seed)
    gain = asdict(gain_at(truth, p, who, COVERAGE, draws=draws, seed=seed))
    return {
        "ece": calibration_error(bins),
        "ece_ci95": None if interval is None else list(interval),
        "ece_equal_mass": calibration_error(reliability_bins(truth, p, by="mass")),
        "bins": [asdict(group) for group in bins],
        "risk_area": risk_area(truth, p),
        "coverage": [asdict(point) for point in coverage_curve(truth, p)],
        "gain": {**gain, "ci95": None if gain["ci95"] is None else list(gain["ci95"])},
    }
