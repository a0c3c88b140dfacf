from __future__ import annotations

import itertools
import json
from dataclasses import asdict
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from micromimic.core.labels import THREE
from micromimic.core.types import Interval
from micromimic.evaluation.agreement import (
    REJECTED,
    Agreement,
    CodedEvent,
    binomial_interval,
    event_agreement,
    kappas,
    resampled_interval,
)
from micromimic.evaluation.spotting import match_events

CATEGORIES = (REJECTED, *THREE.names)

codings = st.lists(
    st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(CATEGORIES)), min_size=1, max_size=40
)


def slow_kappa(a, b):
    """Cohen 1960, by counting."""
    n = len(a)
    agreed = sum(x == y for x, y in zip(a, b, strict=True)) / n
    chance = sum((a.count(c) / n) * (b.count(c) / n) for c in {*a, *b})
    return None if chance == 1 else (agreed - chance) / (1 - chance)


def numbered(a, b):
    return [np.array([CATEGORIES.index(x) for x in side], np.int64) for side in (a, b)]


def cohen_kappa(a, b):
    table = np.zeros((1, len(CATEGORIES), len(CATEGORIES)), np.int64)
    np.add.at(table[0], tuple(numbered(a, b)), 1)
    (value,) = kappas(table)
    return None if np.isnan(value) else value


def kappa_interval(a, b, **drawn):
    return resampled_interval(kappas, *numbered(a, b), len(CATEGORIES), **drawn)


def event(key, start, label="negative", status="accepted", length=0.2, added=False):
    interval = Interval(start, start + length / 2, start + length)
    return CodedEvent(key, interval, label, status, added)


# ---- kappa ----------------------------------------------------------------------------------


@settings(deadline=None)
@given(codings)
def test_kappa_is_cohens(pairs):
    a, b = (list(side) for side in zip(*pairs, strict=True))
    expected = slow_kappa(a, b)
    found = cohen_kappa(a, b)
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))
    assert cohen_kappa(b, a) == found


@settings(max_examples=60, deadline=None)
@given(codings)
def test_kappa_is_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    a, b = (list(side) for side in zip(*pairs, strict=True))
    if len({*a, *b}) < 2:
        assert cohen_kappa(a, b) is None  # scikit-learn warns and says NaN
        return
    assert cohen_kappa(a, b) == pytest.approx(metrics.cohen_kappa_score(a, b), abs=1e-12)


def test_kappa_of_a_table_by_hand():
    # 35 of 50 agree, 25 by chance: (.7 - .5) / (1 - .5).
    a = ["rejected"] * 25 + ["negative"] * 25
    b = ["rejected"] * 20 + ["negative"] * 5 + ["rejected"] * 10 + ["negative"] * 15
    assert cohen_kappa(a, b) == pytest.approx(0.4)


def test_kappa_without_events_or_with_one_category_is_undefined():
    assert cohen_kappa([], []) is None
    assert cohen_kappa(["surprise"] * 9, ["surprise"] * 9) is None
    assert cohen_kappa(["surprise"], ["negative"]) == 0.0


@pytest.mark.parametrize("seed", [0, 5])
def test_the_interval_is_that_of_resampled_events(seed):
    rng = np.random.default_rng(seed)
    a = rng.choice(CATEGORIES, 25).tolist()
    b = [x if rng.random() < 0.7 else str(rng.choice(CATEGORIES)) for x in a]
    picks = np.random.default_rng(seed).integers(25, size=(400, 25))
    values = [slow_kappa([a[k] for k in row], [b[k] for k in row]) for row in picks]
    low, high = np.quantile([v for v in values if v is not None], [0.025, 0.975])
    found = kappa_interval(a, b, resamples=400, seed=seed)
    assert found == pytest.approx((low, high), abs=1e-12)
    assert low < cohen_kappa(a, b) < high


