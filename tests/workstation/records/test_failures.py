"""A database that is locked, gone, damaged, full or killed: one line, and nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import event, exc, insert

from micromimic.core.errors import MissingExtraError
from micromimic.workstation.records import database, jobs, people, recordings, reviews
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.folder import DATABASE_NAME
from micromimic.workstation.records.models import Subject

from ...store_samples import DATABASES, add_recording, answer, claimed, database_url, one_line

TIMEOUT = 120
pytestmark = pytest.mark.needs("web")


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "data", busy_s=0.1) as found:
        people.add_subject(found, "P1")
        yield found


def file_of(store: Store) -> Path:
    return store.data / DATABASE_NAME


# ---------------------------------------------------------------------------------- locked


def test_a_locked_file_is_waited_for_then_said(sqlite: Store) -> None:
    with closing(sqlite3.connect(file_of(sqlite), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with one_line("within 0.1 s", "locked by another program"):
            people.add_subject(sqlite, "P2")
        assert [s.code for s in people.list_subjects(sqlite)] == [
            "P1"
        ]  # who only reads is not kept waiting
        other.execute("ROLLBACK")
    assert people.add_subject(sqlite, "P2").code == "P2"


def test_opening_a_locked_file(tmp_path: Path) -> None:
    with open_store(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        with one_line("locked by another program"):
            open_store(tmp_path, busy_s=0.1)


def test_writers_of_one_process_wait_in_turn(sqlite: Store) -> None:
    with sqlite.write(), one_line("locked"):
        people.add_subject(sqlite, "P2")


def test_more_readers_than_connections(sqlite: Store) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(sqlite.read())
        with one_line("expected a free connection"):
            people.list_subjects(sqlite)
    assert len(people.list_subjects(sqlite)) == 1


# ---------------------------------------------------------------------------------- gone


def test_a_file_that_is_gone_is_not_made_anew(sqlite: Store, tmp_path: Path) -> None:
    away = tmp_path / "away.db"
    file_of(sqlite).rename(away)
    for ask in (lambda: people.list_subjects(sqlite), lambda: people.add_subject(sqlite, "P2")):
        with one_line("as it was opened, got none"):
            ask()
    assert not file_of(sqlite).exists()
    away.rename(file_of(sqlite))
    assert [s.code for s in people.list_subjects(sqlite)] == ["P1"]


def test_a_file_that_goes_in_the_middle(sqlite: Store, tmp_path: Path) -> None:
    with one_line("got none"), sqlite.write() as transaction:
        row = {"id": "a" * 32, "code": "P2", "note": "", "created_at": sqlite.clock()}
        transaction.execute(insert(Subject).values(row))
        file_of(sqlite).rename(tmp_path / "away.db")


def test_another_file_in_its_place(sqlite: Store) -> None:
    shutil.copy(file_of(sqlite), sqlite.data / "copy.db")
    (sqlite.data / "copy.db").replace(file_of(sqlite))
    with one_line("another file in its place"):
        people.add_subject(sqlite, "P2")


def test_a_data_folder_that_is_gone(sqlite: Store) -> None:
    sqlite.close()
    shutil.rmtree(sqlite.data)
    with one_line("got none"):
        people.list_subjects(sqlite)
    assert not sqlite.data.exists()


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with one_line("a data folder that can be written", "choose another --data"):
        open_store(tmp_path / "file" / "data")
    with one_line("a data folder"):
        open_store(tmp_path / "file")
    (tmp_path / "data" / DATABASE_NAME).mkdir(parents=True)
    with one_line("Is a directory"):
        open_store(tmp_path / "data")


@contextmanager
def not_root() -> Iterator[None]:
    """What is forbidden is forbidden to us too."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def readable(folder: Path, mode: int) -> None:
    """Let everybody look into a folder and those above it, and no more than look."""
    for path in [folder, *folder.parents]:
        if path.owner() and path.stat().st_uid == os.geteuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    for path in folder.iterdir():
        path.chmod(mode)
    folder.chmod(0o555)


def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    with open_store(tmp_path / "data") as store:
        people.add_subject(store, "P1")
    readable(tmp_path / "data", 0o444)
    try:
        with not_root():
            with one_line("a data folder that can be written", "Permission denied"):
                open_store(tmp_path / "data")
            with one_line("micromimic.db"):  # it was opened while it could be
                people.add_subject(store, "P2")
    finally:
        (tmp_path / "data").chmod(0o755)
    assert [s.code for s in people.list_subjects(store)] == ["P1"]


# ---------------------------------------------------------------------------------- damaged


@pytest.mark.parametrize("content", [b"rubbish " * 1000, b"PK\x03\x04" + bytes(5000)])
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / DATABASE_NAME).write_bytes(content)
    with one_line("got a damaged or other file", "restore a backup"):
        open_store(tmp_path)
    assert (tmp_path / DATABASE_NAME).read_bytes() == content


