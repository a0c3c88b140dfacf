"""Rates by condition: people as units, exchanges within people, against slow counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from micromimic.analysis.conditions import Counted, rates_by_condition

scipy_stats = pytest.importorskip("scipy.stats")


def study(effect=1.0, people=8, seed=1, both=True):
    rng = np.random.default_rng(seed)
    rows = []
    for k in range(people):
        conditions = ("calm", "stress") if both else (("calm", "stress")[k % 2],)
        for condition in conditions:
            for _ in range(2):
                seconds = float(rng.uniform(60, 300))
                mean = (1 + k + effect * (condition == "stress")) * seconds / 60
                rows.append(Counted(f"P{k:02}", condition, int(rng.poisson(mean)), seconds))
    return rows


def rate_of(rows, who, condition):
    own = [r for r in rows if (r.subject, r.condition) == (who, condition)]
    return 60 * sum(r.count for r in own) / sum(r.seconds for r in own)


def test_people_are_averaged_and_their_recordings_added():
    rows = study()
    found = rates_by_condition(rows)
    people = sorted({r.subject for r in rows})
    for row in found.conditions:
        rates = [rate_of(rows, who, row.condition) for who in people]
        assert row.rate == pytest.approx(np.mean(rates))
        assert (row.subjects, row.recordings) == (8, 16)
        assert row.count == sum(r.count for r in rows if r.condition == row.condition)
        assert row.low < row.rate < row.high
        assert row.low > min(rates) and row.high < max(rates)
    # one person who is filmed for hours does not become the study
    longer = [*rows, *[Counted("P00", "calm", 1, 36000.0)] * 5]
    moved = rates_by_condition(longer).conditions[0].rate - found.conditions[0].rate
    assert abs(moved) <= rate_of(rows, "P00", "calm") / 8


def test_p_is_that_of_every_exchange_within_people():
    rows = study(effect=0.8)
    people = sorted({r.subject for r in rows})
    apart = np.array([rate_of(rows, p, "calm") - rate_of(rows, p, "stress") for p in people])
    every = [abs(np.dot(s, apart)) for s in itertools.product((1, -1), repeat=len(apart))]
    (compared,) = rates_by_condition(rows).comparisons
    assert compared.p == pytest.approx(np.mean(np.array(every) >= abs(apart.sum()) - 1e-9))
    assert compared.difference == pytest.approx(apart.mean())
    assert (compared.design, compared.subjects, compared.left_out) == ("within", 8, 0)
    reference = scipy_stats.permutation_test(
        (apart,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert compared.p == pytest.approx(reference.pvalue)
    assert compared.p_least == 2 / 256


def test_people_with_one_condition_each_are_exchanged_between_them():
    rows = study(effect=3.0, both=False)
    who = {c: sorted({r.subject for r in rows if r.condition == c}) for c in ("calm", "stress")}
    sides = [[rate_of(rows, p, condition) for p in people] for condition, people in who.items()]
    (compared,) = rates_by_condition(rows).comparisons
    reference = scipy_stats.permutation_test(
        sides, lambda a, b: np.mean(a) - np.mean(b), n_resamples=np.inf, vectorized=False
    )
    assert compared.p == pytest.approx(reference.pvalue)
    assert (compared.design, compared.subjects) == ("between", 8)
    assert compared.p_least == pytest.approx(2 / 70)


def test_in_a_mixed_design_those_with_both_are_compared():
    rows = [*study(people=6), Counted("P90", "calm", 50, 60.0), Counted("P91", "stress", 0, 60.0)]
    found = rates_by_condition(rows)
    (compared,) = found.comparisons
    assert (compared.design, compared.subjects, compared.left_out) == ("within", 6, 2)
    assert compared.difference == rates_by_condition(study(people=6)).comparisons[0].difference
    assert [row.subjects for row in found.conditions] == [7, 7]  # rates are of everybody
    assert "left out of a comparison within" in " ".join(found.notes)


def test_many_people_are_exchanged_at_random_near_the_exact_answer():
    rows = study(effect=0.3, people=18, seed=3)
    people = sorted({r.subject for r in rows})
    apart = np.array([rate_of(rows, p, "calm") - rate_of(rows, p, "stress") for p in people])
    reference = scipy_stats.permutation_test(
        (apart,), np.mean, permutation_type="samples", n_resamples=np.inf, batch=1000
    )
    (compared,) = rates_by_condition(rows).comparisons
    assert compared.p == pytest.approx(reference.pvalue, abs=0.01)
    assert rates_by_condition(rows) == rates_by_condition(rows)


def test_no_effect_is_rarely_called_one():
    p = [rates_by_condition(study(0.0, 7, seed), draws=2).comparisons[0].p for seed in range(120)]
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.1


def test_several_conditions_are_corrected_by_holm():
    rows = [
        Counted(f"P{k}", condition, 3 * k + more, 60.0)
        for k in range(8)
        for condition, more in (("a", 0), ("b", 1), ("c", 9 + k % 2))
    ]
    found = rates_by_condition(rows)
    p = [c.p for c in found.comparisons]
    assert [(c.first, c.second) for c in found.comparisons] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert p == [2 / 256] * 3
    assert [c.p_holm for c in found.comparisons] == pytest.approx([6 / 256] * 3)


def test_few_people_give_no_interval_and_are_said_to_be_few():
    found = rates_by_condition(study(people=3))
    assert {(row.low, row.high) for row in found.conditions} == {(None, None)}
    assert found.comparisons[0].low is None and found.comparisons[0].p_least == 0.25
    assert "Fewer than 5 subjects give no interval." in found.notes
    assert "could not give p below .05" in " ".join(found.notes)


def test_what_cannot_be_counted_is_left_out_and_said():
    rows = [
        *study(people=5),
        Counted("", "calm", 9, 60.0),
        Counted("P01", "", 9, 60.0),
        Counted("P01", "calm", 9, 0.0),
    ]
    found = rates_by_condition(rows)
    assert found.conditions == rates_by_condition(study(people=5)).conditions
    assert "3 recordings are left out: no subject, no condition" in " ".join(found.notes)
    assert rates_by_condition([]).conditions == rates_by_condition([]).comparisons == ()
    one = rates_by_condition([Counted("P", "a", 1, 60.0), Counted("P", "b", 2, 60.0)])
    assert (one.comparisons[0].difference, one.comparisons[0].p) == (None, None)
