"""From the session to whoever listens: each has a mailbox, so that none can hold up another."""

from __future__ import annotations

import threading
from typing import Final

from micromimic.analysis.live.messages import CurvePoint, FaceShape, LiveMessage, Started, Status
from micromimic.core.mailbox import Mailbox

MOST_PASSING: Final = 4000  # messages of passing interest that wait for a slow listener
_REPLAYED: Final = (Started, FaceShape, Status)
_DRAWN: Final = (CurvePoint, FaceShape)
_PASSING: Final = (*_DRAWN, Status)


class Listeners:
    """Hands every message to every listener, and never waits for one.

    Who reads too slowly loses points of the curve, shapes and statuses, the oldest half at once;
    events, confirmations and the end never.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: dict[Mailbox[LiveMessage], bool] = {}
        self._last: dict[type, LiveMessage] = {}
        self._ended = False

    def add(self, most: int = MOST_PASSING, *, curve: bool = True) -> Mailbox[LiveMessage]:
        """Begin to listen, until the mailbox is closed: first the last start, shape and status."""
        box = Mailbox[LiveMessage](most, passes=lambda item: isinstance(item, _PASSING))
        with self._lock:
            for kind in _REPLAYED:
                if kind in self._last and (curve or kind not in _DRAWN):
                    box.put(self._last[kind])
            self._boxes[box] = curve
            if self._ended:
                box.end()
        return box

    def put(self, message: LiveMessage) -> None:
        """Hand a message to everyone; after the end it is let go."""
        drawn = isinstance(message, _DRAWN)
        with self._lock:
            if isinstance(message, _REPLAYED):
                self._last[type(message)] = message
            gone = [
                box
                for box, curve in self._boxes.items()
                if (curve or not drawn) and not box.put(message)
            ]
            for box in gone:
                del self._boxes[box]

    def end(self) -> None:
        """Nothing more comes; what waits is still taken."""
        with self._lock:
            self._ended = True
            for box in self._boxes:
                box.end()
