"""What can be set for a live session."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from micromimic.analysis.live.follow import LONGEST_SIDE
from micromimic.analysis.live.listeners import MOST_PASSING
from micromimic.analysis.second_pass import ShotConfig
from micromimic.face.tracking import TrackingConfig
from micromimic.models.samples import View
from micromimic.motion.flow import FlowConfig
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.motion.spotting.live import LiveTiming


@dataclass(frozen=True)
class LiveConfig:
    """Everything that can be set.

    Args:
        tracking, spotting, flow, timing: the stages' settings.
        model: an ONNX file that ``micromimic train`` wrote; None is the shipped flow-capsnet.
        average: seconds either side of onset and apex averaged before flow is computed.
        evidence: keep pictures of each event.
        curve: who iterates over the session gets the motion of each frame and the face's shape.
        may_drop: False makes the source wait where the machine cannot keep up: for a source that
            need not keep a pace.
        waiting: messages of passing interest (curve, shape, status) that may wait to be read.
        buffer_s: seconds for which a frame may wait.
        ring_bytes: memory for the recent frames that events are named from.
        crop_margin, crop_resolution: of the pictures, as for ``analyze``.
    """

    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    spotting: SpottingConfig = field(default_factory=SpottingConfig)
    flow: FlowConfig = field(default_factory=FlowConfig)
    timing: LiveTiming = field(default_factory=LiveTiming)
    model: str | Path | None = None
    average: float = 0.01
    evidence: bool = False
    curve: bool = True
    may_drop: bool = True
    waiting: int = MOST_PASSING
    buffer_s: float = 0.5
    ring_bytes: int = 256 * 2**20
    crop_margin: float = 5.0
    crop_resolution: float = 8.0

    @property
    def policy(self) -> str:
        """What happens when the machine cannot keep up, in one sentence."""
        smaller = f"frames of more than {LONGEST_SIDE} pixels a side are made smaller first"
        if not self.may_drop:
            return f"no frame is dropped, the source waits; {smaller}"
        return (
            f"a frame waits at most {self.buffer_s:g} s; beyond half of that every 2nd, 3rd, ... "
            "frame is taken, what finds no room is refused, all are counted, and the shortest "
            f"movement that can be seen is restated; {smaller}"
        )

    def shots(self, view: View) -> ShotConfig:
        """What is kept of each event, for a model that looks at ``view``."""
        return ShotConfig(
            flow=self.flow,
            average=self.average,
            view=view,
            evidence=self.evidence,
            crop_margin=self.crop_margin,
            crop_resolution=self.crop_resolution,
        )
