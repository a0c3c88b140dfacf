"""Agreement of two coders of a study, against published examples and slow, independent counting."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple, replace

import numpy as np
import pytest

from micromimic.core.labels import THREE
from micromimic.core.types import Interval
from micromimic.evaluation.agreement import (
    CodedEvent,
    CodedRecording,
    ac1s,
    event_agreement,
    interval_of,
)
from micromimic.evaluation.study_agreement import Estimate, study_agreement

SHROUT_FLEISS = [
    [9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7],
]  # fmt: skip


def icc21(ratings):
    """ICC(2,1) of (n, k) ratings from the squares of its two-way table."""
    table = np.asarray(ratings, np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        return None
    n, k = table.shape
    least = 1e-12 * float((table**2).mean())  # below it only rounding differs
    table = table - table.mean()
    between = k * float((table.mean(1) ** 2).sum())
    judges = n * float((table.mean(0) ** 2).sum())
    rest = max(float((table**2).sum()) - between - judges, 0.0)
    rows, columns, error = between / (n - 1), judges / (k - 1), rest / ((n - 1) * (k - 1))
    whole = rows + (k - 1) * error + k * (columns - error) / n
    return (rows - error) / whole if whole > least else None


def gwet_ac1(a, b, names):
    table = np.zeros((1, len(names), len(names)), np.int64)
    np.add.at(table[0], tuple([names.index(x) for x in side] for side in (a, b)), 1)
    return ac1s(table)[0]


def test_icc_is_that_of_shrout_and_fleiss_1979():
    assert icc21(SHROUT_FLEISS) == pytest.approx(0.2898, abs=5e-5)  # their table 4: .29
    assert icc21([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]]) == pytest.approx(1.0)
    assert icc21([[1.0, 2.0]]) is icc21([[3.0, 3.0], [3.0, 3.0]]) is None


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[118, 5], [2, 0]], 0.9408),  # Gwet 2008, British J. of Math. and Stat. Psychology 61, 29
        ([[13, 0, 0], [0, 20, 7], [0, 4, 56]], 0.8493),  # his three abstractors' table, 2014
        ([[10, 10], [10, 10]], 0.0),
    ],
)
def test_ac1_is_gwets(table, expected):
    assert ac1s(np.array([table])) == pytest.approx(expected, abs=5e-5)


def test_ac1_of_nothing_is_undefined_and_of_one_category_it_is_full():
    assert event_agreement([], []).ac1 is None
    assert gwet_ac1(["a"] * 5, ["a"] * 5, ["a", "b"]) == 1.0


def test_an_interval_is_of_what_is_defined_nearly_always_and_varies():
    assert interval_of(np.array([])) is interval_of(np.full(50, 0.5)) is None
    assert interval_of(np.array([np.nan] * 2 + [0.1] * 8 + [0.2] * 8)) is None  # a ninth undefined
    assert interval_of(np.linspace(0, 1, 41)) == pytest.approx((0.025, 0.975))


def event(key, start, label="negative", status="accepted", length=0.2, **more):
    interval = Interval(start, start + length / 2, start + length)
    return CodedEvent(key, interval, label, status, **more)


def made_up(count=8, seed=2, mode="blind"):
    """Recordings of four subjects or more, two coders who mostly agree and begin a bit apart."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        sides = [[], []]
        for e in range(9):
            first = str(rng.choice(["rejected", *THREE.names], p=[0.4, 0.3, 0.2, 0.1]))
            second = first if rng.random() < 0.75 else str(rng.choice(["rejected", *THREE.names]))
            for side, code, shift in zip(
                sides, (first, second), rng.normal(0, 0.02, 2), strict=True
            ):
                status = "rejected" if code == "rejected" else "accepted"
                label = "negative" if code == "rejected" else code
                kind = "macro" if e == 8 else "micro"
                length = 0.2 + 0.01 * e + shift / 3
                side.append(
                    event(f"m{e}", 2 * e + shift, label, status, length, mode=mode, kind=kind)
                )
        sides[0].append(event("a c10", 40.0, "surprise", added=True, mode=mode))
        found.append(CodedRecording(f"id{k}", f"talk {k}", f"P{k // 2 % 5}", *map(tuple, sides)))
    return found


