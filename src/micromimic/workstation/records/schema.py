"""The database's version: made, brought up to date, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from micromimic.core.errors import UnavailableError
from micromimic.workstation.records.engine import Database

HEAD: Final = "0002"
"""The newest revision in ``migrations/versions``; a test holds the two together."""
VERSION_TABLE: Final = "micromimic_version"
MIGRATIONS: Final = Path(__file__).parent / "migrations"
_ADVISORY_LOCK: Final = 0x6D6963726F  # "micro": any number that no other program uses


def migrate(database: Database, revision: str = "head") -> None:
    """Make the tables, or bring them up to date, in one transaction.

    Nothing is done, and Alembic not loaded, where the version is already the newest.

    Args:
        database: an open one.
        revision: where to stop; tests of migrations stop early.

    Raises:
        UnavailableError: a newer micromimic made it, or it cannot be opened or changed.
    """
    if revision == "head":
        with database.read() as connection:
            if version(connection) == HEAD:
                return
    with database.write() as connection:
        if database.kind == "postgresql":  # two servers that start at once: one migrates
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        if revision == "head" and version(connection) == HEAD:
            return
        _upgrade(connection, revision, database.name)


def version(connection: Connection) -> str | None:
    """The database's revision; None where there are no tables yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return None if found is None else str(found)


def _upgrade(connection: Connection, revision: str, name: str) -> None:
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
