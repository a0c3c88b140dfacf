"""A realistic Analysis without any video: known bumps on a noisy curve, the astronaut's face."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MARGIN, UNITS, canvas_size, canvas_to_unit, compose
from micromimic.core.labels import CELLS, REGIONS, THREE
from micromimic.core.results import (
    Analysis,
    Blink,
    GatedSpan,
    HeldBack,
    ModelInfo,
    Rejected,
    Spotting,
)
from micromimic.core.types import (
    Amplitude,
    AnalysisWarning,
    DetectionLimits,
    Evidence,
    FaceTrack,
    FlowMap,
    Interval,
    MicroExpression,
    MotionCurve,
    SourceInfo,
    UnitEvidence,
)

# Canonical units to pixels of skimage.data.astronaut(), from its 68 landmarks.
ASTRONAUT = np.array([[2.8778, -0.1582, 187.398], [0.1333, 2.7737, 82.407]])
CELL_CENTRES = np.array(
    [
        (6.4, 20.2), (20.9, 20.2), (13.4, 27.0), (6.9, 14.0), (19.9, 14.0),
        (0.6, 6.8), (26.2, 6.8), (6.2, 2.0), (13.4, 1.6), (20.6, 2.0),
    ]
)  # fmt: skip
CELL_SIDE = 6.6
THRESHOLD = 5.0
# onset, apex, offset (s); class; probabilities; uncertain; strength; {cell: displacement units}
PLANTED: tuple[
    tuple[float, float, float, str, tuple[float, float, float], bool, float, dict[str, float]],
    ...,
] = (
    (4.210, 4.365, 4.600, "positive", (0.05, 0.90, 0.05), False, 14.2,
     {"mouth_corner_right": 0.42, "mouth_corner_left": 0.40}),
    (13.900, 14.020, 14.190, "negative", (0.83, 0.09, 0.08), False, 9.7,
     {"brow_right": 0.26, "brow_centre": 0.34, "brow_left": 0.25}),
    (21.005, 21.115, 21.300, "surprise", (0.06, 0.10, 0.84), False, 11.9,
     {"brow_right": 0.33, "brow_centre": 0.22, "brow_left": 0.34}),
    (33.400, 33.520, 33.655, "negative", (0.44, 0.38, 0.18), True, 6.1,
     {"nose_wing_left": 0.20, "mouth_corner_left": 0.17}),
    (44.750, 44.870, 45.110, "positive", (0.16, 0.71, 0.13), False, 8.3,
     {"mouth_corner_left": 0.33}),
    (53.305, 53.440, 53.700, "negative", (0.77, 0.04, 0.19), False, 10.4,
     {"chin": 0.31, "mouth_corner_right": 0.14}),
)  # fmt: skip
LOST = ((26.0, 28.4),)
# canonical units and their deviation; false alarms an hour: the dense flow missed the third
SEEN = ((0.41, 0.05, 0.002), (0.33, 0.06, 0.31), None, (0.19, 0.07, 38.4), (0.31, 0.05, 4.2),
        (0.30, 0.04, 0.9))  # fmt: skip
QUIET = dict(zip(REGIONS, (0.13, 0.17, 0.1, 0.21, 0.24), strict=True))
TALKS = (40.0, 52.0)
BLINKS = tuple(Blink(t, t + 0.09, t + 0.24) for t in (2.1, 9.6, 17.2, 24.1, 30.9, 38.0, 49.2, 57.5))

NASTY = 'a "b" <script>alert(1)</script> & дзеркало\x07 \udcff.mp4'
"""A file name that wants to be escaped."""


def cell_boxes() -> NDArray[np.float64]:
    """(10, 4) left, top, right, bottom in canonical units."""
    half = CELL_SIDE / 2
    return np.hstack([CELL_CENTRES - half, CELL_CENTRES + half])


def flow_map(moves: dict[str, float]) -> FlowMap:
    """Smooth bumps of motion at the named cells: mouth corners up and out, brows up, ..."""
    y, x = np.mgrid[0:UNITS, 0:UNITS] + 0.5
    uv = np.zeros((2, UNITS, UNITS))
    for cell, size in moves.items():
        cx, cy = CELL_CENTRES[CELLS.index(cell)]
        bump = size * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * 3.0**2))
        side = float(np.sign(cx - 13.4)) if abs(cx - 13.4) > 2 else 0.0
        uv[0] += 0.6 * side * bump
        uv[1] += -0.8 * bump
    du, dv = np.gradient(uv[0]), np.gradient(uv[1])
    strain = np.sqrt(du[1] ** 2 + dv[0] ** 2 + 0.5 * (du[0] + dv[1]) ** 2)
    return FlowMap(uv, strain, scale=10.0)


@cache
def _astronaut() -> NDArray[np.uint8]:
    from skimage import data

    image: NDArray[np.uint8] = data.astronaut()
    return image


def faces(flow: FlowMap, resolution: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The astronaut's canonical crop, at rest and displaced by the flow."""
    size = canvas_size(resolution)
    to_image = compose(ASTRONAUT, canvas_to_unit(resolution))
    onset = cv2.warpAffine(
        _astronaut(), to_image, (size, size), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    )
    padded = np.pad(flow.uv, ((0, 0), (7, 7), (7, 7)))
    shift = [cv2.resize(c, (size, size)) * resolution for c in padded]
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    apex = cv2.remap(
        onset, x - shift[0].astype(np.float32), y - shift[1].astype(np.float32), cv2.INTER_CUBIC
    )
    return onset.astype(np.uint8), apex.astype(np.uint8)


