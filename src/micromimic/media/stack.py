"""A file of several pictures as a video: a TIFF stack, or an animated WebP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile

from micromimic.core.errors import InputError
from micromimic.media.decoding.clock import Clock
from micromimic.media.decoding.depth import DEPTH_SAMPLES, bits_in_use
from micromimic.media.folder import Picture, PictureSequence
from micromimic.media.frames import Frame
from micromimic.media.headers import BROKEN, pages_of, read_header
from micromimic.media.limits import check_size

_BITS_PER_SAMPLE = 258
_USUAL_STEP_S = 0.1


def is_stack(path: Path) -> bool:
    """Whether a file is a TIFF or WebP, by its first bytes."""
    with path.open("rb") as file:
        start = file.read(12)
    tiff = start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    return tiff or (start[:4] == b"RIFF" and start[8:] == b"WEBP")


class StackSource(PictureSequence):
    """Pages of a TIFF file, ``fps`` a second, or pictures of an animated WebP at its own times."""

    def __init__(self, path: Path, fps: float | None, read_ahead: int = 64) -> None:
        super().__init__(path, read_ahead)
        self._file = path
        with path.open("rb") as stream, read_header(stream, path) as pages:
            count = self._pages(pages)
            if count < 2:
                raise InputError(
                    f"expected at least two frames in {path}, got a single picture; "
                    "pass a whole video"
                )
            timed = pages.format == "WEBP"
            if fps is None and not timed:
                raise InputError(
                    f"expected the frame rate of the {count} pictures in {path}, got none; "
                    "say it with --fps, for example --fps 200"
                )
            self._fps = self.nominal_fps = fps
            self.expected_frames = count
            first, _ = self._read(pages, 0)
            self.height, self.width = first.shape
            self._dtype = first.dtype
            if self._dtype == np.uint16:
                step = max(1, (count - 1) // DEPTH_SAMPLES)
                others = (self._read(pages, page)[0] for page in range(step, count, step))
                self._bits = bits_in_use(max(int(picture.max()) for picture in (first, *others)))

    def _pages(self, picture: ImageFile.ImageFile) -> int:
        try:
            return pages_of(picture)
        except BROKEN as error:
            raise self._broken(error) from None

    def _frames(self, indices: Iterable[int]) -> Iterator[Frame]:
        clock = Clock(Fraction(1, 1000), _USUAL_STEP_S)
        times: list[float] = []
        with self._file.open("rb") as stream, read_header(stream, self._file) as pages:
            for index in indices:
                if index >= (self.expected_frames or 0):
                    raise IndexError(
                        f"expected frames up to {index}, got {self.expected_frames} in {self.path}"
                    )
                if self._fps is None:  # the times of all before it say when it is shown
                    while len(times) <= index:
                        self._read(pages, len(times))
                        times.append(clock.seconds(int(pages.info.get("timestamp", 0))))
                gray, rgb = self._read(pages, index)
                if gray.shape != (self.height, self.width) or gray.dtype != self._dtype:
                    raise InputError(
                        f"expected every picture to be {self.width}x{self.height} of "
                        f"{8 * self._dtype.itemsize} bits like the first, got picture {index + 1} "
                        f"of {gray.shape[1]}x{gray.shape[0]} and {8 * gray.dtype.itemsize} in "
                        f"{self.path}; keep pictures of one recording in a file"
                    )
                time = times[index] if self._fps is None else index / self._fps
                load = None if rgb is None else (lambda rgb=rgb: rgb)
                yield Frame(index, time, self._gray(index, gray), load)

    def _read(
        self, pages: ImageFile.ImageFile, index: int
    ) -> tuple[Picture, NDArray[np.uint8] | None]:
        """Grey of 8 or 16 bits, and colour where there is some."""
        try:
            pages.seek(index)
            check_size(*pages.size, self._file)
            pages.load()
            return self._arrays(pages)
        except BROKEN as error:
            raise self._broken(error) from None

    def _arrays(self, page: ImageFile.ImageFile) -> tuple[Picture, NDArray[np.uint8] | None]:
        tags: Any = getattr(page, "tag_v2", {})
        if page.mode == "L":
            return np.asarray(page, np.uint8), None
        if page.mode == "1":
            return np.asarray(page.convert("L"), np.uint8), None
        if page.mode.startswith("I"):
            values = np.asarray(page)
            if int(values.min()) >= 0 and int(values.max()) < 1 << 16:
                return values.astype(np.uint16), None
        if page.mode[0] in "IF" or max(tags.get(_BITS_PER_SAMPLE, (8,))) > 8:
            raise InputError(
                f"expected grey pictures of 8 or 16 bits or colour of 8 in {self.path}, got "
                "others; convert them, or export them into a folder"
            )
        rgb = np.asarray(page.convert("RGB"), np.uint8)
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8), rgb

    def _broken(self, error: Exception) -> InputError:
        said = " ".join(str(error).split()) or type(error).__name__
        return InputError(f"expected pictures in {self.path}, got {said}; replace the file")
