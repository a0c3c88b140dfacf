"""Spotting on measurements with planted movements: what is found, what is held back and why."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import find_peaks

from micromimic.core.labels import CELLS
from micromimic.face.signals import FaceRow, FaceSignals, SignalLog, signals_of
from micromimic.motion.spotting.blinks import find_blinks
from micromimic.motion.spotting.bumps import (
    bump_kernel,
    filter_columns,
    mad,
    peaks,
    strengths,
)
from micromimic.motion.spotting.cells import Noise, Part, Scene, read_peak, spot
from micromimic.motion.spotting.config import GateConfig, SpottingConfig
from micromimic.motion.spotting.gates import Gates, head_speed, light_change
from micromimic.motion.spotting.time_grid import Stretch, frame_rate, stretches

MOUTH = [CELLS.index("mouth_corner_left"), CELLS.index("mouth_corner_right")]
BROWS = [CELLS.index(name) for name in ("brow_left", "brow_centre", "brow_right")]


def raised_cosine(times, onset, apex, offset):
    """The planted movement: 0 at onset and offset, 1 at the apex."""
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip((times - onset) / (apex - onset), 0, 1))
    fall = 0.5 + 0.5 * np.cos(np.pi * np.clip((times - apex) / (offset - apex), 0, 1))
    return np.where(times < apex, rise, fall)


def still(seconds=12.0, rate=200.0, noise=0.01, seed=0):
    """A face at rest: slow drift, measurement noise, 17 pixels a unit."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    times = np.arange(n) / rate
    drift = 0.3 * np.sin(2 * np.pi * 0.1 * times + 1)[:, None, None]
    transform = np.zeros((n, 2, 3))
    transform[:, 0, 0] = transform[:, 1, 1] = 17.0
    return FaceSignals(
        times=times,
        segments=np.zeros(n, int),
        displacement=(rng.normal(0, noise, (n, 10, 2)) + drift).astype(np.float32),
        eye_change=np.abs(rng.normal(0.03, 0.004, n)).astype(np.float32),
        brightness=np.full(n, 120, np.float32),
        similarity=np.ones(n, np.float32),
        transform=transform,
        landmarks={0: np.zeros((68, 2))},
    )


def plant(signals, cells, onset, apex, offset, peak=0.15):
    moved = signals.displacement.copy()
    shape = raised_cosine(signals.times, onset, apex, offset) * peak
    for cell in cells:
        moved[:, cell, 1] += shape.astype(np.float32)
    return replace(signals, displacement=moved)


def blink(signals, start, end):
    eye = signals.eye_change.copy()
    shape = raised_cosine(signals.times, start, (start + end) / 2, end)
    moved = signals.displacement.copy()
    for cell in BROWS:
        moved[:, cell, 1] += (0.2 * shape).astype(np.float32)
    return replace(signals, eye_change=eye + 0.5 * shape.astype(np.float32), displacement=moved)


def test_kernel_ignores_level_and_trend_and_keeps_the_height():
    rate = 200.0
    kernel = bump_kernel(0.2, rate)
    t = np.arange(400) / rate
    line = (5 + 3 * t)[:, None]
    inside = slice(len(kernel), -len(kernel))
    np.testing.assert_allclose(filter_columns(line, [kernel])[0, inside], 0, atol=1e-9)


