"""Where the records are, and opening them; what SQLAlchemy needs is loaded only then."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from micromimic.core.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from micromimic.workstation.records.store import Store

DATABASE_NAME: Final = "micromimic.db"
ENVIRONMENT: Final = "MICROMIMIC_DATA"
BUSY_S: Final = 5.0
"""Seconds to wait for a locked database before saying so."""


def default_data_dir() -> Path:
    """The data folder: ``MICROMIMIC_DATA`` where set, else the user's own for applications.

    Raises:
        MissingExtraError: if the ``web`` extra is not installed.
    """
    if named := os.environ.get(ENVIRONMENT):
        return Path(named).expanduser()
    _require("platformdirs", "web")
    from platformdirs import user_data_dir  # noqa: PLC0415 - of the web extra

    return Path(user_data_dir("micromimic", appauthor=False))


def open_store(
    data: Path | None = None, url: str | None = None, *, busy_s: float = BUSY_S
) -> Store:
    """Open the records, making or migrating the database first.

    Args:
        data: the data folder, made where missing; None for ``default_data_dir()``. Videos are
            always there, the database is where no URL is given.
        url: of a PostgreSQL database, such as ``postgresql://user@host/name``; None for SQLite.
        busy_s: seconds to wait for a locked database.

    Raises:
        InputError: a URL of another kind.
        MissingExtraError: the ``web`` extra, or ``postgres`` for a URL, is not installed.
        UnavailableError: the folder or database cannot be opened, or a newer micromimic made it.
    """
    for package in ("sqlalchemy", "alembic"):
        _require(package, "web")
    if url is not None:
        url = _postgres_url(url)
        _require("psycopg", "postgres")
    from micromimic.workstation.records.engine import Database  # noqa: PLC0415 - loads SQLAlchemy
    from micromimic.workstation.records.schema import migrate  # noqa: PLC0415 - loads SQLAlchemy
    from micromimic.workstation.records.store import Store  # noqa: PLC0415 - loads SQLAlchemy

    folder = default_data_dir() if data is None else Path(data)
    database = Database.open(folder, url, busy_s=busy_s)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return Store(folder, database)


def _require(package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise MissingExtraError(
            f"expected the package {package}, got none; pip install 'micromimic[{extra}]'"
        )


def _postgres_url(url: str) -> str:
    """With the driver that is used here.

    >>> _postgres_url("postgresql://kim@localhost/records")
    'postgresql+psycopg://kim@localhost/records'
    """
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
        # Never the URL itself: it may hold a password.
        raise InputError(
            f"expected a database URL that begins with postgresql://, got {scheme[:20]!r}; "
            "leave it out for SQLite in the data folder"
        )
    return f"postgresql+psycopg://{rest}"
