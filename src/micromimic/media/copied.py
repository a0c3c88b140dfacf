"""A video for a browser without encoding it: the packets of one that a browser plays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av.error

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
        except av.error.FFmpegError:  # damaged: what can be read of it is encoded
            return None


def _times(decoder: Decoder, pixels: int) -> list[int] | None:
    times: list[int] = []
    frames = size = 0
    for packet in packets_of(decoder.container, decoder.stream):
        if not packet.size:
            continue
        if packet.is_keyframe:
            frames = size = 0
        frames, size = frames + 1, size + packet.size
        if (
            packet.pts is None
            or packet.dts is None
            or packet.is_corrupt
            or packet.is_discard
            or packet.has_sidedata("new_extradata")
            or not (times or packet.is_keyframe)
            or frames * pixels > MOST_PIXELS_A_STEP
            or size > MOST_BYTES_A_STEP
        ):
            return None
        times.append(packet.pts)
    return sorted(times)


def write_copy(source: VideoSource, times: list[int], path: Path, sound: SoundTrack | None) -> bool:
    """Copy what was found ``copyable``, after a first pass; False, and nothing is written, where
    that has not seen exactly the pictures of these ``times``, undamaged and progressive."""
    index = source.index
    combed = any(notice.code == "interlaced" for notice in source.notices)
    decoder = source.open_packets()
    if decoder is None or index is None or list(index.pts) != times or source.damage or combed:
        return False
    rate = source.nominal_fps or 25.0
    with decoder, ProxyCopy(path, decoder.stream, times[0], rate, sound) as out:
        for packet in packets_of(decoder.container, decoder.stream):
            if packet.size:
                out.write(packet)
    return True
