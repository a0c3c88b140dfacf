"""What a database may answer, as one line: what was expected, what came, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Final

from sqlalchemy import exc

from micromimic.core.errors import ConflictError, StoreError, UnavailableError

_LOCKED: Final = ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "40P01", "40001", "57014")
_FULL: Final = ("SQLITE_FULL", "53100")
_DAMAGED: Final = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002")
_FORBIDDEN: Final = ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH", "25006", "42501")
_NO_TABLES: Final = ("42P01", "3F000")


@contextmanager
def translated(name: str, busy_s: float, *, one_writer: bool = False) -> Iterator[None]:
    """Turn what SQLAlchemy raises into errors of the records; mistakes in our own SQL pass through.

    ``name`` is the database's, ``busy_s`` the seconds that were waited for a lock; with
    ``one_writer`` there is but one connection to wait for.
    """
    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError(
            f"expected to be the only one to change this, got: {_first_line(error)}; read it again"
        ) from error
    except exc.TimeoutError as error:
        if one_writer:
            raise _locked(busy_s) from error
        raise UnavailableError(
            f"expected a free connection to {name} within {busy_s:g} s, got none; try again"
        ) from error
    except (UnicodeDecodeError, JSONDecodeError) as error:  # of a value, or where SQLite quotes it
        raise _damaged(name, str(error)) from error
    except exc.DBAPIError as error:
        translation = _translation(error, name, busy_s)
        if translation is None:
            raise
        raise translation from error
    except exc.StatementError as error:
        if isinstance(error.orig, StoreError):  # raised while a value was made ready
            raise error.orig from error
        raise


def _locked(busy_s: float) -> UnavailableError:
    return UnavailableError(
        f"expected the database to be free within {busy_s:g} s, got: it is locked by another "
        "program; try again in a moment"
    )


def _damaged(name: str, details: str) -> UnavailableError:
    return UnavailableError(
        f"expected a database of micromimic at {name}, got a damaged or other file: {details}; "
        "restore a backup or choose another --data"
    )


def _translation(error: exc.DBAPIError, name: str, busy_s: float) -> StoreError | None:
    code = _code(error)
    if code.startswith(_LOCKED):
        return _locked(busy_s)
    if code.startswith(_FULL):
        return UnavailableError(
            f"expected room on the disk for {name}, got: it is full; nothing was changed, make "
            "room and try again"
        )
    if code.startswith(_DAMAGED):
        return _damaged(name, _first_line(error))
    if code.startswith(_FORBIDDEN):
        return UnavailableError(
            f"expected to be allowed to change {name}, got: {_first_line(error)}; check its "
            "permissions"
        )
    if code.startswith(_NO_TABLES) or isinstance(
        error, exc.OperationalError | exc.InternalError | exc.InterfaceError
    ):
        return UnavailableError(
            f"expected the database {name} to answer, got: {_first_line(error)}; check that it is "
            "there"
        )
    return None


def _code(error: exc.DBAPIError) -> str:
    """SQLite's name of the error, or PostgreSQL's five characters; empty where neither is known."""
    orig = error.orig
    return str(getattr(orig, "sqlite_errorname", None) or getattr(orig, "sqlstate", None) or "")


def _first_line(error: exc.DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
