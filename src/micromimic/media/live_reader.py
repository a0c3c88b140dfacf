"""What camera, file and stream have in common: a thread that reads, a queue that is taken from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from micromimic.errors import InputError, SourceLostError
from micromimic.media.closing import Closing
from micromimic.media.live import Arrival
from micromimic.media.mailbox import Clock, Mailbox

JOIN_S: Final = 30.0
"""Longer than any read may last; a thread that is still there then hangs in a driver."""


class ReaderSource(Closing):
    """Base of sources that read in a thread of their own, so that ``next`` keeps its timeout.

    A subclass opens its device in the constructor (what can never work is told there) and again in
    ``_open``, reads it in ``_arrivals`` and gives it back in ``_release``. The thread starts with
    the first ``next``, or when a subclass calls ``_start``.

    Args:
        name: for people.
        finite: it ends by itself.
        length: arrivals that may wait.
        patient: the thread waits where the queue is full (a file); else the newest is dropped.
        clock: arrival times.
    """

    def __init__(
        self, name: str, *, finite: bool, length: int, patient: bool, clock: Clock
    ) -> None:
        self.name = name
        self.finite = finite
        self._patient = patient
        self._clock = clock
        self._queue = Mailbox[Arrival](length, clock=clock)
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._wanted = threading.Event()
        """Somebody has asked for a frame."""
        self._state = threading.RLock()

    def next(self, timeout: float) -> Arrival | None:
        """The next frame; see ``LiveSource``."""
        self._wanted.set()
        self._start()
        return self._queue.take(timeout, self._due)

    def reopen(self) -> bool:
        """Try once to open a lost source again; whether it worked."""
        self._join()
        if self._stop.is_set():
            return False
        try:
            self._open()
        except (InputError, SourceLostError):
            return False
        with self._state:
            if self._stop.is_set():
                self._release()
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
                self._release()
        self._join()

    def _start(self) -> None:
        with self._state:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(
                    target=self._run, name="micromimic-source", daemon=True
                )
                self._thread.start()

    def _join(self) -> None:
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return
        thread.join(JOIN_S)
        if thread.is_alive():
            raise SourceLostError(
                f"expected {self.name} to let go, got no answer in {JOIN_S:.0f} s; "
                "unplug it or end the program"
            )

    def _run(self) -> None:
        try:
            for arrival in self._arrivals():
                if self._stop.is_set():
                    break
                self._queue.offer(arrival, wait=self._patient)
            else:
                self._queue.end()
        except Exception as error:  # noqa: BLE001 - handed to the thread that takes the frames
            self._queue.end(error)
        finally:
            self._release()

    def _open(self) -> None:
        """Open the device; InputError or SourceLostError where that fails."""
        raise NotImplementedError

    def _arrivals(self) -> Iterator[Arrival]:
        """Frames as they come, in the reader's thread."""
        raise NotImplementedError

    def _release(self) -> None:
        """Give the device back; may be called twice."""
        raise NotImplementedError

    def _due(self, arrival: Arrival) -> float:
        """When an arrival may be taken, by the clock."""
        return arrival.arrived
