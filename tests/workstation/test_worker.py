"""The process that opens what strangers send: what it says, what it may take, when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from micromimic.core.errors import InputError, NoFaceError, OutputError
from micromimic.media.video import open_source
from micromimic.report.write import FILES
from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.workstation.jobs.confinement import ORPHANED, LimitError, Limits, confine
from micromimic.workstation.jobs.process import (
    COMMAND,
    Message,
    end_of_process,
    running_worker,
    worker_environment,
)
from micromimic.workstation.jobs.worker import LONGEST_ERROR, Task, error_line, is_refused

from ..sounds import with_click

LINUX = sys.platform.startswith("linux")
SMALL = ClipConfig(
    seconds=2.4, fps=30.0, width=320, height=240, face_px=220.0, peak_px=2.0,
    events_per_minute=25.0, macros_per_minute=0.0, blinks_per_minute=0.0,
    head_moves_per_minute=0.0,
)  # fmt: skip
PATIENCE_S = 240.0
"""Ends a hang; no test measures time."""


def wait_for_end(pid: int) -> None:
    """Of a process that is not ours."""
    with contextlib.suppress(ProcessLookupError):
        end = os.pidfd_open(pid)
        try:
            assert select.select([end], [], [], PATIENCE_S)[0], "the worker lives on"
        finally:
            os.close(end)


@dataclass
class Heard:
    """What a worker said, and how it ended."""

    messages: list[Message]
    status: int

    @property
    def last(self) -> Message:
        return self.messages[-1]


def run(video: Path, out: Path, **changes: object) -> Heard:
    (out / "out").mkdir(parents=True)
    task = Task(
        video=str(video),
        folder=str(out / "out"),
        name="talk.mp4",
        parent=os.getpid(),
        **{"max_seconds": 60.0, **changes},  # type: ignore[arg-type]
    )

    async def supervise() -> Heard:
        async with running_worker(task, out / "log") as process:
            messages = [message async for message in process.messages()]
            return Heard(messages, await process.wait())

    return asyncio.run(supervise())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path, SMALL, 5, crf=14, preset="superfast")
    with_click(path, SMALL.seconds, click_s=1.0)
    return path


def test_a_video_becomes_a_folder(clip: Path, tmp_path: Path) -> None:
    heard = run(clip, tmp_path)
    assert heard.last == {"finished": True}
    assert heard.status == 0
    assert heard.messages[0] == {"missing": []} or not LINUX
    stages = [m["stage"] for m in heard.messages if "stage" in m]
    assert stages[0] == "tracking" and stages[-1] == "writing"
    names = {p.name for p in (tmp_path / "out").iterdir()}
    others = {"proxy.mp4", "frames.bin", "review.json", "track.npz", "waveform.json"}
    assert names >= {*FILES, *others}
    written = json.loads((tmp_path / "out" / "events.json").read_text())
    assert written["source"]["path"] == "talk.mp4"
    # Nothing that is handed out tells where on this machine it was made.
    for name in FILES:
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert str(tmp_path) not in text and str(clip.parent) not in text
    assert 'MEDIA_URL="./talk.mp4"' in (tmp_path / "out" / "events.eaf").read_text()


# --- files that point elsewhere ------------------------------------------------------------------


@pytest.fixture
def lure() -> Iterator[tuple[str, list[str]]]:
    """A server on this machine that notes what is asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def pointers(secret: Path, address: str) -> dict[str, bytes]:
    """Files of a kind that a player follows to others."""
    name, place = secret.name, secret.as_posix()
    playlist = (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    )
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">'
        '<Representation id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    )
    session = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"  # noqa: E501 - one text
    texts = {
        "hls beside": playlist.format(name),
        "hls by path": playlist.format(f"file://{place}"),
        "hls by address": playlist.format(f"{address}/hls.ts"),
        "hls key": playlist.format(name).replace(
            "#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{address}/key"\n#EXTINF'
        ),
        "concat beside": f"ffconcat version 1.0\nfile '{name}'\n",
        "concat by path": f"ffconcat version 1.0\nfile '{place}'\n",
        "concat by address": f"ffconcat version 1.0\nfile '{address}/concat.mp4'\n",
        "dash": dash.format(f"{address}/dash.mp4"),
        "sdp": session,
        "images": f"{place}\n",
    }
    return {kind: text.encode() for kind, text in texts.items()}