def _votes(moves: dict[str, float], grid: int = 6) -> NDArray[np.float64]:
    centres = (np.arange(grid) + 0.5) * UNITS / grid
    votes = np.full((grid, grid), 0.2)
    for cell, size in moves.items():
        cx, cy = CELL_CENTRES[CELLS.index(cell)]
        near = np.exp(-((centres[None] - cx) ** 2 + (centres[:, None] - cy) ** 2) / 50)
        votes += 8 * size * near
    return votes / votes.sum()


UNITS_OF = {
    "positive": (UnitEvidence("12", "left", 0.7, 0.81), UnitEvidence("6", "both", 0.3, 0.46)),
    "negative": (),
    "surprise": (UnitEvidence("1", "both", 0.55, 0.9), UnitEvidence("2", "both", 0.45, 0.88)),
}


def sample_events(
    fps: float = 200.0, *, evidence: bool = True, resolution: float = 8.0
) -> tuple[MicroExpression, ...]:
    events = []
    for k, planted in enumerate(PLANTED):
        onset, apex, offset, label, probabilities, uncertain, strength, moves = planted
        seen = SEEN[k]
        flow = flow_map(moves)
        shares = np.array([moves.get(cell, 0.0) + 0.02 for cell in CELLS])
        shares /= shares.sum()
        pictures = None
        if evidence:
            first, second = faces(flow, resolution)
            pictures = Evidence(
                first, second, resolution, MARGIN, cell_boxes(), flow, _votes(moves)
            )
        events.append(
            MicroExpression(
                Interval(onset, apex, offset),
                round(onset * fps),
                round(apex * fps),
                round(offset * fps),
                label,
                dict(zip(THREE, probabilities, strict=True)),
                uncertain,
                strength,
                dict(zip(CELLS, shares.tolist(), strict=True)),
                pictures,
                UNITS_OF[label],
                None if seen is None else Amplitude(seen[0], seen[1], 10 * seen[0]),
                None if seen is None else seen[2],
            )
        )
    return tuple(events)


def sample_curve(seconds: float = 60.0, fps: float = 200.0, seed: int = 7) -> MotionCurve:
    rng = np.random.default_rng(seed)
    times = np.arange(round(seconds * fps)) / fps
    n = len(times)
    kernel = np.hanning(round(0.12 * fps) | 1)
    kernel /= np.sqrt((kernel**2).sum())
    smooth = np.stack([np.convolve(rng.normal(size=n), kernel, "same") for _ in CELLS], axis=1)
    cells = 0.012 * smooth
    score = np.abs(1.1 * np.convolve(rng.normal(size=n), kernel, "same"))
    for onset, apex, offset, _, _, _, strength, moves in PLANTED:
        up, down = (times - onset) / (apex - onset), (offset - times) / (offset - apex)
        bump = np.clip(np.minimum(up, down), 0, 1) ** 2 * (
            3 - 2 * np.clip(np.minimum(up, down), 0, 1)
        )
        score = np.maximum(score, strength * bump)
        for cell, size in moves.items():
            cells[:, CELLS.index(cell)] += size * bump
    for blink in BLINKS:
        bump = np.exp(-((times - blink.peak) ** 2) / (2 * 0.05**2))
        cells[:, [5, 6]] += 0.15 * bump[:, None]
        score = np.maximum(score, 7.5 * bump)
    for start, end in LOST:
        gone = (times >= start) & (times < end)
        score[gone] = np.nan
        cells[gone] = np.nan
    return MotionCurve(times, score, cells)


def sample_track(curve: MotionCurve) -> FaceTrack:
    n = len(curve.times)
    found = np.isfinite(curve.score)
    lost = ~found
    transforms = np.tile(np.array([[10.0, 0, 190.0], [0, 10.0, 110.0]]), (n, 1, 1))
    transforms[lost] = np.nan
    segments = np.where(found, np.cumsum(np.diff(found.astype(int), prepend=0) == 1) - 1, -1)
    points = (np.linspace(150.0, 450.0, 68)[:, None] - [190.0, 110.0]) / 10.0
    shapes = dict.fromkeys(range(segments.max(initial=-1) + 1), points)
    return FaceTrack(curve.times, found, transforms, segments, shapes)