def test_the_interval_is_near_that_of_every_possible_resample():
    a = ["rejected", "rejected", "negative", "positive", "positive", "negative"]
    b = ["rejected", "negative", "negative", "positive", "positive", "positive"]
    every = []
    for row in itertools.product(range(6), repeat=6):
        value = slow_kappa([a[k] for k in row], [b[k] for k in row])
        every += [] if value is None else [value]
    low, high = np.quantile(every, [0.025, 0.975])
    found = kappa_interval(a, b, resamples=20_000, seed=1)
    assert found == pytest.approx((low, high), abs=0.06)


def test_no_interval_where_resampling_cannot_tell():
    same = ["negative", "positive", "rejected", "rejected"]
    assert kappa_interval(same, same) is None  # would claim certainty: 1 to 1
    assert kappa_interval(["negative"], ["positive"]) is None
    assert kappa_interval([], []) is None
    rare = ["rejected"] * 20
    assert kappa_interval([*rare, "negative"], [*rare, "positive"]) is None  # undefined in a third


# ---- proportions ----------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n"), [(0, 4), (4, 4), (1, 1), (3, 10), (17, 40)])
def test_binomial_interval_inverts_the_tails(k, n):
    low, high = binomial_interval(k, n)

    def at_least(p):
        return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))

    def at_most(p):
        return sum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k + 1))

    assert low == 0.0 if k == 0 else at_least(low) == pytest.approx(0.025, abs=1e-9)
    assert high == 1.0 if k == n else at_most(high) == pytest.approx(0.025, abs=1e-9)


@pytest.mark.parametrize(("k", "n"), [(-1, 4), (5, 4), (0, 0)])
def test_binomial_interval_refuses_what_cannot_be(k, n):
    with pytest.raises(ValueError, match="successes"):
        binomial_interval(k, n)


# ---- two coders -----------------------------------------------------------------------------


def test_two_coders_of_one_video():
    a = [
        event("m0", 1.0, "negative"),
        event("m1", 3.0, "positive"),
        event("m2", 5.0, "surprise", "rejected"),
        event("m3", 7.0, "surprise", "pending"),
        event("kim c4", 9.0, "positive", added=True),
    ]
    b = [
        event("m0", 1.05, "negative"),  # moved by a quarter: IoU 0.6
        event("m1", 3.0, "negative"),
        event("m2", 5.0, "surprise", "rejected"),
        event("m3", 7.0, "surprise", "rejected"),
        event("lee c9", 9.01, "positive", added=True),
        event("lee c10", 20.0, "positive", added=True),
    ]
    found = event_agreement(a, b)
    assert (found.n, found.undecided) == (3, 1)
    said = ["negative", "positive", "rejected"], ["negative", "negative", "rejected"]
    assert found.kappa == pytest.approx(slow_kappa(*said))
    assert (found.kappa_low, found.kappa_high) == pytest.approx(kappa_interval(*said))
    assert found.observed == pytest.approx(2 / 3)
    assert (found.observed_low, found.observed_high) == binomial_interval(2, 3)
    table = {
        (CATEGORIES[i], CATEGORIES[j]): n
        for i, row in enumerate(found.confusion)
        for j, n in enumerate(row)
        if n
    }
    assert table == {
        ("negative", "negative"): 1,
        ("positive", "negative"): 1,
        ("rejected", "rejected"): 1,
    }
    assert (found.events_first, found.events_second, found.matched) == (3, 4, 3)
    assert (found.precision, found.recall) == (3 / 4, 1.0)
    assert found.f1 == pytest.approx(6 / 7)
    assert (found.same_label, found.label_agreement) == (2, pytest.approx(2 / 3))
    assert "3 decisions in common tell little" in found.note
    assert "1 candidate is left out" in found.note


spans = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.integers(2, 12),
        st.sampled_from(THREE.names),
        st.sampled_from(["pending", "accepted", "rejected"]),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(spans, spans)
