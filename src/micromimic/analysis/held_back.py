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
from numpy.typing import NDArray

from micromimic.analysis.second_pass import AnalyzeConfig
from micromimic.core.canonical import follow, scale_of
from micromimic.core.results import HeldBack, Rejected
from micromimic.core.types import Interval
from micromimic.face.align import face_canvas
from micromimic.face.signals import FaceSignals
from micromimic.media.again import look_at
from micromimic.media.frames import Frame, Frames
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
    scale = float(scale_of(signals.transform[apex]))
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
    """The same movements with the face at onset and apex, read again; nothing without evidence.
    ``held``: by onset."""
    if not config.evidence:
        return tuple(held)
    looks = [_Look(item, signals, config) for item in held]
    return tuple(look_at(frames, looks))


class _Look:
    """The face at onset and apex of one movement."""

    def __init__(self, item: HeldBack, signals: FaceSignals, config: AnalyzeConfig) -> None:
        self.rows = (item.onset_frame, item.apex_frame)
        self._item, self._signals, self._config = item, signals, config
        self._faces: list[NDArray[np.uint8]] = []

    def take(self, frame: Frame) -> None:
        transform, onset = self._signals.transform, self._item.onset_frame
        scale = float(scale_of(transform[self._item.apex_frame]))
        face = face_canvas(
            frame.rgb(),
            follow(transform[onset], transform[frame.index]),
            float(np.clip(scale, 3.0, self._config.crop_resolution)),
            self._config.crop_margin,
        )
        self._faces.append(face)

    def end(self) -> HeldBack:
        onset, apex = self._faces
        return replace(self._item, onset_face=onset, apex_face=apex)
