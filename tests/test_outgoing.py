"""Nothing leaves the machine: every command in a process tree that has the way out reported.

Three witnesses: a library loaded before all else stands for the resolver and for connections
(`outgoing_watch.c`), an audit hook in every Python process, and `strace` for what goes past both.
Each command has a new home, in which nothing but folders of our own may appear, and a folder for
temporary files, in which nothing may be written: others can see what lies there.
"""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from micromimic.core.labels import THREE
from micromimic.synthesis.clips import ClipConfig, plan_clip, render, write_clip

from .conftest import find_compiler, has
from .scheduler_file import address_in
from .waiting import wait_for

PATIENCE_S = 300
"""Only ends a hang."""
OURS = (".cache/micromimic", ".local/share/micromimic")
"""What may appear in a home: the cache, and the data folder of `serve`."""

HOOK = '''
"""Report names looked up, addresses beyond this machine, and files in the temporary folder."""
import ipaddress, os, re, sys

library, log = os.environ.get("PYTHON_WATCH_LIBRARY"), os.environ["PYTHON_WATCH_LOG"]
if library and os.environ.get("LD_PRELOAD") != library:  # an environment that was cut short
    os.execve(sys.orig_argv[0], sys.orig_argv, {**os.environ, "LD_PRELOAD": library})

def outside(name):
    if isinstance(name, bytes):
        name = name.decode()
    if name in (None, "", "localhost"):
        return False
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)

def temporary(event, path, *more):
    """The file that would be written, where it is one of the system's temporary folder."""
    if event == "open" and not (more[1] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        return None
    if not isinstance(path, (str, bytes)):
        return None
    folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
    if not (folder + "/").startswith(os.environ.get("TMPDIR", "/tmp") + "/"):
        return None
    # The tempfile module's trial of the folder; where torch would put compiled code; what openpyxl
    # makes a workbook of, which is written of made-up people only.
    harmless = r"[a-z0-9_]{8}|torchinductor_\\w+|openpyxl\\.\\w+"
    return None if re.fullmatch(harmless, name) else os.fsdecode(path)

def report(line):
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode() + b"\\n")
    os.close(file)

def hook(event, what):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        name = what[0]
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        name = what[1][0] if isinstance(what[1], tuple) else None
    elif event in ("open", "os.mkdir"):
        written = temporary(event, *what)
        if written:
            report(f"hook {event} {written}")
        return
    else:
        return
    if outside(name):
        report(f"hook {event} {name}")
        raise OSError(f"{event} {name}: not from here")

sys.addaudithook(hook)
'''


@dataclass
class Watch:
    """Runs programs with all witnesses that this machine has."""

    hooks: Path
    library: Path | None
    strace: bool = False


