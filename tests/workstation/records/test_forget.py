"""Forgetting a person, and removing what is not wanted any more: no byte is left."""

from __future__ import annotations

import shutil
from datetime import date
from itertools import count
from pathlib import Path
from threading import Event, Thread

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import func, select

from micromimic.core.errors import ConflictError, NotFoundError, UnavailableError
from micromimic.workstation.records import jobs, markers, people, privacy, recordings, reviews
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.models import Base, Consent, Subject

from ...postgres_server import running_postgres
from ...store_samples import (
    add_recording,
    add_session,
    analysed,
    answer,
    claimed,
    files,
    fill_folder,
)

MARK = "Zq7Xv"
"""In every text that is planted; nothing else has it."""


def plant(store: Store, code: str, mark: str, recordings: int = 3) -> set[str]:
    """A person with everything a person can have; the ids of it all."""
    person = people.add_subject(store, code, note=f"{mark} subject note " * 50)
    ids = {person.id}
    for k in range(2):
        session = people.add_session(
            store,
            person.id,
            title=f"{mark} title {k}",
            held_on=date(2024, 1, 1 + k),
            consent=Consent(True, f"{mark} nurse", f"{mark} consent"),
        )
        ids.add(session.id)
        for number in range(recordings):
            ids |= plant_recording(store, session.id, mark, number)
    return ids


def plant_recording(store: Store, session: str, mark: str, number: int) -> set[str]:
    made = add_recording(store, session, name=f"{mark} video {number}.mp4")
    fill_folder(store.folder(made.id), f"{mark} file")
    job = claimed(store, f"{mark} worker")
    if number % 3 == 0:
        jobs.fail_job(store, job.id, f"{mark} error " * 20)
    if number % 3 == 1:
        return {made.id, job.id}  # still running
    if number % 3 == 2:
        given = answer(3)
        given["payload"]["source"] = {"path": f"{mark} path"}
        given["review"]["landmarks"] = [f"{mark} {k}" for k in range(2000)]  # many pages
        jobs.finish_job(store, job.id, **given)
        for expected in range(12):
            reviews.decide(
                store, made.id, coder=f"{mark} coder", expected=expected, action="comment",
                event="m1", note=f"{mark} comment " * 60,
            )  # fmt: skip
        markers.add_markers(
            store, made.id, [{"tier": mark, "label": f"{mark} film", "onset_s": 1}], origin=mark
        )
    return {made.id, job.id}


def everything(store: Store) -> bytes:
    """Every byte of the data folder, and every row of the database."""
    found = [path.relative_to(store.data).as_posix().encode() for path in store.data.rglob("*")]
    found.append(every_byte(store.data))
    with store.read() as transaction:
        for table in Base.metadata.sorted_tables:
            found += [repr(row).encode() for row in transaction.execute(table.select())]
    return b"\n".join(found)


