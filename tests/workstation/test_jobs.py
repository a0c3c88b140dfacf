"""The runner of jobs: whatever a worker does, each job ends, and the runner goes on.

Workers are small scripts here, so that they can be as bad as one likes; `test_decoder_fuzz` and
`test_server_crash` have real ones.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

pytest.importorskip("sqlalchemy")

from anyio.from_thread import BlockingPortal, start_blocking_portal

from micromimic.core.errors import NotFoundError, UnavailableError
from micromimic.workstation.jobs.results import RESULTS, clear_results, read_results
from micromimic.workstation.jobs.runner import WORK_PREFIX, Intervals, JobRunner
from micromimic.workstation.jobs.supervise import TimeLimits
from micromimic.workstation.records import jobs, privacy, recordings, reviews
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.folder import DATABASE_NAME
from micromimic.workstation.records.models import Consent, Recording
from micromimic.workstation.settings import Settings

pytestmark = pytest.mark.needs("web")
PATIENCE_S = 120.0
"""Ends a hang; no test measures time."""
YES = Consent(given=True, noted_by="kim")

FAKE = """
import json, os, signal, sys, time
from pathlib import Path
task = json.loads(sys.stdin.buffer.readline())
out, kind = Path(task["folder"]), task["name"]
Path(task["video"]).with_suffix(".pid").write_text(str(os.getpid()))
def say(**message):
    print(json.dumps(message), flush=True)
def write(**changes):
    for name in RESULTS:
        (out / name).write_text("{}")
    (out / "events").mkdir()
    (out / "events" / "onset.jpg").write_bytes(b"picture")
    (out / "events.json").write_text(json.dumps({"schema": "micromimic.events/1", "events": []}))
    (out / "review.json").write_text(json.dumps({"fps": 25.0, "frames": 2}))
say(missing=[])
for k in range(3):
    say(stage="tracking", done=k, total=3)
if kind == "ok":
    write(); say(finished=True)
elif kind == "slow":
    while not Path(task["video"]).with_suffix(".go").exists():
        say(stage="tracking", done=3, total=3); time.sleep(0.05)
    write(); say(finished=True)
elif kind == "bad file":
    say(error="expected a video, got a song; pass a video", refused=True)
elif kind == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
elif kind == "exit":
    print("x" * 10_000, "the reason why", file=sys.stderr); sys.exit(7)
elif kind == "silent":
    sys.stdin.read()
elif kind == "little work":
    say(frames=1, pixels=1)
    while True:
        say(stage="tracking", done=1, total=None); time.sleep(0.05)
elif kind == "endless":
    while True:  # and never waits
        print('{"stage": "tracking", "done": 1, "total": 2}\\n' * 1000, end="", flush=True)
elif kind == "no results":
    say(finished=True)
elif kind == "link":
    write(); (out / "events.csv").unlink(); (out / "events.csv").symlink_to("/etc/passwd")
    say(finished=True)
elif kind == "rubbish":
    sys.stdout.buffer.write(b"\\xff\\x00 no json\\n[1,2]\\n{\\"stage\\": 5, \\"done\\": \\"x\\"}\\n" + b"y" * 200000 + b"\\n")
    sys.stdout.flush()
    say(error="two\\nlines " + "z" * 5000)
elif kind == "writes on":
    say(stage="pictures", done=0, total=1)
    while True:  # as a decoder that is not interrupted while its recording is forgotten
        out.mkdir(parents=True, exist_ok=True); (out / "face.mp4").write_bytes(b"face"); time.sleep(0.01)
"""  # noqa: E501 - a script of its own


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "data") as store:
        yield store


@pytest.fixture
def hasty(store: Store) -> Iterator[Store]:
    """The same records, which are waited for only briefly where another has locked them."""
    with open_store(store.data, busy_s=0.05) as hasty:
        yield hasty


@dataclass
class Running:
    """A runner in an event loop of its own, and what waits for its steps."""

    runner: JobRunner
    portal: BlockingPortal

    def start(self) -> None:
        self.portal.call(self.runner.start)

    def stop(self) -> None:
        self.portal.call(self.runner.stop)


STEPPED = threading.Condition()


def on_step() -> None:
    with STEPPED:
        STEPPED.notify_all()


def until(true: Callable[[], object], what: str) -> None:
    """Wait until something is so after a step of a runner."""
    with STEPPED:
        assert STEPPED.wait_for(true, PATIENCE_S), f"never came: {what}"


@pytest.fixture
def running(store: Store, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts runners, and stops them in the end, whatever happened."""
    started: list[Running] = []
    script = tmp_path / "worker.py"
    script.write_text(f"RESULTS = {RESULTS!r}\n{FAKE}")

    def start(
        *, jobs: int = 1, on: Any = None, first_command: Sequence[str] = (), **times: float
    ) -> Running:
        commands = iter([first_command] if first_command else [])
        runner = JobRunner(
            on or store,
            Settings(store.data, jobs=jobs),
            times=TimeLimits(**{"whole_s": PATIENCE_S, "silence_s": PATIENCE_S, **times}),
            intervals=Intervals(poll_s=0.1, retry_s=0.05, beat_s=0.1, expire_again_s=0.05),
            command=lambda: next(commands, (sys.executable, str(script))),
            on_step=on_step,
        )
        started.append(Running(runner, portal))
        started[-1].start()
        return started[-1]

    with start_blocking_portal() as portal:
        yield start
        for each in started:
            each.stop()


