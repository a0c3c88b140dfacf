"""What decides which movements count."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SENSITIVITY: Final = {"low": 0.2, "normal": 1.0, "high": 4.0}  # false alarms a minute, by name


_SETTLED_S: Final = 0.16  # seconds of past and future that a step depends on


@dataclass(frozen=True)
class GateConfig:
    head_speed: float = 0.08  # interocular distances a second; faster is head movement
    # relative change of the face's brightness within a tenth of a second
    light_change: float = 0.05
    blink_noise: float = 8.0  # eyelid signal above this many times its own noise is a blink...
    blink_floor: float = 0.2  # ...and above this share of the eyes' contrast
    blink_foot: float = 0.15  # share of a blink's height at which it begins and ends
    blink_longest: float = 1.0  # seconds; longer closures are closed eyes, gated but no blinks


@dataclass(frozen=True)
class SpeechConfig:
    window: float = 1.2  # seconds in which path and range are compared
    turning: float = 2.35  # path over range; a movement there and back has 2
    part: float = 0.3  # only channels count whose range is at least this share of all channels'...
    # seconds by which what was found is widened: a phrase's last sounds are no events
    margin: float = 0.5
    least_range: float = 0.02  # ...and so many canonical units
    least_noise: float = 0.0008  # canonical units, floor of the steps' noise
    least_quiet: float = 2.0  # seconds without speech from which a face's noise can be learnt

    @property
    def reach(self) -> float:
        """Seconds of past and of future that decide whether a moment is speech."""
        return self.window / 2 + self.margin + _SETTLED_S


@dataclass(frozen=True)
class SpottingConfig:
    """How movements are told from noise.

    Parameters
    ----------
    durations : tuple[float, ...]
        Seconds, the bump filters' widths.
    threshold : float
        Score that a movement must reach, multiples of the noise.
    top_cells : int
        How many of the strongest cells make the score.
    noise_floor : float
        Canonical units added to each channel's noise, so that a perfectly still (synthetic or
        frozen) picture raises no alarms.
    lowpass : float
        Seconds, Gaussian smoothing of the displacement.
    shortest, longest : float
        Seconds from onset to offset of what may be a micro-expression.
    foot : float
        Share of the apex at which the walk down to onset and offset ends.
    side_near, side_width : float
        The level before and after is measured from this many seconds from the apex (nearer for
        shorter movements) over so many seconds.
    max_step : float
        Difference of those levels over the apex's height; more is a lasting change, the
        beginning or end of a macro-expression.
    min_height : float
        Displacement at the apex from the local rest, over the filter's answer.
    rest_window : float
        Seconds whose median is the local rest; longer than macro-expressions, so that their
        rise and fall are seen, rejected and counted.
    min_displacement : float
        Canonical units, smallest peak of the strongest cell.
    crowd_window : tuple[float, float]
        Seconds before and after the apex that are looked at for other movement.
    crowd_level : float
        Share of the peak that movement must reach to count.
    crowd_share, crowd_one_side : float
        A movement is part of a crowd (speech, laughter) if other movement fills this share of
        both sides, or this share of one.
    stand_out : float
        A movement must reach this many times the median score of those seconds: noise is
        measured over the whole video, and there are stretches with more of it.
    gates : GateConfig
        Limits for blinks, head and light.
    speech : SpeechConfig
        Limits for speech.
    false_alarms : float
        Movements of the dense flow that chance may make, a minute.
    """

    durations: tuple[float, ...] = (0.06, 0.085, 0.12, 0.17, 0.24, 0.34, 0.48)
    threshold: float = 3.5
    top_cells: int = 3
    noise_floor: float = 0.001
    lowpass: float = 0.012
    shortest: float = 0.04
    longest: float = 0.62
    foot: float = 0.12
    side_near: float = 0.30
    side_width: float = 0.25
    max_step: float = 0.5
    min_height: float = 0.5
    rest_window: float = 3.0
    min_displacement: float = 0.01
    crowd_window: tuple[float, float] = (0.45, 1.6)
    crowd_level: float = 0.5
    crowd_share: float = 0.3
    crowd_one_side: float = 0.8
    stand_out: float = 2.4
    gates: GateConfig = field(default_factory=GateConfig)
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    false_alarms: float = 1.0

    @property
    def reach(self) -> float:
        """Seconds of past and of future that a movement is judged by."""
        return self.side_near + self.side_width + 0.15

    def durations_at(self, rate: float) -> list[float]:
        """Widths that ``rate`` samples a second can tell apart, at least the longest.

        >>> SpottingConfig().durations_at(25.0)
        [0.12, 0.17, 0.24, 0.34, 0.48]
        """
        return [d for d in self.durations if d * rate >= 3] or [self.durations[-1]]
