"""From the session to whoever listens: each has a mailbox, so that none can hold up another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from micromimic.media.mailbox import Mailbox
from micromimic.pipelines.live_messages import (
    CurvePoint,
    FaceShape,
    LiveMessage,
    Started,
    Status,
)

MOST_PASSING: Final = 4000
"""Messages of passing interest that wait for a slow listener."""
_REPLAYED: Final = (Started, FaceShape, Status)


class Listeners:
    """Hands every message to every listener, and never waits for one.

    Who reads too slowly loses points of the curve, shapes and statuses, the oldest half at once;
    events, confirmations and the end never.

    >>> listeners = Listeners()
    >>> box = listeners.add()
    >>> listeners.put(CurvePoint(0, 0.0, False)); listeners.end(); box.take(1.0).frame
    0
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: dict[Mailbox[LiveMessage], bool] = {}
        self._last: dict[type, LiveMessage] = {}
        self._ended = False

    def add(self, most: int = MOST_PASSING, *, curve: bool = True) -> Mailbox[LiveMessage]:
        """Begin to listen: the last start, shape and status come first.

        Args:
            most: messages of passing interest that may wait.
            curve: also the motion of each frame, and the face's shape.
        """
        box = Mailbox[LiveMessage](most, passes=_passes)
        with self._lock:
            for kind in _REPLAYED:
                if kind in self._last and (curve or kind is not FaceShape):
                    box.put(self._last[kind])
            if self._ended:
                box.end()
            else:
                self._boxes[box] = curve
        return box

    @contextlib.contextmanager
    def listening(self, most: int) -> Iterator[Mailbox[LiveMessage]]:
        """Listen within ``with``."""
        box = self.add(most)
        try:
            yield box
        finally:
            with self._lock:
                self._boxes.pop(box, None)

    def put(self, message: LiveMessage) -> None:
        """Hand a message to everyone; after the end it is let go."""
        drawn = isinstance(message, CurvePoint | FaceShape)
        with self._lock:
            if isinstance(message, _REPLAYED):
                self._last[type(message)] = message
            for box, curve in self._boxes.items():
                if curve or not drawn:
                    box.put(message)

    def end(self) -> None:
        """Nothing more comes; what waits is still taken."""
        with self._lock:
            self._ended = True
            for box in self._boxes:
                box.end()


def _passes(message: LiveMessage) -> bool:
    return isinstance(message, CurvePoint | FaceShape | Status)
