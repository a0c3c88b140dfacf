"""Kernel ridge regression on flow maps: a smooth machine that is solved, not searched for.

Its answer is the mean of a Gaussian process on class indicators. Beside the support vector machine
of `models.svm` it needs no search for C, no scikit-learn and a fiftieth of the time, and where few
subjects are known it errs less, since every map has a say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.canonical import UNITS
from micromimic.labels import EMOTIONS
from micromimic.models.learner import FitOptions, Init, Samples, View, expect_classes
from micromimic.models.preprocess import center, mirror
from micromimic.models.svm import FittedFlowSvm, RbfMachine

RIDGE: Final = 1.0
"""Variance of the noise on a label, that of the process being 1."""
NARROWNESS: Final = 0.6
"""The kernel's gamma in parts of one over the total variance. Both are round numbers near the flat
optimum on the development half of the published maps (`evaluation.halves`)."""


class FlowRidge:
    """Gaussian-kernel ridge regression on u and v of centred maps, each with its mirror image.

    A class's indicator is regressed on the kernel; maps of a rare class count for more, so that
    all classes weigh the same.

    Args:
        ridge: how much a label may be wrong; more is smoother.
        narrowness: of the kernel; less is smoother.

    Raises:
        ValueError: if one is not above 0.

    >>> FlowRidge().view
    'flow'
    """

    view: View = "flow"
    temperature: float = 0.2
    encoder: str | None = None

    def __init__(self, ridge: float = RIDGE, narrowness: float = NARROWNESS) -> None:
        if not (ridge > 0 and narrowness > 0):
            raise ValueError(f"expected ridge and narrowness above 0, got {ridge}, {narrowness}")
        self.ridge = ridge
        self.narrowness = narrowness
        self.settings: Mapping[str, object] = {
            "kernel": "rbf",
            "mirrored": True,
            "ridge": ridge,
            "narrowness": narrowness,
        }

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.float32]:
        """The raw map itself, (3, 28, 28)."""
        return np.asarray(clip, np.float32)

    def warning(self, init: Init) -> str | None:
        """Nothing to say: there is nothing to start from."""
        return None

    def fit(self, samples: Samples, options: FitOptions) -> FittedFlowSvm:
        """Solve for the weights of all maps; nothing is drawn.

        A class without maps is regressed to a constant below the others' mean.

        Raises:
            InputError: if there are fewer than two classes.
        """
        expect_classes(samples)
        maps = center(samples.inputs)[:, :2], mirror(center(samples.inputs))[:, :2]
        rows = np.concatenate(maps).reshape(2 * len(samples), 2 * UNITS * UNITS)
        targets = np.tile(samples.targets, 2)
        counts = np.bincount(targets, minlength=len(EMOTIONS))
        noise = self.ridge * len(EMOTIONS) * counts[targets] / len(targets)
        wanted = np.eye(len(EMOTIONS))[targets] - 1 / len(EMOTIONS)
        gamma = self.narrowness / (float(rows.var(0, dtype=np.float64).sum()) or 1.0)
        square = np.square(rows, dtype=np.float64).sum(1)
        apart = square[:, None] + square - 2 * rows.astype(np.float64) @ rows.T.astype(np.float64)
        kernel = np.exp(-gamma * np.maximum(apart, 0.0))
        weights = np.linalg.solve(kernel + np.diag(noise), wanted)
        return FittedFlowSvm(RbfMachine(rows, gamma, weights, np.zeros(len(EMOTIONS))))
