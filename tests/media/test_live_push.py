"""Frames pushed by a caller: times, drops, threads, and what does not fit."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from micromimic.core.errors import InputError
from micromimic.media.live.push import PushSource

from ..live_servers import HEIGHT, WIDTH, check_order, numbered, numbers, take


class Ticks:
    """A clock that goes on by a step each time it is read."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 100.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_pushed_times_are_the_callers_own() -> None:
    source = PushSource()
    own = [1e9, 1e9 + 0.005, 1e9 + 0.1]
    assert all(source.put(numbered(n), at) for n, at in enumerate(own))
    got = take(source, 3)
    check_order(got)
    assert [a.frame.time for a in got] == pytest.approx([0.0, 0.005, 0.1], abs=1e-6)


def test_pushed_frames_without_times_are_timed_by_arrival() -> None:
    clock = Ticks(0.0)
    source = PushSource(clock=clock)
    for number, wait in enumerate((0.0, 0.25, 0.5, 0.0)):  # the last two in one tick
        clock.now += wait
        source.put(numbered(number))
    got = take(source, 4)
    assert [a.frame.time for a in got] == pytest.approx([0.0, 0.25, 0.75, 0.75])
    assert got[3].frame.time > got[2].frame.time
    assert [a.arrived for a in got] == [100.0, 100.25, 100.75, 100.75]


def test_a_full_queue_drops_and_keeps_the_number() -> None:
    source = PushSource(length=2)
    assert [source.put(numbered(n)) for n in range(4)] == [True, True, False, False]
    assert source.dropped == 2
    got = take(source, 2)
    assert source.put(numbered(4))
    assert [a.frame.index for a in got + take(source, 1)] == [0, 1, 4]


def test_a_pushed_picture_is_copied_and_keeps_its_colour() -> None:
    source = PushSource()
    rgb = np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    before = rgb.copy()
    gray = rgb[..., 0].copy()
    source.put(rgb[:, ::-1])  # not contiguous
    other = PushSource()
    other.put(gray)
    rgb[:] = gray[:] = 0
    np.testing.assert_array_equal(take(other, 1)[0].frame.gray, before[..., 0])
    frame = take(source, 1)[0].frame
    np.testing.assert_array_equal(frame.rgb(), before[:, ::-1])
    weights = np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(frame.gray, before[:, ::-1] @ weights, atol=1.0)
    assert frame.gray.flags.c_contiguous and frame.gray.dtype == np.uint8


BAD_PICTURES: list[tuple[Any, str]] = [
    ([[1, 2], [3, 4]], "got list"),
    (np.zeros((64, 64), np.float32), "got float32"),
    (np.zeros((64, 64, 4), np.uint8), r"\(64, 64, 4\)"),
    (np.zeros((64, 8), np.uint8), "at least 32"),
    (np.zeros((0, 0), np.uint8), "at least 32"),
    (np.zeros((HEIGHT, WIDTH + 2), np.uint8), "as the first"),
    (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "as the first"),
]


@pytest.mark.parametrize(("picture", "said"), BAD_PICTURES)
def test_a_picture_that_does_not_fit_is_refused(picture: Any, said: str) -> None:
    source = PushSource()
    source.put(numbered(0))
    with pytest.raises(InputError, match=said) as error:
        source.put(picture)
    assert "\n" not in str(error.value) and "; " in str(error.value)
    assert source.put(numbered(1))  # the session goes on
    assert [a.frame.index for a in take(source, 2)] == [0, 1]


@pytest.mark.parametrize(
    ("times", "said"),
    [
        ((1.0, 1.0), "after 1 s"),
        ((1.0, 0.5), "after 1 s"),
        ((1.0, None), "got none"),
        ((None, 1.0), "got a time"),
        ((0.0, float("nan")), "finite"),
    ],
)
def test_times_that_make_no_sense_are_refused(times: tuple[float | None, ...], said: str) -> None:
    source = PushSource()
    source.put(numbered(0), times[0])
    with pytest.raises(InputError, match=said):
        source.put(numbered(1), times[1])


def test_many_threads_push_at_once() -> None:
    source = PushSource(length=1000)
    start = threading.Barrier(4)

    def push(who: int) -> None:
        start.wait()
        for n in range(50):
            source.put(numbered(who * 50 + n))

    threads = [threading.Thread(target=push, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    got = take(source, 200)
    for thread in threads:
        thread.join()
    check_order(got)
    assert sorted(numbers(got)) == list(range(200))
    assert source.dropped == 0
