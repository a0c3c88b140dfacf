"""A live session's feed over WebSockets, to real clients: good, late, slow and rude ones."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from micromimic.analysis.live.messages import (
    CurvePoint,
    Ended,
    FaceShape,
    LiveMessage,
    Settled,
    Started,
    Status,
)
from micromimic.core.errors import InputError
from micromimic.core.results import ModelInfo

pytest.importorskip("fastapi")
pytest.importorskip("websockets")

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from micromimic.analysis.live.messages import Listeners
from micromimic.workstation import live_feed
from micromimic.workstation.access import Access, parse_address
from micromimic.workstation.live import wire as live_wire
from micromimic.workstation.live_feed import FLUSH_S, MAX_INCOMING, MAX_INCOMING_BYTES, Feed

pytestmark = pytest.mark.needs("web")

HANG_S = 30.0
STARTED = Started("camera 0", ModelInfo("flow-capsnet", "1", "synthetic"), "frames are thinned")
FACE = FaceShape(0, np.zeros((68, 2)), np.zeros((10, 4)))
HELLO = (
    b"GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ENDED = Ended("stopped", 10, 10, 0, 0, 0)


class Published:
    """A feed, and what it listens to in place of a session."""

    def __init__(self, flush_s: float = FLUSH_S, **access: Any) -> None:
        self.listeners = Listeners()
        where = Access(**{"port": 0, **access})
        self.feed = Feed(where, self.listeners.add, flush_s=flush_s)
        self.address = self.feed.address
        self.publish = self.listeners.put

    @property
    def clients(self) -> int:
        return len(self.feed.clients)

    @property
    def lost(self) -> int:
        return sum(box.dropped[CurvePoint] for box in list(self.feed.clients))

    def close(self) -> None:
        """As the command does: first the session, then the feed."""
        self.listeners.end()
        self.feed.close()

    def __enter__(self) -> Published:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        assert not [t for t in threading.enumerate() if t.name == "micromimic-feed"]


@pytest.fixture
def publisher() -> Iterator[Published]:
    with Published() as made:
        yield made


def wait_for_clients(publisher: Published, wanted: Callable[[int], bool]) -> None:
    changed = publisher.feed.changed
    with changed:
        assert changed.wait_for(lambda: wanted(publisher.clients), HANG_S)


@contextlib.contextmanager
def join(publisher: Published, **options: Any) -> Iterator[ClientConnection]:
    """A client that the publisher knows of."""
    before = publisher.clients
    with connect(publisher.address, compression=None, **options) as client:
        wait_for_clients(publisher, lambda count: count > before)
        yield client


def curve(number: int) -> CurvePoint:
    cells, transform = np.full(10, 1 / 3), np.eye(2, 3)
    return CurvePoint(number, number / 100, True, 0, 1.5, cells, transform, 0.01)


def status(state: str = "watching") -> Status:
    return Status(1.0, state, 100, 100, 1, 1, 0, 1, 0.04, {"median": 1.0}, 0)  # type: ignore[arg-type]


def read(client: ClientConnection, count: int) -> list[dict[str, object]]:
    return [json.loads(client.recv(HANG_S)) for _ in range(count)]


def read_to_end(client: ClientConnection) -> tuple[list[dict[str, object]], int | None]:
    """What still comes, and the code it ends with."""
    got = []
    try:
        while True:
            got.append(json.loads(client.recv(HANG_S)))
    except ConnectionClosed as closed:
        return got, closed.rcvd.code if closed.rcvd else None


def test_every_client_gets_every_message_in_order(publisher: Published) -> None:
    sent: list[LiveMessage] = [STARTED, FACE, *map(curve, range(50)), Settled(1, True), ENDED]
    wanted = [message.to_dict() for message in sent]
    with join(publisher) as first, join(publisher) as second, join(publisher) as third:
        for message in sent:
            publisher.publish(message)
        for client in (first, second, third):
            assert read(client, len(sent)) == json.loads(json.dumps(wanted))


def test_who_comes_late_can_read_the_rest(publisher: Published) -> None:
    for message in (STARTED, status("no_face"), FACE, curve(1), Settled(1, True), status()):
        publisher.publish(message)
    with join(publisher) as client:
        publisher.publish(curve(2))
        got = read(client, 4)
    assert [m["type"] for m in got] == ["start", "face", "status", "curve"]
    assert got[2]["state"] == "watching"


def test_the_end_reaches_clients_before_the_goodbye() -> None:
    publisher = Published(flush_s=HANG_S)  # a busy machine may read slowly
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        narrow.connect(parse_address(publisher.address.removeprefix("ws://")))
        with join(publisher, sock=narrow) as client:
            sent = 0
            while not publisher.lost:  # until every buffer on the way is full
                publisher.publish(curve(sent))
                sent += 1
                assert sent < 1_000_000
            publisher.publish(ENDED)
            closing = threading.Thread(target=publisher.close)
            closing.start()
            got, code = read_to_end(client)
            closing.join(HANG_S)
    assert got[-1]["type"] == "end"
    assert got[-2]["frame"] == sent - 1
    assert code == 1001
    publisher.publish(curve(0))  # nobody minds


@contextlib.contextmanager
def deaf(publisher: Published) -> Iterator[None]:
    """A client that connects and never reads."""
    before = publisher.clients
    host, port = parse_address(publisher.address.removeprefix("ws://"))
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, port))
        client.sendall(HELLO % f"{host}:{port}".encode())
        wait_for_clients(publisher, lambda count: count > before)
        yield


def test_a_deaf_client_loses_curve_points_and_nobody_else_does(publisher: Published) -> None:
    sent, heard = 0, []
    with deaf(publisher), join(publisher) as good:
        ends = time.monotonic() + HANG_S
        while not publisher.lost:
            for number in range(200):
                publisher.publish(curve(sent + number))
            sent += 200
            heard += [message["frame"] for message in read(good, 200)]
            assert time.monotonic() < ends, "the deaf client never lost a point"
        assert publisher.clients == 2  # it may stay: only curve points were lost
    assert heard == list(range(sent))


def test_a_client_that_takes_nothing_is_given_up(
    publisher: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_wire, "SILENCE_S", 0.5)
    with deaf(publisher), join(publisher) as good:
        ends = time.monotonic() + HANG_S
        while publisher.clients == 2:
            publisher.publish(FACE)
            publisher.publish(curve(0))
            read(good, 2)
            assert time.monotonic() < ends, "the deaf client was never given up"
        assert publisher.clients == 1
        publisher.publish(ENDED)
        assert read(good, 1)[0]["type"] == "end"


def test_no_more_clients_than_there_is_room_for(
    publisher: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "MAX_CLIENTS", 1)
    with join(publisher), pytest.raises(InvalidStatus) as refused, connect(publisher.address):
        pass
    assert refused.value.response.status_code == 503


def test_rubbish_from_clients_is_ignored_within_limits(
    publisher: Published, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as stack:
        good, rude, huge, flood = (stack.enter_context(join(publisher)) for _ in range(4))
        rude.send('{"type": "stop"}')
        rude.send(b"\x00\xff" * 100)
        huge.send("x" * (MAX_INCOMING_BYTES + 1))
        with contextlib.suppress(ConnectionClosed):  # it may be shown the door while it talks
            for _ in range(2 * MAX_INCOMING):
                flood.send("hello?")
        assert read_to_end(huge) == ([], 1009)
        assert read_to_end(flood) == ([], 1008)
        host, port = parse_address(publisher.address.removeprefix("ws://"))
        for data in (b"\x16\x03\x01" + bytes(200), b"GET / HTTP/1.1\r\n\r\n", b"", b"A" * 70_000):
            with socket.create_connection((host, port)) as raw:
                raw.sendall(data)
        wait_for_clients(publisher, lambda count: count == 2)
        publisher.publish(Settled(7, True))
        assert [read(client, 1)[0]["id"] for client in (good, rude)] == [7, 7]
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_other_sites_pages_may_not_listen(publisher: Published) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}):
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(publisher.address, additional_headers=headers),
        ):
            pass
        assert refused.value.response.status_code == 403
    for origin in ("http://localhost:8420", "http://127.0.0.1", "http://[::1]:80"):
        with join(publisher, additional_headers={"Origin": origin}):
            pass
        wait_for_clients(publisher, lambda count: count == 0)


def test_a_host_name_that_points_here_is_refused(publisher: Published) -> None:
    host, port = parse_address(publisher.address.removeprefix("ws://"))
    with socket.create_connection((host, port)) as raw:  # DNS rebinding
        raw.sendall(HELLO % b"evil.example")
        assert b" 403 " in raw.recv(1000).split(b"\r\n")[0]


def test_with_a_token_everyone_must_say_it() -> None:
    with Published(host="0.0.0.0", token="s3cret-token") as publisher:
        port = publisher.address.rpartition(":")[2]
        address = f"ws://127.0.0.1:{port}"
        for url, headers in (
            (address, {}),
            (f"{address}/?token=wrong", {}),
            (f"{address}/?token=", {}),
            (address, {"Authorization": "Bearer nope"}),
            (f"{address}/?token=%ff%00", {}),
        ):
            with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers):
                pass
            assert refused.value.response.status_code == 401
        assert publisher.clients == 0
        publisher.publish(STARTED)
        for url, headers in (
            (f"{address}/?token=s3cret-token", {"Origin": "https://own.example"}),
            (address, {"Authorization": "Bearer s3cret-token"}),
        ):
            with connect(url, additional_headers=headers) as client:
                assert read(client, 1)[0]["type"] == "start"


@pytest.mark.parametrize(
    ("host", "token", "said"),
    [
        ("0.0.0.0", None, "expected a token for the open address"),
        ("192.0.2.1", "plain", "expected to listen on"),
        ("127.0.0.1", "with space", "choose a plain one"),
    ],
)
def test_an_address_that_cannot_be_is_told(host: str, token: str | None, said: str) -> None:
    with pytest.raises((InputError, ValueError), match=said) as error:
        Published(host=host, token=token)
    assert "\n" not in str(error.value)
    assert not [t for t in threading.enumerate() if t.name == "micromimic-feed"]


def test_a_taken_port_is_told(publisher: Published) -> None:
    _, port = parse_address(publisher.address.removeprefix("ws://"))
    with pytest.raises(InputError, match="choose another --websocket port"):
        Published(port=port)


@pytest.mark.parametrize("text", ["", "x", "70000", "-1", "localhost", "::1:80", "host:", "1.5"])
def test_an_address_without_a_port_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="expected PORT or HOST:PORT"):
        parse_address(text)
