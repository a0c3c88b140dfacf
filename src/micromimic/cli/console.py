"""What the command line says, where, and in one line where it is an error."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from micromimic.core.errors import MicromimicError, MissingExtraError

DEBUG_VARIABLE: Final = "MICROMIMIC_DEBUG"
_PYTHON_FORMAT: Final = warnings.formatwarning
_WARNED: Final[set[str]] = set()


class Interrupted(Exception):  # noqa: N818 - Ctrl-C is no error
    """Ctrl-C, with the line to say."""


@contextlib.contextmanager
def resumable(done: str, folder: Path) -> Iterator[None]:
    """Ctrl-C says that what is ``done`` is kept, and that it can go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted; {done} are kept in {folder}, the same command goes on from there"
        ) from None


def debugging() -> bool:
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def prepare_streams() -> None:
    """Never fail on a character that the terminal cannot show; our own warnings are one line."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    warnings.formatwarning = _format_warning  # type: ignore[assignment]


def _format_warning(message: object, category: type[Warning], *where: Any) -> str:
    text = one_line(str(message))
    if category.__module__ != "micromimic.core.errors":
        return _PYTHON_FORMAT(text, category, *where)
    if text in _WARNED:  # Python forgets what it said when a filter changes
        return ""
    _WARNED.add(text)
    return f"micromimic: note: {text}\n"


def keep_caches_together() -> None:
    """What libraries keep for their next start lies in a folder of our own, unless named before.

    Matplotlib keeps a list of the fonts that are there.
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    os.environ.setdefault("MPLCONFIGDIR", str(caches / "micromimic" / "matplotlib"))


def say(text: str = "", end: str = "\n") -> bool:
    """Write results to stdout; False where its pipe was found closed, and the work goes on."""
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still said goes nowhere, so that Python's own flush at exit is quiet too.
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - to the end
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(sys.stdout.fileno(), sys.__stdout__.fileno())  # type: ignore[union-attr]
        return False
    return True


def note(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def notes(texts: Sequence[str]) -> None:
    for text in texts:
        note(f"note: {text}")


def warn(text: str | None) -> None:
    if text:
        note(f"warning: {text}")


def list_left_out(lines: Sequence[str]) -> None:
    if lines:
        note(f"{len(lines)} clips left out:")
        for line in lines:
            note(f"  {line}")


def complain(text: str) -> None:
    note(f"micromimic: error: {one_line(text)}")


def one_line(text: str) -> str:
    """Text without line ends.

    >>> one_line("a\\n  b")
    'a b'
    """
    return " ".join(text.split())


def count_of(number: int, noun: str) -> str:
    """
    >>> count_of(1, "event"), count_of(0, "event")
    ('1 event', '0 events')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 2) -> str:
    """Columns aligned; numbers to the right.

    >>> print(text_table(["onset", "class"], [["1.5", "tense"], ["12.25", "calm"]]))
      onset  class
        1.5  tense
      12.25  calm
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_is_number(cell) for cell in column[1:]) for column in columns]
    lines = []
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    return cell.replace(".", "", 1).replace("%", "").strip("+-").isdigit() or cell in ("", "-")


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
