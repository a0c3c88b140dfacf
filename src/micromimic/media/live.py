"""Frames as they come: the interface of every live source, and what ours have in common."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final, Protocol

from micromimic.errors import InputError, SourceLostError
from micromimic.media.closing import Closing
from micromimic.media.frames import Frame
from micromimic.media.live_clock import Pacer
from micromimic.media.mailbox import Clock, Mailbox

QUEUE_BYTES: Final = 48 * 2**20
JOIN_S: Final = 30.0
"""Longer than any read may last; a thread that is still there then hangs in a driver."""
_BYTES_PER_PIXEL: Final = 4  # grey, and what colour is made from


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """One frame and when it came.

    Args:
        frame: ``index`` counts frames received from 0; ``time`` is seconds from the first frame, by
            the source's own clock where it has one (file, stream), else by arrival.
        arrived: ``time.monotonic()`` when the frame was there to be taken.
    """

    frame: Frame
    arrived: float


class LiveSource(Protocol):
    """A source that is read by one thread.

    Attributes:
        name: for people.
        finite: it ends by itself (a file), and then that is no error.
    """

    name: str
    finite: bool

    def next(self, timeout: float) -> Arrival | None:
        """The next frame; None if there was none within ``timeout`` seconds.

        Raises:
            EOFError: the source has ended.
            SourceLostError: the camera or stream is gone; ``reopen`` may bring it back.
            InputError: it can never work (no such file, not a video).
        """

    def reopen(self) -> bool:
        """Try once to open a lost source again; whether it worked. Times go on, with a gap."""

    def close(self) -> None:
        """Give the camera or file back; may be called twice, and from another thread."""


class QueuedSource(Closing):
    """Base of our sources: frames wait in a bounded queue until they are due and taken."""

    def __init__(self, name: str, *, finite: bool, length: int, clock: Clock) -> None:
        self.name, self.finite = name, finite
        self._clock = clock
        self._queue = Mailbox[Arrival](length, clock=clock)

    def next(self, timeout: float) -> Arrival | None:
        """The next frame; see ``LiveSource``."""
        return self._queue.take(timeout, attrgetter("arrived"))

    def reopen(self) -> bool:
        """False: there is nothing to open."""
        return False

    def close(self) -> None:
        """Drop what waits, and end."""
        self._queue.close()


class ReaderSource(QueuedSource):
    """Base of camera, file and stream: a thread of its own reads, so ``next`` keeps its timeout.

    The thread starts with the first ``next``. The device is the constructor's until then, and the
    thread's from then on.

    Args:
        name, finite, length, clock: as said above; ``length`` arrivals may wait.
        speed: arrivals are handed out at most this much faster than the frames' own times.
        patient: the thread waits where the queue is full; else the newest frame is dropped.
    """

    def __init__(
        self,
        name: str,
        *,
        finite: bool = False,
        length: int,
        clock: Clock,
        speed: float = math.inf,
        patient: bool = True,
    ) -> None:
        super().__init__(name, finite=finite, length=length, clock=clock)
        self._patient = patient
        self._pacer = Pacer(speed)
        self._wanted = False  # somebody has asked for a frame
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._state = threading.RLock()
        self._connect()

    def _open(self, device: contextlib.ExitStack) -> Iterator[Arrival]:
        """Open the device, which ``device`` will close; frames as they come, for the thread.

        Raises:
            InputError, SourceLostError: it does not open.
        """
        raise NotImplementedError

    def _connect(self) -> None:
        with contextlib.ExitStack() as device:
            self._arrivals = self._open(device)
            self._device = device.pop_all()

    def next(self, timeout: float) -> Arrival | None:
        """The next frame; see ``LiveSource``."""
        self._wanted = True
        self._start()
        return super().next(timeout)

    def reopen(self) -> bool:
        """Try once to open a lost source again; a recording would begin anew, and is not."""
        join_reader(self._thread, self.name)
        if self.finite or self._stop.is_set():
            return False
        try:
            self._connect()
        except (InputError, SourceLostError):
            return False
        with self._state:
            if self._stop.is_set():
                self._device.close()
                return False
            self._thread = None
            self._queue.reset()
        return True

    def close(self) -> None:
        """Stop reading and wait until the thread is gone; may be called twice, from any thread."""
        with self._state:
            self._stop.set()
            self._queue.close()
            if self._thread is None:
                self._device.close()
        join_reader(self._thread, self.name)

    def _start(self) -> None:
        with self._state:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="micromimic-source", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        try:
            for arrival in self._arrivals:
                if self._stop.is_set():
                    return
                due = self._pacer.due(arrival.frame.time, arrival.arrived)
                self._queue.offer(replace(arrival, arrived=due), wait=self._patient)
            self._queue.end()
        except Exception as error:  # noqa: BLE001 - handed to the thread that takes the frames
            self._queue.end(error)
        finally:
            self._device.close()


def join_reader(thread: threading.Thread | None, name: str) -> None:
    """Wait until a thread that reads a source is gone; it may be the caller's own.

    Raises:
        SourceLostError: the source does not let go.
    """
    if thread is None or thread is threading.current_thread():
        return
    thread.join(JOIN_S)
    if thread.is_alive():
        raise SourceLostError(
            f"expected {name} to let go, got no answer in {JOIN_S:.0f} s; "
            "unplug it or end the program"
        )


def queue_length(width: int, height: int) -> int:
    """Frames that may wait in a source: 64, or as many as 48 MiB hold, but at least 4.

    >>> queue_length(640, 480), queue_length(3840, 2160)
    (40, 4)
    """
    return max(4, min(64, QUEUE_BYTES // (_BYTES_PER_PIXEL * max(1, width * height))))
