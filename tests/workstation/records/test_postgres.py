"""PostgreSQL's own ways to fail, on a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")

from sqlalchemy import exc, insert, text

from micromimic.core.errors import InputError, UnavailableError
from micromimic.workstation.records import people
from micromimic.workstation.records.database import open_store
from micromimic.workstation.records.database_errors import translated
from micromimic.workstation.records.models import Subject

from ...postgres_server import running_postgres
from ...store_samples import one_line

pytestmark = pytest.mark.needs("postgres", "web")


def test_a_locked_table_is_waited_for_then_said(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = running_postgres(request.config).new_database()
    with open_store(tmp_path, url) as other, open_store(tmp_path, url, busy_s=0.1) as store:
        with other.write() as transaction:
            transaction.execute(text("LOCK TABLE subjects IN ACCESS EXCLUSIVE MODE"))
            with one_line("within 0.1 s", "locked by another program"):
                people.add_subject(store, "P2")
        assert people.add_subject(store, "P2").code == "P2"


def test_a_server_that_falls_and_comes_back(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    server = running_postgres(request.config)
    with open_store(tmp_path, server.new_database(), busy_s=2) as store:
        people.add_subject(store, "P1")
        server.stop()
        try:
            for ask in (
                lambda: people.list_subjects(store),
                lambda: people.add_subject(store, "P2"),
            ):
                with one_line("check that it is there"):
                    ask()
        finally:
            server.start()
        assert [s.code for s in people.list_subjects(store)] == ["P1"]
        with one_line("to answer"), store.write() as transaction:
            row = {"id": "a" * 32, "code": "P2", "note": "", "created_at": store.clock()}
            transaction.execute(insert(Subject).values(row))
            server.stop()
            server.start()
        assert [s.code for s in people.list_subjects(store)] == ["P1"]


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"kim:\*\*\*@") as caught:
        open_store(tmp_path, f"postgresql://kim:secret@/records?host={tmp_path}", busy_s=1)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_url_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one that cannot be read") as caught:
        open_store(tmp_path, "postgresql://kim:secret@host:port/x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("DiskFull", "it is full"),
        ("LockNotAvailable", "locked"),
        ("DeadlockDetected", "locked"),
        ("ReadOnlySqlTransaction", "to be allowed to change"),
        ("InsufficientPrivilege", "to be allowed to change"),
        ("UndefinedTable", "to answer"),
        ("AdminShutdown", "to answer"),
        ("DataCorrupted", "damaged"),
    ],
)
def test_what_postgresql_says(name: str, words: str) -> None:
    from psycopg import errors

    def fail() -> None:
        kind = getattr(errors, name)
        wrap = (
            exc.OperationalError
            if issubclass(kind, errors.OperationalError)
            else exc.ProgrammingError
        )
        raise wrap("SELECT", {}, kind("first line\nsecond line"))

    with one_line(words), translated("records", 1.0):
        fail()
