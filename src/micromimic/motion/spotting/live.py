"""Spotting while the face is being filmed: each movement is told as soon as it can be.

What `spotting.cells` and the dense flow say of a recording is said here of the last seconds, again
and again. A movement is told when its own future is there (the rest after it, the filter's width),
at the latest ``deadline`` seconds after its offset; it is looked at again when all of the future
that an analysis of the recording would use is known, and then confirmed or withdrawn. Noise is that
of the last half minute; while that holds too little of the face, it is learnt and nothing is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from micromimic.core.types import Interval
from micromimic.face.align import Gray
from micromimic.face.signals import FaceRow, FaceSignals, signals_of
from micromimic.motion.spotting.cells import Noise, Part, measure, noise_of, read, weigh
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.dense.candidates import DenseCandidate
from micromimic.motion.spotting.dense.stream import DenseStream, Recent
from micromimic.motion.spotting.joined import SURE
from micromimic.motion.spotting.reading import Candidate
from micromimic.motion.spotting.stretches import BRIDGE, grid_rate

NEIGHBOURS_S: Final = 0.7
"""Seconds before the undecided time whose movements still stand against those in it."""
SAME_APEX_S: Final = 0.06  # two readings with apexes no further apart are one movement's
_SAME_RATE: Final = 0.03  # rates no further apart than this share are one
_PAUSE_S: Final = 1.0  # after so many seconds without a frame what was before is over
_RENEW_S: Final = 2.0  # seconds between two measurements of the noise


@dataclass(frozen=True)
class LiveTiming:
    """When the spotter looks and speaks; all in seconds of the source."""

    hop: float = 0.1  # between two looks
    # after a movement's offset at which it is told at the latest, even if the rest after it was not
    # seen in full
    deadline: float = 0.32
    late: float = 0.45  # after its offset; what is told later is marked
    learn: float = 4.0  # of a face from which its noise is learnt before anything is told
    remember: float = 30.0  # how far back the noise reaches
    window: float = 5.0  # of past that is looked at


@dataclass(frozen=True)
class Sighting:
    """A movement is told."""

    number: int  # from 1
    frames: tuple[int, int, int]  # numbers of the onset's, apex's and offset's frame
    interval: Interval  # their times
    score: float  # multiples of the noise
    segment: int  # stretch of tracking
    late: bool  # told more than ``LiveTiming.late`` seconds after its offset
    dense: DenseCandidate | None = None  # what the dense flow saw of it; None where it saw nothing


@dataclass(frozen=True)
class Verdict:
    """The second look at a sighting."""

    number: int  # of the sighting
    kept: bool  # confirmed, or withdrawn
    reason: str = ""  # as in ``results.Rejected``; ``gone`` if it no longer stands out


Finding = Sighting | Verdict


@dataclass(frozen=True)
class _Reading:
    """A movement as it is read now."""

    seen: Sighting  # what would be told of it
    reason: str  # why it is no event; '' where it is one
    ready: bool  # its own future is there, or it may not wait for more


class LiveSpotter:
    """Finds the micro-expressions of one person while they are being filmed. ``recent``: gives the
    last seconds' frames again, for the dense flow; None: the ten cells only.

    >>> LiveSpotter().add(0, 0.0, None)
    []
    """

    def __init__(
        self,
        config: SpottingConfig | None = None,
        timing: LiveTiming | None = None,
        recent: Recent | None = None,
    ) -> None:
        self.config = config or SpottingConfig()
        self.timing = timing or LiveTiming()
        self.settle = self.config.crowd_window[1] + max(self.config.durations) + 0.1
        """Seconds after its apex at which a movement is looked at again."""
        remember = self.timing.remember
        self._dense = None if recent is None else DenseStream(recent, self.config, remember)
        self._found: float | None = None  # when the face was last seen in this stretch
        self._told = 0
        self._open: list[Sighting] = []
        self._kept: deque[Sighting] = deque(maxlen=16)
        self._start_learning()

    @property
    def learning(self) -> bool:
        """The noise of this face is not yet known."""
        return self._noise is None

    def keep_from(self, now: float) -> float:
        """The earliest time of which frames may still be asked for."""
        if self._noise is not None:
            longest = max(self.config.longest, self.config.reach)
            return now - self.settle - longest - 4 * self.timing.hop
        return next((time for _, time, row in self._rows if row is not None), now)

    def add(
        self, frame: int, time: float, row: FaceRow | None, canvas: Gray | None = None
    ) -> list[Finding]:
        """Take the next frame. ``frame``: its number, rising; ``row``: what was measured; None
        where the face is lost."""
        if self._found is not None and time - self._found > _PAUSE_S:
            return self.close() + self.add(frame, time, row, canvas)
        self._rows.append((frame, time, row))
        while time - self._rows[0][1] > self.timing.remember:
            self._rows.popleft()
        if row is None:
            lost = self._found is not None and time - self._found > BRIDGE
            return self.close() if lost else []
        if self._dense is not None and canvas is not None:
            self._dense.add(frame, time, row.segment, canvas)
        if self._found is None:
            self._looked = time
        self._found = time
        if time - self._looked < self.timing.hop - 1e-6:
            return []
        self._looked = time
        return self._look(time, ends=False)

    def close(self) -> list[Finding]:
        """The stretch is over (the face or the source is gone): tell what can be told of it."""
        if self._found is None:
            return []
        now, self._found = self._found, None
        return self._look(now, ends=True)

    def finish(self) -> list[Finding]:
        """The source has ended: as ``close``, and with the noise as far as it is known."""
        self._enough = 0.0
        found = self.close()
        if self._noise is None and self._rows:
            found += self._look(self._rows[-1][1], ends=True)
        return found

    def change_person(self) -> list[Finding]:
        """From here on another face is watched: close this one's stretch, forget its noise."""
        found = self.finish()
        if self._dense is not None and self._rows:
            self._dense.forget(self._rows[-1][1])
        self._start_learning()
        return found

    def let_go(self) -> None:
        """End the thread that computes flow."""
        if self._dense is not None:
            self._dense.close()

    def _start_learning(self) -> None:
        self._rows: deque[tuple[int, float, FaceRow | None]] = deque()
        self._noise: Noise | None = None
        self._renewed = -np.inf
        self._enough = self.timing.learn  # seconds of the face that tell its noise
        self._found = None
        self._looked = -np.inf
        self._decided = -np.inf  # movements with apexes up to here had their second look

    def _look(self, now: float, *, ends: bool) -> list[Finding]:
        """Read the last seconds, or all that has waited for the noise to be learnt."""
        first = now - self.timing.window if self._noise is not None else -np.inf
        rows = self._since(first)
        signals = signals_of([(time, row) for _, time, row in rows])
        if signals.found.sum() < 4:
            return []
        noise = self._noise_at(grid_rate(signals.times[signals.found]), now)
        if noise is None:
            return []
        parts = measure(signals, noise.rate, self.config, noise.steps)
        numbers = np.array([number for number, _, _ in rows])
        told: list[Finding] = []
        for part in parts:
            newest = part is parts[-1]
            over = ends or not newest
            last = float(part.stretch.times[-1])
            # What was told of a later stretch is not this one's to settle.
            settled = last if not newest else np.inf if ends else now - self.settle
            if last > self._decided:
                told += self._judge(self._readings(part, signals, numbers, over, settled), settled)
                self._decided = max(self._decided, min(settled, last))
        return told

    def _since(self, first: float) -> list[tuple[int, float, FaceRow | None]]:
        rows = []
        for item in reversed(self._rows):
            if item[1] < first:
                break
            rows.append(item)
        return rows[::-1]

    def _noise_at(self, rate: float, now: float) -> Noise | None:
        """The noise of the last half minute, measured now and then and at a new rate.

        None where that half minute holds too little of the face, as after a long absence; what was
        told is still settled under the noise of what there is.
        """
        known = self._noise
        same = known is not None and abs(rate / known.rate - 1) < _SAME_RATE
        if known is None or not same or now - self._renewed >= _RENEW_S:
            self._renewed = now
            rate = known.rate if known is not None and same else rate
            rows = [(time, row) for _, time, row in self._rows]
            parts = measure(signals_of(rows), rate, self.config)
            enough = sum(len(part.x) for part in parts) >= self._enough * rate or self._open
            self._noise = noise_of(parts, rate, self.config) if enough else None
        return self._noise

    def _readings(
        self, part: Part, signals: FaceSignals, numbers: np.ndarray, over: bool, settled: float
    ) -> list[_Reading]:
        """All movements of a stretch as they look now, those of the ten cells first."""
        assert self._noise is not None
        response = weigh(part, self._noise, self.config, ends=over)
        since = self._decided - NEIGHBOURS_S
        dense = [] if self._dense is None else self._of_dense(self._dense, part, settled)
        cells = [
            self._of_cells(item, part, signals, numbers, settled)
            for item in read(part, response, self._noise.rate, self.config, ends=over, since=since)
        ]
        of_cells = [item.seen for item in cells if not item.reason]
        return cells + [d for d in dense if all(_overlap(d.seen, seen) <= 0 for seen in of_cells)]

    def _of_cells(
        self,
        item: Candidate,
        part: Part,
        signals: FaceSignals,
        numbers: np.ndarray,
        settled: float,
    ) -> _Reading:
        times, places = part.stretch.times, [item.onset, item.apex, item.offset]
        rows = part.stretch.frames[places]
        first, middle, end = (int(number) for number in numbers[rows])
        interval = Interval(*(float(time) for time in signals.times[rows]))
        now = float(times[-1])
        waited = now - float(times[item.offset]) + self.timing.hop
        ready = item.needs < len(times) or (item.closed and waited > self.timing.deadline)
        late = now - interval.offset > self.timing.late
        segment = int(signals.segments[rows[1]])
        dense = None if self._dense is None else self._dense.seen_at(interval.apex)
        reason = item.reason
        if self._dense is not None and not reason and item.score < SURE:
            looked = self._dense.look_at(interval.apex, settled, now)
            reason = "crowded" if looked is None else looked.reason
        seen = Sighting(0, (first, middle, end), interval, item.score, segment, late, dense)
        return _Reading(seen, reason, ready)

    def _of_dense(self, dense: DenseStream, part: Part, settled: float) -> list[_Reading]:
        start, now = float(part.stretch.times[0]), float(part.stretch.times[-1])
        readings = []
        for item in dense.read(max(start, self._decided), settled, now):
            times_noise = item.candidate.amplitude / item.candidate.deviation
            late = now - item.interval.offset > self.timing.late
            seen = Sighting(
                0, item.frames, item.interval, times_noise, item.segment, late, item.candidate
            )
            if start <= item.interval.apex <= now:
                readings.append(_Reading(seen, item.reason, item.complete))
        return readings

    def _judge(self, readings: Sequence[_Reading], settled: float) -> list[Finding]:
        """Tell what is ready and not yet known; look again at what is settled."""
        told = self._look_again(readings, settled)
        for item in sorted(readings, key=lambda reading: reading.seen.interval.onset):
            seen = item.seen
            if item.reason or seen.interval.apex <= self._decided:
                continue
            if not all(_apart(seen, other) for other in self._kept):
                continue
            if seen.interval.apex <= settled and not any(_same(seen, o) for o in self._open):
                told.append(self._report(seen))
                told += self._look_again([item], settled)
            elif item.ready and all(_apart(seen, other) for other in self._open):
                told.append(self._report(seen))
        return told

    def _report(self, seen: Sighting) -> Sighting:
        self._told += 1
        seen = replace(seen, number=self._told)
        self._open.append(seen)
        return seen

    def _look_again(self, readings: Sequence[_Reading], settled: float) -> list[Finding]:
        """Confirm or withdraw what was told, once all of its future is known."""
        verdicts: list[Finding] = []
        for told in [seen for seen in self._open if seen.interval.apex <= settled]:
            self._open.remove(told)
            # Of one movement cells and flow may see different parts; either will do.
            seen = [i for i in readings if not i.reason and _overlap(told, i.seen) > 0]
            reasons = [item.reason for item in readings if _same(told, item.seen)]
            reason = "" if seen else reasons[0] if reasons else "gone"
            verdicts.append(Verdict(told.number, not reason, reason))
            if not reason:
                self._kept.append(told)
        return verdicts


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
    """Whether two readings can be movements of their own; as `spotting.reading.apart`."""
    shorter = min(a.interval.duration, b.interval.duration)
    return _overlap(a, b) <= 0.2 * shorter and _apex_distance(a, b) > 0.3
