"""Scores against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from micromimic.core.labels import THREE
from micromimic.evaluation.metrics import (
    confusion,
    expected_calibration_error,
    scores_of_tables,
    uar,
    uf1,
)
from micromimic.evaluation.resampling import subject_bootstrap

NAMES = np.asarray(THREE.names)


def draw(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.6, 0.25, 0.15])
    guess = np.where(rng.random(n) < 0.6, truth, rng.integers(3, size=n))
    return NAMES[truth], NAMES[guess]


@pytest.mark.parametrize("seed", range(5))
def test_scores_agree_with_scikit_learn(seed: int) -> None:
    import sklearn.metrics as sk

    truth, guess = draw(seed)
    names = list(THREE.names)
    assert (confusion(truth, guess) == sk.confusion_matrix(truth, guess, labels=names)).all()
    assert uf1(truth, guess) == pytest.approx(sk.f1_score(truth, guess, average="macro"))
    assert uar(truth, guess) == pytest.approx(sk.balanced_accuracy_score(truth, guess))


def test_the_articles_confusion_matrix_gives_its_scores() -> None:
    """The published log of the method recomputes to UF1 .652 and UAR .651."""
    table = [[192, 30, 24], [33, 65, 11], [25, 9, 46]]
    truth = [THREE.names[i] for i in range(3) for j in range(3) for _ in range(table[i][j])]
    guess = [THREE.names[j] for i in range(3) for j in range(3) for _ in range(table[i][j])]
    assert uf1(truth, guess) == pytest.approx(0.652, abs=5e-4)
    assert uar(truth, guess) == pytest.approx(0.651, abs=5e-4)


@pytest.mark.parametrize("count", range(2, 8))
@pytest.mark.parametrize("seed", range(4))
def test_labels_are_scikit_learns_with_classes_that_nobody_has(count: int, seed: int) -> None:
    import sklearn.metrics as sk

    rng = np.random.default_rng([count, seed])
    names = [f"class {k}" for k in rng.permutation(count)]
    there = names[: max(1, count - seed)]  # with each seed one class more is absent
    truth, guess = rng.choice(there, 40), rng.choice(names, 40)
    if seed % 2:
        guess = rng.choice(there, 40)  # neither in the truth nor predicted
    means = {"labels": names, "average": "macro", "zero_division": 0}
    assert uf1(truth, guess, names) == sk.f1_score(truth, guess, **means)
    assert uar(truth, guess, names) == sk.recall_score(truth, guess, **means)
    table = confusion(truth, guess, names)
    assert (table == sk.confusion_matrix(truth, guess, labels=names)).all()
    assert uf1(truth, guess) == sk.f1_score(truth, guess, average="macro", zero_division=0)
    f1, recall = scores_of_tables(table[None])
    assert f1[0] == pytest.approx(uf1(truth, guess, names))
    assert recall[0] == pytest.approx(uar(truth, guess, names))
    # an interval is over the same classes as its score
    low, high = subject_bootstrap(truth, guess, ["one"] * 40, uf1, labels=names, draws=5)
    assert low == high == pytest.approx(uf1(truth, guess, names))


def test_a_class_that_nobody_has_counts_nothing() -> None:
    """MEGC's three classes where the clips have two of them."""
    truth, guess = ["negative", "negative", "positive"], ["negative", "negative", "negative"]
    assert uf1(truth, guess, THREE.names) == pytest.approx(0.8 / 3)
    assert uf1(truth, guess) == pytest.approx(0.8 / 2)
    assert uar(truth, truth, THREE.names) == pytest.approx(2 / 3)


def test_a_resample_without_a_class_does_not_count_it() -> None:
    """The only person of a class is drawn in some resamples, and in others is not."""
    truth = ["negative"] * 4 + ["positive"] * 2
    low, high = subject_bootstrap(truth, truth, [0, 1, 2, 3, 4, 4], uf1, labels=THREE.names)
    assert (low, high) == (pytest.approx(1 / 2), pytest.approx(2 / 3))
    assert subject_bootstrap(truth, truth, [0, 1, 2, 3, 4, 4], uf1) == (1.0, 1.0)


