"""What this process is writing at the moment, by id: nobody else sweeps it away."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_guard = threading.Lock()
_ids: Counter[str] = Counter()


@contextmanager
def holding(id: str) -> Iterator[None]:  # noqa: A002 - as in the store
    """Hold the files of an upload or a recording; begin before the first of them is made."""
    with _guard:
        _ids[id] += 1
    try:
        yield
    finally:
        with _guard:
            _ids[id] -= 1
            if not _ids[id]:
                del _ids[id]


def held_ids() -> frozenset[str]:
    """Ids that are held now."""
    with _guard:
        return frozenset(_ids)
