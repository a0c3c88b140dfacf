"""What happens in a synthetic clip, and when: drawn from a seed, before anything is rendered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import THREE
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.recipes import Recipe, sample_recipe
from micromimic.synthesis.speech import SpeechSpan, draw_speech

ClipKind = Literal["mixed", "neutral", "speaking", "blinking", "macro"]
FACE_WIDTH: Final = 15.0 / 0.287
"""Canonical units that ``ClipConfig.face_px`` is the width of."""
_LEAD: Final = 0.8  # seconds of rest at both ends
_TIGHTEST: Final = 1.0  # seconds from one movement's place to the next
_LARGEST_PEAK: Final = 0.02  # share of the face's width; beyond it a field would fold the skin
_USUAL_FACE: Final = 450.0  # width of the face crop that macro-expressions and speech are given for
_STREAMS: Final = ("schedule", "pose", "noise", "identity", "speech", "lids")
_KINDS: Final[dict[ClipKind, dict[str, float]]] = {
    "mixed": {},
    "neutral": {"macros_per_minute": 0.0, "blinks_per_minute": 0.0},
    "speaking": {"macros_per_minute": 0.0, "blinks_per_minute": 15.0, "speech_share": 0.7},
    "blinking": {"macros_per_minute": 0.0, "blinks_per_minute": 30.0, "half_blinks": 0.2},
    "macro": {"macros_per_minute": 15.0},
}
CLIP_KINDS: Final = tuple(_KINDS)
"""What a clip is about; all but the first hold no micro-expression."""


@dataclass(frozen=True)
class ClipConfig:
    """What a clip looks like and what disturbs it; times in seconds, lengths in image pixels.

    The defaults are the benchmark's: change them and its figures are another benchmark's.

    Parameters
    ----------
    seconds, fps, width, height, colour
        Of the video.
    face_px
        Width of the face crop; 450 puts the eyes 129 px apart.
    face_x
        Horizontal place of the crop's centre, share of the width.
    peak_px
        Largest displacement of each micro-expression.
    events_per_minute, macros_per_minute, blinks_per_minute, head_moves_per_minute
        How much happens; a rate above 0 gives at least one micro-expression, other kinds round.
    blinks_apart
        Keep blinks clear of micro-expressions; else they fall where they fall.
    noise_sd
        Sensor noise, grey levels.
    drift_px, drift_deg
        Slow wander and roll of the head, largest excursion.
    yaw_px
        Slow turn of the head: pixels a point 8 units nearer to the camera moves sideways.
    sway_px
        Two quick sways of the head, near 1.1 Hz.
    head_move_px
        A head movement's shift.
    half_blinks
        Share of the blinks that do not close the eye.
    speech_share, speech_px
        Share of the time that is spoken; least and largest drop of the jaw at an open vowel, on a
        face of 450 px.
    nod_px
        Largest nod of the head while speaking, on a face of 450 px.
    light_drift, flicker
        Shares of the light: slow change, and 100.3 Hz (mains, aliased by the frame rate).
    absent
        (start, end) spans without the person.
    second_face
        Size of a bystander's face, share of the first; 0 for none.
    """

    seconds: float = 60.0
    fps: float = 200.0
    width: int = 640
    height: int = 480
    colour: bool = False
    face_px: float = 450.0
    face_x: float = 0.4983
    peak_px: float = 1.0
    events_per_minute: float = 15.0
    macros_per_minute: float = 4.0
    blinks_per_minute: float = 12.0
    head_moves_per_minute: float = 2.0
    blinks_apart: bool = False
    noise_sd: float = 2.0
    drift_px: float = 5.0
    drift_deg: float = 1.5
    yaw_px: float = 1.2
    sway_px: tuple[float, float] = (0.12, 0.08)
    head_move_px: float = 3.5
    half_blinks: float = 0.0
    speech_share: float = 0.0
    speech_px: tuple[float, float] = (3.0, 8.0)
    nod_px: float = 3.0
    light_drift: float = 0.03
    flicker: float = 0.02
    absent: tuple[tuple[float, float], ...] = ()
    second_face: float = 0.0

    def __post_init__(self) -> None:
        if self.seconds < 2.0 or self.fps < 5.0:
            raise ValueError(
                f"expected at least 2 s at 5 frames/s, got {self.seconds} s at {self.fps}"
            )
        if not 0.0 < self.peak_px <= _LARGEST_PEAK * self.face_px:
            raise ValueError(
                f"expected a peak above 0 and at most {_LARGEST_PEAK * self.face_px:.1f} px on a "
                f"face of {self.face_px:g} px, got {self.peak_px}"
            )
        if not 0.0 <= self.speech_share <= 1.0 or not 0.0 <= self.half_blinks <= 1.0:
            raise ValueError(
                "expected shares of speech and of half blinks from 0 to 1, got "
                f"{self.speech_share} and {self.half_blinks}"
            )
        if not 0.0 < self.speech_px[0] <= self.speech_px[1] <= _LARGEST_PEAK * _USUAL_FACE:
            raise ValueError(
                "expected the jaw's least and largest drop above 0 and at most "
                f"{_LARGEST_PEAK * _USUAL_FACE:g} px, got {self.speech_px}"
            )
        if self.gap < _TIGHTEST and sum(self.counts().values()) > 1:
            raise ValueError(
                f"expected at least {_TIGHTEST} s for each movement, got {self.gap:.2f} s; lower "
                "the rates or lengthen the clip"
            )

    @property
    def frames(self) -> int:
        return round(self.seconds * self.fps)

    def counts(self) -> dict[str, int]:
        """How many movements of each kind share the timeline (blinks lie beside it)."""
        minutes = self.seconds / 60.0
        micro = self.events_per_minute * minutes
        return {
            "micro": max(1, round(micro)) if micro > 0 else 0,
            "macro": round(self.macros_per_minute * minutes),
            "head": round(self.head_moves_per_minute * minutes),
        }

    @property
    def gap(self) -> float:
        return (self.seconds - 2 * _LEAD) / max(1, sum(self.counts().values()))


def clip_of_kind(kind: ClipKind, **settings: Any) -> ClipConfig:
    """A clip that is about one thing.

    Parameters
    ----------
    kind
        ``mixed`` is the default clip. The others hold no micro-expression: ``neutral`` (the head
        moves now and then, nothing else), ``speaking`` (and blinks), ``blinking`` (often, and not
        always fully), ``macro`` (longer, stronger expressions, and blinks).
    settings
        Fields of `ClipConfig`; they go before the kind's.

    Examples
    --------
    >>> clip_of_kind("speaking", seconds=30.0).speech_share
    0.7
    """
    if kind not in _KINDS:
        raise ValueError(f"expected a kind among {', '.join(CLIP_KINDS)}, got {kind!r}")
    none = {} if kind == "mixed" else {"events_per_minute": 0.0}
    return ClipConfig(**{**none, **_KINDS[kind], **settings})


def single_movement(peak_px: float, fps: float = 200.0) -> ClipConfig:
    """2.5 s with one micro-expression and nothing beside it but drift of head and light."""
    return ClipConfig(
        seconds=2.5,
        fps=fps,
        peak_px=peak_px,
        events_per_minute=24.0,
        macros_per_minute=0.0,
        blinks_per_minute=0.0,
        head_moves_per_minute=0.0,
    )


@dataclass(frozen=True)
class Movement:
    """A planted expression; seconds."""

    kind: Literal["micro", "macro"]  # the longer and stronger ones are held at their height
    onset: float  # rise ends at apex, fall begins at hold
    apex: float
    hold: float
    offset: float
    peak_px: float  # largest displacement, image pixels
    recipe: Recipe  # class, action units and their weights

    def envelope(self, time: float) -> float:
        """Share of the peak at a time: raised cosines up and down."""
        if not self.onset < time < self.offset:
            return 0.0
        if time < self.apex:
            return float(0.5 - 0.5 * np.cos(np.pi * (time - self.onset) / (self.apex - self.onset)))
        if time <= self.hold:
            return 1.0
        return float(0.5 + 0.5 * np.cos(np.pi * (time - self.hold) / (self.offset - self.hold)))


@dataclass(frozen=True)
class BlinkEvent:
    """Lids close during the first third and open during the last half; seconds."""

    start: float
    end: float
    depth: float = 1.0  # how far they close; 1 is shut

    def closure(self, time: float) -> float:
        """0 open to 1 closed."""
        share = (time - self.start) / (self.end - self.start)
        shut = np.clip(min(share / 0.35, (1.0 - share) / 0.5), 0.0, 1.0)
        return round(float(shut) * self.depth, 9)


@dataclass(frozen=True)
class HeadMove:
    """The head shifts between start and end, stays 3 s, and drifts back over 3 s more."""

    start: float
    end: float
    shift: tuple[float, float]

    def weight(self, time: float) -> float:
        if time <= self.start:
            return 0.0
        if time < self.end:
            share = (time - self.start) / (self.end - self.start)
            return float(0.5 - 0.5 * np.cos(np.pi * share))
        return float(np.clip(1.0 - (time - self.end - 3.0) / 3.0, 0.0, 1.0))


@dataclass(frozen=True)
class ClipPlan:
    """Everything that a clip's pixels depend on."""

    config: ClipConfig
    seed: int
    movements: tuple[Movement, ...]  # micro- and macro-expressions by onset
    blinks: tuple[BlinkEvent, ...]
    head_moves: tuple[HeadMove, ...]
    speech: tuple[SpeechSpan, ...] = ()

    @property
    def micro(self) -> tuple[Movement, ...]:
        return tuple(m for m in self.movements if m.kind == "micro")

    @property
    def times(self) -> list[float]:
        return [number / self.config.fps for number in range(self.config.frames)]

    def closure(self, time: float) -> float:
        """How closed blinks have the lids, 0 to 1."""
        return max((blink.closure(time) for blink in self.blinks), default=0.0)

    def is_absent(self, time: float) -> bool:
        """Whether the person has left the picture."""
        return any(start <= time < end for start, end in self.config.absent)

    def speech_weights(self, time: float) -> NDArray[np.float32]:
        """(n_units,) how far speech moves each of ``UNIT_NAMES`` at a time, image pixels."""
        span = next((span for span in self.speech if span.start < time < span.end), None)
        return span.weights(time) if span else np.zeros(len(UNIT_NAMES), np.float32)

    def nod_px(self, time: float) -> float:
        """Image pixels that the head is lower than without the nods that go with speech."""
        return sum(span.nod_px(time) for span in self.speech)


