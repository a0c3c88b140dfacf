"""Lines on stdout that are waited for, but never within a write: that holds a lock."""

from __future__ import annotations

import select
import sys
from typing import Final

from micromimic._cli.console import say

_PIECE: Final = 4096
"""Bytes that a pipe with room takes at once."""
_LOOK_S: Final = 0.2


def write_line(line: str) -> bool:
    """Write a line, however slowly it is read; False if nobody reads any more."""
    text = line + "\n"
    for start in range(0, len(text), _PIECE):
        while not _has_room():
            pass
        if not say(text[start : start + _PIECE], end=""):
            return False
    return True


def _has_room() -> bool:
    """Whether stdout takes more now; waits a moment for it."""
    if sys.platform == "win32":  # only sockets can be asked there
        return True
    try:
        return bool(select.select([], [sys.stdout.fileno()], [], _LOOK_S)[1])
    except (OSError, ValueError):  # no file beneath: it never waits
        return True
