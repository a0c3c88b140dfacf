"""The dense flow of a face that is being filmed: candidates as soon as their own future is there.

The same measurement, noise and second look as for a recording, over the last half minute; the tail
of what chance makes is that of the same time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from micromimic.core.types import Interval
from micromimic.face.align import Gray
from micromimic.face.signals import FaceSignals
from micromimic.media.frames import Frames
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.dense.candidates import (
    SAME_S,
    DenseCandidate,
    Tail,
    find_candidates,
    seen_at,
    tail_of,
)
from micromimic.motion.spotting.dense.look import look_again
from micromimic.motion.spotting.dense.measure import DenseMeter, DenseSignals
from micromimic.motion.spotting.dense.noise import Judged, judge

_SURE_S: Final = 0.1  # seconds of the score after a peak that show that it is one
_AFTER_S: Final = 0.15  # seconds after an offset in which the rest is seen
_HOP_S: Final = 0.2  # seconds between two looks
_RENEW_S: Final = 2.0  # seconds between two looks at the whole half minute


class RecentFrames(Frames, Protocol):
    """Frames of the last seconds, asked for by their place."""

    numbers: NDArray[np.intp]

    def signals(self) -> FaceSignals:
        """What was measured in them, a row a frame."""
        ...


class Recent(Protocol):
    """What holds the last seconds' frames."""

    def cut(self, first: float, last: float, segment: int) -> RecentFrames | None:
        """The frames of one stretch between two times; None where there are too few."""
        ...


@dataclass(frozen=True)
class Looked:
    """A candidate as it was looked at again."""

    candidate: DenseCandidate  # what was found
    frames: tuple[int, int, int]  # numbers of the onset's, apex's and offset's frame
    interval: Interval  # their times
    segment: int  # stretch of tracking
    reason: str  # why it is no event; '' where it is one
    clear: bool  # as in ``look.Movement``
    until: float  # time up to which frames were there

    @property
    def complete(self) -> bool:
        """The rest after it was seen."""
        return self.until >= self.interval.offset + _AFTER_S


class DenseStream:
    """Measures and finds; used by one thread. ``recent``: gives frames of the last seconds again;
    ``remember``: seconds from which noise is learnt."""

    def __init__(self, recent: Recent, config: SpottingConfig, remember: float) -> None:
        self._recent, self._config = recent, config
        self._meter = DenseMeter(remember)
        self._since = -np.inf
        self._looked: dict[int, Looked] = {}
        self._judged_at = self._renewed = -np.inf
        self._tail: Tail | None = None
        self._state: tuple[DenseSignals, Judged] | None = None

    def add(self, frame: int, time: float, segment: int, canvas: Gray) -> None:
        """Take the next frame that shows the face, as `measure.DenseMeter.add`."""
        self._meter.add(frame, time, segment, canvas)

    def forget(self, now: float) -> None:
        """Another person from here on."""
        self._since, self._renewed = now, -np.inf
        self._tail = self._state = None
        self._looked.clear()

    def close(self) -> None:
        """Let go of the thread."""
        self._meter.close()

    def read(self, undecided: float, settled: float, now: float) -> list[Looked]:
        """Movements after a time, each looked at again as far as its frames are there."""
        if now - self._judged_at >= _HOP_S - 1e-6 or settled >= now:
            self._judge(undecided, now)
        if self._state is None or self._tail is None:
            return []
        signals, judged = self._state
        found = []
        for item in find_candidates(signals, judged, self._tail, self._config.false_alarms):
            time = float(signals.times[item.moment])
            if time <= undecided - SAME_S or time + _SURE_S > self._known_to(signals):
                continue
            looked = self._look(item, time, int(signals.segments[item.moment]), settled, now)
            if looked is not None:
                found.append(looked)
        return found

    def seen_at(self, time: float) -> DenseCandidate | None:
        """What the flow saw of a movement with its apex there."""
        if self._state is None or self._tail is None:
            return None
        return seen_at(time, *self._state, self._tail)

    def look_at(self, time: float, settled: float, now: float) -> Looked | None:
        """The second look at a weak movement of the cells; None where the flow saw none."""
        item = self.seen_at(time)
        if item is None or self._state is None:
            return None
        signals = self._state[0]
        moment = float(signals.times[item.moment])
        looked = self._look(item, moment, int(signals.segments[item.moment]), settled, now)
        if looked is None or looked.clear:
            return looked
        return replace(looked, reason=looked.reason or "crowded")

    def _judge(self, undecided: float, now: float) -> None:
        self._judged_at = now
        signals = self._meter.signals()
        signals = signals.only(signals.times >= self._since)
        if len(signals.times) < 2:
            return
        whole = self._tail is None or now - self._renewed >= _RENEW_S
        judged = judge(signals, since=-np.inf if whole else undecided - 1.0)
        if whole:
            self._tail, self._renewed = tail_of(signals, judged), now
        self._state = signals, judged
        self._looked = {f: m for f, m in self._looked.items() if m.until > now - 10}

    def _known_to(self, signals: DenseSignals) -> float:
        known = np.flatnonzero(np.isfinite(signals.response).all((1, 2)))
        return float(signals.times[known[-1]]) if len(known) else -np.inf

    def _look(
        self, item: DenseCandidate, time: float, segment: int, settled: float, now: float
    ) -> Looked | None:
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
        place = int(np.searchsorted(cut.numbers, item.frame))
        signals, judged = cut.signals(), self._state
        assert judged is not None
        rate = 1 / float(np.median(np.diff(signals.times)))
        (seen,) = look_again(
            cut, signals, [replace(item, frame=place)], judged[1].filters, rate, self._config
        )
        places = [seen.onset, seen.apex, seen.offset]
        first, middle, end = (int(number) for number in cut.numbers[places])
        interval = Interval(*(float(t) for t in signals.times[places]))
        until = float(signals.times[-1])
        looked = Looked(
            item, (first, middle, end), interval, segment, seen.reason, seen.clear, until
        )
        self._looked[item.frame] = looked
        return looked