def test_no_file_leads_to_another(
    clip: Path, tmp_path: Path, lure: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, asked = lure
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    for kind, data in pointers(secret, address).items():
        for ending in (".mp4", ".m3u8", ".ffconcat", ".sdp", ".mpd"):
            lured = tmp_path / f"lure{ending}"
            lured.write_bytes(data)
            with pytest.raises(InputError, match="expected a video"):
                open_source(lured)
            lured.unlink()
        assert asked == [], kind
    with open_source(secret) as source:  # the same file by itself is read
        assert source.expected_frames == 72


@pytest.mark.skipif(not LINUX, reason="/proc tells what is open")
def test_the_worker_is_not_led_either(
    clip: Path, tmp_path: Path, lure: tuple[str, list[str]]
) -> None:
    address, asked = lure
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(clip.read_bytes())
    lured = tmp_path / "lure.mp4"
    lured.write_bytes(pointers(secret, address)["hls by address"])
    heard = run(lured, tmp_path / "w")
    assert heard.status == 0
    assert heard.last["error"].startswith("expected a video, got talk.mp4, which cannot be opened")
    assert str(tmp_path) not in heard.last["error"]
    assert list((tmp_path / "w" / "out").iterdir()) == []
    assert asked == []


# --- limits --------------------------------------------------------------------------------------


def test_no_library_is_loaded_once_there_are_limits(clip: Path, tmp_path: Path) -> None:
    code = """
import os, sys
from micromimic.workstation.jobs.worker import Task, _prepare
run = _prepare(Task(sys.argv[1], sys.argv[2], "face", os.getppid()), lambda message: None)
before = set(sys.modules)
run()
print(*{name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))
"""
    call = [sys.executable, "-c", code, str(clip), str(tmp_path)]
    done = subprocess.run(call, check=True, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (tmp_path / "review.json").is_file()
    assert not set(done.stdout.split()) - {"micromimic", "PIL", "av"}, "but for small parts"


@pytest.mark.skipif(not LINUX, reason="limits as Linux has them")
def test_limits_hold_before_the_file_is_opened() -> None:
    code = """
import json, os, resource
from micromimic.workstation.jobs.confinement import Limits, confine
before = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() >> 20
missing = confine(Limits(memory_mb=500, cpu_s=77, file_mb=3, open_files=99))
status = dict(l.split(":", 1) for l in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "missing": missing, "before": before,
    "memory": [v >> 20 for v in resource.getrlimit(resource.RLIMIT_AS)],
    "cpu": resource.getrlimit(resource.RLIMIT_CPU),
    "file": resource.getrlimit(resource.RLIMIT_FSIZE),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "open": resource.getrlimit(resource.RLIMIT_NOFILE),
    "privileges": status["NoNewPrivs"].strip(), "nice": os.nice(0)}))
try:
    bytearray(600 << 20)
except MemoryError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=PATIENCE_S
    )
    line, refused = done.stdout.splitlines()
    told = json.loads(line)
    assert told["missing"] == []
    soft, hard = told["memory"]
    assert soft == hard and 490 <= soft - told["before"] <= 520
    assert told["cpu"] == [77, 82]
    assert told["file"] == [3 << 20] * 2
    assert told["core"] == [0, 0]
    assert told["open"] == [99, 99]
    assert told["privileges"] == "1"
    assert told["nice"] >= min(10, os.nice(0) + 10)
    assert refused == "refused"


@pytest.mark.skipif(not LINUX, reason="limits as Linux has them")
@pytest.mark.parametrize(
    ("limits", "line"),
    [
        (Limits(memory_mb=24), "24 MB"),
        (Limits(cpu_s=1), "processor time"),
        (Limits(open_files=5), "Too many open files"),
    ],
)
def test_what_takes_too_much_ends_as_one_line(
    clip: Path, tmp_path: Path, limits: Limits, line: str
) -> None:
    heard = run(clip, tmp_path, limits=limits)
    if "error" in (heard.last if heard.messages else {}):
        told = heard.last["error"]
    else:
        assert heard.status != 0
        told = end_of_process(heard.status, limits.memory_mb)
    assert line in told
    assert "\n" not in told


def test_a_limit_that_is_lower_already_stays() -> None:
    code = (
        "import resource\n"
        "from micromimic.workstation.jobs.confinement import Limits, confine\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 60))\n"
        "confine(Limits(open_files=99))\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.stdout.split() == ["60", "60"]


@pytest.mark.parametrize("name", ["memory_mb", "cpu_s", "file_mb", "open_files"])
def test_limits_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match=f"expected {name} of at least 1, got 0"):
        Limits(**{name: 0})


def test_what_a_system_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.delattr(os, "nice", raising=False)
    monkeypatch.setattr(sys, "platform", "plan9")
    missing = confine(Limits())
    assert len(missing) == 5
    assert "a limit on memory" in missing


# --- its life ------------------------------------------------------------------------------------


def test_it_ends_when_the_server_lets_go(clip: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert process.stdin is not None
    try:
        process.stdin.write(Task(str(clip), str(tmp_path), "x", os.getpid()).to_line())
        process.stdin.close()
        assert process.wait(PATIENCE_S) == ORPHANED  # 0 once it had finished
    finally:
        process.kill()
        process.wait()
    assert not (tmp_path / "report.html").exists()


@pytest.mark.skipif(not LINUX, reason="the kernel's signal is Linux's")
def test_it_dies_with_a_server_that_is_killed(clip: Path, tmp_path: Path) -> None:
    server = f"""
import asyncio, os
from pathlib import Path
from micromimic.workstation.jobs.process import running_worker
from micromimic.workstation.jobs.worker import Task
Path({str(tmp_path / "out")!r}).mkdir()
task = Task({str(clip)!r}, {str(tmp_path / "out")!r}, "x", os.getpid())
async def main():
    async with running_worker(task, Path({str(tmp_path / "log")!r})) as process:
        async for message in process.messages():
            if "stage" in message:
                print(process.pid, flush=True)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", server], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline())
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    wait_for_end(pid)


def test_it_knows_no_secret_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.setenv("MICROMIMIC_TOKEN", "secret")
    environment = worker_environment()
    assert "secret" not in environment.values()
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment.get("PATH") == os.environ.get("PATH")


def test_what_libraries_print_is_no_message(tmp_path: Path) -> None:
    code = (
        "import os\n"
        "from micromimic.workstation.jobs.worker import message_sender\n"
        "say = message_sender()\n"
        "print('a library says hello')\n"
        "os.system('echo a program says hello')\n"
        "say({'finished': True})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.stdout == '{"finished": true}\n'
    assert "a library says hello" in done.stderr and "a program says hello" in done.stderr


def test_errors_are_one_line_without_places() -> None:
    task = Task("/data/recordings/ab/video.mp4", "/data/recordings/ab/.work-1/out", "talk.mp4", 1)
    full = OutputError("expected to write /data/recordings/ab/.work-1/out/proxy.mp4, got x; choose")
    full.__cause__ = OSError(28, "No space left on device")
    for error, want in {
        InputError(f"expected a video, got {task.video}; check"): "got talk.mp4; check",
        MemoryError(): "4096 MB",
        OSError(11, "Resource temporarily unavailable"): "4096 MB",
        RuntimeError("can't start new thread"): "4096 MB",
        full: "got No space left on device; make room on the server",
        OutputError(f"expected to write {task.folder}/p.mp4, got Bad disk; choose"): "got Bad disk",
        RuntimeError("a\nb" * 900): "RuntimeError: a b",
    }.items():
        line = error_line(error, task)
        assert want in line
        assert "\n" not in line and "/data" not in line
        assert len(line) <= LONGEST_ERROR


def test_only_what_fails_again_is_refused(tmp_path: Path) -> None:
    song = tmp_path / "song.mp4"
    song.write_bytes(b"la" * 1000)
    with pytest.raises(InputError) as told:
        open_source(song)
    assert is_refused(told.value) and is_refused(NoFaceError("expected a face, got none"))
    for other in (LimitError("too long"), OutputError("no room"), MemoryError(), ValueError()):
        assert not is_refused(other)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (-signal.SIGXCPU if LINUX else 0, "processor time" if LINUX else "status 0"),
        (-signal.SIGSEGV, "SIGSEGV"),
        (-signal.SIGKILL if LINUX else -9, "4096 MB"),
        (-250, "signal 250"),
        (2, "status 2"),
    ],
)
def test_end_of_process_is_told(status: int, words: str) -> None:
    line = end_of_process(status, 4096)
    assert words in line
    assert line.startswith("expected") and "; " in line
