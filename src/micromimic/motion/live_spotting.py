"""The spotter of `motion.spotting` on a stream: each movement is told as soon as it can be.

A movement is read when its own future is there (the rest after it, the filter's width), at the
latest ``deadline`` seconds after its offset; it is looked at again when all of the future that the
offline spotter would use is known, and then confirmed or withdrawn. The noise that scores are
multiples of is that of the last half minute; while it is being learnt nothing is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from micromimic.face.signals import FaceRow
from micromimic.motion.bumps import Array
from micromimic.motion.candidates import Candidate, peaks_of, read_peaks
from micromimic.motion.live_stretch import LiveStretch
from micromimic.motion.live_window import NoiseMemory, StretchWindow
from micromimic.motion.spotting_config import SpottingConfig
from micromimic.types import Interval

NEIGHBOURS_S: Final = 0.7
"""Seconds before the undecided time whose movements still stand against those in it."""
SAME_APEX_S: Final = 0.06
"""Two readings with apexes no further apart are one movement's."""


@dataclass(frozen=True)
class LiveTiming:
    """When the live spotter looks and speaks; all in seconds of the source.

    Args:
        hop: between two looks.
        deadline: after a movement's offset at which it is told at the latest, even if the rest
            after it was not seen in full.
        late: after its offset; what is told later is marked.
        learn: of a face from which its noise is learnt before anything is told.
        remember: how far back the noise reaches.
        window: of past that is kept.
    """

    hop: float = 0.05
    deadline: float = 0.32
    late: float = 0.45
    learn: float = 4.0
    remember: float = 30.0
    window: float = 6.0


@dataclass(frozen=True)
class Sighting:
    """A movement is told.

    Args:
        number: from 1.
        frames: numbers of the onset's, apex's and offset's frame.
        interval: their times.
        score: multiples of the noise.
        segment: stretch of tracking.
        late: told more than ``LiveTiming.late`` seconds after its offset.
    """

    number: int
    frames: tuple[int, int, int]
    interval: Interval
    score: float
    segment: int
    late: bool


@dataclass(frozen=True)
class Verdict:
    """The second look at a sighting.

    Args:
        number: of the sighting.
        kept: confirmed, or withdrawn.
        reason: as in ``results.Rejected``; ``gone`` if it no longer stands out.
    """

    number: int
    kept: bool
    reason: str = ""


Finding = Sighting | Verdict


