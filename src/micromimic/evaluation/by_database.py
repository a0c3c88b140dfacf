"""From rows to ``metrics.json``: every metric of a run, of all clips and by database."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from micromimic.core.errors import InputError
from micromimic.evaluation.article import COMPOSITE, TABLE_1
from micromimic.evaluation.development import DEVELOPMENT, OTHER, halves_of
from micromimic.evaluation.metrics import expected_calibration_error, uar, uf1
from micromimic.evaluation.resampling import mean_scores, quantiles, subject_numbers, subject_tables

if TYPE_CHECKING:
    from micromimic.evaluation.predictions import Predictions

_LEVEL: Final = ((1 - 0.95) / 2, (1 + 0.95) / 2)  # as `subject_bootstrap` has it, to the last bit


def databases_of(scopes: Collection[str]) -> list[str]:
    """Databases in the order of the challenge's tables, then others by name."""
    known = [name for name in TABLE_1 if name in scopes and name != COMPOSITE]
    return [*known, *sorted(set(scopes) - set(known) - {COMPOSITE, DEVELOPMENT, OTHER})]


def scopes_of(rows: Predictions, *, halves: bool = False) -> dict[str, Predictions]:
    """The rows of all clips together (``composite``) and of each database, sorted by clip.

    With ``halves`` also those of `development.halves_of`: not for clips that carry the composite's
    names and are made-up ones.
    """
    everything = rows.one_run()
    names = set(everything["dataset"])
    if COMPOSITE in names:
        raise InputError(
            f"expected databases by their names, got one named {COMPOSITE}, which means all "
            "together; rename it in the manifest"
        )
    parts = {name: everything[everything["dataset"] == name] for name in databases_of(names)}
    return {COMPOSITE: everything, **parts, **(halves_of(everything) if halves else {})}


def metrics_of(
    rows: Predictions, *, draws: int = 2000, seed: int = 0, halves: bool = False
) -> dict[str, Any]:
    """The content of ``metrics.json``, of one run: scores of each of `scopes_of`.

    Hits and errors are pooled over all folds before any ratio is taken (See et al., MEGC 2019). UF1
    and UAR are means over all classes of the predictions: one that a database lacks counts 0 there,
    as in scikit-learn; its recall and F1 are None. Intervals draw whole subjects with replacement;
    they are None where there is one subject only.
    """
    parts = scopes_of(rows, halves=halves)
    return {scope: _scores(part, draws=draws, seed=seed) for scope, part in parts.items()}


def _scores(rows: Predictions, *, draws: int, seed: int) -> dict[str, Any]:
    truth, guess, who, names = rows.truth, rows.guess, rows.who.tolist(), rows.labels
    codes = names.encode(truth), names.encode(guess)
    tables = subject_tables(*codes, subject_numbers(who), len(names))
    _, drawn = mean_scores(tables[None], draws, seed)
    ends = [list(quantiles(row, *_LEVEL)) if row.size else None for row in drawn]
    table = tables.sum(0)
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
