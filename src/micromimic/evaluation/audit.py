"""What choosing the epoch on the test data claims, beside the honest figure.

Much published code scores the test subject after each epoch and reports the best one. With few
clips a subject, some epoch is right by luck, even if the network has learned nothing: so the same
is done with shuffled training labels, and what is still claimed then comes from the choice alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import InputError
from micromimic.evaluation.controls import majority_per_database
from micromimic.evaluation.epochs import EpochRun, best_epoch
from micromimic.evaluation.scores import COMPOSITE, DATABASES, metrics_of, scores_of_tables
from micromimic.labels import EMOTIONS
from micromimic.models.learner import EarlyStopping, Samples

LabelKind = Literal["real", "shuffled"]
Selection = Literal["last", "overall", "stopped", "subject"]
SELECTIONS: Final[tuple[Selection, ...]] = ("last", "overall", "stopped", "subject")
"""``last``: the last epoch, honest. The others choose on the test data: ``overall`` one epoch for
everybody by the composite's UF1, ``stopped`` early stopping on each test subject, ``subject`` the
epoch with most of each test subject's clips right."""

PATIENCE: Final = EarlyStopping().patience

Pair = tuple[float, float]


@dataclass(frozen=True)
class Added:
    """What a selection adds to the last epoch, composite, with 95 % intervals over subjects."""

    uf1: float
    uar: float
    uf1_ci95: Pair | None
    uar_ci95: Pair | None


@dataclass(frozen=True)
class AuditRow:
    """One line of the table.

    Args:
        labels: what was trained on.
        selection: how the epoch was chosen.
        scores: for ``composite`` and each database ``n``, ``subjects``, ``uf1``, ``uar``: means
            over the runs; ``uf1_ci95`` and ``uar_ci95``: 95 % when whole subjects are drawn anew,
            None with one subject. The choice of epochs is kept in each draw.
        added: beside the last epoch; None for the last epoch itself.
        by_run: (seed, shuffle, UF1, UAR) of each run, composite.
    """

    labels: LabelKind
    selection: Selection
    scores: Mapping[str, Mapping[str, Any]]
    added: Added | None
    by_run: tuple[tuple[int, int, float, float], ...]


@dataclass(frozen=True)
class Audit:
    """All that an audit says.

    Args:
        rows: real labels first, selections in the order of `SELECTIONS`.
        control: scores of the majority of each database; None where the folds do not say who was
            trained on.
        runs: what it was made from.
        curves: (epochs,) composite UF1 after each epoch, for each run.
        chosen: (epochs,) how many subjects keep that epoch as their best, for each run.
        notes: what a reader has to know.
    """

    rows: tuple[AuditRow, ...]
    control: Mapping[str, Mapping[str, Any]] | None
    runs: tuple[EpochRun, ...]
    curves: tuple[NDArray[np.float64], ...]
    chosen: tuple[NDArray[np.int64], ...]
    notes: tuple[str, ...]

    def row(self, labels: LabelKind, selection: Selection) -> AuditRow | None:
        """The line of these labels and this selection, if there is one."""
        found = (r for r in self.rows if (r.labels, r.selection) == (labels, selection))
        return next(found, None)

    @property
    def shuffles(self) -> int:
        """Runs on shuffled labels."""
        return sum(run.shuffle > 0 for run in self.runs)


def audit_runs(runs: Sequence[EpochRun], *, draws: int = 2000, seed: int = 0) -> Audit:
    """Audit runs of one model on the same clips.

    Args:
        runs: any number of seeds, on true and on shuffled training labels.
        draws: of the bootstrap.
        seed: of the draws.

    Raises:
        InputError: if no run trained on true labels, there is one epoch only, or runs differ in
            clips, true classes or epochs.
    """
    ordered = sorted(runs, key=lambda run: (run.shuffle, run.seed))
    _check(ordered)
    rows: list[AuditRow] = []
    kinds: tuple[LabelKind, ...] = ("real", "shuffled")
    for labels in kinds:
        same = [run for run in ordered if (run.shuffle > 0) == (labels == "shuffled")]
        if same:
            rows += _rows(labels, same, draws, seed)
    return Audit(
        rows=tuple(rows),
        control=_control(ordered[0], draws, seed),
        runs=tuple(ordered),
        curves=tuple(_curve(run) for run in ordered),
        chosen=tuple(_kept(run) for run in ordered),
        notes=tuple(_notes(ordered)),
    )


