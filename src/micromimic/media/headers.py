"""What a picture's header states, read before its pixels are."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Final

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
from micromimic.media.limits import check_size

_FORMATS: Final = tuple(
    plugin.format
    for plugin in (
        BmpImagePlugin.BmpImageFile,
        GifImagePlugin.GifImageFile,
        Jpeg2KImagePlugin.Jpeg2KImageFile,
        JpegImagePlugin.JpegImageFile,
        PngImagePlugin.PngImageFile,
        PpmImagePlugin.PpmImageFile,
        TiffImagePlugin.TiffImageFile,
        WebPImagePlugin.WebPImageFile,
    )
)
BROKEN: Final = (SyntaxError, OSError, ValueError, TypeError, LookupError, EOFError, struct.error)
"""What Pillow raises at a damaged file."""


def read_header(stream: IO[bytes], path: Path) -> ImageFile.ImageFile:
    """A picture whose pixels are still in the file.

    Not by ``Image.open``, which warns of large pictures, and refuses still larger ones, by a limit
    of its own for the whole process.
    """
    start = stream.read(16)
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
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
