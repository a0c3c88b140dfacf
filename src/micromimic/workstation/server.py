"""Run the workstation: one server a data folder, on one address, until it is asked to stop."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import uvicorn

from micromimic.core.errors import InputError, UnavailableError
from micromimic.models.onnx import load_model
from micromimic.workstation.access import is_loopback
from micromimic.workstation.app import create_app
from micromimic.workstation.connections import (
    ACCEPTED_AT_ONCE,
    HEAD_BYTES,
    BoundedSocket,
    bounded_protocol,
    connection_limits,
)
from micromimic.workstation.jobs.runner import JobRunner
from micromimic.workstation.live.socket import HEAD, MAX_PIXELS
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.folder_lock import folder_lock
from micromimic.workstation.settings import Settings

UNACCEPTED: Final = 1024
"""Connections that the system holds until they are accepted."""
GRACE_S: Final = 10
"""Seconds that requests under way have when the server is asked to stop."""
SAFE_TOKEN: Final = 20
"""Characters of a token that nobody guesses."""
NOT_FOR: Final = (
    "Candidates for a trained coder, not verdicts: no lie detector, and not for inferring emotions "
    "at work or in education (EU AI Act, Article 5(1)(f))."
)

Print = Callable[[str], object]


def serve(settings: Settings, *, say: Print, warn: Print) -> None:
    """Serve until SIGINT or SIGTERM; running jobs go back to the queue then.

    ``say`` gets the address and what the tool is not for, once both are true, ``warn`` a line where
    the address is open to others. InputError: the address is taken or not this machine's;
    ModelError: the settings' model file is unusable; UnavailableError: another server has the data
    folder, or the database cannot be opened.
    """
    if settings.model is not None:
        load_model(settings.model)  # refused here, not at the first recording
    with closing(listen_on(settings.host, settings.port)) as listening, ExitStack() as stack:
        settings = replace(settings, port=listening.getsockname()[1])
        # Whatever is made while the server runs is its user's alone.
        stack.callback(os.umask, os.umask(0o077))
        stack.enter_context(_only_one(settings.data))
        store = stack.enter_context(open_store(settings.data, settings.url))
        app = create_app(settings, store, runner=JobRunner(store, settings))
        server = Server(server_config(app), lambda: announce(settings, say, warn))
        # uvicorn raises the signal that stopped it once more when all is done: then it is no news.
        for number in (signal.SIGINT, signal.SIGTERM):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: None))
        server.run([listening])
        if server.failure is not None:
            raise server.failure


def address(settings: Settings) -> str:
    """What to open in a browser on this machine, with the token where one is needed.

    >>> address(Settings(Path("d"), host="0.0.0.0", token="abc"))
    'http://127.0.0.1:8420/?token=abc'
    """
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    host = everywhere.get(settings.host, settings.host)
    place = f"[{host}]" if ":" in host else host
    query = f"?token={settings.token}" if settings.token else ""
    return f"http://{place}:{settings.port}/{query}"


def announce(settings: Settings, say: Print, warn: Print) -> None:
    say(f"micromimic is at {address(settings)}  (Ctrl-C stops it)")
    say(NOT_FOR)
    if not is_loopback(settings.host):
        warn(
            f"warning: {settings.host} is open to other machines: whoever has the link sees every "
            "recording, and without a proxy that adds HTTPS the network can read along"
        )
    if settings.token is not None and len(settings.token) < SAFE_TOKEN:
        warn(
            f"warning: a token of {len(settings.token)} characters can be guessed; take "
            f"{SAFE_TOKEN} or more, or leave --token out where the address is open"
        )


class Server(uvicorn.Server):
    """Says when it is ready, and keeps what kept it from starting."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], log_level: int = logging.WARNING
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._log_level = log_level
        self.failure: Exception | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        log = logging.getLogger("uvicorn.error")
        log.setLevel(logging.CRITICAL + 1)  # a failure to start is told by us, in one line
        try:
            await super().startup(sockets)
        except SystemExit:
            state = self.config.app.state  # type: ignore[union-attr]
            self.failure = getattr(state, "failure", None) or UnavailableError(
                "expected the server to start, got an error inside; set MICROMIMIC_DEBUG=1 and "
                "start it again"
            )
            self.should_exit = True
            return
        finally:
            log.setLevel(self._log_level)
        if self.started:
            for listening in sockets or ():
                listening.listen(UNACCEPTED)  # asyncio has set it to what it accepts at once
            self._ready()


def server_config(
    app: object, *, message_bytes: int = HEAD.size + MAX_PIXELS, grace_s: int = GRACE_S
) -> uvicorn.Config:
    """How a server runs that is open to whoever comes.

    A WebSocket's message has ``message_bytes`` at most; requests under way have ``grace_s`` when
    the server is asked to stop.
    """
    waiting, busy = connection_limits()
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=bounded_protocol(waiting),  # type: ignore[arg-type]
        ws=BoundedSocket,
        h11_max_incomplete_event_size=HEAD_BYTES,
        backlog=ACCEPTED_AT_ONCE,
        limit_concurrency=waiting + busy,
        lifespan="on",
        log_config=None,
        access_log=False,  # it would hold tokens and names
        server_header=False,
        ws_max_size=message_bytes,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=grace_s,
    )


def listen_on(host: str, port: int, option: str = "--port") -> socket.socket:
    """A socket on the address; InputError where it is taken, not allowed, or not this machine's."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would share the port with another program
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(place)
            listening.listen(UNACCEPTED)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        remedy = f"stop the other server or choose another {option}" if taken else "choose another"
        raise InputError(
            f"expected to listen on {host} port {port}, got: {error.strerror or error}; {remedy}"
        ) from None
    return listening


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            ours = stack.enter_context(folder_lock(data))
        except OSError as error:
            raise UnavailableError(
                f"expected a data folder that can be written, got {data}: {error.strerror}; choose "
                "another --data"
            ) from None
        if not ours:
            raise UnavailableError(
                f"expected the data folder {data} to be free, got one that another server uses; "
                "stop that one or choose another --data"
            )
        yield
