"""What a file is by its first bytes: obvious non-videos, and an ending where a name has none.

Whether it is a video is for the confined worker to find out; this spares people the wait.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from micromimic.media.formats import VIDEO_ENDINGS

HEAD_BYTES: Final = 512
"""First bytes that decide."""

_NOT_VIDEO: Final[tuple[tuple[str, int, tuple[bytes, ...]], ...]] = (
    ("a zip archive", 0, (b"PK\x03\x04", b"PK\x07\x08")),
    ("an empty zip archive", 0, (b"PK\x05\x06",)),
    ("a PDF document", 0, (b"%PDF-",)),
    ("a Windows program", 0, (b"MZ",)),
    ("a program", 0, (b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")),
    ("a script", 0, (b"#!",)),
    ("a 7z archive", 0, (b"7z\xbc\xaf\x27\x1c",)),
    ("a RAR archive", 0, (b"Rar!\x1a\x07",)),
    ("a gzip archive", 0, (b"\x1f\x8b",)),
    ("a bzip2 archive", 0, (b"BZh",)),
    ("an xz archive", 0, (b"\xfd7zXZ\x00",)),
    ("a Zstandard archive", 0, (b"\x28\xb5\x2f\xfd",)),
    ("a PNG picture", 0, (b"\x89PNG\r\n",)),
    ("a JPEG picture", 0, (b"\xff\xd8\xff",)),
    ("a TIFF picture", 0, (b"II*\x00", b"MM\x00*")),
    ("an MP3 sound", 0, (b"ID3",)),
    ("a FLAC sound", 0, (b"fLaC",)),
    ("an Office document", 0, (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)),
    ("an RTF document", 0, (b"{\\rtf",)),
    ("a database", 0, (b"SQLite format 3\x00",)),
    ("a HEIC picture", 4, (b"ftypheic", b"ftypheix")),
    ("a HEIF picture", 4, (b"ftypmif1",)),
    ("an AVIF picture", 4, (b"ftypavif",)),
    ("an M4A sound", 4, (b"ftypM4A ",)),
    ("a WAV sound", 8, (b"WAVE",)),
    ("a WebP picture", 8, (b"WEBP",)),
)
_VIDEO: Final[tuple[tuple[str, int, tuple[bytes, ...]], ...]] = (
    (".mov", 4, (b"ftypqt", b"moov", b"mdat", b"wide")),
    (".mp4", 4, (b"ftyp",)),
    (".mkv", 0, (b"\x1aE\xdf\xa3",)),
    (".avi", 8, (b"AVI ",)),
    (".flv", 0, (b"FLV\x01",)),
    (".wmv", 0, (b"0&\xb2u\x8ef\xcf\x11",)),
    (".ogv", 0, (b"OggS",)),
    (".mpg", 0, (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")),
    (".gif", 0, (b"GIF8",)),
    (".y4m", 0, (b"YUV4MPEG2 ",)),
    (".mxf", 0, (b"\x06\x0e+4",)),
)
_TEXT: Final = bytes([9, 10, 12, 13, 27, *range(32, 127), *range(128, 256)])


def sniff_not_video(head: bytes) -> str | None:
    """What a file obviously is, if that is no video; None where it may be one.

    >>> [sniff_not_video(head) for head in (b"PK\\x03\\x04", b"<html>", b"\\0\\0\\0 ftypisom")]
    ['a zip archive', 'an HTML page', None]
    """
    for what, offset, marks in _NOT_VIDEO:
        if head[offset:].startswith(marks) and (offset != 8 or head.startswith(b"RIFF")):
            return what
    if head.translate(None, _TEXT) or head.startswith((b"YUV4MPEG2 ", b"GIF8", b"FLV")):
        return None
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body", b"<script")):
        return "an HTML page"
    if start.startswith((b"<?xml", b"<svg")):
        return "an XML file"
    if start.startswith(b"--") and b"content-disposition" in start:
        return "a form (send the file itself as the body)"
    return "text"


def ending_for(name: str, head: bytes) -> str | None:
    """The ending to keep a video under: its name's if known, else by content; None if neither.

    >>> ending_for("a.MP4", b""), ending_for("x", b"\\x1aE\\xdf\\xa3"), ending_for("a.sh", b"?")
    ('.mp4', '.mkv', None)
    """
    named = PurePosixPath(name.replace("\\", "/")).suffix.lower()
    if named in VIDEO_ENDINGS:
        return named
    for ending, offset, marks in _VIDEO:
        if head[offset:].startswith(marks):
            return ending
    return ".ts" if len(head) > 188 and head[0] == head[188] == 0x47 else None
