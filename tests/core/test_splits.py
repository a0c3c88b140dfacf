"""Splits: nobody on both sides, every clip tested once, whatever the names."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from micromimic.core.errors import InputError
from micromimic.core.splits import (
    Split,
    check_learnable,
    grouped,
    hde,
    hold_out_subjects,
    loso,
)

NAMES = st.lists(st.integers(0, 9).map(lambda k: f"samm/{k:03d}"), min_size=2, max_size=60).filter(
    lambda names: len(set(names)) > 1
)


def expect_partition(splits: list[Split], names: list[str]) -> None:
    who = np.array(names)
    tested = np.concatenate([test for _, test in splits])
    assert sorted(tested.tolist()) == list(range(len(names)))
    for train, test in splits:
        assert train.dtype == test.dtype == np.int64
        assert len(test)
        assert len(train)
        assert not set(who[train]) & set(who[test])
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(len(names)))
        assert (np.diff(train) > 0).all()
        assert (np.diff(test) > 0).all()


@settings(deadline=None)
@given(NAMES)
def test_loso_tests_one_whole_subject_a_fold_by_name(names: list[str]) -> None:
    splits = list(loso(names))
    expect_partition(splits, names)
    assert [names[test[0]] for _, test in splits] == sorted(set(names))


@settings(deadline=None)
@given(NAMES)
def test_hde_tests_one_whole_database_a_fold(names: list[str]) -> None:
    expect_partition(list(hde(names)), names)
    assert len(list(hde(names))) == len(set(names))


@settings(deadline=None)
@given(NAMES, st.integers(2, 6), st.integers(0, 5))
def test_groups_are_whole_subjects_and_balanced_in_clips(
    names: list[str], groups: int, seed: int
) -> None:
    if len(set(names)) < groups:
        with pytest.raises(InputError, match="fewer groups"):
            grouped(names, groups, seed)
        return
    splits = list(grouped(names, groups, seed))
    expect_partition(splits, names)
    assert len(splits) == groups
    sizes = [len(test) for _, test in splits]
    assert max(sizes) - min(sizes) <= max(names.count(name) for name in names)


def test_groups_depend_on_the_seed_alone() -> None:
    names = [f"smic/s{k % 16:02d}" for k in range(164)]

    def shapes(seed: int) -> list[list[int]]:
        return [test.tolist() for _, test in grouped(names, 8, seed)]

    assert shapes(3) == shapes(3)
    assert shapes(3) != shapes(4)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2)), min_size=3, max_size=60),
    st.floats(0.05, 0.9),
    st.integers(0, 3),
)
def test_held_out_subjects_are_whole_and_leave_classes(
    rows: list[tuple[int, int]], share: float, seed: int
) -> None:
    names = [f"s{who}" for who, _ in rows]
    targets = np.array([label for _, label in rows])
    if len(set(names)) < 2 or len(set(targets.tolist())) < 2:
        with pytest.raises(InputError):
            hold_out_subjects(names, targets, share, seed)
        return
    try:
        train, held = hold_out_subjects(names, targets, share, seed)
    except InputError as error:
        assert "two classes left" in str(error)  # then no subject can be spared, either
        spared = [set(targets[np.array(names) != name].tolist()) for name in set(names)]
        assert not any(left == set(targets.tolist()) for left in spared)
        return
    expect_partition([(train, held), (held, train)], names)
    people, out = len(set(names)), len({names[k] for k in held})
    assert 1 <= out <= max(1, round(share * people))
    classes = set(targets.tolist())
    sparable = any(set(targets[np.array(names) != name].tolist()) == classes for name in set(names))
    assert (set(targets[train].tolist()) == classes) == sparable


def test_holding_out_shows_all_classes_on_both_sides_where_it_can() -> None:
    rng = np.random.default_rng(0)
    names = [f"s{k}" for k in range(20) for _ in range(6)]
    targets = rng.integers(3, size=len(names))
    targets[targets == 2] = 0
    for who in (3, 11, 17):  # a rare class, with three of twenty people
        targets[who * 6] = 2
    for seed in range(5):
        train, held = hold_out_subjects(names, targets, 0.2, seed)
        assert set(targets[train].tolist()) == set(targets[held].tolist()) == {0, 1, 2}
        assert len({names[k] for k in held}) == 4


def test_holding_out_takes_class_names_too_and_repeats() -> None:
    names, labels = ["a", "b", "c", "d"] * 5, ["negative", "surprise"] * 10
    labels[0], labels[2] = "surprise", "surprise"
    first = hold_out_subjects(names, labels, 0.3, 7)
    again = hold_out_subjects(names, labels, 0.3, 7)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("split", [loso, hde])
def test_one_name_only_is_told_before_the_first_fold(
    split: Callable[[list[str]], Iterator[Split]],
) -> None:
    with pytest.raises(InputError, match=r"expected two .* got only smic; add clips"):
        split(["smic", "smic"])
    with pytest.raises(InputError, match="got none"):
        split([])


@pytest.mark.parametrize(
    ("subjects", "targets", "error", "message"),
    [
        (["a", "a"], [0, 1], InputError, "two subjects or more"),
        (["a", "b"], ["positive", "positive"], InputError, "got only positive"),
        (["a", "b"], [1], ValueError, "one class a row"),
        ([], [], InputError, "expected clips, got none"),
    ],
)
def test_nothing_to_learn_is_told(
    subjects: list[str], targets: list[str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check_learnable(subjects, targets)


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="at least 2 groups"):
        grouped(["a", "b"], 1)
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            hold_out_subjects(["a", "b"], [0, 1], share)
    with pytest.raises(InputError, match="without early stopping"):
        hold_out_subjects(["a", "b"], [0, 1])
