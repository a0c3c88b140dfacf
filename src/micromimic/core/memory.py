"""Memory that nobody uses any more goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
import sys


def give_back() -> None:
    """Hand back what was freed: glibc keeps it, and a stage that takes other pieces takes new ones
    beside it. Takes some milliseconds; other C libraries have no such call, and nothing happens."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