def test_scores_are_pooled_over_folds_not_averaged() -> None:
    folds = [(["negative"], ["negative"]), (["positive", "negative"], ["negative", "negative"])]
    truth = [label for labels, _ in folds for label in labels]
    guess = [label for _, labels in folds for label in labels]
    mean_of_folds = np.mean([uf1(t, g) for t, g in folds])
    assert uf1(truth, guess) == pytest.approx((2 * 2 / 5 + 0) / 2)
    assert abs(uf1(truth, guess) - mean_of_folds) > 0.1


def test_order_of_clips_does_not_matter() -> None:
    truth, guess = draw(1)
    order = np.random.default_rng(0).permutation(len(truth))
    assert uf1(truth[order], guess[order]) == uf1(truth, guess)


def test_bootstrap_draws_subjects_not_clips() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(20), 20)
    truth = NAMES[rng.integers(3, size=len(people))]
    wrong = NAMES[(confusion_index(truth) + 1) % 3]
    good = rng.random(20) < 0.5
    guess = np.where(good[people], truth, wrong)
    by_subject = subject_bootstrap(truth, guess, people.tolist(), draws=400)
    by_clip = subject_bootstrap(truth, guess, list(range(len(people))), draws=400)
    assert by_subject[0] <= uf1(truth, guess) <= by_subject[1]
    assert by_subject[1] - by_subject[0] > 2 * (by_clip[1] - by_clip[0])


def confusion_index(labels: np.ndarray) -> np.ndarray:
    return np.array([THREE.names.index(label) for label in labels])


def test_bootstrap_fast_and_plain_paths_agree_and_repeat() -> None:
    truth, guess = draw(3, 60)
    people = [f"smic/s{i % 7}" for i in range(60)]
    fast = subject_bootstrap(truth, guess, people, uf1, draws=100, seed=4)

    def same_score(y_true: np.ndarray, y_pred: np.ndarray) -> float:
        return uf1(y_true, y_pred)

    plain = subject_bootstrap(truth, guess, people, same_score, draws=100, seed=4)
    assert fast == pytest.approx(plain)
    assert fast == subject_bootstrap(truth, guess, people, uf1, draws=100, seed=4)


def test_calibration_error_by_hand_and_for_a_calibrated_forecast() -> None:
    p = np.array([[0.95, 0.05, 0.0], [0.91, 0.05, 0.04], [0.2, 0.55, 0.25], [0.1, 0.2, 0.7]])
    truth = ["negative", "positive", "positive", "surprise"]
    # bins (.9, 1]: confidence .93, accuracy .5; [.5, .6): .55, 1; [.7, .8): .7, 1
    expected = 0.5 * 0.43 + 0.25 * 0.45 + 0.25 * 0.3
    assert expected_calibration_error(truth, p) == pytest.approx(expected)
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 20000)
    honest = NAMES[[rng.choice(3, p=row) for row in p]]
    assert expected_calibration_error(honest, p) < 0.015
    sharpened = p**4 / (p**4).sum(1, keepdims=True)
    assert expected_calibration_error(honest, sharpened) > 0.1


@pytest.mark.parametrize(
    ("truth", "guess", "labels", "message"),
    [
        (["negative"], [], None, "as many predictions"),
        (
            ["fear"],
            ["negative"],
            THREE.names,
            "labels among negative, positive, surprise, got fear",
        ),
        (["negative"], ["negative"], ["negative", "negative"], "each label once"),
    ],
)
def test_wrong_input_is_told(
    truth: list[str], guess: list[str], labels: list[str] | None, message: str
) -> None:
    for score in (confusion, uf1, uar):
        with pytest.raises(ValueError, match=message):
            score(truth, guess, labels)