def add(store: Store, kind: str, **changes: object) -> Recording:
    recording_id = uuid4().hex
    folder = store.folder(recording_id)
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(b"video")
    return recordings.add_recording(
        store,
        id=recording_id,
        name=kind,
        extension=".mp4",
        size_bytes=5,
        sha256="0" * 64,
        consent=YES,
        **{"expires_at": None, **changes},  # type: ignore[arg-type]
    )


def status(store: Store, recording: Recording) -> str:
    job = recordings.get_recording(store, recording.id).job
    assert job is not None
    return job.status


def ended(store: Store, *recordings: Recording) -> list[str]:
    until(lambda: all(status(store, r) not in ("queued", "running") for r in recordings), "the end")
    return [status(store, r) for r in recordings]


def files(store: Store, recording: Recording) -> set[str]:
    folder = store.folder(recording.id)
    return (
        {p.name for p in folder.iterdir()} - {"video.pid", "video.go"} if folder.exists() else set()
    )


def started(store: Store, recording: Recording) -> int:
    """The worker's process id, once it is at work."""
    pid = store.folder(recording.id) / "video.pid"
    until(lambda: pid.exists() and pid.read_text(), "a worker")
    until(
        lambda: (job := recordings.get_recording(store, recording.id).job) and job.stage, "progress"
    )
    return int(pid.read_text())


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_result_is_kept(store: Store, running: Callable[..., Running]) -> None:
    recording = add(store, "ok")
    running()
    assert ended(store, recording) == ["done"]
    until(lambda: files(store, recording) == {*RESULTS, "events", "video.mp4"}, "a tidy folder")
    analysis = reviews.get_analysis(store, recording.id)
    assert analysis is not None
    assert analysis.payload == {"schema": "micromimic.events/1", "events": []}
    assert analysis.review == {"fps": 25.0, "frames": 2}


BAD = {
    "bad file": "expected a video, got a song; pass a video",
    "crash": "SIGSEGV",
    "exit": "status 7; see the server's log",
    "no results": "expected complete results, got a part",
    "link": "expected complete results, got a part",
    "rubbish": "two lines zzz",
}


def test_each_bad_end_is_one_line_and_the_next_job_runs(
    store: Store, running: Callable[..., Running], caplog: pytest.LogCaptureFixture
) -> None:
    bad = [add(store, kind) for kind in BAD]
    good = add(store, "ok")
    running()
    assert ended(store, *bad, good) == ["failed"] * len(bad) + ["done"]
    for recording, words in zip(bad, BAD.values(), strict=True):
        job = recordings.get_recording(store, recording.id).job
        assert job is not None and words in job.error
        assert "\n" not in job.error and len(job.error) <= 500
        assert (job.stage == "refused") is (recording.name == "bad file")
        assert reviews.get_analysis(store, recording.id) is None
        until(lambda r=recording: files(store, r) == {"video.mp4"}, "a tidy folder")
    assert "the reason why" in caplog.text  # for whoever runs the server, not for the page
    assert "Unknown child process" not in caplog.text  # asyncio alone collects exit statuses


def test_time_is_limited(store: Store, running: Callable[..., Running]) -> None:
    silent = add(store, "silent")
    server = running(silence_s=0.5)
    assert ended(store, silent) == ["failed"]
    server.stop()
    endless = add(store, "endless")
    running(whole_s=1.0)
    assert ended(store, endless) == ["failed"]
    lines = [
        job.error for r in (silent, endless) if (job := recordings.get_recording(store, r.id).job)
    ]
    assert "expected progress within 0 s, got none" in lines[0]
    assert "expected an analysis within 0 min, got a longer one" in lines[1]
    said = store.folder(endless.id) / "video.pid"
    number = said.read_text() if said.exists() else ""  # unless its time was over before
    until(lambda: not number or gone(int(number)), "the worker's end")


