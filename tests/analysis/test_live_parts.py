"""The parts of a live session, one by one: buffer, outbox, meter, ring, follower, tracker."""

import pickle
import weakref
from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from micromimic.analysis.live.buffer import FrameBuffer, Gap, Meter, Thinning, shortest_movement
from micromimic.analysis.live.follow import FaceRing, Follower, face_box, smaller, to_whole
from micromimic.analysis.live.messages import (
    MOST_PASSING,
    CurvePoint,
    FaceShape,
    Listeners,
    Settled,
)
from micromimic.analysis.second_pass import AnalyzeConfig, second_pass
from micromimic.core.canonical import UNITS, apply_affine, invert_affine
from micromimic.face.landmarks import DlibLandmarks
from micromimic.face.signals import FaceRow, SignalLog
from micromimic.face.tracking import FaceTracker
from micromimic.media.frames import Frame
from micromimic.media.live.source import Arrival
from micromimic.motion.apex import locate
from micromimic.motion.spotting.cells import Spotted
from micromimic.motion.spotting.live import LiveSpotter
from micromimic.synthesis.clips import ClipConfig, plan_clip, planted_poses, render

FPS = 100.0


def arrival(index, arrived, side=8):
    return Arrival(Frame(index, index / FPS, np.zeros((side, side), np.uint8)), arrived)


def test_a_buffer_refuses_what_waits_too_long_and_takes_evenly_spaced_frames():
    now = 0.0
    buffer = FrameBuffer(0.5, clock=lambda: now)
    taken = []
    for index in range(400):  # 100 frames a second come, 40 are taken
        now = index / FPS
        buffer.put(arrival(index, now))
        if index % 5 in {0, 2} and (item := buffer.take(0.0)) is not None:
            taken.append(item.frame.index)
    assert buffer.thinning == 3
    assert buffer.dropped + len(taken) + len(buffer) == buffer.received == 400
    last = np.diff(taken[-30:])
    assert set(last) == {3}


def test_a_moments_stall_drops_nothing():
    now = 0.0
    buffer = FrameBuffer(0.5, clock=lambda: now)
    for index in range(300):
        now = index / FPS
        buffer.put(arrival(index, now))
        stalled = 100 <= index < 133
        for _ in range(0 if stalled else 3):
            buffer.take(0.0)
    assert buffer.dropped == 0


def test_frames_that_the_source_dropped_are_counted():
    buffer = FrameBuffer(0.5, clock=lambda: 0.0)
    for index in (0, 1, 5, 6):
        buffer.put(arrival(index, 0.0))
    assert (buffer.received, buffer.dropped) == (7, 3)


def test_thinning_goes_back_after_calm_and_later_each_time():
    thinning = Thinning(0.5)
    steps = []
    for k in range(4000):
        now = k / 20
        high = thinning.every == 1  # all frames are always too many
        steps.append(thinning.step(now, 0.4 if high else 0.01))
    back = np.flatnonzero(np.diff(steps) < 0) / 20
    assert len(back) >= 4
    waits = np.diff(back)
    assert (np.diff(waits[:3]) > 0).all(), waits
    assert waits.max() <= Thinning.LONGEST_CALM_S + 1


def test_a_buffer_bounds_memory_and_ends(monkeypatch):
    monkeypatch.setattr("micromimic.analysis.live.buffer.MOST_BYTES", 1000)
    buffer = FrameBuffer(0.5, clock=lambda: 0.0)
    for index in range(50):
        buffer.put(arrival(index, 0.0))
    buffer.gap()
    buffer.end()
    held = 0
    while not isinstance(buffer.take(0.0), Gap):
        held += 1
    assert held == 1000 // 64 + 1
    with pytest.raises(EOFError):
        buffer.take(0.0)


