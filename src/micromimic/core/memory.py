"""Memory that nobody uses any more goes back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Hand back what was freed: glibc keeps it, and a stage that takes other pieces takes new ones
    beside it. Takes some milliseconds; other C libraries have no such call, and nothing happens."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