def test_a_database_of_another_program(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as other:
        other.execute("CREATE TABLE subjects (name TEXT)")
        other.commit()
    with one_line("table subjects already exists"):
        open_store(tmp_path)
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as other:
        names = [name for (name,) in other.execute("SELECT name FROM sqlite_master")]
    assert names == ["subjects"]


def test_damaged_pages_are_noticed(sqlite: Store) -> None:
    for k in range(20):
        people.add_subject(sqlite, f"Q{k}", note="x" * 5000)
    sqlite.close()
    content = bytearray(file_of(sqlite).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    with file_of(sqlite).open("r+b") as file:  # in place: it is the same file
        file.write(content)
    with one_line("damaged"):
        people.list_subjects(sqlite)
    with one_line("damaged"):
        open_store(sqlite.data)


def test_damaged_text_is_told_in_one_line(tmp_path: Path) -> None:
    """SQLite names the table whose definition is broken, and that name is no text any more."""
    with open_store(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as alone:
        alone.execute("PRAGMA journal_mode=DELETE")
    content = (tmp_path / DATABASE_NAME).read_bytes()
    for sound, broken in (
        (b"tablesubjectssubjects", b"table\x9b\x9b\x9bjectssubjects"),
        (b"CREATE TABLE subjects", b"CREATE TABBE subjects"),
    ):
        assert content.count(sound) == 1
        content = content.replace(sound, broken)
    (tmp_path / DATABASE_NAME).write_bytes(content)
    with one_line("got a damaged or other file", "restore a backup"):
        open_store(tmp_path)


# ---------------------------------------------------------------------------------- full


@contextmanager
def full_disk(store: Store) -> Iterator[None]:
    """SQLite gets not one page more, and says so as it does on a full disk."""

    def limit(connection: sqlite3.Connection, *_: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages}")

    def unlimit(connection: sqlite3.Connection, *_: Any) -> None:
        connection.execute("PRAGMA max_page_count=1073741823")

    event.listen(store.writer, "checkout", limit)
    event.listen(store.writer, "checkin", unlimit)
    try:
        yield
    finally:
        event.remove(store.writer, "checkout", limit)
        event.remove(store.writer, "checkin", unlimit)


def test_a_full_disk_leaves_nothing_half_written(sqlite: Store) -> None:
    recording = add_recording(sqlite)
    job = claimed(sqlite)
    big = answer()
    big["review"]["landmarks"] = list(range(50_000))
    with full_disk(sqlite):
        with one_line("it is full; nothing was changed"):
            jobs.finish_job(sqlite, job.id, **big)
        made = 0
        with one_line("it is full"):
            for _ in range(1000):
                add_recording(sqlite, name="x" * 200)
                made += 1
        assert jobs.get_job(sqlite, job.id).status == "running"
        assert reviews.get_analysis(sqlite, recording.id) is None
    assert recordings.count_recordings(sqlite) == len(jobs.list_jobs(sqlite)) == made + 1
    assert jobs.finish_job(sqlite, job.id, **big).events == 2


# ---------------------------------------------------------------------------------- killed

WRITER = """
import sys
from pathlib import Path
from sqlalchemy import insert
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.models import Consent, Subject
from micromimic.workstation.records.recordings import add_recording
from micromimic.workstation.records.values import new_id

store = open_store(Path(sys.argv[1]), sys.argv[2] or None)
for _ in range(int(sys.argv[3])):
    made = add_recording(store, id=new_id(), name="a", extension=".mp4", size_bytes=1,
                         sha256="0" * 64, consent=Consent(True), expires_at=None)
    print(made.id, flush=True)
with store.write() as transaction:
    for k in range(500):  # more than fits into a page
        row = {"id": new_id(), "code": f"half {k}", "note": "x" * 500, "created_at": store.clock()}
        transaction.execute(insert(Subject).values(row))
    print("middle", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("url", DATABASES, indirect=True)
def test_a_kill_in_the_middle_loses_nothing_committed(url: str | None, tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path), url or "", "20"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [line.strip() for line in iter(process.stdout.readline, "middle\n")]
        process.send_signal(signal.SIGKILL)
        process.wait(TIMEOUT)
    assert process.returncode == -signal.SIGKILL
    assert len(told) == 20
    with open_store(tmp_path, url) as store:
        found = recordings.list_recordings(store, limit=1000)
        assert sorted(r.id for r in found) == sorted(told)
        assert all(r.job and r.job.status == "queued" for r in found)
        assert people.list_subjects(store) == ()
        if url is None:
            with store.read() as transaction:
                assert (
                    transaction.connection().exec_driver_sql("PRAGMA integrity_check").scalar()
                    == "ok"
                )
        assert people.add_subject(store, "P1").code == "P1"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str | None:
    return database_url(request)


def test_a_mistake_of_ours_is_not_called_a_failure_of_the_database(sqlite: Store) -> None:
    asks: list[Callable[[Any], Any]] = [
        lambda transaction: transaction.connection().exec_driver_sql("SELECT ?", (1, 2)),
        lambda transaction: transaction.execute(insert(Subject).values(id=object())),
    ]
    for ask in asks:
        with pytest.raises(exc.StatementError), sqlite.write() as transaction:
            ask(transaction)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(database, "find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'micromimic\[postgres\]'"):
        open_store(tmp_path / "data", "postgresql://")
    assert not (tmp_path / "data").exists()
