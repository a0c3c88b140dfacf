"""`micromimic live` as people and programs meet it: lines, exit codes, and every way to end."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest

from micromimic.cli.live_output import write_line
from micromimic.cli.main import main
from micromimic.media.video import VideoWriter

from ..live_servers import HANG_S, StreamServer, write_numbered

# A child that does not take Ctrl-C because its parent ignores it would test nothing.
DRIVER = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from micromimic.cli.main import main; sys.exit(main())"
)
FPS = 50.0


def write_face(path: Path, frames: int) -> Path:
    """A real face that does nothing."""
    from skimage.data import astronaut

    face = np.ascontiguousarray(astronaut()[:300, 60:400, 1])
    grain = np.random.default_rng(0).normal(0, 1.5, (8, *face.shape))
    with VideoWriter(path, FPS, face.shape[1], face.shape[0]) as writer:
        for number in range(frames):
            writer.write(np.clip(face + grain[number % 8], 0, 255).astype(np.uint8))
    return path


@pytest.fixture(scope="session")
def face_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds, for what ends before them."""
    return write_face(tmp_path_factory.mktemp("live") / "face.mp4", 200)


@pytest.fixture(scope="session")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough for a status; it is played to its end, at its own speed."""
    return write_face(tmp_path_factory.mktemp("live") / "short.mp4", 75)


@pytest.fixture(scope="session")
def no_face_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("live") / "stripes.mp4"
    write_numbered(path, FPS, 80)
    return path


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[Any], str]]:
    """Run in this process; gives exit code, messages, and stderr."""

    def run(*words: object) -> tuple[int, list[Any], str]:
        code = main(["live", *map(str, words)])
        said = capfd.readouterr()
        assert not [t for t in threading.enumerate() if "micromimic" in t.name]
        return code, [json.loads(line) for line in said.out.splitlines()], said.err

    return run


class Running:
    """The command in a process of its own, its streams read as they come."""

    def __init__(self, *words: object, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, "live", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=options.pop("stderr", subprocess.PIPE),
            text=True,
            **options,
        )
        self.messages: list[dict[str, Any]] = []
        self.notes: list[str] = []
        self.heard = threading.Condition()
        self._readers = []
        for stream, take in (
            (self.process.stdout, lambda line: self.messages.append(json.loads(line))),
            (self.process.stderr, self.notes.append),
        ):
            if stream is not None:
                self._readers.append(threading.Thread(target=self._read, args=(stream, take)))
                self._readers[-1].start()

    def _read(self, stream: IO[str], take: Callable[[str], None]) -> None:
        with stream:
            for line in stream:
                with self.heard:
                    take(line.rstrip("\n"))
                    self.heard.notify_all()

    def wait_for(self, true: Callable[[], bool], what: str) -> None:
        with self.heard:
            found = self.heard.wait_for(true, 2 * HANG_S)
        assert found, f"no {what}: {self.messages[-3:]}, {self.notes}"

    def wait_for_message(self, kind: str, **content: object) -> None:
        self.wait_for(lambda: any(_fits(m, kind, content) for m in list(self.messages)), kind)

    def end(self) -> int:
        """The exit code; all that was said has been read then."""
        code = self.process.wait(2 * HANG_S)
        for reader in self._readers:
            reader.join(HANG_S)
        return code

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.end()


def _fits(message: dict[str, Any], kind: str, content: dict[str, object]) -> bool:
    return message["type"] == kind and content.items() <= message.items()


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [m["type"] for m in messages]


# ---- what it says ---------------------------------------------------------------------------


def test_a_video_becomes_lines_of_json(command: Any, short_clip: Path) -> None:
    code, messages, err = command(short_clip)
    assert code == 0
    assert messages[0]["type"] == "start"
    assert messages[0]["schema"] == "micromimic.live/1"
    assert messages[0]["source"] == str(short_clip)
    assert messages[-1]["type"] == "end"
    assert messages[-1]["received"] == 75
    assert set(kinds(messages)) <= {"start", "status", "event", "confirmed", "withdrawn", "end"}
    statuses = [m for m in messages if m["type"] == "status"]
    assert [m["time_s"] for m in statuses] == sorted(m["time_s"] for m in statuses)
    assert statuses[-1]["received"] <= 75
    # People read the same in words: every state once, then the counts.
    lines = err.splitlines()
    assert all(line.startswith(f"{short_clip}: ") for line in lines)
    assert re.search(r"75 frames received, \d+ dropped$", lines[-1])


def test_the_curve_has_a_line_for_each_frame(command: Any, short_clip: Path) -> None:
    code, messages, _ = command(short_clip, "--curve", "--quiet")
    assert code == 0
    curve = [m for m in messages if m["type"] == "curve"]
    assert [m["frame"] for m in curve] == sorted({m["frame"] for m in curve})
    assert len(curve) == messages[-1]["processed"]
    found = [m for m in curve if m["found"]]
    assert len(found) > 0.5 * len(curve)
    assert all(len(m["cells"]) == 10 for m in found)
    faces = [m for m in messages if m["type"] == "face"]
    assert {m["segment"] for m in found} <= {m["segment"] for m in faces}
    assert all(len(m["landmarks"]) == 68 for m in faces)


def test_seconds_end_it_and_quiet_says_nothing(command: Any, face_clip: Path) -> None:
    code, messages, err = command(face_clip, "--quiet", "--seconds", "0.5")
    assert (code, err) == (0, "")
    assert messages[-1]["received"] < 200


def test_a_video_without_a_face_is_told(command: Any, no_face_clip: Path) -> None:
    code, messages, err = command(no_face_clip)
    assert code == 1
    assert kinds(messages)[0] == "start"
    assert messages[-1]["type"] == "end"
    assert messages[-1]["received"] == 80
    assert err.splitlines()[-1].startswith("micromimic: error: expected a face in ")
    assert "no face in sight" in err


# ---- what cannot be -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("none.mp4", "does not exist"),
        ("97", "/dev/video97"),
        ("/dev/video98", "/dev/video98"),
        ("empty.mp4", "0 bytes"),
        ("text.mp4", "expected a video"),
        ("udp://127.0.0.1:1", "got udp://"),
        ("http://127.0.0.1:9/x", "Connection refused"),
    ],
)
def test_a_source_that_does_not_open_is_one_line_and_1(
    command: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.mp4").touch()
    Path("text.mp4").write_text("no video\n" * 100, encoding="utf-8")
    code, messages, err = command(source)
    assert (code, messages) == (1, [])
    assert len(err.splitlines()) == 1
    assert err.startswith("micromimic: error: expected ")
    assert said in err


def test_a_model_that_does_not_load_is_told(command: Any, face_clip: Path, tmp_path: Path) -> None:
    model = tmp_path / "bad.onnx"
    model.write_bytes(b"no model")
    code, messages, err = command(face_clip, "--model", model)
    assert (code, messages) == (1, [])
    assert len(err.splitlines()) == 1
    assert "bad.onnx" in err


@pytest.mark.parametrize(
    "words",
    [
        ["--size", "640"],
        ["--size", "0x480"],
        ["--seconds", "0"],
        ["--seconds", "soon"],
        ["--fps", "-1"],
        ["--websocket", "here"],
        ["--websocket", "127.0.0.1:70000"],
        ["--bogus"],
        ["a.mp4", "b.mp4"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_2(command: Any, words: list[str]) -> None:
    code, messages, err = command(*words)
    assert (code, messages) == (2, [])
    assert len(err.splitlines()) == 1
    assert "; try micromimic live --help" in err


# ---- every way to end -----------------------------------------------------------------------


def test_a_signal_ends_it_well() -> None:
    with StreamServer("mpegts") as server, Running(server.url) as live:
        live.wait_for_message("status", state="no_face")
        live.process.send_signal(signal.SIGTERM)
        assert live.end() == 0
    assert live.messages[-1]["type"] == "end"
    assert not any("error" in line or "Traceback" in line for line in live.notes)


def test_a_second_ctrl_c_is_not_waited_for() -> None:
    with StreamServer("mpegts") as server, Running(server.url) as live:
        live.wait_for_message("status")
        live.process.send_signal(signal.SIGINT)
        live.process.send_signal(signal.SIGINT)
        assert live.end() in (0, 130)
    assert "Traceback" not in "".join(live.notes)


def test_a_closed_pipe_ends_it(face_clip: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, "live", str(face_clip), "--curve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    assert json.loads(process.stdout.readline())["type"] == "start"
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(HANG_S) == 0
    assert "Traceback" not in said and "error" not in said.lower()
    ended = re.search(r"(\d+) frames received", said)
    assert ended is None or int(ended[1]) < 200  # it did not play on for nobody


def test_a_pipe_that_never_waits_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)  # as some parents leave it
    heard: list[str] = []
    with os.fdopen(ours) as end, os.fdopen(theirs, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        reader = threading.Thread(target=lambda: heard.append(end.readline()))
        reader.start()
        assert write_line("x" * 10**6)  # more than a pipe holds
        reader.join(HANG_S)
        end.close()
        assert not write_line("to nobody")
    assert heard == ["x" * 10**6 + "\n"]


def test_a_stream_that_breaks_is_tried_again() -> None:
    with StreamServer("mpegts") as server, Running(server.url) as live:
        live.wait_for_message("status", state="no_face")
        server.kill()
        live.wait_for_message("status", state="lost_source")
        live.messages.clear()
        with StreamServer("mpegts", port=server.port):
            live.wait_for_message("status", state="no_face")
            live.process.send_signal(signal.SIGINT)
            assert live.end() == 0
    assert live.messages[-1]["type"] == "end"
    assert live.messages[-1]["received"] > 0
    assert any("trying again" in line for line in live.notes)
    assert "Traceback" not in "".join(live.notes)


def test_a_terminal_gets_one_line_that_renews_itself(short_clip: Path) -> None:
    ours, theirs = pty.openpty()
    with Running(short_clip, stderr=theirs, env={**os.environ, "COLUMNS": "200"}) as live:
        os.close(theirs)
        said = b"".join(_chunks(ours))
        assert live.end() == 0
    os.close(ours)
    text = said.decode()
    assert text.count("\n") == 1  # only how it ended stays
    assert re.search(r"\r\x1b\[K[^\r\n]*frames/s, [^\r\n]*\r\x1b\[K", text)
    assert text.rstrip().endswith("dropped")


def _chunks(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # the other end has gone
            return
        if not data:
            return
        yield data


# ---- over a WebSocket -----------------------------------------------------------------------


@pytest.mark.needs("web")
def test_a_websocket_hears_what_stdout_says() -> None:
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    server = StreamServer("mpegts")
    with server, Running(server.url, "--curve", "--websocket", "0") as live:
        live.wait_for(lambda: any("ws://" in line for line in live.notes), "address")
        address = re.findall(r"ws://127\.0\.0\.1:\d+", "".join(live.notes))[0]
        heard: list[dict[str, Any]] = []
        with connect(address) as client:
            heard += [json.loads(client.recv(HANG_S)) for _ in range(30)]
            client.send("rubbish")
            live.process.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                while True:
                    heard.append(json.loads(client.recv(HANG_S)))
        assert live.end() == 0
    assert heard[0]["type"] == "start"
    assert heard[-1]["type"] == "end"
    frames = [m["frame"] for m in heard if m["type"] == "curve"]
    assert frames == list(range(frames[0], frames[-1] + 1))
    said = [m for m in live.messages if m["type"] == "curve" and m["frame"] >= frames[0]]
    assert [m for m in heard if m["type"] == "curve"] == said


@pytest.mark.needs("web")
@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="needs a pipe that is full soon")
def test_who_does_not_read_stdout_keeps_nothing_from_a_websocket() -> None:
    from websockets.sync.client import connect

    words = ["live", "", "--curve", "--websocket", "0"]
    with StreamServer("mpegts") as server:
        words[1] = server.url
        with subprocess.Popen(
            [sys.executable, "-c", DRIVER, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                assert process.stdout is not None and process.stderr is not None
                fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)
                found = re.search(r"ws://127\.0\.0\.1:\d+", process.stderr.readline())
                assert found is not None
                points, length = 0, 0
                with connect(found[0]) as client:
                    while points < 60 or length < 4 * 4096:
                        line = str(client.recv(HANG_S))
                        points += json.loads(line)["type"] == "curve"
                        length += len(line)
                process.send_signal(signal.SIGINT)
                said = [json.loads(line) for line in process.stdout]  # and it waits for us
                assert process.wait(HANG_S) == 0
            finally:
                process.kill()
    assert (said[0]["type"], said[-1]["type"]) == ("start", "end")
    assert sum(message["type"] == "curve" for message in said) >= 60


@pytest.mark.needs("web")
def test_an_open_address_needs_a_token(command: Any, face_clip: Path) -> None:
    code, messages, err = command(face_clip, "--websocket", "0.0.0.0:0")
    assert (code, messages) == (1, [])
    assert "expected a token" in err and len(err.splitlines()) == 1
