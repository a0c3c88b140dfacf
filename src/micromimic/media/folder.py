"""A folder of pictures as a video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.errors import InputError
from micromimic.media.closing import Closing
from micromimic.media.formats import image_files
from micromimic.media.frames import Frame, Notice, check_ascending
from micromimic.media.prefetch import Prefetch


class FolderSource(Closing):
    """Pictures of one size in natural order, ``fps`` a second; see ``FrameSource``.

    Colour is read from the disk again when asked for.

    Raises:
        InputError: no pictures, a single one, no ``fps``; while iterating: an unreadable picture,
            or one of another size.
    """

    def __init__(self, path: str | Path, fps: float | None, read_ahead: int = 64) -> None:
        self.path = str(path)
        self._files = image_files(Path(path))
        count = len(self._files)
        if count < 2:
            got = "none" if count == 0 else f"only {self._files[0].name}"
            raise InputError(
                f"expected a folder of at least two frames (jpg, png, bmp, tif), got {got} in "
                f"{path}; pass the folder that holds the frames, or a video file"
            )
        if fps is None:
            raise InputError(
                f"expected the frame rate of the {count} frames in {path}, got none; "
                "say it with --fps, for example --fps 200"
            )
        self._fps = float(fps)
        self._ahead = max(2, min(read_ahead, 16))
        self._live: set[Prefetch[Frame]] = set()
        self._closed = False
        self.nominal_fps: float | None = self._fps
        self.expected_frames: int | None = count
        self.height, self.width = read_image(self._files[0], cv2.IMREAD_GRAYSCALE).shape[:2]

    @property
    def damage(self) -> tuple[str, ...]:
        """Always empty: a damaged picture is an error."""
        return ()

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What weakens the result although nothing is damaged; complete after the iteration."""
        return ()

    def __iter__(self) -> Iterator[Frame]:
        """All frames in order, read in a background thread."""
        self._check_open()
        everything = range(len(self._files))
        with Prefetch(lambda: map(self._frame, everything), self._ahead) as frames:
            self._live.add(frames)
            try:
                yield from frames
            finally:
                self._live.discard(frames)

    def frames_at(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Frames by ascending index; IndexError beyond the last."""
        self._check_open()
        check_ascending(indices)
        return map(self._frame, indices)

    def _frame(self, index: int) -> Frame:
        file = self._files[index]
        gray = read_image(file, cv2.IMREAD_GRAYSCALE)
        if gray.shape != (self.height, self.width):
            raise InputError(
                f"expected every frame to be {self.width}x{self.height} like "
                f"{self._files[0].name}, got {gray.shape[1]}x{gray.shape[0]} in {file}; "
                "keep frames of one recording in a folder"
            )
        return Frame(index, index / self._fps, gray, partial(_read_rgb, file))

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"expected an open source, got {self.path} after close()")

    def close(self) -> None:
        """Stop reading; iterating again is an error."""
        self._closed = True
        for frames in list(self._live):
            frames.close()


def read_image(file: Path, mode: int) -> NDArray[np.uint8]:
    """A picture as 8 bits; read by Python because OpenCV fails on some names.

    Args:
        file: jpg, png, bmp...
        mode: OpenCV's ``IMREAD_GRAYSCALE`` or ``IMREAD_COLOR``, whose channels are B, G, R.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise InputError(
            f"expected to read {file}, got {error.strerror}; check its path and permissions"
        ) from None
    try:
        picture = cv2.imdecode(data, mode) if data.size else None
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError(f"expected a picture, got {file}, which cannot be read; replace the file")
    return np.ascontiguousarray(picture, dtype=np.uint8)


def _read_rgb(file: Path) -> NDArray[np.uint8]:
    picture = read_image(file, cv2.IMREAD_COLOR)
    return np.ascontiguousarray(picture[..., ::-1])
