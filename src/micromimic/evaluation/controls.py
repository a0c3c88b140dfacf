"""What needs no network: the scores that a model must beat to be worth having.

Each control sees the training part of each fold only, as a model does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.evaluation.predictions import Prediction, by_clip, predictions_of
from micromimic.evaluation.scores import scopes_of, scores_of_tables
from micromimic.evaluation.splits import Split
from micromimic.labels import EMOTIONS
from micromimic.models.learner import Samples
from micromimic.models.templates import TemplateClassifier

MAJORITY: Final = "majority of each database"
PRIOR: Final = "random by database prior"
COSINE: Final = "cosine to mean maps"

Shares = NDArray[np.float64]


def majority_per_database(
    samples: Samples, folds: Sequence[Split], seed: int = 0
) -> list[Prediction]:
    """The commonest training class of each clip's database: what knowing the camera is worth.

    A database without training clips (as when it is held out) gets that of all training clips.
    Probabilities are the classes' shares.

    Args:
        samples: all clips; ``inputs`` are not looked at.
        folds: (train, test) rows.
        seed: of the run, to write down.
    """
    return _from_shares(samples, folds, seed)


def random_by_prior(samples: Samples, folds: Sequence[Split], seed: int = 0) -> list[Prediction]:
    """A class drawn by the shares among the training clips of the clip's database.

    One draw; `expected_scores` of the rows gives what such draws score on average.

    Args:
        samples, folds: as in `majority_per_database`.
        seed: of the draw.
    """
    rows = _from_shares(samples, folds, seed)
    drawn = [EMOTIONS[k] for k in _draw(_reach(rows), np.random.default_rng(seed))]
    return [
        Prediction(
            row.dataset,
            row.subject,
            row.clip,
            row.fold,
            row.seed,
            row.y_true,
            label,
            row.probabilities,
        )
        for row, label in zip(rows, drawn, strict=True)
    ]


def cosine_to_means(
    samples: Samples, folds: Sequence[Split], maps: NDArray[np.generic], seed: int = 0
) -> list[Prediction]:
    """The class whose mean training map is nearest in direction.

    A class without training maps is never predicted.

    Args:
        samples: all clips; ``inputs`` are not looked at.
        folds: (train, test) rows.
        maps: (n, 3, 28, 28) flow maps of the same rows, raw or centred.
        seed: of the run, to write down.

    Raises:
        ValueError: if there is not one map a row.
    """
    if len(maps) != len(samples):
        raise ValueError(f"expected one map a row, got {len(maps)} for {len(samples)}")
    rows: list[Prediction] = []
    for number, (train, test) in enumerate(folds):
        known = np.bincount(samples.targets[train], minlength=len(EMOTIONS)) > 0
        model = TemplateClassifier(TemplateClassifier.means(maps[train], samples.labels[train]))
        chances = model.probabilities(maps[test]) * known
        chances /= chances.sum(1, keepdims=True)
        rows += predictions_of(samples.take(test), chances, fold=number, seed=seed)
    return rows


def all_controls(
    samples: Samples,
    folds: Sequence[Split],
    maps: NDArray[np.generic] | None = None,
    seed: int = 0,
) -> dict[str, list[Prediction]]:
    """Every control by name; cosine only where there are flow maps.

    Args:
        samples, folds, maps, seed: as above.
    """
    controls = {
        MAJORITY: majority_per_database(samples, folds, seed),
        PRIOR: random_by_prior(samples, folds, seed),
    }
    if maps is not None:
        controls[COSINE] = cosine_to_means(samples, folds, maps, seed)
    return controls


def expected_scores(
    rows: Sequence[Prediction], *, draws: int = 1000, seed: int = 0
) -> dict[str, dict[str, tuple[float, float, float]]]:
    """UF1 and UAR when each class is drawn anew from the row's own probabilities.

    Args:
        rows: of `random_by_prior`.
        draws: how often.
        seed: of the draws.

    Returns:
        For ``composite`` and each database, ``uf1`` and ``uar``: mean and 2.5 and 97.5 % quantiles.
    """
    ordered = list(by_clip(rows).values())
    truth = np.array([EMOTIONS.index(row.y_true) for row in ordered])
    reach = _reach(ordered)
    rng = np.random.default_rng(seed)
    guesses = np.stack([_draw(reach, rng) for _ in range(draws)])
    found = {}
    for scope, part in scopes_of(ordered).items():
        keys = {row.key for row in part}
        inside = np.array([row.key in keys for row in ordered])
        # true and predicted class as one number: a confusion matrix is a histogram of it
        pairs = truth[inside] * len(EMOTIONS) + guesses[:, inside]
        size = len(EMOTIONS) ** 2
        tables = np.stack([np.bincount(row, minlength=size) for row in pairs])
        uf1, uar = scores_of_tables(tables.reshape(-1, len(EMOTIONS), len(EMOTIONS)))
        found[scope] = {"uf1": _summary(uf1), "uar": _summary(uar)}
    return found


def _summary(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(np.mean(values)), float(low), float(high)


def _reach(rows: Sequence[Prediction]) -> NDArray[np.float64]:
    """(n, 3) probabilities summed up to each class."""
    return np.cumsum([row.probabilities for row in rows], axis=1)


def _draw(reach: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) classes drawn by those probabilities."""
    number = (rng.random(len(reach))[:, None] * reach[:, -1:] >= reach).sum(1)
    return np.asarray(np.minimum(number, len(EMOTIONS) - 1), np.int64)


def _from_shares(samples: Samples, folds: Sequence[Split], seed: int) -> list[Prediction]:
    rows: list[Prediction] = []
    for number, (train, test) in enumerate(folds):
        shares = np.zeros((len(test), len(EMOTIONS)))
        for name in set(samples.datasets[test].tolist()):
            there = train[samples.datasets[train] == name]
            counts = np.bincount(
                samples.targets[there if len(there) else train], minlength=len(EMOTIONS)
            )
            shares[samples.datasets[test] == name] = counts / counts.sum()
        rows += predictions_of(samples.take(test), shares, fold=number, seed=seed)
    return rows
