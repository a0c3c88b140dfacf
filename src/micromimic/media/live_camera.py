"""A camera, through OpenCV."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.errors import InputError, SourceLostError
from micromimic.media.frames import Frame
from micromimic.media.live import Arrival, queue_length
from micromimic.media.live_reader import ReaderSource
from micromimic.media.mailbox import Clock

HIGHEST_FPS: Final = 1000.0
"""Asked for where the caller names no rate: a driver takes the nearest that it has."""


@dataclass(frozen=True)
class CameraOptions:
    """What to ask a camera for; it may give something else, and the real rate is measured.

    Args:
        width, height: pixels. 640x480 is where most cameras have their highest rate.
        fps: frames a second; None asks for the highest.

    >>> CameraOptions(fps=0)
    Traceback (most recent call last):
    ...
    micromimic.errors.InputError: expected a camera rate above 0, got 0; leave it out for the ...
    """

    width: int = 640
    height: int = 480
    fps: float | None = None

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


class Capture(Protocol):
    """What is used of ``cv2.VideoCapture``."""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Whether there is a camera behind it."""

    def read(self) -> tuple[bool, Any]:
        """The next picture, (H, W, 3) BGR or (H, W) grey uint8; (False, None) if it is gone."""

    def set(self, key: int, value: float) -> bool:
        """Ask for a property."""

    def get(self, key: int) -> float:
        """A property as it is."""

    def release(self) -> None:
        """Give the camera back."""


OpenCapture = Callable[[int | str], Capture]
"""Opens a camera by number or device path; tests pass their own."""


class CameraSource(ReaderSource):
    """Frames of a camera, timed by their arrival; see ``LiveSource``.

    Args:
        device: number from 0, or a device path such as ``/dev/video0``.
        options: size and rate to ask for.
        open_capture: opens the device.
        clock: arrival times.

    Raises:
        InputError: no such camera, it is in use, or it gives no picture.
    """

    def __init__(
        self,
        device: int | str,
        options: CameraOptions | None = None,
        *,
        open_capture: OpenCapture | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._device = device
        self._options = options or CameraOptions()
        self._open_capture = open_capture or open_camera
        self._capture: Capture | None = None
        self._count = 0
        self._origin: float | None = None
        self._last = -math.inf
        self._size: tuple[int, int] | None = None
        name = f"camera {device}" if isinstance(device, int) else str(device)
        length = queue_length(self._options.width, self._options.height)
        super().__init__(name, finite=False, length=length, patient=False, clock=clock)
        self._open()

    def _open(self) -> None:
        capture = self._open_capture(self._device)
        try:
            if not capture.isOpened():
                raise InputError(
                    f"expected {self.name} to open, got no answer; check that it is plugged in, "
                    "not in use by another program, and that you may read it"
                )
            self._ask(capture)
        except BaseException:
            capture.release()
            raise
        self._capture = capture

    def _ask(self, capture: Capture) -> None:
        # Compressed pictures first: uncompressed ones fill USB 2 at 30 frames/s. A camera that
        # knows no MJPG keeps its own format.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, self._options.width)
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, self._options.height)
        capture.set(cv2.CAP_PROP_FPS, self._options.fps or HIGHEST_FPS)

    def _arrivals(self) -> Iterator[Arrival]:
        capture = self._capture
        while capture is not None and not self._stop.is_set():
            try:
                there, picture = capture.read()
            except cv2.error as error:
                raise SourceLostError(
                    f"expected a picture from {self.name}, got {' '.join(str(error).split())}; "
                    "it is tried again"
                ) from None
            arrived = self._clock()
            if not there or picture is None:
                raise SourceLostError(
                    f"expected a picture from {self.name}, got none; check the cable, "
                    "it is tried again"
                )
            yield Arrival(self._frame(picture, arrived), arrived)

    def _frame(self, picture: NDArray[np.uint8], arrived: float) -> Frame:
        if self._origin is None:
            self._origin = arrived
        seconds = max(arrived - self._origin, math.nextafter(self._last, math.inf))
        self._last = seconds
        if self._size is None:
            self._size = picture.shape[1], picture.shape[0]
        elif (picture.shape[1], picture.shape[0]) != self._size:  # came back with another size
            picture = np.asarray(cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA))
        number, self._count = self._count, self._count + 1
        if picture.ndim == 2:
            return Frame(number, seconds, np.ascontiguousarray(picture))
        gray = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), np.uint8)
        return Frame(number, seconds, gray, partial(_rgb, picture))

    def _release(self) -> None:
        with self._state:
            capture, self._capture = self._capture, None
        if capture is not None:
            capture.release()


def _rgb(bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(bgr[..., ::-1])


def open_camera(device: int | str) -> Capture:
    """Open a camera with OpenCV, which keeps quiet about those that are not there.

    Raises:
        InputError: there is no such device.
    """
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
        capture: Capture = cv2.VideoCapture(device, cv2.CAP_V4L2 if linux else cv2.CAP_ANY)
    except cv2.error as error:
        raise InputError(
            f"expected {path} to open as a camera, got {' '.join(str(error).split())}; "
            "check that it is one"
        ) from None
    finally:
        cv2.utils.logging.setLogLevel(level)
    return capture
