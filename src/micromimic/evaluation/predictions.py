"""One row a clip: what a model said of it while its subject was held out, scored and compared.

Every score is derived from these rows, and runs are joined by (dataset, subject, clip), never by
position.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE, LabelSet
from micromimic.datasets.table import number, read_table, write_table
from micromimic.evaluation.by_database import metrics_of
from micromimic.evaluation.comparison import compare_runs
from micromimic.evaluation.markdown import methods_table
from micromimic.evaluation.metrics import uf1
from micromimic.evaluation.resampling import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from micromimic.models.samples import Samples

KEY: Final = ("dataset", "subject", "clip")
REQUIRED: Final = (*KEY, "fold", "seed", "y_true", "y_pred")
COLUMNS: Final = (*REQUIRED, *(f"p_{name}" for name in THREE))
"""Of ``predictions.csv`` with the composite's classes, in their order."""

ClipKey = tuple[str, str, str]
"""Dataset, subject and clip, as in the manifest."""

Value = TypeVar("Value")
_TOLERANCE: Final = 1e-3  # of the sum of probabilities: float32 and rounded files are welcome


class Predictions(pd.DataFrame):
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

    @property
    def _constructor(self) -> type[Self]:
        return type(self)

    @classmethod
    def of(
        cls,
        datasets: Iterable[str],
        subjects: Iterable[str],
        clips: Iterable[str],
        y_true: Iterable[str],
        probabilities: Any,
        *,
        labels: LabelSet | Iterable[str],
        fold: int | NDArray[np.int64] = 0,
        seed: int = 0,
    ) -> Self:
        """Predictions from their columns: the likeliest class of each clip."""
        names = list(labels)
        p = np.asarray(probabilities, np.float64)
        truth = [str(label) for label in y_true]
        if p.shape != (len(truth), len(names)):
            raise InputError(
                f"expected probabilities ({len(truth)}, {len(names)}), got {p.shape}; give one a "
                "clip and class"
            )
        columns: dict[str, Any] = {
            "dataset": [str(name) for name in datasets],
            "subject": [str(name) for name in subjects],
            "clip": [str(name) for name in clips],
            "fold": fold,
            "seed": seed,
            "y_true": truth,
            "y_pred": [names[k] for k in p.argmax(1)],
            **{f"p_{name}": p[:, k] for k, name in enumerate(names)},
        }
        return cls(columns).checked()

    @classmethod
    def of_samples(
        cls,
        samples: Samples,
        probabilities: Any,
        *,
        fold: int | NDArray[np.int64] = 0,
        seed: int = 0,
    ) -> Self:
        """Predictions of encoded clips, in their order, of (n, k) probabilities."""
        datasets, subjects, clips = zip(*keys_of(samples), strict=True)
        truth, labels = samples.labels, samples.label_set
        return cls.of(
            datasets, subjects, clips, truth, probabilities, labels=labels, fold=fold, seed=seed
        )

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read ``predictions.csv``; further columns are kept, several seeds may share a file."""
        remedy = "pass a predictions.csv"
        text = read_table(path, REQUIRED, known=COLUMNS, what="predictions", remedy=remedy)
        if not len(text):
            raise InputError(f"expected predictions in {path}, got only a header; evaluate again")
        chances = [name for name in text.columns if str(name).startswith("p_")]
        if len(chances) < 2:
            raise InputError(
                f"expected columns p_<label> of two classes or more in {path}, got "
                f"{', '.join(chances) or 'none'}; {remedy}"
            )
        frame = cls(text)
        for name in ("fold", "seed"):
            frame[name] = whole_cells(text, name, path)
        for name in chances:
            frame[name] = number_cells(text, name, path)
        frame.checked(path)
        again = frame.duplicated([*KEY, "seed", *(["model"] if "model" in frame else [])])
        if again.any():
            row = frame[again].iloc[0]
            raise InputError(
                f"expected each clip once a seed, got {'/'.join(row[list(KEY)])} twice with seed "
                f"{row['seed']} in {path}; remove one row"
            )
        return frame.reset_index(drop=True)

    def write(self, path: str | Path) -> None:
        """Write ``predictions.csv``, whole or not at all; reading gives the same rows back."""
        if self.empty:
            raise InputError("expected predictions to write, got none; run an evaluation first")
        write_table(path, self)

    def checked(self, path: str | Path | None = None) -> Self:
        """Itself, if each row is a prediction; with a path the index counts the file's lines."""
        labels, p = self.labels, self.probabilities
        sums = ((p >= 0) & (p <= 1)).all(1) & (np.abs(p.sum(1) - 1) <= _TOLERANCE)
        checks: list[tuple[str, Any, str]] = [
            *((n, self[n].map(_is_name), "one line of text without blanks around it") for n in KEY),
            *((n, self[n] >= 0, "0 or more") for n in ("fold", "seed")),
            *((n, self[n].isin(list(labels)), f"among {labels}") for n in ("y_true", "y_pred")),
            ("probabilities", sums, f"{len(labels)} from 0 to 1 that sum to 1"),
        ]
        for what, fits, wanted in checks:
            wrong = np.flatnonzero(~np.asarray(fits, bool))
            if len(wrong):
                at = wrong[0]
                got = tuple(p[at].tolist()) if what == "probabilities" else self[what].tolist()[at]
                row = self.index[at]
                place = f"row {row}" if path is None else f"line {row} of {path}"
                raise InputError(f"{what} must be {wanted}, got {got!r} in {place}; correct it")
        return self

    @property
    def labels(self) -> LabelSet:
        """The classes, in the order of the columns of their probabilities."""
        names = tuple(str(c).removeprefix("p_") for c in self.columns if str(c).startswith("p_"))
        return THREE if names == THREE.names else LabelSet("any", names)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """(n, k) in the order of `labels`."""
        return self[[f"p_{name}" for name in self.labels]].to_numpy(np.float64)

    @property
    def who(self) -> NDArray[np.str_]:
        """(n,) whose each clip is, qualified by its database."""
        pairs = zip(self["dataset"], self["subject"], strict=True)
        return np.array([f"{dataset}/{subject}" for dataset, subject in pairs], np.str_)

    @property
    def real(self) -> bool:
        """Whether the clips are not made-up ones: ``attrs["synthetic"]`` says so."""
        return not self.attrs.get("synthetic", False)

    @property
    def clip_keys(self) -> list[ClipKey]:
        """(n,) what runs are joined by."""
        return list(zip(*(self[name] for name in KEY), strict=True))

    @property
    def truth(self) -> NDArray[np.str_]:
        """(n,) true classes."""
        return np.array(self["y_true"].tolist(), np.str_)

    @property
    def guess(self) -> NDArray[np.str_]:
        """(n,) predicted classes."""
        return np.array(self["y_pred"].tolist(), np.str_)

    def one_run(self) -> Self:
        """Sorted by clip, so that no result depends on the order of a file; several runs are
        refused.
        """
        if self.empty:
            raise InputError("expected predictions, got none; run an evaluation first")
        models = self["model"].unique().tolist() if "model" in self else []
        if len(models) > 1:
            raise InputError(
                f"expected one model's predictions, got {', '.join(models)}; take one, as "
                f"found[found['model'] == {models[0]!r}]"
            )
        frame = self.sort_values(list(KEY), kind="stable", ignore_index=True)
        again = frame.duplicated(list(KEY))
        if again.any():
            place = int(again.to_numpy().argmax())
            raise InputError(
                f"expected each clip once in a run, got {'/'.join(frame.clip_keys[place])} with "
                f"seed {frame['seed'][place - 1]} and seed {frame['seed'][place]}; take one run at "
                "a time"
            )
        return frame

    def runs(self) -> Iterator[tuple[str, Self]]:
        """Each model's and seed's rows, by a name."""
        apart = [
            n for n in ("model", "seed") if n in self and (n == "model" or self[n].nunique() > 1)
        ]
        if not apart:
            yield "", self
            return
        for values, part in self.groupby(apart, sort=False):
            words = zip(apart, values, strict=True)
            name = ", ".join(f"seed {value}" if n == "seed" else str(value) for n, value in words)
            yield name, type(self)(part)

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
            found_in = metrics_of(part, draws=draws, seed=seed, halves=self.real)
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
            as of `comparison.compare_runs`; None is UF1.
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
            {name: metrics_of(part, draws=draws, halves=real) for name, part in self.runs()}
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


