"""How fast a large study answers: every page's requests, and the export.

    python benchmarks/study.py [--recordings 1000] [--events 20] [--repeat 5] [--data DIR]

Writes a study into a data folder (a tenth as many people as recordings, sessions in two conditions,
two coders: the first done everywhere, the second with every other recording; each recording with a
copy of one real analysis of a synthetic clip, its events spread out), starts ``micromimic serve``
on it and asks what each page asks when it is opened, several times: milliseconds from request to
the last byte, median and largest. Then ``micromimic export study``.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.workstation.jobs.artifacts import write_recording
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.models import (
    AnalysisRecord,
    Consent,
    Decision,
    Job,
    Progress,
    Recording,
    Session,
    Subject,
)
from micromimic.workstation.records.values import new_id

CODERS = ("first coder", "second coder")
START = datetime(2026, 1, 5, 9, tzinfo=UTC)
LIMIT_MS = 300


def analysed(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Contents of ``events.json`` and ``review.json`` of a clip in which something is found."""
    config = ClipConfig(seconds=20.0, fps=50.0, width=320, height=240, face_px=220.0, peak_px=2.0)
    write_clip(folder / "clip.mp4", config, 5, crf=16)
    out = folder / "out"
    out.mkdir()
    write_recording(folder / "clip.mp4", out)
    payload, review = (
        json.loads((out / name).read_text(encoding="utf-8"))
        for name in ("events.json", "review.json")
    )
    assert payload["events"], "nothing was found in the clip"
    return payload, review


def spread(payload: dict[str, Any], review: dict[str, Any], events: int) -> tuple[Any, Any]:
    """The same with so many events, evenly over a recording that is long enough."""
    entry, shown = payload["events"][0], review["events"][0]
    fps, step = review["fps"], 50
    frames = step * (events + 1)
    entries = []
    for k in range(events):
        shift = step * (k + 1) - entry["apex_frame"]
        moved = {f"{n}_frame": entry[f"{n}_frame"] + shift for n in ("onset", "apex", "offset")}
        times = {f"{n}_s": moved[f"{n}_frame"] / fps for n in ("onset", "apex", "offset")}
        entries.append({**entry, **moved, **times, "kind": "micro"})
    seconds = frames / fps
    return (
        {**payload, "events": entries, "source": {**payload["source"], "duration_s": seconds}},
        {
            **review,
            "frames": frames,
            "duration_s": seconds,
            "frames_bin": {**review["frames_bin"], "rows": frames},
            "events": [{**shown, "index": k} for k in range(events)],
        },
    )


def records_of(
    number: int, session: Session, payload: dict[str, Any], review: dict[str, Any]
) -> Iterator[Any]:
    """One recording with its job, answer, decisions and progress."""
    made, at = new_id(), START + timedelta(minutes=number)
    count = len(payload["events"])
    yield Recording(
        id=made,
        session_id=session.id,
        name=f"interview {number:04}.mp4",
        extension=".mp4",
        size_bytes=1_000_000 + number,
        sha256=hashlib.sha256(str(number).encode()).hexdigest(),
        uploaded_at=at,
        events=count,
        longer=0,
        duration_s=payload["source"]["duration_s"],
        observed_s=payload["indicators"]["observed_s"]["value"],
    )
    yield Job(recording_id=made, number=1, status="done", created_at=at, finished_at=at)
    yield AnalysisRecord(
        recording_id=made, payload=payload, review=review, events=count, created_at=at
    )
    for place, coder in enumerate(CODERS):
        done = place == 0 or number % 2 == 0
        decided = count if done else count // 2
        for k in range(decided + done):
            action = "done" if k == count else "reject" if (k + place) % 3 == 0 else "accept"
            yield Decision(
                recording_id=made,
                coder=coder,
                number=k + 1,
                action=action,  # type: ignore[arg-type]
                event="" if action == "done" else f"m{k}",
                payload={},
                target=None,
                decided_at=at,
            )
        yield Progress(recording_id=made, coder=coder, decided=decided, candidates=count, done=done)