def chosen_epochs(run: EpochRun, selection: Selection) -> NDArray[np.int64]:
    """(n,) the place in ``run.epochs`` of the epoch that answers for each clip.

    Args:
        run: of one seed.
        selection: how to choose; all but ``last`` look at the truth of the tested clips.
    """
    count = len(run.clips)
    if selection == "last":
        return np.full(count, len(run.epochs) - 1, np.int64)
    if selection == "overall":
        return np.full(count, int(_curve(run).argmax()), np.int64)
    pick: Callable[[NDArray[np.bool_]], int] = (
        best_epoch if selection == "subject" else stopped_epoch
    )
    chosen = np.empty(count, np.int64)
    right, who = run.right, np.array(run.subjects)
    for subject in dict.fromkeys(run.subjects):
        mine = who == subject
        chosen[mine] = pick(right[:, mine])
    return chosen


def stopped_epoch(right: NDArray[np.bool_], patience: int = PATIENCE) -> int:
    """The epoch that early stopping keeps when it watches the test part.

    Args:
        right: (epochs, n) where the predicted class is the true one.
        patience: epochs without a better score before training ends.

    Returns:
        The place of the best epoch until then, the first of equals.

    >>> stopped_epoch(np.array([[0], [1], [0], [0], [1]], bool), patience=2)
    1
    """
    hits = right.sum(1)
    best = 0
    for epoch, value in enumerate(hits.tolist()):
        if value > hits[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def _rows(labels: LabelKind, runs: Sequence[EpochRun], draws: int, seed: int) -> Iterator[AuditRow]:
    """One row a selection."""
    scopes = _scopes(runs[0])
    honest = np.stack([_tables(run, chosen_epochs(run, "last")) for run in runs])
    for selection in SELECTIONS:
        tables = np.stack([_tables(run, chosen_epochs(run, selection)) for run in runs])
        scores = {
            scope: _score(tables[:, members], runs[0], members, draws, seed)
            for scope, members in scopes.items()
        }
        each = np.stack(scores_of_tables(_square(tables.sum(1)))).T
        yield AuditRow(
            labels=labels,
            selection=selection,
            scores=scores,
            added=None if selection == "last" else _added(tables, honest, draws, seed),
            by_run=tuple(
                (run.seed, run.shuffle, float(f1), float(recall))
                for run, (f1, recall) in zip(runs, each, strict=True)
            ),
        )


def _scopes(run: EpochRun) -> dict[str, NDArray[np.int64]]:
    """Numbers of the subjects of the composite and of each database."""
    people = list(dict.fromkeys(run.subjects))
    home = {f"{dataset}/{subject}": dataset for dataset, subject, _ in run.clips}
    datasets = np.array([home[who] for who in people])
    names = set(datasets.tolist())
    known = [name for name in DATABASES if name in names]
    return {
        COMPOSITE: np.arange(len(people)),
        **{n: np.flatnonzero(datasets == n) for n in [*known, *sorted(names - set(known))]},
    }


def _tables(run: EpochRun, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """(subjects, 9) counts of true and predicted classes, subjects in the order of the clips."""
    guess = run.guesses[chosen, np.arange(len(chosen))]
    number = {who: place for place, who in enumerate(dict.fromkeys(run.subjects))}
    people = np.array([number[who] for who in run.subjects])
    tables = np.zeros((len(number), len(EMOTIONS) ** 2), np.int64)
    np.add.at(tables, (people, run.truth * len(EMOTIONS) + guess), 1)
    return tables


def _square(flat: NDArray[np.int64]) -> NDArray[np.int64]:
    return flat.reshape(-1, len(EMOTIONS), len(EMOTIONS))


def _drawn(tables: NDArray[np.int64], draws: int, seed: int) -> NDArray[np.float64]:
    """(2, draws) mean UF1 and UAR over runs, of (runs, subjects, 9) tables with subjects redrawn.

    The draws are those of `metrics.subject_bootstrap`: the same for every selection, so that
    differences are paired.
    """
    people = tables.shape[1]
    picks = np.random.default_rng(seed).integers(people, size=(draws, people))
    times = np.zeros((draws, people), np.int64)
    np.add.at(times, (np.arange(draws)[:, None], picks), 1)
    drawn = [scores_of_tables(_square(times @ run)) for run in tables]
    return np.asarray(np.mean(drawn, axis=0), np.float64)


def _ends(values: NDArray[np.float64]) -> Pair:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _score(
    tables: NDArray[np.int64], run: EpochRun, members: NDArray[np.int64], draws: int, seed: int
) -> dict[str, Any]:
    """Scores of one scope."""
    f1, recall = np.mean(scores_of_tables(_square(tables.sum(1))), axis=1)
    alone = len(members) < 2
    drawn = None if alone else _drawn(tables, draws, seed)
    return {
        "n": int(tables[0].sum()),
        "subjects": len(members),
        "uf1": float(f1),
        "uar": float(recall),
        "uf1_ci95": None if drawn is None else list(_ends(drawn[0])),
        "uar_ci95": None if drawn is None else list(_ends(drawn[1])),
    }


def _added(tables: NDArray[np.int64], honest: NDArray[np.int64], draws: int, seed: int) -> Added:
    """What is added to the last epoch."""
    now, before = (
        np.mean(scores_of_tables(_square(part.sum(1))), axis=1) for part in (tables, honest)
    )
    f1, recall = (float(value) for value in now - before)
    if tables.shape[1] < 2:
        return Added(f1, recall, None, None)
    drawn = _drawn(tables, draws, seed) - _drawn(honest, draws, seed)
    return Added(f1, recall, _ends(drawn[0]), _ends(drawn[1]))


def _curve(run: EpochRun) -> NDArray[np.float64]:
    """(epochs,) composite UF1 after each epoch."""
    tables = [_tables(run, np.full(len(run.clips), k)).sum(0) for k in range(len(run.epochs))]
    return scores_of_tables(_square(np.stack(tables)))[0]


def _kept(run: EpochRun) -> NDArray[np.int64]:
    """(epochs,) how many subjects keep that epoch as their best."""
    by_subject = dict(zip(run.subjects, chosen_epochs(run, "subject").tolist(), strict=True))
    return np.bincount(list(by_subject.values()), minlength=len(run.epochs)).astype(np.int64)


def _control(run: EpochRun, draws: int, seed: int) -> dict[str, Any] | None:
    """The majority of each database among the clips of other folds."""
    numbers = np.unique(run.folds)
    if len(numbers) < 2:
        return None
    samples = Samples(
        inputs=np.zeros((len(run.clips), 1)),
        targets=run.truth,
        datasets=np.array([dataset for dataset, _, _ in run.clips]),
        subjects=np.array(run.subjects),
        clips=np.array(["/".join(clip) for clip in run.clips]),
    )
    splits = [(np.flatnonzero(run.folds != k), np.flatnonzero(run.folds == k)) for k in numbers]
    return metrics_of(majority_per_database(samples, splits), draws=draws, seed=seed)


def _check(runs: Sequence[EpochRun]) -> None:
    """Refuse what does not compare."""
    if not runs or runs[0].shuffle:
        raise InputError(
            "expected a run trained on true labels, got none; log one with shuffle 0 or without "
            "that column"
        )
    first = runs[0]
    if len(first.epochs) < 2:
        raise InputError(
            "expected two epochs or more to choose from, got one; log every epoch of the training"
        )
    for run in runs[1:]:
        name = f"seed {run.seed}" + (f", shuffle {run.shuffle}" if run.shuffle else "")
        if run.clips != first.clips:
            gone = sorted(set(first.clips) ^ set(run.clips))[0]
            raise InputError(
                f"expected the same clips in every run, got {'/'.join(gone)} in only one of seed "
                f"{first.seed} and {name}; audit complete runs"
            )
        if not np.array_equal(run.truth, first.truth):
            other = first.clips[int((run.truth != first.truth).argmax())]
            raise InputError(
                f"expected one true class a clip, got two for {'/'.join(other)} ({name}); tested "
                "truth is never shuffled, correct one"
            )
        if run.epochs != first.epochs:
            raise InputError(
                f"expected the same epochs in every run, got {len(first.epochs)} and "
                f"{len(run.epochs)} ({name}); audit complete runs"
            )


def _notes(runs: Sequence[EpochRun]) -> Iterator[str]:
    """What a reader has to know of the runs."""
    first = runs[0]
    numbers = len(np.unique(first.folds))
    if numbers < 2:
        yield "There is one fold only: who was trained on is not known, and no control is given."
    apart: dict[str, set[int]] = {}
    for who, fold in zip(first.subjects, first.folds.tolist(), strict=True):
        apart.setdefault(who, set()).add(fold)
    split = [who for who, folds in apart.items() if len(folds) > 1]
    if split:
        yield (
            f"{len(split)} of {len(apart)} subjects are tested in several folds (the first: "
            f"{split[0]}): other clips of theirs were trained on, so no line here, not even the "
            "last epoch's, says how a new person would fare."
        )
    if any((run.ended != len(run.epochs)).any() for run in runs):
        fewest = min(int(run.ended.min()) for run in runs)
        yield (
            f"Some folds end after {fewest} of {len(first.epochs)} epochs; from there on their "
            "last answer counts."
        )
