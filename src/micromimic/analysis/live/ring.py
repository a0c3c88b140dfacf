"""The face of the last seconds, frame by frame: what flow and pictures are made from."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MARGIN, UNITS, apply_affine
from micromimic.face.signals import FaceRow, FaceSignals, signals_of
from micromimic.media.frames import ColourImage, Frame, GrayImage

SLACK: Final = 2.0
"""Canonical units more than any picture of the face shows: it moves within an event."""

Colour = Callable[[], ColourImage]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The face in one frame."""

    number: int  # of the frame
    row: FaceRow  # what was measured; its transform is into the whole picture
    corner: tuple[int, int]  # (left, top) pixel of the cut in the picture
    gray: GrayImage  # (h, w) uint8, the cut
    colour: Colour | None  # makes the whole picture in RGB; None where colour is not needed
    nbytes: int  # memory that this takes


class FaceRing:
    """Cuts of recent frames, bounded in bytes. ``margin``: canonical units around the face that are
    kept."""

    def __init__(self, most_bytes: int, margin: float = MARGIN) -> None:
        self._most_bytes = most_bytes
        self._margin = margin + SLACK
        self._items: deque[Kept] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._items)

    @property
    def nbytes(self) -> int:
        """Memory that the cuts take, a picture's colour included."""
        return self._bytes

    def add(self, number: int, gray: GrayImage, row: FaceRow, colour: Colour | None) -> None:
        """Keep the face of one frame."""
        left, top, right, bottom = face_box(row.transform, gray.shape, self._margin)
        cut = gray[top:bottom, left:right].copy()
        size = cut.nbytes + (0 if colour is None else 3 * gray.size)
        self._items.append(Kept(number, row, (left, top), cut, colour, size))
        self._bytes += size
        while self._bytes > self._most_bytes and len(self._items) > 1:
            self._drop()

    def trim(self, before: float) -> None:
        """Let go what is older than a time."""
        while self._items and self._items[0].row.time < before:
            self._drop()

    def clear(self) -> None:
        """Let everything go."""
        self._items.clear()
        self._bytes = 0

    def cut(self, first: float, last: float, segment: int) -> Cut | None:
        """The frames of one stretch between two times; None where there are fewer than two."""
        items = [
            item
            for item in self._items
            if first <= item.row.time <= last and item.row.segment == segment
        ]
        return Cut(items) if len(items) > 1 else None

    def _drop(self) -> None:
        self._bytes -= self._items.popleft().nbytes


def face_box(
    transform: NDArray[np.floating], shape: Sequence[int], margin: float
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom pixels of the face's square with a margin, within the picture.
    ``margin``: canonical units.

    >>> face_box(np.array([[2.0, 0, 50], [0, 2.0, 50]]), (100, 200), 1.0)
    (48, 48, 109, 100)
    """
    low, high = -margin, UNITS + margin
    square = np.array([[low, low], [low, high], [high, low], [high, high]])
    corners = apply_affine(transform, square)
    height, width = shape[0], shape[1]
    left, top = (int(v) for v in np.floor(corners.min(0)))
    right, bottom = (int(v) for v in np.ceil(corners.max(0)) + 1)
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    return left, top, max(left + 1, min(right, width)), max(top + 1, min(bottom, height))


class Cut:
    """Frames in a row, as the second pass over a video reads them."""

    def __init__(self, items: Sequence[Kept]) -> None:
        self._items = list(items)
        self.numbers = np.array([item.number for item in items], np.intp)
        """(n,) of the frames; they rise."""
        corners = np.array([item.corner for item in items])
        ends = corners + [item.gray.shape[::-1] for item in items]
        self._low, self._high = corners.min(0), ends.max(0)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames by their place in this cut, all of one size."""
        for index in indices:
            item = self._items[index]
            colour = None if item.colour is None else self._coloured(item.colour)
            yield Frame(index, item.row.time, self._whole(item), colour)

    def signals(self) -> FaceSignals:
        """What was measured in them, a row a frame, in the cut's own pixels."""
        signals = signals_of([(item.row.time, item.row) for item in self._items])
        signals.transform[:, :, 2] -= self._low
        return signals

    def place_of(self, number: int) -> int:
        """Where a frame is, or the one nearest to it."""
        return int(np.abs(self.numbers - number).argmin())

    def _whole(self, item: Kept) -> GrayImage:
        """One frame's cut on the place that all of them share; its edges repeat."""
        left, top = item.corner - self._low
        right, bottom = self._high - item.corner - item.gray.shape[::-1]
        if not (left or top or right or bottom):
            return item.gray
        edges = (int(top), int(bottom), int(left), int(right))
        return np.asarray(cv2.copyMakeBorder(item.gray, *edges, cv2.BORDER_REPLICATE), np.uint8)

    def _coloured(self, colour: Colour) -> Colour:
        (left, top), (right, bottom) = self._low, self._high
        return lambda: np.ascontiguousarray(colour()[top:bottom, left:right])
