"""What choosing the epoch on the test data claims, beside the honest figure.

Much published code scores the test subject after each epoch and reports the best one. With few
clips a subject, some epoch is right by luck, even if the network has learned nothing: so the same
is done with shuffled training labels, and what is still claimed then comes from the choice alone.

An audit is made from `EpochRun`: of `evaluation.run`, or of a table that any training code can
write, one CSV row a clip and epoch, of one or several runs. Its columns are
``dataset,subject,clip,fold,seed,epoch,y_true`` and ``y_pred`` (or the probabilities ``p_<label>``,
whose largest counts). ``shuffle`` numbers the shuffles of training labels; 0, or no such column, is
the true labels. Classes are words, or 0, 1, 2... for them in their order, as the MEGC 2019
evaluation code writes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE, LabelSet, labels_like
from micromimic.datasets.table import check_names, read_table, records, write_table
from micromimic.evaluation.article import COMPOSITE
from micromimic.evaluation.by_database import databases_of, metrics_of
from micromimic.evaluation.controls import majority_per_database
from micromimic.evaluation.metrics import scores_of_tables
from micromimic.evaluation.one_fold import Fold, FoldResult, best_epoch
from micromimic.evaluation.predictions import (
    KEY,
    ClipKey,
    cells,
    keys_of,
    number_cells,
    whole_cells,
)
from micromimic.evaluation.resampling import (
    mean_scores,
    score_entries,
    subject_numbers,
    subject_tables,
)
from micromimic.models.samples import Samples

LabelKind = Literal["real", "shuffled"]
KINDS: Final[tuple[LabelKind, ...]] = ("real", "shuffled")
Selection = Literal["last", "overall", "stopped", "subject"]
SELECTIONS: Final[tuple[Selection, ...]] = ("last", "overall", "stopped", "subject")
"""``last``: the last epoch, honest. The others choose on the test data: ``overall`` one epoch for
everybody by the UF1 of all clips, ``stopped`` early stopping on each test subject, ``subject`` the
epoch with most of each test subject's clips right."""

PATIENCE: Final = 5
"""Epochs without a better score before ``stopped`` ends, as `models.base.EarlyStopping` has it."""
REQUIRED: Final = (*KEY, "fold", "seed", "epoch", "y_true")

_SHUFFLE: Final = "shuffle"
_GUESS: Final = "y_pred"