def test_patience_goes_by_the_work_that_a_file_states(
    store: Store, running: Callable[..., Running]
) -> None:
    recording = add(store, "little work")
    running(start_s=0.5)
    assert ended(store, recording) == ["failed"]
    job = recordings.get_recording(store, recording.id).job
    assert job is not None
    assert "expected an analysis within 0 min, got a longer one" in job.error


def test_progress_is_told(store: Store, running: Callable[..., Running]) -> None:
    recording = add(store, "slow")
    running()
    until(
        lambda: (
            (job := recordings.get_recording(store, recording.id).job)
            and (job.stage, job.done, job.total) == ("tracking", 3, 3)
        ),
        "the last progress",
    )
    (store.folder(recording.id) / "video.go").touch()
    assert ended(store, recording) == ["done"]


def test_cancelled_while_it_runs(store: Store, running: Callable[..., Running]) -> None:
    recording, after = add(store, "slow"), add(store, "ok")
    server = running()
    pid = started(store, recording)
    job = recordings.get_recording(store, recording.id).job
    assert job is not None
    jobs.cancel_job(store, job.id)
    server.runner.wake()
    assert ended(store, recording, after) == ["cancelled", "done"]
    assert gone(pid)
    until(lambda: files(store, recording) == {"video.mp4"}, "a tidy folder")
    # And analysed again, when somebody asks for it.
    (store.folder(recording.id) / "video.go").touch()
    jobs.requeue_job(store, recording.id)
    server.runner.wake()
    assert ended(store, recording) == ["done"]


def test_forgotten_while_its_worker_writes(store: Store, running: Callable[..., Running]) -> None:
    recording = add(store, "writes on")
    server = running()
    pid = started(store, recording)
    privacy.remove_recording(store, recording.id)
    server.runner.wake()
    until(lambda: gone(pid), "the worker's end")
    until(lambda: not store.folder(recording.id).exists(), "an empty place")
    with pytest.raises(NotFoundError):
        recordings.get_recording(store, recording.id)


def test_stopped_while_it_runs_and_started_again(
    store: Store, running: Callable[..., Running]
) -> None:
    recording = add(store, "slow")
    server = running()
    pid = started(store, recording)
    server.stop()
    assert gone(pid)
    job = recordings.get_recording(store, recording.id).job
    assert job is not None
    assert (job.status, job.attempts) == ("queued", 0)  # stopping is no failed attempt
    assert files(store, recording) == {"video.mp4"}
    server.start()  # which removes what no record owns
    (store.folder(recording.id) / "video.go").touch()
    assert ended(store, recording) == ["done"]


def test_what_a_killed_server_left(store: Store, running: Callable[..., Running]) -> None:
    recording, waiting = add(store, "ok"), add(store, "ok")
    name = JobRunner(store, Settings(store.data)).name
    job = jobs.claim_job(store, name)
    assert job is not None and job.recording_id == recording.id
    folder = store.folder(recording.id)
    (folder / f"{WORK_PREFIX}{job.id}" / "out").mkdir(parents=True)
    (folder / "proxy.mp4").write_bytes(b"a part")
    (folder / "events").mkdir()
    (folder / "events" / "old.jpg").touch()
    running()
    assert ended(store, recording, waiting) == ["done", "done"]
    until(lambda: files(store, recording) == {*RESULTS, "events", "video.mp4"}, "a tidy folder")
    assert [p.name for p in (folder / "events").iterdir()] == ["onset.jpg"]
    after = recordings.get_recording(store, recording.id).job
    assert after is not None and after.attempts == 2


def test_a_job_that_kills_the_server_again_and_again_is_given_up(
    store: Store, running: Callable[..., Running]
) -> None:
    recording = add(store, "ok")
    name = JobRunner(store, Settings(store.data)).name
    for _ in range(3):
        assert jobs.claim_job(store, name) is not None
        jobs.recover_jobs(store, name)
    running()
    assert ended(store, recording) == ["failed"]


def test_each_job_once_however_many_slots(store: Store, running: Callable[..., Running]) -> None:
    recordings = [add(store, "ok") for _ in range(9)]
    running(jobs=3)
    assert ended(store, *recordings) == ["done"] * 9
    assert {job.attempts for job in jobs.list_jobs(store)} == {1}


def test_a_locked_database_loses_no_result(
    store: Store, hasty: Store, running: Callable[..., Running]
) -> None:
    recording = add(store, "slow")
    running(on=hasty)
    pid = started(store, recording)
    lock = sqlite3.connect(store.data / DATABASE_NAME, isolation_level=None)
    try:
        lock.execute("BEGIN IMMEDIATE")
        (store.folder(recording.id) / "video.go").touch()
        until(lambda: gone(pid), "the worker's end")
        until(lambda: "review.json" in files(store, recording), "results in place")
        assert status(store, recording) == "running"  # and nobody can say otherwise
        lock.execute("ROLLBACK")
    finally:
        lock.close()
    assert ended(store, recording) == ["done"]
    assert reviews.get_analysis(store, recording.id) is not None


