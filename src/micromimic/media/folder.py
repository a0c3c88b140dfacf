"""A folder of pictures, or a file of several (a TIFF stack, an animated WebP), as a video."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from micromimic.core.errors import InputError
from micromimic.core.numbering import places
from micromimic.media.clock import Clock
from micromimic.media.decoding.pixels import DEPTH_SAMPLES, bits_in_use, to_8_bits
from micromimic.media.decoding.repeats import RepeatWatch
from micromimic.media.formats import check_size, image_files
from micromimic.media.frames import Frame, Notice
from micromimic.media.recording import READ_AHEAD, Recording

_PLUGINS: Final = (
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    Jpeg2KImagePlugin.Jpeg2KImageFile,
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    PpmImagePlugin.PpmImageFile,
    TiffImagePlugin.TiffImageFile,
    WebPImagePlugin.WebPImageFile,
)
BROKEN: Final = (SyntaxError, OSError, ValueError, TypeError, LookupError, EOFError, struct.error)
"""What Pillow raises at a damaged file."""


def read_header(stream: IO[bytes], path: Path) -> ImageFile.ImageFile:
    """A picture whose pixels are still in the file. Not by ``Image.open``, which warns of large
    pictures, and refuses still larger ones, by a limit of its own for the whole process."""
    start = stream.read(16)
    for plugin in _PLUGINS:
        factory, accept = Image.OPEN[plugin.format]
        if accept is not None and accept(start) is not True:
            continue
        stream.seek(0)
        try:
            picture = factory(stream, path.name)
        except BROKEN:
            continue
        check_size(*picture.size, path)
        return picture
    raise InputError(f"expected a picture, got {path}, which cannot be read; replace the file")


def pages_of(picture: ImageFile.ImageFile) -> int:
    """Frames of an animation, or pages of one size: a thumbnail beside a picture is no page."""
    count = int(getattr(picture, "n_frames", 1))
    if count > 1 and picture.format == "TIFF":
        first = picture.size
        picture.seek(1)
        same = picture.size == first
        picture.seek(0)
        return count if same else 1
    return count


Picture = NDArray[np.uint8] | NDArray[np.uint16]


class PictureSequence(Recording):
    """What folders of pictures and files of several have in common; a damaged one is an error."""

    def _produce(self) -> Iterator[Frame]:
        repeats, last = RepeatWatch(), 0.0
        for frame in self._frames(range(self.expected_frames or 0)):
            repeats.add(frame.gray)
            last = frame.time
            yield frame
        self._note_repeats(repeats, last)

    def _gray(self, index: int, picture: Picture) -> NDArray[np.uint8]:
        """A grey picture as 8 bits, each by the same rule."""
        if picture.dtype == np.uint16 and int(picture.max()) >> self._bits:
            self._cut.add(index)
        return np.ascontiguousarray(to_8_bits(picture, self._bits))


class FolderSource(PictureSequence):
    """Pictures of one size in natural order, ``fps`` a second; see ``FrameSource``. Where the names
    are numbered, missing numbers are dropped frames: time goes on without them. Colour is read from
    the disk again when asked for. 16 bits become 8 by what the brightest of some pictures needs,
    one rule for all of them."""

    def __init__(self, path: str | Path, fps: float | None, read_ahead: int = 16) -> None:
        super().__init__(path, min(read_ahead, 16), bits=8)
        self._files = image_files(Path(path))
        count = len(self._files)
        if count < 2:
            got = "none" if count == 0 else f"only {self._files[0].name}"
            raise InputError(
                f"expected a folder of at least two frames (jpg, png, bmp, tif), got {got} in "
                f"{path}; pass the folder that holds the frames, a video file, or a TIFF stack"
            )
        if fps is None:
            raise InputError(
                f"expected the frame rate of the {count} frames in {path}, got none; "
                "say it with --fps, for example --fps 200"
            )
        self._fps = self.nominal_fps = float(fps)
        self.expected_frames = count
        first = _read_deep(self._files[0], cv2.IMREAD_GRAYSCALE, single=True)
        self.height, self.width = first.shape[:2]
        self._deep = first.dtype == np.uint16
        if self._deep:
            self._bits = bits_in_use(max(int(first.max()), *self._largest()))
        numbers = places([file.name for file in self._files])
        self._places: Sequence[int] = range(count) if numbers is None else numbers
        self._known = tuple(self._missing())

    def _largest(self) -> Iterator[int]:
        """Brightest pixels of pictures from all over the folder; a broken one is an error later."""
        step = max(1, (len(self._files) - 1) // DEPTH_SAMPLES)
        for file in self._files[step::step]:
            with contextlib.suppress(InputError):
                yield int(_read_deep(file, cv2.IMREAD_GRAYSCALE).max())

    def _missing(self) -> Iterator[Notice]:
        gaps = [n for n, (a, b) in enumerate(pairwise(self._places)) if b - a > 1]
        if not gaps:
            return
        missing = self._places[-1] + 1 - len(self._files)
        before, after = (self._files[gaps[0] + n].name for n in (0, 1))
        yield Notice(
            "dropped_frames",
            f"Of the numbered pictures {missing} are missing in {len(gaps)} "
            f"gap{'s' if len(gaps) > 1 else ''}, the first between {before} and {after}: they "
            "count as dropped frames, so times stay right, and movements in a gap are lost. Copy "
            "the missing pictures, or number the pictures without gaps.",
        )

    def _frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        return map(self._frame, indices)

    def _frame(self, index: int) -> Frame:
        file = self._files[index]
        gray = _read_deep(file, cv2.IMREAD_GRAYSCALE)
        if gray.shape != (self.height, self.width):
            raise InputError(
                f"expected every frame to be {self.width}x{self.height} like "
                f"{self._files[0].name}, got {gray.shape[1]}x{gray.shape[0]} in {file}; "
                "keep frames of one recording in a folder"
            )
        if (gray.dtype == np.uint16) != self._deep:
            raise InputError(
                f"expected every frame to have {16 if self._deep else 8} bits like "
                f"{self._files[0].name}, got {8 * gray.dtype.itemsize} in {file}; "
                "keep frames of one recording in a folder"
            )
        time = self._places[index] / self._fps
        return Frame(index, time, self._gray(index, gray), lambda: self._read_rgb(file))

    def _read_rgb(self, file: Path) -> NDArray[np.uint8]:
        return np.ascontiguousarray(read_image(file, cv2.IMREAD_COLOR, self._bits)[..., ::-1])


def read_image(file: Path, mode: int, bits: int | None = None) -> NDArray[np.uint8]:
    """A picture as 8 bits; read by Python because OpenCV fails on some names. ``bits``: in use of a
    picture of 16; None takes what its own brightest pixel needs."""
    picture = _read_deep(file, mode)
    return np.ascontiguousarray(to_8_bits(picture, bits or bits_in_use(int(picture.max()))))


def _read_deep(file: Path, mode: int, *, single: bool = False) -> Picture:
    """A picture of 8 or 16 bits as it is stored; its header is looked at first."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"expected to read {file}, got {error.strerror}; check its path and permissions"
        ) from None
    with read_header(io.BytesIO(data), file) as header:
        pages = pages_of(header) if single else 1
    if pages > 1:
        raise InputError(
            f"expected one picture a file, got {pages} in {file}; pass that file itself, or "
            "export its pictures one by one"
        )
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), mode | cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        picture = None
    if picture is None:
        raise InputError(f"expected a picture, got {file}, which cannot be read; replace the file")
    if picture.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"expected a picture of 8 or 16 bits, got {picture.dtype} in {file}; convert it"
        )
    return np.asarray(picture)


_BITS_PER_SAMPLE = 258
_USUAL_STEP_S = 0.1


class StackSource(PictureSequence):
    """Pages of a TIFF file, ``fps`` a second, or pictures of an animated WebP at its own times."""

    def __init__(self, path: Path, fps: float | None, read_ahead: int = READ_AHEAD) -> None:
        super().__init__(path, read_ahead, bits=8)
        self._file = path
        with path.open("rb") as stream, read_header(stream, path) as pages:
            try:
                count = pages_of(pages)
            except BROKEN as error:
                raise self._broken(error) from None
            if count < 2:
                raise InputError(
                    f"expected at least two frames in {path}, got a single picture; "
                    "pass a whole video"
                )
            if fps is None and pages.format != "WEBP":
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

    def _frames(self, indices: Sequence[int]) -> Iterator[Frame]:
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
        reason = " ".join(str(error).split()) or type(error).__name__
        return InputError(f"expected pictures in {self.path}, got {reason}; replace the file")
