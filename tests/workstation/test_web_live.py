"""The live page's WebSocket: what it takes, what it refuses, what it keeps, and what is left."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from starlette.testclient import WebSocketTestSession

from micromimic.core.errors import InputError
from micromimic.synthesis.clips import render
from micromimic.synthesis.schedule import ClipConfig, plan_clip
from micromimic.workstation.live import socket as live_socket, wire as live_wire
from micromimic.workstation.live.socket import open_session

from ..live_talk import MARK, START, Broken, Echo, connected, frame, live_site, rest, talk, watch
from ..web_site import Site

pytestmark = pytest.mark.needs("web")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with live_site(tmp_path / "data") as site:
        yield site


def test_frames_go_in_and_messages_come_out(site: Site) -> None:
    messages, code = talk(site, START, 7)
    assert code == 1000
    assert [m["type"] for m in messages] == ["start", *7 * ["curve"], "end"]
    assert [m["score"] for m in messages[1:-1]] == list(range(7))
    times = [m["time_s"] for m in messages[1:-1]]
    assert times == pytest.approx([0.02 * n for n in range(7)])
    assert messages[-1]["received"] == 7


def test_nothing_is_kept_unless_it_was_asked_for(site: Site) -> None:
    for start in (START, {**START, "keep": "nothing", "consent": True}):
        talk(site, start, 30)
    assert site.left() == []
    files = [p for p in site.data.rglob("*") if p.is_file()]
    assert any(p.name == "micromimic.db" for p in files)
    assert [p for p in files if MARK in p.read_bytes()] == []
    assert site.get("/recordings")["total"] == 0


@pytest.mark.parametrize(
    ("start", "code", "words"),
    [
        ("", 1003, "start message"),
        ("nonsense", 1003, "start message"),
        ("[" * 100_000, 1003, "start message"),
        ("null", 1003, "start message"),
        ("{}", 1003, "type"),
        ({**START, "type": "begin"}, 1003, "type"),
        ({**START, "width": 0}, 1003, "width"),
        ({**START, "width": -64}, 1003, "width"),
        ({**START, "width": "wide"}, 1003, "width"),
        ({**START, "height": 10**12}, 1003, "height"),
        ({**START, "fps": 0}, 1003, "fps"),
        ('{"type": "start", "width": 64, "height": 48, "fps": NaN}', 1003, "start message"),
        ({**START, "keep": "everything"}, 1003, "keep"),
        ({**START, "path": "/etc/passwd"}, 1003, "path"),
        ({**START, "session_id": "../x"}, 1003, "session_id"),
        ({**START, "width": 1281, "height": 960}, 1008, "pixels"),
        ({"type": "stop"}, 1003, "type"),
    ],
)
def test_starts_that_are_refused(site: Site, start: Any, code: int, words: str) -> None:
    with connected(site, start) as socket:
        messages, closed = rest(socket)
    assert closed == code
    assert [m["type"] for m in messages] == ["error"]
    assert words in messages[0]["message"]


def test_a_frame_before_the_start(site: Site) -> None:
    with connected(site) as socket:
        socket.send_bytes(frame(0))
        messages, code = rest(socket)
    assert code == 1003 and messages[0]["type"] == "error"


def send_text(text: str) -> Callable[[WebSocketTestSession], None]:
    return lambda socket: socket.send_text(text)


def send_bytes(data: bytes) -> Callable[[WebSocketTestSession], None]:
    return lambda socket: socket.send_bytes(data)


@pytest.mark.parametrize(
    "rubbish",
    [
        send_text("nonsense"),
        send_text("[" * 100_000),
        send_text('{"type": "start"}'),
        send_text('["stop"]'),
        send_bytes(b""),
        send_bytes(b"\x00" * 7),
        send_bytes(frame(3)[:-1]),
        send_bytes(frame(3) + b"x"),
        send_bytes(frame(3) * 2),
        send_bytes(struct.pack("<d", float("nan")) + frame(3)[8:]),
        send_bytes(struct.pack("<d", float("inf")) + frame(3)[8:]),
        send_bytes(frame(0)),
    ],
    ids=["text", "deep", "start", "list", "empty", "short", "less", "more", "two", "nan", "inf",
         "back in time"],
)  # fmt: skip
def test_rubbish_ends_a_session_with_a_reason(
    site: Site, rubbish: Callable[[WebSocketTestSession], None]
) -> None:
    with connected(site, START) as socket:
        for number in range(3):
            socket.send_bytes(frame(number))
        rubbish(socket)
        messages, code = rest(socket)
    assert code == 1003
    assert messages[-1]["type"] == "error" and messages[-1]["message"].startswith("expected")
    assert site.app.state.workstation.live == set()
    assert talk(site, START)[1] == 1000  # and the next may come


@pytest.mark.parametrize("start", [None, START])
def test_a_client_that_sends_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, start: dict[str, Any] | None
) -> None:
    monkeypatch.setattr(live_wire, "SILENCE_S", 0.1)
    monkeypatch.setattr(live_socket, "START_S", 0.1)
    with connected(site, start) as socket:
        messages, code = rest(socket)
    assert code == 1008
    assert "nothing for 0.1 s" in messages[-1]["message"]
    assert site.app.state.workstation.live == set()


def test_too_many_sessions(site: Site) -> None:
    with connected(site, START) as first, connected(site, START) as second:
        for socket in (first, second):
            assert socket.receive_json()["type"] == "start"
        with connected(site, START) as third:
            messages, code = rest(third)
        assert code == 1013 and "at most 2" in messages[0]["message"]
        first.send_text('{"type": "stop"}')
        assert rest(first)[1] == 1000
        assert talk(site, START)[1] == 1000
        second.send_bytes(frame(0))
        assert second.receive_json()["type"] == "curve"  # it was not disturbed


def test_a_client_that_vanishes_leaves_no_thread(site: Site) -> None:
    for frames in (0, 3):
        with connected(site, START) as socket:
            for number in range(frames):
                socket.send_bytes(frame(number))
            socket.receive_json()
        assert site.app.state.workstation.live == set()


class Unopened(Echo):
    """Cannot be opened."""

    def start(self) -> None:
        raise InputError("expected a model, got none; reinstall micromimic")


@pytest.mark.parametrize(
    ("kind", "words"), [(Broken, "unexpected error in the server"), (Unopened, "expected a model")]
)
def test_a_pipeline_that_fails_says_so(site: Site, kind: type[Echo], words: str) -> None:
    watch(site, kind)
    with connected(site, START) as socket:
        socket.send_bytes(frame(0))
        messages, code = rest(socket)
    assert code == 1011
    assert words in messages[-1]["message"] and "secret" not in messages[-1]["message"]


def test_the_server_answers_others_while_a_pipeline_is_busy(site: Site) -> None:
    busy = threading.Event()

    class Slow(Echo):
        def start(self) -> None:
            assert busy.wait(30)
            super().start()

    watch(site, Slow)
    with connected(site, START) as socket:
        socket.send_bytes(frame(0))
        assert site.get("/health")["status"] == "ok"
        busy.set()
        assert socket.receive_json()["type"] == "start"


def test_the_real_pipeline_over_the_socket(site: Site) -> None:
    watch(site, open_session)
    cv2.setNumThreads(2)
    config = ClipConfig(seconds=2.0, fps=30.0, width=320, height=240)
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) if p.ndim == 3 else p
            for p in render(plan_clip(config, 1))]  # fmt: skip
    with connected(site, {**START, "width": 320, "height": 240, "fps": 30}) as socket:
        for number, picture in enumerate(grey):
            socket.send_bytes(struct.pack("<d", number / 30) + picture.tobytes())
        socket.send_text('{"type": "stop"}')
        messages, code = rest(socket)
    assert code == 1000
    assert cv2.getNumThreads() == 1  # ours do not wait for OpenCV's
    assert messages[0]["type"] == "start" and messages[0]["model"]["name"] == "flow-capsnet"
    end = messages[-1]
    assert end["type"] == "end" and end["received"] == len(grey)
    points = [m for m in messages if m["type"] == "curve"]
    assert len(points) == end["processed"] and any(p["found"] for p in points)
    face = next(m for m in messages if m["type"] == "face")
    assert len(face["landmarks"]) == 68 and len(face["cells"]) == 10
    assert site.left() == []
