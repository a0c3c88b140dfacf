"""One open container: which track, its pictures in the order of display, and what it states."""

from __future__ import annotations

import contextlib
from array import array
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import av
import av.container
import av.error
import av.stream

from micromimic.core.closing import Closing
from micromimic.core.errors import InputError
from micromimic.core.workers import own_threads
from micromimic.media.clock import JUMP_BACK_S
from micromimic.media.decoding.pixels import DEPTH_SAMPLES, bits_in_use, largest_of, stores_16_bits
from micromimic.media.formats import MOST_PIXELS, check_size
from micromimic.media.frames import Notice

Track = TypeVar("Track", av.VideoStream, av.AudioStream)

_MOST_THREADS: Final = 16
"""As FFmpeg itself: each holds pictures of its own, and beyond this no file is read faster."""
_PACKETS: Final = 2000  # counted where a file does not say how many frames a track has

_PICTURES: Final = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails


def playable(container: av.container.InputContainer) -> list[av.VideoStream]:
    """Video tracks in the order of the file: no cover, no thumbnails, no unknown codec."""
    return [
        stream
        for stream in container.streams.video
        if stream.codec_context is not None and not stream.disposition & _PICTURES
    ]


def packets_of(
    container: av.container.InputContainer, *streams: Track
) -> Iterator[av.Packet[Track]]:
    with contextlib.suppress(IndexError):  # PyAV's, at the end, of a track that began late
        yield from container.demux(streams)


def is_default(stream: av.stream.Stream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.default)


def choose_track(
    container: av.container.InputContainer,
    path: Path,
    wanted: int | None,
    reopen: Callable[[], av.container.InputContainer],
) -> tuple[int, Notice | None]:
    """Choose the track to be read. Tracks of a single picture are no choice. Among the others the
    file's default goes first, then the one with the most frames, then the larger, then the first.
    ``wanted``: number of a track, from 1, as the notice counts them; None leaves it to the rule."""
    streams = playable(container)
    if not streams:
        raise InputError(
            f"expected a video, got {path} without a video stream ({container.format.long_name}); "
            "pass a video file"
        )
    if wanted is not None:
        if not 1 <= wanted <= len(streams):
            raise InputError(
                f"expected a video track from 1 to {len(streams)} in {path}, got {wanted}; "
                "pass one of them with --track"
            )
        return wanted, None
    if len(streams) == 1:
        return 1, None
    frames = _frames(streams, reopen)
    moving = [n for n, count in enumerate(frames) if count > 1]
    best = max(
        moving or range(len(streams)),
        key=lambda n: (is_default(streams[n]), frames[n], streams[n].width * streams[n].height),
    )
    if len(moving) < 2:
        return best + 1, None
    names = ", ".join(f"{n + 1} of {streams[n].width} x {streams[n].height} pixels" for n in moving)
    return best + 1, Notice(
        "several_tracks",
        f"The file has {len(moving)} video tracks (number {names}): number {best + 1} is analysed "
        "and the others are not looked at. Choose another with --track.",
    )


def _frames(
    streams: Sequence[av.VideoStream], reopen: Callable[[], av.container.InputContainer]
) -> list[int]:
    """Frames of each track: as all of them state, else as counted in the file's first part."""
    stated = []
    for stream in streams:  # Matroska says it in a tag whose name may end in a language
        tags = stream.metadata.items()
        tagged = [int(v) for k, v in tags if k.startswith("NUMBER_OF_FRAMES") and v.isdecimal()]
        stated.append(stream.frames or max(tagged, default=0))
    if all(stated):
        return stated
    counted: Counter[int] = Counter()
    with contextlib.suppress(av.error.FFmpegError), reopen() as container:
        known = {stream.index: stream for stream in container.streams.video}
        same = [known[stream.index] for stream in streams if stream.index in known]
        for packet in islice(packets_of(container, *same), _PACKETS):
            counted[packet.stream_index] += packet.size > 0
    return [counted[stream.index] for stream in streams]


DEEPEST: Final = 16  # no codec moves a picture by more places than this (H.264 and HEVC allow 16)


