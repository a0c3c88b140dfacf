"""From the source to the thread that tracks: lost and found again; what is dropped, and how fast.

While the machine keeps up nothing is dropped. When it does not, every 2nd, 3rd, ... frame is taken,
so that those that remain are evenly spaced: the spotter needs an even rate more than a high one.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np

from micromimic.analysis.quality import FRAMES_PER_MOVEMENT, LONGEST_S, SHORTEST_S
from micromimic.core.errors import SourceLostError
from micromimic.core.mailbox import Clock, Mailbox
from micromimic.media.live.source import Arrival, LiveSource

RATE_S: Final = 2.0
LATENCIES: Final = 1000
_MOST: Final = 4096  # frames in RATE_S, at any camera's rate


class Meter:
    """Counts frames as they come and as they are done; the clock is the arrivals'."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._received, self._processed = deque[float](maxlen=_MOST), deque[float](maxlen=_MOST)
        self._latencies = deque[float](maxlen=LATENCIES)
        self._arrived = 0.0
        self.last_time = 0.0  # of the last tracked frame
        self.processed = 0

    def receive(self, arrival: Arrival) -> None:
        with self._lock:
            self._received.append(arrival.frame.time)

    def age(self, arrival: Arrival) -> float:
        return self._clock() - arrival.arrived

    def finish(self, arrival: Arrival) -> None:
        """A frame was tracked, its point of the curve sent."""
        with self._lock:
            self.processed += 1
            self._processed.append(arrival.frame.time)
            self._latencies.append(self.age(arrival))
            self.last_time, self._arrived = arrival.frame.time, arrival.arrived

    def source_time(self) -> float:
        """The source's time now: of the last tracked frame, and what has passed since."""
        with self._lock:
            since = max(0.0, self._clock() - self._arrived) if self.processed else 0.0
            return self.last_time + since

    def rates(self) -> tuple[float, float]:
        """Frames a second that were tracked and that came, over the last seconds."""
        with self._lock:
            return _rate(self._processed), _rate(self._received)

    def latency_ms(self) -> dict[str, float]:
        """``median`` and ``p95`` from arrival to point; empty before the first."""
        with self._lock:
            values = 1000 * np.array(self._latencies)
        shares = {"median": 50, "p95": 95} if len(values) else {}
        return {name: float(np.percentile(values, share)) for name, share in shares.items()}


def shortest_movement(fps: float) -> float | None:
    """The shortest movement that a rate can resolve, seconds; None where that is longer than any.

    >>> shortest_movement(200.0), shortest_movement(25.0), shortest_movement(5.0)
    (0.04, 0.16, None)
    """
    if fps <= 0 or FRAMES_PER_MOVEMENT / fps > LONGEST_S:
        return None
    return max(SHORTEST_S, FRAMES_PER_MOVEMENT / fps)


def _rate(times: deque[float]) -> float:
    recent = [time for time in times if times[-1] - time <= RATE_S]
    span = recent[-1] - recent[0] if len(recent) > 1 else 0.0
    return (len(recent) - 1) / span if span > 0 else 0.0


MOST_FRAMES: Final = 1024
MOST_BYTES: Final = 192 * 2**20
WAITING_FRAMES: Final = 8  # frames that wait where none may be dropped
POLL_S: Final = 0.1
RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)
"""Seconds between attempts to open a lost source again; the last is repeated."""


class Thinning:
    """Every how many-th frame is taken, where a frame may wait for ``limit_s`` seconds.

    >>> thinning = Thinning(0.5)
    >>> [thinning.step(now, waiting_s=0.3) for now in (1.0, 1.1, 1.3, 1.4, 1.7)]
    [1, 1, 2, 2, 3]
    """

    MOST: Final = 16
    SUSTAINED_S: Final = 0.2
    """Seconds of high backlog before a step up: a moment's stall is caught up without."""
    RAISE_S: Final = 0.3  # seconds until it is seen whether a step has helped
    CALM_S: Final = 5.0  # seconds of low backlog before a step down
    LONGEST_CALM_S: Final = 80.0

    def __init__(self, limit_s: float) -> None:
        self.every = 1
        self._limit = limit_s
        self._calm_s = self.CALM_S
        self._calm_since: float | None = None
        self._high_since: float | None = None
        self._judged = self._lowered = -math.inf
        self._waited = 0.0

    def step(self, now: float, waiting_s: float) -> int:
        """Every how many-th frame is to be taken now, where the oldest has waited so long."""
        if waiting_s > 0.2 * self._limit:
            self._calm_since = None
        if waiting_s > 0.5 * self._limit:
            self._high(now, waiting_s)
            return self.every
        self._high_since = None
        if self.every > 1 and waiting_s <= 0.2 * self._limit:
            self._calm_since = now if self._calm_since is None else self._calm_since
            if now - self._calm_since >= self._calm_s:
                self.every -= 1
                self._lowered = self._calm_since = now
        return self.every

    def _high(self, now: float, waiting_s: float) -> None:
        if self._high_since is None:
            self._high_since, self._waited = now, waiting_s
        if now - self._high_since < self.SUSTAINED_S or now - self._judged < self.RAISE_S:
            return
        if waiting_s > self._waited - 0.02 * self._limit:  # it does not fall: take fewer frames
            # Too early back means back again and again: wait longer each time.
            soon = now - self._lowered < 2 * self._calm_s
            self._calm_s = min(2 * self._calm_s, self.LONGEST_CALM_S) if soon else self.CALM_S
            self.every = min(self.every + 1, self.MOST)
        self._judged, self._waited = now, waiting_s