@dataclass(frozen=True, eq=False)
class EpochRun:
    seed: int  # of the run
    shuffle: int  # number of the shuffle of its training labels; 0 where they were the true ones
    clips: tuple[ClipKey, ...]  # n clips, sorted, each once
    folds: NDArray[np.int64]  # (n,) which fold tested each
    truth: NDArray[np.int64]  # (n,) true class numbers, order of ``labels``
    epochs: tuple[int, ...]  # their numbers, ascending
    # (epochs, n) predicted class numbers. A fold that ended earlier than others keeps its last
    # answer
    guesses: NDArray[np.int64]
    ended: NDArray[np.int64]  # (n,) how many epochs each clip's fold really had
    probabilities: NDArray[np.float64] | None = None  # (epochs, n, k), where they are known
    labels: LabelSet = THREE  # the classes

    @property
    def subjects(self) -> tuple[str, ...]:
        """(n,) whose each clip is, qualified by its database."""
        return tuple(f"{dataset}/{subject}" for dataset, subject, _ in self.clips)

    @property
    def trained_on(self) -> LabelKind:
        return "shuffled" if self.shuffle else "real"

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.asarray(self.guesses == self.truth, np.bool_)

    def tables(self, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
        """(subjects, k, k) confusion matrices when these (n,) places of epochs answer."""
        guess = self.guesses[chosen, np.arange(len(chosen))]
        return subject_tables(self.truth, guess, subject_numbers(self.subjects), len(self.labels))

    def curve(self) -> NDArray[np.float64]:
        """(epochs,) UF1 of all clips after each epoch."""
        places = np.repeat(np.arange(len(self.epochs))[:, None], len(self.clips), 1)
        truth = np.broadcast_to(self.truth, self.guesses.shape)
        tables = subject_tables(truth, self.guesses, places, len(self.labels))
        return scores_of_tables(tables)[0]


def epochs_of_run(
    samples: Samples,
    folds: Sequence[Fold],
    results: Sequence[FoldResult],
    *,
    seed: int,
    shuffle: int = 0,
) -> EpochRun | None:
    """The epochs of a run of `evaluation.run.run_protocol`, from 1; None where none were kept."""
    parts = [result.epochs for result in results if result.epochs is not None]
    if len(parts) < len(results):
        return None
    longest = max(len(part) for part in parts)
    chances = np.zeros((longest, len(samples), len(samples.label_set)))
    number_of, ended = (np.zeros(len(samples), np.int64) for _ in range(2))
    for fold, part in zip(folds, parts, strict=True):
        last = np.repeat(part[-1:], longest - len(part), axis=0)
        chances[:, fold.test] = np.concatenate([part, last])
        number_of[fold.test] = fold.number
        ended[fold.test] = len(part)
    keys = keys_of(samples)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    chances = chances[:, order]
    return EpochRun(
        seed=seed,
        shuffle=shuffle,
        clips=tuple(keys[row] for row in order),
        folds=number_of[order],
        truth=samples.targets[order],
        epochs=tuple(range(1, longest + 1)),
        guesses=np.asarray(chances.argmax(2), np.int64),
        ended=ended[order],
        probabilities=chances,
        labels=samples.label_set,
    )


# --- tables of epochs


def is_epochs_table(path: str | Path) -> bool:
    return "epoch" in read_table(path, (), known=("epoch",), what="a table of epochs or a manifest")


def write_epochs(path: str | Path, runs: Sequence[EpochRun]) -> None:
    """Write runs as one table, whole or not at all; `read_epochs` gives their classes back.

    Raises
    ------
    OutputError
        if it cannot be written.
    """
    known = all(run.probabilities is not None for run in runs)
    parts = []
    for run in runs:
        # what was really said, not kept from an earlier epoch
        at, row = np.nonzero(np.arange(len(run.epochs))[:, None] < run.ended)
        part = pd.DataFrame([run.clips[k] for k in row.tolist()], columns=list(KEY))
        part = part.assign(fold=run.folds[row], seed=run.seed, shuffle=run.shuffle)
        part = part.assign(
            epoch=np.array(run.epochs)[at],
            y_true=run.labels.decode(run.truth[row]),
            y_pred=run.labels.decode(run.guesses[at, row]),
        )
        if known and run.probabilities is not None:
            for k, name in enumerate(run.labels):
                part[f"p_{name}"] = [f"{p:.6f}" for p in run.probabilities[at, row, k].tolist()]
        parts.append(part)
    write_table(path, pd.concat(parts))


def read_epochs(path: str | Path, labels: LabelSet | None = None) -> tuple[EpochRun, ...]:
    """Read such a table; further columns are ignored.

    Parameters
    ----------
    path : str | Path
        of the table.
    labels : LabelSet | None
        the classes; None takes those of the probabilities, or else of the words.

    Returns
    -------
    tuple[EpochRun, ...]
        One run a seed and shuffle, in their order; those on true labels first.

    Raises
    ------
    InputError
        if the file is missing or no such table, a row is wrong or there twice, a clip changes its
        true class or its fold, or a clip lacks an epoch that its fold has.
    """
    text = read_table(
        path,
        REQUIRED,
        known=(_SHUFFLE, _GUESS),
        what="a table of epochs",
        remedy="write one row a clip and epoch",
    )
    chances = [str(name) for name in text.columns if str(name).startswith("p_")]
    if _GUESS not in text and len(chances) < 2:
        raise InputError(
            f"expected columns {','.join(REQUIRED)},{_GUESS} in {path}, got none named {_GUESS} "
            "(or p_<label> of each class); write one row a clip and epoch"
        )
    if not len(text):
        raise InputError(f"expected predictions in {path}, got only a header; log some epochs")
    names = labels or _classes(text, chances)
    for where, row in records(text, path):
        check_names(row, KEY, where)
    frame = text[list(KEY)].copy()
    for name in ("fold", "seed", "epoch"):
        frame[name] = whole_cells(text, name, path)
    frame[_SHUFFLE] = whole_cells(text, _SHUFFLE, path) if _SHUFFLE in text else 0
    frame["y_true"] = _class_cells(text, "y_true", names, path)
    if _GUESS in text:
        frame[_GUESS] = _class_cells(text, _GUESS, names, path)
    else:
        missing = [f"p_{name}" for name in names if f"p_{name}" not in text]
        if missing:
            raise InputError(
                f"expected a column {missing[0]} in {path}, got none; write one of each class"
            )
        p = [number_cells(text, f"p_{name}", path) for name in names]
        frame[_GUESS] = np.argmax(p, axis=0)
    groups = frame.groupby([_SHUFFLE, "seed"])
    return tuple(_run_of(part, key, names, path) for key, part in groups)


def _classes(text: pd.DataFrame, chances: Sequence[str]) -> LabelSet:
    if len(chances) > 1:
        names = tuple(name.removeprefix("p_") for name in chances)
        return THREE if set(names) == set(THREE.names) else LabelSet("any", names)
    words = {cell for name in ("y_true", _GUESS) for cell in text[name] if cell}
    words -= {word for word in words if word.isdecimal()}
    # two of the composite's words: its classes are meant, and a fourth word is a mistake
    if len(words) < 2 or len(words & set(THREE.names)) > 1:
        return THREE
    return labels_like(words)


def _class_cells(text: pd.DataFrame, name: str, labels: LabelSet, path: object) -> list[int]:
    """Numbers of classes, which stand there by name or number."""
    places = {str(k): k for k in range(len(labels))} | {n: k for k, n in enumerate(labels)}
    return cells(text, name, path, places.get, f"{labels} (or 0, 1... for them)")


def _run_of(part: pd.DataFrame, key: Any, labels: LabelSet, path: object) -> EpochRun:
    """One run's rows, once all lines are there."""
    shuffle, seed = key
    again = part.duplicated([*KEY, "epoch"])
    if again.any():
        row = part[again].iloc[0]
        raise InputError(
            f"expected one row a clip and epoch, got {_name(row)} twice in epoch {row['epoch']} of "
            f"seed {seed} in line {row.name} of {path}; remove one, or number seeds and shuffles "
            "apart"
        )
    clips = part.groupby(list(KEY))
    for column, what in (("y_true", "true class"), ("fold", "fold")):
        other = part[column] != clips[column].transform("first")
        if other.any():
            row = part[other].iloc[0]
            raise InputError(
                f"expected {_name(row)} to keep its {what}, got another in line {row.name} of "
                f"{path}; correct one"
            )
    table = part.pivot(index=list(KEY), columns="epoch", values=_GUESS)
    first = clips[["fold", "y_true"]].first().reindex(table.index)
    ended = table.notna().sum(axis=1)
    whole = table.notna().to_numpy() == (np.arange(table.shape[1]) < ended.to_numpy()[:, None])
    wrong = ~whole.all(1) | (ended != ended.groupby(first["fold"]).transform("max")).to_numpy()
    if wrong.any():
        at = int(wrong.argmax())
        fold = first["fold"].iloc[at]
        most = ended[first["fold"] == fold].max()
        raise InputError(
            f"expected each clip in every epoch of its fold, got {'/'.join(table.index[at])} in "
            f"{ended.iloc[at]} of the {most} epochs of fold {fold} (seed {seed}) in {path}; log "
            "every epoch of a fold, from the first"
        )
    return EpochRun(
        seed=int(seed),
        shuffle=int(shuffle),
        clips=tuple(table.index),
        folds=first["fold"].to_numpy(np.int64),
        truth=first["y_true"].to_numpy(np.int64),
        epochs=tuple(int(epoch) for epoch in table.columns),
        guesses=table.ffill(axis=1).to_numpy().T.astype(np.int64),
        ended=ended.to_numpy(np.int64),
        labels=labels,
    )


def _name(row: Any) -> str:
    return "/".join(row[name] for name in KEY)


# --- the audit


@dataclass(frozen=True)
class AuditRow:
    """One line of the table: what was trained on, how the epoch was chosen, what that scores."""

    labels: LabelKind  # labels, selection: of the line
    selection: Selection
    # for ``composite`` and each database ``n``, ``subjects``, ``uf1``, ``uar``: means over the
    # runs; ``uf1_ci95`` and ``uar_ci95``: 95 % when whole subjects are drawn anew, None with one
    # subject. The choice of epochs is kept in each draw
    scores: Mapping[str, Mapping[str, Any]]
    # to the last epoch, all clips: ``uf1``, ``uar``, ``uf1_ci95``, ``uar_ci95``; None for the last
    # epoch itself
    added: Mapping[str, Any] | None
    # (seed, shuffle, UF1, UAR) of each run, all clips
    by_run: tuple[tuple[int, int, float, float], ...]


@dataclass(frozen=True)
class Audit:
    rows: tuple[AuditRow, ...]  # real labels first, selections in the order of `SELECTIONS`
    # scores of the majority of each database; None where the folds do not say who was trained on
    control: Mapping[str, Mapping[str, Any]] | None
    runs: tuple[EpochRun, ...]  # what it was made from
    # (epochs,) UF1 of all clips after each epoch, for each run
    curves: tuple[NDArray[np.float64], ...]
    # (epochs,) how many subjects keep that epoch as their best, for each run
    chosen: tuple[NDArray[np.int64], ...]
    notes: tuple[str, ...]  # what a reader has to know

    def row(self, labels: LabelKind, selection: Selection) -> AuditRow | None:
        found = (r for r in self.rows if (r.labels, r.selection) == (labels, selection))
        return next(found, None)

    @property
    def shuffles(self) -> int:
        return sum(run.shuffle > 0 for run in self.runs)


def audit_runs(runs: Sequence[EpochRun], *, draws: int = 2000, seed: int = 0) -> Audit:
    """Audit runs of one model on the same clips.

    Parameters
    ----------
    runs : Sequence[EpochRun]
        any number of seeds, on true and on shuffled training labels.
    draws, seed : int
        of the bootstrap.

    Raises
    ------
    InputError
        if no run trained on true labels, there is one epoch only, or runs differ in clips, true
        classes or epochs.

    Examples
    --------
    >>> epochs = np.array([[0, 1], [1, 1]])
    >>> run = EpochRun(0, 0, (("d", "1", "c"), ("d", "2", "c")), np.array([0, 1]), np.array([0, 1]),
    ...                (1, 2), epochs, np.array([2, 2]), labels=LabelSet("ab", ("a", "b")))
    >>> [round(row.scores["composite"]["uf1"], 2) for row in audit_runs([run], draws=10).rows]
    [0.33, 1.0, 1.0, 1.0]
    """
    ordered = sorted(runs, key=lambda run: (run.shuffle, run.seed))
    _check(ordered)
    rows: list[AuditRow] = []
    for labels in KINDS:
        same = [run for run in ordered if run.trained_on == labels]
        if same:
            rows += _rows(labels, same, draws, seed)
    return Audit(
        rows=tuple(rows),
        control=_control(ordered[0], draws, seed),
        runs=tuple(ordered),
        curves=tuple(run.curve() for run in ordered),
        chosen=tuple(_best_of_subjects(run) for run in ordered),
        notes=tuple(_notes(ordered)),
    )


def stopped_epoch(right: NDArray[np.bool_], patience: int = PATIENCE) -> int:
    """The epoch that early stopping keeps when it watches the test part; as `best_epoch`."""
    hits = right.sum(1)
    best = 0
    for epoch, value in enumerate(hits.tolist()):
        if value > hits[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def chosen_epochs(run: EpochRun, selection: Selection) -> NDArray[np.int64]:
    """(n,) the place in ``run.epochs`` of the epoch that answers for each clip."""
    count = len(run.clips)
    if selection in ("last", "overall"):
        place = len(run.epochs) - 1 if selection == "last" else int(run.curve().argmax())
        return np.full(count, place, np.int64)
    pick = best_epoch if selection == "subject" else stopped_epoch
    chosen = np.empty(count, np.int64)
    right, who = run.right, subject_numbers(run.subjects)
    for subject in range(int(who.max()) + 1):
        chosen[who == subject] = pick(right[:, who == subject])
    return chosen


def _rows(labels: LabelKind, runs: Sequence[EpochRun], draws: int, seed: int) -> Iterator[AuditRow]:
    home = dict(zip(runs[0].subjects, (dataset for dataset, _, _ in runs[0].clips), strict=True))
    home_of = np.array(list(home.values()))
    scopes = {COMPOSITE: np.arange(len(home))}
    scopes |= {name: np.flatnonzero(home_of == name) for name in databases_of(set(home.values()))}
    tables = {
        selection: np.stack([run.tables(chosen_epochs(run, selection)) for run in runs])
        for selection in SELECTIONS
    }
    honest = mean_scores(tables["last"], draws, seed)
    for selection, mine in tables.items():
        scores = {}
        for scope, members in scopes.items():
            part = mine[:, members]
            counts = {"n": int(part[0].sum()), "subjects": len(members)}
            scores[scope] = counts | score_entries(*mean_scores(part, draws, seed))
        more = (a - b for a, b in zip(mean_scores(mine, draws, seed), honest, strict=True))
        by_run = zip(runs, *scores_of_tables(mine.sum(1)), strict=True)
        yield AuditRow(
            labels=labels,
            selection=selection,
            scores=scores,
            added=None if selection == "last" else score_entries(*more),
            by_run=tuple((r.seed, r.shuffle, float(f1), float(recall)) for r, f1, recall in by_run),
        )


def _best_of_subjects(run: EpochRun) -> NDArray[np.int64]:
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
        label_set=run.labels,
    )
    splits = [(np.flatnonzero(run.folds != k), np.flatnonzero(run.folds == k)) for k in numbers]
    return metrics_of(majority_per_database(samples, splits), draws=draws, seed=seed)


def _check(runs: Sequence[EpochRun]) -> None:
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
            gone = "/".join(sorted(set(first.clips) ^ set(run.clips))[0])
            wrong = f"the same clips in every run, got {gone} in only one of seed {first.seed}"
        elif not np.array_equal(run.truth, first.truth):
            other = "/".join(first.clips[int((run.truth != first.truth).argmax())])
            wrong = (
                f"one true class a clip, shuffled or not, got two for {other} in seed {first.seed}"
            )
        elif run.epochs != first.epochs:
            counts = f"{len(run.epochs)} and {len(first.epochs)}"
            wrong = f"the same epochs in every run, got {counts} in seed {first.seed}"
        else:
            continue
        raise InputError(f"expected {wrong} and {name}; audit complete runs of one data set")


def _notes(runs: Sequence[EpochRun]) -> Iterator[str]:
    first = runs[0]
    if len(np.unique(first.folds)) < 2:
        yield "There is one fold only: who was trained on is not known, and no control is given."
    apart = pd.Series(first.folds).groupby(list(first.subjects), sort=False).nunique()
    split = apart.index[apart > 1]
    if len(split):
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