class DisplayOrder:
    """Gives each picture the time that its place in the order of display has.

    AVI, among others, stores when a packet is to be decoded. Where a codec reorders pictures, each
    then carries another one's time: the n-th shown has the n-th smallest. So pictures are held
    until their times can be sorted, as long as it is in doubt what the container stores: that is
    only with a codec that reorders, and until a packet's time falls, as times of display must
    there. An ordinary file is passed on at once.
    """

    def __init__(self, time_base: Fraction | None) -> None:
        self.display_times = False  # the container stores times of display
        self.decode_times = False  # times had to be sorted
        self.first: int | None = None  # time of the first packet in the order of decoding, ticks
        self._jump = JUMP_BACK_S / float(time_base or 1)
        self.restart()

    def restart(self) -> None:
        """Forget pictures that wait: the next come from elsewhere."""
        self._highest: int | None = None
        self._waiting: deque[av.VideoFrame] = deque()
        self._times: list[int] = []
        self._last: int | None = None

    def note(self, packet: av.Packet[av.VideoStream]) -> None:
        if self.first is None:
            self.first = packet.dts
        if packet.pts is None:
            return
        if self._highest is not None and 0 < self._highest - packet.pts <= self._jump:
            self.display_times = True
        self._highest = max(packet.pts, self._highest or packet.pts)

    def sorted(self, pictures: Iterable[av.VideoFrame], reorders: bool) -> Iterator[av.VideoFrame]:
        for picture in pictures:
            if self.display_times or not reorders or picture.pts is None:
                yield from self.flush()
                yield picture
                continue
            if self._last is not None and self._last - picture.pts > self._jump:
                yield from self.flush()  # the clock starts again
            self._last = picture.pts
            self._waiting.append(picture)
            heappush(self._times, picture.pts)
            if len(self._waiting) > DEEPEST:
                yield self._next()

    def flush(self) -> Iterator[av.VideoFrame]:
        while self._waiting:
            yield self._next()

    def _next(self) -> av.VideoFrame:
        picture, time = self._waiting.popleft(), heappop(self._times)
        self.decode_times |= picture.pts != time
        picture.pts = time
        return picture


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
DECODING: Final = {"max_pixels": str(MOST_PIXELS)}
"""Keeps FFmpeg, too, from larger pictures: while it looks what a file is, and later in the file."""


@dataclass
class FrameIndex:
    """What the first pass learned: where each frame and each keyframe lies."""

    pts: array[int] = field(default_factory=lambda: array("q"))
    keys: list[int] = field(default_factory=list)
    exact: bool = True

    def add(self, picture: av.VideoFrame) -> None:
        if picture.key_frame:
            self.keys.append(len(self.pts))
        if picture.pts is None or (self.pts and picture.pts <= self.pts[-1]):
            self.exact = False
        self.pts.append(picture.pts if picture.pts is not None else 0)

    def find(self, pts: int | None) -> int | None:
        if pts is None:
            return None
        place = bisect_right(self.pts, pts) - 1
        return place if place >= 0 and self.pts[place] == pts else None

    def keyframe_before(self, index: int) -> int:
        """The last keyframe at or before a frame; 0 where none is known."""
        place = bisect_right(self.keys, index) - 1
        return self.keys[place] if place >= 0 else 0


