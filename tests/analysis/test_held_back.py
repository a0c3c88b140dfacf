"""The strongest movements that were not reported: which ones, and with what ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from micromimic.analysis.held_back import MOST, strongest
from micromimic.core.results import Rejected
from micromimic.motion.spotting.cells import Spotted, SpottingResult, spot

from ..motion.test_macro import BROWS, RATE, face, plant


def result(*rejected: Rejected, events: tuple[Spotted, ...] = ()) -> SpottingResult:
    before = spot(face())
    return replace(before, events=events, spotting=replace(before.spotting, rejected=rejected))


def movement(at: float, strength: float, reason: str = "head", half: float = 0.2) -> Rejected:
    frames = (round((at - half) * RATE), round(at * RATE), round((at + half) * RATE))
    return Rejected(at, reason, frames, strength, 0.25)


def test_a_movement_that_was_held_back_has_its_own_ends() -> None:
    signals = plant(face(), BROWS, (12.0, 12.14, 12.28), size=0.6)
    signals.transform[round(12.05 * RATE) : round(12.25 * RATE), 0, 2] += np.linspace(0, 60, 10)
    found = spot(signals)
    assert found.events == ()
    held = next(item for item in strongest(found, signals) if item.reason == "head")
    span = held.interval
    assert (span.onset, span.apex, span.offset) == pytest.approx((12.0, 12.14, 12.28), abs=0.06)
    assert held.apex_frame == round(span.apex * RATE)
    assert held.units == pytest.approx(0.6, abs=0.15) and held.pixels == 8 * held.units
    assert held.strength > 7


def test_the_strongest_come_first_apart_from_events_and_blinks_last() -> None:
    many = [movement(2 + 2.5 * k, 5.0 + k) for k in range(14)]
    blink, weak = movement(3.2, 40.0, "blink"), movement(36.5, 3.0)
    beside = movement(2 + 2.5 * 13 + 0.1, 9.0)
    event = Spotted(round(31.9 * RATE), round(32.0 * RATE), round(32.2 * RATE), 8.0)
    held = strongest(result(*many, blink, weak, beside, events=(event,)), face())
    assert len(held) == MOST
    wanted = [2 + 2.5 * k for k in (13, 11, 10, 9, 8, 7, 6, 5, 4, 3)]
    assert [h.interval.apex for h in held] == pytest.approx(sorted(wanted))
    few = strongest(result(blink, weak), face())
    assert [h.reason for h in few] == ["blink", "head"]


def test_what_has_no_extent_or_crosses_a_gap_is_left_out() -> None:
    signals = face()
    signals.segments[round(10 * RATE) :] = 1
    flat = Rejected(5.0, "lost", (250, 250, 250), 9.0)
    across, unknown = movement(10.0, 9.0), Rejected(7.0, "head")
    assert strongest(result(flat, across, unknown), signals) == ()
