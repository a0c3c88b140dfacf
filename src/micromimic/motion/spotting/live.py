"""Spotting while the face is being filmed: each movement is reported as soon as it can be.

What `spotting.cells` and the dense flow find in a recording is looked for in the last seconds,
again and again. A movement is reported when its own future is there (the rest after it, the
filter's width), at the latest ``deadline`` seconds after its offset; it is looked at again when all
of the future that an analysis of the recording would use is known, and then confirmed or withdrawn.
Noise is that of the last half minute; while that holds too little of the face, it is learnt and
nothing is reported.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import CELLS
from micromimic.core.types import Interval
from micromimic.face.align import Gray
from micromimic.face.signals import FaceRow, FaceSignals, SignalLog
from micromimic.media.frames import Frames
from micromimic.motion.spotting.bumps import Array, mad
from micromimic.motion.spotting.cells import Candidate, Noise, Part, measure, noise_of, read, weigh
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.dense.candidates import (
    SAME_S,
    DenseCandidate,
    Judged,
    Tail,
    find_candidates,
    judge,
    seen_at,
    tail_of,
)
from micromimic.motion.spotting.dense.measure import DenseMeter, DenseSignals
from micromimic.motion.spotting.dense.second_look import Seen, look_again
from micromimic.motion.spotting.joined import SURE
from micromimic.motion.spotting.time_grid import BRIDGE, grid_rate

REST_S: Final = 1.4
"""Seconds whose median is the rest, as `bumps.local_rest`; here they all lie in the past."""
REST_RATE: Final = 40.0
NOISE_RATE: Final = 20.0
NOISE_S: Final = 30.0
LEARN_S: Final = 4.0  # seconds of a face from which its noise is learnt


class LiveCurve:
    """How far the ten cells are from rest, frame by frame."""

    def __init__(self, config: SpottingConfig | None = None) -> None:
        self._config = config or SpottingConfig()
        self._recent: deque[tuple[float, Array]] = deque()
        self._rest: Array = np.zeros((len(CELLS), 2))
        self.forget_noise()

    def forget_noise(self) -> None:
        """Another person: learn the noise anew."""
        self._off_rest: deque[Array] = deque(maxlen=round(NOISE_S * NOISE_RATE))
        self._sampled = -np.inf
        self._learnt = -np.inf
        self._noise: Array | None = None
        self.start_stretch()

    def start_stretch(self) -> None:
        """Displacement counts from another zero now."""
        self._recent.clear()

    def point(
        self, time: float, displacement: NDArray[np.floating]
    ) -> tuple[float | None, NDArray[np.float64]]:
        """Score and cells of the next frame. ``displacement``: (10, 2) canonical units. Returns the
        root mean square of the strongest cells in multiples of their noise (None while that is
        being learnt), and (10,) displacements from rest, canonical units."""
        moved = np.asarray(displacement, np.float64)
        if not self._recent or time - self._recent[-1][0] >= 0.98 / REST_RATE:
            self._recent.append((time, moved))
            while time - self._recent[0][0] > REST_S:
                self._recent.popleft()
            past = np.sort([there for _, there in self._recent], axis=0)
            self._rest = (past[(len(past) - 1) // 2] + past[len(past) // 2]) / 2  # their median
        off = moved - self._rest
        if time - self._sampled >= 0.98 / NOISE_RATE:
            self._remember(time, off)
        length = np.hypot(off[:, 0], off[:, 1])
        if self._noise is None:
            return None, length
        ratio = off / self._noise
        energy = np.sort(np.einsum("ij,ij->i", ratio, ratio))[-self._config.top_cells :]
        return math.sqrt(float(energy.sum()) / len(energy)), length

    def _remember(self, time: float, off: Array) -> None:
        self._sampled = time
        self._off_rest.append(off)
        enough = len(self._off_rest) >= LEARN_S * NOISE_RATE
        if enough and time - self._learnt >= 1.0:
            self._learnt = time
            self._noise = mad(np.array(self._off_rest)) + self._config.noise_floor


_SURE_S: Final = 0.1  # seconds of the score after a peak that show that it is one
_AFTER_S: Final = 0.15  # seconds after an offset in which the rest is seen
_HOP_S: Final = 0.2  # seconds between two looks
_RENEW_S: Final = 2.0  # seconds between two looks at the whole half minute


class RecentFrames(Frames, Protocol):
    """Frames of the last seconds, asked for by their place."""

    numbers: NDArray[np.intp]

    def signals(self) -> FaceSignals:
        """What was measured in them, a row a frame."""


class Recent(Protocol):
    """What holds the last seconds' frames."""

    def cut(self, first: float, last: float, segment: int) -> RecentFrames | None:
        """The frames of one stretch between two times; None where there are too few."""


