"""The tables: from nothing, from the first version with records in it, and never from a newer."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy", reason="needs web: sqlalchemy is not installed")
pytest.importorskip("alembic", reason="needs web: alembic is not installed")

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from micromimic.core.errors import RefusedError, StoreError, UnavailableError
from micromimic.core.results import kind_of
from micromimic.workstation.records import jobs, markers, people, privacy, recordings, reviews
from micromimic.workstation.records.database import (
    HEAD,
    MIGRATIONS,
    VERSION_TABLE,
    Store,
    connect,
    migrate,
    open_store,
    version,
)
from micromimic.workstation.records.folder import DATABASE_NAME
from micromimic.workstation.records.models import Base, Recording

from ...store_samples import DATABASES, database_url, machine_events, view

ROOT = Path(__file__).resolve().parents[3]
SAVED = ROOT / "tests" / "saved"
A, B, C, D = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
FIRST_RECORDS = [
    f"INSERT INTO subjects VALUES ('{A}', 'P1', 'note', '2024-01-02 03:04:05.000006')",
    f"INSERT INTO sessions VALUES ('{B}', '{A}', 'title', '2024-01-02', true, 'kim', 'form', "
    "'2024-01-02 03:04:05', true, '2024-01-02 03:04:05')",
    f"INSERT INTO recordings VALUES ('{C}', '{B}', 'a.mp4', '.mp4', 5, '{'0' * 64}', 29.97, "
    "'upload', NULL, NULL, NULL, NULL, 'kept', '2024-01-02 03:04:05', '2024-02-01 00:00:00')",
    f"INSERT INTO jobs VALUES ('{D}', '{C}', 1, 'done', 'evidence', 3, 3, 1, '', 'w', "
    "'2024-01-02 03:04:05', '2024-01-02 03:04:06', '2024-01-02 03:04:07', '2024-01-02 03:04:07')",
    f"INSERT INTO analyses VALUES ('{C}', :payload, '{{\"fps\": 200.0, \"frames\": 1000}}', 2, "
    "'2024-01-02 03:04:07')",
    f"INSERT INTO decisions VALUES ('{C}', 'kim', 1, 'reject', 'm1', '{{}}', NULL, "
    "'2024-01-03 03:04:05')",
]
"""As the first version wrote them: never to be changed, whatever later versions do."""


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest) -> str | None:
    return database_url(request)


@pytest.fixture
def database(url: str | None, tmp_path: Path) -> Iterator[Store]:
    """A database without tables."""
    found = connect(tmp_path, url, busy_s=5)
    yield found
    found.close()


def found_version(database: Store) -> str | None:
    with database.read() as transaction:
        connection = transaction.connection()
        return version(connection)


def test_tables_from_nothing_are_those_the_code_expects(database: Store) -> None:
    assert found_version(database) is None
    migrate(database)
    assert found_version(database) == HEAD
    with database.read() as transaction:
        connection = transaction.connection()
        # Our own version table is not of the metadata, and nothing else may differ.
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": True,
                "version_table": VERSION_TABLE,
                "target_metadata": Base.metadata,
            },
        )
        assert compare_metadata(context, Base.metadata) == []
        # What Alembic does not compare.
        looked = inspect(connection)
        for table in Base.metadata.sorted_tables:
            names = {check["name"] for check in looked.get_check_constraints(table.name)}
            expected = {c.name for c in table.constraints if type(c).__name__ == "CheckConstraint"}
            assert names == expected
            for key in looked.get_foreign_keys(table.name):
                assert key["options"].get("ondelete") == "CASCADE"
            assert looked.get_pk_constraint(table.name)["name"] == table.primary_key.name


def test_the_comparison_sees_a_difference(database: Store) -> None:
    migrate(database)
    with database.write() as transaction:
        connection = transaction.connection()
        connection.execute(text("ALTER TABLE jobs ADD COLUMN more TEXT"))
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert [change[0] for change in compare_metadata(context, Base.metadata)] == [
            "remove_column"
        ]


def test_migrating_again_changes_nothing(url: str | None, tmp_path: Path) -> None:
    with open_store(tmp_path, url) as store:
        made = people.add_subject(store, "P1")
        before = schema_of(store)
        migrate(store)
        migrate(store, "head")
    with open_store(tmp_path, url) as again:
        assert view(people.list_subjects(again)) == (view(made),)
        assert schema_of(again) == before


def schema_of(database: Store) -> list[tuple[str, str]]:
    with database.read() as transaction:
        connection = transaction.connection()
        if database.kind == "sqlite":
            query = "SELECT name, sql FROM sqlite_master ORDER BY name"
        else:
            query = (
                "SELECT table_name || column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = 'public' ORDER BY 1"
            )
        return [(row[0], row[1]) for row in connection.execute(text(query))]


def test_records_of_the_first_version_are_read_by_the_newest(
    database: Store, url: str | None, tmp_path: Path
) -> None:
    migrate(database, "0001")
    assert found_version(database) == "0001"
    with database.write() as transaction:
        connection = transaction.connection()
        for statement in FIRST_RECORDS:
            values = {"payload": json.dumps({"events": machine_events()})}
            connection.execute(text(statement), values if ":payload" in statement else {})
    with open_store(tmp_path, url) as store:
        assert found_version(store) == HEAD
        (person,) = people.list_subjects(store)
        assert (person.code, person.sessions, person.recordings) == ("P1", 1, 1)
        assert person.created_at.isoformat() == "2024-01-02T03:04:05.000006+00:00"
        (session,) = people.list_sessions(store, A)
        assert (session.held_on.isoformat(), session.baseline) == ("2024-01-02", True)
        assert (session.consent.given, session.consent.noted_by) == (True, "kim")
        recording = recordings.get_recording(store, C)
        assert (recording.fps, recording.events, recording.coders) == (29.97, 2, ("kim",))
        assert (recording.longer, recording.duration_s, recording.observed_s) == (0, None, None)
        assert progress(recording) == [("kim", 1, 2, False)]
        assert [d.mode for d in reviews.history(store, C)] == ["open"]
        assert (session.condition, markers.list_markers(store, C)) == ("", ())
        assert recording.job is not None
        assert (recording.job.id, recording.job.status) == (D, "done")
        review = reviews.get_review(store, C, "kim")
        assert [e.status for e in review.events] == ["pending", "rejected"]
        assert reviews.decide(
            store, C, coder="kim", expected=1, action="accept", event="m0"
        ).complete
        assert privacy.forget_subject(store, "P1")["decisions"] == 2


def test_a_database_made_before_the_mapped_classes_is_whole(tmp_path: Path) -> None:
    """``records-0002.sql`` was written by the code before, and the ``.json`` what it returned."""
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as saved:
        saved.executescript((SAVED / "records-0002.sql").read_text(encoding="utf-8"))
    open_store(tmp_path).close()
    open_store(tmp_path / "fresh").close()
    with (
        closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as saved,
        closing(sqlite3.connect(tmp_path / "fresh" / DATABASE_NAME)) as fresh,
    ):
        assert statements(fresh) == statements(saved)
    expected = json.loads((SAVED / "records-0002.json").read_text(encoding="utf-8"))
    with open_store(tmp_path) as store:
        found = recordings.list_recordings(store)
        answers = [made for r in found if (made := reviews.get_analysis(store, r.id))]
        records = {
            "subjects": people.list_subjects(store),
            "sessions": people.list_sessions(store),
            "recordings": found,
            "jobs": jobs.list_jobs(store),
            "analyses": answers,
            "decisions": [made for r in found for made in reviews.history(store, r.id)],
            "reviews": [
                reviews.get_review(store, made.recording_id, coder)
                for made in answers
                for coder in ("kim", "lee", "zoe")
            ],
        }
        assert {kind: len(rows) for kind, rows in expected.items()} == {
            "subjects": 2, "sessions": 3, "recordings": 7, "jobs": 8, "analyses": 3,
            "decisions": 13, "reviews": 9,
        }  # fmt: skip
        for kind, rows in records.items():
            assert as_json(rows, expected[kind]) == expected[kind]
        # what the newer version keeps beside them is what they say
        for recording, answer in ((r, reviews.get_analysis(store, r.id)) for r in found):
            if answer is None:
                assert recording.events is recording.longer is None and not recording.progress
                continue
            kinds = [kind_of(entry) for entry in answer.payload["events"]]
            assert (recording.events, recording.longer) == (
                kinds.count("micro"), kinds.count("macro"),
            )  # fmt: skip
            for row in recording.progress:
                review = reviews.get_review(store, recording.id, row.coder)
                own = [e.status for e, kind in zip(
                    sorted((e for e in review.events if not e.added), key=lambda e: int(e.key[1:])),
                    kinds, strict=True) if kind == "micro"]  # fmt: skip
                assert (row.decided, row.candidates, row.done) == (
                    len(own) - own.count("pending"), len(own), review.done,
                )  # fmt: skip
        # and it goes on from there
        with pytest.raises(StoreError, match="never changed"), store.write() as transaction:
            transaction.execute(text("UPDATE decisions SET coder = 'lee'"))
        recovered = jobs.recover_jobs(store, "desk/1")
        assert [job.status for job in recovered] == ["queued"]
        assert privacy.forget_subject(store, "P 014")["decisions"] == 12


def progress(recording: Recording) -> list[tuple[str, int, int, bool]]:
    return [(row.coder, row.decided, row.candidates, row.done) for row in recording.progress]


def statements(connection: sqlite3.Connection) -> dict[str, str]:
    """How each table, index and trigger was made; layout aside."""
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return {name: "".join(sql.split()) for name, sql in found}


def as_json(value: Any, like: Any) -> Any:
    """A record's attributes named in a JSON object; dates and times as ISO 8601 text."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {key: as_json(item, None) for key, item in value.items()}
    if isinstance(like, Mapping):
        return {name: as_json(getattr(value, name), part) for name, part in like.items()}
    if isinstance(value, list | tuple):
        parts = like or [None] * len(value)
        return [as_json(item, part) for item, part in zip(value, parts, strict=True)]
    return value


