"""The live spotter against the offline one: the same events, told soon, looked at again."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from micromimic.face.signals import FaceRow
from micromimic.motion.spotting.cells import spot
from micromimic.motion.spotting.live import LiveCurve, LiveSpotter, LiveTiming, Sighting, Verdict

from .test_spotting import BROWS, MOUTH, blink, plant, raised_cosine, still


def rows_of(signals):
    """What the tracker would hand on, frame by frame."""
    for i, time in enumerate(signals.times):
        row = None
        if signals.segments[i] >= 0:
            row = FaceRow(
                float(time),
                int(signals.segments[i]),
                signals.displacement[i],
                float(signals.eye_change[i]),
                float(signals.brightness[i]),
                1.0,
                signals.transform[i],
            )
        yield i, float(time), row


def watch(signals, spotter=None, finish=True):
    """Everything told: [(time of telling, finding)]."""
    spotter = spotter or LiveSpotter()
    told = [
        (time, item) for number, time, row in rows_of(signals) for item in spotter.add(
            number, time, row
        )
    ]  # fmt: skip
    if finish:
        told += [(float(signals.times[-1]), item) for item in spotter.finish()]
    return told


def sightings(told):
    return [item for _, item in told if isinstance(item, Sighting)]


def verdicts(told):
    return {item.number: item for _, item in told if isinstance(item, Verdict)}


def kept(told):
    """Sightings that were confirmed, by onset."""
    settled = verdicts(told)
    return sorted((s for s in sightings(told) if settled[s.number].kept), key=lambda s: s.frames)


def delays(told):
    """Seconds from offset to telling, of those not late."""
    return [
        time - item.interval.offset
        for time, item in told
        if isinstance(item, Sighting) and not item.late
    ]


def same_as_offline(signals, told, frames=2):
    offline = spot(signals).events
    live = kept(told)
    assert [s.frames[1] for s in live] == pytest.approx([e.apex for e in offline], abs=frames)
    assert [s.frames[0] for s in live] == pytest.approx([e.onset for e in offline], abs=frames)
    assert [s.frames[2] for s in live] == pytest.approx([e.offset for e in offline], abs=frames)
    return offline


@pytest.mark.parametrize("rate", [50.0, 100.0, 200.0])
def test_events_are_those_of_offline_analysis_and_told_in_half_a_second(rate):
    signals = still(26.0, rate=rate, seed=3)
    for onset, duration, cells in ((6.0, 0.12, MOUTH), (9.0, 0.3, BROWS), (12.0, 0.5, MOUTH),
                                   (15.5, 0.2, BROWS), (18.6, 0.4, MOUTH)):  # fmt: skip
        signals = plant(signals, cells, onset, onset + 0.45 * duration, onset + duration)
    signals = blink(signals, 14.0, 14.2)
    told = watch(signals)
    offline = same_as_offline(signals, told)
    assert len(offline) == 5
    assert not any(item.late for item in sightings(told))
    assert max(delays(told)) <= 0.46
    assert all(verdict.kept for verdict in verdicts(told).values())


def test_a_second_look_comes_once_for_each_and_after_all_of_the_future():
    signals = plant(still(14.0, rate=100.0), MOUTH, 6.0, 6.1, 6.25)
    told = watch(signals)
    assert [type(item) for _, item in told] == [Sighting, Verdict]
    (first, sighting), (second, verdict) = told
    assert verdict.number == sighting.number == 1
    assert second == pytest.approx(6.1 + LiveSpotter().settle, abs=0.11)
    assert first < 6.25 + 0.46


def test_movements_while_the_noise_is_learnt_are_told_at_its_end():
    signals = plant(still(9.0, rate=100.0, seed=4), MOUTH, 2.0, 2.1, 2.25)
    told = watch(signals)
    same_as_offline(signals, told)
    time, seen = told[0]
    assert seen.late and 4.0 <= time <= 4.2


def test_a_short_recording_is_told_at_its_end():
    signals = plant(still(3.0, rate=100.0), MOUTH, 1.5, 1.6, 1.75)
    told = watch(signals)
    assert len(same_as_offline(signals, told)) == 1
    assert [time for time, _ in told] == [pytest.approx(2.99)] * 2


def crowd_after(cells, begin, length):
    """One movement, and then many in a row."""
    signals = plant(still(12.0, rate=100.0), cells, 6.0, 6.1, 6.2)
    for k in range(9):
        start, peak = begin + length * k, 0.2 if k % 2 else -0.2
        signals = plant(signals, cells, start, start + length / 2, start + length, peak=peak)
    return signals


def test_a_movement_is_withdrawn_once_its_crowd_is_seen():
    """Where a stronger movement turns up beside one that was told, that one is told instead."""
    signals = crowd_after(BROWS, 6.4, 0.2)
    told = watch(signals)
    first = sightings(told)[0]
    assert first.frames[1] == pytest.approx(610, abs=2)
    assert verdicts(told)[first.number].reason == "crowded"
    assert not any(abs(event.apex - 610) < 30 for event in spot(signals).events)
    gone = [n for n, verdict in verdicts(told).items() if verdict.reason == "gone"]
    assert gone
    assert any(item.late and item.number > max(gone) for item in kept(told))
    assert min(np.diff([item.interval.apex for item in kept(told)])) > 0.3


def test_what_turns_out_to_be_speech_is_withdrawn():
    signals = crowd_after(MOUTH, 6.5, 0.16)
    told = watch(signals)
    first = sightings(told)[0]
    assert first.frames[1] == pytest.approx(610, abs=2)
    assert verdicts(told)[first.number].reason == "speech"
    assert same_as_offline(signals, told) == ()


def test_macro_expressions_and_blinks_are_never_told():
    signals = still(14.0, rate=100.0)
    shape = np.clip((signals.times - 6) / 0.3, 0, 1) * np.clip((8.0 - signals.times) / 0.3, 0, 1)
    moved = signals.displacement.copy()
    moved[:, MOUTH, 1] += (0.5 * shape)[:, None].astype(np.float32)
    signals = blink(blink(replace(signals, displacement=moved), 10.0, 10.2), 11.0, 11.3)
    assert watch(signals) == []
    assert spot(signals).events == ()


def test_a_lost_face_settles_at_once_what_was_told_and_drops_what_it_cuts_off():
    signals = plant(still(12.0, rate=100.0), MOUTH, 5.0, 5.1, 5.2)
    signals = plant(signals, MOUTH, 6.6, 6.7, 6.8)  # its future is cut off
    segments = signals.segments.copy()
    segments[710:900] = -1
    segments[900:] = 1
    told = watch(replace(signals, segments=segments))
    assert [s.frames[1] for s in sightings(told)] == [pytest.approx(510, abs=2)]
    settled = next(time for time, item in told if isinstance(item, Verdict))
    assert settled == pytest.approx(7.2, abs=0.03)
    assert len(same_as_offline(replace(signals, segments=segments), told)) == 1


def test_noise_outlives_a_short_absence():
    signals = plant(still(14.0, rate=100.0), MOUTH, 8.0, 8.1, 8.2)
    segments = signals.segments.copy()
    segments[600:650] = -1
    segments[650:] = 1
    told = watch(replace(signals, segments=segments))
    assert len(sightings(told)) == 1 and not sightings(told)[0].late


@pytest.mark.parametrize("frames_go_on", [True, False])
def test_after_a_long_absence_the_noise_is_learnt_anew(frames_go_on):
    """Of the half minute that noise reaches back, nothing is left then."""
    signals = plant(still(60.0, rate=50.0, seed=8), MOUTH, 8.0, 8.1, 8.25)
    signals = plant(signals, MOUTH, 50.0, 50.1, 50.25)
    away = (signals.times > 12.0) & (signals.times < 45.0)
    segments = np.where(away, -1, np.where(signals.times < 20.0, 0, 1))
    spotter, told = LiveSpotter(), []
    for number, time, row in rows_of(replace(signals, segments=segments)):
        if row is not None or frames_go_on:
            told += [(time, item) for item in spotter.add(number, time, row)]
        if 45.5 < time < 48.5:
            assert spotter.learning
    told += [(60.0, item) for item in spotter.finish()]
    assert [s.interval.apex for s in kept(told)] == pytest.approx([8.1, 50.1], abs=0.03)
    assert not any(s.late for s in sightings(told))


def test_noise_is_not_learnt_from_pieces_too_short_to_be_looked_at():
    """A face that is lost and found again all the time, and then stays."""
    signals = plant(still(20.0, rate=50.0, seed=9), MOUTH, 16.0, 16.1, 16.25)
    k = np.arange(len(signals.times))
    flickers = signals.times < 10.0
    segments = np.where(flickers & (k % 20 >= 12), -1, np.where(flickers, k // 20, 100))
    told = watch(replace(signals, segments=segments))
    assert [s.interval.apex for s in sightings(told)] == pytest.approx([16.1], abs=0.03)


def test_a_pause_of_the_source_ends_a_stretch_though_the_face_is_still_locked():
    signals = still(14.0, rate=100.0)
    moved = signals.displacement.copy()
    moved[700:] += 0.4  # whatever happened meanwhile is no movement
    paused = signals.times + np.where(np.arange(1400) >= 700, 3.0, 0.0)
    assert watch(replace(signals, times=paused, displacement=moved)) == []


def test_uneven_times_are_put_on_a_grid():
    rng = np.random.default_rng(5)
    even = plant(still(16.0, rate=100.0, seed=6), MOUTH, 8.0, 8.15, 8.3)
    jitter = even.times + rng.uniform(-0.003, 0.003, len(even.times))
    moved = even.displacement.copy()
    for k, axis in np.ndindex(10, 2):
        moved[:, k, axis] = np.interp(jitter, even.times, even.displacement[:, k, axis])
    signals = replace(even, times=jitter, displacement=moved)
    told = watch(signals)
    assert len(same_as_offline(signals, told)) == 1
    assert max(delays(told)) <= 0.46


def test_a_movement_is_told_once_where_every_second_frame_is_lost() -> None:
    """By the rate of the last seconds some gaps part two stretches now, and do not soon after."""
    rng = np.random.default_rng(9)
    signals = still(24.0, rate=30.0, seed=10)
    for onset in np.arange(6.0, 22.0, 3.0):
        signals = plant(signals, MOUTH, onset, onset + 0.2, onset + 0.45, peak=0.4)
    segments = np.where(rng.random(len(signals.times)) < 0.5, 0, -1)
    rows = [item for item in rows_of(replace(signals, segments=segments)) if item[2] is not None]
    spotter = LiveSpotter()
    told = [(row[1], item) for row in rows for item in spotter.add(*row)]
    apexes = [item.interval.apex for item in sightings(told)]
    assert len(apexes) >= 5
    assert min(np.diff(apexes)) > 1.0


@pytest.mark.parametrize("slow_first", [False, True])
def test_a_change_of_rate_keeps_the_past_and_the_noise(slow_first):
    """As when frames are thinned out, or no longer."""
    signals = plant(still(30.0, rate=200.0, seed=7), MOUTH, 8.0, 8.15, 8.3)
    signals = plant(signals, BROWS, 20.0, 20.15, 20.3)
    first = signals.times < 12.0
    second = np.arange(len(signals.times)) % 2 == 0
    keep = (first & second) | ~first if slow_first else first | second
    thinned = replace(
        signals,
        **{
            name: getattr(signals, name)[keep]
            for name in ("times", "segments", "displacement", "eye_change", "brightness",
                         "similarity", "transform")
        },
    )  # fmt: skip
    spotter = LiveSpotter()
    told = watch(thinned, spotter)
    assert [s.interval.apex for s in kept(told)] == pytest.approx([8.15, 20.15], abs=0.02)
    assert not any(s.late for s in sightings(told))
    assert spotter._noise.rate == pytest.approx(200.0 if slow_first else 100.0)


def test_another_person_is_learnt_anew():
    spotter = LiveSpotter()
    first = plant(still(8.0, rate=100.0), MOUTH, 6.5, 6.6, 6.7)
    told = watch(first, spotter, finish=False)
    assert not spotter.learning
    told += [(8.0, item) for item in spotter.change_person()]
    assert len(kept(told)) == 1
    assert spotter.learning


def test_a_point_of_the_curve_is_the_displacement_from_the_last_seconds_median():
    rng, curve = np.random.default_rng(0), LiveCurve()
    moved = rng.normal(0, 0.1, (400, 10, 2)).astype(np.float32)
    for i, now in enumerate(moved):
        score, cells = curve.point(i / 32, now)
        off = now - np.median(moved[max(0, i - 44) : i + 1].astype(float), axis=0)
        np.testing.assert_allclose(cells, np.linalg.norm(off, axis=1))
        if score is not None:
            energy = np.sort(((off / curve._noise) ** 2).sum(1))
            assert score == pytest.approx(np.sqrt(energy[-3:].mean()))
    assert score is not None


def test_a_session_of_hours_does_not_grow():
    """Five minutes at 20 frames a second: the state is as large as after two."""
    minute = plant(blink(still(60.0, rate=20.0), 20.0, 20.3), MOUTH, 40.0, 40.2, 40.4)
    spotter, curve = LiveSpotter(timing=LiveTiming(hop=0.25)), LiveCurve()
    sizes, told = [], 0
    for k in range(5):
        for number, time, row in rows_of(minute):
            now = time + 60.0 * k
            told += len(spotter.add(number + 1200 * k, now, replace(row, time=now)))
            curve.point(now, row.displacement)
        sizes.append(len(pickle.dumps((spotter, curve))))
    assert told >= 8
    assert max(sizes[1:]) < 1.3 * sizes[1]


def test_frames_are_asked_for_no_longer_than_a_second_look_needs():
    spotter = LiveSpotter()
    signals = still(10.0, rate=100.0)
    held = []
    for number, time, row in rows_of(signals):
        spotter.add(number, time, row)
        held.append(time - spotter.keep_from(time))
    assert max(held) < 4.2, "while learning, all of it"
    assert held[-1] < 3.5
    assert LiveSpotter().keep_from(5.0) == 5.0


def test_the_curve_is_known_at_once_and_scored_when_the_noise_is():
    signals = plant(still(12.0, rate=100.0), MOUTH, 8.0, 8.15, 8.3, peak=0.2)
    curve = LiveCurve()
    points = [curve.point(time, row.displacement) for _, time, row in rows_of(signals)]
    scores = np.array([np.nan if score is None else score for score, _ in points])
    cells = np.array([cells for _, cells in points])
    assert np.isnan(scores[:395]).all() and np.isfinite(scores[405:]).all()
    assert np.median(scores[450:790]) < 3
    assert int(np.nanargmax(scores)) == pytest.approx(815, abs=4)
    assert cells[815, MOUTH].min() > 0.15
    assert np.median(cells[450:790]) < 0.1
    curve.forget_noise()
    assert curve.point(20.0, signals.displacement[0])[0] is None


def test_a_frozen_picture_raises_no_alarm():
    signals = still(10.0, rate=100.0)
    frozen = np.zeros_like(signals.displacement)
    assert watch(replace(signals, displacement=frozen)) == []


def test_raised_cosines_end_where_they_should():
    """The planted movement this file relies on."""
    times = np.array([1.0, 1.1, 1.3])
    assert raised_cosine(times, 1.0, 1.1, 1.3) == pytest.approx([0, 1, 0])