def sample_spotting(observed_s: float = 51.3) -> Spotting:
    rejected = (
        *(Rejected(b.peak, "blink") for b in BLINKS),
        Rejected(18.95, "head"), Rejected(19.4, "head"), Rejected(36.2, "macro"),
        Rejected(41.5, "light"), Rejected(47.2, "short"),
    )  # fmt: skip
    spans = (
        *(GatedSpan(b.start - 0.1, b.end + 0.1, "blink") for b in BLINKS),
        GatedSpan(18.6, 20.1, "head"), GatedSpan(41.3, 41.9, "light"),
    )  # fmt: skip
    gated = {"blink": 3.52, "head": 1.5, "light": 0.6}
    return Spotting(THRESHOLD, BLINKS, rejected, gated, observed_s, spans)


def sample_held_back(fps: float = 200.0, *, evidence: bool = True) -> tuple[HeldBack, ...]:
    """Three of the rejected movements, the third without pictures or size."""
    shown = faces(flow_map({"mouth_corner_left": 0.3}), 4.0) if evidence else (None, None)

    def item(onset: float, apex: float, offset: float, reason: str, strength: float) -> HeldBack:
        span = Interval(onset, apex, offset)
        frames = [round(moment * fps) for moment in (onset, apex, offset)]
        return HeldBack(span, frames[0], frames[1], frames[2], reason, strength, 0.31, 3.1, *shown)

    unknown = {"units": None, "pixels": None, "onset_face": None, "apex_face": None}
    return (
        item(18.8, 18.95, 19.1, "head", 12.5),
        item(36.0, 36.2, 36.5, "macro", 8.25),
        replace(item(41.4, 41.5, 41.65, "light", 6.0), **unknown),
    )


def sample_limits(seconds: float = 60.0) -> DetectionLimits:
    """25 moments a second where the face is; talking, lids that close, and an unknown beginning."""
    times = np.arange(0, seconds, 0.04)
    times = times[~np.any([(times >= start) & (times < end) for start, end in LOST], axis=0)]
    steps = np.random.default_rng(3).normal(size=(len(REGIONS), len(times) // 5 + 1))
    regions = {}
    for k, (name, quiet) in enumerate(QUIET.items()):
        slow = np.convolve(steps[k], np.ones(9) / 3, "same")
        values = quiet * np.exp(0.25 * np.repeat(slow, 5)[: len(times)])
        speech = (times > TALKS[0]) & (times < TALKS[1])
        values[speech] *= 5.0 if name in ("mouth", "chin") else 1.6
        if name in ("forehead", "eyes"):
            for blink in BLINKS:
                values[(times > blink.start - 0.2) & (times < blink.end + 0.2)] = np.inf
        values[:5] = np.nan
        regions[name] = values
    return DetectionLimits(times, regions)


def sample_analysis(
    path: str = "interview 07.mp4", *, evidence: bool = True, resolution: float = 8.0
) -> Analysis:
    """Six events in a minute at 200 fps, with blinks, a lost face, rejections and warnings."""
    from micromimic.analysis.indicators import indicators

    curve = sample_curve()
    track = sample_track(curve)
    spotting = sample_spotting()
    events = sample_events(evidence=evidence, resolution=resolution)
    source = SourceInfo(path, 200.0, len(curve.times), 60.0, 640, 480)
    warnings = (
        AnalysisWarning(
            "face_lost",
            "The face is seen in 96.0 % of the frames: nothing can be said about the other 2.4 s. "
            "Keep the face in view and lit next time.",
        ),
        AnalysisWarning(
            "other_faces",
            "1 other person is in the picture: only the one seen largest and longest is reported. "
            "Crop the video if you mean another.",
        ),
    )
    return Analysis(
        source=source,
        found_ratio=float(track.found.mean()),
        others_seen=1,
        warnings=warnings,
        model=ModelInfo("flow-capsnet", "1.0.0", "synthetic facial motion only (5,000 maps)"),
        events=events,
        indicators=indicators(events, spotting, curve, source, track),
        curve=curve,
        track=track,
        spotting=spotting,
        limits=sample_limits(),
        held_back=sample_held_back(evidence=evidence),
    )


def empty_analysis(path: str = "nothing.mp4") -> Analysis:
    """No event, no blink, no second observed."""
    from micromimic.analysis.indicators import indicators

    sample = sample_analysis(path, evidence=False)
    spotting = Spotting(THRESHOLD, (), (), {}, 0.0)
    return replace(
        sample,
        warnings=(),
        events=(),
        held_back=(),
        limits=None,
        spotting=spotting,
        indicators=indicators((), spotting, sample.curve, sample.source, sample.track),
    )
