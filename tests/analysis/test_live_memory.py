"""What a live session leaves in the server's memory when it is over: nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")

pytestmark = pytest.mark.needs("web")

SESSIONS = 25
MOST_MB = 75.0
CHILD = r"""
import gc, json, resource, struct, sys, threading, weakref
from contextlib import suppress
from pathlib import Path

from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from micromimic.workstation.live.socket import open_session
from micromimic.workstation.records.database import open_store
from micromimic.workstation.app import create_app
from micromimic.workstation.settings import Settings

WIDTH, HEIGHT = 64, 48
START = json.dumps({"type": "start", "width": WIDTH, "height": HEIGHT, "fps": 50})


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def rest(socket):
    with suppress(WebSocketDisconnect):
        while True:
            socket.receive_json()


def talk(client, ending):
    with client.websocket_connect("ws://127.0.0.1:8420/api/v1/live") as socket:
        socket.send_text(START)
        for number in range(3):
            socket.send_bytes(struct.pack("<d", number / 50) + bytes(WIDTH * HEIGHT))
        socket.receive_json()
        if ending == "stop":
            socket.send_text('{"type": "stop"}')
            rest(socket)
        elif ending == "rubbish":
            socket.send_bytes(b"x")
            rest(socket)


def watch(source):
    session = open_session(source)
    # A worker's thread may hold its last job for a moment after the client was answered.
    sessions.append(weakref.ref(session, lambda gone: freed.release()))
    if len(sessions) % 5 == 0:  # one of five breaks in its own threads
        session._meter.finish = lambda item: 1 / 0
    return session


sessions = []
freed = threading.Semaphore(0)
store = open_store(Path(sys.argv[1]), None)
app = create_app(Settings(Path(sys.argv[1])), store)
app.state.workstation.open_live = watch
with TestClient(app, base_url="http://127.0.0.1:8420") as client:
    talk(client, "stop")
    gc.collect()
    gc.disable()  # what only the collector frees, stays
    before = resident()
    for number in range(int(sys.argv[2])):
        talk(client, ("stop", "vanish", "rubbish")[number % 3])
    for thread in [t for t in threading.enumerate() if "live" in t.name]:
        thread.join(30)
    for _ in sessions:
        freed.acquire(timeout=30)
    told = {"grown": resident() - before, "sessions": len(sessions) - 1}
    told["alive"] = [number for number, session in enumerate(sessions) if session() is not None]
    told["threads"] = [t.name for t in threading.enumerate() if "live" in t.name]
store.close()
print(json.dumps(told))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")
def test_many_sessions_leave_nothing_behind(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "data"), str(SESSIONS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["sessions"] == SESSIONS
    assert told["alive"] == [] and told["threads"] == []
    assert told["grown"] < MOST_MB
