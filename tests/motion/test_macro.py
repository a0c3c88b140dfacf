"""Longer expressions: what is found, what is not taken for one, and that no count has them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from micromimic.analysis.indicators import indicators
from micromimic.analysis.sensitivity.parts import candidates_of
from micromimic.analysis.trends import recording_numbers
from micromimic.cli.analyze import analysis_text
from micromimic.core.labels import CELLS, THREE
from micromimic.core.results import Analysis, Rejected
from micromimic.core.types import LONGEST_MICRO_S, Interval
from micromimic.face.signals import FaceSignals
from micromimic.motion.spotting.cells import Spotted, spot
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.macro import LONGEST_S, longer_expressions, with_longer
from micromimic.report.elan import eaf_bytes, eaf_document
from micromimic.report.page import report_html
from micromimic.report.tables import events_csv

from ..sample_analysis import sample_analysis

RATE = 50.0
CONFIG = SpottingConfig()
MOUTH = [k for k, name in enumerate(CELLS) if "mouth" in name or "chin" in name]
BROWS = [k for k, name in enumerate(CELLS) if "brow" in name]


def face(seconds: float = 40.0, seed: int = 0) -> FaceSignals:
    """A face at rest that drifts a little; 8 pixels a unit, the head in its place."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    times = np.arange(n) / RATE
    drift = 0.1 * np.sin(2 * np.pi * 0.04 * times + seed)[:, None, None]
    transform = np.zeros((n, 2, 3))
    transform[:, 0, 0] = transform[:, 1, 1] = 8.0
    return FaceSignals(
        times=times,
        segments=np.zeros(n, int),
        displacement=(rng.normal(0, 0.01, (n, 10, 2)) + drift).astype(np.float32),
        eye_change=np.abs(rng.normal(0.03, 0.004, n)).astype(np.float32),
        brightness=np.full(n, 120, np.float32),
        similarity=np.ones(n, np.float32),
        transform=transform,
        landmarks={0: np.zeros((68, 2))},
    )


def stay(times: np.ndarray, onset: float, apex: float, offset: float) -> np.ndarray:
    """Rises to the apex, stays, and falls as it rose."""
    fall = apex - onset
    rise = np.clip((times - onset) / (apex - onset), 0, 1)
    gone = np.clip((offset - times) / fall, 0, 1)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(rise, gone))


def plant(
    signals: FaceSignals, cells: list[int], span: tuple[float, float, float], size: float = 0.4
) -> FaceSignals:
    moved = signals.displacement.copy()
    moved[:, cells, 1] += (size * stay(signals.times, *span))[:, None].astype(np.float32)
    return replace(signals, displacement=moved)


def found(signals: FaceSignals, *micro: Spotted) -> list[tuple[float, float, float]]:
    events = longer_expressions(signals, micro, CONFIG)
    assert all(event.kind == "macro" for event in events)
    return [(e.onset / RATE, e.apex / RATE, e.offset / RATE) for e in events]


def test_what_may_be_a_micro_expression_is_one_length_everywhere() -> None:
    assert SpottingConfig().longest == LONGEST_MICRO_S


@pytest.mark.parametrize("span", [(9.0, 9.3, 9.9), (8.0, 8.4, 10.0), (8.0, 8.5, 11.8)])
@pytest.mark.parametrize("cells", [MOUTH, BROWS])
def test_expressions_of_one_to_four_seconds_are_found_with_their_times(
    span: tuple[float, float, float], cells: list[int]
) -> None:
    (event,) = found(plant(face(), cells, span))
    assert event == pytest.approx(span, abs=0.08 * (span[2] - span[0]))


def test_a_face_at_rest_and_too_short_a_recording_have_none() -> None:
    assert [found(face(seed=seed)) for seed in range(3)] == [[], [], []]
    assert found(plant(face(5.0), BROWS, (1.5, 1.8, 3.0))) == []


@pytest.mark.parametrize("span", [(9.0, 9.2, 9.45), (8.0, 8.5, 8.0 + LONGEST_S + 1.5)])
def test_shorter_and_longer_movements_are_no_longer_expressions(
    span: tuple[float, float, float],
) -> None:
    assert found(plant(face(), BROWS, span)) == []


def test_a_mouth_that_goes_on_and_on_is_speaking() -> None:
    signals = face()
    steps = np.random.default_rng(5).uniform(0.1, 0.7, 40)
    moved = signals.displacement.copy()
    for k, size in enumerate(steps):  # each syllable is as long as a longer expression
        onset = 5.0 + 0.7 * k
        if onset < 30:
            shape = stay(signals.times, onset, onset + 0.35, onset + 0.75)
            moved[:, MOUTH, 1] += (size * shape)[:, None].astype(np.float32)
    talking = replace(signals, displacement=moved)
    assert found(talking) == []
    (raised,) = found(plant(talking, BROWS, (14.0, 14.4, 16.0)))  # brows beside it are seen
    assert raised == pytest.approx((14.0, 14.4, 16.0), abs=0.12)


def test_a_head_that_turns_and_stays_is_no_expression() -> None:
    signals = plant(face(), BROWS, (9.0, 9.4, 11.0))
    transform = signals.transform.copy()
    transform[:, 0, 2] += 0.4 * 8.0 * 15 * stay(signals.times, 9.0, 9.4, 11.0)
    assert len(found(signals)) == 1
    assert found(replace(signals, transform=transform)) == []


