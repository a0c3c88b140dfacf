"""From rows to ``metrics.json``: every score of a run, all clips and by database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import blake2b
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.evaluation.article import COMPOSITE, TABLE_1, of_composite
from micromimic.evaluation.metrics import confusion, expected_calibration_error, uar, uf1
from micromimic.evaluation.prediction_table import PredictionTable
from micromimic.evaluation.resampling import mean_scores, quantiles, subject_numbers, subject_tables

_LEVEL: Final = ((1 - 0.95) / 2, (1 + 0.95) / 2)  # as `subject_bootstrap` has it, to the last bit
DEVELOPMENT: Final = "development half"
OTHER: Final = "other half"


def is_development(subject: str) -> bool:
    """Whether a subject, as ``lab/006``, belongs to the split that choices may look at.

    The last bit of the name's BLAKE2b hash is 0. It follows from the name alone, so nobody can
    arrange it, and it stays the same when data are added.

    >>> is_development("lab/006"), is_development("lab/003")
    (False, True)
    """
    return blake2b(subject.encode(), digest_size=8).digest()[-1] % 2 == 0


def development_rows(subjects: Sequence[str] | NDArray[np.str_]) -> NDArray[np.bool_]:
    """(n,) which rows belong to the development half; see `is_development`."""
    return np.array([is_development(str(subject)) for subject in subjects], bool)


def databases_of(scopes: Collection[str]) -> list[str]:
    """Databases in the order of the challenge's tables, then others by name."""
    known = [name for name in TABLE_1 if name in scopes and name != COMPOSITE]
    return [*known, *sorted(set(scopes) - set(known) - {COMPOSITE, DEVELOPMENT, OTHER})]


def scopes_of(rows: PredictionTable) -> dict[str, PredictionTable]:
    """The rows of all clips together (``composite``) and of each database, sorted by clip."""
    everything = rows.one_run()
    names = set(everything["dataset"])
    if COMPOSITE in names:
        raise InputError(
            f"expected databases by their names, got one named {COMPOSITE}, which means all "
            "together; rename it in the manifest"
        )
    parts = {name: everything[everything["dataset"] == name] for name in databases_of(names)}
    return {COMPOSITE: everything, **parts}


def metrics_of(rows: PredictionTable, *, draws: int = 2000, seed: int = 0) -> dict[str, Any]:
    """The content of ``metrics.json``, of one run: scores of ``composite`` and of each database.

    Hits and errors are pooled over all folds before any ratio is taken (See et al., MEGC 2019). UF1
    and UAR are means over all classes of the predictions: one that a database lacks counts 0 there,
    as in scikit-learn; its recall and F1 are None. Intervals draw whole subjects with replacement;
    they are None where there is one subject only.
    """
    return {scope: _scores(part, draws=draws, seed=seed) for scope, part in scopes_of(rows).items()}


def table_scores(
    rows: PredictionTable, *, draws: int = 2000, seed: int = 0, real: bool = True
) -> dict[str, Any]:
    """`metrics_of` for a table: with the halves of the composite's subjects as further scopes.

    Not where ``real`` says that clips which carry the composite's names are made-up ones.
    """
    run = rows.one_run()
    found = metrics_of(run, draws=draws, seed=seed)
    for name, inside in split_rows(run).items() if real else ():
        found[name] = _scores(run.take(inside), draws=draws, seed=seed)
    return found


def split_rows(run: PredictionTable) -> dict[str, NDArray[np.int64]]:
    """Places of the clips of each split of the composite's subjects; nothing for other clips."""
    if not of_composite(run):
        return {}
    chosen_on = development_rows(run.who)
    parts = {DEVELOPMENT: np.flatnonzero(chosen_on), OTHER: np.flatnonzero(~chosen_on)}
    return {name: rows for name, rows in parts.items() if len(rows)}


def _scores(rows: PredictionTable, *, draws: int, seed: int) -> dict[str, Any]:
    truth, guess, who, names = rows.truth, rows.guess, rows.who.tolist(), rows.labels
    codes = names.encode(truth), names.encode(guess)
    tables = subject_tables(*codes, subject_numbers(who), len(names))
    _, drawn = mean_scores(tables[None], draws, seed)
    ends = [list(quantiles(row, *_LEVEL)) if row.size else None for row in drawn]
    table = confusion(truth, guess, names)
    hits, true, named = np.diag(table).tolist(), table.sum(1).tolist(), table.sum(0).tolist()
    found = [(n, hits[k], true[k], true[k] + named[k]) for k, n in enumerate(names)]
    return {
        "n": len(rows),
        "subjects": len(tables),
        "uf1": uf1(truth, guess, names),
        "uar": uar(truth, guess, names),
        "uf1_ci95": ends[0],
        "uar_ci95": ends[1],
        "confusion": table.tolist(),
        "recalls": {n: hit / all_ if all_ else None for n, hit, all_, _ in found},
        "f1": {n: 2 * hit / both if all_ else None for n, hit, all_, both in found},
        "accuracy": sum(hits) / len(rows),
        "ece": expected_calibration_error(truth, rows.probabilities, labels=names),
    }
