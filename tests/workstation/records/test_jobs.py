"""Jobs: one server gets each, none is lost, the machine answers once."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from micromimic.core.errors import ConflictError, RefusedError
from micromimic.workstation.records import jobs, people, recordings, reviews
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.models import Job

from ...store_samples import NOW, add_recording, analysed, answer, claimed, view

TIMEOUT = 120
CLAIM_ALL = """
import sys
from pathlib import Path
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.jobs import claim_job
data, url, name = sys.argv[1:]
with open_store(Path(data), url or None, busy_s=60) as store:
    sys.stdin.readline()  # all begin together
    while job := claim_job(store, name):
        print(job.id, flush=True)
"""


def url_of(store: Store) -> str:
    if store.kind == "sqlite":
        return ""
    return store.writer.url.render_as_string(hide_password=False)


# ---------------------------------------------------------------------------------- one job


def test_the_oldest_waits_the_shortest(store: Store) -> None:
    made = [add_recording(store).id for _ in range(3)]
    assert [claimed(store).recording_id for _ in made] == made
    assert jobs.claim_job(store, "w") is None


def test_a_job_from_queue_to_answer(store: Store) -> None:
    recording = add_recording(store)
    job = claimed(store)
    assert (job.status, job.attempts, job.stage, job.done, job.total) == ("running", 1, "", 0, None)
    assert job.started_at is not None
    assert job.started_at > job.created_at
    told = jobs.beat(store, job.id, stage="tracking", done=120, total=2200, worker="w")
    assert view(told) == view(job, stage="tracking", done=120, total=2200)
    assert jobs.beat(store, job.id, stage="evidence", done=1, total=None).total is None
    assert reviews.get_analysis(store, recording.id) is None
    done = jobs.finish_job(store, job.id, **answer(3), worker="w")
    assert done.job is not None
    assert (done.events, done.job.status, done.job.error) == (3, "done", "")
    assert done.job.finished_at is not None
    kept = reviews.get_analysis(store, recording.id)
    assert kept is not None
    assert {"payload": kept.payload, "review": kept.review} == answer(3)
    assert list(kept.payload) == list(answer()["payload"])  # in the order of the file
    assert view(jobs.list_jobs(store, "done")) == (view(done.job),)
    assert jobs.list_jobs(store, "queued") == ()


def test_the_machine_answers_once(store: Store) -> None:
    recording = analysed(store, events=1)
    before = view(reviews.get_analysis(store, recording))
    job = recordings.get_recording(store, recording).job
    assert job is not None
    for ask in (
        lambda: jobs.finish_job(store, job.id, **answer(5)),
        lambda: jobs.requeue_job(store, recording),
        lambda: jobs.fail_job(store, job.id, "too late"),
        lambda: jobs.cancel_job(store, job.id),
        lambda: jobs.beat(store, job.id, stage="again", done=0, total=None),
    ):
        with pytest.raises(ConflictError, match=r"got one that is done|machine answers once"):
            ask()
    assert view(reviews.get_analysis(store, recording)) == before
    assert view(jobs.get_job(store, job.id)) == view(job)


def test_an_answer_that_is_no_json_leaves_the_job_running(store: Store) -> None:
    add_recording(store)
    job = claimed(store)
    wrong = answer()
    wrong["payload"]["indicators"] = {"rate": float("nan")}
    with pytest.raises(RefusedError, match="JSON"):
        jobs.finish_job(store, job.id, **wrong)
    assert jobs.get_job(store, job.id).status == "running"
    assert jobs.finish_job(store, job.id, **answer()).events == 2


def test_a_job_fails_with_one_line_and_is_tried_again(store: Store) -> None:
    recording = add_recording(store)
    first = claimed(store)
    failed = jobs.fail_job(store, first.id, "line one\n\x00line two " + "x" * 5000)
    assert failed.status == "failed"
    assert failed.error.startswith("line one line two x")
    assert len(failed.error) == 1000
    assert failed.finished_at is not None
    second = jobs.requeue_job(store, recording.id)
    assert (second.status, second.attempts) == ("queued", 0)
    assert second.id != first.id
    assert view(recordings.get_recording(store, recording.id).job) == view(second)
    with pytest.raises(ConflictError, match="got one that is queued"):
        jobs.requeue_job(store, recording.id)
    assert claimed(store).id == second.id
    assert view(jobs.get_job(store, first.id)) == view(failed)


def test_a_job_is_cancelled_while_it_waits_or_runs(store: Store) -> None:
    add_recording(store)
    waiting = add_recording(store).job
    assert waiting is not None
    running = claimed(store)
    assert jobs.cancel_job(store, waiting.id).status == "cancelled"
    assert jobs.cancel_job(store, running.id).status == "cancelled"
    for ask in (
        lambda: jobs.beat(store, running.id, stage="x", done=0, total=None),
        lambda: jobs.finish_job(store, running.id, **answer()),
        lambda: jobs.release_job(store, running.id),
        lambda: jobs.cancel_job(store, running.id),
    ):
        with pytest.raises(ConflictError, match="got one that is cancelled"):
            ask()
    assert jobs.claim_job(store, "w") is None
    assert reviews.get_analysis(store, running.recording_id) is None


def test_a_released_job_has_lost_no_attempt(store: Store) -> None:
    job_id = claimed(store, add_recording(store).name).id
    for _ in range(5):
        assert jobs.release_job(store, job_id).attempts == 0
        again = claimed(store, "other")
        assert (again.id, again.attempts) == (job_id, 1)


def test_a_server_keeps_to_its_own_jobs(store: Store) -> None:
    add_recording(store)
    job = claimed(store, "one")
    for ask in (
        lambda: jobs.beat(store, job.id, stage="x", done=0, total=None, worker="two"),
        lambda: jobs.finish_job(store, job.id, **answer(), worker="two"),
        lambda: jobs.fail_job(store, job.id, "x", worker="two"),
        lambda: jobs.release_job(store, job.id, worker="two"),
    ):
        with pytest.raises(ConflictError, match="got one of one"):
            ask()
    assert view(jobs.get_job(store, job.id)) == view(job)


@pytest.mark.parametrize("number", [-1, 2**63])
def test_progress_is_a_count(store: Store, number: int) -> None:
    add_recording(store)
    job = claimed(store)
    with pytest.raises(RefusedError, match="expected a count"):
        jobs.beat(store, job.id, stage="x", done=number, total=None)


# ---------------------------------------------------------------------------------- after a crash


def test_jobs_of_a_server_that_died_wait_again(store: Store) -> None:
    made = [add_recording(store).id for _ in range(4)]
    mine = claimed(store, "me")
    stale = claimed(store, "gone")
    store.clock = ticking(NOW + timedelta(hours=1))
    alive = claimed(store, "alive")
    found = jobs.recover_jobs(store, "me", stale_s=600)
    assert [(j.id, j.status, j.attempts) for j in found] == [
        (mine.id, "queued", 1),
        (stale.id, "queued", 1),
    ]
    assert jobs.get_job(store, alive.id).status == "running"
    assert jobs.recover_jobs(store, "me", stale_s=600) == ()
    assert [claimed(store).recording_id for _ in range(3)] == [made[0], made[1], made[3]]


def test_a_beat_keeps_a_job_from_being_stale(store: Store) -> None:
    add_recording(store)
    job = claimed(store, "other")
    store.clock = ticking(NOW + timedelta(seconds=300))
    jobs.beat(store, job.id, stage="x", done=1, total=2)
    store.clock = ticking(NOW + timedelta(seconds=410))
    assert jobs.recover_jobs(store, "me", stale_s=120) == ()
    store.clock = ticking(NOW + timedelta(seconds=430))
    assert [j.id for j in jobs.recover_jobs(store, "me", stale_s=120)] == [job.id]


def test_a_job_that_takes_the_server_down_thrice_is_not_tried_again(store: Store) -> None:
    recording = add_recording(store)
    for attempt in (1, 2):
        claimed(store)
        (job,) = jobs.recover_jobs(store, "w")
        assert (job.status, job.attempts) == ("queued", attempt)
    claimed(store)
    (job,) = jobs.recover_jobs(store, "w")
    assert (job.status, job.attempts) == ("failed", 3)
    assert "in 3 attempts" in job.error
    assert jobs.claim_job(store, "w") is None
    assert jobs.requeue_job(store, recording.id).attempts == 0


def ticking(now: datetime) -> Callable[[], datetime]:
    return lambda: now.astimezone(UTC)


# ---------------------------------------------------------------------------------- at once


def test_threads_never_claim_the_same_job(store: Store) -> None:
    made = {add_recording(store).id for _ in range(40)}
    barrier = Barrier(8)

    def claim_all(name: str) -> list[str]:
        barrier.wait(TIMEOUT)
        found = []
        while job := jobs.claim_job(store, name):
            found.append(job.recording_id)
        return found

    with ThreadPoolExecutor(8) as pool:
        got = [one for part in pool.map(claim_all, "abcdefgh") for one in part]
    assert sorted(got) == sorted(made)
    assert Counter(job.status for job in jobs.list_jobs(store)) == {"running": 40}
    assert {job.attempts for job in jobs.list_jobs(store)} == {1}


def test_processes_never_claim_the_same_job(store: Store) -> None:
    made = {job.id for _ in range(40) if (job := add_recording(store).job)}
    command = [sys.executable, "-c", CLAIM_ALL, str(store.data), url_of(store)]
    running = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    got: list[str] = []
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        out, _ = process.communicate(timeout=TIMEOUT)
        assert process.returncode == 0
        got += out.split()
    assert sorted(got) == sorted(made)


def test_two_who_finish_the_same_job(store: Store) -> None:
    recording = add_recording(store)
    job = claimed(store)
    outcomes = at_once(
        [lambda k=k: jobs.finish_job(store, job.id, **answer(k)).events for k in (1, 2, 3, 4)]
    )
    (won,) = [o for o in outcomes if isinstance(o, int)]
    assert sum(isinstance(o, ConflictError) for o in outcomes) == 3
    kept = reviews.get_analysis(store, recording.id)
    assert kept is not None
    assert len(kept.payload["events"]) == won


def test_two_who_start_the_same_analysis_again(store: Store) -> None:
    recording = add_recording(store)
    jobs.fail_job(store, claimed(store).id, "broken")
    outcomes = at_once([lambda: jobs.requeue_job(store, recording.id)] * 4)
    assert sum(isinstance(o, Job) for o in outcomes) == 1
    assert sum(isinstance(o, ConflictError) for o in outcomes) == 3
    assert len(jobs.list_jobs(store)) == 2


def test_two_who_take_the_same_code(store: Store) -> None:
    outcomes = at_once([lambda: people.add_subject(store, "P1")] * 4)
    assert sum(isinstance(o, ConflictError) for o in outcomes) == 3
    assert [s.code for s in people.list_subjects(store)] == ["P1"]


def at_once(asks: list[Callable[[], Any]]) -> list[Any]:
    """What each got, begun together; errors of the store as values."""
    barrier = Barrier(len(asks))

    def run(ask: Callable[[], Any]) -> Any:
        barrier.wait(TIMEOUT)
        try:
            return ask()
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(len(asks)) as pool:
        return list(pool.map(run, asks))