def test_each_column_is_correlated_with_each_kernel():
    x = np.random.default_rng(2).normal(size=(90, 3))
    kernels = [bump_kernel(seconds, 200.0) for seconds in (0.06, 0.17, 0.48)]
    for answer, kernel in zip(filter_columns(x, kernels), kernels, strict=True):
        padded = np.pad(x, ((len(kernel) // 2,) * 2, (0, 0)), mode="edge")
        slow = [np.convolve(column, kernel[::-1], "valid") for column in padded.T]
        np.testing.assert_allclose(answer, np.transpose(slow), atol=1e-6)


def test_mad_is_robust():
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.normal(0, 3, 5000), np.full(500, 1e6)])
    assert float(mad(x)) == pytest.approx(3, rel=0.2)


def test_a_still_face_gives_no_events():
    for seed in range(3):
        result = spot(still(30.0, seed=seed))
        assert result.events == ()
        assert np.nanmedian(result.curve.score) < 2


@pytest.mark.parametrize("rate", [100.0, 200.0])
@pytest.mark.parametrize("duration", [0.04, 0.08, 0.2, 0.4, 0.5])
def test_a_planted_movement_is_found_with_its_three_times(rate, duration):
    onset, apex, offset = 5.0, 5.0 + 0.45 * duration, 5.0 + duration
    result = spot(plant(still(rate=rate), MOUTH, onset, apex, offset))
    assert len(result.events) == 1
    event = result.events[0]
    tolerance = max(0.02 * rate, 0.12 * duration * rate)
    assert abs(event.apex - apex * rate) <= max(2.0, 0.05 * duration * rate)
    assert abs(event.onset - onset * rate) <= tolerance
    assert abs(event.offset - offset * rate) <= tolerance
    assert event.score > 6


def test_a_strong_movement_has_no_side_lobes():
    """The filter answers beside a movement with the opposite sign; nothing moves there."""
    result = spot(plant(still(), MOUTH, 5.0, 5.1, 5.3, peak=0.6))
    assert len(result.events) == 1
    assert result.spotting.rejected == ()


def test_two_movements_are_two_events():
    signals = plant(still(), MOUTH, 4.0, 4.1, 4.3)
    signals = plant(signals, BROWS, 5.5, 5.6, 5.8)
    assert len(spot(signals).events) == 2


def test_a_macro_expression_is_rejected_and_counted():
    signals = still()
    shape = np.clip((signals.times - 5) / 0.3, 0, 1) * np.clip((7.0 - signals.times) / 0.3, 0, 1)
    moved = signals.displacement.copy()
    moved[:, MOUTH, 1] += (0.5 * shape)[:, None].astype(np.float32)
    result = spot(replace(signals, displacement=moved))
    assert result.events == ()
    rejected = [item for item in result.spotting.rejected if item.reason == "macro"]
    assert len(rejected) == 2, "its rise and its fall"
    assert abs(rejected[0].peak - 5.3) < 0.4 and abs(rejected[1].peak - 6.7) < 0.4


def test_a_blink_is_no_event_and_is_reported():
    result = spot(blink(still(), 5.0, 5.25))
    assert result.events == ()
    assert len(result.spotting.blinks) == 1
    assert result.spotting.blinks[0].peak == pytest.approx(5.125, abs=0.03)
    assert result.spotting.gated_s["blink"] == pytest.approx(0.25, abs=0.08)


def test_a_mouth_movement_under_a_blink_is_still_found():
    signals = plant(blink(still(), 5.0, 5.2), MOUTH, 4.95, 5.15, 5.4)
    assert len(spot(signals).events) == 1


def test_a_widened_eye_is_no_blink():
    signals = still()
    eye = signals.eye_change + 0.12 * raised_cosine(signals.times, 5, 5.1, 5.3).astype(np.float32)
    assert spot(replace(signals, eye_change=eye)).spotting.blinks == ()


def test_head_movement_gates_and_counts():
    signals = plant(still(), MOUTH, 5.0, 5.15, 5.3)
    transform = signals.transform.copy()
    transform[:, 0, 2] += 60 * np.clip((signals.times - 4.9) / 0.5, 0, 1)
    result = spot(replace(signals, transform=transform))
    assert result.events == ()
    assert result.spotting.rejected_counts() == {"head": 1}
    assert result.spotting.gated_s["head"] == pytest.approx(0.6, abs=0.2)
    spans = [s for s in result.spotting.gated_spans if s.cause == "head"]
    assert len(spans) == 1 and spans[0].start < 5.0 < spans[0].end


def test_a_lighting_change_gates_and_counts():
    signals = plant(still(), MOUTH, 5.0, 5.15, 5.3)
    light = signals.brightness * np.where(signals.times > 5.15, 1.3, 1.0).astype(np.float32)
    result = spot(replace(signals, brightness=light))
    assert result.events == ()
    assert result.spotting.rejected_counts() == {"light": 1}


def test_speech_like_crowds_are_rejected():
    signals = still()
    for start in np.arange(3.0, 9.0, 0.42):
        signals = plant(signals, MOUTH, start, start + 0.15, start + 0.35, peak=0.4)
    result = spot(signals)
    assert len(result.events) <= 2  # the first and last syllable have silence on one side
    assert sum(result.spotting.rejected_counts().values()) >= 10


def test_a_weak_movement_must_stand_out_of_an_unquiet_stretch():
    """Compressed video has stretches in which everything wobbles a little, and bumps among it."""
    signals = plant(still(40.0), BROWS, 9.8, 9.9, 10.0, peak=0.025)
    rng = np.random.default_rng(3)
    wobble = np.zeros_like(signals.displacement)
    part = slice(24 * 200, 34 * 200)
    slow = rng.normal(0, 1.0, (10 * 200, 10, 2))
    slow = filter_columns(slow.reshape(2000, 20), [np.hanning(25) / 12])[0]
    wobble[part] = 0.03 * slow.reshape(2000, 10, 2)
    unquiet = replace(signals, displacement=signals.displacement + wobble)
    found = spot(unquiet)
    assert [round(float(signals.times[e.apex]), 1) for e in found.events] == [9.9]
    blind = spot(unquiet, SpottingConfig(stand_out=0.0, crowd_share=1.1, crowd_one_side=1.1))
    assert len(blind.events) >= 3
    assert found.spotting.rejected_counts().get("crowded", 0) >= len(blind.events) - 1


@pytest.mark.filterwarnings("error")
def test_a_starved_camera_gives_no_broken_numbers():
    """On an overloaded machine a live page once got a frame a second: levels of no samples."""
    config = SpottingConfig()
    x = np.random.default_rng(0).normal(0, 0.01, (60, 10, 2))
    x[30, MOUTH] += 0.5
    kernels = [bump_kernel(duration, 0.8) for duration in config.durations_at(0.8)]
    answers = filter_columns(x.reshape(60, 20), kernels)
    noise = mad(answers[0]).reshape(1, 10, 2)
    answers = answers.reshape(1, 60, 10, 2)
    score = strengths(answers, noise, 3)[0]
    shut, times = np.zeros(60, bool), np.arange(60) / 0.8
    gates = Gates(shut, shut, shut, [])
    stretch = Stretch(np.arange(60), times, ~shut, x, times, times, np.zeros((60, 2, 3)))
    part = Part(stretch, gates, x, times, answers)
    scene = Scene(
        part, Noise(0.8, noise, 1.0), np.array([0.48]), score, np.zeros(60, int), ends=True
    )
    item = read_peak(30, scene, config)
    assert item is not None
    assert item.reason


def lose(signals, start, end, new_segment):
    gone = (signals.times >= start) & (signals.times < end)
    segments = signals.segments.copy()
    segments[gone] = -1
    if new_segment:
        segments[signals.times >= end] = 1
    moved = signals.displacement.copy()
    moved[gone] = np.nan
    return replace(signals, segments=segments, displacement=moved)


def test_a_gap_hides_what_lies_at_its_edge_and_nothing_else():
    signals = plant(still(), MOUTH, 2.0, 2.15, 2.3)
    signals = plant(signals, MOUTH, 6.5, 6.6, 6.8)
    signals = plant(signals, MOUTH, 9.0, 9.1, 9.3)
    result = spot(lose(signals, 5.0, 6.4, new_segment=True))
    assert [e.apex / 200 for e in result.events] == pytest.approx([2.15, 9.1], abs=0.03)
    assert result.spotting.rejected_counts().get("lost", 0) >= 1
    gap = (result.curve.times >= 5.0) & (result.curve.times < 6.4)
    assert np.isnan(result.curve.score[gap]).all()
    assert np.isnan(result.curve.cells[gap]).all()


def test_a_dropped_frame_does_not_cut_a_stretch():
    signals = lose(still(4.0), 2.0, 2.02, new_segment=False)
    pieces = stretches(signals, 200.0)
    assert len(pieces) == 1
    assert not pieces[0].found.all()


def test_variable_frame_rate_uses_real_time():
    signals = plant(still(), MOUTH, 5.0, 5.2, 5.4)
    rng = np.random.default_rng(3)
    keep = np.sort(rng.choice(len(signals.times), 1500, replace=False))
    fields = ("times", "segments", "displacement", "eye_change", "brightness",
              "similarity", "transform")  # fmt: skip
    thinned = replace(signals, **{name: getattr(signals, name)[keep] for name in fields})
    result = spot(thinned)
    assert len(result.events) == 1
    event = result.events[0]
    assert thinned.times[event.apex] == pytest.approx(5.2, abs=0.03)
    assert thinned.times[event.onset] == pytest.approx(5.0, abs=0.05)


def test_signal_scale_does_not_matter():
    signals = plant(still(), MOUTH, 5.0, 5.2, 5.4)
    larger = replace(signals, displacement=signals.displacement * 20)
    config = SpottingConfig(noise_floor=0.0)
    assert spot(signals, config).events[0].apex == spot(larger, config).events[0].apex


def test_no_face_or_too_short_gives_nothing():
    signals = still(1.0)
    lost = replace(signals, segments=np.full(len(signals.times), -1))
    assert spot(lost).events == ()
    assert spot(lost).spotting.observed_s == 0
    assert spot(still(0.1)).events == ()


def test_seconds_add_up():
    signals = lose(blink(still(), 3.0, 3.3), 8.0, 8.5, new_segment=True)
    spotting = spot(signals).spotting
    total = spotting.observed_s + sum(spotting.gated_s.values())
    assert total == pytest.approx(signals.found.sum() / 200, abs=0.05)


def test_frame_rate_is_the_median():
    times = np.array([0, 0.01, 0.02, 0.5, 0.51, 0.52])
    assert frame_rate(times) == pytest.approx(100)
    with pytest.raises(ValueError, match="at least 2 timestamps"):
        frame_rate(np.zeros(1))


def test_head_speed_is_relative_to_the_face():
    n, rate = 400, 200.0
    transform = np.zeros((n, 2, 3))
    transform[:, 0, 0] = transform[:, 1, 1] = 10.0  # eyes 150 px apart
    transform[:, 0, 2] = 30 * np.arange(n) / rate  # 30 px/s
    speed = head_speed(transform, rate)
    assert speed[100:-100] == pytest.approx(0.2, rel=0.02)


def test_mains_flicker_is_no_lighting_change():
    t = np.arange(800) / 200.0
    flicker = 120 * (1 + 0.03 * np.sin(2 * np.pi * 99.8 * t))
    assert light_change(flicker, 200.0).max() < 0.02
    step = np.where(t > 2, 150.0, 120.0)
    assert light_change(step, 200.0).max() > 0.2


def test_blinks_of_closed_eyes_are_gated_but_not_counted():
    t = np.arange(2000) / 200.0
    rng = np.random.default_rng(0)
    eye = 0.03 + 0.003 * rng.normal(size=len(t)) + 0.5 * ((t > 4) & (t < 4.25))
    blinks, mask = find_blinks(eye, t, 200.0, GateConfig())
    assert len(blinks) == 1
    assert mask.sum() / 200 == pytest.approx(0.25, abs=0.06)


def test_signal_log_keeps_rows_across_blocks():
    log = SignalLog()
    moved, place = np.zeros((10, 2), np.float32), np.eye(2, 3)
    for i in range(SignalLog.BLOCK + 10):
        row = None if i % 2 else FaceRow(i / 10, i % 4, moved, 0.0, float(i), 1.0, place)
        log.add(i / 10, row)
    signals = log.signals({0: np.zeros((68, 2))}, 3)
    assert len(signals.times) == SignalLog.BLOCK + 10
    assert signals.brightness[4] == 4.0 and signals.segments[4] == 0
    assert np.isnan(signals.brightness[2]) and signals.segments[2] == -1
    assert set(signals.landmarks) == {0} and signals.others_seen == 3


def test_the_last_rows_of_a_log_are_those_that_were_added() -> None:
    rng, log, rows = np.random.default_rng(0), SignalLog(keep_s=60.0), []
    for i in range(2 * SignalLog.BLOCK + 7):
        moved = rng.normal(size=(10, 2)).astype(np.float32)
        row = FaceRow(i / 10, i // 40, moved, 0.5, float(i), 0.9, rng.normal(size=(2, 3)))
        rows.append((i / 10, row if i % 5 else None))
        log.add(*rows[-1])
    for first in (0, SignalLog.BLOCK - 3, SignalLog.BLOCK, len(rows) - 1, len(rows)):
        expected, seen = signals_of(rows[first:]), log.since(first / 10)
        for name, values in vars(expected).items():
            np.testing.assert_array_equal(getattr(seen, name), values)


def test_peaks_are_scipys() -> None:
    rng = np.random.default_rng(3)
    for count in (0, 1, 2, 3, 40, 400):
        for apart in (1, 2, 7):
            score = rng.normal(size=count)
            expected, _ = find_peaks(score, height=0.2, distance=apart)
            found = peaks(score, 0.2, apart)
            assert sorted(found) == sorted(expected)
            assert (np.diff(score[found]) <= 0).all()
