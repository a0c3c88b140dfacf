"""A second pass by two threads: the same as by one, in order, and nothing left running."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from micromimic.core.errors import InputError
from micromimic.media.again import look_at
from micromimic.media.frames import Frame
from micromimic.media.video import open_source

from .test_video import encode, pictures

SPANS = [
    *([3, 4, 5], [5, 6], [6, 30, 31], [10, 11]),  # the last is over before the one before it
    *([41], [41, 42, 43], [60, 61], [70, 99], [98, 99, 119]),
]


class Sums:
    """What the frames add up to, as they came."""

    def __init__(self, rows: Sequence[int]) -> None:
        self.rows = rows
        self.seen: list[tuple[int, float, int]] = []

    def take(self, frame: Frame) -> None:
        self.seen.append((frame.index, frame.time, int(frame.rgb().sum(dtype=int))))

    def end(self) -> list[tuple[int, float, int]]:
        return self.seen


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("again") / "a.mp4"
    return encode(path, pictures(120), options={"bf": "3", "g": "20", "crf": "20"})


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_look_sees_its_frames_whoever_reads_them(
    clip: Path, threads: int, no_thread_left: None
) -> None:
    with open_source(clip) as source:
        read = [(f.index, f.time, int(f.rgb().sum(dtype=int))) for f in source]
        seen = list(look_at(source, [Sums(rows) for rows in SPANS], threads))
        assert not list(look_at(source, [], threads))
    assert seen == [[read[row] for row in rows] for rows in SPANS]


def test_who_wants_no_more_leaves_no_thread(clip: Path, no_thread_left: None) -> None:
    with open_source(clip) as source:
        results = look_at(source, [Sums([row]) for row in range(100)])
        assert next(results)[0][0] == 0
        results.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_file_that_ends_before_is_an_error(
    clip: Path, threads: int, no_thread_left: None
) -> None:
    class Short:
        def frames_at(self, indices: Sequence[int]):
            with open_source(clip) as source:
                yield from source.frames_at([row for row in indices if row < 99])

    with pytest.raises(InputError, match="frame 99 again"):
        list(look_at(Short(), [Sums(rows) for rows in SPANS], threads))
