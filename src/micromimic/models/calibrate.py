"""From capsule lengths to probabilities that mean what they say, and a margin of doubt."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from micromimic.models.onnx import Calibration

SURE_ACCURACY: Final = 0.8
"""Share of right labels wanted among validation maps that are not called uncertain."""
CAUGHT: Final = 0.5
"""Share of the wrong labels wanted among those that are."""


def calibrate(lengths: NDArray[np.floating], targets: NDArray[np.integer]) -> Calibration:
    """Temperature and margin from (n, k) lengths of maps not trained on, and (n,) class numbers.

    The temperature has the largest likelihood (Guo et al., ICML 2017); the margin is the smallest
    such that of the maps whose first class leads by at least as much, `SURE_ACCURACY` are named
    rightly, and that of those named wrongly, `CAUGHT` lie below it; 1 where no margin reaches both.

    >>> rng = np.random.default_rng(0); truth = rng.integers(3, size=600)
    >>> found = calibrate(np.eye(3)[truth] * 0.5 + rng.normal(0, 0.3, (600, 3)), truth)
    >>> 0.1 < found.temperature < 0.3, 0 < found.margin < 0.5
    (True, True)
    """

    def likelihood(log_temperature: float) -> float:
        p = Calibration(float(np.exp(log_temperature)), 0.0).probabilities(lengths)
        return float(-np.log(p[np.arange(len(p)), targets].clip(1e-12)).mean())

    best = minimize_scalar(likelihood, bounds=(np.log(0.01), np.log(10.0)), method="bounded")
    temperature = round(float(np.exp(best.x)), 4)
    probabilities = Calibration(temperature, 0.0).probabilities(lengths)
    right = probabilities.argmax(1) == targets
    margin = margin_for(lead_of(probabilities), right, SURE_ACCURACY, CAUGHT)
    return Calibration(temperature, round(margin, 4))


def lead_of(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """(n,) by how much the likeliest class leads the second, of (n, k) probabilities.

    >>> lead_of(np.array([[0.75, 0.25, 0.0], [0.5, 0.5, 0.0]]))
    array([0.5, 0. ])
    """
    ordered = np.sort(np.asarray(probabilities, np.float64), axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2])


def margin_for(
    lead: NDArray[np.floating], right: NDArray[np.bool_], accuracy: float, caught: float
) -> float:
    """The smallest lead below which an answer is to be called uncertain: 0 none, 1 every one.

    >>> margin_for(np.array([0.9, 0.6, 0.3, 0.1]), np.array([True, True, False, True]), 0.8, 0.5)
    0.6
    """
    if len(lead) != len(right) or not len(lead):
        raise ValueError(f"expected as many leads as answers, got {len(lead)}, {len(right)}")
    order = by_surety(lead)
    hits = np.cumsum(right[order])
    answered = np.arange(1, len(order) + 1)
    wrong = answered - hits
    enough = np.flatnonzero((hits / answered >= accuracy) & (wrong <= (1 - caught) * wrong[-1]))
    if not len(enough):
        return 1.0
    last = int(enough[-1])
    # everything sure: no margin is needed at all
    return 0.0 if last == len(order) - 1 else float(lead[order[last]])


def by_surety(order: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.asarray(np.argsort(-np.asarray(order, np.float64), kind="stable"), np.int64)