@dataclass(frozen=True)
class SecondLook:
    candidate: DenseCandidate  # what was found
    frames: tuple[int, int, int]  # numbers of the onset's, apex's and offset's frame
    interval: Interval  # their times
    segment: int  # stretch of tracking
    reason: str  # why it is no event; '' where it is one
    clear: bool  # as in ``second_look.Movement``
    until: float  # time up to which frames were there

    @property
    def complete(self) -> bool:
        """The rest after it was seen."""
        return self.until >= self.interval.offset + _AFTER_S


class DenseStream:
    """The dense flow's movements in the last ``remember`` seconds; used by one thread."""

    def __init__(self, recent: Recent, config: SpottingConfig, remember: float) -> None:
        self._recent, self._config = recent, config
        self._meter = DenseMeter(remember)
        self._since = -np.inf
        self._looked: dict[int, SecondLook] = {}
        self._flows: dict[int, dict[int, Seen]] = {}  # by the frame from which, and to which
        self._judged_at = self._renewed = -np.inf
        self._state: tuple[DenseSignals, Judged, Tail] | None = None

    def add(self, frame: int, time: float, segment: int, canvas: Gray) -> None:
        """Take the next frame that shows the face, as `measure.DenseMeter.add`."""
        self._meter.add(frame, time, segment, canvas)

    def forget(self, now: float) -> None:
        """Another person from here on."""
        self._since, self._renewed = now, -np.inf
        self._state = None
        self._looked.clear()
        self._flows.clear()

    def close(self) -> None:
        self._meter.close()

    def read(self, undecided: float, settled: float, now: float) -> list[SecondLook]:
        """Movements with apexes after ``undecided``, each looked at again as far as its frames are
        there; those up to ``settled`` for the last time. ``now``: time of the newest frame."""
        if now - self._judged_at >= _HOP_S - 1e-6 or settled >= now:
            self._judge(undecided, now)
        if self._state is None:
            return []
        signals, judged, tail = self._state
        known = signals.times[np.isfinite(signals.response).all((1, 2))]
        last = known[-1] if len(known) else -np.inf
        looked = [
            self._look(item, settled, now)
            for item in find_candidates(signals, judged, tail, self._config.false_alarms)
            if undecided - SAME_S < signals.times[item.moment] <= last - _SURE_S
        ]
        return [item for item in looked if item is not None]

    def seen_at(self, time: float) -> DenseCandidate | None:
        """What the flow saw of a movement with its apex there."""
        return None if self._state is None else seen_at(time, *self._state)

    def look_at(self, time: float, settled: float, now: float) -> SecondLook | None:
        """The second look at a weak movement of the cells; None where the flow saw none."""
        item = self.seen_at(time)
        looked = None if item is None else self._look(item, settled, now)
        if looked is None or looked.clear:
            return looked
        return replace(looked, reason=looked.reason or "crowded")

    def _judge(self, undecided: float, now: float) -> None:
        self._judged_at = now
        signals = self._meter.signals()
        signals = signals.only(signals.times >= self._since)
        if len(signals.times) < 2:
            return
        tail = None if self._state is None else self._state[2]
        if tail is None or now - self._renewed >= _RENEW_S:
            judged = judge(signals)
            tail, self._renewed = tail_of(signals, judged), now
        else:
            judged = judge(signals, since=undecided - 1.0)
        self._state = signals, judged, tail
        self._looked = {f: m for f, m in self._looked.items() if m.until > now - 10}
        self._flows = {f: flows for f, flows in self._flows.items() if f in self._looked}

    def _look(self, item: DenseCandidate, settled: float, now: float) -> SecondLook | None:
        assert self._state is not None
        measured, judged, _ = self._state
        time, segment = float(measured.times[item.moment]), int(measured.segments[item.moment])
        reach = self._config.reach
        before = self._looked.get(item.frame)
        if before is not None:
            last = time <= settled and before.until < min(now, time + reach) - 0.05
            more = not before.complete and now >= before.interval.offset + _AFTER_S
            if not (last or more):
                return replace(before, candidate=item)
        cut = self._recent.cut(time - reach, time + reach, segment)
        if cut is None or item.frame not in cut.numbers:
            return None
        here = replace(item, frame=int(np.searchsorted(cut.numbers, item.frame)))
        signals = cut.signals()
        rate = 1 / float(np.median(np.diff(signals.times)))
        flows = self._flows.setdefault(item.frame, {})
        known = {row: flows[n] for row, n in enumerate(cut.numbers.tolist()) if n in flows}
        (seen,) = look_again(cut, signals, [here], judged.filters, rate, self._config, known=known)
        flows.update((int(cut.numbers[row]), coordinates) for row, coordinates in known.items())
        places = [seen.onset, seen.apex, seen.offset]
        looked = self._looked[item.frame] = SecondLook(
            candidate=item,
            frames=_three(cut.numbers[places]),
            interval=Interval(*signals.times[places].tolist()),
            segment=segment,
            reason=seen.reason,
            clear=seen.clear,
            until=float(signals.times[-1]),
        )
        return looked


