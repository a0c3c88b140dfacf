"""Frames as they come: the interface of every live source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from micromimic.media.frames import Frame


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
