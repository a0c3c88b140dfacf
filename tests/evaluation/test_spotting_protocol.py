"""The spotting protocol against slow references written from the definitions."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.evaluation.spotting import (
    Span,
    SpottedVideo,
    above_thresholds,
    chosen_thresholds,
    frame_iou,
    match_spans,
    spotting_leaks,
    spotting_metrics,
    strs_metrics,
    threshold_curve,
)

LABELS = ("a", "b", "c")
KINDS = ("micro", "macro")


def random_videos(seed, subjects=4, videos=3, most=4, labelled=True):
    """Events that may overlap, found ones near them and elsewhere; some videos without either."""
    rng = np.random.default_rng(seed)

    def span(onset, length, score):
        return Span(
            int(onset), int(onset + length), str(rng.choice(KINDS)),
            str(rng.choice(LABELS)) if labelled and rng.random() < 0.9 else None,
            score,
        )  # fmt: skip

    made = []
    for who, number in itertools.product(range(subjects), range(videos)):
        truth = [
            span(rng.integers(0, 60), rng.integers(4, 25), None)
            for _ in range(rng.integers(0, most) if number or who else 0)
        ]
        near = [
            replace(
                t,
                onset=t.onset + int(rng.integers(-3, 3)),
                offset=t.offset + int(rng.integers(4, 9)),
                label=str(rng.choice(LABELS)),
                score=float(rng.integers(1, 9)),
            )
            for t in truth
            if rng.random() < 0.7
        ]
        far = [
            span(rng.integers(0, 80), rng.integers(4, 25), float(rng.integers(0, 7)))
            for _ in range(rng.integers(0, 3))
        ]
        dataset = "x" if who % 2 else "y"
        made.append(
            SpottedVideo(dataset, f"s{who}", f"v{number}", tuple(truth), (*near, *far), 0.5)
        )
    return made


# --- slow references: sets of frames, all assignments, loops ---


def frames(span):
    return set(range(span.onset, span.offset + 1))


def fits(t, f):
    return len(frames(t) & frames(f)) / len(frames(t) | frames(f)) >= 0.5


def assignments(truth, found):
    """Every one-to-one assignment of fitting pairs."""
    if not truth:
        yield []
        return
    yield from assignments(truth[1:], found)
    for f in found:
        if fits(truth[0], f):
            rest = [g for g in found if g is not f]
            for more in assignments(truth[1:], rest):
                yield [(truth[0], f), *more]


def slow_pairs(truth, found):
    """Most pairs, then most overlap, then the earliest, then those that do not cross."""
    orders = [sorted(side, key=lambda s: (s.onset, s.offset)) for side in (truth, found)]

    def place(span, order):
        return next(k for k, other in enumerate(order) if other is span)

    def overlap(t, f):
        return len(frames(t) & frames(f)) / len(frames(t) | frames(f))

    def worth(pairs):
        ranks = [(place(t, orders[0]), place(f, orders[1])) for t, f in pairs]
        return (
            len(pairs),
            round(
                sum(len(frames(t) & frames(f)) / len(frames(t) | frames(f)) for t, f in pairs), 9
            ),
            -sum(map(sum, ranks)),
            sum(i * j for i, j in ranks),
        )

    return max(assignments(list(truth), list(found)), key=worth)


def slow_counts(videos, kind, least=-np.inf):
    tp = fp = fn = 0
    for video in videos:
        truth = [s for s in video.truth if s.kind == kind]
        found = [s for s in video.found if s.kind == kind and s.score >= least]
        pairs = len(slow_pairs(truth, found))
        tp, fp, fn = tp + pairs, fp + len(found) - pairs, fn + len(truth) - pairs
    return tp, fp, fn


def slow_f1(tp, fp, fn):
    precision = tp / (tp + fp) if tp + fp else 0.0
    recall = tp / (tp + fn) if tp + fn else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return precision, recall, f1


def slow_naming(pairs, labels):
    """Macro precision and recall of (true, said), class by class, and the mean of F1."""
    precisions, recalls, f1s = [], [], []
    for name in labels:
        tp = sum(t == name == s for t, s in pairs)
        fp = sum(t != name == s for t, s in pairs)
        fn = sum(t == name != s for t, s in pairs)
        precision, recall, f1 = slow_f1(tp, fp, fn)
        precisions.append(precision), recalls.append(recall), f1s.append(f1)
    return np.mean(precisions), np.mean(recalls), np.mean(f1s)


def slow_strs(videos, labels, kind, published):
    """STRS by its definition, with the published metric's leniences or without."""
    of = {
        (v.dataset, v.subject, v.video): (
            [s for s in v.truth if s.kind == kind], [s for s in v.found if s.kind == kind]
        )
        for v in videos
    }  # fmt: skip
    if published:
        labels = {s.label for sides in of.values() for side in sides for s in side} - {None}
        answered = {key[:2] for key, (_, found) in of.items() if found}
        of = {key: sides for key, sides in of.items() if key[:2] in answered and sides[0]}
    pairs, fp, fn = [], 0, 0
    for truth, found in of.values():
        if published:
            mine = [(t, f) for t in truth for f in found if fits(t, f)]
        else:
            mine = slow_pairs(truth, found)
        pairs += mine
        fp += sum(all(f is not g for _, g in mine) for f in found)
        fn += sum(all(t is not u for u, _ in mine) for t in truth)
    spotting = slow_f1(len(pairs), fp, fn)
    named = [(t.label, f.label) for t, f in pairs if t.label is not None]
    precision, recall, uf1 = slow_naming(named, labels)
    naming = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {
        "tp": len(pairs), "fp": fp, "fn": fn, "named": len(named), "strs": spotting[2] * naming,
        "spotting_precision": spotting[0], "spotting_recall": spotting[1],
        "spotting_f1": spotting[2], "naming_precision": precision, "naming_recall": recall,
        "naming_f1": naming, "uf1": uf1, "uar": precision if published else recall,
    }  # fmt: skip