def stream(seed: int, name: str) -> np.random.Generator:
    """The clip's own source of chance for one purpose, so that purposes do not disturb another."""
    return np.random.default_rng([seed, _STREAMS.index(name)])


def plan_clip(config: ClipConfig, seed: int) -> ClipPlan:
    """Draw what happens in a clip.

    Micro-expressions last 71 +- 22 frames and rise in 36 +- 15 at 200 frames/s, as in the real
    databases (clipped to 0.15-0.5 s). The classes take turns in random order. Neither the frame
    rate nor the peak changes what is drawn. The same seed gives the same plan.

    Examples
    --------
    >>> plan = plan_clip(ClipConfig(seconds=60), seed=1)
    >>> len(plan.micro), len(plan.blinks), len(plan.head_moves)
    (15, 12, 2)
    """
    rng = stream(seed, "schedule")
    counts = config.counts()
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    order = [kinds[i] for i in rng.permutation(len(kinds))]
    labels = [THREE.names[i] for _ in range(-(-counts["micro"] // 3)) for i in rng.permutation(3)]
    movements: list[Movement] = []
    head_moves: list[HeadMove] = []
    for place, kind in enumerate(order):
        start = _LEAD + place * config.gap + rng.uniform(0.1, 0.4)
        if kind == "micro":
            recipe = sample_recipe(labels.pop(), rng)
            movements.append(_micro(start, config.peak_px, recipe, rng))
        elif kind == "macro":
            recipe = sample_recipe(THREE.names[int(rng.integers(3))], rng)
            movements.append(_macro(start, config, recipe, rng))
        else:
            angle = rng.uniform(0.0, 2 * np.pi)
            shift = config.head_move_px * np.array([np.cos(angle), np.sin(angle)])
            end = start + rng.uniform(0.3, 0.6)
            head_moves.append(HeadMove(start, end, (float(shift[0]), float(shift[1]))))
    blinks = _blinks(config, movements, rng, stream(seed, "lids"))
    size = config.face_px / _USUAL_FACE
    jaw = config.speech_px[0] * size, config.speech_px[1] * size
    speech = draw_speech(
        config.seconds, config.speech_share, jaw, config.nod_px * size, stream(seed, "speech")
    )
    return ClipPlan(config, seed, tuple(movements), blinks, tuple(head_moves), speech)


def _micro(start: float, peak: float, recipe: Recipe, rng: np.random.Generator) -> Movement:
    length = float(np.clip(rng.normal(71.0, 22.0), 30.0, 100.0)) / 200.0
    rise = float(np.clip(rng.normal(36.0, 15.0) / 200.0, 0.04, length - 0.04))
    apex = start + rise
    return Movement("micro", start, apex, apex, start + length, peak, recipe)


def _macro(start: float, config: ClipConfig, recipe: Recipe, rng: np.random.Generator) -> Movement:
    length = rng.uniform(0.9, min(1.9, max(1.0, config.gap - 0.3)))
    apex = start + rng.uniform(0.2, 0.5)
    peak = rng.uniform(4.0, 6.0) * config.face_px / _USUAL_FACE
    return Movement("macro", start, apex, start + length - 0.35, start + length, peak, recipe)


def _blinks(
    config: ClipConfig,
    movements: list[Movement],
    rng: np.random.Generator,
    depth_rng: np.random.Generator,
) -> tuple[BlinkEvent, ...]:
    """Blinks anywhere in the clip, in order; never two at once; some are half blinks."""
    wanted = round(config.blinks_per_minute * config.seconds / 60.0)
    blinks: list[BlinkEvent] = []
    busy = [(m.onset - 0.4, m.offset + 0.4) for m in movements] if config.blinks_apart else []
    for _ in range(1000):
        if len(blinks) == wanted:
            break
        start = rng.uniform(0.5, config.seconds - 0.6)
        blink = BlinkEvent(start, start + rng.uniform(0.15, 0.3))
        taken = busy + [(b.start - 0.1, b.end + 0.1) for b in blinks]
        if all(blink.end < a or b < blink.start for a, b in taken):
            blinks.append(blink)
    else:
        raise ValueError(
            f"expected room for {wanted} blinks in {config.seconds} s, got {len(blinks)} placed; "
            "lower the rates or lengthen the clip"
        )
    blinks.sort(key=lambda blink: blink.start)
    half = depth_rng.random(wanted) < config.half_blinks
    depths = np.where(half, depth_rng.uniform(0.4, 0.9, wanted), 1.0)
    return tuple(replace(b, depth=float(d)) for b, d in zip(blinks, depths, strict=True))
