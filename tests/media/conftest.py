"""Fixtures of live sources: what they read, and that they leave nothing running."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..live_servers import write_numbered


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and "micromimic" in t.name]
    assert not left


@pytest.fixture(scope="session")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbered frames whose times are uneven: 0.02 s apart, with a gap of 0.2 s."""
    path = tmp_path_factory.mktemp("live") / "uneven.mp4"
    times = [n * 0.02 + (0.2 if n >= 15 else 0.0) for n in range(30)]
    write_numbered(path, 50, len(times), times=times)
    return path