def test_a_slow_reader_loses_points_of_the_curve_and_no_event():
    listeners = Listeners()
    box, other = listeners.add(), listeners.add(20, curve=False)
    settled = [Settled(n, True) for n in range(100)]
    shape = FaceShape(0, np.zeros((68, 2)), np.zeros((10, 4)))
    listeners.put(shape)
    for n in range(20 * MOST_PASSING):
        listeners.put(CurvePoint(n, n / FPS, False))
        if n % 800 == 0:
            listeners.put(settled[n // 800])
    listeners.end()
    told = list(box)
    assert shape in told, "the latest shape stays"
    assert list(other) == settled, "who wants no curve has none, and loses none"
    assert [item for item in told if isinstance(item, Settled)] == settled
    points = [item.frame for item in told if isinstance(item, CurvePoint)]
    assert len(points) <= MOST_PASSING
    assert points == sorted(points) and points[-1] == 20 * MOST_PASSING - 1, "the newest stay"
    assert box.dropped[CurvePoint] == 20 * MOST_PASSING - len(points)


def test_who_has_closed_a_mailbox_is_let_go():
    listeners = Listeners()
    with listeners.add() as box:
        listeners.put(Settled(1, True))
        assert box.take(0.0) == Settled(1, True)
    gone = weakref.ref(box)
    del box
    listeners.put(Settled(2, True))
    assert gone() is None


def test_the_claim_is_lowered_with_the_rate():
    assert shortest_movement(100.0) == 0.04
    assert shortest_movement(50.0) == pytest.approx(0.08)
    assert shortest_movement(0.0) is None
    now = 10.0
    meter = Meter(lambda: now)
    for index in range(0, 100, 2):
        meter.receive(arrival(index, 9.9))
        meter.finish(arrival(index, 9.9))
    assert meter.rates() == (pytest.approx(50.0), pytest.approx(50.0))
    assert meter.latency_ms()["median"] == pytest.approx(100.0)
    assert meter.source_time() == pytest.approx(0.98 + 0.1)


def row_at(time, transform, segment=0):
    displacement = np.zeros((10, 2), np.float32)
    return FaceRow(time, segment, displacement, 0.0, 100.0, 1.0, transform)


class Whole:
    """Whole frames, as a file would give them again."""

    def __init__(self, clip):
        self.clip = clip

    def frames_at(self, indices):
        for index in indices:
            yield Frame(index, index / FPS, self.clip[index], coloured(self.clip[index]))


def coloured(gray):
    return lambda: np.repeat(gray[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def moving():
    """A second of a moving head: frames, (n, 2, 3) where the face is, its landmarks."""
    config = ClipConfig(
        seconds=2.0, fps=FPS, width=320, height=240, face_px=225.0, drift_px=30.0, noise_sd=1.0
    )
    plan = plan_clip(config, 5)
    poses = planted_poses(plan)[:60]
    clip = list(render(plan, frames=range(60)))
    points = locate(clip[0], DlibLandmarks())
    return clip, poses, apply_affine(invert_affine(poses[0]), points)


@pytest.mark.parametrize("view", ["flow", "faces", "volume"])
def test_what_is_cut_from_the_ring_is_what_whole_frames_give(moving, view):
    clip, poses, shape = moving
    ring = FaceRing(2**30)
    for number, gray in enumerate(clip):
        ring.add(number, gray, row_at(number / FPS, poses[number]), coloured(gray))
    frames = (20, 32, 45)
    cut = ring.cut(frames[0] / FPS - 0.05, frames[2] / FPS + 0.05, 0)
    signals = replace(cut.signals(), landmarks={0: shape})
    places = [cut.place_of(number) for number in frames]
    assert cut.numbers[places].tolist() == list(frames)
    config = AnalyzeConfig()
    (shown,) = second_pass(cut, signals, [Spotted(*places, 9.0)], config, view)
    whole = replace(signals, times=np.arange(60) / FPS, segments=np.zeros(60, int), transform=poses)
    spotted = [Spotted(*frames, 9.0)]
    (expected,) = second_pass(Whole(clip), whole, spotted, config, view)
    assert np.abs(expected.flow.uv).max() > 0.01
    np.testing.assert_allclose(shown.flow.uv, expected.flow.uv, atol=3e-4)
    np.testing.assert_array_equal(shown.onset_face, expected.onset_face)
    np.testing.assert_array_equal(shown.apex_face, expected.apex_face)
    assert shown.view.shape == expected.view.shape
    np.testing.assert_allclose(
        shown.view.astype(float),
        expected.view,
        atol={"flow": 3e-4, "faces": 1.0, "volume": 2.0}[view],
    )


def test_a_ring_holds_only_the_face_and_only_so_much():
    gray = np.zeros((480, 640), np.uint8)
    place = np.array([[4.0, 0, 200], [0, 4.0, 150]])
    ring = FaceRing(200_000)
    for number in range(100):
        ring.add(number, gray, row_at(number / FPS, place), None)
    assert ring.nbytes <= 200_000 and 1 < len(ring) < 10
    held = ring.cut(0.0, 9.0, 0).numbers.tolist()
    assert held == list(range(100 - len(ring), 100))
    assert ring.cut(0.0, 9.0, 1) is None, "another stretch"
    assert ring.cut(0.0, (held[0] - 1) / FPS, 0) is None, "what was let go is gone"
    ring.trim(2.0)
    assert len(ring) == 0 and ring.nbytes == 0


def test_a_face_at_the_border_is_cut_at_the_border():
    place = np.array([[4.0, 0, -30], [0, 4.0, 400]])
    left, top, right, bottom = face_box(place, (480, 640), 9.0)
    assert (left, bottom) == (0, 480) and top == 364 and right == 4 * 37 - 30 + 1
    gone = face_box(np.array([[1.0, 0, 5000], [0, 1.0, 5000]]), (480, 640), 9.0)
    assert gone == (639, 479, 640, 480)


class FakeTracker:
    """Finds two people by turns, as planned: person 0, then 1, then nobody."""

    canvas = None

    def __init__(self, plan):
        self.plan = plan
        self.number = 0
        self.area = {0: 0.0, 1: 0.0}

    def update(self, gray, now):
        person = self.plan(self.number)
        self.number += 1
        if person is None:
            return None
        self.area[person] += 1.0
        return row_at(now, np.array([[2.0, 0, 10], [0, 2.0, 10]]), segment=person)

    def chosen(self):
        return max(self.area, key=lambda person: self.area[person])

    def person_of(self, segment):
        return segment

    def shape_of(self, segment):
        return np.zeros((68, 2))


def follow(tracker, frames, spotter=None, ring=None):
    told = []
    follower = Follower(
        tracker, spotter or LiveSpotter(), ring or FaceRing(10**7), told.append, told.append,
        colour=False,
    )  # fmt: skip
    gray = np.zeros((64, 64), np.uint8)
    for number in range(frames):
        follower.track(Frame(number, number / 25.0, gray), lambda: 0.0)
        follower.spot()
    return follower, told


def test_the_person_seen_largest_and_longest_is_watched():
    plan = [0] * 20 + [1] * 15 + [None] * 5 + [1] * 30
    spotter = LiveSpotter()
    follower, told = follow(FakeTracker(lambda n: plan[n]), len(plan), spotter)
    found = [point.found for point in told if isinstance(point, CurvePoint)]
    assert found == [True] * 20 + [False] * 20 + [False] * 5 + [True] * 25
    assert [shape.segment for shape in told if isinstance(shape, FaceShape)] == [0, 1]
    assert not follower.other and spotter.learning


@pytest.mark.parametrize("degrees", [0, 20, 100, 190, 300])
def test_the_box_of_a_face_holds_its_corners(degrees):
    across = 5 * np.exp(1j * np.radians(degrees))
    place = np.array([[across.real, -across.imag, 800.3], [across.imag, across.real, 700.6]])
    square = np.array([(x, y) for x in (-9, UNITS + 9) for y in (-9, UNITS + 9)])
    corners = apply_affine(place, square)
    expected = (*np.floor(corners.min(0)), *(np.ceil(corners.max(0)) + 1))
    assert face_box(place, (3000, 3000), 9.0) == expected
    left, top, right, bottom = face_box(place - (0, 0, 900), (400, 300), 9.0)
    assert 0 <= left < right <= 300 and 0 <= top < bottom <= 400


def test_hours_of_frames_do_not_fill_the_memory(monkeypatch):
    """Five minutes at 25 frames a second, with people coming and going: ten times what is kept."""
    monkeypatch.setattr(SignalLog, "BLOCK", 32)
    spotter, ring = LiveSpotter(), FaceRing(10**7)
    tracker = FakeTracker(lambda n: None if n % 700 < 30 else 0)
    gray = np.zeros((64, 64), np.uint8)
    told = deque(maxlen=10)
    named = []
    follower = Follower(tracker, spotter, ring, told.append, named.append, colour=False)
    sizes = []
    for number in range(7500):
        follower.track(Frame(number, number / 25.0, gray), lambda: 0.0)
        if number % 10 == 0:  # looks cost time, and their number does not matter here
            follower.spot()
        if number % 1250 == 1249:
            sizes.append((len(pickle.dumps(spotter)), ring.nbytes))
    spotter_sizes, ring_sizes = zip(*sizes, strict=True)
    assert max(spotter_sizes[1:]) < 1.5 * spotter_sizes[1]
    assert max(ring_sizes) <= 10**7
    assert named == []


def test_the_tracker_forgets_what_is_old_and_keeps_the_sums(monkeypatch):
    """People come and go; log, shapes and areas stay small, and who was first counts."""
    monkeypatch.setattr(SignalLog, "BLOCK", 32)
    config = ClipConfig(
        seconds=2.0, fps=25.0, width=320, height=240, face_px=225.0, events_per_minute=0,
        macros_per_minute=0, blinks_per_minute=0, head_moves_per_minute=0,
    )  # fmt: skip
    face = next(iter(render(plan_clip(config, 1))))
    empty = np.full_like(face, 90)
    kept, whole = FaceTracker(keep_s=1.0), FaceTracker()
    for number in range(180):
        gray = empty if number % 12 < 5 else face
        for tracker in (kept, whole):
            row = tracker.update(gray, number / 25.0)
            assert row is None or row.segment in tracker._landmarks
    assert len(whole._landmarks) >= 12
    assert len(kept._landmarks) <= 8
    assert len(kept._person) == len(kept._area) == len(kept._landmarks)
    assert len(kept._log) <= 1.0 * 25 + 2 * 32
    assert kept._totals() == pytest.approx(whole._totals())
    assert kept.chosen() == whole.chosen() == 0
    last = kept.finish()
    np.testing.assert_array_equal(
        last.displacement, whole.finish().displacement[-len(last.times) :]
    )


def test_large_pictures_are_made_smaller_and_places_are_told_in_the_large_one():
    gray = np.zeros((1200, 1920), np.uint8)
    small, factor = smaller(gray)
    assert small.shape == (800, 1280) and factor == pytest.approx(2 / 3)
    assert smaller(small)[0] is small
    corner = to_whole(factor) @ np.array([1279, 799, 1])
    np.testing.assert_allclose(corner, [1918.75 + 0.5 * 0.5 - 0.25, 1198.75], atol=0.51)
