"""Arrays that grow at the end and are forgotten at the front."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Rolling:
    """Rows in one piece of memory; adding and dropping some costs no copy of all, most times.

    Args:
        shape: of one row.
        dtype: of the values.

    >>> rows = Rolling((), int)
    >>> rows.extend(np.arange(5)); rows.drop(2); rows.view.tolist()
    [2, 3, 4]
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._memory: NDArray[Any] = np.empty((64, *shape), dtype)
        self._start = 0
        self._stop = 0

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def view(self) -> NDArray[Any]:
        """(n, ...) the rows, to read and to write, until the next ``extend``."""
        return self._memory[self._start : self._stop]

    def extend(self, values: NDArray[Any]) -> None:
        """Add rows at the end."""
        if self._stop + len(values) > len(self._memory):
            self._make_room(len(values))
        self._memory[self._stop : self._stop + len(values)] = values
        self._stop += len(values)

    def drop(self, count: int) -> None:
        """Forget rows at the front."""
        self._start = min(self._start + count, self._stop)

    def _make_room(self, count: int) -> None:
        kept = self.view
        needed = 2 * (len(kept) + count)
        memory = self._memory
        if needed > len(memory):
            memory = np.empty((needed, *memory.shape[1:]), memory.dtype)
        memory[: len(kept)] = kept.copy() if memory is self._memory else kept
        self._memory, self._start, self._stop = memory, 0, len(kept)
