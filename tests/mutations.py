"""Kinds of damage that a file can come with; damage n is the same on every machine."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

Mutation = Callable[[bytearray, np.random.Generator], bytearray]


def flipped(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Single bits, anywhere: a bad disk."""
    for place in rng.integers(0, len(data), int(rng.integers(1, 60))):
        data[place] ^= 1 << int(rng.integers(8))
    return data


def overwritten(data: bytearray, rng: np.random.Generator) -> bytearray:
    """A stretch of noise: a bad sector."""
    start = int(rng.integers(len(data)))
    length = min(int(rng.integers(1, 1 << 12)), len(data) - start)
    data[start : start + length] = rng.bytes(length)
    return data


def cut(data: bytearray, rng: np.random.Generator) -> bytearray:
    """The end is missing: a broken transfer."""
    return data[: int(rng.integers(1, max(2, len(data))))]


def spliced(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Pieces out of place, or twice."""
    for _ in range(int(rng.integers(1, 5))):
        a, b, at = (int(v) for v in rng.integers(0, len(data), 3))
        piece = bytes(data[min(a, b) : max(a, b)][: 1 << 16])
        data[at:at] = piece
    return data


def lied(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Numbers in the headers: sizes, counts, dimensions, time scales."""
    names = (
        b"tkhd",
        b"mdhd",
        b"stsz",
        b"stco",
        b"stts",
        b"stsc",
        b"avc1",
        b"avcC",
        b"mvhd",
        b"ctts",
    )
    places = [p for name in names if (p := data.find(name)) > 0] or [4]
    return _extremes(data, rng, places)


def head_lied(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Extreme numbers anywhere in the first 512 bytes, where every kind of file says its sizes."""
    return _extremes(data, rng, list(range(4, min(512, len(data)), 2)) or [4])


def _extremes(data: bytearray, rng: np.random.Generator, places: list[int]) -> bytearray:
    extremes = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 65536, 16384)
    if len(data) < 4:
        return data
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.choice(places)) + int(rng.integers(-4, 60))
        at = min(max(at, 0), len(data) - 4)
        data[at : at + 4] = struct.pack(">I", int(rng.choice(extremes)))
    return data


def headed(data: bytearray, rng: np.random.Generator) -> bytearray:
    """The beginning of another kind of file, and then this one."""
    heads = (b"\x1aE\xdf\xa3", b"RIFF\xff\xff\xff\xffAVI ", b"OggS", b"FLV\x01\x05", b"GIF89a")
    head = heads[int(rng.integers(len(heads)))]
    data[: len(head)] = head
    return data


def nal(data: bytearray, rng: np.random.Generator) -> bytearray:
    """Noise in the coded pictures only, so that the container opens and the decoder suffers."""
    start = min(max(data.find(b"mdat"), 0) + 8, len(data) - 1)
    for place in rng.integers(start, len(data), int(rng.integers(1, 120))):
        data[place] = int(rng.integers(256))
    return data


MUTATIONS: tuple[Mutation, ...] = (nal, lied, flipped, cut, spliced, overwritten, headed)
HEADERS: tuple[Mutation, ...] = (*MUTATIONS, head_lied)


def mutated(original: bytes, run: int, kinds: tuple[Mutation, ...] = MUTATIONS) -> bytes:
    """Run ``run`` of one original: one kind of damage, now and then two."""
    rng = np.random.default_rng(1000 + run)
    data = kinds[run % len(kinds)](bytearray(original), rng)
    if run >= len(kinds) and rng.random() < 0.5:
        data = kinds[int(rng.integers(len(kinds)))](data or bytearray(b"\0"), rng)
    return bytes(data)


_CELLS = (
    *("", " ", "nan", "inf", "-inf", "1e400", "-1", "0", "99999999999999999999", "=1+1", "@x"),
    *('"', "\x00", "\ufeff", "\u202e", "x" * 5000, "../../x", "None", "1/2", "01", "\u0661"),
)
_BYTES = (b",", b";", b"\t", b'"', b"\r", b"\n", b"\x00", b"\xff", b"\xfe\xff", b"\xef\xbb\xbf")


def mutated_text(original: bytes, run: int) -> bytes:
    """A table with odd cells, separators, quotes, encodings, or the damage of any file."""
    rng = np.random.default_rng(5000 + run)
    data = original
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(7))
        lines = data.split(b"\n")
        row = int(rng.integers(len(lines)))
        if kind <= 1:  # a cell
            cells = lines[row].split(b",")
            cells[int(rng.integers(len(cells)))] = _CELLS[int(rng.integers(len(_CELLS)))].encode()
            lines[row] = b",".join(cells)
            data = b"\n".join(lines)
        elif kind == 2:  # a row gone, twice, or the header below
            lines[row : row + 1] = [lines[row]] * int(rng.integers(0, 3))
            data = b"\n".join(lines)
        elif kind == 3:  # a byte that means something
            at = int(rng.integers(len(data) + 1))
            data = data[:at] + _BYTES[int(rng.integers(len(_BYTES)))] + data[at:]
        elif kind == 4:
            data = data.replace(b",", (b";", b"\t", b"|", b",,")[int(rng.integers(4))])
        elif kind == 5:
            encoding = ("utf-16", "utf-16-be", "utf-8-sig", "utf-32")[int(rng.integers(4))]
            data = data.decode("utf-8", "replace").encode(encoding, "replace")
        else:
            data = mutated(data or b"\0", run)
    return data
