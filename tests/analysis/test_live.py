"""Live sessions: as offline, whatever breaks, and without a thread or a frame too many left."""

import functools
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

import micromimic
from micromimic.analysis.analyze import analyze
from micromimic.analysis.live import buffer as live_buffer, session as live_module
from micromimic.analysis.live.messages import (
    CurvePoint,
    Ended,
    FaceShape,
    LiveEvent,
    Settled,
    Started,
    Status,
)
from micromimic.analysis.live.session import LiveConfig, LiveSession
from micromimic.core.errors import InputError, ModelError, SourceLostError
from micromimic.face.landmarks import DlibLandmarks
from micromimic.face.tracking import FaceTracker
from micromimic.media.frames import Frame
from micromimic.media.live.source import Arrival
from micromimic.media.video import VideoWriter
from micromimic.motion.spotting.live import LiveSpotter
from micromimic.synthesis.clips import ClipConfig, plan_clip, render

from ..waiting import wait_for

FPS = 100.0


class ClipSource:
    """Hands out frames as fast as they are taken."""

    finite = True
    name = "clip"

    def __init__(self, frames, fps=FPS):
        self.frames, self.fps = frames, fps
        self.at = 0
        self.closed = 0

    def next(self, timeout):
        if self.at >= len(self.frames):
            raise EOFError
        index, self.at = self.at, self.at + 1
        return Arrival(Frame(index, index / self.fps, self.frames[index]), time.monotonic())

    def reopen(self):
        return False

    def close(self):
        self.closed += 1


class Endless(ClipSource):
    """The same frames again and again, not faster than they are wanted."""

    finite = False

    def next(self, timeout):
        time.sleep(0.002)
        index, self.at = self.at, self.at + 1
        gray = self.frames[index % len(self.frames)]
        return Arrival(Frame(index, index / self.fps, gray), time.monotonic())


class Failing(ClipSource):
    """Raises after some frames."""

    def __init__(self, frames, error, after=20):
        super().__init__(frames)
        self.error, self.after = error, after

    def next(self, timeout):
        if self.at >= self.after:
            raise self.error
        return super().next(timeout)


class Vanishing(ClipSource):
    """Lost in the middle; back at the second attempt, with a gap."""

    finite = False

    def __init__(self, frames, lost_at):
        super().__init__(frames)
        self.lost_at, self.attempts, self.gap = lost_at, 0, 0.0

    def next(self, timeout):
        if self.at == self.lost_at and not self.gap:
            raise SourceLostError("expected the camera, got nothing; plug it in")
        arrival = super().next(timeout)
        frame = arrival.frame
        return replace(arrival, frame=replace(frame, time=frame.time + self.gap))

    def reopen(self):
        self.attempts += 1
        if self.attempts >= 2:
            self.gap = 5.0
        return bool(self.gap)