def _three(numbers: NDArray[np.intp]) -> tuple[int, int, int]:
    onset, apex, offset = numbers.tolist()
    return onset, apex, offset


NEIGHBOURS_S: Final = 0.7
"""Seconds before the undecided time whose movements still stand against those in it."""
SAME_APEX_S: Final = 0.06  # two readings with apexes no further apart are one movement's
_SAME_RATE: Final = 0.03  # rates no further apart than this share are one
_PAUSE_S: Final = 1.0  # after so many seconds without a frame what was before is over


@dataclass(frozen=True)
class LiveTiming:
    """When the spotter looks and speaks; all in seconds of the source."""

    hop: float = 0.1  # between two looks
    # after a movement's offset, when it is reported even if the rest after it was not seen in full
    deadline: float = 0.32
    late: float = 0.45  # after its offset; what is reported later is marked
    learn: float = 4.0  # of a face from which its noise is learnt before anything is reported
    remember: float = 30.0  # how far back the noise reaches
    window: float = 5.0  # of past that is looked at


@dataclass(frozen=True)
class Sighting:
    """A movement as it is read, or reported."""

    number: int  # from 1
    frames: tuple[int, int, int]  # numbers of the onset's, apex's and offset's frame
    interval: Interval  # their times
    score: float  # multiples of the noise
    segment: int  # stretch of tracking
    late: bool  # reported more than ``LiveTiming.late`` seconds after its offset
    dense: DenseCandidate | None = None  # what the dense flow saw of it; None where it saw nothing
    reason: str = ""  # why it is no event, while it is read; '' where it is one
    ready: bool = True  # its own future is there, or it may not wait for more


@dataclass(frozen=True)
class Verdict:
    """The second look at a sighting."""

    number: int  # of the sighting
    kept: bool  # confirmed, or withdrawn
    reason: str = ""  # as in ``results.Rejected``; ``gone`` if it no longer stands out


Finding = Sighting | Verdict


