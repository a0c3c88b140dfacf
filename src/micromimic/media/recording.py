"""What sources of a whole recording have in common: read ahead in a thread, watched for repeats."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Generic, Self, TypeVar

from micromimic.core.closing import Closing
from micromimic.core.mailbox import Mailbox
from micromimic.media.decoding.pixels import depth_notices
from micromimic.media.decoding.repeats import RepeatWatch
from micromimic.media.frames import Frame, Notice, check_ascending

T = TypeVar("T")

READ_AHEAD: Final = 32  # frames: what a search for a face takes, and no more than stays in a cache
READ_AHEAD_BYTES: Final = 64 * 2**20  # frames read ahead never hold more than this
_AT_ONCE: Final = 4  # frames handed over: each time costs two threads a wait for the other
_POLL_S: Final = 0.1


class Prefetch(Closing, Generic[T]):
    """Iterator over ``make()``; a thread computes up to ``ahead`` items in the background.

    The thread starts with the object and ends with ``close``, at the end of the items, or with an
    error, which is raised where the items are taken. Where ``ahead`` items wait, it waits too, or
    drops the newest.

    >>> with Prefetch(lambda: iter(range(3)), ahead=2) as items:
    ...     list(items)
    [0, 1, 2]
    """

    def __init__(self, make: Callable[[], Iterator[T]], ahead: int, *, waits: bool = True) -> None:
        self._make = make
        self._waits = waits
        self.items = Mailbox[T](max(1, ahead))
        self.thread = threading.Thread(target=self._work, name="micromimic-read", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        source = self._make()
        try:
            for item in source:
                if not self.items.offer(item, wait=self._waits) and self._waits:
                    return
            self.items.end()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that reads
            self.items.end(error)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self.items)

    def close(self) -> None:
        """Stop the thread and wait until it is gone; may be called twice."""
        self.items.close()
        while self.thread.is_alive():
            self.thread.join(_POLL_S)


def _together(make: Callable[[], Iterator[Frame]], several: int) -> Iterator[list[Frame]]:
    """Frames by the handful; the first alone, and those before an error before it."""
    group: list[Frame] = []
    source = make()
    try:
        for frame in source:
            group.append(frame)
            if len(group) == several or frame.index == 0:
                yield group
                group = []
    except Exception:
        yield group
        raise
    finally:
        getattr(source, "close", bool)()
    yield group


class Recording(Closing):
    """Base of every `FrameSource`: a subclass opens the file and says how frames are made. With no
    frames to read ahead it needs no thread: who iterates decodes."""

    width = height = 0
    expected_frames: int | None = None
    nominal_fps: float | None = None
    damage: tuple[str, ...] = ()
    picture_share = 1.0
    _bytes_per_pixel = 4.0  # of a frame that waits

    def __init__(self, path: object, read_ahead: int, bits: int) -> None:
        self.path = str(path)
        self._read_ahead = read_ahead
        self._bits = bits
        self._cut: set[int] = set()  # frames that are brighter than these bits say
        self._known: tuple[Notice, ...] = ()
        self._repeats: tuple[Notice, ...] = ()
        self._reading: set[Prefetch[list[Frame]]] = set()
        self._closed = False

    @property
    def notices(self) -> tuple[Notice, ...]:
        return (*self._known, *depth_notices(self._bits, len(self._cut)), *self._repeats)

    @property
    def media_times(self) -> Sequence[float] | None:
        return None

    def _produce(self) -> Iterator[Frame]:
        """All frames in order, in a thread; complete what is known of them at the end."""
        raise NotImplementedError

    def _frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Some frames, by ascending index; IndexError where the recording ends before."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Frame]:
        self._check_open()
        if not self._read_ahead:
            yield from self._produce()
            return
        room = int(READ_AHEAD_BYTES / (self._bytes_per_pixel * max(1, self.width * self.height)))
        ahead = min(self._read_ahead, room)
        several = max(1, min(_AT_ONCE, ahead // 4))
        with Prefetch(partial(_together, self._produce, several), ahead // several) as groups:
            self._reading.add(groups)
            try:
                for frames in groups:
                    yield from frames
            finally:
                self._reading.discard(groups)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        self._check_open()
        check_ascending(indices)
        return self._frames(indices)

    def _note_repeats(self, watch: RepeatWatch, seconds: float) -> None:
        notice = watch.notice(seconds)
        self._repeats = () if notice is None else (notice,)
        self.picture_share = watch.pictures()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"expected an open source, got {self.path} after close()")

    def close(self) -> None:
        self._closed = True
        for frames in list(self._reading):
            frames.close()