def every_byte(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def row_counts(store: Store) -> dict[str, int]:
    with store.read() as transaction:
        return {
            table.name: transaction.scalars(select(func.count()).select_from(table)).one()
            for table in Base.metadata.sorted_tables
        }


# ---------------------------------------------------------------------------------- forget


def test_a_forgotten_person_has_left_no_byte(store: Store, request: pytest.FixtureRequest) -> None:
    kept = plant(store, "P-stays", "other")
    privacy.sweep(store)  # forgetting does so too, and what is owned stays
    before = row_counts(store), files(store.data / "recordings")
    ids = plant(store, f"{MARK}-code", MARK)
    people.change_subject(
        store, people.find_subject(store, f"{MARK}-code").id, note=f"{MARK} new note"
    )
    present = everything(store)
    needles = {MARK.encode(), *(i.encode() for i in ids)}
    assert all(needle in present for needle in needles)

    counts = privacy.forget_subject(store, f" {MARK}-code ")

    assert counts == {
        "subjects": 1, "sessions": 2, "recordings": 6, "jobs": 6, "analyses": 2,
        "decisions": 24, "markers": 2, "files": 6 * 15,
    }  # fmt: skip
    left = everything(store)
    assert {needle for needle in needles if needle in left} == set()
    assert all(i.encode() in left for i in kept)
    assert (row_counts(store), files(store.data / "recordings")) == before
    with pytest.raises(NotFoundError, match="expected the code of a subject"):
        privacy.forget_subject(store, f"{MARK}-code")
    if store.kind == "postgresql":
        with store.bare() as connection:
            connection.exec_driver_sql("CHECKPOINT")  # the server's own log is not looked at
        tables = running_postgres(request.config).home / "data" / "base"
        assert b"other title" in every_byte(tables)
        assert MARK.encode() not in every_byte(tables)
    store.close()
    assert MARK.encode() not in every_byte(store.data)


def test_an_empty_person_is_forgotten_too(store: Store) -> None:
    people.add_subject(store, f"{MARK}-1")
    assert sum(privacy.forget_subject(store, f"{MARK}-1").values()) == 1
    assert MARK.encode() not in everything(store)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
@pytest.mark.parametrize("then", ["forget_subject", "expire"])
def test_a_log_in_use_is_said_and_emptied_later(store: Store, then: str) -> None:
    plant(store, f"{MARK}-code", MARK)
    with store.read() as reader:  # such as a backup in progress
        assert reader.scalars(select(Subject.code)).one() == f"{MARK}-code"
        with (
            open_store(store.data, busy_s=0.2) as hasty,
            pytest.raises(UnavailableError, match=r"the records are gone, .* within the hour"),
        ):
            privacy.forget_subject(hasty, f"{MARK}-code")
        assert people.list_subjects(store) == ()
    assert MARK.encode() in every_byte(store.data)  # in the log
    if then == "forget_subject":
        with pytest.raises(NotFoundError):
            privacy.forget_subject(store, f"{MARK}-code")
    else:
        assert privacy.expire(store) == []
    assert MARK.encode() not in everything(store)
    assert sorted(p.name for p in store.data.iterdir()) == [
        "micromimic.db", "micromimic.db-shm", "micromimic.db-wal", "recordings", "server.lock",
    ]  # fmt: skip


def test_forgetting_that_fails_on_a_file_can_be_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(store, f"{MARK}-code", MARK, recordings=2)
    stuck = store.folder(recordings.list_recordings(store)[0].id)

    def refuse(path: Path, *_: object, **__: object) -> None:
        if Path(path) == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        real(path)

    real = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", refuse)
    with pytest.raises(UnavailableError, match=r"expected to remove .*got: Permission denied; "):
        privacy.forget_subject(store, f"{MARK}-code")
    assert [p.name for p in (store.data / "recordings").iterdir()] == [stuck.name]
    assert (
        people.find_subject(store, f"{MARK}-code").recordings == 4
    )  # it is still known what is left
    assert jobs.list_jobs(store, "queued") == jobs.list_jobs(store, "running") == ()
    monkeypatch.undo()
    privacy.forget_subject(store, f"{MARK}-code")
    assert MARK.encode() not in everything(store)


def test_a_job_of_a_forgotten_person_ends_as_not_found(store: Store) -> None:
    session = add_session(store)
    add_recording(store, session)
    job = claimed(store)
    privacy.forget_subject(store, "P1")
    for ask in (
        lambda: jobs.beat(store, job.id, stage="x", done=1, total=2),
        lambda: jobs.finish_job(store, job.id, **answer()),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert set(row_counts(store).values()) == {0}


# ---------------------------------------------------------------------------------- remove


def test_a_removed_recording_takes_its_own_along(store: Store) -> None:
    session = add_session(store)
    gone, stays = analysed(store, session, files=True), analysed(store, session, files=True)
    for recording in (gone, stays):
        reviews.decide(store, recording, coder="kim", expected=0, action="accept", event="m0")
    counts = privacy.remove_recording(store, gone)
    assert counts == {
        "recordings": 1, "jobs": 1, "analyses": 1, "decisions": 1, "markers": 0, "files": 1,
    }  # fmt: skip
    assert not store.folder(gone).exists()
    assert files(store.data / "recordings") == [f"{stays}/video.mp4"]
    assert [r.id for r in recordings.list_recordings(store)] == [stays]
    assert len(reviews.history(store, stays)) == 1
    with pytest.raises(NotFoundError):
        privacy.remove_recording(store, gone)


def test_a_removed_session_takes_its_recordings_along(store: Store) -> None:
    session, other = add_session(store), add_session(store)
    for where in (session, session, other):
        analysed(store, where, files=True)
    assert privacy.remove_session(store, session) == {
        "sessions": 1, "recordings": 2, "jobs": 2, "analyses": 2, "decisions": 0, "markers": 0,
        "files": 2,
    }  # fmt: skip
    assert [s.id for s in people.list_sessions(store)] == [other]
    assert recordings.count_recordings(store) == len(files(store.data / "recordings")) == 1


def test_a_folder_that_is_still_written_to_goes_as_well(store: Store) -> None:
    recording = add_recording(store, files=True)
    job = claimed(store)
    begun = Event()

    def work() -> None:
        """As a worker does until its server hears, at a beat, that the job is cancelled."""
        try:
            for number in count():
                (store.folder(recording.id) / f"picture {number}.jpg").write_bytes(b"x")
                if number == 50:
                    begun.set()
                if number % 200 == 0:
                    jobs.beat(store, job.id, stage="evidence", done=number, total=None)
        except (ConflictError, NotFoundError, FileNotFoundError):
            begun.set()

    worker = Thread(target=work)
    worker.start()
    assert begun.wait(60)
    privacy.remove_recording(store, recording.id)
    worker.join(60)
    assert not worker.is_alive()
    assert not store.folder(recording.id).exists()
    assert set(row_counts(store).values()) == {0}


def test_what_lies_outside_is_not_followed(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("x")
    recording = analysed(store, files=True)
    (store.folder(recording) / "link").symlink_to(outside, target_is_directory=True)
    privacy.remove_recording(store, recording)
    linked = add_recording(store).id
    store.folder(linked).symlink_to(outside, target_is_directory=True)
    privacy.remove_recording(store, linked)
    assert files(outside) == ["precious.txt"]
    assert list((store.data / "recordings").iterdir()) == []
