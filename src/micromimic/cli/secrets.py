"""Secrets from a file or the environment: a command line can be read in the list of processes."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Annotated, Any, Final

import typer

TOKEN_VARIABLE: Final = "MICROMIMIC_TOKEN"
DATABASE_VARIABLE: Final = "MICROMIMIC_DATABASE_URL"
_LONGEST: Final = 4096

DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Of PostgreSQL (postgresql://...), where the records are there; "
        "MICROMIMIC_DATABASE_URL if left out. A password is better there or in --database-file.",
        show_default=False,
    ),
]


def _file(content: str) -> Any:
    """An option that names the file of a secret."""
    return typer.Option(
        metavar="FILE", help=f"Holds {content}; nobody else may read it.", show_default=False
    )


DatabaseFile = Annotated[Path | None, _file("the URL of --database")]
TokenFile = Annotated[Path | None, _file("what --token says")]


def token_of(given: str | None, file: Path | None) -> str | None:
    """The token: from the command line, else a file, else the environment; None if from nowhere.

    Raises:
        InputError: the file cannot be used.
    """
    return _secret("--token", given, file, TOKEN_VARIABLE)


def database_of(given: str | None, file: Path | None) -> str | None:
    """The database's URL: from the command line, else a file, else the environment.

    Raises:
        InputError: the file cannot be used.
    """
    return _secret("--database", given, file, DATABASE_VARIABLE)


def _secret(option: str, given: str | None, file: Path | None, variable: str) -> str | None:
    if given is not None and file is not None:
        raise typer.BadParameter(f"expected {option} or {option}-file, got both")
    if file is not None:
        return _read(option, file)
    return given if given is not None else os.environ.get(variable) or None


def _read(option: str, file: Path) -> str:
    """The one line of a file that nobody else may read."""
    from micromimic.core.errors import InputError

    wanted = f"expected a file of one line for {option}-file"
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            text = opened.read(_LONGEST + 1).decode("utf-8")
    except OSError as error:
        raise InputError(f"{wanted}, got {file}: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{wanted}, got {file}, which is no text; write it anew") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o007:
        raise InputError(
            f"expected a file that only you can read for {option}-file, got {file}, open to "
            f"everybody on this machine; chmod 600 {file}"
        )
    lines = text.splitlines()
    if len(text) > _LONGEST or len(lines) != 1 or not lines[0].strip():
        raise InputError(f"{wanted}, got {file} with {len(lines)} lines; write only the secret")
    return lines[0].strip()
