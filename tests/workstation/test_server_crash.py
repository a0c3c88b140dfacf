"""Many uploads at once into a real server, which is killed in the middle: nothing is lost.

The same at full size is ``benchmarks/uploads.py``.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.workstation.jobs.results import RESULTS
from micromimic.workstation.records import jobs

from ..page_server import wait_for

pytestmark = [
    pytest.mark.needs("web"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 here"),
]
PATIENCE_S = 300.0
CLIP = ClipConfig(
    seconds=2.0, fps=15.0, width=320, height=240, face_px=220.0, peak_px=2.0,
    events_per_minute=30.0, macros_per_minute=0.0, blinks_per_minute=0.0,
    head_moves_per_minute=0.0,
)  # fmt: skip
UPLOADS = 4


class Server:
    """``micromimic serve`` as a user starts it, on a free port."""

    def __init__(self, data: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "micromimic", "serve", "--port", "0", "--data", str(data)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "http://127.0.0.1:" in line, line
        self.port = int(line.split("http://127.0.0.1:")[1].split("/")[0])

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            kind = {"Content-Type": "application/octet-stream"} if body is not None else {}
            connection.request(method, f"/api/v1{path}", body, kind)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")
        finally:
            connection.close()

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(PATIENCE_S)
        self.close()
        return status

    def close(self) -> None:
        self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    server = Server(data)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def upload_all(server: Server, videos: dict[str, bytes]) -> dict[str, str]:
    """All at once; the ids of those that were accepted, by name."""
    accepted: dict[str, str] = {}

    def upload(name: str, data: bytes) -> None:
        status, answer = server.ask("POST", f"/recordings?name={name}&consent=true", data)
        assert status == 201, answer
        accepted[name] = answer["id"]

    threads = [threading.Thread(target=upload, args=item) for item in videos.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return accepted


def workers_on(data: Path) -> list[int]:
    """Processes that have a file of this data folder open, or were started by its server."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if b"micromimic.workstation.jobs.worker" in (place / "cmdline").read_bytes():
                links = [str(fd.readlink()) for fd in (place / "fd").iterdir()]
                if any(link.startswith(str(data)) for link in links):
                    found.append(int(place.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what runs")
def test_a_server_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", CLIP, 5, crf=16, preset="superfast")
    clip, data = (tmp_path / "clip.mp4").read_bytes(), tmp_path / "data"
    videos = {f"clip{k}.mp4": clip + bytes(k) for k in range(UPLOADS - 1)}
    videos["broken.mp4"] = clip[: len(clip) // 3]
    with serving(data) as server:
        accepted = upload_all(server, videos)
        assert set(accepted) == set(videos)

        def statuses() -> list[str]:
            return [job["status"] for job in server.ask("GET", "/jobs")[1]["jobs"]]

        wait_for(lambda: "done" in statuses() and "running" in statuses(), PATIENCE_S)
        wait_for(lambda: workers_on(data), PATIENCE_S)
        server.kill()
    wait_for(lambda: not workers_on(data), PATIENCE_S)
    with serving(data) as server:
        wait_for(lambda: not {"queued", "running"} & set(statuses()), PATIENCE_S)
        jobs = server.ask("GET", "/jobs")[1]["jobs"]
        assert len(jobs) == len({job["recording_id"] for job in jobs}) == UPLOADS
        for name, recording_id in accepted.items():
            status, record = server.ask("GET", f"/recordings/{recording_id}")
            assert (status, record["name"]) == (200, name)
            stored = data / "recordings" / recording_id / "video.mp4"
            assert stored.read_bytes() == videos[name]
            assert record["sha256"] == hashlib.sha256(videos[name]).hexdigest()
            job, names = record["job"], {p.name for p in stored.parent.iterdir()}
            if name == "broken.mp4":
                assert job["status"] == "failed" and job["error"].startswith("expected ")
                assert names == {"video.mp4"}
            else:
                assert (job["status"], job["error"]) == ("done", "")
                assert names - {"events", "track.npz"} == {*RESULTS, "video.mp4"}
                assert server.ask("GET", f"/recordings/{recording_id}/review?coder=kim")[0] == 200
        # Only what was running is tried again; the kill may fall between two jobs.
        assert sum(job["attempts"] == 2 for job in jobs) <= 1
        assert {job["attempts"] for job in jobs} <= {1, 2}
        assert server.stop() == 0
    assert not list((data / "incoming").iterdir())
    assert {p.name for p in (data / "recordings").iterdir()} == set(accepted.values())
    assert not workers_on(data)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc tells what runs")
def test_ctrl_c_gives_the_running_job_back(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", CLIP, 5, crf=16, preset="superfast")
    data = tmp_path / "data"
    with serving(data) as server:
        upload_all(server, {"a.mp4": (tmp_path / "clip.mp4").read_bytes()})
        wait_for(lambda: workers_on(data), PATIENCE_S)
        assert server.stop() == 0
        assert not workers_on(data)
    from micromimic.workstation.records.database import open_store

    with open_store(data) as store:
        (job,) = jobs.list_jobs(store)
        assert (job.status, job.attempts) == ("queued", 0)
        folder = store.folder(job.recording_id)
    assert [p.name for p in folder.iterdir()] == ["video.mp4"]
