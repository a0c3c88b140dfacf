"""One row a clip: what a model said of it while its subject was held out, scored and compared."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from micromimic.evaluation.markdown import methods_table
from micromimic.evaluation.metrics import uf1
from micromimic.evaluation.prediction_table import PredictionTable
from micromimic.evaluation.resampling import Score
from micromimic.evaluation.scores import table_scores
from micromimic.evaluation.statistics import compare_runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Predictions(PredictionTable):
    """A table of predictions: a pandas DataFrame, whose further methods score it.

    Columns ``dataset``, ``subject``, ``clip`` (names as in the manifest: 006 stays 006), ``fold``
    (which tested it, from 0), ``seed``, ``y_true``, ``y_pred``, and a probability ``p_<label>`` of
    each class; ``model`` where there are several. Rows come in any order.

    Examples
    --------
    >>> rows = Predictions.of(["lab"] * 2, ["1", "2"], ["c", "c"], ["a", "b"],
    ...                       [[0.75, 0.25], [0.5, 0.5]], labels=["a", "b"])
    >>> rows["y_pred"].tolist(), rows.labels.names, rows.who.tolist()
    (['a', 'a'], ('a', 'b'), ['lab/1', 'lab/2'])
    """

    def scores(self, *, draws: int = 2000, seed: int = 0) -> pd.DataFrame:
        """UF1, UAR and more of each run, all clips and by database; 95 % intervals over subjects.

        Returns
        -------
        pd.DataFrame
            One row a run and scope: ``model``, ``scope``, ``n``, ``subjects``, ``uf1``,
            ``uf1_low``, ``uf1_high``, ``uar``, ``uar_low``, ``uar_high``, ``accuracy``, ``ece``.
        """

        rows = []
        for name, part in self.runs():
            found_in = table_scores(part, draws=draws, seed=seed, real=self.real)
            for scope, found in found_in.items():
                row: dict[str, Any] = {"model": name, "scope": scope}
                for key in ("n", "subjects", "uf1", "uar", "accuracy", "ece"):
                    row[key] = found[key]
                    if f"{key}_ci95" in found:
                        ends = found[f"{key}_ci95"] or (math.nan, math.nan)
                        row[f"{key}_low"], row[f"{key}_high"] = ends
                rows.append(row)
        return pd.DataFrame(rows)

    def compare(  # type: ignore[override]
        self, other: Predictions | None = None, score: Score | None = None, *, draws: int = 10_000
    ) -> pd.DataFrame:
        """Paired tests that swap whole subjects: the first run against each other one.

        Parameters
        ----------
        other : Predictions | None
            the run to compare with; None takes those of this table.
        score : Score | None
            as of `statistics.compare_runs`; None is UF1.
        draws : int
            of each test.

        Returns
        -------
        pd.DataFrame
            One row a pair: ``first``, ``second``, ``score``, ``a``, ``b``, ``difference``, ``low``,
            ``high`` (95 %), ``p``.
        """

        (first, mine), *others = self.runs()
        rows = []
        for second, theirs in others if other is None else other.runs():
            found = compare_runs(mine, theirs, score or uf1, draws=draws)
            low, high = found.interval or (math.nan, math.nan)
            rows.append(
                {"first": first, "second": second, "score": found.score, "a": found.a, "b": found.b,
                 "difference": found.difference, "low": low, "high": high, "p": found.p}
            )  # fmt: skip
        return pd.DataFrame(rows)

    def to_markdown(self, *, draws: int = 2000) -> str:  # type: ignore[override]
        """Scores of each run by database, in Markdown, as in ``tables.md``."""

        real = self.real
        return methods_table(
            {name: table_scores(part, draws=draws, real=real) for name, part in self.runs()}
        )

    def plot_confusion(self, axes: Axes | None = None) -> Axes:
        """Counts of true and predicted classes, on these axes or a new figure.

        Raises
        ------
        InputError
            if there are several runs.
        """
        from sklearn.metrics import ConfusionMatrixDisplay  # noqa: PLC0415 - slow to load

        run = self.one_run()
        shown = ConfusionMatrixDisplay.from_predictions(
            run.truth, run.guess, labels=list(run.labels), ax=axes, cmap="Blues", colorbar=False
        )
        drawn: Axes = shown.ax_
        return drawn
