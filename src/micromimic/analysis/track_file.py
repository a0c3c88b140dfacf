"""``track.npz``: what tracking measured in each frame, small, for tables of frames.

Landmarks are kept once for each unbroken stretch of tracking, and a frame's place of the face
carries them into its picture: some 35 bytes a frame in place of 600.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.files import write_whole
from micromimic.face.signals import FaceSignals
from micromimic.motion.spotting.dense.measure import UNITS_SEEN, DenseSignals, unit_amplitudes

NAME: Final = "track.npz"


@dataclass(frozen=True)
class TrackTable:
    """The content of ``track.npz``; NaN where the face is lost."""

    times: NDArray[np.float64]  # (T,) seconds
    segments: NDArray[np.int32]  # (T,) number of the unbroken stretch of tracking; -1 where lost
    transforms: NDArray[np.float32]  # (T, 2, 3) canonical units to image pixels
    shapes: NDArray[np.float32]  # (S, 68, 2) landmarks of each stretch, canonical units
    shape_segments: NDArray[np.int32]  # (S,) the number of that stretch
    lids: NDArray[np.float16]  # (T,) change of the eyes' boxes, in shares of their contrast
    brightness: NDArray[np.float16]  # (T,) mean grey level of the face's rigid parts
    similarity: NDArray[np.float16]  # (T,) correlation of the rigid parts with the template
    moments: NDArray[np.int32]  # (n,) frames at which the whole face's flow was measured
    # (n, 12) by ``UNITS_SEEN``: how far each action unit alone would have moved the face there and
    # back about that moment, canonical units
    units: NDArray[np.float16]

    @classmethod
    def of(cls, signals: FaceSignals, dense: DenseSignals) -> TrackTable:
        """What the first pass measured."""
        segments = sorted(signals.landmarks)
        shapes = [signals.landmarks[segment] for segment in segments]
        return cls(
            signals.times,
            signals.segments.astype(np.int32),
            signals.transform.astype(np.float32),
            np.array(shapes, np.float32).reshape(-1, 68, 2),
            np.array(segments, np.int32),
            signals.eye_change.astype(np.float16),
            signals.brightness.astype(np.float16),
            signals.similarity.astype(np.float16),
            dense.frames.astype(np.int32),
            unit_amplitudes(dense).astype(np.float16),
        )

    def landmarks(self, first: int, last: int) -> NDArray[np.float32]:
        """(n, 68, 2) landmarks in pixels of the frames from ``first`` to before ``last``."""
        rows = slice(first, last)
        segments, transforms = self.segments[rows], self.transforms[rows]
        points = np.full((len(segments), 68, 2), np.nan, np.float32)
        for number, shape in zip(self.shape_segments, self.shapes, strict=True):
            here = segments == number
            moved = np.einsum("tij,pj->tpi", transforms[here, :, :2], shape)
            points[here] = moved + transforms[here, None, :, 2]
        return points

    def units_by_frame(self) -> NDArray[np.float32]:
        """(T, 12) by ``UNITS_SEEN``; NaN between the moments at which they were measured."""
        rows = np.full((len(self.times), len(UNITS_SEEN)), np.nan, np.float32)
        rows[self.moments] = self.units
        return rows

    def write(self, folder: Path) -> None:
        buffer = BytesIO()
        arrays: dict[str, Any] = vars(self)
        np.savez_compressed(buffer, **arrays)
        write_whole(folder / NAME, buffer.getvalue())

    @classmethod
    def read(cls, folder: Path) -> TrackTable:
        """What ``write`` wrote; InputError where it is not there, or something else."""
        path = folder / NAME
        try:
            with np.load(path, allow_pickle=False) as content:
                return cls(**{name: content[name] for name in cls.__annotations__})
        except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
            raise InputError(
                f"expected {NAME} of an analysis in {folder}, got none ({error}); analyse the "
                "video again"
            ) from None
