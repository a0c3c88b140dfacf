"""What the command line says, where, and in one line where it is an error."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from micromimic.core.errors import MicromimicError, MissingExtraError

DEBUG_VARIABLE: Final = "MICROMIMIC_DEBUG"
_PYTHONS: Final = warnings.formatwarning
_TOLD: Final[dict[str, None]] = {}


class Interrupted(Exception):  # noqa: N818 - Ctrl-C is no error
    """Ctrl-C, with the line to say."""


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def prepare_streams() -> None:
    """Never fail on a character that the terminal cannot show; our own warnings are one line."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.formatwarning = _warning  # type: ignore[assignment]


def _warning(message: object, category: type[Warning], *where: Any) -> str:
    text = one_line(str(message))
    if category.__module__ != "micromimic.core.errors":
        return _PYTHONS(text, category, *where)
    told, _TOLD[text] = text in _TOLD, None  # Python forgets what it said when a filter changes
    return "" if told else f"micromimic: note: {text}\n"


def keep_caches_together() -> None:
    """What libraries keep for their next start lies in a folder of our own, unless named before.

    Matplotlib keeps a list of the fonts that are there.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    os.environ.setdefault("MPLCONFIGDIR", str(caches / "micromimic" / "matplotlib"))


def say(text: str = "", end: str = "\n") -> bool:
    """Write results to stdout; a closed pipe silences, and does not stop the work.

    Returns:
        False if the pipe was found closed.
    """
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
        return False
    return True


def note(text: str) -> None:
    """Write progress and errors to stderr."""
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def complain(text: str) -> None:
    """Write one error line to stderr."""
    note(f"micromimic: error: {one_line(text)}")


def one_line(text: str) -> str:
    """Text without line ends.

    >>> one_line("a\\n  b")
    'a b'
    """
    return " ".join(text.split())


def describe(error: BaseException) -> str:
    """One line for an error: its message if it is ours, else its type and how to see more."""
    if isinstance(error, MicromimicError):
        return one_line(str(error))
    if isinstance(error, MemoryError):
        return "expected enough memory, got none left; close programs or use --jobs 1"
    text = one_line(str(error))
    detail = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"unexpected {detail}; set {DEBUG_VARIABLE}=1 to see where"


def trace_of(error: BaseException) -> str:
    """The traceback when debugging, else nothing."""
    return "".join(traceback.format_exception(error)) if debugging() else ""


def _silence() -> None:
    """Send what is still said nowhere, so that Python's own flush at exit is quiet too."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - lives to the end
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(sys.stdout.fileno(), sys.__stdout__.fileno())  # type: ignore[union-attr]


@contextlib.contextmanager
def needs_web() -> Iterator[None]:
    """Say which extra is missing where an import fails."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("micromimic"):
            raise
        raise MissingExtraError(
            f"expected the package {error.name}, got none; pip install 'micromimic[web]'"
        ) from None
