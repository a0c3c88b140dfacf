"""Movements warped into somebody's recording while it is read.

Nothing is written and nothing is encoded again: `PlantedSource` hands on the frames of another
source, those within a movement with the face's skin moved. All other frames, and all pixels away
from the movement, are the source's own, bit by bit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

from micromimic.core.canonical import apply_affine, canvas_to_unit, compose, invert_affine, scale_of
from micromimic.core.closing import Closing
from micromimic.media.frames import Frame, FrameSource, Notice
from micromimic.synthesis.bump_units import Field, samples_a_unit
from micromimic.synthesis.planted.plan import Ground, Planted

_SMOOTH_S: Final = 0.3
_ITERATIONS: Final = 6  # undoes a movement of a unit to 0.002
_NOTHING: Final = 0.002  # of a field's largest displacement


def smoothed(
    transforms: NDArray[np.floating],
    segments: NDArray[np.int_],
    times: NDArray[np.floating],
) -> NDArray[np.float64]:
    """(T, 2, 3) where the face lies, without the tracker's shake: quadratics over a moment, each
    stretch of tracking by itself."""
    result = np.asarray(transforms, np.float64).copy()
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    window = max(5, round(_SMOOTH_S / step) | 1)
    for segment in np.unique(segments[segments >= 0]):
        rows = np.flatnonzero(segments == segment)
        length = min(window, (len(rows) - 1) | 1)
        if len(rows) >= length > 2:
            flat = result[rows].reshape(len(rows), -1)
            result[rows] = savgol_filter(flat, length, 2, axis=0).reshape(-1, 2, 3)
    return result


class Warp:
    """Moves the skin in single frames of a recording, ``size`` canonical units at most."""

    def __init__(self, ground: Ground, planted: Sequence[Planted], size: float) -> None:
        self._ground = ground
        self._planted = sorted(planted, key=lambda move: move.interval.onset)
        self._onsets = [move.interval.onset for move in self._planted]
        self._size = size

    def places(self, index: int, width: int, height: int) -> tuple[slice, slice, Field] | None:
        """Rows and columns that move in a frame, and (h, w, 2) their x and y in the source's
        picture; None where nothing moves."""
        if index >= len(self._ground.first):
            return None
        source = int(self._ground.first[index])
        time = float(self._ground.times[source])
        number = bisect_left(self._onsets, time) - 1
        if number < 0:
            return None
        amount = self._size * self._planted[number].envelope(time)
        transform = self._ground.transforms[source]
        if not (amount > 0 and np.isfinite(transform).all()):
            return None
        field = self._planted[number].field.astype(np.float32)
        return _moved(field, transform, amount, width, height)

    def apply(self, frame: Frame) -> Frame:
        """The frame as the source has it, or with its skin moved: grey and colour alike."""
        height, width = frame.gray.shape
        found = self.places(frame.index, width, height)
        if found is None:
            return frame
        rows, columns, places = found

        def moved(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
            x, y = places[..., 0], places[..., 1]
            result = picture.copy()
            result[rows, columns] = cv2.remap(
                picture, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
            )
            return result

        colour = None if frame.load_rgb is None else (lambda: moved(frame.rgb()))
        return Frame(frame.index, frame.time, moved(frame.gray), colour)


def _moved(
    field: Field, transform: NDArray[np.float64], amount: float, width: int, height: int
) -> tuple[slice, slice, Field] | None:
    """As of `Warp.places`: solves ``place + displacement(place) = pixel`` by iteration."""
    canvas_map = canvas_to_unit(samples_a_unit(field))
    rows, columns = _window(field, transform, canvas_map, amount, width, height)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return None
    y, x = np.mgrid[rows, columns].astype(np.float32)
    pixels = np.stack([x, y], axis=-1)
    in_pixels = np.tensordot(field, transform[:, :2] * amount, axes=(0, 1)).astype(np.float32)
    to_canvas = compose(invert_affine(canvas_map), invert_affine(transform))
    place = pixels
    for _ in range(_ITERATIONS):
        on_canvas = np.asarray(cv2.transform(place, to_canvas), np.float32)
        shift = cv2.remap(
            in_pixels, on_canvas, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
        )
        place = pixels - shift
    return rows, columns, np.asarray(place, np.float32)


def _window(
    field: Field,
    transform: NDArray[np.float64],
    canvas_map: NDArray[np.float64],
    amount: float,
    width: int,
    height: int,
) -> tuple[slice, slice]:
    """Rows and columns of the picture that a field moves."""
    y, x = np.nonzero(np.hypot(*field) > _NOTHING)
    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()])
    corners = np.array([(a[0], b[1]) for a in (low, high) for b in (low, high)])
    on_picture = apply_affine(compose(transform, canvas_map), corners.astype(np.float64))
    pad = 1 + amount * float(scale_of(transform))
    first = np.floor(on_picture.min(0) - pad).astype(int).clip(0)
    last = np.ceil(on_picture.max(0) + pad).astype(int) + 1
    rows, columns = (
        slice(int(a), min(size, int(b)))
        for a, b, size in zip(first[::-1], last[::-1], (height, width), strict=True)
    )
    return rows, columns


class PlantedSource(Closing):
    """Frames of another source, each as ``change`` makes it; see `FrameSource`.

    ``source`` is opened by the caller and closed with this; ``change`` makes a frame of a frame, of
    the same index, time and size; ``max_seconds`` is where the recording ends early.
    """

    def __init__(
        self,
        source: FrameSource,
        change: Callable[[Frame], Frame] | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self._source = source
        self._change = change or (lambda frame: frame)
        self._max_seconds = max_seconds
        self._ended = False
        self.path = source.path
        self.width, self.height = source.width, source.height
        self.nominal_fps = source.nominal_fps
        self.expected_frames = source.expected_frames
        if max_seconds is not None and self.expected_frames and self.nominal_fps:
            most = int(max_seconds * self.nominal_fps) + 1
            self.expected_frames = min(self.expected_frames, most)

    @property
    def damage(self) -> tuple[str, ...]:
        return self._source.damage

    @property
    def notices(self) -> tuple[Notice, ...]:
        return self._source.notices

    @property
    def picture_share(self) -> float:
        return self._source.picture_share

    @property
    def media_times(self) -> Sequence[float] | None:
        """As of the source; None where the recording was ended early."""
        return None if self._ended else self._source.media_times

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            if self._max_seconds is not None and frame.time > self._max_seconds:
                self._ended = True
                return
            yield self._change(frame)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._change, self._source.frames_at(indices))

    def close(self) -> None:
        self._source.close()
