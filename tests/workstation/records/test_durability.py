"""What is done is on the disk; what was lost all the same can be made again."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs web: fastapi is not installed")

from micromimic.core.errors import ConflictError
from micromimic.core.files import write_whole
from micromimic.workstation.jobs.runner import JobRunner
from micromimic.workstation.records import jobs, recordings, reviews
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.folder import RESULTS
from micromimic.workstation.records.models import Recording
from micromimic.workstation.settings import Settings
from micromimic.workstation.uploads import Incoming, Upload, keep

from ...store_samples import add_recording, analysed, answer, claimed, view

pytestmark = pytest.mark.needs("web")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "data", busy_s=0.5) as found:
        yield found


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What happens, in order: numbers of files that are on the disk, and what tests add."""
    done: list[Any] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        real(handle)
        done.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    return done


def number(path: Path) -> int:
    return path.stat().st_ino


def fill(folder: Path, given: dict[str, dict[str, Any]]) -> None:
    """A worker's complete results."""
    (folder / "events" / "0").mkdir(parents=True)
    for name in (*RESULTS, "events/0/apex.jpg"):
        (folder / name).write_text("x")
    (folder / "events.json").write_text(json.dumps(given["payload"]))
    (folder / "review.json").write_text(json.dumps(given["review"]))


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, steps: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        steps.append("replace")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    write_whole(tmp_path / "a.txt", "x")
    assert steps == [number(tmp_path / "a.txt"), "replace"]


def test_files_of_a_job_are_on_the_disk_before_it_is_done(
    store: Store, steps: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = add_recording(store, files=True)
    folder = store.folder(recording.id)
    runner = JobRunner(store, Settings(store.data))
    job = claimed(store, runner.name)
    out = folder / ".work-1" / "out"
    fill(out, answer())
    real = jobs.finish_job

    def finish(*args: Any, **kwargs: Any) -> Recording:
        steps.append("commit")
        return real(*args, **kwargs)

    monkeypatch.setattr(jobs, "finish_job", finish)
    end = asyncio.run(runner.keep(job, out, folder))
    assert end.kind == "finished"
    before = steps[: steps.index("commit")]
    made = [*RESULTS, "events", "events/0", "events/0/apex.jpg"]
    assert {number(folder / name) for name in made} <= set(before)
    assert before[-1] == number(folder)  # the names, last


def test_an_upload_is_on_the_disk_before_it_is_recorded(
    store: Store, steps: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recordings.add_recording

    def add(*where: Any, **given: Any) -> Recording:
        steps.append("commit")
        return real(*where, **given)

    monkeypatch.setattr(recordings, "add_recording", add)
    incoming = Incoming(store.data, ".mp4")
    incoming.write(b"video")
    about = Upload(name="a.mp4", consent=True)
    made = keep(incoming, about, store, Settings(store.data))
    incoming.discard()
    folder = store.folder(made.id)
    places = [folder / "video.mp4", folder, folder.parent, store.data]
    assert steps == [*map(number, places), "commit"]


# ---------------------------------------------------------------------------------- lost


def lose(store: Store, recording: str, name: str = "events.json") -> None:
    """As a power cut does to a file that was never flushed."""
    (store.folder(recording) / name).write_bytes(b"")


@pytest.fixture
def done(store: Store) -> str:
    """Id of a recording with its answer and all of its files."""
    recording = analysed(store, files=True)
    fill(store.folder(recording), answer())
    return recording


@pytest.mark.parametrize("name", sorted(RESULTS))
def test_lost_files_are_made_again_and_the_answer_stays(store: Store, done: str, name: str) -> None:
    assert jobs.requeue_lost(store) == ()
    reviews.decide(store, done, coder="kim", expected=0, action="accept", event="m0")
    before = view((reviews.get_analysis(store, done), reviews.history(store, done)))
    lose(store, done, name)
    (job,) = jobs.requeue_lost(store)
    assert (job.recording_id, job.status) == (done, "queued")
    assert jobs.requeue_lost(store) == ()  # once
    recording = jobs.finish_job(store, claimed(store).id, **answer())
    assert recording.job is not None
    assert recording.job.status == "done"
    assert view((reviews.get_analysis(store, done), reviews.history(store, done))) == before


def test_an_answer_is_never_overwritten_by_another(store: Store, done: str) -> None:
    before = view(reviews.get_analysis(store, done))
    lose(store, done)
    runner = JobRunner(store, Settings(store.data))
    jobs.requeue_job(store, done)  # as the page asks for
    job = claimed(store, runner.name)
    out = store.folder(done) / ".work-1" / "out"
    fill(out, answer(3))
    end = asyncio.run(runner.keep(job, out, store.folder(done)))
    assert end.kind == "failed"
    assert end.line.startswith("expected the events of the answer that is kept, got others")
    assert (store.folder(done) / "events.json").read_bytes() == b""  # nothing of another answer
    with pytest.raises(ConflictError, match="got others"):
        jobs.finish_job(store, job.id, **answer(3))
    assert view(reviews.get_analysis(store, done)) == before


def test_what_has_its_files_is_not_analysed_again(store: Store, done: str) -> None:
    with pytest.raises(ConflictError, match="the machine answers once"):
        jobs.requeue_job(store, done)
    lose(store, done)
    (store.folder(done) / "video.mp4").unlink()  # nothing to make them of
    assert jobs.requeue_lost(store) == ()
    with pytest.raises(ConflictError, match="the machine answers once"):
        jobs.requeue_job(store, done)


def test_a_start_looks_for_lost_files(store: Store, done: str) -> None:
    lose(store, done)

    async def start_and_stop() -> None:
        runner = JobRunner(store, Settings(store.data))
        await runner.start()
        await runner.stop()

    asyncio.run(start_and_stop())
    assert [job.recording_id for job in jobs.list_jobs(store, "queued")] == [done]