# --- the fast against the slow ---


@pytest.mark.parametrize("seed", range(12))
def test_counts_and_scores_equal_the_slow_reference(seed):
    videos = random_videos(seed)
    metrics = spotting_metrics(videos, draws=10)
    counts = {kind: slow_counts(videos, kind, -1) for kind in KINDS}
    counts["both"] = tuple(map(sum, zip(counts["micro"], counts["macro"], strict=True)))
    for scope, expected in counts.items():
        found = metrics[scope]
        assert (found["tp"], found["fp"], found["fn"]) == expected
        precision, recall, f1 = slow_f1(*expected)
        assert found["precision"] == pytest.approx(precision)
        assert found["recall"] == pytest.approx(recall)
        assert found["f1"] == pytest.approx(f1)
        assert found["false_per_minute"] == pytest.approx(expected[1] / (0.5 * len(videos)))
    assert metrics["videos_without_events"] == sum(not v.truth for v in videos) > 0


def test_overlap_counts_first_and_last_frames():
    a, b = Span(10, 19), Span(15, 24)
    assert frame_iou([a], [b])[0, 0] == 5 / 15
    assert match_spans([Span(0, 9)], [Span(5, 9)]) == [(0, 0)]  # 5 of 10
    assert match_spans([Span(0, 9)], [Span(6, 9)]) == []  # 4 of 10
    assert match_spans([Span(3, 3)], [Span(3, 3)]) == [(0, 0)]  # one frame long


def test_most_matches_come_before_closest_ones():
    truth = [Span(0, 9), Span(3, 17)]
    found = [Span(3, 11), Span(0, 5)]  # the first is closer to the second truth, and fits both
    assert sorted(match_spans(truth, found)) == [(0, 1), (1, 0)]
    greedy = [Span(0, 9), Span(2, 14)]
    assert len(match_spans(greedy, [Span(0, 10), Span(0, 6)])) == 2


