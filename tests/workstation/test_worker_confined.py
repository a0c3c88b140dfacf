"""What the process that opens strangers' files can no longer do, and what it still must."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from micromimic.media.video import VideoWriter

LINUX = sys.platform.startswith("linux")
CHILD = r"""
import ctypes, errno, json, os, socket, subprocess, sys, threading

import numpy as np
from micromimic.media.video import open_source
from micromimic.models.onnx import load_model
from micromimic.workstation.jobs.confinement import Limits, confine

model = load_model()
maps = np.random.default_rng(0).normal(size=(2, 3, 28, 28)).astype(np.float32)

go, early = threading.Event(), []


def wait_and_try():
    go.wait()
    early.append(outcome(lambda: socket.socket()))


def outcome(action):
    try:
        action()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "allowed"


def raw(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    result = libc.syscall(*map(ctypes.c_long, (number, *arguments)))
    if result < 0:
        raise OSError(ctypes.get_errno(), "call")


runs_already = threading.Thread(target=wait_and_try)
runs_already.start()
told = {"missing": confine(Limits())}
go.set()
runs_already.join()
told["a thread from before"] = early[0]
refused = {
    "fork": lambda: os.fork(),
    "forkpty": lambda: os.forkpty(),
    "exec": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "spawn": lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}),
    "subprocess": lambda: subprocess.run([sys.executable, "-c", ""]),
    "socket": lambda: socket.socket(),
    "IPv6": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "local": lambda: socket.socket(socket.AF_UNIX),
    "pair": lambda: socket.socketpair(),
    "signal": lambda: os.kill(os.getppid(), 0),
    "clone": lambda: raw(56 if os.uname().machine == "x86_64" else 220, 17, 0, 0, 0, 0),
    "another's thread": lambda: raw(
        234 if os.uname().machine == "x86_64" else 131, os.getppid(), os.getppid(), 0
    ),
}
told["refused"] = {name: outcome(action) for name, action in refused.items()}
told["clone3"] = outcome(lambda: raw(435, 0, 0))

later = []
worker = threading.Thread(target=lambda: later.append(1))
worker.start()
worker.join()
told["threads"] = len(later)
with open_source(sys.argv[1]) as source:
    told["frames"] = sum(1 for _ in source)
told["classes"] = model.probabilities(maps[:1]).shape[1]
print(json.dumps(told))
"""


@pytest.mark.skipif(not LINUX, reason="only Linux can say what a process may call")
def test_a_worker_starts_nothing_and_reaches_nobody_but_still_works(tmp_path: Path) -> None:
    video = tmp_path / "grey.mp4"
    with VideoWriter(video, 25.0, 64, 48) as writer:
        for level in range(5):
            writer.write(np.full((48, 64), 40 * level, np.uint8))
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(video)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["missing"] == []
    assert set(told["refused"].values()) == {"EPERM"}, told["refused"]
    assert told["a thread from before"] == "EPERM"
    assert told["clone3"] == "ENOSYS"  # so that libraries take clone for their threads
    assert (told["threads"], told["frames"], told["classes"]) == (1, 5, 3)


@pytest.mark.skipif(not LINUX, reason="only Linux can say what a process may call")
def test_a_worker_that_gives_up_can_still_end_itself() -> None:
    script = (
        "import os; from micromimic.workstation.jobs.confinement import Limits, confine; "
        "confine(Limits()); os.abort()"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ran.returncode == -6


@pytest.mark.skipif(not LINUX, reason="elsewhere other limits are missing, too")
def test_where_no_filter_is_to_be_had_the_server_is_told() -> None:
    script = (
        "import os; os.uname = lambda: os.uname_result(('Linux', 'n', 'r', 'v', 'riscv64')); "
        "from micromimic.workstation.jobs.confinement import Limits, confine; "
        "print(confine(Limits()))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['a ban on new processes and sockets']"