def keys_of(samples: Samples) -> list[ClipKey]:
    """(n,) names of encoded clips as in the manifest; samples have qualified ones."""
    columns = (samples.datasets, samples.subjects, samples.clips)
    names = zip(*(column.tolist() for column in columns), strict=True)
    return [(d, who.removeprefix(f"{d}/"), clip.removeprefix(f"{who}/")) for d, who, clip in names]


def _is_name(value: str) -> bool:
    return bool(value) and value == value.strip() and len(value.splitlines()) == 1


def whole_cells(text: pd.DataFrame, name: str, path: object) -> list[int]:
    """A column of whole numbers from 0, of a table as `datasets.table.read_table` gives it."""
    return cells(
        text, name, path, lambda c: int(c) if c.isdecimal() else None, "a whole number from 0"
    )


def number_cells(text: pd.DataFrame, name: str, path: object) -> list[float]:
    """A column of numbers; see `whole_cells`."""
    return cells(text, name, path, number, "a number")


def cells(
    text: pd.DataFrame, name: str, path: object, read: Callable[[str], Value | None], wanted: str
) -> list[Value]:
    """A column, read cell by cell; None is no value."""
    values = []
    for at, cell in text[name].items():
        value = read(cell)
        if value is None:
            raise InputError(
                f"expected {name} to be {wanted}, got {cell!r} in line {at} of {path}; correct it"
            )
        values.append(value)
    return values
