"""Connections that keep others out: many and silent, slow to ask, slow to take."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from micromimic.analysis.live.messages import Listeners
from micromimic.workstation import access, connections, server as running
from micromimic.workstation.access import Access
from micromimic.workstation.context import MAX_LIVE_STARTING
from micromimic.workstation.live import wire as live_wire
from micromimic.workstation.live_feed import Feed

from ..live_talk import START, Echo, Said, watch
from ..web_site import API, Site, running_site

pytestmark = pytest.mark.needs("web")
HANG_S = 60
"""Only ends a hang."""
UPGRADE = (
    f"GET {API}/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n\r\n"
).encode()
HEALTH = f"GET {API}/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Site, int]]:
    """A site behind a real socket, and its port."""
    with running_site(tmp_path / "data") as site:
        watch(site, Echo)
        listening = running.listen_on("127.0.0.1", 0)
        ready = threading.Event()
        server = running.Server(running.server_config(site.app), ready.set)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            assert ready.wait(HANG_S)
            yield site, listening.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(HANG_S)
            listening.close()
        assert not thread.is_alive()


def knock(port: int, said: bytes = b"") -> socket.socket:
    there = socket.create_connection(("127.0.0.1", port), HANG_S)
    there.sendall(said)
    return there


def answer(there: socket.socket) -> bytes:
    """The first line that comes; empty where the connection was ended."""
    line = b""
    with contextlib.suppress(ConnectionError):
        while not line.endswith(b"\r\n") and (piece := there.recv(1)):
            line += piece
    return line


def ended(there: socket.socket) -> bool:
    """Wait until the other side has gone, whatever it says before."""
    with contextlib.suppress(ConnectionError):
        while there.recv(4096):
            pass
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit as POSIX has it")
def test_three_hundred_silent_connections_keep_nobody_out(tmp_path: Path) -> None:
    """With few files to be opened, as macOS has it: each of them would cost one."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)); "
        "from micromimic.cli.main import main; sys.exit(main())"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", script, "serve", "--port", "0", "--data", str(tmp_path / "d")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        contextlib.ExitStack() as open_ends,
    ):
        try:
            assert process.stdout is not None and process.stderr is not None
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found is not None
            port = int(found[1])
            for said in (b"", b"GET /api/v1/health HT"):
                for _ in range(150):
                    open_ends.enter_context(knock(port, said))
            with knock(port, HEALTH) as there:
                assert answer(there) == b"HTTP/1.1 200 OK\r\n"
        finally:
            process.kill()
        assert process.stderr.read() == ""


def test_the_longest_silent_go_first(place: tuple[Site, int]) -> None:
    _, port = place
    most, _ = connections.connection_limits()
    with contextlib.ExitStack() as open_ends:
        silent = [open_ends.enter_context(knock(port)) for _ in range(most)]
        with knock(port, HEALTH) as there:
            assert answer(there) == b"HTTP/1.1 200 OK\r\n"
        assert ended(silent[0])
        silent[-1].sendall(HEALTH)
        assert answer(silent[-1]) == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
        HEALTH + b"GET / HT",
        # A body that nobody asked for, after its request has been answered.
        HEALTH[:-2] + b"Content-Length: 1000000000\r\n\r\n" + b"x",
    ],
    ids=["nothing", "half a head", "half a second head", "a body without end"],
)
def test_a_head_that_never_ends_is_not_waited_for(
    place: tuple[Site, int], monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    _, port = place
    with knock(port, said) as there:
        going = threading.Event()

        def drip() -> None:
            """A byte now and then is no head."""
            with contextlib.suppress(OSError):
                while not going.wait(0.01):
                    there.sendall(b"x")

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert ended(there)
        going.set()
        dripping.join(HANG_S)


def test_a_head_that_is_too_large_is_refused(place: tuple[Site, int]) -> None:
    _, port = place
    head = b"GET /?q=" + b"x" * connections.HEAD_BYTES
    with knock(port, head) as there:
        assert answer(there).startswith(b"HTTP/1.1 400 ")


def test_a_body_that_never_ends_is_not_waited_for(
    place: tuple[Site, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "BODY_S", 0.2)
    _, port = place
    head = f"POST {API}/subjects HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20\r\n"
    with knock(port, head.encode() + b'Content-Type: application/json\r\n\r\n{"code"') as there:
        assert answer(there).startswith(b"HTTP/1.1 408 ")
        assert ended(there)


def test_who_takes_nothing_of_an_answer_is_given_up(
    place: tuple[Site, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "STALL_S", 0.2)
    _, port = place
    asked = f"GET {API}/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    with socket.socket() as there:
        there.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        there.settimeout(0.05)
        there.connect(("127.0.0.1", port))
        with pytest.raises(ConnectionError):
            while True:
                with contextlib.suppress(TimeoutError):  # it takes no more, and waits for us
                    there.send(asked)


def frame(text: str) -> bytes:
    """A client's message; masked, as it must be, by nothing."""
    content = text.encode()
    assert len(content) < 126
    return bytes([0x81, 0x80 | len(content), 0, 0, 0, 0]) + content


class Loud(Echo):
    """Says more than any buffer on the way holds."""

    def __iter__(self) -> Iterator[Said]:
        for _ in range(16):
            yield Said({"type": "event", "text": "x" * (1 << 20)})


def test_a_socket_whose_client_reads_nothing_is_gone_in_the_end(
    place: tuple[Site, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, port = place
    watch(site, Loud)
    monkeypatch.setattr(live_wire, "SILENCE_S", 0.2)
    monkeypatch.setattr(connections, "CLOSE_S", 0.2)
    lost = threading.Event()
    real = connections.BoundedSocket.connection_lost

    def gone(self: connections.BoundedSocket, exc: Exception | None) -> None:
        real(self, exc)
        if not self.connections:
            lost.set()

    monkeypatch.setattr(connections.BoundedSocket, "connection_lost", gone)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(UPGRADE + frame(json.dumps(START)))
        assert lost.wait(HANG_S)


def test_silent_live_sockets_take_no_session(place: tuple[Site, int]) -> None:
    site, port = place
    there = f"ws://127.0.0.1:{port}{API}/live"
    with contextlib.ExitStack() as open_ends:
        silent = [open_ends.enter_context(connect(there)) for _ in range(MAX_LIVE_STARTING)]
        assert site.app.state.workstation.live == set()
        with connect(there) as client:
            client.send(json.dumps(START))
            assert json.loads(client.recv(HANG_S))["type"] == "start"
            with pytest.raises(ConnectionClosed) as gone:
                for _ in range(2):  # what it was told, and the end
                    silent[0].recv(HANG_S)
            assert gone.value.rcvd is not None and gone.value.rcvd.code == 1008


def test_silent_connections_keep_no_client_from_a_feed() -> None:
    most, _ = connections.connection_limits()
    with Feed(Access(port=0), Listeners().add) as feed, contextlib.ExitStack() as open_ends:
        port = int(feed.address.rpartition(":")[2])
        silent = [open_ends.enter_context(knock(port)) for _ in range(most)]
        with connect(feed.address):
            assert ended(silent[0])


def test_a_feed_does_not_wait_for_a_head_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_S", 0.2)
    with Feed(Access(port=0), Listeners().add) as feed:
        port = int(feed.address.rpartition(":")[2])
        there = knock(port, b"GET / HTTP/1.1\r\nX: ")
        assert ended(there)
        there.close()