@pytest.mark.parametrize(("action", "target"), [("undo", 7), ("redo", 2), ("undo", None)], ids=str)
def test_one_damaged_trail_keeps_no_database_from_its_new_version(
    action: str, target: int | None, database: Store, url: str | None, tmp_path: Path
) -> None:
    """The coder whose trail it is is told when the review is opened; others' are as they were."""
    add = "INSERT INTO decisions VALUES (:id, :who, :n, :action, :event, '{}', :target, :at)"
    at = "2024-01-03 03:04:05"
    migrate(database, "0001")
    with database.write() as transaction:
        connection = transaction.connection()
        for statement in FIRST_RECORDS:
            values = {"payload": json.dumps({"events": machine_events()})}
            connection.execute(text(statement), values if ":payload" in statement else {})
        for who, n, what, event, of in (
            ("kim", 2, "accept", "m0", None),
            ("lee", 1, "accept", "m0", None),
            ("lee", 2, "accept", "m1", None),
            ("lee", 3, action, "", target),
        ):
            row = {"id": C, "who": who, "n": n, "action": what, "event": event, "target": of}
            connection.execute(text(add), {**row, "at": at})
    with open_store(tmp_path, url) as store:
        assert reviews.get_review(store, C, "kim").done
        assert progress(recordings.get_recording(store, C)) == [
            ("kim", 2, 2, True), ("lee", 0, 2, False),
        ]  # fmt: skip
        assert [d.action for d in reviews.history(store, C, "lee")] == ["accept", "accept", action]
        with pytest.raises(RefusedError, match="the trail is damaged, restore a backup"):
            reviews.get_review(store, C, "lee")


