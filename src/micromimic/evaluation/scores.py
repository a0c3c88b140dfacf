"""From rows to ``metrics.json``: every score of a run, composite and by database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import InputError
from micromimic.evaluation.metrics import (
    Score,
    confusion,
    expected_calibration_error,
    subject_bootstrap,
    uar,
    uf1,
)
from micromimic.evaluation.predictions import Prediction, by_clip
from micromimic.labels import EMOTIONS

COMPOSITE: Final = "composite"
DATABASES: Final = ("smic", "casme2", "samm")
"""The challenge's databases, in the order of its tables."""


def scopes_of(rows: Iterable[Prediction]) -> dict[str, list[Prediction]]:
    """The rows of the composite and of each database, each sorted by clip.

    Returns:
        ``composite`` first, then SMIC, CASME II and SAMM where present, then others by name.

    Raises:
        InputError: if there are no rows, a clip comes twice, or a database is named ``composite``.
    """
    everything = list(by_clip(rows).values())
    names = {row.dataset for row in everything}
    if COMPOSITE in names:
        raise InputError(
            f"expected databases by their names, got one named {COMPOSITE}, which means all "
            "together; rename it in the manifest"
        )
    known = [name for name in DATABASES if name in names]
    ordered = [*known, *sorted(names - set(known))]
    return {
        COMPOSITE: everything,
        **{name: [row for row in everything if row.dataset == name] for name in ordered},
    }


def metrics_of(rows: Iterable[Prediction], *, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The content of ``metrics.json``.

    True and false positives are pooled over all folds before any ratio is taken (See et al., MEGC
    2019). Where a database lacks a class, its scores are means over the classes that it has.
    Intervals draw whole subjects, qualified by database, with replacement; they are None where
    there is one subject only.

    Args:
        rows: of one run, each clip once; their order does not matter.
        draws: of the bootstrap.
        seed: of the draws.

    Returns:
        For ``composite`` and each database: ``n``, ``subjects``, ``uf1``, ``uar``, ``uf1_ci95``,
        ``uar_ci95``, ``confusion`` (rows are true classes, order ``labels.EMOTIONS``), ``recalls``
        and ``f1`` by class (None where the class is absent), ``accuracy``, ``ece`` (calibration
        error of the probabilities).

    Raises:
        InputError: as ``scopes_of``.
    """
    return {scope: _scores(part, draws=draws, seed=seed) for scope, part in scopes_of(rows).items()}


def scores_of_tables(
    tables: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """UF1 and UAR of many confusion matrices at once, for resampling.

    Args:
        tables: (m, 3, 3) counts, rows are true classes; each with at least one clip.

    Returns:
        (m,) UF1 and (m,) UAR, over the classes that each table has.

    >>> [score.round(3).tolist() for score in scores_of_tables(np.array([[[1, 1, 0], [0, 1, 0],
    ...                                                                   [0, 0, 0]]]))]
    [[0.667], [0.75]]
    """
    hits = np.diagonal(tables, axis1=1, axis2=2)
    true, said = tables.sum(2), tables.sum(1)
    present = true > 0
    f1 = 2 * hits / np.maximum(true + said, 1) * present
    recall = hits / np.maximum(true, 1) * present
    count = present.sum(1)
    return f1.sum(1) / count, recall.sum(1) / count


def labels_of(rows: Sequence[Prediction]) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """(n,) true and (n,) predicted classes."""
    return np.array([row.y_true for row in rows]), np.array([row.y_pred for row in rows])


def _scores(rows: Sequence[Prediction], *, draws: int, seed: int) -> dict[str, Any]:
    truth, guess = labels_of(rows)
    who = [row.who for row in rows]

    def interval(score: Score) -> list[float] | None:
        if len(set(who)) < 2:
            return None
        return list(subject_bootstrap(truth, guess, who, score, draws=draws, seed=seed))

    table = confusion(truth, guess)
    hits, true, said = np.diag(table), table.sum(1), table.sum(0)
    recalls = {
        name: float(hits[k] / true[k]) if true[k] else None for k, name in enumerate(EMOTIONS)
    }
    f1 = {
        name: float(2 * hits[k] / (true[k] + said[k])) if true[k] else None
        for k, name in enumerate(EMOTIONS)
    }
    return {
        "n": len(rows),
        "subjects": len(set(who)),
        "uf1": uf1(truth, guess),
        "uar": uar(truth, guess),
        "uf1_ci95": interval(uf1),
        "uar_ci95": interval(uar),
        "confusion": table.tolist(),
        "recalls": recalls,
        "f1": f1,
        "accuracy": float(hits.sum() / len(rows)),
        "ece": expected_calibration_error(truth, np.array([row.probabilities for row in rows])),
    }
