"""What needs no network: the scores that a model must beat to be worth having.

Each control sees the training part of each fold only, as a model does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from micromimic.core.splits import Split
from micromimic.evaluation.by_database import scopes_of
from micromimic.evaluation.metrics import scores_of_tables
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.resampling import score_entries, subject_tables
from micromimic.models.samples import Samples
from micromimic.models.templates import TemplateClassifier

MAJORITY: Final = "majority of each database"
PRIOR: Final = "random by database prior"
COSINE: Final = "cosine to mean maps"

Model = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]


def majority_per_database(samples: Samples, folds: Sequence[Split], seed: int = 0) -> Predictions:
    """The commonest training class of each clip's database: what knowing the camera is worth.

    A database without training clips (as when it is held out) gets that of all training clips.
    Probabilities are the classes' shares. ``inputs`` are not looked at; the seed is written down.
    """
    targets, classes = samples.targets, len(samples.label_set)

    def shares(train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.float64]:
        found = np.zeros((len(test), classes))
        for name in set(samples.datasets[test].tolist()):
            there = train[samples.datasets[train] == name]
            counts = np.bincount(targets[there if len(there) else train], minlength=classes)
            found[samples.datasets[test] == name] = counts / counts.sum()
        return found

    return _in_folds(samples, folds, shares, seed)


def random_by_prior(samples: Samples, folds: Sequence[Split], seed: int = 0) -> Predictions:
    """A class drawn by the shares among the training clips of the clip's database.

    One draw; `expected_scores` of the rows gives what such draws score on average.
    """
    rows = majority_per_database(samples, folds, seed)
    drawn = _draw(rows.probabilities.cumsum(1), np.random.default_rng(seed))
    return rows.assign(y_pred=rows.labels.decode(drawn))


def cosine_to_means(
    samples: Samples, folds: Sequence[Split], maps: NDArray[np.generic], seed: int = 0
) -> Predictions:
    """The class whose mean training map, of (n, 3, 28, 28), is nearest; one without is never
    predicted.
    """
    if len(maps) != len(samples):
        raise ValueError(f"expected one map a row, got {len(maps)} for {len(samples)}")
    truth, names = samples.labels, samples.label_set.names

    def chances(train: NDArray[np.int64], test: NDArray[np.int64]) -> NDArray[np.float64]:
        known = np.isin(np.array(names), truth[train])
        model = TemplateClassifier(TemplateClassifier.means(maps[train], truth[train], names))
        found = model.probabilities(maps[test]) * known
        return np.asarray(found / found.sum(1, keepdims=True), np.float64)

    return _in_folds(samples, folds, chances, seed)


def all_controls(
    samples: Samples, folds: Sequence[Split], maps: NDArray[np.generic] | None = None, seed: int = 0
) -> dict[str, Predictions]:
    """Every control by name; cosine only where there are flow maps."""
    controls = {
        MAJORITY: majority_per_database(samples, folds, seed),
        PRIOR: random_by_prior(samples, folds, seed),
    }
    if maps is not None:
        controls[COSINE] = cosine_to_means(samples, folds, maps, seed)
    return controls


def expected_scores(
    rows: Predictions, *, draws: int = 1000, seed: int = 0, halves: bool = False
) -> dict[str, dict[str, Any]]:
    """UF1 and UAR when each class is drawn anew from the row's own probabilities.

    By scope means, and as ``uf1_ci95`` and ``uar_ci95`` between which 95 % of the draws lie.
    """
    clips = rows.one_run()
    names = clips.labels
    truth, reach = names.encode(clips["y_true"]), clips.probabilities.cumsum(1)
    rng = np.random.default_rng(seed)
    guesses = np.stack([_draw(reach, rng) for _ in range(draws)])
    number = np.repeat(np.arange(draws)[:, None], len(truth), 1)
    found = {}
    for scope, part in scopes_of(clips, halves=halves).items():
        inside = part.index.to_numpy()
        true = np.broadcast_to(truth[inside], (draws, len(inside)))
        tables = subject_tables(true, guesses[:, inside], number[:, inside], len(names))
        drawn = np.array(scores_of_tables(tables))
        found[scope] = score_entries(drawn.mean(1), drawn)
    return found


def _draw(reach: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) classes drawn by (n, k) probabilities that are summed up to each class."""
    number = (rng.random(len(reach))[:, None] * reach[:, -1:] >= reach).sum(1)
    return np.asarray(np.minimum(number, reach.shape[1] - 1), np.int64)


def _in_folds(samples: Samples, folds: Sequence[Split], model: Model, seed: int) -> Predictions:
    """What a control says of the test part of each fold, fold by fold."""
    parts = [
        Predictions.of_samples(samples.take(test), model(train, test), fold=number, seed=seed)
        for number, (train, test) in enumerate(folds)
    ]
    joined: Predictions = pd.concat(parts, ignore_index=True)
    return joined