class LiveSpotter:
    """Finds the micro-expressions of one person while they are being filmed. ``recent``: gives the
    last seconds' frames again, for the dense flow; None: the ten cells only."""

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
        self._reported = 0
        self._open: list[Sighting] = []
        self._confirmed: deque[Sighting] = deque(maxlen=16)
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
        return next((time for _, time, found in self._frames if found), now)

    def add(
        self, frame: int, time: float, row: FaceRow | None, canvas: Gray | None = None
    ) -> list[Finding]:
        """Take the next frame. ``frame``: its number, rising; ``row``: what was measured; None
        where the face is lost."""
        if self._found is not None and time - self._found > _PAUSE_S:
            return self.close() + self.add(frame, time, row, canvas)
        self._log.add(time, row)
        self._frames.append((frame, time, row is not None))
        while time - self._frames[0][1] > self.timing.remember:
            self._frames.popleft()
        if row is None:
            lost = self._found is not None and time - self._found > BRIDGE
            return self.close() if lost else []
        if self._dense is not None and canvas is not None:
            self._dense.add(frame, time, row.segment, canvas)
        if self._found is None:
            self._last_read = time
        self._found = time
        if time - self._last_read < self.timing.hop - 1e-6:
            return []
        self._last_read = time
        return self._read(time, ends=False)

    def close(self) -> list[Finding]:
        """The stretch is over (the face or the source is gone): report what can be."""
        if self._found is None:
            return []
        now, self._found = self._found, None
        return self._read(now, ends=True)

    def finish(self) -> list[Finding]:
        """The source has ended: as ``close``, and with the noise as far as it is known."""
        self._enough = 0.0
        found = self.close()
        if self._noise is None and self._frames:
            found += self._read(self._frames[-1][1], ends=True)
        return found

    def change_person(self) -> list[Finding]:
        """From here on another face is watched: close this one's stretch, forget its noise."""
        found = self.finish()
        if self._dense is not None and self._frames:
            self._dense.forget(self._frames[-1][1])
        self._start_learning()
        return found

    def release(self) -> None:
        """End the thread that computes flow."""
        if self._dense is not None:
            self._dense.close()

    def _start_learning(self) -> None:
        self._log = SignalLog(self.timing.remember)
        # Number and seconds of each frame that is remembered, and whether it showed the face.
        self._frames: deque[tuple[int, float, bool]] = deque()
        self._noise: Noise | None = None
        self._renewed = -np.inf
        self._enough = self.timing.learn  # seconds of the face that tell its noise
        self._found = None
        self._last_read = -np.inf
        self._decided = -np.inf  # movements with apexes up to here had their second look

    def _read(self, now: float, *, ends: bool) -> list[Finding]:
        """Read the last seconds, or all that has waited for the noise to be learnt."""
        first = now - self.timing.window if self._noise is not None else -np.inf
        signals = self._since(first)
        if signals.found.sum() < 4:
            return []
        noise = self._noise_at(grid_rate(signals.times[signals.found]), now)
        if noise is None:
            return []
        parts = measure(signals, noise.rate, self.config, noise.steps)
        shown = islice(self._frames, len(self._frames) - len(signals.times), None)
        numbers = np.array([number for number, _, _ in shown])
        findings: list[Finding] = []
        for part in parts:
            newest = part is parts[-1]
            over = ends or not newest
            last = float(part.stretch.times[-1])
            # What was reported of a later stretch is not this one's to settle.
            settled = last if not newest else np.inf if ends else now - self.settle
            if last > self._decided:
                readings = self._readings(part, signals, numbers, over, settled)
                findings += self._judge(readings, settled)
                self._decided = max(self._decided, min(settled, last))
        return findings

    def _since(self, first: float = -np.inf) -> FaceSignals:
        return self._log.since(max(first, self._frames[0][1]))

    def _noise_at(self, rate: float, now: float) -> Noise | None:
        """The noise of the last half minute, measured now and then and at a new rate. None where
        that half minute holds too little of the face, as after a long absence; what was reported is
        still settled under the noise of what there is."""
        known = self._noise
        same = known is not None and abs(rate / known.rate - 1) < _SAME_RATE
        if known is None or not same or now - self._renewed >= _RENEW_S:
            self._renewed = now
            rate = known.rate if known is not None and same else rate
            parts = measure(self._since(), rate, self.config)
            enough = sum(len(part.x) for part in parts) >= self._enough * rate or self._open
            self._noise = noise_of(parts, rate, self.config) if enough else None
        return self._noise

    def _readings(
        self, part: Part, signals: FaceSignals, numbers: np.ndarray, over: bool, settled: float
    ) -> list[Sighting]:
        """All movements of a stretch as they look now, those of the ten cells first."""
        assert self._noise is not None
        scene = weigh(part, self._noise, self.config, ends=over)
        since = self._decided - NEIGHBOURS_S
        dense = [] if self._dense is None else self._of_dense(self._dense, part, settled)
        cells = [
            self._of_cells(item, part, signals, numbers, settled)
            for item in read(scene, self.config, since=since)
        ]
        passed = [item for item in cells if not item.reason]
        return cells + [d for d in dense if all(_overlap(d, other) <= 0 for other in passed)]

    def _of_cells(
        self, item: Candidate, part: Part, signals: FaceSignals, numbers: np.ndarray, settled: float
    ) -> Sighting:
        times, places = part.stretch.times, [item.onset, item.apex, item.offset]
        rows = part.stretch.frames[places]
        interval = Interval(*signals.times[rows].tolist())
        now = float(times[-1])
        waited = now - float(times[item.offset]) + self.timing.hop
        reason, dense = item.reason, None
        if self._dense is not None:
            dense = self._dense.seen_at(interval.apex)
            if not reason and item.score < SURE:
                looked = self._dense.look_at(interval.apex, settled, now)
                reason = "crowded" if looked is None else looked.reason
        return Sighting(
            number=0,
            frames=_three(numbers[rows]),
            interval=interval,
            score=item.score,
            segment=int(signals.segments[rows[1]]),
            late=now - interval.offset > self.timing.late,
            dense=dense,
            reason=reason,
            ready=item.needs < len(times) or (item.closed and waited > self.timing.deadline),
        )

    def _of_dense(self, dense: DenseStream, part: Part, settled: float) -> list[Sighting]:
        start, now = float(part.stretch.times[0]), float(part.stretch.times[-1])
        return [
            Sighting(
                number=0,
                frames=item.frames,
                interval=item.interval,
                score=item.candidate.amplitude / item.candidate.deviation,
                segment=item.segment,
                late=now - item.interval.offset > self.timing.late,
                dense=item.candidate,
                reason=item.reason,
                ready=item.complete,
            )
            for item in dense.read(max(start, self._decided), settled, now)
            if start <= item.interval.apex <= now
        ]

    def _judge(self, readings: Sequence[Sighting], settled: float) -> list[Finding]:
        findings = self._settle(readings, settled)
        for item in sorted(readings, key=lambda reading: reading.interval.onset):
            if item.reason or item.interval.apex <= self._decided:
                continue
            if not all(_apart(item, other) for other in self._confirmed):
                continue
            if item.interval.apex <= settled and not any(_same(item, o) for o in self._open):
                findings.append(self._report(item))
                findings += self._settle([item], settled)
            elif item.ready and all(_apart(item, other) for other in self._open):
                findings.append(self._report(item))
        return findings

    def _report(self, seen: Sighting) -> Sighting:
        self._reported += 1
        seen = replace(seen, number=self._reported)
        self._open.append(seen)
        return seen

    def _settle(self, readings: Sequence[Sighting], settled: float) -> list[Finding]:
        """Confirm or withdraw what was reported, once all of its future is known."""
        verdicts: list[Finding] = []
        for reported in [seen for seen in self._open if seen.interval.apex <= settled]:
            self._open.remove(reported)
            # Of one movement cells and flow may see different parts; either will do.
            again = any(not i.reason and _overlap(reported, i) > 0 for i in readings)
            reasons = [item.reason for item in readings if _same(reported, item)]
            reason = "" if again else reasons[0] if reasons else "gone"
            verdicts.append(Verdict(reported.number, not reason, reason))
            if not reason:
                self._confirmed.append(reported)
        return verdicts


def _overlap(a: Sighting, b: Sighting) -> float:
    return min(a.interval.offset, b.interval.offset) - max(a.interval.onset, b.interval.onset)


def _same(a: Sighting, b: Sighting) -> bool:
    shared = _overlap(a, b)
    union = a.interval.duration + b.interval.duration - shared
    return abs(a.interval.apex - b.interval.apex) <= SAME_APEX_S or shared >= 0.5 * union


def _apart(a: Sighting, b: Sighting) -> bool:
    """Whether two readings can be movements of their own; as `spotting.reading.apart`."""
    shorter = min(a.interval.duration, b.interval.duration)
    return _overlap(a, b) <= 0.2 * shorter and abs(a.interval.apex - b.interval.apex) > 0.3
