"""The live page's WebSocket: what it takes, what it refuses, what it keeps, and what is left."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

from starlette.testclient import WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from micromimic.errors import InputError, OutputError
from micromimic.media.live import LiveSource
from micromimic.media.video import open_source
from micromimic.media.writer import VideoWriter
from micromimic.web import live_keep, live_socket, uploads

from .web_site import API, SOCKET, Site, running_site

pytestmark = pytest.mark.needs("web")
WIDTH, HEIGHT = 64, 48
START = {"type": "start", "width": WIDTH, "height": HEIGHT, "fps": 50}
KEEP = {**START, "keep": "video", "consent": True, "noted_by": "kim", "note": "form 4"}
MARK = bytes(range(200, 232))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    before = set(threading.enumerate())
    with running_site(tmp_path / "data") as site:
        watch(site, Echo)
        yield site
        ours = [t.name for t in threading.enumerate() if t.name.startswith("micromimic")]
        assert ours == []
    left = [t for t in set(threading.enumerate()) - before if not t.daemon]
    assert left == []


def watch(site: Site, opened: Callable[[LiveSource], Any]) -> None:
    """Stand something else in for the pipeline."""
    site.app.state.workstation.watch = opened


@dataclass(frozen=True)
class Said:
    """A message of any content."""

    content: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.content


class Echo:
    """Tells of each frame that it takes, and when there are no more."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.stopped = threading.Event()

    def __enter__(self) -> Echo:
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def __iter__(self) -> Iterator[Said]:
        yield Said({"type": "start"})
        taken = 0
        with contextlib.suppress(EOFError):
            while not self.stopped.is_set():
                arrival = self.source.next(0.02)
                if arrival is not None:
                    taken += 1
                    time, first = arrival.frame.time, int(arrival.frame.gray[0, 0])
                    yield Said({"type": "curve", "time_s": time, "score": first})
        yield Said({"type": "end", "received": taken})

    def stop(self) -> None:
        self.stopped.set()


def frame(number: int, size: int = WIDTH * HEIGHT) -> bytes:
    """Frame by its number: at 20 ms each, of one shade, with a mark to be searched for."""
    plane = bytes([number % 200]) * (size - len(MARK)) + MARK
    return struct.pack("<d", 1000.0 + 0.02 * number) + plane


@contextlib.contextmanager
def connected(site: Site, start: Any = None) -> Iterator[WebSocketTestSession]:
    with site.client.websocket_connect(SOCKET) as socket:
        if start is not None:
            socket.send_text(start if isinstance(start, str) else json.dumps(start))
        yield socket


def rest(socket: WebSocketTestSession) -> tuple[list[dict[str, Any]], int]:
    """What is still said, and the code that it closes with."""
    messages = []
    with pytest.raises(WebSocketDisconnect) as closed:
        while True:
            messages.append(socket.receive_json())
    return messages, closed.value.code


def talk(site: Site, start: Any, frames: int = 5) -> tuple[list[dict[str, Any]], int]:
    """A whole conversation."""
    with connected(site, start) as socket:
        for number in range(frames):
            socket.send_bytes(frame(number))
        socket.send_text('{"type": "stop"}')
        return rest(socket)


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
    monkeypatch.setattr(live_socket, "SILENCE_S", 0.1)
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


class Broken(Echo):
    """Fails after the first frame."""

    error: Exception = ValueError("a fault of ours, with a /secret/path")

    def __iter__(self) -> Iterator[Said]:
        for said in super().__iter__():
            if said.content["type"] == "curve":
                raise self.error
            yield said


class Unopened(Echo):
    """Cannot be opened."""

    def __enter__(self) -> Echo:
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
        def __enter__(self) -> Echo:
            assert busy.wait(30)
            return self

    watch(site, Slow)
    with connected(site, START) as socket:
        socket.send_bytes(frame(0))
        assert site.get("/health")["status"] == "ok"
        busy.set()
        assert socket.receive_json()["type"] == "start"


def test_a_kept_video_becomes_a_recording_with_its_job(site: Site) -> None:
    messages, code = talk(site, KEEP, 40)
    assert code == 1000
    kept = messages[-1]
    assert messages[-2]["type"] == "end" and kept["type"] == "kept"
    assert (kept["frames"], kept["left_out"]) == (40, 0)
    recording = site.get(f"/recordings/{kept['recording_id']}")
    assert (recording["origin"], recording["extension"]) == ("live", ".mp4")
    assert recording["consent"]["given"] and recording["consent"]["note"] == "form 4"
    assert recording["job"]["status"] == "queued" and recording["expires_at"] is not None
    folder = f"recordings/{recording['id']}"
    assert site.left() == [folder, f"{folder}/video.mp4"]
    with open_source(site.data / folder / "video.mp4") as frames:
        found = list(frames)
    assert [f.time for f in found] == pytest.approx([0.02 * n for n in range(40)], abs=1e-4)
    shades = [float(np.median(f.gray)) for f in found]
    assert shades == pytest.approx([float(n) for n in range(40)], abs=2)
    assert site.runner.told[-1] == "wake"


def test_times_of_a_kept_video_are_the_cameras(site: Site) -> None:
    stamps = [0.0, 0.033, 0.05, 0.2, 0.201, 1.5]
    with connected(site, KEEP) as socket:
        for number, stamp in enumerate(stamps):
            socket.send_bytes(struct.pack("<d", 5.0 + stamp) + frame(number)[8:])
        socket.send_text('{"type": "stop"}')
        messages, _ = rest(socket)
    path = site.store.folder(messages[-1]["recording_id"]) / "video.mp4"
    with open_source(path) as frames:
        assert [f.time for f in frames] == pytest.approx(stamps, abs=1e-4)


