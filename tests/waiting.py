"""Wait until something is so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

PATIENCE_S = 120.0
"""Ends a test that hangs; nothing is expected to take this long."""


def wait_for(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Look again and again until something is so."""
    end = time.monotonic() + patience_s
    between = threading.Event()
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        between.wait(0.02)
