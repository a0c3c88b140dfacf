"""Live messages to any number of WebSocket clients; none of them can slow the work down."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
import threading
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from micromimic.errors import InputError, MissingExtraError
from micromimic.media.closing import Closing
from micromimic.pipelines.live_messages import (
    CurvePoint,
    FaceShape,
    LiveMessage,
    Started,
    Status,
    json_line,
)
from micromimic.web.lobby import Lobby
from micromimic.web.settings import check_token, is_loopback

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

CURVES_WAITING: Final = 400
"""Points of the curve that may wait for a slow client: two seconds at 200 frames/s."""

OTHERS_WAITING: Final = 256
"""Other messages that may wait: a client that leaves more is closed."""

SEND_TIMEOUT_S: Final = 15.0
MAX_CLIENTS: Final = 32
MAX_KNOCKING: Final = 32
"""Connections that have not asked for anything yet; one more sends the longest waiting away."""
HEAD_S: Final = 10.0
"""Seconds that the head of a client's request may take."""
MAX_INCOMING_BYTES: Final = 4096
MAX_INCOMING: Final = 50
"""Messages a client may send in ten seconds; nothing of what it says is used."""

_INCOMING_S: Final = 10.0
_FLUSH_S: Final = 2.0
_REPLAYED: Final = (Started, FaceShape, Status)


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of ``[HOST:]PORT``; the host is this machine where it is left out.

    Raises:
        InputError: no port, or one that does not exist.

    >>> parse_address("8421"), parse_address("0.0.0.0:80"), parse_address("[::1]:9000")
    (('127.0.0.1', 8421), ('0.0.0.0', 80), ('::1', 9000))
    """
    host, _, port = text.rpartition(":")
    number = int(port) if port.isascii() and port.isdigit() and len(port) < 6 else -1
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not 0 <= number <= 65535 or (":" in bare and bare == host):
        raise InputError(
            f"expected PORT or HOST:PORT with a port from 0 to 65535, got {text!r}; "
            "pass for example 8421"
        )
    return bare or "127.0.0.1", number


class Outbox:
    """What waits for one client: curve points are let go first, other messages never.

    >>> box = Outbox(curves=2, others=1)
    >>> [box.add(f"c{n}", curve=True) for n in range(3)], box.add("event", curve=False)
    ([True, True, True], True)
    >>> [box.take() for _ in range(4)], box.lost
    (['c1', 'c2', 'event', None], 1)
    >>> box.add("event", curve=False), box.add("one too many", curve=False)
    (True, False)
    """

    def __init__(self, curves: int = CURVES_WAITING, others: int = OTHERS_WAITING) -> None:
        self._most_curves, self._most_others = curves, others
        self._curves: deque[tuple[int, str]] = deque()
        self._others: deque[tuple[int, str]] = deque()
        self._count = 0
        self.lost = 0

    def add(self, text: str, *, curve: bool) -> bool:
        """Let a message wait; False if the client is too slow even for what must not be lost."""
        self._count += 1
        if not curve:
            self._others.append((self._count, text))
            return len(self._others) <= self._most_others
        self._curves.append((self._count, text))
        if len(self._curves) > self._most_curves:
            self._curves.popleft()
            self.lost += 1
        return True

    def take(self) -> str | None:
        """The oldest message; None if none waits."""
        waiting = [queue for queue in (self._curves, self._others) if queue]
        return min(waiting, key=lambda queue: queue[0][0]).popleft()[1] if waiting else None


class _Client:
    """One connection, its outbox, and what wakes its sender."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        self.box = Outbox()
        self.wake = asyncio.Event()
        self.gone = False

    def add(self, text: str, *, curve: bool) -> None:
        """Let a message wait; a client that is too slow is cut off."""
        if not self.gone and not self.box.add(text, curve=curve):
            self.cut()
        self.wake.set()

    def cut(self) -> None:
        """End it at once: it reads nothing, a goodbye neither."""
        self.gone = True
        self.connection.transport.abort()