@dataclass(frozen=True, slots=True)
class Gap:
    """In place of a frame: the source was gone for a while, from ``arrived`` on."""

    arrived: float


class FrameBuffer:
    """A bounded queue of arrivals that thins out what it cannot hold, and counts it. A frame may
    wait for so many seconds, then new ones are refused; where none may be dropped the source waits
    instead: files need not keep a pace. ``received``: frames so far, those included that the source
    itself has dropped; ``dropped``: those that nobody will take."""

    def __init__(
        self, seconds: float, *, may_drop: bool = True, clock: Clock = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._may_drop = may_drop
        self._clock = clock
        self._thinning = Thinning(seconds)
        self._box = Mailbox[Arrival | Gap](MOST_FRAMES if may_drop else WAITING_FRAMES)
        self.received = self.dropped = 0

    def __len__(self) -> int:
        return len(self._box)

    @property
    def thinning(self) -> int:
        """Every how many-th frame is taken now."""
        return self._thinning.every

    def put(self, arrival: Arrival) -> None:
        """Add a frame, or drop it; waits only where none may be dropped."""
        number = arrival.frame.index
        self.dropped += max(0, number - self.received)
        self.received = max(self.received, number) + 1
        refused = self._may_drop and self._refuse(arrival)
        self.dropped += refused or not self._box.offer(arrival, wait=not self._may_drop)

    def _refuse(self, arrival: Arrival) -> bool:
        now = self._clock()
        oldest = self._box.oldest()
        waiting = 0.0 if oldest is None else now - oldest.arrived
        before = self._thinning.every
        every = self._thinning.step(now, waiting)
        if every > before:  # what came too densely is what the backlog is: every second one goes
            kept = itertools.cycle((True, False))
            self.dropped += self._box.sift(lambda item: next(kept) or isinstance(item, Gap))
        full = len(self._box) * arrival.frame.gray.nbytes >= MOST_BYTES
        return full or waiting > self._seconds or arrival.frame.index % every != 0

    def gap(self) -> None:
        """The source is gone; what comes later does not follow what came before."""
        self._box.put(Gap(self._clock()))

    def take(self, timeout: float) -> Arrival | Gap | None:
        """The oldest, None after ``timeout`` seconds without one, EOFError after the last."""
        return self._box.take(timeout)

    def end(self, *, discard: bool = False) -> None:
        """Nothing more will come; what waits is still taken, unless it is to be discarded."""
        self._box.end()
        if discard:
            self.dropped += self._box.sift(lambda item: isinstance(item, Gap))


class Reader:
    """Reads a source into a buffer until it ends, is lost for good, or ``stopping`` is set.
    ``reason``: why it ended, where that was no error."""

    def __init__(self, source: LiveSource, buffer: FrameBuffer, meter: Meter) -> None:
        self._source, self._buffer, self._meter = source, buffer, meter
        self._lost: tuple[float, str] | None = None
        self.stopping = False
        self.reason = "stopped"

    @property
    def lost(self) -> str:
        """For how long the source is gone and why, in one line; empty while it is there."""
        lost = self._lost
        if lost is None:
            return ""
        return f"gone for {time.monotonic() - lost[0]:.0f} s, trying again: {lost[1]}"

    def run(self) -> None:
        """Read on, in a thread of its own; raises what the source raises."""
        while not self.stopping:
            try:
                arrival = self._source.next(POLL_S)
            except EOFError:
                self.reason = "stopped" if self.stopping else "the source has ended"
                return
            except SourceLostError as error:
                self._buffer.gap()
                if self._source.finite and not self.stopping:
                    raise
                self._regain(str(error))
                continue
            if arrival is not None:
                self._meter.receive(arrival)
                self._buffer.put(arrival)

    def _regain(self, reason: str) -> None:
        """Try to open the source again until it works or the session ends."""
        self._lost = time.monotonic(), reason
        for pause in itertools.chain(RETRY_S, itertools.repeat(RETRY_S[-1])):
            ends = time.monotonic() + pause
            while not self.stopping and time.monotonic() < ends:
                time.sleep(min(pause, POLL_S))
            if self.stopping:
                return
            if self._source.reopen():
                self._lost = None
                return