class LiveSpotter:
    """Finds the micro-expressions of one person while they are being filmed.

    Args:
        config: what counts, as offline.
        timing: when to look and speak.

    >>> LiveSpotter().add(0, 0.0, None)
    []
    """

    def __init__(
        self, config: SpottingConfig | None = None, timing: LiveTiming | None = None
    ) -> None:
        self.config = config or SpottingConfig()
        self.timing = timing or LiveTiming()
        self.settle = self.config.crowd_window[1] + max(self.config.durations) + 0.1
        """Seconds after its apex at which a movement is looked at again."""
        self._found: list[Finding] = []
        self._told = 0
        self._open: list[Sighting] = []
        self._kept: deque[Sighting] = deque(maxlen=16)
        self._looked = -np.inf
        self._stretch: LiveStretch | None = None
        self._start_learning()

    @property
    def learning(self) -> bool:
        """The noise of this face is not yet known."""
        return self._noise is None

    def keep_from(self, now: float) -> float:
        """The earliest time of which frames may still be asked for."""
        if self._noise is not None:
            return now - self.settle - self.config.longest - 4 * self.timing.hop
        waiting = [*self._waiting, *([self._stretch] if self._stretch else [])]
        return min((stretch.began for stretch in waiting), default=now)

    def add(self, frame: int, time: float, row: FaceRow | None) -> list[Finding]:
        """Take the next frame.

        Args:
            frame: its number, rising.
            time: seconds, rising.
            row: what was measured; None where the face is lost.

        Returns:
            What can be told now; mostly nothing.
        """
        stretch = self._stretch
        if row is None:
            if stretch is not None and stretch.lost_at(time):
                self._close()
            return self._tell()
        if stretch is not None and not stretch.goes_on_with(row):
            self._close()
            stretch = None
        if stretch is None:
            stretch = self._stretch = LiveStretch(row.segment, time, self.timing.window)
            self._looked = time
        stretch.add(frame, row)
        if time - self._looked >= self.timing.hop - 1e-6:
            self._looked = time
            self._look(stretch, time)
        return self._tell()

    def close(self) -> list[Finding]:
        """The stretch is over (the face or the source is gone): tell what can be told of it."""
        self._close()
        return self._tell()

    def finish(self) -> list[Finding]:
        """The source has ended: as ``close``, and with the noise as far as it is known."""
        self._close()
        if self._noise is None:
            self._learn()
        return self._tell()

    def change_person(self) -> list[Finding]:
        """From here on another face is watched: close this one's stretch, forget its noise."""
        found = self.finish()
        self._start_learning()
        return found

    def _tell(self) -> list[Finding]:
        found, self._found = self._found, []
        return found

    def _start_learning(self) -> None:
        self._noise: Array | None = None
        self._memory: NoiseMemory | None = None
        self._learnt_at = -np.inf
        self._observed = 0.0
        self._waiting: list[LiveStretch] = []

    def _look(self, stretch: LiveStretch, now: float) -> None:
        window = self._refresh(stretch, ends=False)
        if window is None:
            return
        due = self._observed >= self.timing.learn if self.learning else now >= self._learnt_at + 1
        if due:
            self._learnt_at = now
            self._learn()
            self._use_noise(window)
        if self._noise is not None:
            self._judge(stretch, window, now - self.settle)

    def _close(self) -> None:
        stretch, self._stretch = self._stretch, None
        window = self._refresh(stretch, ends=True) if stretch is not None else None
        if stretch is None or window is None:
            return
        if self._noise is None:
            self._waiting.append(stretch)
            if self._observed >= self.timing.learn:
                self._learn()
        else:
            self._judge(stretch, window, np.inf)

    def _refresh(self, stretch: LiveStretch, *, ends: bool) -> StretchWindow | None:
        """Filter what has come; None while there is too little of it."""
        grid = stretch.better_grid(self._memory.rate if self._memory else None)
        if grid is not None:
            self._regrid(stretch, *grid)
        window = stretch.window
        if window is None or self._memory is None:
            return None
        self._observed += window.append(stretch.take())
        window.refresh(self._memory, ends=ends)
        return window

    def _regrid(self, stretch: LiveStretch, rate: float, even: bool) -> None:
        """Put a stretch on another grid, with what is kept of its past."""
        if self._memory is None or self._memory.rate != rate:
            # Other filters, other noise: what is kept of the past is learnt from again.
            if self._noise is None and self._waiting:
                self._learn()
            self._start_learning()
            self._memory = NoiseMemory(
                self.timing.remember, rate, len(self.config.durations_at(rate))
            )
            stretch.window = None
        remembered = stretch.window is not None
        stretch.window = StretchWindow(rate, self.config, even=even, seconds=self.timing.window)
        stretch.window.noise = self._noise
        if remembered:
            stretch.window.append(stretch.past(), remembered=True)
        else:
            stretch.start_again()

    def _learn(self) -> None:
        """Measure the noise; what has waited for it is told."""
        if self._memory is None or not self._memory.seconds:
            return
        self._noise = self._memory.noise(self.config)
        waiting, self._waiting = self._waiting, []
        for stretch in waiting:
            if stretch.window is not None:
                self._use_noise(stretch.window)
                self._judge(stretch, stretch.window, np.inf)

    def _use_noise(self, window: StretchWindow) -> None:
        window.noise = self._noise
        window.score()

    def _judge(self, stretch: LiveStretch, window: StretchWindow, settled: float) -> None:
        """Read all movements that are not yet decided; those with apexes to ``settled`` are."""
        times = window.column("times")
        first = int(np.searchsorted(times, stretch.decided - NEIGHBOURS_S))
        peaks = first + peaks_of(window.column("score")[first:], window.rate, self.config)
        read = read_peaks(window.scene(), peaks, self.config)
        candidates = [(item, self._sighting(item, stretch, window)) for item in read]
        self._look_again(candidates, settled)
        for item, seen in sorted(candidates, key=lambda pair: pair[1].interval.onset):
            apex = float(times[item.apex])
            if item.reason or apex <= stretch.decided:
                continue
            final = apex <= settled
            if final and not any(_same(seen, other) for other in self._known()):
                self._report(seen)
                self._look_again([(item, seen)], settled)
            elif self._ready(item, window) and all(_apart(seen, o) for o in self._known()):
                self._report(seen)
        stretch.decided = max(stretch.decided, min(settled, float(times[-1])))

    def _known(self) -> list[Sighting]:
        return [*self._open, *self._kept]

    def _ready(self, item: Candidate, window: StretchWindow) -> bool:
        """All of its own future is there, or it may not wait for more."""
        times = window.column("times")
        waited = float(times[-1] - times[item.offset]) + self.timing.hop
        return item.needs < len(window) or (item.closed and waited > self.timing.deadline)

    def _sighting(self, item: Candidate, stretch: LiveStretch, window: StretchWindow) -> Sighting:
        places = [item.onset, item.apex, item.offset]
        frames, times = window.column("frames")[places], window.column("frame_times")[places]
        late = float(window.column("times")[-1]) - float(times[2]) > self.timing.late
        first, middle, last = (int(frame) for frame in frames)
        interval = Interval(*(float(time) for time in times))
        return Sighting(0, (first, middle, last), interval, item.score, stretch.segment, late)

    def _report(self, seen: Sighting) -> None:
        self._told += 1
        seen = replace(seen, number=self._told)
        self._open.append(seen)
        self._found.append(seen)

    def _look_again(self, candidates: Sequence[tuple[Candidate, Sighting]], settled: float) -> None:
        """Confirm or withdraw what was told, once all of its future is known."""
        due = [seen for seen in self._open if seen.interval.apex <= settled]
        for told in due:
            self._open.remove(told)
            reasons = [item.reason for item, seen in candidates if _same(told, seen)]
            reason = reasons[0] if reasons else "gone"
            self._found.append(Verdict(told.number, not reason, reason))
            if not reason:
                self._kept.append(told)


def _overlap(a: Sighting, b: Sighting) -> float:
    return min(a.interval.offset, b.interval.offset) - max(a.interval.onset, b.interval.onset)


def _apex_distance(a: Sighting, b: Sighting) -> float:
    return abs(a.interval.apex - b.interval.apex)


def _same(a: Sighting, b: Sighting) -> bool:
    """Whether two readings are of one movement."""
    shared = _overlap(a, b)
    union = a.interval.duration + b.interval.duration - shared
    return _apex_distance(a, b) <= SAME_APEX_S or shared >= 0.5 * union


def _apart(a: Sighting, b: Sighting) -> bool:
    """Whether two readings can be movements of their own; as `motion.candidates.apart`."""
    shorter = min(a.interval.duration, b.interval.duration)
    return _overlap(a, b) <= 0.2 * shorter and _apex_distance(a, b) > 0.3
