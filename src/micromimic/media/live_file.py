"""A video file played at its own speed, as if it were a camera."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from micromimic.media.live import Arrival, ReaderSource, queue_length
from micromimic.media.video import open_source

_DECODED_AHEAD: Final = 8


class FileSource(ReaderSource):
    """Frames of a file or of a folder, each handed out when it is due; see ``LiveSource``.

    The first frame is due when it is asked for, the others after it by their real timestamps. A
    reader that cannot keep up makes frames late, never fewer.

    Args:
        path: a video file, or a folder of pictures with ``fps``.
        fps: overrides the file's timestamps; needed for a folder.
        track: which of a file's video tracks, from 1; None leaves it to ``choose_track``.

    Raises:
        InputError: the path is missing, empty, or no video.

    Attributes:
        notices: what was chosen or noticed when the file was opened.
    """

    finite = True

    def __init__(
        self,
        path: str | Path,
        fps: float | None = None,
        *,
        track: int | None = None,
    ) -> None:
        self._source = open_source(path, fps, read_ahead=_DECODED_AHEAD, track=track)
        self.notices = self._source.notices
        self._length = queue_length(self._source.width, self._source.height)
        super().__init__(str(path), speed=1.0)

    def _open(self, device: ExitStack) -> Iterator[Arrival]:
        frames = device.enter_context(self._source)
        return (Arrival(frame, time.monotonic()) for frame in frames)
