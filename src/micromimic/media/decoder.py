"""One open container, decoded forward, and the index of what was decoded."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import av
import av.container
import av.error
import av.stream

from micromimic.errors import InputError
from micromimic.media.closing import Closing

FORMATS: Final = (
    # containers
    *("mov", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo", "asf", "flv", "mxf", "ogg"),
    *("gif", "apng", "yuv4mpegpipe", "nut", "wtv", "rm", "gxf", "swf", "cine", "ser", "flic"),
    # bare streams
    *("h264", "hevc", "vvc", "av1", "obu", "ivf", "m4v", "mjpeg", "h261", "h263", "vc1", "dv"),
    *("dirac", "dnxhd", "cavsvideo"),
    # no videos, but known well enough to say what they are
    *("wav", "mp3", "flac", "aac", "aiff", "png_pipe", "jpeg_pipe", "bmp_pipe", "webp_pipe"),
    *("tiff_pipe",),
)
"""FFmpeg's formats that are opened, by content and not by name: each reads one file and no other.

Playlists and scripts (HLS, concat, SDP, image sequences) are not among them: a file could make
them read what lies beside it. Nor are text-art formats, which would 'play' any text file."""


@dataclass
class FrameIndex:
    """What the first pass learned: where each frame and each keyframe lies."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    keys: list[int] = field(default_factory=list)
    exact: bool = True

    def add(self, picture: av.VideoFrame) -> None:
        """Note the next picture of the first pass."""
        if picture.key_frame:
            self.keys.append(len(self.pts))
        if picture.pts is None or (self.pts and picture.pts <= self.pts[-1]):
            self.exact = False
        self.pts.append(picture.pts if picture.pts is not None else 0)

    def find(self, pts: int | None) -> int | None:
        """Index of the frame with this timestamp."""
        if pts is None:
            return None
        place = bisect_right(self.pts, pts) - 1
        return place if place >= 0 and self.pts[place] == pts else None

    def keyframe_before(self, index: int) -> int:
        """The last keyframe at or before a frame; 0 where none is known."""
        place = bisect_right(self.keys, index) - 1
        return self.keys[place] if place >= 0 else 0


class Decoder(Closing):
    """One open container, decoded forward; damage is counted, never raised."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        self._path = path
        # The prefix keeps names like "a:b.mp4" from being read as a protocol, the whitelists keep
        # a hostile file from reaching out.
        options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS)}
        self.container = av.open(f"file:{path}", options=options, metadata_errors="replace")
        videos = [s for s in self.container.streams.video if _is_playable(s)]
        if not videos:
            kind = self.container.format.long_name
            self.container.close()
            raise InputError(
                f"expected a video, got {path} without a video stream ({kind}); pass a video file"
            )
        self.stream = max(videos, key=lambda s: s.width * s.height)
        self.stream.thread_type = "AUTO"
        if threads is not None:
            self.stream.codec_context.thread_count = threads
        self.packets = 0
        self.undecodable = 0
        self.corrupt = 0
        self.stopped: str | None = None

    def pictures(self) -> Iterator[av.VideoFrame]:
        """All pictures from here to the end."""
        try:
            for packet in self.container.demux(self.stream):
                self.packets += packet.size > 0
                yield from self._decode(packet)
        except av.error.FFmpegError as error:
            self.stopped = error.strerror or str(error)
            yield from self._decode(None)

    def _decode(self, packet: av.Packet[av.VideoStream] | None) -> Iterator[av.VideoFrame]:
        try:
            pictures = self.stream.codec_context.decode(packet)
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            self.undecodable += 1
            return
        for picture in pictures:
            self.corrupt += picture.is_corrupt
            yield picture

    def seek(self, pts: int) -> None:
        """Go to the keyframe at or before a timestamp."""
        self.container.seek(pts, stream=self.stream, backward=True)

    def close(self) -> None:
        """Close the container."""
        self.container.close()


def _is_playable(stream: av.VideoStream) -> bool:
    """Neither a cover picture nor of an unknown codec."""
    cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
    return stream.codec_context is not None and not cover


def stated_seconds(decoder: Decoder) -> float | None:
    """Duration of the pictures as the container states it; None where it does not."""
    stream, container = decoder.stream, decoder.container
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and not container.streams.audio:
        # Matroska counts from 0 even where the first frame comes later.
        return float((container.duration - max(0, container.start_time or 0)) / av.time_base)
    return None


def duration_slack(decoder: Decoder, stated_s: float) -> float:
    """How much shorter a whole file may be than it states, seconds.

    Matroska writes the duration when the file is complete; elsewhere it may be an estimate.
    """
    rate = decoder.stream.average_rate or decoder.stream.guessed_rate
    if "matroska" in decoder.container.format.name and rate:
        return 3.0 / float(rate)
    return 0.5 + 0.02 * stated_s
