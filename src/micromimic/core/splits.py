"""Who is trained on and who is tested: pure functions from names to row numbers.

Each yields ``(train, test)``, two arrays of row numbers in ascending order; together the folds test
every row once, and no group is on both sides of a fold. Pass subjects qualified by their database
(``lab/006``), or two people who share a number become one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError

Names = Sequence[str] | NDArray[np.str_]
Rows = NDArray[np.int64]
Split = tuple[Rows, Rows]

_DRAWS: Final = 25  # of held-out subjects, from which one with all classes is taken


def loso(subjects: Names) -> Iterator[Split]:
    """Leave one subject out: one fold a subject, in the order of their sorted names.

    Parameters
    ----------
    subjects
        (n,) whose each row is.

    Yields
    ------
    Split
        Rows to train on and rows to test, ascending.

    Raises
    ------
    InputError
        There is only one subject.

    Examples
    --------
    >>> [(train.tolist(), test.tolist()) for train, test in loso(["b", "a", "b"])]
    [([0, 2], [1]), ([1], [0, 2])]
    """
    return _leave_out(_expect_two(subjects, "subjects", "leave one out"))


def hde(datasets: Names) -> Iterator[Split]:
    """Hold one database out: train on the others; one fold a database, by sorted name.

    Parameters
    ----------
    datasets
        (n,) whose each row is.

    Yields
    ------
    Split
        Rows to train on and rows to test, ascending.

    Raises
    ------
    InputError
        There is only one database.

    Examples
    --------
    >>> [test.tolist() for _, test in hde(["b", "a", "b"])]
    [[1], [0, 2]]
    """
    return _leave_out(_expect_two(datasets, "databases", "hold one out"))


def grouped(subjects: Names, groups: int, seed: int = 0) -> Iterator[Split]:
    """Leave groups of whole subjects out, the groups as equal in clips as whole subjects allow.

    Subjects are shuffled, then the largest first go to the lightest group: no two groups differ by
    more clips than the largest subject has. Folds come in the order of the groups.

    Parameters
    ----------
    subjects
        (n,) whose each row is.
    groups
        How many, at least 2.
    seed
        Of the shuffle.

    Yields
    ------
    Split
        Rows to train on and rows to test, ascending.

    Raises
    ------
    ValueError
        ``groups`` is below 2.
    InputError
        There are fewer subjects than groups.

    Examples
    --------
    >>> [test.tolist() for _, test in grouped(["a", "a", "b", "c"], 2)]
    [[0, 1], [2, 3]]
    """
    if groups < 2:
        raise ValueError(f"expected at least 2 groups, got {groups}")
    names, place = _groups(subjects)
    if len(names) < groups:
        raise InputError(
            f"expected at least {groups} subjects for {groups} groups, got {len(names)}; "
            "ask for fewer groups"
        )
    sizes = np.bincount(place)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    load = np.zeros(groups, np.int64)
    group_of = np.zeros(len(names), np.int64)
    for who in order:
        group_of[who] = lightest = int(load.argmin())
        load[lightest] += sizes[who]
    return _leave_out(group_of[place])


def hold_out_subjects(
    subjects: Names, targets: Names | NDArray[np.integer], share: float = 0.2, seed: int = 0
) -> Split:
    """Hold whole subjects out of a training part, to stop by.

    Every class stays among the rows to train on, wherever some subject can be spared; of 25 draws
    the first is taken that shows most classes among the held-out rows, too.

    Parameters
    ----------
    subjects, targets
        (n,) whose each row is; its class, by number or name.
    share
        Of the subjects, rounded, at least one; fewer where classes would be lost.
    seed
        Of the draws.

    Returns
    -------
    Split
        Rows to train on, rows held out.

    Raises
    ------
    ValueError
        ``share`` is not between 0 and 1, or lengths differ.
    InputError
        There is one subject or one class only, or only one class would be left.

    Examples
    --------
    >>> train, held = hold_out_subjects(["a", "b", "c", "c"], [0, 1, 0, 1], share=0.3)
    >>> len(train) + len(held), len(set(np.array([0, 1, 0, 1])[train].tolist()))
    (4, 2)
    """
    if not 0 < share < 1:
        raise ValueError(f"expected a share between 0 and 1, got {share}")
    check_learnable(subjects, targets)
    names, place = _groups(subjects)
    classes, label = np.unique(np.asarray(targets), return_inverse=True)
    tables = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(tables, (place, label), 1)
    wanted = min(max(1, round(share * len(names))), len(names) - 1)
    rng = np.random.default_rng(seed)
    draws = [_spare(tables, rng.permutation(len(names)), wanted) for _ in range(_DRAWS)]
    chosen = max(draws, key=lambda held: ((tables[held].sum(0) > 0).sum(), len(held)))
    if (tables.sum(0) > tables[chosen].sum(0)).sum() < 2:
        raise InputError(
            "expected two classes left after holding a subject out, got one; train without early "
            "stopping, or with more subjects"
        )
    held = np.isin(place, chosen)
    return np.flatnonzero(~held), np.flatnonzero(held)


def check_learnable(subjects: Names, targets: Names | NDArray[np.integer]) -> None:
    """Say before any training starts that there is nothing to learn or nobody to test.

    >>> check_learnable(["a", "b"], ["x", "x"])
    Traceback (most recent call last):
    ...
    micromimic.core.errors.InputError: expected clips of two classes or more, got only x; ...
    """
    if len(subjects) != len(targets):
        raise ValueError(f"expected one class a row, got {len(targets)} for {len(subjects)}")
    _expect_two(subjects, "subjects", "train on some and test on others")
    classes = sorted({str(label) for label in targets})
    if len(classes) < 2:
        raise InputError(
            f"expected clips of two classes or more, got only {classes[0]}; "
            "add clips of another class"
        )


def _groups(names: Names) -> tuple[list[str], Rows]:
    """Sorted names, and the number of each row's name among them."""
    if not len(names):
        raise InputError("expected clips, got none; list some in the manifest")
    unique, place = np.unique(np.asarray(names, dtype=np.str_), return_inverse=True)
    return unique.tolist(), place.astype(np.int64)


def _expect_two(rows: Names, what: str, purpose: str) -> Rows:
    names, place = _groups(rows)
    if len(names) < 2:
        raise InputError(
            f"expected two {what} or more to {purpose}, got only {names[0]}; "
            f"add clips of other {what}"
        )
    return place


def _leave_out(group_of: Rows) -> Iterator[Split]:
    from sklearn.model_selection import LeaveOneGroupOut  # noqa: PLC0415 - slow to load

    for train, test in LeaveOneGroupOut().split(group_of, groups=group_of):
        yield train.astype(np.int64), test.astype(np.int64)


def _spare(tables: NDArray[np.int64], order: Rows, wanted: int) -> list[int]:
    """At least one subject, and as many as wanted, in this order, without whom every class is still
    there; the tables are (subjects, classes) counts."""
    left = tables.sum(0)
    held: list[int] = []
    for who in order.tolist():
        if len(held) < wanted and (left > tables[who]).all():
            held.append(who)
            left = left - tables[who]
    # Each subject is the only one with some class: the one who takes fewest along.
    return held or [min(order.tolist(), key=lambda who: int((left <= tables[who]).sum()))]
