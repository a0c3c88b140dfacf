from __future__ import annotations

import json
from datetime import date
from math import comb, exp, factorial

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from micromimic.analysis.indicators import balance_interval, block_levels, poisson_interval
from micromimic.analysis.trends import (
    Change,
    RecordingNumbers,
    Reviewed,
    SessionNumbers,
    balance_difference,
    level_ratio,
    median_interval,
    movement_levels,
    rate_ratio,
    recording_numbers,
    trends,
)
from micromimic.core.canonical import INTEROCULAR
from micromimic.core.strict_json import tidy

from ..sample_analysis import empty_analysis, sample_analysis

# ---- ratio of rates -------------------------------------------------------------------------


def bisect(function, low, high):
    """Where a rising function crosses 0."""
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


def slow_ratio_interval(x, t, y, s):
    """Ends by trying ratios until each tail of the conditional binomial holds 2.5 %."""
    n = x + y

    def chance(ratio, counts):
        p = ratio * t / (ratio * t + s)
        return sum(comb(n, k) * p**k * (1 - p) ** (n - k) for k in counts)

    low = 0.0 if x == 0 else bisect(lambda r: chance(r, range(x, n + 1)) - 0.025, 0.0, 1e4)
    high = None if y == 0 else bisect(lambda r: 0.025 - chance(r, range(x + 1)), 0.0, 1e4)
    return low, high


@pytest.mark.parametrize(
    ("x", "t", "y", "s"),
    [(12, 600.0, 6, 600.0), (3, 120.0, 9, 1800.0), (0, 60.0, 4, 90.0), (5, 60.0, 0, 90.0),
     (1, 10.0, 1, 1000.0), (40, 3600.0, 25, 1200.0)],
)  # fmt: skip
def test_rate_ratio_inverts_the_conditional_test(x, t, y, s):
    found = rate_ratio(x, t, y, s)
    low, high = slow_ratio_interval(x, t, y, s)
    assert found.low == pytest.approx(low, rel=1e-6)
    assert found.high == (None if high is None else pytest.approx(high, rel=1e-6))
    assert found.value == (None if y == 0 else pytest.approx(x / t / (y / s)))


def test_rate_ratio_says_when_it_does_not_know():
    assert rate_ratio(0, 60.0, 0, 60.0) == Change("ratio")
    assert rate_ratio(3, 0.0, 2, 60.0) == Change("ratio")
    assert rate_ratio(3, 60.0, 2, 0.0) == Change("ratio")
    assert not Change("ratio").clear
    assert rate_ratio(9, 60.0, 0, 60.0).clear  # above, however far
    with pytest.raises(ValueError, match=">= 0"):
        rate_ratio(-1, 60.0, 2, 60.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 50), st.floats(1, 5000), st.integers(0, 50), st.floats(1, 5000))
def test_the_other_way_round_is_the_reciprocal(x, t, y, s):
    there, back = rate_ratio(x, t, y, s), rate_ratio(y, s, x, t)
    assert there.clear == back.clear
    if x and y:
        assert there.low <= there.value <= there.high
        assert there.low * back.high == pytest.approx(1.0, rel=1e-6)
        assert there.high * back.low == pytest.approx(1.0, rel=1e-6)


def poisson(mean, largest):
    return np.array([exp(-mean) * mean**k / factorial(k) for k in range(largest + 1)])


@pytest.mark.parametrize(
    ("rate", "base", "minutes", "base_minutes"),
    [(0.5, 0.5, 10.0, 10.0), (1.2, 0.3, 5.0, 20.0), (0.2, 0.9, 12.0, 6.0)],
)
def test_rate_ratio_covers_at_least_95_per_cent(rate, base, minutes, base_minutes):
    # Every pair of counts that can come, by how likely it is: coverage without any chance in it.
    # Where nothing is known no interval is claimed, and that counts as covered.
    top = 36
    weights = np.outer(poisson(rate * minutes, top), poisson(base * base_minutes, top))
    truth, covered = rate / base, 0.0
    for (x, y), weight in np.ndenumerate(weights):
        found = rate_ratio(x, 60 * minutes, y, 60 * base_minutes)
        above = found.low is None or found.low <= truth
        covered += weight * (above and (found.high is None or truth <= found.high))
    assert weights.sum() > 0.9999
    assert covered >= 0.95


