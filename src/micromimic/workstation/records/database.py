"""Opening the records, and transactions on them, each kept whole or not at all.

SQLite: write-ahead log, foreign keys, deleted content overwritten, a busy timeout. One connection
writes, and takes the lock when it begins, so that writers wait for each other instead of failing
halfway; many others read. A file that was removed or exchanged under an open connection is noticed,
since writes to it would be lost without a word.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from functools import cached_property, partial, wraps
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Concatenate, Final, Literal, ParamSpec, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session as OrmSession, undefer_group

from micromimic.core.closing import Closing
from micromimic.core.errors import InputError, MissingExtraError, RefusedError, UnavailableError
from micromimic.workstation.records.database_errors import translated
from micromimic.workstation.records.folder import (
    DATABASE_NAME,
    INCOMING,
    RECORDINGS,
    default_data_dir,
)
from micromimic.workstation.records.models import COUNTS, Job, Owner, Recording, Session, Subject
from micromimic.workstation.records.values import known_id, not_found

BUSY_S: Final = 5.0
"""Seconds to wait for a locked database before saying so."""
HEAD: Final = "0003"
"""The newest revision in ``migrations/versions``; a test holds the two together."""
VERSION_TABLE: Final = "micromimic_version"
MIGRATIONS: Final = Path(__file__).parent / "migrations"

_ADVISORY_LOCK: Final = 0x6D6963726F  # "micro": any number that no other program uses
_MANY: Final = {"pool_size": 5, "max_overflow": 45}
"""Connections: as many at once as a web server has threads; five are kept open."""
_ONE: Final = {"pool_size": 1, "max_overflow": 0}
_BARE: Final = "micromimic_bare"

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", Subject, Session, Recording, Job)


class Transaction(OrmSession):
    """What is read as of one moment, or written together; made by `Store.read`, `Store.write`."""

    def __init__(self, store: Store, engine: sa.Engine) -> None:
        super().__init__(engine, expire_on_commit=False)
        self.store = store

    @cached_property
    def now(self) -> datetime:
        """When all of it happens."""
        return self.store.clock()

    def require(self, kind: type[R], id: str, *, lock: bool = False) -> R:  # noqa: A002
        """The record of an id as it is now, or `NotFoundError`; locked against other writers."""
        what = kind.__name__.lower()
        query = sa.select(kind).where(kind.id == known_id(id, what)).options(undefer_group(COUNTS))
        if lock:
            query = query.with_for_update()
        found = self.scalars(query.execution_options(populate_existing=True)).one_or_none()
        if found is None:
            raise not_found(what, id)
        return found

    def check_known(self, kind: Owner, id: str) -> None:  # noqa: A002
        """`NotFoundError` where there is no record of an id; cheaper than `require`."""
        what = kind.__name__.lower()
        query = sa.select(kind.id).where(kind.id == known_id(id, what))
        if self.scalars(query).first() is None:
            raise not_found(what, id)


class Store(Closing):
    """Records and the data folder with their videos; made by `open_store`.

    Safe to use from many threads. Every transaction may raise `UnavailableError` where the database
    is locked, gone, damaged or its disk full, and `ConflictError` where somebody else wrote the
    same at the same moment.
    """

    def __init__(
        self, data: Path, reader: sa.Engine, writer: sa.Engine, path: Path | None, busy_s: float
    ) -> None:
        self.data = data
        self.reader = reader
        self.writer = writer
        self.path = path  # of the SQLite file; None for PostgreSQL
        self.busy_s = busy_s
        self.clock: Callable[[], datetime] = partial(datetime.now, UTC)  # tests give their own
        self._file = _file_id(path) if path else None

    @property
    def kind(self) -> Literal["sqlite", "postgresql"]:
        return "postgresql" if self.path is None else "sqlite"

    @property
    def name(self) -> str:
        """For messages: the file, or the URL without its password."""
        return str(self.path or self.writer.url.render_as_string(hide_password=True))

    @property
    def incoming(self) -> Path:
        """Where uploads in progress are."""
        return self.data / INCOMING

    def folder(self, recording_id: str) -> Path:
        """Where a recording's files are; it need not exist. No path is made of what is no id."""
        return self.data / RECORDINGS / known_id(recording_id, "recording")

    def read(self) -> AbstractContextManager[Transaction]:
        """A transaction that reads: everything in it as of one moment."""
        return self._begin(self.reader)

    def write(self) -> AbstractContextManager[Transaction]:
        """A transaction that writes: all of it is kept, or nothing."""
        return self._begin(self.writer, writes=True)

    @contextmanager
    def _begin(self, engine: sa.Engine, *, writes: bool = False) -> Iterator[Transaction]:
        with translated(self.name, self.busy_s, one_writer=writes and self.path is not None):
            self._check_file()
            with Transaction(self, engine) as transaction, transaction.begin():
                transaction.connection()  # takes the lock, where it writes
                yield transaction
                if writes:
                    transaction.flush()
                    self._check_file()

    @contextmanager
    def bare(self) -> Iterator[sa.Connection]:
        """A connection without a transaction, for ``VACUUM`` and the like."""
        options: dict[str, Any] = {_BARE: True}
        if self.path is None:
            options["isolation_level"] = "AUTOCOMMIT"
        with translated(self.name, self.busy_s, one_writer=self.path is not None):
            self._check_file()
            with self.writer.connect() as connection:
                yield connection.execution_options(**options)

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        self.reader.dispose()
        self.writer.dispose()

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


