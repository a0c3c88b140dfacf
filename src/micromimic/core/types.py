"""Values that flow between the rooms: small, frozen, validated at birth. Times are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS
from micromimic.core.labels import CELLS

FloatArray = NDArray[np.float32] | NDArray[np.float64]

Side = Literal["left", "right", "both"]  # of a face, the person's own

ExpressionKind = Literal["micro", "macro"]  # of an event: a micro-expression, or a longer one

LONGEST_MICRO_S: Final = 0.62
"""Seconds from onset to offset of what may be a micro-expression: half a second, and what measuring
adds to it."""


_AT_ONCE: Final = 4096  # frames whose landmarks are carried along in double precision


def _expect_shape(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...]) -> None:
    fits = array.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("T" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must be ({wanted}), got {array.shape}")


@dataclass(frozen=True)
class Interval:
    """Onset, apex and offset of one movement, in seconds.

    >>> Interval(1.0, 1.2, 1.5).duration
    0.5
    >>> Interval(1.0, 0.9, 1.5)
    Traceback (most recent call last):
    ...
    ValueError: expected onset <= apex <= offset, got 1.0, 0.9, 1.5
    """

    onset: float
    apex: float
    offset: float

    def __post_init__(self) -> None:
        if not self.onset <= self.apex <= self.offset:
            raise ValueError(
                f"expected onset <= apex <= offset, got {self.onset}, {self.apex}, {self.offset}"
            )

    @property
    def duration(self) -> float:
        """Onset to offset, seconds."""
        return self.offset - self.onset


@dataclass(frozen=True)
class SourceInfo:
    """What was read: fps is the rate of the real timestamps, frames those decoded."""

    path: str
    fps: float
    frames: int
    duration_s: float
    width: int
    height: int


@dataclass(frozen=True)
class MediaTimes:
    """From the seconds of an analysis to those at which a player of the file is.

    They differ where another track begins before the video, and where a rate was given against the
    file's own timing.

    >>> MediaTimes(np.array([0.0, 0.1]), np.array([0.5, 0.9])).at(0.05)
    0.7
    """

    times: FloatArray  # (T,) of each frame, as everywhere in the analysis
    media: FloatArray  # (T,) of the same frames, from where a player starts the file

    def __post_init__(self) -> None:
        _expect_shape("times", self.times, (None,))
        _expect_shape("media", self.media, (len(self.times),))

    def at(self, seconds: float) -> float:
        """Where a player shows a moment of the analysis."""
        return float(np.interp(seconds, self.times, self.media))


@dataclass(frozen=True)
class AnalysisWarning:
    """A limit of the input that weakens the result: a stable code and one line for people."""

    code: str
    message: str


@dataclass(frozen=True)
class FaceTrack:
    """One person's face through a video. Landmarks and boxes are made when they are asked for: of
    ten minutes at 200 frames a second they take 70 MB.

    >>> FaceTrack(np.zeros(1), np.ones(1, bool), np.zeros((1, 2, 3)), np.zeros(1, int),
    ...           {0: np.zeros((67, 2))})
    Traceback (most recent call last):
    ...
    ValueError: landmarks must be (68, 2), got (67, 2)
    """

    times: FloatArray  # (T,) seconds
    found: NDArray[np.bool_]  # (T,) bool
    transforms: FloatArray  # (T, 2, 3) maps from canonical units to image pixels; NaN where lost
    # (T,) int, the number of the unbroken stretch of tracking; -1 where lost
    segments: NDArray[np.int_]
    shapes: Mapping[int, FloatArray]  # by stretch, (68, 2) landmarks in canonical units

    def __post_init__(self) -> None:
        _expect_shape("times", self.times, (None,))
        n = len(self.times)
        _expect_shape("found", self.found, (n,))
        _expect_shape("transforms", self.transforms, (n, 2, 3))
        _expect_shape("segments", self.segments, (n,))
        for shape in self.shapes.values():
            _expect_shape("landmarks", shape, (68, 2))

    @property
    def landmarks(self) -> NDArray[np.float32]:
        """(T, 68, 2) pixels, iBUG order; NaN where the face is lost. Each stretch's landmarks,
        carried along."""
        landmarks = np.full((len(self.times), 68, 2), np.nan, np.float32)
        for segment, points in self.shapes.items():
            found = np.flatnonzero(self.segments == segment)
            for first in range(0, len(found), _AT_ONCE):
                rows = found[first : first + _AT_ONCE]
                moved = np.einsum("tij,pj->tpi", self.transforms[rows, :, :2], points)
                landmarks[rows] = moved + self.transforms[rows, None, :, 2]
        return landmarks

    @property
    def boxes(self) -> NDArray[np.float32]:
        """(T, 4) left, top, right, bottom in pixels; NaN where the face is lost."""
        landmarks = self.landmarks
        return np.concatenate([landmarks.min(1), landmarks.max(1)], axis=1)


@dataclass(frozen=True)
class MotionCurve:
    """Motion over time."""

    times: FloatArray  # (T,) seconds
    # (T,) the movement score: bump-shaped displacement of the strongest cells, in multiples of its
    # own noise (MAD); NaN where the face is lost
    score: FloatArray
    # (T, 10) displacement of each cell (order ``labels.CELLS``) from its own local past and future,
    # canonical units; NaN where lost
    cells: FloatArray

    def __post_init__(self) -> None:
        _expect_shape("times", self.times, (None,))
        n = len(self.times)
        _expect_shape("score", self.score, (n,))
        _expect_shape("cells", self.cells, (n, len(CELLS)))


@dataclass(frozen=True)
class DetectionLimits:
    """The smallest movement that would have been found with probability one half."""

    times: FloatArray  # (T,) seconds; at some 25 moments a second
    # by name (``forehead``, ``eyes``, ``nose``, ``mouth``, ``chin``), (T,) canonical units of the
    # largest displacement; inf where the region is closed, NaN where nothing is known
    regions: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        _expect_shape("times", self.times, (None,))
        for name, values in self.regions.items():
            _expect_shape(name, values, (len(self.times),))

    def at(self, times: FloatArray) -> dict[str, FloatArray]:
        """The limits at other times: of the nearest moment, NaN where none is near. ``times``: (N,)
        seconds.

        >>> limits = DetectionLimits(np.array([0.0, 0.04]), {"chin": np.array([0.2, np.inf])})
        >>> limits.at(np.array([0.01, 0.05, 3.0]))["chin"]
        array([0.2, inf, nan])
        """
        own = np.asarray(self.times, np.float64)
        if len(own) < 2:
            return {name: np.full(len(times), np.nan) for name in self.regions}
        later = np.searchsorted(own, times).clip(1, len(own) - 1)
        nearest = later - (times - own[later - 1] < own[later] - times)
        known = np.abs(own[nearest] - times) <= 1.5 * np.median(np.diff(own))
        return {
            name: np.where(known, np.asarray(values)[nearest], np.nan)
            for name, values in self.regions.items()
        }


@dataclass(frozen=True)
class Amplitude:
    """How far the skin moved."""

    units: float  # canonical units, 15 between the eyes
    deviation: float  # its standard deviation, by the face's own movement around
    pixels: float  # the same movement in pixels of the picture


@dataclass(frozen=True)
class FlowMap:
    """Onset-to-apex motion of the canonical face."""

    uv: FloatArray  # (2, 28, 28) displacement in canonical units: u right, v down
    strain: FloatArray  # (28, 28) optical strain magnitude, per unit length
    scale: float = 1.0  # image pixels in one canonical unit, so ``uv * scale`` is pixels

    def __post_init__(self) -> None:
        _expect_shape("uv", self.uv, (2, UNITS, UNITS))
        _expect_shape("strain", self.strain, (UNITS, UNITS))

    def channels(self) -> NDArray[np.float32]:
        """(3, 28, 28): u, v, strain."""
        return np.concatenate([self.uv, self.strain[None]]).astype(np.float32)


@dataclass(frozen=True)
class Recognition:
    """What a model makes of one flow map.

    Parameters
    ----------
    label : str
        The most probable class.
    probabilities : Mapping[str, float]
        Calibrated, by class name in the model's order, summing to 1.
    uncertain : bool
        The lead of the first class over the second is below the model's margin.
    votes : ndarray or None
        (g, g) share of each place of the face in the winning class, summing to 1; None where
        the model cannot tell.
    action_units : tuple[UnitEvidence, ...]
        Which the movement looks like; filled by ``recognize``, empty elsewhere.
    """

    label: str
    probabilities: Mapping[str, float]
    uncertain: bool
    votes: FloatArray | None = None
    action_units: tuple[UnitEvidence, ...] = ()

    def __post_init__(self) -> None:
        if self.label not in self.probabilities:
            raise ValueError(f"label must be one of {list(self.probabilities)}, got {self.label!r}")
        total = sum(self.probabilities.values())
        if abs(total - 1.0) > 1e-3:
            raise ValueError(f"probabilities must sum to 1, got {total:.4f}")


@dataclass(frozen=True)
class UnitEvidence:
    """One facial action unit (AU) that a movement looks like.

    >>> found = UnitEvidence("12", "left", share=0.8, probability=0.7)
    >>> found.name, str(found)
    ('L12', 'AU12 left')
    """

    unit: str  # its number in the Facial Action Coding System, as ``12``
    side: Side  # where it acts, the person's own left or right; units of the midline act on both
    share: float  # its part of the movement, 0 to 1; the shares of one event add up to at most 1
    probability: float  # that the unit acts at all, on either side

    def __post_init__(self) -> None:
        if not self.unit.isdecimal():
            raise ValueError(f"unit must be a number as 12, got {self.unit!r}")
        if self.side not in get_args(Side):
            raise ValueError(f"side must be one of {get_args(Side)}, got {self.side!r}")
        if not (0 <= self.share <= 1 and 0 <= self.probability <= 1):
            raise ValueError(
                "share and probability must be within 0 and 1, got "
                f"{self.share}, {self.probability}"
            )

    @property
    def name(self) -> str:
        """As coders write it: ``12``, ``L12``, ``R12``."""
        return {"both": "", "left": "L", "right": "R"}[self.side] + self.unit

    def __str__(self) -> str:
        return f"AU{self.unit}" + ("" if self.side == "both" else f" {self.side}")


@dataclass(frozen=True)
class Evidence:
    """What a person looks at to judge one event."""

    onset_face: NDArray[np.uint8]  # (H, W, 3) uint8 RGB, the face cropped at the onset, stabilised
    apex_face: NDArray[np.uint8]  # (H, W, 3) uint8 RGB, the same crop at the apex
    # resolution of both crops; canonical point (x, y) lies at pixel ``(p + margin) *
    # pixels_per_unit - 0.5``
    pixels_per_unit: float
    margin: float  # canonical units around the 28 x 28 square in the crops
    cells: FloatArray  # (10, 4) left, top, right, bottom of the cells, canonical units
    flow: FlowMap  # the map that was classified
    votes: FloatArray | None = None  # (g, g) as in ``Recognition``

    def __post_init__(self) -> None:
        _expect_shape("cells", self.cells, (len(CELLS), 4))
        if self.onset_face.shape != self.apex_face.shape:
            raise ValueError(
                f"onset and apex faces must have one size, got {self.onset_face.shape} "
                f"and {self.apex_face.shape}"
            )


@dataclass(frozen=True)
class MicroExpression:
    """One candidate, or one longer expression: when, what, how sure, and why.

    Parameters
    ----------
    interval : Interval
        Seconds.
    onset_frame, apex_frame, offset_frame : int
        Indices of decoded frames, from 0.
    label, probabilities, uncertain
        From the model, as in ``Recognition``.
    strength : float
        Peak movement in multiples of the noise.
    regions : Mapping[str, float]
        Share of each cell's place in the winning class, by name, summing to 1.
    evidence : Evidence or None
        Pictures and maps, for reports; None when not asked for.
    action_units : tuple[UnitEvidence, ...]
        Which it looks like, the largest share first; empty where none stands out.
    amplitude : Amplitude or None
        How far it goes; None where the dense flow did not see it.
    false_alarms_per_hour : float or None
        How many as strong chance makes in an hour of this recording; None where that is not
        known.
    kind : ExpressionKind
        ``micro``, or ``macro`` for a longer expression: listed, and part of no count or rate;
        no model was made for naming those.
    """

    interval: Interval
    onset_frame: int
    apex_frame: int
    offset_frame: int
    label: str
    probabilities: Mapping[str, float]
    uncertain: bool
    strength: float
    regions: Mapping[str, float] = field(default_factory=dict)
    evidence: Evidence | None = field(default=None, repr=False)  # pictures, and long as text
    action_units: tuple[UnitEvidence, ...] = ()
    amplitude: Amplitude | None = None
    false_alarms_per_hour: float | None = None
    kind: ExpressionKind = "micro"