def codes_of(recordings, kind="micro"):
    pairs = [
        (a.category, b.category)
        for r in recordings
        for a, b in zip(r.first, r.second, strict=False)
        if a.kind == kind
    ]
    return [list(side) for side in zip(*pairs, strict=True)]


def row(found, group, name=None):
    return next(r for r in found.rows if r.group == group and name in (None, r.name))


def test_the_pooled_row_counts_candidates_as_scikit_learn_does():
    metrics = pytest.importorskip("sklearn.metrics")
    recordings = made_up(10)
    found = study_agreement(recordings, labels=THREE.names, draws=50)
    codes, pooled = codes_of(recordings), row(found, "pooled")
    assert pooled.candidates == len(codes[0]) == 80
    assert pooled.kappa.value == pytest.approx(metrics.cohen_kappa_score(*codes))
    assert pooled.ac1.value == pytest.approx(gwet_ac1(*codes, ["rejected", *THREE.names]))
    assert found.categories == ("rejected", *THREE.names)
    table = metrics.confusion_matrix(*codes, labels=list(found.categories))
    assert found.confusion == tuple(map(tuple, table.tolist()))
    for name in THREE.names:
        one = [[code == name for code in side] for side in codes]
        assert row(found, "class", name).kappa.value == pytest.approx(
            metrics.cohen_kappa_score(*one)
        )


def test_events_are_matched_in_time_and_their_boundaries_compared():
    recordings = made_up(6)
    found = study_agreement(recordings, draws=20)
    pooled = row(found, "pooled")
    pairs = [
        (a, b)
        for r in recordings
        for a, b in zip(r.first, r.second, strict=False)
        if a.kind == "micro" and a.status == b.status == "accepted"
    ]
    assert pooled.matched == len(pairs)
    assert pooled.events_first - pooled.matched >= 6  # the first added one in each
    assert pooled.f1.value == pytest.approx(
        2 * len(pairs) / (pooled.events_first + pooled.events_second)
    )
    assert pooled.same_label == sum(a.label == b.label for a, b in pairs)
    for name in ("onset", "apex", "offset"):
        values = np.array([[getattr(e.interval, name) for e in pair] for pair in pairs])
        timing = pooled.timing[name]
        assert timing.icc.value == pytest.approx(icc21(values), abs=1e-9)
        assert timing.mean_s == pytest.approx(np.diff(values).mean())
        assert timing.sd_s == pytest.approx(np.diff(values).std(ddof=1))
    lengths = np.array([[e.interval.offset - e.interval.onset for e in pair] for pair in pairs])
    assert pooled.timing["duration"].icc.value == pytest.approx(icc21(lengths))


def test_boundaries_of_long_recordings_lose_no_digits():
    def later(side):
        return tuple(
            replace(e, interval=Interval(*(3600.0 + s for s in astuple(e.interval)))) for e in side
        )

    late = [replace(r, first=later(r.first), second=later(r.second)) for r in made_up(6)]
    here, there = (row(study_agreement(r, tier="all"), "pooled") for r in (made_up(6), late))
    assert there.timing["onset"].icc.value == pytest.approx(
        here.timing["onset"].icc.value, abs=1e-9
    )


def test_intervals_are_of_whole_subjects_drawn_again():
    recordings = made_up(10)
    found = study_agreement(recordings, labels=THREE.names, draws=300, seed=4)
    assert found.resampled == "subjects" and found.subjects == 5
    people = {
        who: [r for r in recordings if r.subject == who]
        for who in sorted({r.subject for r in recordings})
    }
    picks = np.random.default_rng(4).integers(5, size=(300, 5))
    values, iccs = [], []
    for pick in picks:
        drawn = [r for k in pick for r in people[f"P{k}"]]
        values.append(gwet_ac1(*codes_of(drawn), ["rejected", *THREE.names]))
        pairs = [
            [a.interval.onset, b.interval.onset]
            for r in drawn
            for a, b in zip(r.first, r.second, strict=False)
            if a.kind == "micro" and a.status == b.status == "accepted"
        ]
        iccs.append(icc21(pairs))
    pooled = row(found, "pooled")
    for estimate, slow in ((pooled.ac1, values), (pooled.timing["onset"].icc, iccs)):
        assert (estimate.low, estimate.high) == pytest.approx(
            np.quantile(slow, [0.025, 0.975]), abs=1e-9
        )


