"""`micromimic serve` and the running server: address, refusals to start, slow clients, the end."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
pytest.importorskip("websockets")

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from micromimic.cli.main import main
from micromimic.workstation import server as running
from micromimic.workstation.records import recordings
from micromimic.workstation.settings import Settings

from ..live_talk import KEEP, START, Echo, Said, frame, watch
from ..page_server import wait_for
from ..web_site import API, VIDEO, Site, running_site

pytestmark = pytest.mark.needs("web")
HANG_S = 60
"""Only ends a hang."""


@contextlib.contextmanager
def command(*options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`micromimic serve` in a process of its own, and the two lines that it says."""
    with subprocess.Popen(
        [sys.executable, "-m", "micromimic", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as process:
        try:
            assert process.stdout is not None
            yield process, [process.stdout.readline() for _ in range(2)]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_is_and_ends_when_asked(
    tmp_path: Path, number: signal.Signals
) -> None:
    with command("--port", "0", "--data", str(tmp_path / "d"), "--max-gb", "0.5") as (
        process,
        said,
    ):
        place = re.fullmatch(r"micromimic is at (http://127\.0\.0\.1:\d+/)  \(.*\)\n", said[0])
        assert place, said
        assert "no lie detector" in said[1] and "Article 5(1)(f)" in said[1]
        limits = httpx.get(f"{place[1]}api/v1/info").json()["limits"]
        assert limits["max_bytes"] == 500_000_000
        process.send_signal(number)
        out, errors = process.communicate(timeout=HANG_S)
    assert (process.returncode, out, errors) == (0, "", "")


def test_one_server_a_folder_and_one_a_port(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "d")
    with command("--port", "0", "--data", data) as (_, said):
        port = said[0].split(":")[2].partition("/")[0]
        for options, words in (
            (["--port", "0", "--data", data], "another server uses"),
            (["--port", port, "--data", str(tmp_path / "e")], "choose another --port"),
        ):
            assert main(["serve", *options]) == 1
            said_now = capfd.readouterr()
            assert said_now.out == "" and said_now.err.count("\n") == 1
            assert words in said_now.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--database", "mysql://x/y"], "postgresql://"),
        (["--token", "a b"], "expected a token"),
        (["--host", "no-such-name.invalid"], "expected to listen"),
        (["--data", "/dev/null/x"], "data folder"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert main(["serve", "--port", "0", "--data", str(tmp_path / "d"), *options]) == 1
    said = capfd.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and words in said.err


def test_a_runner_that_cannot_start_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def start(self: object) -> None:
        raise running.UnavailableError("expected the database, got none; start it")

    monkeypatch.setattr(running.JobRunner, "start", start)
    assert main(["serve", "--port", "0", "--data", str(tmp_path)]) == 1
    said = capfd.readouterr()
    assert said.out == "" and said.err == (
        "micromimic: error: expected the database, got none; start it\n"
    )


def given(monkeypatch: pytest.MonkeyPatch, *options: str) -> Settings:
    """The settings that the command hands on."""
    seen: list[Settings] = []
    monkeypatch.setattr(running, "serve", lambda settings, **_: seen.append(settings))
    assert main(["serve", *options]) == 0
    return seen[0]


def test_an_open_address_gets_a_token_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = ("--data", str(tmp_path))
    assert given(monkeypatch, *here).token is None
    tokens = {given(monkeypatch, *here, "--host", "0.0.0.0").token for _ in range(3)}
    assert len(tokens) == 3 and all(t is not None and len(t) >= 32 for t in tokens)
    assert given(monkeypatch, *here, "--host", "0.0.0.0", "--token", "mine").token == "mine"


def test_an_open_address_prints_the_link_and_a_warning(tmp_path: Path) -> None:
    out: list[str] = []
    errors: list[str] = []
    for token in ("abc", "a-token-that-nobody-will-guess"):
        settings = Settings(tmp_path, host="0.0.0.0", port=8420, token=token)
        out.clear()
        errors.clear()
        running.announce(settings, out.append, errors.append)
        assert f"http://127.0.0.1:8420/?token={token} " in out[0]
        assert "open to other machines" in errors[0]
        assert [e for e in errors if "can be guessed" in e] == errors[1:]
        assert len(errors) == (2 if token == "abc" else 1)
    out.clear()
    running.announce(Settings(tmp_path), out.append, errors.append)
    assert len(errors) == 1 and "token" not in out[0]


def test_options_reach_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROMIMIC_DATA", str(tmp_path / "from-env"))
    settings = given(
        monkeypatch, "--max-minutes", "2", "--retention-days", "0", "--jobs", "3",
        "--database", "postgresql://x/y",
    )  # fmt: skip
    assert settings.data == tmp_path / "from-env"
    assert (settings.max_seconds, settings.retention_days, settings.jobs) == (120.0, 0, 3)
    assert settings.url == "postgresql://x/y"


@contextlib.contextmanager
def serving(site: Site) -> Iterator[tuple[str, Callable[[], None]]]:
    """The site behind a real socket: its place, and what stops it and waits."""
    listening = running.listen_on("127.0.0.1", 0)
    ready = threading.Event()
    server = running.Server(running.server_config(site.app), ready.set)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()

    def stop() -> None:
        server.should_exit = True
        thread.join(HANG_S)
        assert not thread.is_alive()

    try:
        assert ready.wait(HANG_S)
        yield f"127.0.0.1:{listening.getsockname()[1]}", stop
    finally:
        stop()
        listening.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with running_site(tmp_path / "data", max_bytes=1 << 30) as site:
        watch(site, Echo)
        yield site


def ours() -> list[str]:
    """Threads of live sessions."""
    return [t.name for t in threading.enumerate() if t.name.startswith("micromimic")]


class Chatter(Echo):
    """Far more than a socket's buffers hold, with an event now and then."""

    points, each = 20_000, 1_000

    def __iter__(self) -> Iterator[Said]:
        for number in range(self.points):
            yield Said({"type": "curve", "frame": number, "padding": "x" * self.each})
            if number % 1000 == 0:
                yield Said({"type": "event", "id": number})
        yield Said({"type": "end"})


def test_a_slow_client_loses_points_and_no_event(site: Site) -> None:
    ended = threading.Event()

    class Told(Chatter):
        def __iter__(self) -> Iterator[Said]:
            yield from super().__iter__()
            ended.set()

    watch(site, Told)
    with serving(site) as (place, _), connect(f"ws://{place}{API}/live") as client:
        client.send(json.dumps(START))
        assert ended.wait(HANG_S)  # the pipeline never waited for the client
        assert httpx.get(f"http://{place}{API}/health").status_code == 200
        messages = []
        while not messages or messages[-1]["type"] != "end":
            messages.append(json.loads(client.recv(timeout=HANG_S)))
    events = [m["id"] for m in messages if m["type"] == "event"]
    points = [m["frame"] for m in messages if m["type"] == "curve"]
    assert events == list(range(0, Chatter.points, 1000))
    assert points == sorted(points) and len(points) < Chatter.points
    assert points[-1] == Chatter.points - 1  # the newest are kept
    assert ours() == []


def test_a_client_that_takes_nothing_at_all_is_given_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micromimic.workstation.live.wire.SILENCE_S", 1.0)

    class Endless(Chatter):
        points = 10**9

        def __iter__(self) -> Iterator[Said]:
            for said in super().__iter__():
                if self.stopped.wait(0.0005):
                    return
                yield said

    watch(site, Endless)
    left = threading.Event()

    def go_on() -> None:
        """It sends on and on: that is not why it is given up."""
        with contextlib.suppress(ConnectionClosed, OSError):
            for number in range(10**6):
                client.send(frame(number))
                if left.wait(0.05):
                    return

    with serving(site) as (place, _), connect(f"ws://{place}{API}/live") as client:
        client.send(json.dumps(START))
        sender = threading.Thread(target=go_on)
        sender.start()
        wait_for(lambda: site.app.state.workstation.live)
        wait_for(lambda: not site.app.state.workstation.live)
        wait_for(lambda: not ours())
        left.set()
        client.socket.shutdown(socket.SHUT_RDWR)  # nor does it take a farewell
        sender.join(HANG_S)


def test_frames_too_large_for_any_session_are_not_even_taken_in(site: Site) -> None:
    with serving(site) as (place, _), connect(f"ws://{place}{API}/live") as client:
        client.send(json.dumps(START))
        with pytest.raises(ConnectionClosed) as closed:
            client.send(bytes(4 << 20))
            while True:
                client.recv(timeout=HANG_S)
        # The reason may be lost on the way: the connection ends while the client still sends.
        assert closed.value.rcvd is None or closed.value.rcvd.code == 1009
        wait_for(lambda: not ours())


def test_stopping_with_sessions_and_uploads_under_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "GRACE_S", 1)
    with serving(site) as (place, stop), contextlib.ExitStack() as open_ends:
        for start in (START, KEEP):
            client = open_ends.enter_context(connect(f"ws://{place}{API}/live"))
            client.send(json.dumps(start))
            for number in range(5):
                client.send(frame(number))
            wait_for(lambda c=client: json.loads(c.recv(timeout=HANG_S))["type"] == "curve")
        host, port = place.split(":")
        upload = open_ends.enter_context(socket.create_connection((host, int(port))))
        upload.sendall(
            f"POST {API}/recordings?name=a.mp4&consent=true HTTP/1.1\r\nHost: {place}\r\n"
            "Content-Length: 100000000\r\n\r\n".encode()
        )
        upload.sendall(VIDEO + bytes(3 << 20))
        wait_for(lambda: any(p.endswith(".part") for p in site.left()))
        stop()
    assert ours() == []
    assert [p for p in site.left() if p.startswith("incoming")] == []
    (recording,) = recordings.list_recordings(site.store)
    assert recording.origin == "live"  # what was to be kept is kept, the half upload is not
