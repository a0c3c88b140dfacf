"""A live session's video, written while it runs, where the user says so and consent holds."""

from __future__ import annotations

import shutil
import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MicromimicError, OutputError
from micromimic.core.mailbox import Mailbox
from micromimic.media.writer import VideoWriter
from micromimic.workstation.records.database import Store
from micromimic.workstation.records.models import Recording
from micromimic.workstation.settings import Settings
from micromimic.workstation.uploads import RESERVE_BYTES, Incoming, Upload, keep

QUEUE_BYTES: Final = 64 << 20
CHECK_EVERY: Final = 25
"""Frames between two looks at the file's size and the room on the disk."""
CRF: Final = 12
"""Close to lossless at a tenth of the size; a camera's own compression is coarser."""


class VideoRecorder:
    """Writes grey frames with their own times into ``incoming/``, in a thread; fps is a hint.

    ``frames`` were written, ``left_out`` came faster than they could be; ``problem`` is one line
    where writing ended before the session did, else empty.
    """

    def __init__(self, settings: Settings, width: int, height: int, fps: float) -> None:
        self._settings = settings
        self._incoming = Incoming(settings.data, ".mp4")
        path = self._incoming.path
        try:
            self._writer = VideoWriter(
                path, fps, width, height, False, crf=CRF, preset="ultrafast", timed=True
            )
        except BaseException:
            self._incoming.discard()
            raise
        length = max(4, min(256, QUEUE_BYTES // (width * height)))
        self._mailbox = Mailbox[tuple[float, NDArray[np.uint8]]](length)
        self.origin = 0.0  # capture time of the first frame written
        self._failure: Exception | None = None
        self.frames = self.left_out = 0
        self.problem = ""
        self._thread = threading.Thread(target=self._work, name="micromimic-live-keep")
        self._thread.start()

    def put(self, picture: NDArray[np.uint8], time: float) -> None:
        """Hand in a frame; never waits. The picture must not change afterwards."""
        if not self.problem:
            self.left_out += not self._mailbox.offer((time, picture))

    def _work(self) -> None:
        try:
            for time, picture in self._mailbox:
                if not self.problem:
                    self._write(time, picture)
        except (MicromimicError, OSError, ValueError) as error:
            self._failure = error
            self.problem = f"the video could not be written: {error}"
            self._mailbox.close()

    def _write(self, time: float, picture: NDArray[np.uint8]) -> None:
        if self.frames == 0:
            self.origin = time
        if time - self.origin > self._settings.max_seconds:
            self.problem = f"the video is kept up to {self._settings.max_seconds:g} s, the longest"
        elif self.frames % CHECK_EVERY or self._has_room():
            self._writer.write(picture, time - self.origin)
            self.frames += 1

    def _has_room(self) -> bool:
        part = self._writer.temporary
        written = part.stat().st_size if part.exists() else 0
        if written > self._settings.max_bytes - RESERVE_BYTES // 8:
            self.problem = f"the video is kept up to {written} bytes, the largest"
        elif shutil.disk_usage(self._incoming.path.parent).free < 2 * RESERVE_BYTES:
            self.problem = "the video is kept up to here: the server's disk is nearly full"
        return not self.problem

    def finish(self, about: Upload, store: Store) -> Recording | None:
        """Close the file and make it a recording; None where no frame came.

        On any error, of the store or of the disk, nothing is left.
        """
        self._mailbox.end()
        self._thread.join()
        try:
            if self._failure is not None:
                raise OutputError(str(self._failure)) from self._failure
            if self.frames == 0:
                return None
            self._writer.close()
            self._incoming.adopt()
            return keep(self._incoming, about, store, self._settings, origin="live")
        finally:
            self._writer.discard()
            self._incoming.discard()
