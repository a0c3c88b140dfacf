"""One door to the database: short transactions, each kept whole or not at all.

SQLite: write-ahead log, foreign keys, deleted content overwritten, a busy timeout; a write takes
the lock when it begins, so that two writers wait for each other instead of failing halfway. A file
that was removed or exchanged under an open connection is noticed, since writes to it would be lost
without a word.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, exc
from sqlalchemy.engine import make_url

from micromimic.core.errors import InputError, RefusedError, UnavailableError
from micromimic.workstation.records.database import DATABASE_NAME
from micromimic.workstation.records.failures import locked, translated
from micromimic.workstation.records.turns import Turns

Mode = Literal["read", "write", "bare"]
Transaction = AbstractContextManager[Connection]
_MODE: Final = "micromimic_mode"
_ISOLATION: Final[dict[Mode, str]] = {
    "read": "REPEATABLE READ",
    "write": "READ COMMITTED",
    "bare": "AUTOCOMMIT",
}
_POOL: Final = {"pool_size": 5, "max_overflow": 45}
"""Connections: as many at once as a web server has threads; five are kept open."""


class Database:
    """The engine and its rules.

    Args:
        engine: of SQLAlchemy.
        busy_s: seconds to wait for a lock.
        path: of the SQLite file; None for PostgreSQL.
    """

    def __init__(self, engine: Engine, busy_s: float, path: Path | None) -> None:
        self.engine = engine
        self.busy_s = busy_s
        self.path = path
        self._file = _file_id(path) if path else None
        self._writing = Turns()
        event.listen(engine, "begin", self._on_begin)

    @classmethod
    def open(cls, folder: Path, url: str | None, *, busy_s: float) -> Database:
        """The database of a data folder, or at a URL; the folder is made where missing.

        Raises:
            InputError: the URL cannot be read.
            UnavailableError: folder or file cannot be made or written.
        """
        path = folder / DATABASE_NAME
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if url is None:
                path.touch(mode=0o600, exist_ok=True)
                with path.open("r+b"):
                    pass  # only to learn now, with the reason, that it cannot be written
        except OSError as error:
            raise UnavailableError(
                f"expected a data folder that can be written, got {folder}: {error.strerror}; "
                "choose another --data"
            ) from error
        if url is None:
            return cls(_sqlite(path, busy_s), busy_s, path)
        return cls(_postgres(url, busy_s), busy_s, None)

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        """Which database this is."""
        return "postgresql" if self.path is None else "sqlite"

    @property
    def name(self) -> str:
        """For messages: the file, or the URL without its password."""
        return str(self.path or self.engine.url.render_as_string(hide_password=True))

    def read(self) -> Transaction:
        """A transaction that reads: everything in it as of one moment.

        Raises:
            UnavailableError: locked for too long, gone or damaged.
        """
        return self._connected("read")

    def write(self) -> Transaction:
        """A transaction that writes: all of it is kept, or nothing.

        Raises:
            ConflictError: somebody else wrote the same at the same moment.
            UnavailableError: locked for too long, gone, damaged, or the disk is full.
        """
        return self._connected("write")

    def bare(self) -> Transaction:
        """A connection without a transaction, for ``VACUUM`` and the like."""
        return self._connected("bare")

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        self.engine.dispose()

    @contextmanager
    def _connected(self, mode: Mode) -> Iterator[Connection]:
        with translated(self.name, self.busy_s), self._turn(mode):
            self._check_file()
            with self.engine.connect() as fresh:
                options: dict[str, Any] = {_MODE: mode}
                if self.path is None:
                    options["isolation_level"] = _ISOLATION[mode]
                connection = fresh.execution_options(**options)
                with connection.begin():
                    yield connection
                    if mode == "write":
                        self._check_file()

    @contextmanager
    def _turn(self, mode: Mode) -> Iterator[None]:
        """Writers of this process come in turn: SQLite's own waiting starves some of them."""
        if self.path is None or mode == "read":
            yield
            return
        if not self._writing.take(self.busy_s):
            raise locked(self.busy_s)
        try:
            yield
        finally:
            self._writing.give()

    def _on_begin(self, connection: Connection) -> None:
        mode = connection.get_execution_options().get(_MODE)
        if self.path is not None and mode != "bare":
            connection.exec_driver_sql("BEGIN IMMEDIATE" if mode == "write" else "BEGIN")

    def _check_file(self) -> None:
        if self.path is None:
            return
        found = _file_id(self.path)
        if found != self._file:
            got = "another file in its place" if found else "none"
            raise UnavailableError(
                f"expected the database {self.path} as it was opened, got {got}; put it back or "
                "start again"
            )


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sqlite(path: Path, busy_s: float) -> Engine:
    alone = _no_room_to_share(path, busy_s)

    def connect() -> sqlite3.Connection:
        # isolation_level None: transactions begin where `_on_begin` says, not where Python guesses
        connection = sqlite3.connect(
            _place(path), uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False
        )
        try:
            if alone:
                connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            # VACUUM would leave a copy of everything in the system's temporary folder.
            for rule in ("foreign_keys=ON", "secure_delete=ON", "synchronous=FULL", "temp_store=2"):
                connection.execute(f"PRAGMA {rule}")
            connection.execute("PRAGMA journal_mode=WAL")
        except BaseException:
            connection.close()
            raise
        return connection

    return create_engine(
        "sqlite+pysqlite:///",
        creator=connect,
        poolclass=QueuePool,
        json_serializer=_dumps,
        pool_timeout=busy_s,
        **(_POOL if not alone else {"pool_size": 1, "max_overflow": 0}),
    )


def _no_room_to_share(path: Path, busy_s: float) -> bool:
    """Whether the disk has no room for the memory that SQLite's connections share.

    One connection needs none: by it what fills the disk can still be removed.
    """
    try:
        with closing(sqlite3.connect(_place(path), uri=True, timeout=busy_s)) as connection:
            connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # what else is wrong is told later
        return getattr(error, "sqlite_errorname", "") in ("SQLITE_IOERR_SHMSIZE", "SQLITE_FULL")
    return False


def _place(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}?mode=rw"  # never makes an empty file by mistake


def _postgres(url: str, busy_s: float) -> Engine:
    try:
        place = make_url(url)
    except (exc.ArgumentError, ValueError):
        raise InputError(
            "expected a database URL such as postgresql://user@host/name, got one that cannot be "
            "read; check it"
        ) from None  # the cause quotes the URL, and with it a password
    engine = create_engine(
        place,
        json_serializer=_dumps,
        pool_timeout=busy_s,
        pool_pre_ping=True,  # the server may have been restarted since
        connect_args={"connect_timeout": max(2, round(busy_s))},
        **_POOL,
    )

    def on_connect(connection: Any, _record: object) -> None:
        before = connection.autocommit
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = {round(busy_s * 1000)}")
        connection.execute("SET timezone = 'UTC'")
        connection.autocommit = before

    event.listen(engine, "connect", on_connect)
    return engine


def _dumps(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError as error:  # NaN: SQLite would keep it, PostgreSQL and browsers would not
        raise RefusedError(
            f"expected values that JSON can hold, got: {error}; give null for such numbers"
        ) from error
