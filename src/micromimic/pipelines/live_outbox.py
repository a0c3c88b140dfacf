"""Messages between the threads that make them and whoever reads them."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from micromimic.pipelines.live_messages import (
    CurvePoint,
    FaceShape,
    LiveMessage,
    Status,
)

MOST_PASSING: Final = 4000
"""Messages of passing interest that wait for a slow reader."""


class Outbox:
    """A queue whose reader may be slow or gone: it never holds up who writes, and stays bounded.

    Points of the curve, shapes and statuses are let go then, the oldest half at once; events,
    confirmations and the end never.

    >>> box = Outbox()
    >>> box.put(CurvePoint(0, 0.0, False)); box.end(); box.take().frame, box.take()
    (0, None)
    """

    def __init__(self) -> None:
        self._items: deque[LiveMessage] = deque()
        self._passing = 0
        self._ended = False
        self._changed = threading.Condition()
        self.curve_dropped = 0
        """Points of the curve that nobody read in time."""

    def put(self, message: LiveMessage) -> None:
        """Add a message; never waits. After the end it is let go."""
        with self._changed:
            if self._ended:
                return
            if _passes(message):
                if self._passing >= MOST_PASSING:
                    self._thin()
                self._passing += 1
            self._items.append(message)
            self._changed.notify_all()

    def take(self) -> LiveMessage | None:
        """The oldest message; waits for one. None after the end."""
        with self._changed:
            # A wait without a limit could not be interrupted everywhere.
            while not self._items and not self._ended:
                self._changed.wait(0.5)
            if not self._items:
                return None
            message = self._items.popleft()
            self._passing -= _passes(message)
            return message

    def end(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _thin(self) -> None:
        """Let the older half of what passes go, but the face's latest shape."""
        shape = next((item for item in reversed(self._items) if isinstance(item, FaceShape)), None)
        surplus = self._passing // 2
        kept: deque[LiveMessage] = deque()
        for item in self._items:
            if surplus > 0 and _passes(item) and item is not shape:
                surplus -= 1
                self._passing -= 1
                self.curve_dropped += isinstance(item, CurvePoint)
            else:
                kept.append(item)
        self._items = kept


def _passes(message: LiveMessage) -> bool:
    return isinstance(message, CurvePoint | FaceShape | Status)