# ---- difference of balances, and movement ---------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(*[st.integers(0, 30)] * 4)
def test_balance_difference_holds_its_value_and_turns_with_the_sides(a, b, c, d):
    found = balance_difference(a, b, c, d)
    if a + b == 0 or c + d == 0:
        assert found == Change("difference")
        return
    value = (a - b) / (a + b) - (c - d) / (c + d)
    assert found.value == pytest.approx(value)
    assert -2.0 <= found.low <= found.value <= found.high <= 2.0
    back = balance_difference(c, d, a, b)
    assert (back.low, back.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


@pytest.mark.parametrize(("p", "q", "n", "m"), [(0.5, 0.5, 15, 25), (0.8, 0.4, 20, 20)])
def test_balance_difference_covers_about_95_per_cent(p, q, n, m):
    # Exact coverage: every pair of counts by how likely it is.
    covered = 0.0
    for a in range(n + 1):
        for b in range(m + 1):
            weight = comb(n, a) * p**a * (1 - p) ** (n - a) * comb(m, b) * q**b * (1 - q) ** (m - b)
            found = balance_difference(a, n - a, b, m - b)
            covered += weight * (found.low <= 2 * (p - q) <= found.high)
    assert 0.94 <= covered <= 0.98


def test_level_ratio_and_its_interval():
    rng = np.random.default_rng(2)
    base, twice = rng.gamma(9.0, 0.1, 200), 2 * rng.gamma(9.0, 0.1, 150)
    found = level_ratio(twice, base)
    assert found.value == np.median(twice) / np.median(base)
    picks = np.random.default_rng(99)  # another stream: an independent, slow bootstrap
    values = [
        np.median(picks.choice(twice, len(twice))) / np.median(picks.choice(base, len(base)))
        for _ in range(2000)
    ]
    assert (found.low, found.high) == pytest.approx(np.quantile(values, [0.025, 0.975]), rel=0.03)
    assert found.clear and found == level_ratio(twice, base)
    assert level_ratio(base[:3], base) == level_ratio(base, base[:3]) == Change("ratio")
    assert level_ratio(base, np.zeros(9)) == Change("ratio")


def test_level_ratio_covers_about_95_per_cent():
    rng = np.random.default_rng(4)
    hits = 0
    for trial in range(300):
        a, b = rng.lognormal(0.3, 0.5, 60), rng.lognormal(0.0, 0.5, 60)
        found = level_ratio(a, b, seed=trial)
        hits += found.low <= exp(0.3) <= found.high
    assert 0.91 <= hits / 300 <= 0.99


def test_median_of_blocks():
    found = median_interval([1.0, 2.0, 3.0, 4.0, 100.0])
    assert found.value == 3.0 and found.low <= 3.0 <= found.high
    assert median_interval([1.0, 2.0, 3.0]) == Change("difference")
    long = np.random.default_rng(0).normal(5.0, 1.0, 5000)  # drawn in chunks
    found = median_interval(long)
    assert found.low < np.median(long) < found.high and found.high - found.low < 0.12


# ---- one recording --------------------------------------------------------------------------


def kept(analysis):
    """What the store keeps of an analysis, as strict JSON brings it back."""
    spotting = analysis.spotting
    review = {
        "blinks": [{"start": b.start, "peak": b.peak, "end": b.end} for b in spotting.blinks],
        "movement_levels": movement_levels(analysis.curve, analysis.track.found, spotting.blinks),
    }
    return json.loads(json.dumps([tidy(analysis.to_dict()), tidy(review)], allow_nan=False))


def test_numbers_of_one_recording():
    analysis = sample_analysis(evidence=False)
    found = recording_numbers(*kept(analysis))
    assert (found.candidates, found.observed_s, found.blinks) == (6, 51.3, 8)
    assert found.balance == (2, 2)  # one more negative is uncertain
    assert found.neither == ("surprise",)
    seconds = np.count_nonzero(analysis.track.found) / 200.0
    assert found.found_s == pytest.approx(seconds, rel=1e-4)
    assert found.reviewed is None
    levels = block_levels(analysis.curve, analysis.track.found, analysis.spotting.blinks)
    assert found.movement == pytest.approx(100 * levels / INTEROCULAR, abs=1e-4)
    assert len(levels) > 20


def test_a_review_counts_once_every_candidate_is_decided():
    payload, review = kept(sample_analysis(evidence=False))
    said = [("accepted", "positive"), ("rejected", "negative"), ("accepted", "surprise")]
    assert recording_numbers(payload, review, said).reviewed == Reviewed(2, (1, 0), ("surprise",))
    assert recording_numbers(payload, review, [*said, ("pending", "positive")]).reviewed is None
    assert recording_numbers(payload, review, []).reviewed == Reviewed(0, (0, 0))
    finer = [("accepted", "anger"), ("accepted", "happiness"), ("accepted", "blink")]
    assert recording_numbers(payload, review, finer).reviewed == Reviewed(3, (1, 1), ("blink",))


def test_numbers_of_a_recording_in_which_nothing_was_seen():
    payload, review = kept(empty_analysis())
    found = recording_numbers(payload, review)
    assert (found.candidates, found.observed_s, found.blinks) == (0, 0.0, 0)
    assert found.found_s == pytest.approx(57.6, rel=1e-4)  # no blink, and still known
    older = recording_numbers(payload, {})
    assert older.blinks is older.found_s is older.movement is None


# ---- sessions -------------------------------------------------------------------------------


def numbers(candidates=6, minutes=10.0, **more):
    more = {
        "balance": (2, 2),
        "neither": ("surprise",),
        "blinks": 100,
        "found_s": 60 * minutes,
        **more,
    }
    return RecordingNumbers(candidates, 60 * minutes, **more)


def session(name, day, *recordings, baseline=False):
    return SessionNumbers(name, f"session {name}", date(2024, 1, day), baseline, recordings)


def row(found, name):
    return next(item for item in found["indicators"] if item["name"] == name)


def test_recordings_are_pooled_never_averaged():
    found = trends([session("a", 1, numbers(10, 10.0), numbers(0, 30.0))])
    value = row(found, "candidates_per_minute")["sessions"][0]
    low, high = poisson_interval(10)
    assert (value["value"], value["n"]) == (0.25, 10)
    assert (value["low"], value["high"]) == pytest.approx((low / 40, high / 40), abs=1e-6)
    balance = row(found, "valence_balance")["sessions"][0]
    ends = balance_interval(4, 4)
    assert (balance["value"], balance["n"]) == (0.0, 8)
    assert (balance["low"], balance["high"]) == pytest.approx(ends, abs=1e-6)


def test_change_is_from_the_marked_sessions_together():
    sessions = [
        session("c", 20, numbers(30)),
        session("a", 1, numbers(4), baseline=True),
        session("b", 8, numbers(8), baseline=True),
        session("d", 15, numbers(6)),
    ]
    found = trends(sessions)
    assert found["baseline"] == ["a", "b"]
    rates = row(found, "candidates_per_minute")
    assert [s["session_id"] for s in rates["sessions"]] == ["a", "b", "d", "c"]  # by day
    assert [c["session_id"] for c in rates["change"]] == ["d", "c"]
    change = rates["change"][1]
    expected = rate_ratio(30, 600.0, 12, 1200.0)
    assert change["value"] == expected.value == 5.0
    assert (change["low"], change["high"]) == pytest.approx((expected.low, expected.high))
    assert (change["kind"], change["clear"]) == ("ratio", True)
    assert row(found, "valence_balance")["change"][0]["kind"] == "difference"
    assert "session a (2024-01-01), session b (2024-01-08)" in found["note"]
    # Two sessions beside the baseline, each with rates of candidates and blinks and a balance.
    assert found["comparisons"] == 6
    assert "6 comparisons at 95 %" in found["note"] and "about 0.3" in found["note"]


def test_without_a_mark_the_first_session_with_numbers_is_the_baseline():
    found = trends([session("a", 1), session("b", 2, numbers()), session("c", 3, numbers())])
    assert found["baseline"] == ["b"]
    assert "the first, as none is marked as baseline" in found["note"]
    assert [c["session_id"] for c in row(found, "blinks_per_minute")["change"]] == ["a", "c"]


def test_what_is_unknown_stays_unknown():
    bare = RecordingNumbers(0, 0.0, (0, 0))
    found = trends([session("a", 1, numbers()), session("b", 2, bare), session("c", 3)])
    for item in found["indicators"]:
        for value in item["sessions"][1:]:
            assert (value["value"], value["low"], value["high"], value["n"]) == (None,) * 3 + (0,)
        for change in item["change"]:
            assert (change["value"], change["low"], change["high"]) == (None, None, None)
            assert change["clear"] is False
    assert found["comparisons"] == 0 and "comparison" not in found["note"]
    nothing = trends([])
    assert nothing["baseline"] == [] and "nothing to compare" in nothing["note"]
    unmeasured = trends([session("a", 1, numbers(blinks=None, found_s=None))])
    assert row(unmeasured, "blinks_per_minute")["sessions"][0]["value"] is None


def test_an_unknown_part_takes_its_time_with_it():
    known, unknown = numbers(blinks=60, minutes=4.0), numbers(blinks=None, found_s=240.0)
    value = row(trends([session("a", 1, known, unknown)]), "blinks_per_minute")["sessions"][0]
    assert (value["value"], value["n"]) == (15.0, 60)


def test_reviews_are_shown_where_there_are_any():
    plain = trends([session("a", 1, numbers())], coder="kim")
    names = [item["name"] for item in plain["indicators"]]
    assert names == ["candidates_per_minute", "blinks_per_minute", "valence_balance", "movement"]
    assert plain["coder"] is None
    done = numbers(9, reviewed=Reviewed(5, (3, 1)))
    found = trends([session("a", 1, done, numbers(4)), session("b", 2, numbers())], coder="kim")
    reviewed = row(found, "reviewed_per_minute")
    assert reviewed["sessions"][0]["value"] == 0.5  # the recording that is not done stands aside
    assert reviewed["sessions"][1]["value"] is None
    assert "kim accepted or added" in reviewed["caveat"]
    assert row(found, "reviewed_balance")["sessions"][0]["value"] == 0.5
    assert found["coder"] == "kim"


def test_classes_without_negative_and_positive_are_no_missing_measurement():
    given = Reviewed(2, (0, 0), ("up", "down"))
    found = trends([session("a", 1, numbers(balance=None, reviewed=given))], coder="kim")
    empty = {item["name"]: item["empty"] for item in found["indicators"]}
    assert empty["valence_balance"] == (
        "The machine's classes do not stand for negative and positive."
    )
    assert empty["reviewed_balance"] == (
        "The classes that kim gave (up, down) do not stand for negative and positive."
    )
    assert empty["movement"] == "Not measured in any session yet."
    known = trends([session("a", 1, numbers(reviewed=Reviewed(1, (1, 0))))], coder="kim")
    assert {item["empty"] for item in known["indicators"]} == {empty["movement"]}


def test_movement_is_compared_by_blocks():
    rng = np.random.default_rng(8)
    base, later = rng.gamma(9.0, 0.1, 80), 1.6 * rng.gamma(9.0, 0.1, 80)
    found = trends(
        [
            session("a", 1, numbers(movement=base[:40].tolist()), numbers(movement=base[40:])),
            session("b", 2, numbers(movement=later), numbers(movement=None)),
        ]
    )
    movement = row(found, "movement")
    assert movement["sessions"][0]["n"] == 80
    assert movement["sessions"][0]["value"] == pytest.approx(np.median(base), abs=1e-6)
    change = movement["change"][0]
    assert change["clear"] and change["low"] < np.median(later) / np.median(base) < change["high"]


def test_the_words_claim_no_more_than_is_known():
    found = trends([session("a", 1, numbers()), session("b", 2, numbers(8))])
    assert found["schema"] == "micromimic.trends/1"
    json.dumps(found, allow_nan=False)
    assert "no measure of stress, honesty or mood" in found["note"]
    for item in found["indicators"]:
        assert item["label"] and item["unit"] and item["caveat"].endswith(".")
        assert not {"stress", "honesty", "lie", "score"} & set(item["label"].lower().split())
    assert "false ones included" in row(found, "candidates_per_minute")["caveat"]
