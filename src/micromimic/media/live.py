"""Frames as they come: the interface of every live source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from micromimic.media.frames import Frame

QUEUE_BYTES: Final = 48 * 2**20
_BYTES_PER_PIXEL: Final = 4  # grey, and what colour is made from


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """One frame and when it came.

    Args:
        frame: ``index`` counts frames received from 0; ``time`` is seconds from the first frame, by
            the source's own clock where it has one (file, stream), else by arrival.
        arrived: ``time.monotonic()`` when the frame was there to be taken.
    """

    frame: Frame
    arrived: float


class LiveSource(Protocol):
    """A source that is read by one thread.

    Attributes:
        name: for people.
        finite: it ends by itself (a file), and then that is no error.
    """

    name: str
    finite: bool

    def next(self, timeout: float) -> Arrival | None:
        """The next frame; None if there was none within ``timeout`` seconds.

        Raises:
            EOFError: the source has ended.
            SourceLostError: the camera or stream is gone; ``reopen`` may bring it back.
            InputError: it can never work (no such file, not a video).
        """

    def reopen(self) -> bool:
        """Try once to open a lost source again; whether it worked. Times go on, with a gap."""

    def close(self) -> None:
        """Give the camera or file back; may be called twice, and from another thread."""


def queue_length(width: int, height: int, wanted: int = 64) -> int:
    """Frames that may wait in a source: ``wanted``, or as many as 48 MiB hold, but at least 4.

    >>> queue_length(640, 480), queue_length(3840, 2160)
    (40, 4)
    """
    return max(4, min(wanted, QUEUE_BYTES // (_BYTES_PER_PIXEL * max(1, width * height))))
