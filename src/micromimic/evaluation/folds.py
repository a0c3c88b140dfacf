"""One fold: train on its training part, score its test part, and nothing else."""

from __future__ import annotations

import pickle
import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle
import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import RandomWeightsWarning
from micromimic.models.adapt import fit_model, probabilities_of, seeded
from micromimic.models.base import FitRun
from micromimic.models.samples import Samples


@dataclass(frozen=True)
class Fold:
    """Row numbers of one fold."""

    number: int  # from 0
    train: NDArray[np.int64]  # (k,) ascending
    test: NDArray[np.int64]


@dataclass(frozen=True)
class FoldResult:
    """What came of a fold."""

    number: int  # the fold's
    # (n, k) of the test rows, in the order of the samples' label set
    probabilities: NDArray[np.float64]
    # (e, n, k) probabilities after each epoch, where they were asked for
    epochs: NDArray[np.float64] | None = None
    seconds: float = 0.0  # that the fold took


@dataclass(frozen=True)
class Packed:
    """A model on its way to a worker, with the code of a plug-in file or a notebook."""

    name: str  # for errors
    content: bytes

    @classmethod
    def of(cls, name: str, model: Any) -> Packed:
        """A model that is not fitted."""
        return cls(name, cloudpickle.dumps(model))

    def opened(self) -> Any:
        """A model of one's own."""
        return pickle.loads(self.content)  # our own content, from the process that sent it


def run_fold(
    packed: Packed,
    samples: Samples,
    fold: Fold,
    seed: int,
    run: FitRun | None = None,
    *,
    each_epoch: bool = False,
    labels: NDArray[np.str_] | None = None,
) -> FoldResult:
    """Train and test one fold."""
    began = time.monotonic()
    asked, names = samples.inputs[fold.test], samples.label_set.names
    seen: list[NDArray[np.float64]] = []

    def probabilities(model: Any) -> NDArray[np.float64]:
        return probabilities_of(model, packed.name, asked, names)

    own = int(np.random.SeedSequence([seed, fold.number]).generate_state(1)[0])
    watch = (lambda _, model: seen.append(probabilities(model))) if each_epoch else None
    run = replace(run or FitRun(), threads=1, each_epoch=watch)
    part = samples.take(fold.train)
    model = seeded(packed.opened(), own)
    with warnings.catch_warnings():
        # whoever started the run has been told once; not again in each fold and process
        warnings.simplefilter("ignore", RandomWeightsWarning)
        y = part.labels if labels is None else labels
        fit_model(model, packed.name, part.inputs, y, part.subjects, run)
    epochs = np.stack(seen) if seen else None
    return FoldResult(fold.number, probabilities(model), epochs, time.monotonic() - began)
