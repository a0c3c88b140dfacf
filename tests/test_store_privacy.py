"""Forgetting a person, retention, and what a crash left behind."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import Connection, func, select

from micromimic.errors import ConflictError, NotFoundError, UnavailableError
from micromimic.store.database import open_store
from micromimic.store.records import Consent
from micromimic.store.store import Store
from micromimic.store.tables import metadata
from micromimic.store.values import new_id

from .postgres_server import running_postgres
from .store_samples import (
    DATABASES,
    NOW,
    Clock,
    add_recording,
    add_session,
    analysed,
    answer,
    opened,
)

MARK = "Zq7Xv"
"""In every text that is planted; nothing else has it."""
NUMBERS = ["curve.csv", "events.csv", "events.eaf", "events.json", "frames.bin", "review.json"]
PICTURES = ["video.mp4", "proxy.mp4", "report.html", "events/0/apex.jpg", "events/0/face.mp4"]


@pytest.fixture(params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with opened(request, tmp_path) as found:
        yield found


def fill_folder(folder: Path, content: str) -> None:
    for name in [*NUMBERS, *PICTURES, ".work-1/part.mp4"]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def plant(store: Store, code: str, mark: str, recordings: int = 3) -> set[str]:
    """A person with everything a person can have; the ids of it all."""
    person = store.add_subject(code, note=f"{mark} subject note " * 50)
    ids = {person.id}
    for k in range(2):
        session = store.add_session(
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
    job = store.claim_job(f"{mark} worker")
    assert job is not None
    if number % 3 == 0:
        store.fail_job(job.id, f"{mark} error " * 20)
    if number % 3 == 1:
        return {made.id, job.id}  # still running
    if number % 3 == 2:
        given = answer(3)
        given["payload"]["source"] = {"path": f"{mark} path"}
        given["review"]["landmarks"] = [f"{mark} {k}" for k in range(2000)]  # many pages
        store.finish_job(job.id, **given)
        for expected in range(12):
            store.decide(
                made.id, coder=f"{mark} coder", expected=expected, action="comment", event="m1",
                note=f"{mark} comment " * 60,
            )  # fmt: skip
    return {made.id, job.id}


def everything(store: Store) -> bytes:
    """Every byte of the data folder, and every row of the database."""
    found = [path.relative_to(store.data).as_posix().encode() for path in store.data.rglob("*")]
    found.append(every_byte(store.data))
    with store.database.read() as connection:
        for table in metadata.sorted_tables:
            found += [repr(row).encode() for row in connection.execute(table.select())]
    return b"\n".join(found)


def every_byte(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def row_counts(store: Store) -> dict[str, int]:
    with store.database.read() as connection:
        return {table.name: _count(connection, table) for table in metadata.sorted_tables}


def _count(connection: Connection, table: object) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


# ---------------------------------------------------------------------------------- forget


def test_a_forgotten_person_has_left_no_byte(store: Store, request: pytest.FixtureRequest) -> None:
    kept = plant(store, "P-stays", "other")
    before = row_counts(store), files(store.data / "recordings")
    ids = plant(store, f"{MARK}-code", MARK)
    store.change_subject(store.subject_by_code(f"{MARK}-code").id, note=f"{MARK} new note")
    present = everything(store)
    needles = {MARK.encode(), *(i.encode() for i in ids)}
    assert all(needle in present for needle in needles)

    counts = store.forget_subject(f" {MARK}-code ")

    assert counts == {
        "subjects": 1, "sessions": 2, "recordings": 6, "jobs": 6, "analyses": 2,
        "decisions": 24, "files": 6 * 12,
    }  # fmt: skip
    left = everything(store)
    assert {needle for needle in needles if needle in left} == set()
    assert all(i.encode() in left for i in kept)
    assert (row_counts(store), files(store.data / "recordings")) == before
    with pytest.raises(NotFoundError, match="expected the code of a subject"):
        store.forget_subject(f"{MARK}-code")
    if store.database.kind == "postgresql":
        with store.database.bare() as connection:
            connection.exec_driver_sql("CHECKPOINT")  # the server's own log is not looked at
        tables = running_postgres(request.config).home / "data" / "base"
        assert b"other title" in every_byte(tables)
        assert MARK.encode() not in every_byte(tables)
    store.close()
    assert MARK.encode() not in every_byte(store.data)


def test_an_empty_person_is_forgotten_too(store: Store) -> None:
    store.add_subject(f"{MARK}-1")
    assert sum(store.forget_subject(f"{MARK}-1").values()) == 1
    assert MARK.encode() not in everything(store)


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_a_log_in_use_is_said_and_forgetting_again_empties_it(store: Store) -> None:
    plant(store, f"{MARK}-code", MARK)
    with store.database.read() as reader:  # such as a backup in progress
        assert _count(reader, metadata.tables["subjects"]) == 1
        with (
            open_store(store.data, busy_s=0.2) as hasty,
            pytest.raises(UnavailableError, match=r"log.*forget again"),
        ):
            hasty.forget_subject(f"{MARK}-code")
    assert store.subjects() == ()
    with pytest.raises(NotFoundError):
        store.forget_subject(f"{MARK}-code")
    assert MARK.encode() not in everything(store)


def test_forgetting_that_fails_on_a_file_can_be_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(store, f"{MARK}-code", MARK, recordings=2)
    stuck = store.folder(store.recordings()[0].id)

    def refuse(path: Path, *_: object, **__: object) -> None:
        if Path(path) == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        real(path)

    from micromimic.store import removal

    real = removal.shutil.rmtree
    monkeypatch.setattr(removal.shutil, "rmtree", refuse)
    with pytest.raises(UnavailableError, match=r"expected to remove .*got: Permission denied; "):
        store.forget_subject(f"{MARK}-code")
    assert [p.name for p in (store.data / "recordings").iterdir()] == [stuck.name]
    assert store.subject_by_code(f"{MARK}-code").recordings == 4  # it is still known what is left
    assert store.jobs("queued") == store.jobs("running") == ()
    monkeypatch.undo()
    store.forget_subject(f"{MARK}-code")
    assert MARK.encode() not in everything(store)


def test_a_job_of_a_forgotten_person_ends_as_not_found(store: Store) -> None:
    session = add_session(store)
    add_recording(store, session)
    job = store.claim_job("w")
    assert job is not None
    store.forget_subject("P1")
    for ask in (
        lambda: store.beat(job.id, stage="x", done=1, total=2),
        lambda: store.finish_job(job.id, **answer()),
    ):
        with pytest.raises(NotFoundError):
            ask()
    assert set(row_counts(store).values()) == {0}


# ---------------------------------------------------------------------------------- remove


def test_a_removed_recording_takes_its_own_along(store: Store) -> None:
    session = add_session(store)
    gone, stays = analysed(store, session, files=True), analysed(store, session, files=True)
    for recording in (gone, stays):
        store.decide(recording, coder="kim", expected=0, action="accept", event="m0")
    counts = store.remove_recording(gone)
    assert counts == {"recordings": 1, "jobs": 1, "analyses": 1, "decisions": 1, "files": 1}
    assert not store.folder(gone).exists()
    assert files(store.data / "recordings") == [f"{stays}/video.mp4"]
    assert [r.id for r in store.recordings()] == [stays]
    assert len(store.history(stays)) == 1
    with pytest.raises(NotFoundError):
        store.remove_recording(gone)


def test_a_removed_session_takes_its_recordings_along(store: Store) -> None:
    session, other = add_session(store), add_session(store)
    for where in (session, session, other):
        analysed(store, where, files=True)
    assert store.remove_session(session) == {
        "sessions": 1, "recordings": 2, "jobs": 2, "analyses": 2, "decisions": 0, "files": 2,
    }  # fmt: skip
    assert [s.id for s in store.sessions()] == [other]
    assert store.count_recordings() == len(files(store.data / "recordings")) == 1


def test_what_lies_outside_is_not_followed(store: Store, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("x")
    recording = analysed(store, files=True)
    (store.folder(recording) / "link").symlink_to(outside, target_is_directory=True)
    store.remove_recording(recording)
    linked = add_recording(store).id
    store.folder(linked).symlink_to(outside, target_is_directory=True)
    store.remove_recording(linked)
    assert files(outside) == ["precious.txt"]
    assert list((store.data / "recordings").iterdir()) == []


# ---------------------------------------------------------------------------------- retention


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def test_videos_go_when_their_time_is_over_and_numbers_stay(store: Store) -> None:
    early, late, kept = (
        analysed(store, expires_at=until) for until in (at(30), at(60), None)
    )  # fmt: skip
    store.decide(early, coder="kim", expected=0, action="accept", event="m0")
    for recording in (early, late, kept):
        fill_folder(store.folder(recording), "x")
    before = store.analysis(early), store.history(early)
    assert store.expire(now=at(29.9)) == []
    assert store.expire(now=at(30)) == [early]
    assert store.expire(now=at(31)) == []
    assert files(store.folder(early)) == NUMBERS
    assert len(files(store.folder(late))) == len(files(store.folder(kept))) == 12
    assert [store.recording(r).media for r in (early, late, kept)] == ["expired", "kept", "kept"]
    assert (store.analysis(early), store.history(early)) == before
    review = store.decide(early, coder="kim", expected=1, action="reject", event="m1")
    assert review.complete
    assert store.expire(now=at(36500)) == [late]
    assert store.recording(kept).media == "kept"


def test_expire_goes_by_the_clock_of_the_store(store: Store) -> None:
    recording = add_recording(store, files=True, expires_at=at(30))
    assert store.expire() == []
    store.clock = Clock(at(30))
    assert store.expire() == [recording.id]


def test_an_analysis_that_runs_when_the_time_is_over_is_cancelled(store: Store) -> None:
    recording = add_recording(store, files=True, expires_at=at(1))
    job = store.claim_job("w")
    assert job is not None
    assert store.expire(now=at(2)) == [recording.id]
    found = store.recording(recording.id)
    assert found.job is not None
    assert (found.job.status, found.job.error) == ("cancelled", "the video's retention is over")
    with pytest.raises(ConflictError):
        store.finish_job(job.id, **answer())
    with pytest.raises(Exception, match="got one that was removed"):
        store.requeue_job(recording.id)
    with pytest.raises(Exception, match="video was removed"):
        store.change_recording(recording.id, expires_at=None)


def test_one_file_that_stays_does_not_keep_the_others(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [add_recording(store, files=True, expires_at=at(1)).id for _ in range(3)]
    stuck = store.folder(made[1]) / "video.mp4"
    real = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        real(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(UnavailableError, match="Permission denied"):
        store.expire(now=at(2))
    assert [store.recording(r).media for r in made] == ["expired", "kept", "expired"]
    monkeypatch.undo()
    assert store.expire(now=at(2)) == [made[1]]
    assert files(store.data / "recordings") == []


# ---------------------------------------------------------------------------------- sweep


def test_sweep_removes_what_no_record_knows(store: Store) -> None:
    known = add_recording(store, files=True).id
    late = add_recording(store, files=True, expires_at=at(1)).id
    store.expire(now=at(2))
    (store.folder(late) / "proxy.mp4").write_text("a worker that was slow to stop")
    stray, fresh, part, young = (new_id() for _ in range(4))
    fill_folder(store.folder(stray), "x")
    fill_folder(store.folder(fresh), "x")
    for name in (f"{part}.part", f"{known}.mp4", f"{young}.part", "holiday.mp4"):
        store.incoming.mkdir(exist_ok=True)
        (store.incoming / name).write_text("x")
    (store.data / "recordings" / "my notes.txt").write_text("x")
    hours_ago = time.time() - 7200
    for path in (
        store.folder(stray),
        *store.incoming.iterdir(),
    ):
        if not path.name.startswith(young):
            os.utime(path, (hours_ago, hours_ago))

    assert store.sweep() == 12 + 2 + 1
    assert files(store.incoming) == sorted(["holiday.mp4", f"{young}.part"])
    assert {p.name for p in (store.data / "recordings").iterdir()} == {
        known, late, fresh, "my notes.txt",
    }  # fmt: skip
    assert files(store.folder(late)) == []
    assert store.sweep(older_than_s=0) == 12 + 1
    assert files(store.data / "recordings") == sorted([f"{known}/video.mp4", "my notes.txt"])
    assert files(store.incoming) == ["holiday.mp4"]
    assert store.sweep(older_than_s=0) == 0


def test_there_is_nothing_to_sweep_in_an_empty_folder(store: Store) -> None:
    assert store.sweep() == 0
