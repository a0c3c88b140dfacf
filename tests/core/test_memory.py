from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import pytest

from micromimic.core.memory import give_back

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not GLIBC, reason="another C library")
def test_what_was_freed_is_the_system_s_again() -> None:
    blocks = [bytes(bytearray(b"x") * 60_000) for _ in range(1000)]
    last = bytes(bytearray(b"x") * 60_000)  # above them all: what lies below it stays
    del blocks
    kept = resident()
    give_back()
    assert kept - resident() > 30_000_000
    assert last


def test_where_there_is_nothing_to_ask_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: object) -> None:
        raise OSError("Dynamic loading not supported")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    give_back()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())  # musl's
    give_back()