def reading(
    function: Callable[Concatenate[Transaction, P], T],
) -> Callable[Concatenate[Store | Transaction, P], T]:
    """A function over a transaction that takes a `Store` as well: it reads in one of its own then.

    Given a transaction, what it does is part of that one.
    """
    return _in_transaction(function, Store.read)


def writing(
    function: Callable[Concatenate[Transaction, P], T],
) -> Callable[Concatenate[Store | Transaction, P], T]:
    """As `reading`, for what writes."""
    return _in_transaction(function, Store.write)


def _in_transaction(
    function: Callable[Concatenate[Transaction, P], T],
    begin: Callable[[Store], AbstractContextManager[Transaction]],
) -> Callable[Concatenate[Store | Transaction, P], T]:
    @wraps(function)
    def run(where: Store | Transaction, /, *args: P.args, **kwargs: P.kwargs) -> T:
        if isinstance(where, Transaction):
            return function(where, *args, **kwargs)
        with begin(where) as transaction:
            return function(transaction, *args, **kwargs)

    return run


def open_store(
    data: Path | None = None, url: str | None = None, *, busy_s: float = BUSY_S
) -> Store:
    """Open the records, making or migrating the database first.

    Videos are always in the data folder (``folder.default_data_dir()`` for None), which is made
    where missing; the database is too where no ``url`` of PostgreSQL is given, such as
    ``postgresql://user@host/name``. A locked one is waited for ``busy_s`` seconds.
    """
    store = connect(default_data_dir() if data is None else Path(data), url, busy_s=busy_s)
    try:
        migrate(store)
    except BaseException:
        store.close()
        raise
    return store


def connect(folder: Path, url: str | None, *, busy_s: float) -> Store:
    """As `open_store`, of whatever version the database is."""
    place = None if url is None else _postgres_url(url)
    path = folder / DATABASE_NAME
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if place is None:
            path.touch(mode=0o600, exist_ok=True)
            with path.open("r+b"):
                pass  # only to learn now, with the reason, that it cannot be written
    except OSError as error:
        raise UnavailableError(
            f"expected a data folder that can be written, got {folder}: {error.strerror}; "
            "choose another --data"
        ) from error
    if place is None:
        return Store(folder, *_sqlite(path, busy_s), path, busy_s)
    return Store(folder, *_postgres(place, busy_s), None, busy_s)


def migrate(store: Store, revision: str = "head") -> None:
    """Make the tables, or bring them up to a revision, in one transaction.

    Nothing is done, and Alembic not loaded, where the version is already the newest.
    """
    if revision == "head":
        with store.read() as transaction:
            if version(transaction.connection()) == HEAD:
                return
    with store.write() as transaction:
        connection = transaction.connection()
        if store.kind == "postgresql":  # two servers that start at once: one migrates
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        if revision == "head" and version(connection) == HEAD:
            return
        _upgrade(connection, revision, store.name)


