"""Scores of three-class recognition, pooled over folds, with intervals over subjects.

Every function takes labels of all clips at once: true and false positives are counted over all
folds before any ratio is taken, as the MEGC 2019 challenge defines it (See et al., FG 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from micromimic.labels import EMOTIONS

Labels = Sequence[str] | NDArray[np.str_]
Score = Callable[[Labels, Labels], float]


def confusion(y_true: Labels, y_pred: Labels) -> NDArray[np.int64]:
    """Counts: rows are true classes, columns predicted ones, order ``labels.EMOTIONS``.

    Raises:
        ValueError: if the lengths differ or a label is no class.

    >>> confusion(["negative", "surprise"], ["negative", "positive"])
    array([[1, 0, 0],
           [0, 0, 0],
           [0, 1, 0]])
    """
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"expected as many predictions as labels, got {len(y_pred)}, {len(y_true)}"
        )
    place = {name: index for index, name in enumerate(EMOTIONS)}
    unknown = sorted({str(label) for label in (*y_true, *y_pred)} - set(place))
    if unknown:
        raise ValueError(f"labels must be among {EMOTIONS}, got {unknown}")
    counts = np.zeros((len(EMOTIONS), len(EMOTIONS)), np.int64)
    for truth, guess in zip(y_true, y_pred, strict=True):
        counts[place[truth], place[guess]] += 1
    return counts


def uf1(y_true: Labels, y_pred: Labels) -> float:
    """Unweighted F1: the mean over the classes present in the truth of 2TP / (2TP + FP + FN).

    >>> uf1(["negative", "negative", "positive"], ["negative", "positive", "positive"])
    0.6666666666666666
    """
    return _uf1(confusion(y_true, y_pred))


def uar(y_true: Labels, y_pred: Labels) -> float:
    """Unweighted average recall over the classes present in the truth.

    >>> uar(["negative", "negative", "positive"], ["negative", "positive", "positive"])
    0.75
    """
    return _uar(confusion(y_true, y_pred))


def subject_bootstrap(
    y_true: Labels,
    y_pred: Labels,
    subjects: Sequence[Hashable],
    score: Score = uf1,
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a score when whole subjects are drawn with replacement.

    Clips of one person resemble each other, so drawing clips would make the interval too narrow.

    Args:
        y_true, y_pred: (n,) labels.
        subjects: (n,) whose clip each is; qualify names by database.
        score: ``uf1``, ``uar`` or any function of two label sequences.
        draws: resamples.
        level: coverage.
        seed: of the draws.

    Raises:
        ValueError: if lengths differ, or there is no clip.
    """
    if not len(y_true) == len(y_pred) == len(subjects) or not len(y_true):
        raise ValueError(
            "expected labels, predictions and subjects of one length above 0, got "
            f"{len(y_true)}, {len(y_pred)}, {len(subjects)}"
        )
    rng = np.random.default_rng(seed)
    rows: dict[Hashable, list[int]] = {}
    for index, subject in enumerate(subjects):
        rows.setdefault(subject, []).append(index)
    groups = list(rows.values())
    chosen = rng.integers(len(groups), size=(draws, len(groups)))
    fast = _uf1 if score is uf1 else _uar if score is uar else None
    truth, guess = np.asarray(y_true), np.asarray(y_pred)
    if fast is not None:
        tables = np.stack([confusion(truth[g], guess[g]) for g in groups])
        values = [fast(tables[pick].sum(0)) for pick in chosen]
    else:
        picks = (np.concatenate([groups[k] for k in pick]) for pick in chosen)
        values = [score(truth[pick], guess[pick]) for pick in picks]
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def expected_calibration_error(
    y_true: Labels, probabilities: NDArray[np.floating], bins: int = 10
) -> float:
    """Mean gap between confidence and accuracy over equal-width bins of the top probability.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        y_true: (n,) labels.
        probabilities: (n, 3), order ``labels.EMOTIONS``.
        bins: how many.

    Raises:
        ValueError: if the shapes do not fit.

    >>> expected_calibration_error(["negative"], np.array([[0.8, 0.1, 0.1]]))
    0.19999999999999996
    """
    if probabilities.shape != (len(y_true), len(EMOTIONS)):
        raise ValueError(
            f"probabilities must be ({len(y_true)}, {len(EMOTIONS)}), got {probabilities.shape}"
        )
    confidence = probabilities.max(1)
    right = np.asarray(EMOTIONS)[probabilities.argmax(1)] == np.asarray(y_true)
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gap = 0.0
    for number in np.unique(bin_of):
        inside = bin_of == number
        gap += abs(confidence[inside].mean() - right[inside].mean()) * inside.mean()
    return float(gap)


def _uf1(table: NDArray[np.int64]) -> float:
    present = table.sum(1) > 0
    hits = np.diag(table)
    scores = 2 * hits / np.maximum(table.sum(0) + table.sum(1), 1)
    return float(scores[present].mean()) if present.any() else float("nan")


def _uar(table: NDArray[np.int64]) -> float:
    present = table.sum(1) > 0
    recalls = np.diag(table) / np.maximum(table.sum(1), 1)
    return float(recalls[present].mean()) if present.any() else float("nan")
