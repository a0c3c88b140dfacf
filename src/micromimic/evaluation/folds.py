"""One fold: train on its training part, score its test part, and nothing else."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import RandomWeightsWarning
from micromimic.models.learner import FitOptions, Fitted, Learner, Samples, softmax


@dataclass(frozen=True)
class Fold:
    """Row numbers of one fold.

    Args:
        number: from 0.
        train, test: (k,) ascending.
    """

    number: int
    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class FoldResult:
    """What came of a fold.

    Args:
        number: the fold's.
        probabilities: (n, 3) of the test rows.
        epochs: (e, n, 3) probabilities after each epoch, where they were asked for.
        seconds: that the fold took.
    """

    number: int
    probabilities: NDArray[np.float64]
    epochs: NDArray[np.float64] | None = None
    seconds: float = 0.0


def run_fold(
    learner: Learner,
    samples: Samples,
    fold: Fold,
    options: FitOptions,
    each_epoch: bool = False,
) -> FoldResult:
    """Train and test one fold.

    Args:
        learner: what to train; it travels to the worker as it is.
        samples: all clips.
        fold: its rows.
        options: of the fit; the fold's own seed is derived from theirs.
        each_epoch: score the test part after each epoch, too, for the leaky report. These scores
            decide nothing.

    Returns:
        Probabilities of the test rows.
    """
    began = time.monotonic()
    asked = samples.inputs[fold.test]
    seen: list[NDArray[np.float64]] = []

    def probabilities(fitted: Fitted) -> NDArray[np.float64]:
        return softmax(fitted.scores(asked), learner.temperature)

    own = int(np.random.SeedSequence([options.seed, fold.number]).generate_state(1)[0])
    options = replace(
        options,
        seed=own,
        threads=1,
        each_epoch=(lambda _, fitted: seen.append(probabilities(fitted))) if each_epoch else None,
    )
    with warnings.catch_warnings():
        # whoever started the run has been told once; not again in each fold and process
        warnings.simplefilter("ignore", RandomWeightsWarning)
        fitted = learner.fit(samples.take(fold.train), options)
    epochs = np.stack(seen) if seen else None
    return FoldResult(fold.number, probabilities(fitted), epochs, time.monotonic() - began)
