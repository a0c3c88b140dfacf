"""A camera, through OpenCV."""

from __future__ import annotations

import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError, SourceLostError
from micromimic.media.clock import StreamClock
from micromimic.media.frames import Frame
from micromimic.media.live.source import Arrival, ReaderSource, queue_length

HIGHEST_FPS: Final = 1000.0  # asked for by default: a driver takes the nearest that it has


@dataclass(frozen=True)
class CameraOptions:
    """What to ask a camera for; it may give something else, and the real rate is measured.

    >>> CameraOptions(fps=0)
    Traceback (most recent call last):
    ...
    micromimic.core.errors.InputError: expected a camera rate above 0, got 0; ...
    """

    width: int = 640  # pixels. 640x480 is where most cameras have their highest rate
    height: int = 480
    fps: float | None = None  # frames a second; None asks for the highest

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0):
            raise InputError(
                f"expected a camera size above 0, got {self.width}x{self.height}; "
                "pass for example 640x480"
            )
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(
                f"expected a camera rate above 0, got {self.fps:g}; leave it out for the highest"
            )


def open_camera(device: int | str) -> Any:
    """A ``cv2.VideoCapture``, which keeps quiet about cameras that are not there."""
    linux = sys.platform.startswith("linux")
    path = Path(device if isinstance(device, str) else f"/dev/video{device}")
    if linux and not path.exists():
        there = sorted(p.name for p in Path("/dev").glob("video[0-9]*"))
        seen = f"only {', '.join(there)}" if there else "no camera on this computer"
        raise InputError(
            f"expected a camera at {path}, got {seen}; plug one in, or pass a video file or stream"
        )
    if linux and not os.access(path, os.R_OK | os.W_OK):
        raise InputError(
            f"expected to read {path}, got permission denied; join the group that owns it (video)"
        )
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.VideoCapture(device, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
    except cv2.error as error:
        raise InputError(
            f"expected {path} to open as a camera, got {' '.join(str(error).split())}; "
            "check that it is one"
        ) from None
    finally:
        cv2.utils.logging.setLogLevel(level)


class CameraSource(ReaderSource):
    """Frames of a camera, timed by their arrival; see ``LiveSource``."""

    _waits = False

    def __init__(
        self,
        device: int | str,
        options: CameraOptions | None = None,
        *,
        open_capture: Callable[[int | str], Any] = open_camera,
    ) -> None:
        self._camera = device
        self._options = options or CameraOptions()
        self._open_capture = open_capture
        self._times = StreamClock()
        self._numbers = itertools.count()
        self._size: tuple[int, int] | None = None
        self._length = queue_length(self._options.width, self._options.height)
        super().__init__(f"camera {device}" if isinstance(device, int) else device)

    def _open(self, device: ExitStack) -> Iterator[Arrival]:
        capture = self._open_capture(self._camera)
        device.callback(capture.release)
        if not capture.isOpened():
            raise InputError(
                f"expected {self.name} to open, got no answer; check that it is plugged in, "
                "not in use by another program, and that you may read it"
            )
        # Compressed pictures first: uncompressed ones fill USB 2 at 30 frames/s. A camera that
        # knows no MJPG keeps its own format.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._options.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._options.height)
        capture.set(cv2.CAP_PROP_FPS, self._options.fps or HIGHEST_FPS)
        return self._read(capture)

    def _read(self, capture: Any) -> Iterator[Arrival]:
        while True:
            there, picture, reason = False, None, "none; check the cable"
            try:
                there, picture = capture.read()
            except cv2.error as error:
                reason = " ".join(str(error).split())
            arrived = time.monotonic()
            if not there or picture is None:
                raise SourceLostError(
                    f"expected a picture from {self.name}, got {reason}; it is tried again"
                )
            yield Arrival(self._frame(picture, self._times.seconds(None, arrived)), arrived)

    def _frame(self, picture: NDArray[np.uint8], seconds: float) -> Frame:
        size = picture.shape[1], picture.shape[0]
        self._size = self._size or size
        if size != self._size:  # came back with another
            picture = np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA))
        number = next(self._numbers)
        if picture.ndim == 2:
            return Frame(number, seconds, np.ascontiguousarray(picture))
        gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        return Frame(number, seconds, gray, lambda: np.ascontiguousarray(picture[..., ::-1]))
