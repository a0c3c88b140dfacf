"""From a movement that was seen live to a named event, while its frames are still held."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.analyze import event_of
from micromimic.analysis.live.messages import LiveEvent, Settled
from micromimic.analysis.live.ring import Cut
from micromimic.analysis.second_pass import ShotConfig, take_shots
from micromimic.core.types import MicroExpression
from micromimic.models.action_units import load_unit_model
from micromimic.models.onnx import RecognitionModel
from micromimic.motion.spotting.cells import Spotted
from micromimic.motion.spotting.live import Sighting, Verdict


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """A movement to be named."""

    seen: Sighting  # the movement
    cut: Cut  # its frames
    landmarks: NDArray[np.float64]  # (68, 2) of its stretch, canonical units


class Namer:
    """Names movements, in order, and counts."""

    def __init__(self, model: RecognitionModel, config: ShotConfig) -> None:
        self._model = model
        self._units = load_unit_model()
        self._config = config
        self._numbers: dict[int, int] = {}
        self.events = 0
        self.withdrawn = 0

    def name(self, job: Naming) -> MicroExpression:
        """Flow, class and pictures of one movement."""
        seen = job.seen
        signals = replace(job.cut.signals(), landmarks={seen.segment: job.landmarks})
        onset, apex, offset = (job.cut.place_of(number) for number in seen.frames)
        spotted = Spotted(onset, apex, offset, seen.score, seen.dense)
        shots = take_shots(job.cut, signals, [spotted], self._config, lambda *_: None)
        event = event_of(
            spotted,
            next(iter(shots)),
            signals,
            self._model,
            self._units,
            self._config.evidence,
        )
        onset, apex, offset = seen.frames
        return replace(
            event,
            interval=seen.interval,
            onset_frame=onset,
            apex_frame=apex,
            offset_frame=offset,
        )

    def event(self, job: Naming, event: MicroExpression, now: float) -> LiveEvent:
        """The message for a named movement; ``now`` is the source's time."""
        seen = job.seen
        self.events += 1
        self._numbers[seen.number] = self.events
        delay = max(0.0, now - seen.interval.offset)
        return LiveEvent(self.events, event, delay, seen.late, seen.segment)

    def settled(self, verdict: Verdict) -> Settled | None:
        """The message for a second look; None where the movement could not be named."""
        number = self._numbers.pop(verdict.number, None)
        if number is None:
            return None
        self.withdrawn += not verdict.kept
        return Settled(number, verdict.kept, verdict.reason)