def test_videos_without_an_event_count_their_false_ones():
    full = SpottedVideo("d", "1", "full", (Span(0, 9),), (Span(0, 9),), 1.0)
    empty = SpottedVideo("d", "1", "empty", (), (Span(5, 9), Span(50, 60)), 1.0)
    assert spotting_metrics([full])["micro"]["f1"] == 1.0
    found = spotting_metrics([full, empty])
    assert found["micro"]["f1"] == pytest.approx(2 / 4)
    assert found["micro"]["false_per_minute"] == 1.0
    assert found["micro"]["f1_ci95"] is None  # one subject


def test_a_micro_expression_never_matches_a_macro_one():
    video = SpottedVideo("d", "1", "v", (Span(0, 9, "macro"),), (Span(0, 9, "micro"),))
    both = spotting_metrics([video])["both"]
    assert (both["tp"], both["fp"], both["fn"]) == (0, 1, 1)
    assert both["false_per_minute"] is None  # nobody says how long it is


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("rule", ["strict", "published"])
def test_strs_equals_the_slow_reference(seed, rule):
    videos = random_videos(seed, most=5)
    for labels in (LABELS, ("a", "b", "c", "nobody")):
        found = strs_metrics(videos, labels, draws=10)[rule]
        expected = slow_strs(videos, labels, "micro", rule == "published")
        assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_strs_of_a_worked_example():
    """By hand. Subject 1: two events, one prediction over both, one more; subject 2: no prediction;
    a video of subject 1 without an event, with a prediction in it."""
    videos = [
        SpottedVideo(
            "d", "1", "1",
            (Span(0, 9, label="a"), Span(5, 14, label="b"), Span(100, 119, label="b")),
            (Span(1, 13, label="a"), Span(100, 121, label="b"), Span(300, 310, label="c")),
        ),
        SpottedVideo("d", "1", "2", (), (Span(40, 50, label="c"),)),
        SpottedVideo("d", "2", "1", (Span(10, 20, label="a"),), ()),
    ]  # fmt: skip
    found = strs_metrics(videos)
    # Published: prediction 1 matches events 1 (9/14) and 2 (9/14), prediction 2 event 3; one false;
    # nothing missed, for subject 2 is skipped, and so is video 2.
    published = found["published"]
    assert (published["tp"], published["fp"], published["fn"]) == (3, 1, 0)
    # a said twice, once rightly: 1/2; b said once, rightly: 1/1; c never: 0. Recall 1, 1/2, 0.
    assert published["naming_precision"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert published["naming_recall"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert published["uar"] == pytest.approx(published["naming_precision"])
    assert published["strs"] == pytest.approx((6 / 7) * 0.5)
    # Strictly: 2 matched (event 1 or 2 of the two, and 3), 2 false, 2 missed.
    strict = found["strict"]
    assert (strict["tp"], strict["fp"], strict["fn"]) == (2, 2, 2)
    assert strict["spotting_f1"] == pytest.approx(0.5)
    assert strict["strs"] < published["strs"]


def test_strs_of_a_published_row():
    """A baseline of MEGC 2025: 6 spotted, 217 false, 202 missed; printed: F1 .0278, naming .1667,
    .3333, .2222, UF1 .2222, UAR .1667, STRS .0062."""
    named = [("a", "a"), ("b", "a"), ("b", "c"), ("c", "b"), ("b", "c"), ("c", "b")]
    truth = [Span(100 * k, 100 * k + 9, label=true) for k, (true, _) in enumerate(named)]
    found = [Span(100 * k, 100 * k + 9, label=said) for k, (_, said) in enumerate(named)]
    truth += [Span(10000 + 100 * k, 10009 + 100 * k, label="b") for k in range(202)]
    found += [Span(50000 + 100 * k, 50009 + 100 * k, label="c") for k in range(217)]
    score = strs_metrics([SpottedVideo("d", "1", "1", tuple(truth), tuple(found))])["published"]
    printed = {
        "spotting_precision": 0.0269, "spotting_recall": 0.0288, "spotting_f1": 0.0278,
        "naming_precision": 0.1667, "naming_recall": 0.3333, "naming_f1": 0.2222,
        "uf1": 0.2222, "uar": 0.1667, "strs": 0.0062,
    }  # fmt: skip
    assert {name: round(score[name], 4) for name in printed} == printed


def test_strs_needs_classes_and_a_missing_answer_is_wrong():
    unlabelled = random_videos(0, labelled=False)
    assert strs_metrics([replace(v, found=()) for v in unlabelled]) is None
    video = SpottedVideo("d", "1", "1", (Span(0, 9, label="a"),), (Span(0, 9),))
    strict = strs_metrics([video], LABELS)["strict"]
    assert (strict["spotting_f1"], strict["naming_recall"], strict["named"]) == (1.0, 0.0, 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_the_curve_equals_counting_again_at_every_threshold(seed, kind):
    videos = random_videos(seed)
    curve = threshold_curve(videos, kind)
    scores = {s.score for v in videos for s in v.found if s.kind == kind}
    assert curve["threshold"].tolist() == [-np.inf, *sorted(scores)]
    for row in curve.itertuples():
        expected = slow_counts(videos, kind, row.threshold)
        assert (row.tp, row.fp, row.fn) == expected
        assert (row.precision, row.recall, row.f1) == pytest.approx(slow_f1(*expected))
        assert row.false_per_minute == pytest.approx(expected[1] / (0.5 * len(videos)))


@pytest.mark.parametrize("seed", range(6))
def test_the_chosen_threshold_is_the_others_best(seed):
    videos = random_videos(seed)
    chosen = chosen_thresholds(videos, "micro")
    assert set(chosen) == {v.who for v in videos}
    for who, threshold in chosen.items():
        others = [v for v in videos if v.who != who]
        scores = sorted({s.score for v in others for s in v.found if s.kind == "micro"})
        tried = {t: slow_f1(*slow_counts(others, "micro", t))[2] for t in [-np.inf, *scores]}
        assert threshold in tried
        assert tried[threshold] == pytest.approx(max(tried.values()))
        assert all(t >= threshold for t, f1 in tried.items() if f1 > tried[threshold] - 1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_the_tested_subject_has_no_part_in_its_threshold(seed):
    """Its truth and its scores may be anything."""
    videos = random_videos(seed)
    who, other = videos[0].who, random_videos(seed + 100)
    changed = [
        replace(v, truth=o.truth, found=tuple(replace(s, score=s.score + 0.5) for s in o.found))
        if v.who == who
        else v
        for v, o in zip(videos, other, strict=True)
    ]
    assert chosen_thresholds(changed, "micro")[who] == chosen_thresholds(videos, "micro")[who]


def test_kept_leaves_out_what_is_below_its_kind_s_threshold():
    video = SpottedVideo(
        "d", "1", "1", (), (Span(0, 1, score=1.0), Span(2, 3, score=2.0), Span(4, 5, "macro"))
    )
    left = above_thresholds([video], {"micro": {"d/1": 2.0}})[0].found
    assert [span.onset for span in left] == [2, 4]


def slow_interval(videos, score, draws, seed):
    """Whole subjects drawn anew, everything counted again in each draw."""
    of = defaultdict(list)
    for video in videos:
        of[video.who].append(video)
    people = list(of.values())
    rng = np.random.default_rng(seed)
    drawn = [
        [v for k in pick for v in people[k]]
        for pick in rng.integers(len(people), size=(draws, len(people)))
    ]
    values = [
        score(part) for part in drawn if any(s.kind == "micro" for v in part for s in v.truth)
    ]
    return np.quantile(values, [0.025, 0.975])


def test_intervals_equal_drawing_the_subjects_and_counting_again():
    videos = random_videos(3)
    found = spotting_metrics(videos, draws=40, seed=1)["micro"]
    slow = slow_interval(videos, lambda part: slow_f1(*slow_counts(part, "micro", -1))[2], 40, 1)
    assert found["f1_ci95"] == pytest.approx(slow.tolist())
    assert found["f1_ci95"][0] < found["f1"] < found["f1_ci95"][1]
    slow = slow_interval(
        videos,
        lambda part: slow_counts(part, "micro", -1)[1] / (0.5 * len(part)), 40, 1,
    )  # fmt: skip
    assert found["false_per_minute_ci95"] == pytest.approx(slow.tolist())
    strs = strs_metrics(videos, LABELS, draws=40, seed=1)["strict"]

    def slow_score(part):
        numbered = [replace(v, video=f"{k}") for k, v in enumerate(part)]
        return slow_strs(numbered, LABELS, "micro", published=False)["strs"]

    assert strs["strs_ci95"] == pytest.approx(slow_interval(videos, slow_score, 40, 1).tolist())


def test_a_draw_without_an_event_is_left_out_of_the_interval():
    """One of two subjects has all events: half of the other draws would be 0 of 0."""
    full = SpottedVideo("d", "1", "1", (Span(0, 9),), (Span(0, 9),), 1.0)
    found = spotting_metrics([full, SpottedVideo("d", "2", "1", (), (), 1.0)], draws=50)["micro"]
    assert found["f1_ci95"] == [1.0, 1.0]
    labelled = replace(full, truth=(Span(0, 9, label="a"),), found=(Span(0, 9, label="a"),))
    strs = strs_metrics([labelled, SpottedVideo("d", "2", "1", (), ())], draws=50)["strict"]
    assert strs["strs_ci95"] == [1.0, 1.0]


def test_leaks_are_at_least_what_they_choose_from():
    """Spotting that finds nothing: scores and epochs are random, so all that is added is chosen."""
    epochs = {k: random_videos(0) for k in (1, 2, 3)}
    for number, videos in epochs.items():
        found = random_videos(number)
        epochs[number] = [
            replace(v, found=f.found) for v, f in zip(videos, found, strict=True)
        ]  # fmt: skip
    leaks = {leak.choice: leak for leak in spotting_leaks(epochs, draws=50) if leak.kind == "micro"}
    f1 = {name: leak.scores["f1"] for name, leak in leaks.items()}
    assert list(leaks)[:2] == ["everything", "training"] and leaks["training"].added is None
    assert [leak.choice for leak in leaks.values() if leak.honest] == ["everything", "training"]
    assert f1["threshold_overall"] >= max(f1["training"], f1["everything"])
    assert f1["epoch_overall"] >= f1["everything"]
    assert f1["epoch_subject"] > f1["everything"]
    assert f1["without_empty"] >= f1["training"]
    assert f1["together"] == max(f1.values()) > f1["training"]
    assert leaks["together"].added == pytest.approx(f1["together"] - f1["training"])
    slow = max(
        slow_f1(*slow_counts(epochs[3], "micro", t))[2]
        for t in {-np.inf, *(s.score for v in epochs[3] for s in v.found)}
    )
    assert f1["threshold_overall"] == pytest.approx(slow)


def test_leaks_without_scores_or_with_one_subject_still_show_the_empty_videos():
    videos = [
        replace(v, found=tuple(replace(s, score=None) for s in v.found)) for v in random_videos(0)
    ]
    leaks = [leak for leak in spotting_leaks({1: videos}, draws=10) if leak.kind == "micro"]
    assert [leak.choice for leak in leaks] == ["everything", "without_empty"]
    alone = [v for v in random_videos(0) if v.subject == "s0"]
    assert spotting_leaks({1: alone}, draws=10)[0].f1_ci95 is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: spotting_metrics([]), "expected videos to score, got none"),
        (lambda: spotting_metrics(random_videos(0) * 2), "expected each video once"),
        (lambda: spotting_leaks({}), "one epoch or more"),
        (lambda: spotting_leaks({1: random_videos(0), 2: random_videos(1)}), "same videos"),
        (lambda: chosen_thresholds(random_videos(0, subjects=1), "micro"), "two subjects or more"),
        (
            lambda: threshold_curve([SpottedVideo("d", "1", "1", (), (Span(0, 1),))], "micro"),
            "expected a score of every candidate",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_an_event_that_ends_before_it_begins_is_none():
    with pytest.raises(ValueError, match="onset <= offset"):
        Span(5, 4)
