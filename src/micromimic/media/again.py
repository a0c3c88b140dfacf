"""A second pass: what was noticed in a recording is looked at in its frames, by two threads.

Each thread reads for itself, and its decoder has one thread: so two read as fast as one reader with
two threads, at three quarters of its processor time, and what is made of the frames runs beside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final, Protocol, TypeVar

from micromimic.media.frames import Frame, Frames, read_again

T_co = TypeVar("T_co", covariant=True)

THREADS: Final = 2
_LOOKS: Final = 16
"""Looks that a reader takes at most: so that results come, and threads end, alike."""


class Look(Protocol[T_co]):
    """Something that is looked at once more."""

    @property
    def rows(self) -> Sequence[int]:
        """The frames' numbers, rising."""

    def take(self, frame: Frame) -> None:
        """The next of these frames."""

    def end(self) -> T_co:
        """What was seen; all frames are taken."""


def look_at(frames: Frames, looks: Sequence[Look[T_co]], threads: int = THREADS) -> Iterator[T_co]:
    """What is seen by each of the looks, in order; frames that several want are read once if these
    looks are near each other. ``looks``: by time."""
    if threads < 2 or len(looks) < 2:
        yield from _in_turn(frames, looks)
        return
    count = max(threads, -(-len(looks) // _LOOKS))
    edges = [len(looks) * part // count for part in range(count + 1)]
    parts = [looks[first:last] for first, last in pairwise(edges)]
    pool = ThreadPoolExecutor(threads, thread_name_prefix="micromimic-again")
    try:
        for seen in pool.map(lambda part: list(_in_turn(frames, part)), parts):
            yield from seen
    finally:
        pool.shutdown(cancel_futures=True)


def _in_turn(frames: Frames, looks: Sequence[Look[T_co]]) -> Iterator[T_co]:
    waiting: defaultdict[int, list[Look[T_co]]] = defaultdict(list)
    for look in looks:
        for row in look.rows:
            waiting[row].append(look)
    reader = frames.frames_at(sorted(waiting))
    at = -1
    for look in looks:
        last = look.rows[-1]
        while at < last:
            frame = read_again(reader, last)
            at = frame.index
            for other in waiting.pop(at):
                other.take(frame)
        yield look.end()
