"""Many uploads at once, a server killed in the middle, and what is left after its restart.

    python benchmarks/uploads.py [--uploads 50] [--seconds 2] [--fps 25] [--jobs 2] [--kill-after 5]

Starts ``micromimic serve`` on a free port and a folder of its own, sends all videos at the same
time (one in ten is cut short), kills the server with SIGKILL once ``--kill-after`` analyses have
ended, starts it again, waits until nothing waits or runs, and counts. Exit status 1 if anything
was lost.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from micromimic.synthesis.clips import ClipConfig, write_clip


class Server:
    """A real server, as a user starts it."""

    def __init__(self, data: Path, jobs: int) -> None:
        command = [sys.executable, "-m", "micromimic", "serve", "--port", "0", "--data", str(data)]
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [*command, "--jobs", str(jobs)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready_s = time.perf_counter() - started
        self.port = int(line.split("http://127.0.0.1:")[1].split("/")[0])

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """Status and content of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            connection.request(method, f"/api/v1{path}", body)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def statuses(self) -> Counter[str]:
        """How many jobs are in which state."""
        return Counter(job["status"] for job in self.ask("GET", "/jobs")[1]["jobs"])

    def end(self) -> None:
        """As ``kill -9`` does."""
        self.process.kill()
        self.process.wait()


def render(folder: Path, options: argparse.Namespace) -> dict[str, bytes]:
    """Videos by name: copies of one clip that differ in a few bytes at the end."""
    config = ClipConfig(
        seconds=options.seconds,
        fps=options.fps,
        width=320,
        height=240,
        face_px=220.0,
        peak_px=2.0,
        events_per_minute=60.0 / options.seconds,
        macros_per_minute=0.0,
        blinks_per_minute=0.0,
        head_moves_per_minute=0.0,
    )
    write_clip(folder / "clip.mp4", config, 5, crf=16, preset="superfast")
    clip = (folder / "clip.mp4").read_bytes()
    return {
        f"clip{k}.mp4": clip[: len(clip) // 3 + k] if k % 10 == 9 else clip + bytes(k)
        for k in range(options.uploads)
    }


def upload_all(server: Server, videos: dict[str, bytes]) -> dict[str, str]:
    """All at the same time; ids of the accepted ones by name."""

    def upload(item: tuple[str, bytes]) -> tuple[str, int, Any]:
        name, data = item
        return name, *server.ask("POST", f"/recordings?name={name}&consent=true", data)

    with ThreadPoolExecutor(len(videos)) as pool:
        answers = list(pool.map(upload, videos.items()))
    for name, status, answer in answers:
        if status != 201:
            print(f"{name}: {status} {answer['error']['message']}")
    return {name: answer["id"] for name, status, answer in answers if status == 201}


def losses(server: Server, data: Path, videos: dict[str, bytes], ids: dict[str, str]) -> list[str]:
    """Everything that is not as it should be, a line each."""
    lost = []
    for name, recording_id in ids.items():
        status, record = server.ask("GET", f"/recordings/{recording_id}")
        if status != 200:
            lost.append(f"{name}: no record ({status})")
            continue
        stored = data / "recordings" / recording_id / "video.mp4"
        digest = hashlib.sha256(videos[name]).hexdigest()
        if not stored.exists() or stored.read_bytes() != videos[name]:
            lost.append(f"{name}: its file is not what was sent")
        if record["sha256"] != digest:
            lost.append(f"{name}: another checksum")
        if record["job"]["status"] not in ("done", "failed"):
            lost.append(f"{name}: {record['job']['status']}")
        if record["job"]["status"] == "failed" and not name.endswith("9.mp4"):
            lost.append(f"{name}: {record['job']['error']}")
    known = set(ids.values())
    lost += [f"left: {p}" for p in (data / "recordings").iterdir() if p.name not in known]
    lost += [f"left: {p}" for p in (data / "recordings").glob("*/.work-*")]
    lost += [f"left: {p}" for p in (data / "incoming").iterdir()]
    return lost


def wait_until_ended(server: Server) -> Counter[str]:
    """Wait for the last job."""
    while (states := server.statuses()) and (states["queued"] or states["running"]):
        time.sleep(0.25)
    return states


def main() -> int:
    """Upload, kill, restart, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kill-after", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = folder / "data"
        videos = render(folder, options)
        size = sum(map(len, videos.values())) / 1e6
        server = Server(data, options.jobs)
        try:
            began = time.perf_counter()
            ids = upload_all(server, videos)
            took = time.perf_counter() - began
            print(f"{len(ids)} of {len(videos)} uploads accepted ({size:.0f} MB) in {took:.1f} s")
            while sum(server.statuses()[s] for s in ("done", "failed")) < options.kill_after:
                time.sleep(0.1)
            print(f"kill -9 with {dict(server.statuses())}")
            server.end()
            server = Server(data, options.jobs)
            print(f"up again in {server.ready_s:.1f} s with {dict(server.statuses())}")
            began = time.perf_counter()
            states = wait_until_ended(server)
            took = time.perf_counter() - began
            attempts = Counter(job["attempts"] for job in server.ask("GET", "/jobs")[1]["jobs"])
            print(f"all ended {took:.0f} s later: {dict(states)}; attempts: {dict(attempts)}")
            lost = losses(server, data, videos, ids)
        finally:
            server.end()
        print("\n".join(lost) or "nothing lost, nothing left over")
        return 1 if lost or len(ids) != len(videos) else 0


if __name__ == "__main__":
    sys.exit(main())