def fail_first(
    patch: pytest.MonkeyPatch,
    function: Callable[..., Any],
    times: int,
    error: Exception,
    *,
    done: bool = False,
) -> list[int]:
    """Let a function of the records fail so many times; ``done``: after it has done its work."""
    module, failed = sys.modules[function.__module__], list[int]()

    def failing(*args: Any, **named: Any) -> Any:
        if len(failed) >= times:
            return function(*args, **named)
        failed.append(len(failed))
        if done:
            function(*args, **named)
        raise error

    patch.setattr(module, function.__name__, failing)
    return failed


def test_a_database_that_is_gone_for_a_while(
    store: Store, running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = add(store, "ok"), add(store, "bad file")
    gone = UnavailableError("expected the database, got none; start it")
    calls = (jobs.claim_job, jobs.beat, jobs.finish_job, jobs.fail_job, privacy.expire)
    failed = [fail_first(monkeypatch, call, 4, gone) for call in calls]
    running()
    assert ended(store, good, bad) == ["done", "failed"]
    assert [len(times) for times in (failed[0], *failed[2:4])] == [4, 4, 4]


def test_a_result_that_was_kept_but_not_confirmed(
    store: Store, running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks after the commit: the answer is there, and its files stay."""
    recording, after = add(store, "ok"), add(store, "ok")
    broken = UnavailableError("expected an answer, got a broken connection; wait")
    failed = fail_first(monkeypatch, jobs.finish_job, 1, broken, done=True)
    running()
    assert ended(store, recording, after) == ["done", "done"]
    assert files(store, recording) == {*RESULTS, "events", "video.mp4"}
    assert failed


def test_the_queue_goes_on_after_what_nobody_thought_of(
    store: Store, running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = add(store, "ok"), add(store, "ok")
    failed = fail_first(monkeypatch, jobs.claim_job, 2, RuntimeError("no such thing"))
    running(first_command=("/no/such/program",))
    assert ended(store, first, second) == ["failed", "done"]
    job = recordings.get_recording(store, first.id).job
    assert job is not None
    assert job.error == ("expected to start a worker, got: No such file or directory; try again")
    assert len(failed) == 2


def test_no_room_for_results(
    store: Store, running: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = add(store, "ok")

    def full(*args: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("micromimic.workstation.jobs.runner.clear_results", full)
    running()
    assert ended(store, recording) == ["failed"]
    job = recordings.get_recording(store, recording.id).job
    assert job is not None and "No space left on device" in job.error


def test_retention_begins_with_the_server(store: Store, running: Callable[..., Running]) -> None:
    over = datetime.now(UTC) - timedelta(days=1)
    recording = add(store, "ok", expires_at=over)
    running()
    until(lambda: recordings.get_recording(store, recording.id).media == "expired", "retention")
    assert ended(store, recording)[0] in ("cancelled", "failed", "done")
    until(lambda: "video.mp4" not in files(store, recording), "no video")


def test_the_name_is_the_same_after_a_restart(tmp_path: Path, store: Store) -> None:
    first, second = (JobRunner(store, Settings(store.data)).name for _ in range(2))
    other = JobRunner(store, Settings(tmp_path / "elsewhere")).name
    assert first == second != other


def test_limits_follow_the_settings(store: Store) -> None:
    settings = Settings(store.data, memory_mb=777, max_seconds=60, max_bytes=10)
    runner = JobRunner(store, settings)
    assert runner.limits.memory_mb == 777
    assert runner.limits.file_mb == 1024
    longer = JobRunner(store, replace(settings, max_seconds=600))
    assert longer.times.whole_s > runner.times.whole_s
    assert longer.limits.cpu_s > longer.times.whole_s


def test_results_folder(tmp_path: Path) -> None:
    (tmp_path / "video.mp4").touch()
    (tmp_path / "x").touch()
    (tmp_path / "events" / "0").mkdir(parents=True)
    clear_results(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["video.mp4"]
    clear_results(tmp_path / "not there")
    with pytest.raises(FileNotFoundError, match=r"expected curve\.csv in the results"):
        read_results(tmp_path)
    for name in RESULTS:
        (tmp_path / name).write_text(json.dumps({"name": name}))
    assert read_results(tmp_path) == ({"name": "events.json"}, {"name": "review.json"})