@pytest.fixture(autouse=True)
def no_thread_left():
    """Every session here ends with as many threads as there were before it."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="module")
def clip():
    """Twelve seconds of a small face with three micro-expressions, after a calm start."""
    config = ClipConfig(
        seconds=12.0, fps=FPS, width=320, height=240, face_px=225.0, events_per_minute=15.0,
        macros_per_minute=0.0, blinks_per_minute=5.0, head_moves_per_minute=0.0, peak_px=0.9,
        noise_sd=1.0,
    )  # fmt: skip
    return list(render(plan_clip(config, 3)))


@pytest.fixture(scope="module")
def offline(clip, tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "clip.mp4"
    with VideoWriter(path, FPS, 320, 240, lossless=True) as writer:
        for gray in clip:
            writer.write(gray)
    return analyze(path)


WAITING = LiveConfig(may_drop=False)


@pytest.fixture(scope="module")
def backend():
    return DlibLandmarks()


@pytest.fixture(scope="module")
def start(backend):
    """`micromimic.live`, without loading the landmark model each time."""
    return functools.partial(micromimic.live, backend=backend)


@pytest.fixture(scope="module")
def messages(clip, start):
    source = ClipSource(clip)
    with start(source, config=replace(WAITING, evidence=True)) as session:
        told = list(session)
    assert source.closed
    return told


def of(messages, kind):
    return [message for message in messages if isinstance(message, kind)]


def confirmed(messages):
    kept = {item.number for item in of(messages, Settled) if item.kept}
    return [item for item in of(messages, LiveEvent) if item.number in kept]


def test_a_session_says_what_offline_analysis_says(messages, offline):
    live = sorted(confirmed(messages), key=lambda item: item.event.onset_frame)
    assert len(offline.events) >= 2
    assert [item.event.label for item in live] == [event.label for event in offline.events]
    for item, event in zip(live, offline.events, strict=True):
        for point in ("onset_frame", "apex_frame", "offset_frame"):
            assert getattr(item.event, point) == pytest.approx(getattr(event, point), abs=2)
        assert item.event.interval.apex == pytest.approx(item.event.apex_frame / FPS)
        assert item.event.probabilities["negative"] == pytest.approx(
            event.probabilities["negative"], abs=0.1
        )
        assert sum(item.event.regions.values()) == pytest.approx(1.0)
    assert any(not item.late for item in live)


def test_messages_come_in_order_and_count(messages, clip):
    assert isinstance(messages[0], Started)
    assert isinstance(messages[-1], Ended)
    end = messages[-1]
    assert (end.received, end.processed, end.dropped) == (len(clip), len(clip), 0)
    assert end.reason == "the source has ended"
    assert end.events == len(of(messages, LiveEvent))
    points = of(messages, CurvePoint)
    assert [point.frame for point in points] == list(range(len(clip)))
    assert sum(point.found for point in points) > 0.95 * len(clip)
    shapes = of(messages, FaceShape)
    assert len(shapes) == 1 and shapes[0].landmarks.shape == (68, 2)
    numbers = [item.number for item in of(messages, LiveEvent)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sorted(item.number for item in of(messages, Settled)) == numbers
    for message in messages:
        micromimic.analysis.live.messages.json_line(message)


def test_the_curve_is_scored_once_the_face_is_learnt(messages):
    points = [point for point in of(messages, CurvePoint) if point.found]
    assert points[50].score is None and points[50].cells.shape == (10,)
    assert all(point.score is not None for point in points if point.time > 5)
    scale = np.sqrt(abs(np.linalg.det(points[-1].transform[:, :2])))
    assert 3.5 < scale < 5, "65 px between eyes that are 15 units apart"


def test_without_the_curve_only_the_rest_is_told(clip, start):
    config = replace(WAITING, curve=False)
    with start(ClipSource(clip[:60]), config=config) as session:
        told = list(session)
    assert not of(told, CurvePoint) and not of(told, FaceShape)
    assert told[-1].processed == 60


def test_evidence_shows_the_face(messages):
    proof = of(messages, LiveEvent)[-1].event.evidence
    assert proof.onset_face.shape == proof.apex_face.shape
    assert proof.onset_face.shape[2] == 3
    assert 40 < proof.apex_face.mean() < 220


class BoomError(Exception):
    """What is planted to go off."""


@pytest.mark.parametrize(
    "error", [BoomError("source"), InputError("expected frames, got none; try again")]
)
def test_an_error_of_the_source_comes_out_after_what_was_received(clip, start, error):
    session = start(Failing(clip, error), config=WAITING)
    told = []
    with pytest.raises(type(error), match=str(error)[:6]), session:
        for message in session:
            told.append(message)
    assert told[-1].processed == 20
    assert str(error) in told[-1].reason


@pytest.mark.parametrize("where", ["tracking", "spotting", "naming"])
def test_an_error_in_any_thread_ends_all(clip, start, monkeypatch, where):
    def fail(*_args, **_named):
        raise BoomError(where)

    target = {
        "tracking": (FaceTracker, "update"),
        "spotting": (LiveSpotter, "add"),
        "naming": (live_module.Namer, "name"),
    }[where]
    monkeypatch.setattr(*target, fail)
    source = ClipSource(clip) if where == "naming" else Endless(clip)
    session = start(source, config=WAITING)
    with pytest.raises(BoomError, match=where), session:
        for message in session:
            last = message
    assert isinstance(last, Ended) and where in last.reason
    assert source.closed


def test_an_error_of_the_reader_ends_all(clip, start):
    source = Endless(clip)
    with pytest.raises(BoomError), start(source) as session:
        for _ in session:
            raise BoomError
    assert source.closed


def test_an_unusable_model_is_told_before_anything_starts(clip, start, tmp_path):
    source = ClipSource(clip)
    with pytest.raises(ModelError):
        start(source, config=LiveConfig(model=tmp_path / "none.onnx"))
    assert source.closed


def test_stop_finishes_what_was_received(clip, start):
    source = Endless(clip)
    with start(source) as session:
        told = []
        for message in session:
            told.append(message)
            if isinstance(message, CurvePoint) and message.frame >= 40:
                session.stop()
    assert told[-1].reason == "stopped"
    assert told[-1].processed + told[-1].dropped == told[-1].received
    assert list(session) == []


def test_a_session_that_is_never_read_ends_too(clip, start):
    with start(Endless(clip)) as session:
        wait_for(lambda: session.status().processed > 10)
    session.close()


def test_a_session_without_with_ends_with_its_last_message(clip, start):
    told = list(start(ClipSource(clip[:30]), config=WAITING))
    assert isinstance(told[-1], Ended)


def test_a_session_that_was_never_started_needs_no_end(clip, start):
    session = start(ClipSource(clip[:5]))
    session.close()
    assert [type(message) for message in session] == [Started]


def test_a_lost_source_is_tried_again_and_its_gap_is_none_of_the_face(clip, start, monkeypatch):
    monkeypatch.setattr(live_buffer, "RETRY_S", (0.02,))
    source = Vanishing(clip[:400], lost_at=300)
    with start(source, config=WAITING) as session:
        told = list(session)
    assert source.attempts == 2
    assert told[-1].processed == 400
    points = of(told, CurvePoint)
    assert points[300].time - points[299].time == pytest.approx(5.01)


def test_a_source_that_stays_lost_is_said_and_can_be_stopped(clip, start, monkeypatch):
    monkeypatch.setattr(live_buffer, "RETRY_S", (0.02,))
    monkeypatch.setattr(live_module, "STATUS_S", 0.05)
    source = Vanishing(clip, lost_at=20)
    source.reopen = lambda: False
    with start(source, config=WAITING) as session:
        for message in session:
            if isinstance(message, Status) and message.state == "lost_source":
                assert "plug it in" in message.detail
                session.stop()
    assert message.reason == "stopped"


def test_pushed_frames_are_analysed(clip, start):
    with start(config=WAITING) as session:
        assert session.status().state == "waiting"
        for number, gray in enumerate(clip[:40]):
            wait_for(lambda n=number: session.status().processed >= n - 20)
            assert session.push(gray, 7.0 + number / FPS)
        wait_for(lambda: session.status().processed == 40)
        assert session.status().state == "learning"
        session.stop()
        told = list(session)
    assert told[-1].received == 40
    assert of(told, CurvePoint)[-1].time == pytest.approx(0.39)
    assert not session.push(clip[0], 99.0)


def test_only_a_session_without_a_source_takes_pushed_frames(clip, start):
    with (
        start(ClipSource(clip[:5]), config=WAITING) as session,
        pytest.raises(InputError, match="without a source"),
    ):
        session.push(clip[0])


def test_what_cannot_be_kept_up_with_is_thinned_and_counted(clip, start, monkeypatch):
    """A tracker that needs 20 ms a frame of a camera that has one every 2 ms."""
    update = FaceTracker.update
    monkeypatch.setattr(
        FaceTracker, "update", lambda self, *a: time.sleep(0.02) or update(self, *a)
    )
    config = LiveConfig(buffer_s=0.1)
    with start(Endless(clip), config=config) as session:
        told = []
        for message in session:
            told.append(message)
            if isinstance(message, CurvePoint) and session.status().thinning >= 3:
                session.stop()
    end = told[-1]
    assert end.dropped > 0 and end.processed + end.dropped == end.received
    assert "one frame of" in session.status().detail
    assert len(of(told, CurvePoint)) == end.processed


def test_names_are_where_they_are_looked_for():
    assert micromimic.live is live_module.live
    assert micromimic.LiveConfig is LiveConfig
    assert issubclass(LiveSession, object)
