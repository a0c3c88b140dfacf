"""From the pipeline's thread to a client that may be slow: points are lost first, events never."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from micromimic.media.live import LiveSource

MOST_POINTS: Final = 400
"""Curve points that may wait for a client; older ones are dropped then, and counted."""


class Message(Protocol):
    """One message of a live session."""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""


class Watched(AbstractContextManager["Watched"], Protocol):
    """What is needed of `pipelines.live.LiveSession`."""

    def __iter__(self) -> Iterator[Message]: ...

    def stop(self) -> None:
        """End soon."""


class Outbox:
    """Messages on their way from a thread to the event loop.

    Args:
        loop: where they are taken.
        most_points: curve points that may wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, most_points: int = MOST_POINTS) -> None:
        self._loop = loop
        self._most = most_points
        self._lock = threading.Lock()
        self._waiting: deque[tuple[bool, str]] = deque()
        self._points = 0
        self._closed = False
        self._news = asyncio.Event()
        self.lost_points = 0

    def put(self, content: Mapping[str, Any]) -> None:
        """Add a message, from any thread; never waits."""
        point = content.get("type") == "curve"
        if content.get("type") == "status":
            content = {**content, "lost_points": self.lost_points}
        text = json.dumps(finite(content), allow_nan=False, separators=(",", ":"))
        with self._lock:
            if point and self._points >= self._most:
                oldest = next(i for i, (is_point, _) in enumerate(self._waiting) if is_point)
                del self._waiting[oldest]
                self.lost_points += 1
            elif point:
                self._points += 1
            self._waiting.append((point, text))
        self._loop.call_soon_threadsafe(self._news.set)

    def close(self) -> None:
        """Nothing more comes; what waits is still taken."""
        with self._lock:
            self._closed = True
        self._loop.call_soon_threadsafe(self._news.set)

    async def take(self) -> str | None:
        """The next message; None after the last."""
        while True:
            with self._lock:
                if self._waiting:
                    point, text = self._waiting.popleft()
                    self._points -= point
                    return text
                if self._closed:
                    return None
                self._news.clear()
            await self._news.wait()


def finite(value: Any) -> Any:
    """Plain values with null for numbers that JSON does not know.

    >>> finite({"a": [1.5, float("nan")]})
    {'a': [1.5, None]}
    """
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


class Pump(threading.Thread):
    """Runs one live session in a thread of its own and hands its messages out.

    Args:
        watch: opens the session on a source.
        source: of the frames.
        outbox: closed when the session has ended, whatever the reason.
    """

    def __init__(
        self, watch: Callable[[LiveSource], Watched], source: LiveSource, outbox: Outbox
    ) -> None:
        super().__init__(name="micromimic-live-messages")
        self._watch = watch
        self._source = source
        self._outbox = outbox
        self._stopped = threading.Event()
        self._session: Watched | None = None
        self._error: Exception | None = None

    def run(self) -> None:
        """The thread's work."""
        try:
            with self._watch(self._source) as session:
                self._session = session
                if self._stopped.is_set():
                    session.stop()
                for message in session:
                    self._outbox.put(message.to_dict())
        except Exception as error:  # noqa: BLE001 - told to the client and logged by the socket
            self._error = error
        finally:
            self._session = None
            self._source.close()
            self._outbox.close()

    def stop(self) -> None:
        """End the session soon, from any thread."""
        self._stopped.set()
        session = self._session
        if session is not None:
            session.stop()

    def take_error(self) -> Exception | None:
        """What ended the session if it was no regular end, once.

        It is not kept: its traceback holds this thread's frames, and they hold the session.
        """
        error, self._error = self._error, None
        return error
