"""A live session to any number of WebSocket clients, who only listen; none can slow it down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from fastapi import APIRouter, WebSocket
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketDisconnect

from micromimic.analysis.live.messages import LiveMessage, json_line
from micromimic.core.closing import Closing
from micromimic.core.mailbox import Mailbox
from micromimic.workstation.access import Access, guarded_app
from micromimic.workstation.live.wire import GONE_AWAY, NOT_ALLOWED, WAITING, close, send
from micromimic.workstation.server import Server, listen_on, server_config

MAX_CLIENTS: Final = 32
MAX_INCOMING_BYTES: Final = 4096
MAX_INCOMING: Final = 50
"""Messages a client may send in ten seconds; nothing of what it says is used."""
_INCOMING_S: Final = 10.0
FLUSH_S: Final = 2.0

router = APIRouter()


class Feed(Closing):
    """A server in a thread of its own that sends every message of a session to every client.

    ``listen`` is ``LiveSession.listen``. A new client first gets the last ``start``, ``face`` and
    ``status``, so that it can read the rest. On loopback no token is needed, but pages of other
    sites are refused; with a token, clients say it as ``Authorization: Bearer TOKEN`` or
    ``?token=TOKEN``. Close the session first: its ``clients`` get what waits for them then, for two
    seconds at most.
    """

    def __init__(
        self,
        access: Access,
        listen: Callable[[int], Mailbox[LiveMessage]],
        *,
        flush_s: float = FLUSH_S,
    ) -> None:
        self.listen = listen
        self._flush_s = flush_s
        self.clients: set[Mailbox[LiveMessage]] = set()
        self.changed = threading.Condition()
        """Notified when a client has come or gone."""
        self._listening = listen_on(access.host, access.port, "--websocket port")
        port = self._listening.getsockname()[1]
        host = f"[{access.host}]" if ":" in access.host else access.host
        self.address = f"ws://{host}:{port}"
        app = guarded_app(access, read_only=True, openapi_url=None)
        app.state.feed = self
        app.include_router(router)
        ready = threading.Event()
        config = server_config(app, message_bytes=MAX_INCOMING_BYTES, grace_s=1)
        # What a client did wrong is no news for the one who runs the session.
        self._server = Server(config, ready.set, log_level=logging.CRITICAL + 1)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._listening],), name="micromimic-feed", daemon=True
        )
        self._thread.start()
        while not ready.wait(0.1):
            if not self._thread.is_alive():
                self._listening.close()
                assert self._server.failure is not None
                raise self._server.failure

    def count(self, client: Mailbox[LiveMessage], *, here: bool) -> None:
        with self.changed:
            (self.clients.add if here else self.clients.discard)(client)
            self.changed.notify_all()

    def close(self) -> None:
        """Wait a while until every client has what it waits for; end the thread."""
        with self.changed:
            self.changed.wait_for(lambda: not self.clients, self._flush_s)
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()


@router.websocket("/")
async def follow(socket: WebSocket) -> None:
    feed = socket.app.state.feed
    assert isinstance(feed, Feed)
    if len(feed.clients) >= MAX_CLIENTS:
        await socket.send_denial_response(PlainTextResponse("too many clients\n", 503))
        return
    await socket.accept()
    with feed.listen(WAITING) as box, contextlib.suppress(WebSocketDisconnect):
        feed.count(box, here=True)
        incoming = asyncio.create_task(_ignore(socket))
        # Whoever leaves, or does not stop talking, is told nothing more.
        incoming.add_done_callback(lambda _: box.close())
        try:
            while True:
                await send(socket, json_line(await box.receive()))
        except EOFError:
            await close(socket, GONE_AWAY, "the session has ended")
        finally:
            feed.count(box, here=False)
            incoming.cancel()


async def _ignore(socket: WebSocket) -> None:
    """Take what a client says and forget it; one that does not stop is closed."""
    times = deque[float](maxlen=MAX_INCOMING)
    while len(times) < MAX_INCOMING or time.monotonic() - times[0] > _INCOMING_S:
        if (await socket.receive())["type"] == "websocket.disconnect":
            return
        times.append(time.monotonic())
    await close(socket, NOT_ALLOWED, "expected a client that listens, got too many messages")