def version(connection: sa.Connection) -> str | None:
    """The database's revision; None where there are no tables yet."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: sa.Connection, revision: str, name: str) -> None:
    from alembic import command  # noqa: PLC0415 - 0.2 s, and only a new version needs it
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    found = version(connection)
    if found is not None and found not in {r.revision for r in script.walk_revisions()}:
        raise UnavailableError(
            f"expected a database of version {HEAD} or older at {name}, got {found}; update "
            "micromimic"
        )
    command.upgrade(config, revision)


def _file_id(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _sqlite(path: Path, busy_s: float) -> tuple[sa.Engine, sa.Engine]:
    """Who reads and who writes."""
    alone = _no_room_to_share(path, busy_s)

    def connection() -> sqlite3.Connection:
        # isolation_level None: transactions begin where `begin` says, not where Python guesses
        made = sqlite3.connect(
            _place(path), uri=True, timeout=busy_s, isolation_level=None, check_same_thread=False
        )
        try:
            if alone:
                made.execute("PRAGMA locking_mode=EXCLUSIVE")
            # VACUUM would leave a copy of everything in the system's temporary folder.
            for rule in ("foreign_keys=ON", "secure_delete=ON", "synchronous=FULL", "temp_store=2"):
                made.execute(f"PRAGMA {rule}")
            made.execute("PRAGMA journal_mode=WAL")
        except BaseException:
            made.close()
            raise
        return made

    def begin(statement: str, connection: sa.Connection) -> None:
        if not connection.get_execution_options().get(_BARE):
            connection.exec_driver_sql(statement)

    engine = partial(sa.create_engine, "sqlite+pysqlite:///", json_serializer=_dumps)
    pooled = partial(engine, creator=connection, poolclass=sa.QueuePool, pool_timeout=busy_s)
    writer = pooled(**_ONE)
    reader = engine(pool=writer.pool) if alone else pooled(**_MANY)
    sa.event.listen(writer, "begin", partial(begin, "BEGIN IMMEDIATE"))
    sa.event.listen(reader, "begin", partial(begin, "BEGIN"))
    return reader, writer


def _no_room_to_share(path: Path, busy_s: float) -> bool:
    """Whether the disk has no room for the memory that SQLite's connections share.

    One connection needs none: by it what fills the disk can still be removed.
    """
    try:
        with closing(sqlite3.connect(_place(path), uri=True, timeout=busy_s)) as connection:
            connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except (
        sqlite3.Error,
        UnicodeDecodeError,
    ) as error:  # what else is wrong shows at the first use
        return getattr(error, "sqlite_errorname", "") in ("SQLITE_IOERR_SHMSIZE", "SQLITE_FULL")
    return False


def _place(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}?mode=rw"  # never makes an empty file by mistake


def _postgres_url(url: str) -> sa.URL:
    """With the driver that is used here; messages never quote it, since it may hold a password."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise InputError(
            f"expected a database URL that begins with postgresql://, got {scheme[:20]!r}; "
            "leave it out for SQLite in the data folder"
        )
    if find_spec("psycopg") is None:
        raise MissingExtraError(
            "expected the package psycopg, got none; pip install 'micromimic[postgres]'"
        )
    try:
        return make_url(f"postgresql+psycopg://{rest}")
    except (sa.exc.ArgumentError, ValueError):
        raise InputError(
            "expected a database URL such as postgresql://user@host/name, got one that cannot be "
            "read; check it"
        ) from None


def _postgres(place: sa.URL, busy_s: float) -> tuple[sa.Engine, sa.Engine]:
    """Who reads and who writes."""
    writer = sa.create_engine(
        place,
        json_serializer=_dumps,
        pool_timeout=busy_s,
        pool_pre_ping=True,  # the server may have been restarted since
        connect_args={"connect_timeout": max(2, round(busy_s))},
        isolation_level="READ COMMITTED",
        **_MANY,
    )

    def on_connect(connection: Any, _record: object) -> None:
        before = connection.autocommit
        connection.autocommit = True
        connection.execute(f"SET lock_timeout = {round(busy_s * 1000)}")
        connection.execute("SET timezone = 'UTC'")
        connection.autocommit = before

    sa.event.listen(writer, "connect", on_connect)
    return writer.execution_options(isolation_level="REPEATABLE READ"), writer


def _dumps(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError as error:  # NaN: SQLite would keep it, PostgreSQL and browsers would not
        raise RefusedError(
            f"expected values that JSON can hold, got: {error}; give null for such numbers"
        ) from error
