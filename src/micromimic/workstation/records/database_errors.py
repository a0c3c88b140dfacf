"""What a database may answer, as one line: what was expected, what came, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from typing import Final

from sqlalchemy import exc

from micromimic.core.errors import ConflictError, StoreError, UnavailableError

_LOCKED: Final = (
    "expected the database to be free within {busy_s:g} s, got: it is locked by another program; "
    "try again in a moment"
)
_DAMAGED: Final = (
    "expected a database of micromimic at {name}, got a damaged or other file: {details}; restore "
    "a backup or choose another --data"
)
_SILENT: Final = "expected the database {name} to answer, got: {details}; check that it is there"
_MESSAGES: Final = {
    ("SQLITE_BUSY", "SQLITE_LOCKED", "55P03", "40P01", "40001", "57014"): _LOCKED,
    ("SQLITE_FULL", "53100"): "expected room on the disk for {name}, got: it is full; nothing was "
    "changed, make room and try again",
    ("SQLITE_CORRUPT", "SQLITE_NOTADB", "XX001", "XX002"): _DAMAGED,
    ("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH", "25006", "42501"): "expected to be allowed "
    "to change {name}, got: {details}; check its permissions",
    ("42P01", "3F000"): _SILENT,  # no such table
}
"""By SQLite's name of an error, or PostgreSQL's five characters."""


@contextmanager
def translated(name: str, busy_s: float, *, one_writer: bool = False) -> Iterator[None]:
    """Turn what SQLAlchemy raises into errors of the records; mistakes in our own SQL pass through.

    ``name`` is the database's, ``busy_s`` the seconds that were waited for a lock; with
    ``one_writer`` there is but one connection to wait for.
    """

    def unavailable(message: str, details: str = "") -> UnavailableError:
        return UnavailableError(message.format(name=name, busy_s=busy_s, details=details))

    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError(
            f"expected to be the only one to change this, got: {_first_line(error)}; read it again"
        ) from error
    except exc.TimeoutError as error:
        raise unavailable(
            _LOCKED
            if one_writer
            else "expected a free connection to {name} within {busy_s:g} s, got none; try again"
        ) from error
    except (UnicodeDecodeError, JSONDecodeError) as error:  # of a value, or where SQLite quotes it
        raise unavailable(_DAMAGED, str(error)) from error
    except exc.DBAPIError as error:
        message = _message(error)
        if message is None:
            raise
        raise unavailable(message, _first_line(error)) from error
    except exc.StatementError as error:
        if isinstance(error.orig, StoreError):  # raised while a value was made ready
            raise error.orig from error
        raise


def _message(error: exc.DBAPIError) -> str | None:
    """What to say; None where the fault is ours."""
    orig = error.orig
    code = str(getattr(orig, "sqlite_errorname", None) or getattr(orig, "sqlstate", None) or "")
    for codes, message in _MESSAGES.items():
        if code.startswith(codes):
            return message
    failed = isinstance(error, exc.OperationalError | exc.InternalError | exc.InterfaceError)
    return _SILENT if failed else None


def _first_line(error: exc.DBAPIError) -> str:
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__
