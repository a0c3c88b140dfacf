"""What a long recording's signals take while they are looked at, by counting: bytes a frame."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from micromimic.face.signals import FaceRow, FaceSignals, SignalLog
from micromimic.motion.spotting.cells import spot

FRAMES = 30_000
RATE = 200.0


@pytest.fixture(scope="module")
def log() -> SignalLog:
    moved = np.zeros((10, 2), np.float32)
    place = np.array([[4.0, 0.0, 300.0], [0.0, 4.0, 200.0]])
    log = SignalLog()
    for i in range(FRAMES):
        log.add(i / RATE, FaceRow(i / RATE, 0, moved, 0.01, 120.0, 0.98, place))
    return log


@pytest.fixture(scope="module")
def signals(log: SignalLog) -> FaceSignals:
    return log.signals({0: np.random.default_rng(1).uniform(0, 28, (68, 2))}, 0)


def bytes_a_frame(action: Callable[[], object]) -> float:
    """Most that is held at once beyond what was there before."""
    tracemalloc.start()
    try:
        result = action()
        most = tracemalloc.get_traced_memory()[1]
        del result
    finally:
        tracemalloc.stop()
    return most / FRAMES


def test_spotting_holds_what_it_needs_once(signals: FaceSignals) -> None:
    # Displacement twice and seven filters' answers come to 900; the rest is of a few columns.
    assert bytes_a_frame(lambda: spot(signals)) < 2200


def test_landmarks_are_made_when_they_are_asked_for(signals: FaceSignals) -> None:
    assert bytes_a_frame(signals.track) < 10
    # 68 points of single precision are 544; the rest is of some thousand frames.
    assert bytes_a_frame(lambda: signals.track().landmarks) < 1200


def test_signals_are_copied_once(log: SignalLog, signals: FaceSignals) -> None:
    # A row is 168.
    assert bytes_a_frame(lambda: log.signals(signals.landmarks, 0)) < 250


def test_track_carries_the_landmarks_to_each_frame(signals: FaceSignals) -> None:
    track = signals.track()
    expected = 4.0 * signals.landmarks[0] + [300.0, 200.0]
    for row in (0, 5000, FRAMES - 1):
        assert np.allclose(track.landmarks[row], expected, atol=1e-3)
        assert np.allclose(track.boxes[row], [*expected.min(0), *expected.max(0)], atol=1e-3)