@dataclass
class Seen:
    """What came of one program."""

    folder: Path
    process: subprocess.Popen[str]
    out: str = ""
    err: str = ""
    expected: Sequence[int] = field(default=(0,))

    @property
    def reports(self) -> list[str]:
        """What the library and the hook say."""
        log = self.folder / "log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    @property
    def calls(self) -> list[str]:
        """Addresses beyond this machine in strace's record."""
        record = self.folder / "strace"
        lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
        named = re.compile(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"')
        found = [m[1] or m[2] for line in lines for m in named.finditer(line)]
        return [at for at in found if not re.match(r"127\.|::1$|0\.0\.0\.0$|::$|::ffff:127\.", at)]

    @property
    def strangers(self) -> list[str]:
        """What appeared in the home and is not ours."""
        home = self.folder / "home"
        there = [path for path in home.rglob("*") if not (path.is_dir() and any(path.iterdir()))]
        names = [path.relative_to(home).as_posix() for path in there]
        return sorted(name for name in names if not name.startswith(OURS))

    def assert_nothing_left(self) -> None:
        assert self.process.returncode in self.expected, self.err
        assert (self.reports, self.calls, self.strangers) == ([], [], [])


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Watch:
    folder = tmp_path_factory.mktemp("watch")
    (folder / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    library = None
    compiler = find_compiler()
    if compiler and sys.platform == "linux":
        library = folder / "watch.so"
        source = Path(__file__).with_name("outgoing_watch.c")
        words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        subprocess.run(words, check=True, timeout=PATIENCE_S)
    return Watch(folder, library)


STRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]
"""Other system calls go past it unstopped: a program makes thousands a second."""


@pytest.fixture(scope="module")
def fullest(watch: Watch) -> Watch:
    """All witnesses, strace included where it is there and may be used: it is slow."""
    return Watch(watch.hooks, watch.library, strace=has("strace"))


@contextmanager
def started(watch: Watch, folder: Path, *words: object) -> Iterator[Seen]:
    """A Python program, watched; it has ended when the block has."""
    for name in ("home", "temporary"):
        (folder / name).mkdir(parents=True)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder / "home"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(watch.hooks),
        "PYTHON_WATCH_LOG": str(folder / "log"),
        "TMPDIR": str(folder / "temporary"),
        "JOBLIB_TEMP_FOLDER": str(folder / "temporary"),
    }
    if watch.library:
        environment["PYTHON_WATCH_LIBRARY"] = str(watch.library)
    tracer = [*STRACE, "-o", str(folder / "strace")]
    with subprocess.Popen(
        [*(tracer if watch.strace else []), sys.executable, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        seen = Seen(folder, process)
        try:
            yield seen
            seen.out, seen.err = process.communicate(timeout=PATIENCE_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def ran(watch: Watch, folder: Path, *words: object) -> Seen:
    """A Python program, watched to its end."""
    with started(watch, folder, *words) as seen:
        pass
    return seen


def command(watch: Watch, folder: Path, *words: object) -> Seen:
    """One of our commands, watched to its end."""
    return ran(watch, folder, "-m", "micromimic", *words)


def commands(watch: Watch, folder: Path, *lines: Sequence[object]) -> Seen:
    """Several in one process, each only if all before ended well: what is loaded is loaded once."""
    code = (
        "import json, sys\n"
        "from micromimic.cli.main import main\n"
        "for sys.argv[1:] in json.loads(sys.argv[1]):\n"
        "    if code := main():\n"
        "        sys.exit(code)\n"
    )
    return ran(watch, folder, "-c", code, json.dumps([[str(w) for w in line] for line in lines]))


# ---- the witnesses --------------------------------------------------------------------------

# 192.0.2.0/24 is for documentation: nobody is there.
LOOK_UP = "import socket; socket.getaddrinfo('nobody.example', 80)"
CONNECT = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
IN_C = "import ctypes; ctypes.CDLL(None).{}(b'nobody.example')"
HIDDEN = f"""
import os, subprocess, sys
cut = {{k: v for k, v in os.environ.items() if k.startswith('PYTHON')}}
subprocess.run([sys.executable, '-c', {IN_C.format("gethostbyname")!r}], env=cut, check=True)
"""
PAST_THE_LIBRARY = """
import ctypes, socket, struct
place = struct.pack('=HH4s8x', socket.AF_INET, socket.htons(9), socket.inet_aton('192.0.2.1'))
with socket.socket(type=socket.SOCK_DGRAM) as out:
    ctypes.CDLL(None).syscall(42, out.fileno(), place, 16)
"""


@pytest.mark.parametrize(("code", "name"), [(LOOK_UP, "nobody.example"), (CONNECT, "192.0.2.1")])
def test_the_hook_reports_what_python_sends(
    code: str, name: str, watch: Watch, tmp_path: Path
) -> None:
    seen = ran(watch, tmp_path, "-c", code)
    assert seen.process.returncode == 1
    assert len(seen.reports) == 1 and seen.reports[0].startswith("hook ")
    assert seen.reports[0].endswith(name)


def test_the_hook_reports_what_is_written_for_a_while(watch: Watch, tmp_path: Path) -> None:
    seen = ran(watch, tmp_path, "-c", "import tempfile; tempfile.TemporaryDirectory().cleanup()")
    assert seen.process.returncode == 0
    (line,) = seen.reports
    assert line.startswith(f"hook os.mkdir {tmp_path / 'temporary' / 'tmp'}")


@pytest.mark.needs("cc")
@pytest.mark.parametrize("code", [IN_C.format("gethostbyname"), HIDDEN])
def test_the_library_reports_what_c_looks_up(code: str, watch: Watch, tmp_path: Path) -> None:
    seen = ran(watch, tmp_path, "-c", code)
    assert (seen.process.returncode, seen.err) == (0, "")
    assert seen.reports == ["preload gethostbyname nobody.example"]


@pytest.mark.needs("strace")
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the system call's number differs")
def test_strace_reports_what_goes_past_the_library(fullest: Watch, tmp_path: Path) -> None:
    seen = ran(fullest, tmp_path, "-c", PAST_THE_LIBRARY)
    assert (seen.reports, seen.calls) == ([], ["192.0.2.1"])


def test_loopback_and_our_own_folders_are_free(watch: Watch, tmp_path: Path) -> None:
    code = (
        "import pathlib, socket\n"
        "with socket.create_server(('127.0.0.1', 0)) as there:\n"
        "    socket.create_connection(there.getsockname()).close()\n"
        "for name in ('.cache/micromimic/a', '.cache/other'):\n"
        "    (pathlib.Path.home() / name).mkdir(parents=True)\n"
    )
    seen = ran(watch, tmp_path, "-c", code)
    assert (seen.process.returncode, seen.reports) == (0, [])
    assert seen.strangers == [".cache/other"]


# ---- the commands ---------------------------------------------------------------------------


SMALL = ClipConfig(seconds=2.0, fps=25.0, width=320, height=240, face_px=225.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a movement in them."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_clip(path, SMALL, 1)
    return path


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of flow maps: four subjects, each with a clip of every class."""
    folder, rng = tmp_path_factory.mktemp("maps"), np.random.default_rng(0)
    with (folder / "m.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["dataset", "subject", "clip", "label", "kind", "path"])
        for number in range(12):
            picture = rng.integers(90, 160, (28, 28, 3), np.uint8)
            assert cv2.imwrite(str(folder / f"{number}.png"), picture)
            label = THREE.names[number % 3]
            rows.writerow(["smic", f"s{number // 3}", number, label, "flow_map", f"{number}.png"])
    return folder / "m.csv"


def test_analyze_and_sensitivity(watch: Watch, tmp_path: Path) -> None:
    path, out = tmp_path / "clip.mp4", tmp_path / "out"
    write_clip(path, replace(SMALL, seconds=4.0), 1)
    seen = commands(
        watch,
        tmp_path / "run",
        ("models",),
        ("analyze", path, "--out", out),
        ("sensitivity", path, "--out", out, "--sizes", ".3", "--per-size", 1, "--jobs", 2),
    )
    seen.assert_nothing_left()
    assert (out / "clip" / "report.html").is_file() and (out / "sensitivity.html").is_file()


def test_recognize_and_demo(watch: Watch, tmp_path: Path) -> None:
    plan = plan_clip(SMALL, 1)
    onset, apex = (round(time * 25) for time in (plan.micro[0].onset, plan.micro[0].apex))
    frames = list(render(plan, frames=range(onset, apex + 1)))
    np.savez(tmp_path / "pair.npz", onset=frames[0], apex=frames[-1])
    code = (
        "import sys, numpy, micromimic; pair = numpy.load(sys.argv[1]);"
        "print(micromimic.recognize(pair['onset'], pair['apex']).label);"
        "from micromimic.analysis.demo import run_demo;"
        "from micromimic.synthesis.clips import ClipConfig;"
        f"print(run_demo(sys.argv[2], clip={SMALL!r}))"
    )
    seen = ran(watch, tmp_path, "-c", code, tmp_path / "pair.npz", tmp_path / "demo")
    seen.assert_nothing_left()
    assert seen.out.split()[0] in THREE
    assert "planted micro-expressions found" in seen.out


def test_live(fullest: Watch, clip: Path, tmp_path: Path) -> None:
    seen = command(fullest, tmp_path, "live", clip, "--websocket", "0")
    seen.assert_nothing_left()
    assert '"type": "end"' in seen.out or '"type":"end"' in seen.out


@pytest.mark.needs("train")
def test_evaluate_compare_train_and_audit(watch: Watch, maps: Path, tmp_path: Path) -> None:
    runs, model, curves = (tmp_path / name for name in ("runs", "m.onnx", "curves"))
    names = ("flow-svm", "flow-template")  # torch is slow to load, and not thrice: `train` has it
    models = [word for name in names for word in ("--model", name)]
    short = ("--init", "none", "--epochs", 2)
    audit = ("audit", maps, "--model", "flow-capsnet", *short, "--groups", 2, "--shuffles", 1)
    seen = commands(
        watch,
        tmp_path / "run",
        ("evaluate", maps, *models, "--groups", 2, "--out", runs),
        ("compare", *(runs / name for name in names)),
        ("train", maps, *short, "--out", model, "--tensorboard", curves),
        (*audit, "--out", tmp_path / "audit"),
    )
    seen.assert_nothing_left()
    assert all((runs / name / "confusion.png").is_file() for name in names)
    assert model.is_file() and any(curves.iterdir())
    assert (tmp_path / "audit" / "audit.png").is_file()


@pytest.mark.needs("cluster")
def test_evaluate_on_a_cluster(watch: Watch, maps: Path, tmp_path: Path) -> None:
    """Scheduler and worker are whoever's runs them; the command speaks to no other address."""
    file = tmp_path / "scheduler.json"
    common = ("--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1")
    more = ("--nthreads", "1", "--no-nanny", "--local-directory", str(tmp_path))
    with ExitStack() as stack:

        def start(name: str, *words: str) -> subprocess.Popen[bytes]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", f"distributed.cli.{name}", *common, *words],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
            return process

        scheduler = start("dask_scheduler", "--port", "0")
        wait_for(lambda: address_in(file) or scheduler.poll() is not None)
        address = address_in(file)
        assert address is not None
        start("dask_worker", *more)
        with distributed_client(address) as client:
            client.wait_for_workers(1)
        words = ("evaluate", maps, "--model", "flow-template", "--groups", 2, "--backend", "dask")
        out = tmp_path / "run"
        seen = command(watch, tmp_path / "it", *words, "--scheduler", address, "--out", out)
    seen.assert_nothing_left()
    assert (out / "confusion.png").is_file()


def distributed_client(address: str) -> Any:
    from distributed import Client

    return Client(address, set_as_default=False)


@pytest.mark.needs("train")
def test_synth_and_datasets(watch: Watch, tmp_path: Path) -> None:
    data, manifest = tmp_path / "data", tmp_path / "m.csv"
    clips = ("--count", 1, "--seconds", 2, "--fps", 25, "--out", tmp_path / "clips")
    seen = commands(
        watch,
        tmp_path / "run",
        ("synth", "clips", *clips),
        ("synth", "databases", "--names", "samm", "--clips-per-class", 1, "--out", data),
        ("datasets", "index", f"samm={data / 'samm'}", "--out", manifest),
        ("datasets", "prepare", manifest),
        ("datasets", "figures", manifest, "--out", tmp_path / "figures"),
    )
    seen.assert_nothing_left()
    assert any((tmp_path / "figures").iterdir())


@pytest.mark.needs("web")
def test_serve_export_and_forget(fullest: Watch, clip: Path, tmp_path: Path) -> None:
    """Upload a video, have it analysed, decide, export, import, forget."""
    import httpx

    with started(fullest, tmp_path / "serve", "-m", "micromimic", "serve", "--port", 0) as seen:
        assert seen.process.stdout is not None
        place = re.search(r"http://\S+/", seen.process.stdout.readline())
        assert place, seen.process.stderr and seen.process.stderr.read()
        with httpx.Client(base_url=f"{place[0]}api/v1", timeout=PATIENCE_S) as client:
            person = client.post("/subjects", json={"code": "P01"}).json()["id"]
            consent = {"given": True, "noted_by": "kim", "note": ""}
            session = {"subject_id": person, "title": "t", "held_on": "2026-03-04"}
            session_id = client.post("/sessions", json={**session, "consent": consent}).json()["id"]
            query = {"name": "clip.mp4", "session_id": session_id}
            answer = client.post("/recordings", params=query, content=clip.read_bytes())
            assert answer.status_code == 201, answer.text
            recording = answer.json()["id"]
            states: list[str] = []

            def ended() -> bool:
                states.append(client.get(f"/recordings/{recording}").json()["job"]["status"])
                return states[-1] not in ("queued", "running")

            wait_for(ended, PATIENCE_S)
            assert states[-1] == "done"
        tracee = seen.process.pid
        children = Path(f"/proc/{tracee}/task/{tracee}/children")
        server = int(children.read_text().split()[0]) if fullest.strace else tracee
        os.kill(server, signal.SIGINT)
    seen.assert_nothing_left()
    data = seen.folder / "home" / ".local" / "share" / "micromimic"
    assert data.is_dir()
    out = tmp_path / "exported"
    words = ("export", "--data", data, "--coder", "kim", "--out", out)
    exported = command(fullest, tmp_path / "export", *words)
    exported.expected = (0, 1)  # nobody has decided anything yet
    exported.assert_nothing_left()
    trials, project = tmp_path / "trials.csv", tmp_path / "study.zip"
    trials.write_text("video,onset_s,label\nclip.mp4,1,film\n")
    seen = commands(
        fullest,
        tmp_path / "more",
        ("import", "markers", trials, "--data", data),
        ("export", "project", "--out", project, "--videos", "--data", data),
        ("import", "project", project, "--data", data),
        ("forget", "P01", "--data", data, "--yes"),
    )
    seen.assert_nothing_left()
