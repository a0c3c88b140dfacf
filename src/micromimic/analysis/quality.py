"""What in the input weakens the result: warnings with a stable code and one line for people.

Each message says in plain words what is so, what that means for the result, and what can be done:
with this very file where something can, else with the next one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.types import AnalysisWarning, FloatArray
from micromimic.media.frames import Notice
from micromimic.motion.spotting.time_grid import BRIDGE, LONGEST_STEPS, highest_rate, regular_steps


def blockiness(gray: NDArray[np.uint8]) -> float:
    """How much steps in brightness gather on an 8 x 8 grid, as lossy compression leaves them.

    The step between neighbouring pixels less the mean of the steps beside it, averaged over each of
    the eight phases of the grid, relative to the mean step; the strongest phase less the median
    phase, so that a crop need not start on the grid. Measured on photographs: below 0.02
    uncompressed; JPEG at quality 90, 75, 50, 20: about .04, .15, .28, .55. H.264 smooths its own
    block edges, so a low value does not show that a video is good. ``gray``: (H, W) uint8, at least
    24 pixels a side, not rescaled since decoding.

    >>> round(blockiness(np.zeros((64, 64), np.uint8)), 3)
    0.0
    """
    if gray.ndim != 2 or min(gray.shape) < 24:
        raise ValueError(f"gray must be (H, W) with at least 24 pixels a side, got {gray.shape}")
    return float(np.mean([_phase_contrast(gray), _phase_contrast(cv2.transpose(gray))]))


def grey_levels(gray: NDArray[np.uint8]) -> int:
    """How many grey levels hold nearly all of a picture: what is left of light and shade. ``gray``:
    (H, W) uint8, not empty."""
    counts = np.sort(np.bincount(gray.ravel(), minlength=256))[::-1]
    return int(np.searchsorted(np.cumsum(counts), 0.99 * gray.size)) + 1


def _phase_contrast(gray: NDArray[np.uint8]) -> float:
    step = cv2.absdiff(gray[:, 1:], gray[:, :-1]).astype(np.int16)
    double = 2 * step[:, 1:-1] - step[:, :-2] - step[:, 2:]
    excess = np.clip(double, -40, 40, out=double).sum(axis=0, dtype=np.int32) / (2 * len(gray))
    phases = np.array([excess[k::8].mean() for k in range(8)])
    steps = np.minimum(step, 30).sum(dtype=np.int64) / step.size
    return float((phases.max() - np.median(phases)) / (steps + 0.5))


FRAMES_PER_MOVEMENT: Final = 4
SHORTEST_S: Final = 0.04
LONGEST_S: Final = 0.5
GOOD_FPS: Final = FRAMES_PER_MOVEMENT / SHORTEST_S
MIN_INTEROCULAR_PX: Final = 60.0
RESOLVED_PX: Final = 0.5  # the smallest planted movement that spotting finds more often than not
TYPICAL_MOVEMENT: Final = (0.010, 0.028)  # peaks of real flow maps, in interocular distances
FLICKER_AMPLITUDE: Final = 0.004
FLICKER_PROMINENCE: Final = 8.0
FLICKER_MIN_HZ: Final = 1.5  # below lie breathing, pulse and slow light
FLICKER_WINDOW_S: Final = 4.0
BLOCKY: Final = 0.12
HEAD_SHARE: Final = 0.25
SPEECH_SHARE: Final = 0.25
FAST_HEAD: Final = 1.0
FOUND_ENOUGH: Final = 0.97
SHORT_S: Final = 20.0
FEW_LEVELS: Final = 32  # of 256 in the face; a lit one has a hundred
_MOVING: Final = ("head", "speech")


def _rate(times: NDArray[np.float64]) -> float:
    """Frames a second outside gaps; 0 for less than two frames."""
    return 1 / float(regular_steps(times)[0].mean()) if len(times) > 1 else 0.0


def flicker(times: FloatArray, brightness: FloatArray) -> tuple[float, float] | None:
    """The strongest periodic part of a brightness, if it stands out. ``times``: (T,) seconds;
    ``brightness``: (T,) mean grey level; NaN where unknown. Returns frequency in Hz (as sampled:
    light faster than half the frame rate appears folded) and amplitude as a share of the mean; None
    where nothing periodic stands out.

    >>> t = np.arange(2000) / 200
    >>> [round(x, 3) for x in flicker(t, 100 + np.sin(2 * np.pi * 20 * t))]
    [20.0, 0.01]
    """
    t, grey = np.asarray(times, np.float64), np.asarray(brightness, np.float64)
    known = np.isfinite(grey)
    rate = min(_rate(t), highest_rate(np.diff(t))) if len(t) > 1 else 0.0
    if rate == 0 or known.sum() < rate * FLICKER_WINDOW_S / 2:
        return None
    # Nothing is laid over a long pause: it would take memory by its length.
    cuts = np.flatnonzero(np.diff(t) > max(BRIDGE, LONGEST_STEPS / rate)) + 1
    pieces = list(zip(np.split(t, cuts), np.split(grey, cuts), strict=True))
    longest = max(float(times[-1] - times[0]) for times, _ in pieces)
    length = min(max(16, round(FLICKER_WINDOW_S * rate)), int(longest * rate))
    if length < 16:
        return None
    window = np.hanning(length)
    spectra = [spectrum for piece in pieces for spectrum in _spectra(*piece, rate, window)]
    if not spectra:
        return None
    amplitude = 2 * np.median(spectra, axis=0) / window.sum()
    hertz = np.fft.rfftfreq(len(window), 1 / rate)
    high = hertz >= FLICKER_MIN_HZ
    if high.sum() < 8:
        return None
    peak = int(np.flatnonzero(high)[np.argmax(amplitude[high])])
    share = float(amplitude[peak] / grey[known].mean()) if grey[known].mean() > 0 else 0.0
    if share < FLICKER_AMPLITUDE or amplitude[peak] < FLICKER_PROMINENCE * np.median(
        amplitude[high]
    ):
        return None
    return float(hertz[peak]), share


def _spectra(
    times: NDArray[np.float64], grey: NDArray[np.float64], rate: float, window: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Of overlapping windows of a piece without pauses, where the face is nearly always there."""
    known = np.isfinite(grey)
    if not known.any():
        return
    grid = np.arange(times[0], times[-1], 1 / rate)
    nearest = np.clip(np.searchsorted(times, grid - 0.5 / rate), 0, len(times) - 1)
    even = np.interp(grid, times[known], grey[known])
    x = np.arange(len(window))
    for start in range(0, len(even) - len(window) + 1, max(1, len(window) // 2)):
        part = slice(start, start + len(window))
        if known[nearest][part].mean() > 0.9:
            rest = even[part] - np.polyval(np.polyfit(x, even[part], 2), x)
            yield np.abs(np.fft.rfft(rest * window))


Found = Iterator[tuple[str, str]]
"""Codes and messages."""


def _timing(times: NDArray[np.float64], picture_share: float) -> Found:
    """Gaps in a steady clock are dropped frames; a clock that is never steady is variable."""
    fps = picture_share * _rate(times)
    if 0 < fps < 0.97 * GOOD_FPS:
        shortest = FRAMES_PER_MOVEMENT / fps
        shown = "new pictures" if picture_share < 1 else "frames"
        missed = (
            f"movements shorter than {shortest:.2f} s ({FRAMES_PER_MOVEMENT} frames) are missed or "
            "mistimed"
        )
        if shortest >= LONGEST_S:
            missed = (
                f"{FRAMES_PER_MOVEMENT} frames take {shortest:.2f} s here, longer than any "
                "micro-expression, so none can be resolved"
            )
        elif 1 / fps >= SHORTEST_S:
            missed += ", and one of 1/25 s falls between two frames and cannot be seen"
        yield (
            "frame_rate",
            f"Only {fps:.1f} {shown} a second: {missed}. If the camera recorded faster, analyse "
            f"its own file; {GOOD_FPS:.0f} to {2 * GOOD_FPS:.0f} frames a second show movements of "
            "1/25 s.",
        )
    step = np.diff(times)
    if len(step) < 4:
        return
    regular, steady = regular_steps(times)
    wide = step[step > regular.max()]
    if not steady:
        low, high = np.percentile(step, [5, 95])
        yield (
            "variable_frame_rate",
            f"The frame rate varies from {1 / high:.1f} to {1 / low:.1f} frames a second: real "
            "timestamps are used, yet onset and offset are only as exact as the frames around "
            "them. Record at a fixed rate next time.",
        )
    elif len(wide):
        missing = int(np.round(wide / regular.mean() - 1).sum())
        yield (
            "dropped_frames",
            f"The recording has {len(wide)} gaps with about {missing} frames missing, the longest "
            f"{1000 * step.max():.0f} ms: movements in a gap are lost. Next time record to a "
            "faster disk or at a lower resolution.",
        )


def _face(
    interocular_px: NDArray[np.float64], size: str, found_ratio: float, others: int, duration: float
) -> Found:
    known = interocular_px[np.isfinite(interocular_px)]
    if len(known) and (distance := float(np.median(known))) < MIN_INTEROCULAR_PX:
        smallest = 100 * RESOLVED_PX / distance
        low, high = (100 * share for share in TYPICAL_MOVEMENT)
        yield (
            "small_face",
            f"The face is small, the eyes {distance:.0f} px apart: the smallest movement found "
            f"reliably, about {RESOLVED_PX:g} px, is {smallest:.1f} % of the eye distance here, "
            f"where micro-expressions peak at about {low:.0f} to {high:.0f} %. If there is a "
            f"larger original (this one is {size}), analyse that; at least "
            f"{MIN_INTEROCULAR_PX:.0f} px serve well.",
        )
    if found_ratio < FOUND_ENOUGH:
        yield (
            "face_lost",
            f"The face is seen in {100 * found_ratio:.1f} % of the frames: nothing can be said "
            f"about the other {(1 - found_ratio) * duration:.1f} s. Keep the face in view and lit "
            "next time.",
        )
    if others > 0:
        yield (
            "other_faces",
            f"{others} other {'person is' if others == 1 else 'people are'} in the picture: only "
            "one is reported, who is seen largest and longest unless another was chosen. Choose "
            "another with --person, or in the workstation's list of recordings.",
        )


def _movement(
    head_speed: NDArray[np.float64], gated_s: Mapping[str, float], observed_s: float
) -> Found:
    gated = {cause: float(seconds) for cause, seconds in gated_s.items()}
    total = observed_s + sum(gated.values())
    head, speech = (gated.get(cause, 0.0) / total if total > 0 else 0.0 for cause in _MOVING)
    known = head_speed[np.isfinite(head_speed)]
    fast = float(np.percentile(known, 90)) if len(known) else 0.0
    if head >= HEAD_SHARE or fast >= FAST_HEAD:
        yield (
            "head_motion",
            f"The head moves: {100 * head:.0f} % of the time could not be judged for it (a tenth "
            f"of the frames are faster than {fast:.2f} eye distances a second). Look at the "
            "movements that were held back for it, and read rates per minute that could be judged; "
            "film a seated person facing the camera next time.",
        )
    if speech >= SPEECH_SHARE:
        yield (
            "speech",
            f"The person speaks or chews: {100 * speech:.0f} % of the time could not be judged "
            "for it. Look at the pauses and at the movements that were held back for speech, and "
            "read rates per minute that could be judged.",
        )


def _light(
    times: NDArray[np.float64], grey: NDArray[np.float64], blocks: float, levels: float | None
) -> Found:
    found = flicker(times, grey)
    if found is not None:
        hertz, share = found
        rate, source = _rate(times), ""
        for mains in (50, 60):
            folded = abs(2 * mains - rate * round(2 * mains / rate))
            if abs(folded - hertz) <= max(0.6, 0.01 * rate):
                source = f", as lamps on {mains} Hz mains do at {rate:.0f} frames/s"
        yield (
            "flicker",
            f"The light pulses by {100 * share:.1f} % at {hertz:.1f} Hz{source}: small movements "
            "drown in it. Next time use daylight or flicker-free lamps, or match the shutter to "
            "the mains.",
        )
    if blocks >= BLOCKY:
        yield (
            "compression",
            f"The video is strongly compressed (blockiness {blocks:.2f}, where below {BLOCKY:.2f} "
            "is good): moving edges of blocks cover small movements. If this is a copy, analyse "
            "the original; record at a higher bit rate next time.",
        )
    if levels is not None and levels < FEW_LEVELS:
        yield (
            "few_grey_levels",
            f"The face has only {levels:.0f} of 256 grey levels, where {FEW_LEVELS} are needed: "
            "what lies between two levels is not seen, so small movements are missed. Light the "
            "face, open the aperture, or record all bits of the camera's range.",
        )


def input_warnings(
    *,
    times: FloatArray,
    picture_share: float = 1.0,
    width: int,
    height: int,
    interocular_px: FloatArray,
    brightness: FloatArray,
    head_speed: FloatArray,
    blockiness: float,
    grey_levels: float | None,
    damage: Sequence[str],
    notices: Sequence[Notice],
    found_ratio: float,
    others_seen: int,
    gated_s: Mapping[str, float],
    observed_s: float,
) -> tuple[AnalysisWarning, ...]:
    """Limits of one recording, the most fundamental first. ``times``: (T,) real timestamps;
    ``interocular_px``, ``brightness`` (mean grey level of the face) and ``head_speed``
    (interocular distances a second): (T,), NaN where the face is lost; ``grey_levels``: of the face
    in typical frames; ``gated_s``: seconds gated, by cause; ``observed_s``: seconds in which an
    event could have been reported."""
    clock, eyes, grey, speed = (
        np.asarray(a, dtype=np.float64) for a in (times, interocular_px, brightness, head_speed)
    )
    if not len(clock) == len(eyes) == len(grey) == len(speed):
        raise ValueError(
            f"expected arrays of one length, got {len(clock)}, {len(eyes)}, {len(grey)}, "
            f"{len(speed)}"
        )
    duration = float(clock[-1] - clock[0]) if len(clock) else 0.0
    noticed = {notice.code for notice in notices}
    found = [_damaged(line) for line in damage]
    found += [(notice.code, notice.message) for notice in notices]
    timing = _timing(clock, picture_share)
    found += [item for item in timing if item[0] == "frame_rate" or item[0] not in noticed]
    found += _face(eyes, f"{width} x {height}", found_ratio, others_seen, duration)
    found += _movement(speed, gated_s, observed_s)
    found += _light(clock, grey, blockiness, grey_levels)
    if observed_s < SHORT_S and len(clock):
        found.append(("short_recording", _short(observed_s, duration)))
    return tuple(AnalysisWarning(code, message) for code, message in found)


def _short(observed_s: float, duration: float) -> str:
    """A long recording of which little could be judged needs no longer one, but a calmer one."""
    if duration >= SHORT_S:
        little = f"Only {observed_s:.1f} of {duration:.1f} s could be judged"
        remedy = "The recording is long enough: what closed the rest is the limit."
    else:  # which may have been judged whole
        little = f"Only {observed_s:.1f} s of face to judge by"
        remedy = f"Analyse a longer recording: {SHORT_S:.0f} s of judged face are enough."
    return (
        f"{little}: what this face does of itself, and every rate a minute, are poorly known. "
        f"{remedy}"
    )


def _damaged(damage: str) -> tuple[str, str]:
    """Code and message of one line of `FrameSource.damage`."""
    line = " ".join(damage.split())
    if "timestamps" in line:
        return "repaired_timestamps", (
            f"In this file {line}: times there are estimates. If this is a copy, analyse the "
            "camera's own file."
        )
    if "another size" in line:
        return "resized_frames", (
            f"In this file {line}: motion across the change is lost. Analyse each part on its own."
        )
    return "truncated", (
        f"The file is damaged ({line}): only what could be decoded is analysed. Copy it again from "
        "the camera."
    )
