"""The paired test against plain enumeration, and what it says of equal and unequal runs."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE
from micromimic.evaluation import comparison
from micromimic.evaluation.comparison import Comparison, p_text
from micromimic.evaluation.metrics import Labels, confusion, uar, uf1
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.resampling import Score

from ..rows import Prediction, takes_rows

compare_runs = takes_rows(comparison.compare_runs)


def make_run(seed: int, right: float, people: int = 6, clips: int = 8) -> list[Prediction]:
    """A run that is right with this chance; the truth is the same for all seeds."""
    truth, rng = np.random.default_rng(99), np.random.default_rng(seed)
    rows = []
    for who, clip in itertools.product(range(people), range(clips)):
        label = THREE.names[truth.choice(3, p=[0.5, 0.3, 0.2])]
        guess = label if rng.random() < right else THREE.names[rng.integers(3)]
        rows.append(
            Prediction("samm", f"{who:03d}", f"c{clip}", who, seed, label, guess, (0.2, 0.3, 0.5))
        )
    return rows


def accuracy(y_true: Labels, y_pred: Labels) -> float:
    return float(np.mean(np.asarray(y_true) == np.asarray(y_pred)))


def enumerate_p(a: list[Prediction], b: list[Prediction], score: Score) -> float:
    """The slow way: every way to swap subjects, from the rows themselves."""
    truth = [row.y_true for row in a]
    people = sorted({row.who for row in a})

    def difference(swapped: set[str]) -> float:
        one = [(y if x.who in swapped else x).y_pred for x, y in zip(a, b, strict=True)]
        two = [(x if x.who in swapped else y).y_pred for x, y in zip(a, b, strict=True)]
        return score(truth, one) - score(truth, two)

    observed = abs(difference(set()))
    ways = [
        {who for who, bit in zip(people, bits, strict=True) if bit}
        for bits in itertools.product([0, 1], repeat=len(people))
    ]
    return float(np.mean([abs(difference(way)) >= observed - 1e-12 for way in ways]))


@pytest.mark.parametrize("score", [uf1, uar, accuracy])
@pytest.mark.parametrize("seed", range(4))
def test_exact_p_equals_enumeration(score: Score, seed: int) -> None:
    a, b = make_run(seed, 0.8), make_run(seed + 50, 0.5)
    found = compare_runs(a, b, score, draws=200)
    truth = [row.y_true for row in a]
    assert found.exact
    assert found.permutations in (2**5, 2**6)  # people with the same answers need no swap
    assert found.p == pytest.approx(enumerate_p(a, b, score))
    assert found.a == score(truth, [row.y_pred for row in a])
    assert found.b == score(truth, [row.y_pred for row in b])
    assert found.difference == pytest.approx(found.a - found.b)


def test_random_swaps_come_near_the_exact_p_and_are_corrected() -> None:
    a, b = make_run(1, 0.75, people=10), make_run(2, 0.6, people=10)
    exact = compare_runs(a, b, draws=1024)
    drawn = compare_runs(a, b, draws=1023)
    assert exact.exact
    assert not drawn.exact
    assert drawn.permutations == 1023
    spread = (exact.p * (1 - exact.p) / 1023) ** 0.5
    assert drawn.p == pytest.approx(exact.p, abs=4 * spread)
    count = drawn.p * 1024  # (k + 1) / (draws + 1)
    assert count == pytest.approx(round(count))
    assert count >= 1


def test_counted_and_labelled_scores_agree() -> None:
    a, b = make_run(1, 0.75, people=12), make_run(2, 0.6, people=12)

    def same(y_true: Labels, y_pred: Labels) -> float:
        return uf1(y_true, y_pred)

    fast, slow = (compare_runs(a, b, score, draws=300, seed=5) for score in (uf1, same))
    assert fast.p == slow.p
    assert fast.interval == pytest.approx(slow.interval)
    assert (fast.score, slow.score) == ("UF1", "same")


def test_interval_draws_whole_subjects_for_both_runs_together() -> None:
    a, b = make_run(1, 0.8, people=15), make_run(2, 0.5, people=15)
    found = compare_runs(a, b, uar, draws=2000)
    people = sorted({row.who for row in a})
    tables = {
        (run, who): confusion(
            [r.y_true for r in rows if r.who == who],
            [r.y_pred for r in rows if r.who == who],
            THREE.names,
        )
        for run, rows in enumerate((a, b))
        for who in people
    }

    def recall(run: int, chosen: list[str]) -> float:
        table = sum(tables[run, who] for who in chosen)
        return float(np.mean(np.diag(table) / table.sum(1)))

    rng = np.random.default_rng(0)
    plain = []
    for _ in range(2000):
        chosen = [people[k] for k in rng.integers(len(people), size=len(people))]
        plain.append(recall(0, chosen) - recall(1, chosen))
    assert found.interval == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.02)
    assert found.interval[0] < found.difference < found.interval[1]


def test_the_sign_turns_with_the_order_and_the_p_stays() -> None:
    a, b = make_run(1, 0.8, people=14), make_run(2, 0.5, people=14)
    one, other = compare_runs(a, b, draws=500), compare_runs(b, a, draws=500)
    assert one.difference == -other.difference > 0
    assert one.p == other.p
    assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]))


def test_runs_are_joined_by_clip_and_not_by_position() -> None:
    a = make_run(1, 0.8)
    shuffled = [a[k] for k in np.random.default_rng(0).permutation(len(a))]
    same = compare_runs(a, shuffled)
    assert (same.difference, same.p, same.permutations) == (0.0, 1.0, 1)
    b = make_run(2, 0.5)
    assert compare_runs(shuffled, b) == compare_runs(a, b)


def test_under_the_null_p_is_uniform() -> None:
    """Two runs as good as each other: p below .1 in one case of ten, not more."""
    p = [
        compare_runs(make_run(2 * k, 0.6, 20, 5), make_run(2 * k + 1, 0.6, 20, 5), draws=400).p
        for k in range(120)
    ]
    assert 0.02 < np.mean(np.array(p) < 0.1) < 0.2
    assert 0.35 < np.mean(p) < 0.65


def test_a_real_difference_is_seen_and_one_gifted_subject_is_not_enough() -> None:
    good, bad = make_run(1, 0.95, people=20), make_run(2, 0.3, people=20)
    assert compare_runs(good, bad, draws=2000).p < 0.005
    one = [g if g.subject == "000" else b for g, b in zip(good, bad, strict=True)]
    found = compare_runs(one, bad)
    assert found.difference > 0
    assert found.p == 1.0  # swapping one person either way is as large


def test_one_subject_has_no_interval() -> None:
    found = compare_runs(make_run(1, 0.9, people=1), make_run(2, 0.4, people=1))
    assert found.interval is None
    assert found.p == 1.0
    assert "interval" not in found.text()


def test_runs_on_other_clips_are_refused() -> None:
    a = make_run(1, 0.8)
    with pytest.raises(InputError, match=r"got 2 that the second lacks, such as samm/000/c0"):
        compare_runs(a, a[2:])
    with pytest.raises(InputError, match="got 1 that the first lacks"):
        compare_runs(a[:-1], a)
    other = "negative" if a[0].y_true != "negative" else "positive"
    with pytest.raises(InputError, match="one true class a clip"):
        compare_runs(a, [replace(a[0], y_true=other), *a[1:]])
    with pytest.raises(InputError, match="each clip once"):
        compare_runs(a, [*a, a[0]])
    five = Predictions.of(
        *zip(*(row.key for row in a), strict=True),
        [row.y_true for row in a],
        np.full((len(a), 4), 0.25),
        labels=[*THREE.names, "fear"],
    )
    with pytest.raises(InputError, match="one set of classes in both runs"):
        compare_runs(a, five)
    with pytest.raises(ValueError, match="at least one draw"):
        compare_runs(a, a, draws=0)


def test_the_text_says_what_is_noise() -> None:
    found = Comparison("UF1", 0.70, 0.74, -0.04, (-0.1, 0.02), 0.0004, True, 64, 312, 45)
    text = found.text("mine", "theirs")
    assert text == (
        "mine .700 and theirs .740 UF1 on 312 clips of 45 subjects: difference -.040 "
        "(95 % interval -.100 to +.020), p < .001 (all 64 swaps of whole subjects). As a rule of "
        "thumb, a difference under .03 on 442 clips is noise, and fewer clips tell less."
    )
    assert p_text(1.0) == "p = 1.00"
