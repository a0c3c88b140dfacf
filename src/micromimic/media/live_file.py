"""A video file played at its own speed, as if it were a camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from micromimic.media.frames import Notice
from micromimic.media.live import Arrival, queue_length
from micromimic.media.live_reader import ReaderSource
from micromimic.media.mailbox import Clock
from micromimic.media.video import open_source

_DECODED_AHEAD: Final = 8


class FileSource(ReaderSource):
    """Frames of a file or of a folder, each handed out when it is due; see ``LiveSource``.

    The first frame is due when it is asked for, the others after it by their real timestamps. A
    reader that cannot keep up makes frames late, never fewer.

    Args:
        path: a video file, or a folder of pictures with ``fps``.
        fps: overrides the file's timestamps; needed for a folder.
        clock: what the speed is measured by.
        track: which of a file's video tracks, from 1; None leaves it to ``choose_track``.

    Raises:
        InputError: the path is missing, empty, or no video.
    """

    def __init__(
        self,
        path: str | Path,
        fps: float | None = None,
        *,
        clock: Clock = time.monotonic,
        track: int | None = None,
    ) -> None:
        self._source = open_source(path, fps, read_ahead=_DECODED_AHEAD, track=track)
        self._began: float | None = None
        self.width, self.height = self._source.width, self._source.height
        length = queue_length(self.width, self.height)
        super().__init__(str(path), finite=True, length=length, patient=True, clock=clock)

    @property
    def nominal_fps(self) -> float | None:
        """The rate that the file states; None where it does not."""
        return self._source.nominal_fps

    @property
    def damage(self) -> tuple[str, ...]:
        """What is wrong with the file, a line each; complete at the end."""
        return self._source.damage

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What was chosen or noticed in the file; complete at the end."""
        return self._source.notices

    def next(self, timeout: float) -> Arrival | None:
        """The next frame when it is due; None if that is later than ``timeout`` seconds.

        Raises:
            EOFError: the file has ended, or was closed.
            InputError: a picture of the folder is unreadable or of another size.
        """
        arrival = super().next(timeout)
        # Frames are read ahead: one was there when it was due, or later if the reader was late.
        return arrival and replace(arrival, arrived=max(arrival.arrived, self._due(arrival)))

    def reopen(self) -> bool:
        """False: a file does not come back."""
        return False

    def _due(self, arrival: Arrival) -> float:
        if self._began is None:
            self._began = self._clock() - arrival.frame.time
        return self._began + arrival.frame.time

    def _arrivals(self) -> Iterator[Arrival]:
        for frame in self._source:
            yield Arrival(frame, self._clock())

    def _release(self) -> None:
        self._source.close()