def test_the_sessions_consent_counts(site: Site) -> None:
    person = site.subject()
    good = site.session(person["id"])["id"]
    bad = site.session(person["id"], given=False)["id"]
    keep = {**START, "keep": "video"}
    kept = talk(site, {**keep, "session_id": good})[0][-1]
    assert site.get(f"/recordings/{kept['recording_id']}")["subject_code"] == "P01"
    site.client.delete(f"{API}/recordings/{kept['recording_id']}")
    for start in (keep, {**keep, "session_id": bad, "consent": True}, {**KEEP, "consent": False}):
        with connected(site, start) as socket:
            messages, code = rest(socket)
        assert code == 1008 and "consent" in messages[0]["message"]
    with connected(site, {**keep, "session_id": "0" * 32}) as socket:
        assert rest(socket)[1] == 1008
    assert site.left() == []


def test_consent_taken_back_during_a_session(site: Site) -> None:
    session_id = site.session(site.subject()["id"])["id"]
    with connected(site, {**START, "keep": "video", "session_id": session_id}) as socket:
        socket.send_bytes(frame(0))
        site.client.patch(f"{API}/sessions/{session_id}", json={"consent": {"given": False}})
        socket.send_text('{"type": "stop"}')
        messages, _ = rest(socket)
    assert messages[-1]["type"] == "error" and "consent" in messages[-1]["message"]
    assert site.left() == [] and site.get("/recordings")["total"] == 0


def test_nothing_to_keep(site: Site) -> None:
    messages, code = talk(site, KEEP, 0)
    assert code == 1000
    assert messages[-1]["type"] == "error" and "got none" in messages[-1]["message"]
    assert site.left() == []


@pytest.mark.parametrize("how", ["vanishes", "rubbish", "broken pipeline"])
def test_what_was_to_be_kept_is_kept_however_it_ends(site: Site, how: str) -> None:
    class Later(Broken):
        def __iter__(self) -> Iterator[Said]:
            said = super().__iter__()
            while True:
                if self.stopped.is_set():
                    raise self.error
                yield next(said)

    if how == "broken pipeline":
        watch(site, Later)
    with connected(site, KEEP) as socket:
        for number in range(10):
            socket.send_bytes(frame(number))
        socket.receive_json()
        if how == "rubbish":
            socket.send_text("rubbish")
            rest(socket)
        elif how == "broken pipeline":
            rest(socket)
    (recording,) = site.get("/recordings")["recordings"]
    path = site.store.folder(recording["id"]) / "video.mp4"
    with open_source(path) as frames:
        assert 1 <= len(list(frames)) <= 10
    assert [p for p in site.left() if p.startswith("incoming")] == []


@pytest.mark.parametrize("what", ["duration", "size", "disk"])
def test_limits_end_the_video_and_not_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    limits = {"max_seconds": 1.0} if what == "duration" else {}
    if what == "size":
        limits = {"max_bytes": 1}
    monkeypatch.setattr(live_keep, "CHECK_EVERY", 10)
    checks = iter([10**12] * 3 + [0] * 1000)
    real = live_keep.Keeper._room

    def room(self: live_keep.Keeper) -> bool:
        if what != "disk":
            return real(self)
        free = next(checks)
        with monkeypatch.context() as patch:
            usage = type("Usage", (), {"free": free})
            patch.setattr(live_keep.shutil, "disk_usage", lambda _: usage)
            return real(self)

    monkeypatch.setattr(live_keep.Keeper, "_room", room)
    with running_site(tmp_path / "data", **limits) as site:
        watch(site, Echo)
        messages, code = talk(site, KEEP, 80)
        assert code == 1000
        assert next(m for m in messages if m["type"] == "end")["received"] == 80
        errors = [m["message"] for m in messages if m["type"] == "error"]
        if what == "size":  # not even the first frame
            assert "got none" in errors[-1] and site.left() == []
        else:
            assert "kept up to" in errors[0]
            wanted = 51 if what == "duration" else 30
            assert messages[-1]["frames"] == wanted


def test_a_video_that_cannot_be_written(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = VideoWriter.write

    def write(self: VideoWriter, *args: Any) -> None:
        if self.frames == 5:
            self.discard()
            raise OutputError("expected to write the video, got No space left on device")
        real(self, *args)

    monkeypatch.setattr(VideoWriter, "write", write)
    messages, code = talk(site, KEEP, 20)
    assert code == 1000  # the session itself went on
    assert next(m for m in messages if m["type"] == "end")["received"] == 20
    assert "No space left" in messages[-1]["message"]
    assert site.left() == [] and site.get("/recordings")["total"] == 0


def test_frames_that_come_too_fast_to_be_written_are_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_keep, "QUEUE_BYTES", 1)
    go = threading.Event()
    real = VideoWriter.write

    def write(self: VideoWriter, *args: Any) -> None:
        assert go.wait(30)
        real(self, *args)

    monkeypatch.setattr(VideoWriter, "write", write)
    with connected(site, KEEP) as socket:
        for number in range(20):
            socket.send_bytes(frame(number))
        curves = 0
        while curves < 20:
            curves += socket.receive_json()["type"] == "curve"  # all 20 were taken
        go.set()
        socket.send_text('{"type": "stop"}')
        kept = rest(socket)[0][-1]
    assert kept["left_out"] > 0 and kept["frames"] + kept["left_out"] == 20


def test_a_full_disk_at_the_last_step(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(uploads, "_sync_folder", full)
    messages, _ = talk(site, KEEP)
    assert messages[-1]["type"] == "error" and "disk" in messages[-1]["message"]
    assert site.left() == [] and site.get("/recordings")["total"] == 0
