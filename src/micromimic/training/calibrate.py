"""From capsule lengths to probabilities that mean what they say, and a margin of doubt."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from micromimic.evaluation.reliability import lead_of, margin_for
from micromimic.models.onnx import Calibration

SURE_ACCURACY: Final = 0.8
"""Share of right labels wanted among validation maps that are not called uncertain."""
CAUGHT: Final = 0.5
"""Share of the wrong labels wanted among those that are."""


def calibrate(lengths: NDArray[np.floating], targets: NDArray[np.integer]) -> Calibration:
    """Temperature by likelihood, margin by accuracy.

    Args:
        lengths: (n, 3) of validation maps that were not trained on.
        targets: (n,) class numbers.

    Returns:
        The temperature with the largest likelihood (Guo et al., ICML 2017), and a margin from the
        coverage curve (`evaluation.reliability`): the smallest such that of the maps whose first
        class leads the second by at least as much, `SURE_ACCURACY` are named rightly, and that of
        those named wrongly, `CAUGHT` lie below it; 1 where no margin reaches both.

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