class Decoder(Closing):
    """One open container, decoded forward; damage is counted, never raised. ``threads``: of the
    decoder; None as many as this process may keep busy; ``track``: number of the video track, from
    1; None leaves it to ``choose_track``."""

    def __init__(self, path: Path, threads: int | None = None, track: int | None = None) -> None:
        self.container = open_container(path)
        try:
            again = partial(open_container, path)
            self.track, self.choice = choose_track(self.container, path, track, again)
            self.stream = playable(self.container)[self.track - 1]
            check_size(self.stream.width, self.stream.height, path)
        except InputError:
            self.container.close()
            raise
        self.stream.codec_context.options = dict(DECODING)
        self.stream.thread_type = "AUTO"
        threads = threads or own_threads()
        if threads is not None:
            self.stream.codec_context.thread_count = min(threads, _MOST_THREADS)
        self.order = DisplayOrder(self.stream.time_base)
        self.packets = self.undecodable = self.corrupt = self.interlaced = 0
        self.stopped: str | None = None

    def pictures(self) -> Iterator[av.VideoFrame]:
        self.order.restart()
        try:
            for packet in packets_of(self.container, self.stream):
                self.packets += packet.size > 0
                self.order.note(packet)
                yield from self._in_order(packet)
        except (av.error.FFmpegError, IndexError) as error:
            # IndexError: a stream that shows up only now (SWF) is not among PyAV's.
            self.stopped = getattr(error, "strerror", None) or str(error)
            yield from self._in_order(None)
        yield from self.order.flush()

    def _in_order(self, packet: av.Packet[av.VideoStream] | None) -> Iterator[av.VideoFrame]:
        # The codec may know only after decoding that it reorders.
        reorders = bool(self.stream.codec_context.has_b_frames)
        return self.order.sorted(self._decode(packet), reorders)

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
            self.interlaced += picture.interlaced_frame
            yield picture

    def seek(self, pts: int) -> None:
        self.container.seek(pts, stream=self.stream, backward=True)

    def close(self) -> None:
        self.container.close()


def open_container(path: Path) -> av.container.InputContainer:
    # The prefix keeps names like "a:b.mp4" from being read as a protocol, the whitelists keep a
    # hostile file from reaching out.
    options = {"protocol_whitelist": "file", "format_whitelist": ",".join(FORMATS), **DECODING}
    return av.open(f"file:{path}", options=options, metadata_errors="replace")


def stores_decode_times(decoder: Decoder) -> bool:
    """Whether the container stores when a packet is decoded, never when its picture is shown."""
    return decoder.order.decode_times or decoder.container.format.name == "avi"


def lead_of(decoder: Decoder, origin: int | None) -> float:
    """Seconds from the place where a player starts the file to its first picture. Players start
    where the earliest track begins; what lies before 0 is there to be skipped, such as the first
    samples of some audio codecs. ``origin``: presentation timestamp of the first picture, ticks."""
    start, shown = decoder.container.start_time, first_shown(decoder, origin)
    if start is None or shown is None:
        return 0.0
    lead = shown - max(start / av.time_base, min(0.0, shown))
    return lead if lead >= 0.001 else 0.0


def first_shown(decoder: Decoder, origin: int | None) -> float | None:
    """The first picture's place on the container's clock, seconds; ``origin`` as in `lead_of`."""
    first = decoder.order.first if stores_decode_times(decoder) else origin
    base = decoder.stream.time_base
    return None if first is None or not base else float(first * base)


def stated_seconds(decoder: Decoder) -> float | None:
    """Duration of the pictures as the container states it; None where it does not."""
    stream, container = decoder.stream, decoder.container
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and len(playable(container)) + len(container.streams.audio) == 1:
        # Matroska counts from 0 even where the first frame comes later.
        return float((container.duration - max(0, container.start_time or 0)) / av.time_base)
    return None


def duration_slack(decoder: Decoder, stated_s: float) -> float:
    """How much shorter a whole file may be than it states, seconds. Matroska writes the duration
    when the file is complete; elsewhere it may be an estimate."""
    rate = decoder.stream.average_rate or decoder.stream.guessed_rate
    if "matroska" in decoder.container.format.name and rate:
        return 3.0 / float(rate)
    return 0.5 + 0.02 * stated_s


def bits_of_video(decoder: Decoder, seen: Sequence[av.VideoFrame]) -> int:
    """Bits in use of a video whose pictures store 16, by pictures from all over it."""
    if not seen or not stores_16_bits(seen[0].format.name):
        return 16
    largest = [largest_of(picture) for picture in seen]
    stream = decoder.stream
    ticks = round((stated_seconds(decoder) or 0.0) / (stream.time_base or 1))
    pictures = decoder.pictures()
    for sample in range(1, DEPTH_SAMPLES):
        if ticks:
            try:
                decoder.seek((stream.start_time or 0) + ticks * sample // DEPTH_SAMPLES)
            except av.error.FFmpegError:
                ticks = 0  # the next ones then
            pictures = decoder.pictures()
        picture = next(pictures, None)
        if picture is None:
            break
        largest.append(largest_of(picture))
    return bits_in_use(max(largest))