def test_a_blink_within_it_neither_hides_nor_makes_one() -> None:
    signals = face()
    lids = np.exp(-(((signals.times - 9.5) / 0.08) ** 2)) + np.exp(
        -(((signals.times - 20.0) / 0.08) ** 2)
    )
    moved = signals.displacement.copy()
    moved[:, BROWS, 1] += (0.3 * lids)[:, None].astype(np.float32)
    signals = replace(
        signals,
        displacement=moved,
        eye_change=signals.eye_change + 0.6 * lids.astype(np.float32),
    )
    (event,) = found(plant(signals, BROWS, (9.0, 9.3, 10.5)))
    assert event == pytest.approx((9.0, 9.3, 10.5), abs=0.2)


def test_what_overlaps_a_micro_expression_is_left_to_it() -> None:
    signals = plant(face(), BROWS, (9.0, 9.4, 11.0))
    beside = Spotted(round(11.5 * RATE), round(11.6 * RATE), round(11.8 * RATE), 7.0)
    within = replace(beside, onset=round(10.5 * RATE))
    assert (len(found(signals, beside)), len(found(signals, within))) == (1, 0)


def test_what_is_an_event_now_is_no_longer_among_the_rejected() -> None:
    signals = plant(face(), MOUTH, (12.0, 12.3, 14.0), size=0.6)
    micro = Spotted(round(20 * RATE), round(20.1 * RATE), round(20.3 * RATE), 8.0)
    held = (Rejected(12.2, "macro"), Rejected(13.0, "blink"), Rejected(25.0, "macro"))
    before = spot(signals, CONFIG)
    before = replace(before, events=(micro,), spotting=replace(before.spotting, rejected=held))
    after = with_longer(before, signals, CONFIG)
    assert [event.kind for event in after.events] == ["macro", "micro"]
    assert after.spotting.rejected == held[1:]


@pytest.fixture(scope="module")
def mixed() -> Analysis:
    """Six micro-expressions, and two longer ones after the first of them."""
    sample = sample_analysis(evidence=False)
    first = sample.events[0]
    longer = [
        replace(
            first,
            interval=Interval(onset, onset + 0.4, onset + 2.0),
            onset_frame=round(200 * onset),
            apex_frame=round(200 * (onset + 0.4)),
            offset_frame=round(200 * (onset + 2.0)),
            kind="macro",
            label=label,
        )
        for onset, label in ((6.0, "negative"), (30.0, "positive"))
    ]
    events = tuple(sorted((*sample.events, *longer), key=lambda e: e.interval.onset))
    numbers = indicators(events, sample.spotting, sample.curve, sample.source, sample.track)
    return replace(sample, events=events, indicators=numbers)


def test_events_json_and_the_tables_name_the_kind(mixed: Analysis) -> None:
    content = json.loads(json.dumps(mixed.to_dict(), allow_nan=False))
    kinds = [entry["kind"] for entry in content["events"]]
    assert kinds.count("macro") == 2 and kinds.count("micro") == 6
    assert content["counts"] == {"micro": 6, "macro": 2}
    assert mixed.to_frame()["kind"].tolist() == kinds
    rows = list(csv.DictReader(events_csv(content["events"], THREE.names).splitlines()))
    assert [row["kind"] for row in rows] == kinds
    for entry in content["events"]:
        del entry["kind"]  # as 0.1 wrote them
    old = csv.DictReader(events_csv(content["events"], THREE.names).splitlines())
    assert {row["kind"] for row in old} == {"micro"}


def test_no_number_counts_longer_expressions(mixed: Analysis, tmp_path: Path) -> None:
    without = sample_analysis(evidence=False)
    assert mixed.indicators == without.indicators
    review = {"blinks": [], "movement_levels": []}
    numbers = [recording_numbers(a.to_dict(), review) for a in (mixed, without)]
    assert numbers[0] == numbers[1] and numbers[0].candidates == 6
    assert candidates_of(mixed) == candidates_of(without)
    lines = analysis_text("a.mp4", mixed, tmp_path).splitlines()
    found = "  6 candidate micro-expressions in 51 s, 2 longer expressions, "
    assert lines[0].startswith("a.mp4: 60.0 s") and lines[1].startswith(found)
    assert sum(line.endswith("  longer") for line in lines) == 2
    assert "longer expression" not in analysis_text("a.mp4", without, Path())


def test_elan_has_them_in_tiers_of_their_own(mixed: Analysis, tmp_path: Path) -> None:
    root = ElementTree.fromstring(eaf_bytes(eaf_document(mixed, tmp_path)))
    tiers = {tier.get("TIER_ID"): tier for tier in root.iter("TIER")}
    count = {name: len(tier.findall("ANNOTATION")) for name, tier in tiers.items()}
    assert (count["micro-expression"], count["macro-expression"], count["macro-phase"]) == (6, 2, 4)
    assert tiers["macro-phase"].get("PARENT_REF") == "macro-expression"


def test_the_report_lists_them_apart_and_shows_no_card(mixed: Analysis) -> None:
    page = report_html(mixed)
    assert "6 candidate micro-expressions in 51 s, 2 longer expressions" in page
    assert page.count('<article class="card') == 6
    apart = page.split("Longer expressions: no micro-expressions")[1].split("All candidates")[0]
    assert apart.count('<article class="moment') == 2
    bare = report_html(sample_analysis(evidence=False))
    assert "longer expression" not in bare.split("<script")[0]