def test_a_newer_version_is_refused_in_one_line(url: str | None, tmp_path: Path) -> None:
    with open_store(tmp_path, url) as store:
        made = people.add_subject(store, "P1")
        with store.write() as transaction:
            connection = transaction.connection()
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(UnavailableError) as caught:
        open_store(tmp_path, url)
    assert str(caught.value).startswith(f"expected a database of version {HEAD} or older at ")
    assert str(caught.value).endswith(", got 9999; update micromimic")
    assert "\n" not in str(caught.value)
    with store.write() as transaction:
        connection = transaction.connection()
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '{HEAD}'"))
    store.close()
    with open_store(tmp_path, url) as again:
        assert view(people.list_subjects(again)) == (view(made),)


def test_a_migration_that_breaks_off_leaves_nothing(
    database: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Operations.execute

    def break_off(self: Operations, statement: str) -> None:
        if "TABLE decisions" in statement:
            raise KeyboardInterrupt
        real(self, statement)

    monkeypatch.setattr(Operations, "execute", break_off)
    with pytest.raises(KeyboardInterrupt):
        migrate(database)
    with database.read() as transaction:
        connection = transaction.connection()
        assert inspect(connection).get_table_names() == []
    monkeypatch.undo()
    migrate(database)
    assert found_version(database) == HEAD


def test_servers_that_start_at_once_migrate_once(url: str | None, tmp_path: Path) -> None:
    def start(number: int) -> None:
        with open_store(tmp_path, url, busy_s=60) as store:
            people.add_subject(store, f"P{number}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))
    with open_store(tmp_path, url) as store:
        assert [s.code for s in people.list_subjects(store)] == ["P0", "P1", "P2", "P3"]


def test_the_newest_revision_is_the_one_the_code_names() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [HEAD]
    assert script.get_bases() == ["0001"]


def test_opening_an_up_to_date_database_loads_no_alembic(tmp_path: Path) -> None:
    with open_store(tmp_path):
        pass
    code = (
        "import sys; from pathlib import Path; "
        "from micromimic.workstation.records.database import open_store; "
        "open_store(Path(sys.argv[1])).close(); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_wheel_can_migrate(tmp_path: Path) -> None:
    """The migrations travel with the package, and work from where it is installed."""
    hatch = pytest.importorskip("hatchling.build", reason="hatchling is not installed here")
    source = tmp_path / "source"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    here = Path.cwd()
    os.chdir(source)
    try:
        name = hatch.build_wheel(str(tmp_path))
    finally:
        os.chdir(here)
    with zipfile.ZipFile(tmp_path / name) as wheel:
        inside = set(wheel.namelist())
        wheel.extractall(tmp_path / "installed")
    expected = {p.relative_to(ROOT / "src").as_posix() for p in MIGRATIONS.rglob("*.py")}
    assert len(expected) >= 4
    assert expected <= inside
    code = (
        "import sys; from pathlib import Path; "
        "from micromimic.workstation.records import database, people; "
        "store = database.open_store(Path(sys.argv[1])); people.add_subject(store, 'P1'); "
        "print(database.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "data")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "installed"))
    assert (tmp_path / "data" / DATABASE_NAME).stat().st_size > 0
