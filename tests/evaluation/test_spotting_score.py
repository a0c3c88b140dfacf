"""Matching found intervals with planted ones."""

import itertools
import math

import numpy as np
import pytest

from micromimic.core.types import Interval
from micromimic.evaluation.spotting import OracleSpotter, interval_iou, match_events, pool


def spans(*starts, length=0.4):
    return [Interval(s, s + length / 2, s + length) for s in starts]


def sampled_iou(a, b, step=1e-3):
    """The same by counting moments."""
    t = np.arange(0.0, 20.0, step)
    in_a, in_b = ((i.onset <= t) & (t < i.offset) for i in (a, b))
    return (in_a & in_b).sum() / max(1, (in_a | in_b).sum())


def test_iou_equals_counting():
    rng = np.random.default_rng(0)
    for _ in range(30):
        a, b = (Interval(*sorted(rng.uniform(0, 3, 3).tolist())) for _ in "ab")
        assert interval_iou(a, b) == pytest.approx(sampled_iou(a, b), abs=0.005)


def test_perfect_answer():
    truth = spans(1, 3, 5)
    score = match_events(truth, truth, duration_s=60, fps=200)
    assert (score.recall, score.precision, score.f1, score.false_per_minute) == (1, 1, 1, 0)
    assert score.median_error_frames("onset") == 0


def test_counts_of_misses_and_false_events():
    score = match_events(spans(1, 3, 5, 7), spans(3.05, 9, 1.0), duration_s=30, fps=100)
    assert score.recall == 0.5
    assert score.precision == pytest.approx(2 / 3)
    assert score.f1 == pytest.approx(4 / 7)
    assert score.false_per_minute == 2.0
    assert [(p.truth, p.found) for p in score.pairs] == [(0, 2), (1, 0)]
    assert score.median_error_frames("apex") == pytest.approx(2.5)


def test_one_that_fits_two_leaves_the_closer_to_whom_nothing_else_fits():
    truth = [Interval(0.0, 0.5, 0.9), Interval(0.2, 0.8, 1.4)]
    found = [Interval(0.0, 0.5, 1.0), Interval(0.0, 0.3, 0.6)]  # the first fits both
    score = match_events(truth, found, duration_s=60, fps=200)
    assert [(p.truth, p.found) for p in score.pairs] == [(0, 1), (1, 0)]


def test_one_to_one_and_best_first():
    truth = spans(1.0)
    score = match_events(truth, spans(1.1, 1.02, 0.95), duration_s=60, fps=200)
    assert [(p.truth, p.found) for p in score.pairs] == [(0, 1)]
    assert score.found == 3 and score.false_per_minute == 2.0


def test_threshold_is_kept():
    truth, found = [Interval(0.0, 0.5, 1.0)], [Interval(0.5, 0.6, 1.0)]
    assert match_events(truth, found, 0.5, duration_s=1, fps=1).recall == 1.0
    assert match_events(truth, found, 0.51, duration_s=1, fps=1).recall == 0.0


def test_the_most_events_are_matched():
    rng = np.random.default_rng(1)
    for seed in range(10):
        truth = spans(*np.cumsum(rng.uniform(0.9, 1.5, 4)))
        found = OracleSpotter(truth, jitter=0.08, miss=0.3, seed=seed)()
        score = match_events(truth, found, duration_s=60, fps=200)
        best = 0
        slots = [*range(len(found)), *([None] * len(truth))]
        for assigned in set(itertools.permutations(slots, len(truth))):
            hits = sum(
                j is not None and interval_iou(t, found[j]) >= 0.5
                for t, j in zip(truth, assigned, strict=True)
            )
            best = max(best, hits)
        assert len(score.pairs) == best


def test_nothing_planted_or_found():
    empty = match_events([], [], duration_s=60, fps=200)
    assert math.isnan(empty.recall) and math.isnan(empty.precision) and math.isnan(empty.f1)
    assert math.isnan(empty.median_error_frames())
    assert match_events(spans(1), [], duration_s=60, fps=200).recall == 0.0
    assert match_events([], spans(1), duration_s=60, fps=200).precision == 0.0


def test_pooled_counts_add_up():
    one = match_events(spans(1, 3), spans(1, 8), duration_s=30, fps=100)
    two = match_events(spans(2), spans(2.02), duration_s=90, fps=100)
    both = pool([one, two])
    assert (both.planted, both.found, both.duration_s) == (3, 3, 120)
    assert both.recall == pytest.approx(2 / 3) and both.false_per_minute == 0.5
    assert [(p.truth, p.found) for p in both.pairs] == [(0, 0), (0, 0)]
    with pytest.raises(ValueError, match="at least one"):
        pool([])
    with pytest.raises(ValueError, match="fps must be one"):
        pool([one, match_events([], [], duration_s=1, fps=200)])


def test_oracle_is_seeded_and_jitters():
    truth = spans(*range(1, 200))
    oracle = OracleSpotter(truth, jitter=0.01, miss=0.2, seed=3)
    first, again = oracle(), oracle()
    assert first == again
    assert 0.7 < len(first) / len(truth) < 0.9
    errors = match_events(truth, first, duration_s=200, fps=1000).median_error_frames("onset")
    # the median of |N(0, 10 ms)| is 6.7 ms
    assert 5.0 < errors < 9.0
    assert match_events(truth, first, duration_s=200, fps=200).precision == 1.0


@pytest.mark.parametrize(
    "wrong", [{"min_iou": 0.0}, {"min_iou": 1.1}, {"duration_s": 0.0}, {"fps": -1.0}]
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        match_events([], [], **{"duration_s": 1.0, "fps": 1.0, **wrong})