class Publisher(Closing):
    """A WebSocket server in a thread of its own that sends every message to every client.

    A new client first gets the last ``start``, ``face`` and ``status``, so that it can read the
    rest. On loopback no token is needed, but pages of other sites are refused; with a token,
    clients say it as ``Authorization: Bearer TOKEN`` or ``?token=TOKEN``.

    Args:
        host, port: where to listen; port 0 takes a free one.
        token: needed unless ``host`` is loopback.

    Raises:
        InputError: the port is taken, no such host, or an open address without a token.
        MissingExtraError: the extra ``web`` is not installed.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, token: str | None = None) -> None:
        if token is None and not is_loopback(host):
            raise InputError(
                f"expected a token for the open address {host}, got none; pass --token-file"
            )
        if token is not None:
            try:
                check_token(token)
            except ValueError as error:
                raise InputError(str(error)) from None
        try:
            import websockets.asyncio.server  # noqa: F401, PLC0415 - of an extra
        except ImportError:
            raise MissingExtraError(
                "expected the package websockets, got none; pip install 'micromimic[web]'"
            ) from None
        self._host, self._port, self._token = host, port, token
        self._clients: set[_Client] = set()
        self._lobby = Lobby(MAX_KNOCKING)
        self._last: dict[type, str] = {}
        self._lost = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="micromimic-publish", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    @property
    def address(self) -> str:
        """Where clients connect."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"ws://{host}:{self._port}"

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    @property
    def lost(self) -> int:
        """Points of the curve that slow clients did not get."""
        return self._lost

    def publish(self, message: LiveMessage) -> None:
        """Send a message to every client; returns at once. For one thread."""
        curve = isinstance(message, CurvePoint)
        if self._closed or (curve and not self._clients):
            return
        self._call(self._spread, json_line(message), type(message))

    def close(self) -> None:
        """Send what waits (for two seconds at most), close every client, end the thread."""
        if not self._closed:
            self._closed = True
            self._call(self._begin_end)
        self._thread.join()

    def _call(self, what: Callable[..., None], *arguments: object) -> None:
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended in the meantime
                loop.call_soon_threadsafe(what, *arguments)

    def _spread(self, text: str, kind: type) -> None:
        if kind in _REPLAYED:
            self._last[kind] = text
        for client in self._clients:
            before = client.box.lost
            client.add(text, curve=kind is CurvePoint)
            self._lost += client.box.lost - before

    def _begin_end(self) -> None:
        assert self._stop is not None
        self._stop.set()
        for client in self._clients:
            client.wake.set()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - told where the publisher is made
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from websockets.asyncio.server import ServerConnection, serve  # noqa: PLC0415

        lobby = self._lobby

        class Knocking(ServerConnection):
            """One that waits in the lobby until its request is there, or it has gone."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                super().connection_made(transport)
                lobby.enter(self, self.transport.abort)

            def connection_lost(self, exc: Exception | None) -> None:
                lobby.leave(self)
                super().connection_lost(exc)

        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        serving = serve(
            self._handle,
            self._host,
            self._port,
            process_request=self._admit,
            create_connection=Knocking,
            open_timeout=HEAD_S,
            compression=None,
            max_size=MAX_INCOMING_BYTES,
            max_queue=4,
            close_timeout=1.0,
            server_header=None,
            # What a client did wrong is no news for the one who runs the session.
            logger=logging.Logger("micromimic.publish", logging.CRITICAL + 1),
        )
        try:
            async with serving as server:
                self._port = next(iter(server.sockets)).getsockname()[1]
                self._ready.set()
                await self._stop.wait()
                await self._flush()
        except OSError as error:
            raise InputError(
                f"expected to listen on {self._host}:{self._port}, got {error.strerror or error}; "
                "choose another --websocket port"
            ) from None

    async def _flush(self) -> None:
        """Wait until every client has what it waits for, or for two seconds."""
        clock = asyncio.get_running_loop().time
        ends = clock() + _FLUSH_S
        while self._clients and clock() < ends:
            await asyncio.sleep(0.01)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Whether a client may connect; an answer is a refusal."""
        self._lobby.leave(connection)
        if self._token is not None:
            kind, _, said = request.headers.get("Authorization", "").partition(" ")
            asked = parse_qs(urlsplit(request.path).query).get("token", [""])[-1]
            given = said.strip() if kind.lower() == "bearer" else asked
            if not hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode()):
                return connection.respond(HTTPStatus.UNAUTHORIZED, "expected the token\n")
        elif not (_here(f"//{request.headers.get('Host', '')}") and _own(request)):
            # Any page in the browser could otherwise listen in.
            return connection.respond(HTTPStatus.FORBIDDEN, "expected a client on this machine\n")
        if len(self._clients) >= MAX_CLIENTS:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients\n")
        return None

    async def _handle(self, connection: ServerConnection) -> None:
        client = _Client(connection)
        for kind in _REPLAYED:
            if kind in self._last:
                client.add(self._last[kind], curve=False)
        self._clients.add(client)
        listening = asyncio.create_task(_ignore(client))
        try:
            await self._send_all(client)
        finally:
            self._clients.discard(client)
            listening.cancel()

    async def _send_all(self, client: _Client) -> None:
        from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

        assert self._stop is not None
        with contextlib.suppress(ConnectionClosed):
            while not client.gone:
                text = client.box.take()
                if text is not None:
                    try:
                        async with asyncio.timeout(SEND_TIMEOUT_S):
                            await client.connection.send(text)
                    except TimeoutError:
                        client.cut()
                elif self._stop.is_set():
                    await client.connection.close(1001, "the session has ended")
                    return
                else:
                    await client.wake.wait()
                    client.wake.clear()


async def _ignore(client: _Client) -> None:
    """Read what a client says and forget it; one that does not stop is closed."""
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

    clock = asyncio.get_running_loop().time
    since, count = clock(), 0
    try:
        while count < MAX_INCOMING:
            await client.connection.recv()
            count += 1
            if clock() - since > _INCOMING_S:
                since, count = clock(), 0
        await client.connection.close(1008, "expected a client that listens, got too many messages")
    except ConnectionClosed:
        return
    finally:
        client.gone = True
        client.wake.set()


def _here(address: str) -> bool:
    """Whether the host of an address is this machine."""
    try:
        return is_loopback(urlsplit(address).hostname or "")
    except ValueError:
        return False


def _own(request: Request) -> bool:
    """No browser, or a page from this machine."""
    origin = request.headers.get("Origin")
    return origin is None or _here(origin)