def test_few_subjects_are_no_ground_for_an_interval():
    few = study_agreement(made_up(4), draws=50)
    assert few.resampled is None and "need 5 subjects or recordings: 4 are" in few.notes[0]
    assert astuple(row(few, "pooled").kappa)[1:] == (None, None)
    assert study_agreement(made_up(6), draws=50).resampled == "recordings"  # of three people
    nobody = [CodedRecording(r.id, r.name, "", r.first, r.second) for r in made_up(6)]
    assert study_agreement(nobody, draws=50).resampled == "recordings"


def test_each_recording_stands_in_a_row_that_equals_its_own_comparison():
    recordings = made_up(6)
    found = study_agreement(recordings, labels=THREE.names, draws=20)
    rows = [r for r in found.rows if r.group == "recording"]
    assert [(r.name, r.title) for r in rows] == [(f"id{k}", f"talk {k}") for k in range(6)]
    for own, recording in zip(rows, recordings, strict=True):
        sides = [[e for e in s if e.kind == "micro"] for s in (recording.first, recording.second)]
        one = event_agreement(*sides, labels=THREE)
        assert (own.candidates, own.matched, own.same_label) == (one.n, one.matched, one.same_label)
        assert own.kappa.value == pytest.approx(one.kappa)
        assert own.ac1.value == pytest.approx(one.ac1)
        assert own.f1.value == pytest.approx(one.f1)


def test_longer_expressions_have_a_row_of_their_own():
    recordings = made_up(6)
    found = study_agreement(recordings, draws=20)
    assert row(found, "tier", "micro").candidates == row(found, "pooled").candidates == 48
    longer = row(found, "tier", "macro")
    assert (longer.candidates, longer.title) == (6, "longer")
    assert row(study_agreement(recordings, tier="macro", draws=20), "pooled").candidates == 6
    assert row(study_agreement(recordings, tier="all", draws=20), "pooled").candidates == 54


def test_pairs_that_saw_the_machine_are_counted_and_stand_apart():
    blind, opened = made_up(3, mode="blind"), made_up(3, seed=7, mode="open")
    recordings = [
        *blind,
        *(CodedRecording(f"o{r.id}", *list(vars(r).values())[1:]) for r in opened),
    ]
    found = study_agreement(recordings, draws=20)
    assert row(found, "pooled").anchored == 24
    assert "24 of 48 candidates were decided after the machine's answer was shown" in " ".join(
        found.notes
    )
    for mode, own in (("open", opened), ("blind", blind)):
        part = row(found, "mode", mode)
        assert part.candidates == 24
        assert part.kappa.value == pytest.approx(
            row(study_agreement(own, draws=20), "pooled").kappa.value
        )
    assert event_agreement(opened[0].first, opened[0].second).anchored == 9
    assert event_agreement(blind[0].first, blind[0].second).anchored == 0


def test_how_far_two_events_must_overlap_is_chosen():
    one = CodedRecording(
        "a", "a", "P", (event("x c1", 0.0, added=True),), (event("y c1", 0.08, added=True),)
    )
    assert row(study_agreement([one], overlap=0.4), "pooled").matched == 1
    assert row(study_agreement([one], overlap=0.5), "pooled").matched == 0  # .12 of .28
    with pytest.raises(ValueError, match=r"an overlap above 0 and up to 1, got 1\.5"):
        study_agreement([one], overlap=1.5)


def test_a_study_without_events_or_recordings_is_no_error():
    nothing = study_agreement([])
    assert nothing.rows[0].kappa == nothing.rows[0].f1 == Estimate()
    assert "No recording has been done by both" in nothing.notes[0]
    pending = CodedRecording(
        "a", "a", "P", (event("m0", 1.0, status="pending"),), (event("m0", 1.0),)
    )
    found = study_agreement([pending])
    assert (found.rows[0].undecided, found.rows[0].candidates, found.rows[0].events_second) == (
        1,
        0,
        1,
    )
    json.dumps(asdict(study_agreement(made_up(6), draws=20)), allow_nan=False)
