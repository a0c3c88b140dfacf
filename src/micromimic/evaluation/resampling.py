"""Intervals of scores when whole subjects are drawn: clips of one person resemble each other."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.evaluation.metrics import (
    Labels,
    Names,
    Rows,
    checked_labels,
    class_numbers,
    scores_of_tables,
    uar,
    uf1,
)

Score = Callable[[Labels, Labels], float]
Interval = tuple[float, float]


def subject_bootstrap(
    y_true: Labels,
    y_pred: Labels,
    subjects: Sequence[Hashable],
    score: Score = uf1,
    *,
    labels: Names = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of a score when whole subjects are drawn with replacement.

    Clips of one person resemble each other, so drawing clips would make the interval too narrow.

    Parameters
    ----------
    y_true, y_pred, subjects : Labels, Sequence[Hashable]
        (n,); names of subjects qualified by database.
    score : Score
        ``uf1`` or ``uar`` over ``labels``, or any function of two label sequences.
    draws, level, seed : int, float
        resamples, coverage, and of the draws.

    Raises
    ------
    ValueError
        if lengths differ, or there is no clip.

    Examples
    --------
    >>> subject_bootstrap(["a", "b"] * 4, ["a", "b"] * 4, [1, 1, 2, 2, 3, 3, 4, 4], draws=50)
    (1.0, 1.0)
    """
    if not len(y_true) == len(y_pred) == len(subjects) or not len(y_true):
        raise ValueError(
            "expected labels, predictions and subjects of one length above 0, got "
            f"{len(y_true)}, {len(y_pred)}, {len(subjects)}"
        )
    if score not in (uf1, uar):
        true, guessed = np.asarray(y_true), np.asarray(y_pred)

        def value(rows: Rows) -> float:
            return score(true[rows], guessed[rows])

        return subject_interval(value, subjects, draws=draws, level=level, seed=seed)
    names = checked_labels(y_true, y_pred, labels)
    truth, guess = (class_numbers(names, column) for column in (y_true, y_pred))
    tables = subject_tables(truth, guess, subject_numbers(subjects), len(names))
    drawn = redrawn_scores(tables, times_drawn(len(tables), draws, np.random.default_rng(seed)))
    return quantiles(drawn[0 if score is uf1 else 1], (1 - level) / 2, (1 + level) / 2)


def subject_interval(
    value: Callable[[Rows], float],
    subjects: Sequence[Hashable] | NDArray[np.str_],
    *,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of any function of row numbers when whole subjects are drawn anew."""
    who = subject_numbers(subjects)
    groups = [np.flatnonzero(who == k) for k in range(int(who.max()) + 1)]
    rng = np.random.default_rng(seed)
    picks = rng.integers(len(groups), size=(draws, len(groups)))
    drawn = [value(np.concatenate([groups[k] for k in pick])) for pick in picks]
    return quantiles(np.array(drawn), (1 - level) / 2, (1 + level) / 2)


def subject_tables(
    truth: NDArray[np.integer], guess: NDArray[np.integer], who: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """(subjects, k, k) confusion matrix of each subject, of (n,) classes and subjects."""
    tables = np.zeros((int(who.max()) + 1, classes, classes), np.int64)
    np.add.at(tables, (who, truth, guess), 1)
    return tables


def times_drawn(subjects: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(draws, subjects) how often each subject is drawn when as many are drawn with replacement."""
    picks = rng.integers(subjects, size=(draws, subjects))
    times = np.zeros((draws, subjects), np.int64)
    np.add.at(times, (np.arange(draws)[:, None], picks), 1)
    return times


def subject_numbers(subjects: Iterable[Hashable]) -> Rows:
    """(n,) number of each row's subject, in order of appearance."""
    place: dict[Hashable, int] = {}
    return np.array([place.setdefault(who, len(place)) for who in subjects], np.int64)


def redrawn_scores(tables: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.float64]:
    """(2, draws) UF1 and UAR of (subjects, k, k) tables, subjects drawn so many ``times``."""
    return np.array(scores_of_tables(np.tensordot(times, tables, 1), tables.sum(0)))


def mean_scores(
    tables: NDArray[np.int64], draws: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(2,) UF1 and UAR, means over runs, of (runs, subjects, k, k) tables; (2, draws) redrawn.

    The draws are those of `subject_bootstrap`, so that differences are paired; none of one subject.
    """
    people = tables.shape[1]
    times = times_drawn(people, draws if people > 1 else 0, np.random.default_rng(seed))
    drawn = np.mean([redrawn_scores(run, times) for run in tables], axis=0)
    return np.mean(scores_of_tables(tables.sum(1)), axis=1), drawn


def score_entries(values: NDArray[np.float64], drawn: NDArray[np.float64]) -> dict[str, Any]:
    """(2,) UF1 and UAR, and their 95 % intervals of (2, draws); None without draws."""
    f1, recall = values.tolist()
    ends = [list(quantiles(row)) if row.size else None for row in drawn]
    return {"uf1": f1, "uar": recall, "uf1_ci95": ends[0], "uar_ci95": ends[1]}


def quantiles(values: NDArray[np.float64], low: float = 0.025, high: float = 0.975) -> Interval:
    a, b = np.quantile(values, [low, high])
    return float(a), float(b)
