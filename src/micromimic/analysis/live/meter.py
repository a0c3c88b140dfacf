"""How a live session is doing: rates and latency, measured by several threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

import numpy as np

from micromimic.analysis.quality import FRAMES_PER_MOVEMENT, LONGEST_S, SHORTEST_S
from micromimic.core.mailbox import Clock
from micromimic.media.live.source import Arrival

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
        """A frame came from the source."""
        with self._lock:
            self._received.append(arrival.frame.time)

    def age(self, arrival: Arrival) -> float:
        """Seconds since a frame came."""
        return self._clock() - arrival.arrived

    def finish(self, arrival: Arrival) -> None:
        """A frame was tracked, its point of the curve told."""
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