def fill(data: Path, recordings: int, events: int, clip: Path) -> None:
    """Write the study."""
    payload, review = spread(*analysed(clip), events)
    yes = Consent(given=True, noted_by="kim").columns(START)
    with open_store(data) as store:
        people = [Subject(code=f"P{k:03}", created_at=START) for k in range(recordings // 10)]
        sessions = [
            Session(
                subject_id=person.id,
                title="",
                condition=condition,
                held_on=date(2026, 1, 5) + timedelta(days=week * 7),
                created_at=START,
                baseline=week == 0,
                **yes,
            )
            for person in people
            for week, condition in enumerate(("control", "stress") * 2)
        ]
        with store.write() as transaction:
            transaction.add_all(people)
            transaction.flush()
            transaction.add_all(sessions)
            transaction.flush()
        for start in range(0, recordings, 100):
            with store.write() as transaction:
                made = [
                    record
                    for number in range(start, min(start + 100, recordings))
                    for record in records_of(
                        number, sessions[number % len(sessions)], payload, review
                    )
                ]
                transaction.add_all(record for record in made if isinstance(record, Recording))
                transaction.flush()  # what hangs on them comes after them
                transaction.add_all(made)


class Server:
    """``micromimic serve`` on a data folder."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "micromimic", "serve", "--port", "0", "--data", str(data)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.port = int(line.split("http://127.0.0.1:")[1].split("/")[0])

    def get(self, path: str) -> tuple[float, bytes]:
        """Milliseconds, and what came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        started = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        taken = 1e3 * (time.perf_counter() - started)
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:300]!r}")
        return taken, body

    def end(self) -> None:
        self.process.terminate()
        self.process.wait()


def requests(server: Server) -> dict[str, list[str]]:
    """What each page asks for when it is opened."""
    api = "/api/v1"
    listed = json.loads(server.get(f"{api}/recordings?limit=100")[1])["recordings"]
    chosen = next(r for r in listed if all(p["done"] for p in r["progress"]))
    of, subject = f"{api}/recordings/{chosen['id']}", chosen["subject_id"]
    first, second = map(quote, CODERS)
    return {
        "Analyse": ["/", f"{api}/info", f"{api}/recordings?limit=100", f"{api}/sessions"],
        "Analyse, last page": [f"{api}/recordings?limit=100&offset=900"],
        "Analyse, a person": [f"{api}/recordings?limit=100&subject_id={subject}"],
        "Review": [
            f"/review?recording={chosen['id']}",
            of,
            f"{of}/review?coder={first}",
            f"{of}/history?coder={first}",
            f"{of}/agreement?coder={first}&other={second}",
        ],
        "Subjects": ["/subjects", f"{api}/subjects", f"{api}/subjects/{subject}"],
        "Subjects, trends": [f"{api}/subjects/{subject}/trends"],
        "Study": ["/study", f"{api}/study"],
        "Export": ["/export", f"{api}/sessions", f"{api}/subjects"],
        "Live": ["/live", f"{api}/sessions"],
        "About": ["/about"],
    }


def main() -> None:
    """Fill, ask, export, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=1000)
    parser.add_argument("--events", type=int, default=20, help="of each recording")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--data", type=Path, help="a new data folder; kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        data = options.data or Path(temporary) / "data"
        clip = Path(temporary) / "clip"
        clip.mkdir()
        if not data.exists():
            fill(data, options.recordings, options.events, clip)
        print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
              f"load {os.getloadavg()[0]:.1f}; {options.recordings} recordings, "
              f"{options.recordings * options.events} events\n")  # fmt: skip
        print("| page | request | median ms | largest | KiB |\n|---|---|---|---|---|")
        server, slow = Server(data), 0
        try:
            for page, paths in requests(server).items():
                for path in paths:
                    asked = [server.get(path) for _ in range(options.repeat)]
                    times = [taken for taken, _ in asked]
                    median, size = statistics.median(times), len(asked[0][1]) / 1024
                    slow += median > LIMIT_MS
                    shown = path.split("?")[0] if len(path) > 60 else path
                    print(f"| {page} | {shown} | {median:.0f} | {max(times):.0f} | {size:.0f} |")
        finally:
            server.end()
        out = Path(temporary) / "export"
        started = time.perf_counter()
        command = [sys.executable, "-m", "micromimic", "export", "study", "--out", str(out)]
        subprocess.run([*command, "--data", str(data)], check=True, stdout=subprocess.DEVNULL)
        print(f"\nexport study: {time.perf_counter() - started:.1f} s; "
              + ", ".join(f"{p.name} {p.stat().st_size / 2**20:.1f} MiB" for p in sorted(out.iterdir())))  # fmt: skip # noqa: E501
        print(f"{slow} requests over {LIMIT_MS} ms")


if __name__ == "__main__":
    main()
