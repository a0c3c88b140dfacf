"""Frames pushed by a caller: from a socket, a camera's own library, a game."""

from __future__ import annotations

import itertools
import math
import threading
import time as clocks
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.closing import Closing
from micromimic.core.errors import InputError
from micromimic.core.mailbox import Clock, Mailbox
from micromimic.media.clock import StreamClock
from micromimic.media.formats import check_size
from micromimic.media.frames import Frame
from micromimic.media.live.source import Arrival, queue_length

MIN_SIDE: Final = 32  # smaller pictures can hold no face


class PushSource(Closing):
    """A live source whose frames a caller hands in, from any thread; see ``LiveSource``.

    A frame that finds the queue full is dropped, and its number stays unused: ``Frame.index``
    counts pushed frames. Times are all the caller's own or all by arrival, as the first frame
    decides; they start at 0 either way. At most ``length`` frames wait: 64, fewer where they are
    large. ``dropped`` are frames that nobody took in time, or that came after the end.
    """

    def __init__(
        self,
        name: str = "pushed frames",
        *,
        length: int | None = None,
        clock: Clock = clocks.monotonic,
    ) -> None:
        self.name, self.finite = name, True
        self.dropped = 0
        self._length = length
        self._clock = clock
        self._queue = Mailbox[Arrival](length or 1)
        self._lock = threading.Lock()
        self._shape: tuple[int, ...] | None = None
        self._timed: bool | None = None
        self._times = StreamClock()
        self._origin, self._last = 0.0, -math.inf
        self._numbers = itertools.count()

    def put(self, picture: NDArray[np.uint8], time: float | None = None) -> bool:
        """Hand in one frame; never waits; False if it was dropped. ``picture``: (H, W) grey or
        (H, W, 3) RGB, uint8, copied; every frame as the first; ``time``: seconds by the caller's
        clock, rising strictly; None takes the arrival."""
        # All of it within the lock: frames of two threads must not overtake each other.
        with self._lock:
            arrived = self._clock()
            _check_picture(picture, self._shape)
            seconds = self._seconds(time, arrived)
            if self._shape is None:
                self._shape = picture.shape
                self._queue.most = self._length or queue_length(*picture.shape[1::-1])
            frame = _frame(next(self._numbers), seconds, picture)
            taken = self._queue.offer(Arrival(frame, arrived))
            self.dropped += not taken
            return taken

    def _seconds(self, time: float | None, arrived: float) -> float:
        timed = time is not None
        if self._timed not in (None, timed):
            first, now = ("a time", "none") if self._timed else ("none", "a time")
            raise InputError(
                f"expected every frame with {first} as the first, got {now}; "
                "pass times for all frames or for none"
            )
        if time is None:
            seconds = self._times.seconds(None, arrived)
        elif not math.isfinite(time):
            raise InputError(f"expected a time in seconds, got {time}; pass a finite number")
        else:
            origin = time if self._timed is None else self._origin
            if time - origin <= self._last:
                raise InputError(
                    f"expected a time after {self._last + origin:g} s, got {time:g}; "
                    "push frames in order, each with its own time"
                )
            seconds = self._last = float(time - origin)
            self._origin = origin
        self._timed = timed
        return seconds

    def end(self) -> None:
        """No more frames come; those that wait are still taken, then the source ends."""
        self._queue.end()

    def next(self, timeout: float) -> Arrival | None:
        return self._queue.take(timeout)

    def reopen(self) -> bool:
        return False  # there is nothing to open

    def close(self) -> None:
        """Drop what waits; frames pushed later are dropped too."""
        self._queue.close()


def _check_picture(picture: Any, shape: tuple[int, ...] | None) -> None:
    wanted = "expected a picture (H, W) grey or (H, W, 3) RGB of uint8"
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        got = picture.dtype if isinstance(picture, np.ndarray) else type(picture).__name__
        raise InputError(f"{wanted}, got {got}; convert it to a uint8 array from 0 to 255")
    if not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)):
        raise InputError(f"{wanted}, got {picture.shape}; drop alpha and other channels")
    if min(picture.shape[:2]) < MIN_SIDE:
        raise InputError(
            f"{wanted}, at least {MIN_SIDE} pixels a side, got {picture.shape}; "
            "push the camera's whole picture"
        )
    check_size(picture.shape[1], picture.shape[0], "what is pushed")
    if shape is not None and picture.shape != shape:
        raise InputError(
            f"expected every frame to be {shape} as the first, got {picture.shape}; "
            "start another session for another size"
        )


def _frame(index: int, seconds: float, picture: NDArray[np.uint8]) -> Frame:
    own = np.array(picture, order="C")  # the caller may use its memory again
    if own.ndim == 2:
        return Frame(index, seconds, own)
    gray = np.asarray(cv2.cvtColor(own, cv2.COLOR_RGB2GRAY), np.uint8)
    return Frame(index, seconds, gray, lambda: own)
