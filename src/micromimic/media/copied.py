"""A video for a browser without encoding it: the packets of one that a browser plays as it is, but
for what cameras write between the pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import av
import av.error

from micromimic.core.errors import OutputError
from micromimic.media.decoding.decoder import Decoder, packets_of
from micromimic.media.sound import SoundTrack
from micromimic.media.video import VideoSource
from micromimic.media.writer import ProxyCopy

LONG_SIDE: Final = 1920
"""Pixels along the longer side of what is copied, at most."""
MOST_PIXELS_A_STEP: Final = 200_000_000
"""A step decodes from a key frame on: so much takes a fifth of a second of one core at worst."""
MOST_BYTES_A_STEP: Final = 4_000_000
"""And is fetched, where the server is another machine."""
_PROFILES: Final = frozenset({"Baseline", "Constrained Baseline", "Main", "High"})
_AVCC: Final = 1  # first byte of a description as MP4 and Matroska have it
_SEQUENCE, _MESSAGES = 7, 6  # H.264's numbers for kinds of units
_SHOWN: Final = frozenset({1, 5, _MESSAGES, _SEQUENCE, 8, 9, 10, 11})
"""Units of a picture, and what says how to decode it; all others may hold anything."""
_USER_DATA: Final = (4, 5)
"""Messages of cameras: place, time, serial number."""
_X264: Final = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")
"""Its message tells its settings, and decoders read its version there."""


def copyable(source: VideoSource) -> list[int] | None:
    """When the pictures are shown, ticks, of a file that every browser plays and steps through as
    it is; None of others. Nothing is decoded."""
    decoder = source.open_packets()
    if decoder is None:
        return None
    with decoder:
        context = decoder.stream.codec_context
        if (
            context.name != "h264"
            or context.profile not in _PROFILES
            or context.pix_fmt not in ("yuv420p", "yuvj420p")
            or (context.extradata or b"")[:1] != bytes([_AVCC])
            or max(source.width, source.height) > LONG_SIDE
        ):
            return None
        try:
            return _times(decoder, source.width * source.height)
        except ValueError:  # units that do not fill their packet
            return None
        except av.error.FFmpegError:  # damaged: what can be read of it is encoded
            return None


def _times(decoder: Decoder, pixels: int) -> list[int] | None:
    times: list[int] = []
    frames = size = 0
    decoded: int | None = None
    description = decoder.stream.codec_context.extradata or b""
    for packet in packets_of(decoder.container, decoder.stream):
        if not packet.size:
            continue
        if packet.is_keyframe:
            frames = size = 0
        frames, size = frames + 1, size + packet.size
        if (
            packet.pts is None
            or packet.dts is None
            or packet.pts < packet.dts
            or (decoded is not None and packet.dts <= decoded)  # no MP4 is written with such times
            or packet.is_corrupt
            or packet.is_discard
            or packet.has_sidedata("new_extradata")
            or not (times or packet.is_keyframe)
            or frames * pixels > MOST_PIXELS_A_STEP
            or size > MOST_BYTES_A_STEP
            or any(kind == _SEQUENCE and unit not in description for kind, unit in _units(packet))
        ):
            return None
        times.append(packet.pts)
        decoded = packet.dts
    return sorted(times)


def _units(packet: av.Packet[av.VideoStream]) -> Iterator[tuple[int, bytes]]:
    """The packet's units by kind, without their lengths; ValueError where these do not fit."""
    content, place = memoryview(bytes(packet)), 0
    wide = (packet.stream.codec_context.extradata or b"\0" * 5)[4] % 4 + 1
    while place < len(content):
        start = place + wide
        place = start + int.from_bytes(content[place:start], "big")
        if not start < place <= len(content):
            raise ValueError(f"expected a unit up to {len(content)}, got one up to {place}")
        yield content[start] % 32, bytes(content[start:place])


def _tells(messages: bytes) -> bool:
    """Whether a unit of messages has one that a camera may write anything into."""
    content = messages[1:].replace(b"\0\0\3", b"\0\0")
    place = 0
    while place < len(content) - 1:  # the last byte only ends the unit
        numbers = [0, 0]  # kind and length, each written as 255 + 255 + ... + rest
        for which in (0, 1):
            while content[place : place + 1] == b"\xff":
                numbers[which] += 255
                place += 1
            numbers[which] += int.from_bytes(content[place : place + 1], "big")
            place += 1
        kind, length = numbers
        if kind in _USER_DATA and content[place : place + len(_X264)] != _X264:
            return True
        place += length
    return False


def bare(packet: av.Packet[av.VideoStream]) -> av.Packet[av.VideoStream]:
    """The packet with nothing but its picture."""
    units = list(_units(packet))
    kept = [u for kind, u in units if kind in _SHOWN and not (kind == _MESSAGES and _tells(u))]
    if len(kept) == len(units):
        return packet
    wide = (packet.size - sum(len(unit) for _, unit in units)) // len(units)
    content = b"".join(len(unit).to_bytes(wide, "big") + unit for unit in kept)
    copy = cast("av.Packet[av.VideoStream]", av.Packet(content))
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.time_base, copy.is_keyframe = packet.time_base, packet.is_keyframe
    return copy


def write_copy(source: VideoSource, times: list[int], path: Path, sound: SoundTrack | None) -> bool:
    """Copy what was found ``copyable``, after a first pass; False, and nothing is written, where
    that has not seen exactly the pictures of these ``times``, undamaged and progressive, or the
    copy cannot be written: encoded it is smaller. Then some of the ``sound`` is gone."""
    index = source.index
    combed = any(notice.code == "interlaced" for notice in source.notices)
    decoder = source.open_packets()
    if decoder is None or index is None or list(index.pts) != times or source.damage or combed:
        return False
    rate = source.nominal_fps or 25.0
    try:
        with decoder, ProxyCopy(path, decoder.stream, times[0], rate, sound) as out:
            for packet in packets_of(decoder.container, decoder.stream):
                if packet.size:
                    out.write(bare(packet))
    except OutputError:
        return False
    return True