def test_f1_is_that_of_matched_events(first, second):
    a, b = (
        [
            event(f"{who}{k}", start / 10, label, status, length / 10, added=True)
            for k, (start, length, label, status) in enumerate(rows)
        ]
        for who, rows in (("a", first), ("b", second))
    )
    found = event_agreement(a, b)
    held = [[e for e in events if e.status == "accepted"] for events in (a, b)]
    score = match_events(
        [e.interval for e in held[0]], [e.interval for e in held[1]], duration_s=60.0, fps=200.0
    )
    for mine, theirs in (
        (found.precision, score.precision),
        (found.recall, score.recall),
        (found.f1, score.f1),
    ):
        assert (mine is None and np.isnan(theirs)) or mine == pytest.approx(theirs)
    assert found.matched == len(score.pairs)
    assert (found.n, found.undecided, found.kappa) == (0, 0, None)  # nothing of the machine's
    back = event_agreement(b, a)
    assert (back.precision, back.recall, back.f1) == (found.recall, found.precision, found.f1)


def test_no_events_at_all():
    found = event_agreement([], [])
    assert found.n == found.matched == found.undecided == 0
    assert {found.kappa, found.kappa_low, found.observed, found.f1, found.precision} == {None}
    assert sum(map(sum, found.confusion)) == 0
    assert "No candidate has been decided by both" in found.note
    assert "no F1" in found.note


def test_one_coder_has_decided_nothing():
    a = [event("m0", 1.0), event("m1", 3.0, status="rejected")]
    b = [event("m0", 1.0, status="pending"), event("m1", 3.0, status="pending")]
    found = event_agreement(a, b)
    assert (found.n, found.undecided, found.kappa) == (0, 2, None)
    assert (found.events_first, found.events_second) == (1, 0)
    assert (found.precision, found.recall, found.f1) == (None, 0.0, 0.0)
    assert "2 candidates are left out" in found.note


def test_all_in_one_category_is_said_to_be_undefined():
    both = [event("m0", 1.0, status="rejected"), event("m1", 3.0, "positive", "rejected")]
    found = event_agreement(both, both)
    assert (found.n, found.kappa, found.observed) == (2, None, 1.0)
    assert found.observed_low == pytest.approx(0.1581, abs=1e-4)
    assert "Both say rejected to every candidate: kappa is undefined." in found.note


def test_full_agreement_claims_no_certainty():
    both = [event("m0", 1.0), event("m1", 3.0, "positive")]
    found = event_agreement(both, both)
    assert found.kappa == 1.0
    assert (found.kappa_low, found.kappa_high) == (None, None)
    assert "gives no interval for kappa" in found.note


def test_it_is_plain_json_and_the_same_each_time():
    rng = np.random.default_rng(3)
    coders = [
        [
            event(
                f"m{k}", k, str(rng.choice(THREE.names)), str(rng.choice(["accepted", "rejected"]))
            )
            for k in range(12)
        ]
        for _ in range(2)
    ]
    found = event_agreement(*coders)
    assert isinstance(found, Agreement)
    assert event_agreement(*coders) == found
    text = json.dumps(asdict(found), allow_nan=False)
    assert json.loads(text)["kappa"] == found.kappa


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="key once"):
        event_agreement([event("m0", 1.0), event("m0", 2.0)], [])
    with pytest.raises(ValueError, match="an overlap above 0"):
        event_agreement([], [], min_iou=0.0)
    with pytest.raises(ValueError, match="expected a label among negative.*got 'anger'"):
        event_agreement([event("m0", 1.0, "anger")], [], labels=THREE)


def test_coders_may_use_any_classes():
    a = [event("m0", 1.0, "anger"), event("m1", 3.0, "fear"), event("m2", 5.0, "fear", "rejected")]
    b = [event("m0", 1.0, "anger"), event("m1", 3.0, "anger"), event("m2", 5.0, "fear", "rejected")]
    found = event_agreement(a, b)
    assert found.categories == (REJECTED, "anger", "fear")
    assert found.confusion == ((1, 0, 0), (0, 1, 0), (0, 1, 0))
    assert found.kappa == pytest.approx(slow_kappa(["a", "f", "r"], ["a", "a", "r"]))
