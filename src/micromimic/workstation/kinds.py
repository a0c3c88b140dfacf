"""What a file is by its first bytes: obvious non-videos, and an ending where a name has none."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath
from typing import Final

from micromimic.media.formats import VIDEO_ENDINGS

HEAD_BYTES: Final = 512
"""First bytes that decide."""
LONGEST_NAME: Final = 120

_NO_VIDEO: Final[tuple[tuple[bytes, str], ...]] = (
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"PK\x07\x08", "a zip archive"),
    (b"%PDF-", "a PDF document"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"\xcf\xfa\xed\xfe", "a program"),
    (b"\xca\xfe\xba\xbe", "a program"),
    (b"#!", "a script"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"ID3", "an MP3 sound"),
    (b"fLaC", "a FLAC sound"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"SQLite format 3\x00", "a database"),
)
_RIFF: Final = {b"WAVE": "a WAV sound", b"WEBP": "a WebP picture"}
_BRANDS: Final = {
    b"heic": "a HEIC picture",
    b"heix": "a HEIC picture",
    b"mif1": "a HEIF picture",
    b"avif": "an AVIF picture",
    b"M4A ": "an M4A sound",
}
_VIDEO: Final[tuple[tuple[int, bytes, str], ...]] = (
    (4, b"ftypqt", ".mov"),
    (4, b"ftyp", ".mp4"),
    (4, b"moov", ".mov"),
    (4, b"mdat", ".mov"),
    (4, b"wide", ".mov"),
    (0, b"\x1aE\xdf\xa3", ".mkv"),
    (8, b"AVI ", ".avi"),
    (0, b"FLV\x01", ".flv"),
    (0, b"0&\xb2u\x8ef\xcf\x11", ".wmv"),
    (0, b"OggS", ".ogv"),
    (0, b"\x00\x00\x01\xba", ".mpg"),
    (0, b"\x00\x00\x01\xb3", ".mpg"),
    (0, b"GIF8", ".gif"),
    (0, b"YUV4MPEG2 ", ".y4m"),
    (0, b"\x06\x0e+4", ".mxf"),
)
_TEXT: Final = bytes([9, 10, 12, 13, 27, *range(32, 127), *range(128, 256)])


def no_video(head: bytes) -> str | None:
    """What a file obviously is, if that is no video; None where it may be one.

    >>> no_video(b"PK\\x03\\x04"), no_video(b"<!DOCTYPE html><p>"), no_video(b"\\0\\0\\0 ftypisom")
    ('a zip archive', 'an HTML page', None)
    """
    for start, what in _NO_VIDEO:
        if head.startswith(start):
            return what
    if head.startswith(b"RIFF") and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp" and head[8:12] in _BRANDS:
        return _BRANDS[head[8:12]]
    if not head.translate(None, _TEXT) and not head.startswith((b"YUV4MPEG2 ", b"GIF8", b"FLV")):
        return _text_kind(head)
    return None


def _text_kind(head: bytes) -> str:
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
    for offset, mark, ending in _VIDEO:
        if head[offset:].startswith(mark):
            return ending
    return ".ts" if len(head) > 188 and head[0] == head[188] == 0x47 else None


def shown_name(name: str) -> str:
    """A client's name for a file, fit to be shown: no folders, no characters that steer a display.

    Control characters and those that turn the direction of writing are removed; long names are
    cut, their ending kept.

    >>> shown_name("../a/b\\u202e\\x00 c.mp4"), shown_name(""), len(shown_name("x" * 500 + ".mov"))
    ('b c.mp4', 'video', 120)
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(c if c.isspace() or unicodedata.category(c)[0] != "C" else "" for c in last)
    clean = " ".join(kept.split())
    if len(clean) > LONGEST_NAME:
        ending = PurePosixPath(clean).suffix[:8]
        clean = clean[: LONGEST_NAME - len(ending)].rstrip() + ending
    return clean or "video"
