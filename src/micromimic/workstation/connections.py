"""How many may connect at once, and for how long: nobody who says nothing keeps others out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_WAITING: Final = 64
"""Connections that have not asked for anything yet; one more sends the longest waiting away."""
MOST_BUSY: Final = 256
"""Requests under way and WebSockets; one more is answered with 503."""
ACCEPTED_AT_ONCE: Final = 16
"""Connections accepted before those accepted already are looked at: they cost a file each."""
HEAD_S: Final = 10.0
"""Seconds that the head of a request may take, from the connection or the last answer on."""
STALL_S: Final = 120.0
"""Seconds for which a client may take nothing of an answer; a paused player asks again later."""
CLOSE_S: Final = 30.0
"""Seconds that a WebSocket has to take its last messages, from the end of its conversation on."""
HEAD_BYTES: Final = 32 * 1024
_SHARES: Final = 4
"""A fourth of the files that this process may open is for each kind of connection at most."""


class Backlog:
    """So many may wait; when one more comes, the longest waiting is dropped.

    Turning the newcomer away instead would let a few silent ones lock everybody out. Used on one
    event loop.

    >>> dropped = []
    >>> backlog = Backlog(2)
    >>> for name in "abc":
    ...     backlog.add(name, lambda name=name: dropped.append(name))
    >>> backlog.remove("b")
    >>> backlog.add("d", lambda: None)
    >>> dropped
    ['a']
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: dict[object, Callable[[], object]] = {}

    def add(self, key: object, drop: Callable[[], object]) -> None:
        """``drop`` is called at most once, when others need the place."""
        while len(self._waiting) >= self._most:
            longest = next(iter(self._waiting))
            self._waiting.pop(longest)()
        self._waiting[key] = drop

    def remove(self, key: object) -> None:
        """It has said what it wants, or is gone; may be called again."""
        self._waiting.pop(key, None)


def connection_limits() -> tuple[int, int]:
    """Connections that may wait and that may be busy, within what the system lets us open."""
    share = _open_files() // _SHARES
    return max(4, min(MOST_WAITING, share)), max(8, min(MOST_BUSY, share))


def _open_files() -> int:
    """How many files this process may open; more than the usual limit, where that is allowed."""
    if sys.platform == "win32":
        return 8192
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _SHARES * MOST_BUSY
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    higher = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (higher, hard))
    except (OSError, ValueError):  # some systems have a lower limit than they tell
        return soft
    return higher


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with a limit on the time of a head, on idle connections and on stalled answers.

    All of one server share a ``backlog``.
    """

    backlog: Backlog

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._limit_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._limit_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._limit_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._abort_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def timeout_keep_alive_handler(self) -> None:
        """It has asked nothing more; what it has not taken yet, it must take soon."""
        super().timeout_keep_alive_handler()
        self._abort_later()

    def _abort_later(self) -> None:
        if self._stall is None:
            self._stall = self.loop.call_later(STALL_S, self.transport.abort)

    def _limit_head(self) -> None:
        """Between requests a connection is in the backlog, and its time runs."""
        upgraded = self.transport.get_protocol() is not self
        busy = self.cycle is not None and not self.cycle.response_complete
        if upgraded or busy or self.transport.is_closing():
            self._head_is_there()
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_S, self.transport.abort)
            self.backlog.add(self, self.transport.abort)

    def _head_is_there(self) -> None:
        self.backlog.remove(self)
        if self._head is not None:
            self._head.cancel()
            self._head = None


def bounded_protocol(most_waiting: int) -> Callable[..., asyncio.Protocol]:
    """The protocol of one server, on which so many connections may wait without a request."""
    return type("BoundedProtocol", (BoundedProtocol,), {"backlog": Backlog(most_waiting)})


class BoundedSocket(WebSocketsSansIOProtocol):
    """A WebSocket that is gone soon after its conversation, though its client reads nothing.

    A transport that is closed waits until all is taken: for a client that takes nothing, for ever.
    """

    _closing: asyncio.TimerHandle | None = None

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            if not self.disconnected:
                self._closing = self.loop.call_later(CLOSE_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
        super().connection_lost(exc)
