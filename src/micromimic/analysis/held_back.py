"""The strongest movements that were seen and not reported, for a person to overrule.

A recording without candidates is no empty one: something held its movements back, and a coder who
sees them can say whether it was right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from micromimic.analysis.second_pass import AnalyzeConfig
from micromimic.core.canonical import follow
from micromimic.core.results import HeldBack, Rejected
from micromimic.core.types import Interval
from micromimic.face.align import face_canvas
from micromimic.face.signals import FaceSignals
from micromimic.media.frames import Frames, read_again
from micromimic.motion.spotting.cells import SpottingResult

MOST: Final = 10


def strongest(found: SpottingResult, signals: FaceSignals) -> tuple[HeldBack, ...]:
    """Up to ten movements with ends of their own, by onset, beside the events and one another.

    Those under a blink come last: nearly all of them are the lids' own.
    """
    taken = [(event.onset, event.offset) for event in found.events]
    chosen: list[Rejected] = []
    for item in sorted(found.spotting.rejected, key=lambda r: (r.reason == "blink", -r.strength)):
        if item.frames is None or not _rises_and_falls(item.frames, signals):
            continue
        onset, _, offset = item.frames
        if len(chosen) < MOST and not any(a <= offset and onset <= b for a, b in taken):
            chosen.append(item)
            taken.append((onset, offset))
    held = (_held_back(item, found, signals) for item in chosen)
    return tuple(sorted(held, key=lambda item: item.onset_frame))


def _rises_and_falls(frames: tuple[int, int, int], signals: FaceSignals) -> bool:
    """Whether it has an extent, within one stretch of the face."""
    segments = signals.segments[list(frames)]
    return all(a < b for a, b in pairwise(frames)) and bool((segments == segments[1]).all())


def _held_back(item: Rejected, found: SpottingResult, signals: FaceSignals) -> HeldBack:
    assert item.frames is not None
    onset, apex, offset = item.frames
    units = item.units
    if units is None:  # the dense flow saw nothing: what the strongest of the cells did
        moved = float(np.nan_to_num(found.curve.cells[apex]).max())
        units = moved or None
    scale = float(signals.pixels_per_unit()[apex])
    return HeldBack(
        Interval(*signals.times[list(item.frames)].tolist()),
        onset,
        apex,
        offset,
        item.reason,
        item.strength,
        units,
        None if units is None else units * scale,
    )


def with_pictures(
    held: Sequence[HeldBack], frames: Frames, signals: FaceSignals, config: AnalyzeConfig
) -> tuple[HeldBack, ...]:
    """The same movements with the face at onset and apex, read again; nothing without evidence."""
    if not config.evidence:
        return tuple(held)
    wanted = sorted({row for item in held for row in (item.onset_frame, item.apex_frame)})
    reader = frames.frames_at(wanted)
    shown = {}
    for row in wanted:
        picture = read_again(reader, row).rgb()
        item = next(item for item in held if row in (item.onset_frame, item.apex_frame))
        scale = float(signals.pixels_per_unit()[item.apex_frame])
        shown[row] = face_canvas(
            picture,
            follow(signals.transform[item.onset_frame], signals.transform[row]),
            float(np.clip(scale, 3.0, config.crop_resolution)),
            config.crop_margin,
        )
    return tuple(
        replace(item, onset_face=shown[item.onset_frame], apex_face=shown[item.apex_frame])
        for item in held
    )
