"""Frames as they come: the interface of every live source, and what ours have in common."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Final, Protocol

from micromimic.core.closing import Closing
from micromimic.core.errors import InputError, SourceLostError
from micromimic.media.clock import Pacer
from micromimic.media.frames import Frame
from micromimic.media.recording import Prefetch
from micromimic.media.video import open_source

QUEUE_BYTES: Final = 48 * 2**20
JOIN_S: Final = 30.0
"""Longer than any read may last; a thread that is still there then hangs in a driver."""
_BYTES_PER_PIXEL: Final = 4  # grey, and what colour is made from


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    # ``index`` counts frames received from 0; ``time`` is seconds from the first frame, by the
    # source's own clock where it has one (file, stream), else by arrival
    frame: Frame
    arrived: float  # ``time.monotonic()`` when the frame was there to be taken


class LiveSource(Protocol):
    """A source that is read by one thread."""

    name: str  # for people
    finite: bool  # it ends by itself (a file), and then that is no error

    def next(self, timeout: float) -> Arrival | None:
        """The next frame; None if there was none within ``timeout`` seconds. EOFError: the source
        has ended; SourceLostError: it is gone, and ``reopen`` may bring it back; InputError: it can
        never work."""

    def reopen(self) -> bool:
        """Try once to open a lost source again; whether it worked. Times go on, with a gap."""

    def close(self) -> None:
        """Give the camera or file back; may be called twice, and from another thread."""


class ReaderSource(Closing):
    """Base of camera, file and stream: a thread of its own reads, so ``next`` keeps its timeout. It
    begins with the first ``next``, and from then on the device is its own. A subclass sets what its
    ``_open`` needs, and there what is not as here, before and while it opens its device."""

    finite = False
    _length = 64  # frames that may wait; see queue_length
    _waits = True  # the thread waits where they do; else the newest is dropped
    _wanted = False  # somebody has asked for a frame

    def __init__(self, name: str, speed: float = math.inf) -> None:
        self.name = name
        self._pacer = Pacer(speed)
        self._reading: Prefetch[Arrival] | None = None
        self._stop = threading.Event()
        self._state = threading.RLock()
        self._connect()

    def _open(self, device: contextlib.ExitStack) -> Iterator[Arrival]:
        """Open the device, which ``device`` will close; frames as they come, for the thread."""
        raise NotImplementedError

    def _connect(self) -> None:
        with contextlib.ExitStack() as device:
            self._arrivals = self._open(device)
            self._device = device.pop_all()

    def _start(self) -> Prefetch[Arrival]:
        with self._state:
            if self._reading is None:
                if self._stop.is_set():
                    raise EOFError("closed")
                self._reading = Prefetch(self._paced, self._length, waits=self._waits)
            return self._reading

    def _paced(self) -> Iterator[Arrival]:
        with self._device:
            for arrival in self._arrivals:
                if self._stop.is_set():
                    return
                due = self._pacer.due(arrival.frame.time, arrival.arrived)
                yield arrival if due == arrival.arrived else replace(arrival, arrived=due)

    def next(self, timeout: float) -> Arrival | None:
        self._wanted = True
        return self._start().items.take(timeout, attrgetter("arrived"))

    def reopen(self) -> bool:
        """Try once to open a lost source again; a recording would begin anew, and is not."""
        if self._reading is not None:
            join_reader(self._reading.thread, self.name)
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
            self._reading = None
        return True

    def close(self) -> None:
        """Stop reading and wait until the thread is gone; may be called twice, from any thread."""
        with self._state:
            self._stop.set()
            reading = self._reading
            if reading is None:
                self._device.close()
                return
        reading.items.close()
        join_reader(reading.thread, self.name)


class FileSource(ReaderSource):
    """Frames of a file or of a folder, each handed out when it is due; see ``LiveSource``. The
    first frame is due when it is asked for, the others after it by their real timestamps. A reader
    that cannot keep up makes frames late, never fewer."""

    finite = True

    def __init__(
        self, path: str | Path, fps: float | None = None, *, track: int | None = None
    ) -> None:
        self._source = open_source(path, fps, read_ahead=0, track=track)
        self.notices = self._source.notices
        self._length = queue_length(self._source.width, self._source.height)
        super().__init__(str(path), speed=1.0)

    def _open(self, device: contextlib.ExitStack) -> Iterator[Arrival]:
        frames = device.enter_context(self._source)
        return (Arrival(frame, time.monotonic()) for frame in frames)


def join_reader(thread: threading.Thread, name: str) -> None:
    """Wait until a thread that reads a source is gone; it may be the caller's own."""
    if thread is threading.current_thread():
        return
    thread.join(JOIN_S)
    if thread.is_alive():
        raise SourceLostError(
            f"expected {name} to let go, got no answer in {JOIN_S:.0f} s; "
            "unplug it or end the program"
        )


def queue_length(width: int, height: int) -> int:
    """Frames that may wait in a source: 64, or as many as 48 MiB hold, but at least 4."""
    return max(4, min(64, QUEUE_BYTES // (_BYTES_PER_PIXEL * max(1, width * height))))
