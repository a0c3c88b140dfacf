"""Frames with their real timestamps from a video file or a folder of pictures."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Final

import av
import av.error

from micromimic.core.errors import InputError
from micromimic.core.sparse import sparse
from micromimic.media.clock import Clock
from micromimic.media.decoding.capture import capture_notice, captured_fps
from micromimic.media.decoding.decoder import (
    Decoder,
    FrameIndex,
    bits_of_video,
    duration_slack,
    first_shown,
    lead_of,
    stated_seconds,
    stores_decode_times,
)
from micromimic.media.decoding.pixels import (
    bytes_of,
    geometry_of,
    gray_of,
    largest_of,
    picture_notices,
    rgb_of,
    yuv_of,
)
from micromimic.media.decoding.repeats import RepeatWatch
from micromimic.media.formats import MOST_PIXELS, check_rate, check_size, is_stack
from micromimic.media.frames import Frame, FrameSource, Notice
from micromimic.media.recording import READ_AHEAD, Recording
from micromimic.media.sound import SoundTrack
from micromimic.media.writer import VideoWriter

__all__ = ["Frame", "FrameSource", "VideoSource", "VideoWriter", "open_source"]

_SEEK_GAIN: Final = 12
"""Seek only where it saves this many frames: a seek restarts the decoder's threads."""
_SAME_RATE: Final = 1e-5
"""Of two frame rates: in an hour they part by no more than a frame."""


def open_source(
    path: str | Path,
    fps: float | None = None,
    read_ahead: int = READ_AHEAD,
    *,
    threads: int | None = None,
    track: int | None = None,
) -> FrameSource:
    """Open a video file, or a folder of frames. ``fps``: needed for a folder; for a file it
    overrides the file's timestamps (a high-speed camera's 200 frames a second are often stored to
    play at 25); ``threads``: of the decoder; None as many as there are cores; ``track``: which of a
    file's video tracks, from 1; None leaves it to ``choose_track``."""
    check_rate(fps)
    path = Path(path)
    try:
        folder = path.is_dir()
        if not folder:
            _check_file(path)
        if folder or is_stack(path):
            if track is not None:
                raise InputError(
                    f"expected a video file to choose track {track} of, got pictures at {path}; "
                    "leave --track out"
                )
            # Pillow, which a video does without
            from micromimic.media.folder import FolderSource, StackSource  # noqa: PLC0415

            return (FolderSource if folder else StackSource)(path, fps, read_ahead)
    except OSError as error:
        raise InputError(
            f"expected to read {path}, got {error.strerror or error}; check its permissions"
        ) from None
    return VideoSource(path, fps, read_ahead, threads=threads, track=track)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputError(
            f"expected a video file or a folder of frames, got {path}, which does not exist; "
            "check the path"
        )
    if not path.is_file():
        raise InputError(f"expected a video file, got {path}, which is a device; pass a file")
    with path.open("rb") as file:
        if not file.read(1):
            raise InputError(f"expected a video, got {path} of 0 bytes; record or copy it again")


class VideoSource(Recording):
    """Frames of a video file, decoded and made grey in a background thread; see ``FrameSource``."""

    def __init__(
        self,
        path: str | Path,
        fps: float | None = None,
        read_ahead: int = READ_AHEAD,
        *,
        threads: int | None = None,
        track: int | None = None,
    ) -> None:
        super().__init__(path, read_ahead, bits=16)
        self._file = Path(path)
        self._fps, self._threads, self._track = fps, threads, track
        self._index: FrameIndex | None = None
        self._played = array("d")
        self._lead = 0.0
        self._probe()

    def _open(self, *, again: bool = False) -> Decoder:
        """``again``: for single frames, which several may read at once. FFmpeg's second thread
        takes a quarter more of the processor's time for the same frames."""
        self._check_open()
        try:
            return Decoder(self._file, 1 if again else self._threads, self._track)
        except av.error.FFmpegError as error:
            raise InputError(
                f"expected a video, got {self.path}, which cannot be opened as one "
                f"({error.strerror}); the file is of another kind, incomplete or damaged"
            ) from None

    def _probe(self) -> None:
        with self._open() as decoder:
            stream = decoder.stream
            pictures = decoder.pictures()
            first = next(pictures, None)
            second = next(pictures, None)
            rate = stream.average_rate or stream.guessed_rate
            self._container_fps = float(rate) if rate else None
            self._time_base = stream.time_base or Fraction(1, 1000)
            self._stated_frames = stream.frames or None
            self._stated_s = stated_seconds(decoder)
            self._slack_s = duration_slack(decoder, self._stated_s or 0.0)
            self._track = decoder.track
            self._pixel_shape = stream.sample_aspect_ratio
            self._first_shown = first_shown(decoder, first.pts) if first is not None else None
            captured = captured_fps(decoder.container, stream, self._file)
            sized = bool(stream.width)
            bits = bits_of_video(decoder, [p for p in (first, second) if p is not None])
        if first is None and not sized:
            raise InputError(
                f"expected pictures of a known size of at most {MOST_PIXELS // 10**6} megapixels, "
                f"got none that can be decoded in {self.path}; scale them down"
            )
        if first is None or second is None:
            got = "none that can be decoded" if first is None else "a single picture"
            raise InputError(
                f"expected at least two frames in {self.path}, got {got}; pass a whole video"
            )
        self._bits = bits
        self._geometry = geometry_of(first, self._pixel_shape)
        self.width, self.height = self._geometry.size
        self._bytes_per_pixel = bytes_of(first, self._geometry) / (self.width * self.height)
        check_size(self.width, self.height, self.path)
        self._opened: tuple[Notice, ...] = () if decoder.choice is None else (decoder.choice,)
        if self._fps is None and captured and self._container_fps:
            self._fps = captured
            self._opened += (capture_notice(captured, self._container_fps),)
        self._known = (*self._opened, *picture_notices(self._pixel_shape, interlaced=0))
        self.nominal_fps = self._fps or self._container_fps
        self.expected_frames = self._stated_frames
        if self.expected_frames is None and self._stated_s and self._container_fps:
            self.expected_frames = round(self._stated_s * self._container_fps)

    @property
    def media_times(self) -> Sequence[float] | None:
        if self._lead == 0 and not self._fps:
            return None
        return [self._lead + time for time in self._played]

    def open_packets(self) -> Decoder | None:
        """The file again, for its packets, where a player shows their pictures as this source does:
        at their own times, the right way up, with square pixels."""
        return self._open(again=True) if self._fps is None and self._geometry.as_stored else None

    @property
    def index(self) -> FrameIndex | None:
        """Where the frames lie, after a complete first pass; None where only counting tells."""
        return self._index if self._index and self._index.exact else None

    def resume(self, index: FrameIndex) -> None:
        """Seek as after the first pass over the same file that left this ``index``."""
        clock = self._clock()
        self._index, self._played = index, array("d", map(clock.seconds, index.pts))

    def _clock(self) -> Clock:
        return Clock(self._time_base, 1.0 / (self._container_fps or 25.0))

    def open_sound(self) -> SoundTrack:
        """The sound of the file, in step with its frames where their times are the file's own."""
        self._check_open()
        rate, own = self._fps, self._container_fps
        in_step = rate is None or (own is not None and abs(rate / own - 1) < _SAME_RATE)
        return SoundTrack(self._file, self._first_shown or 0.0, in_step=in_step)

    def _produce(self) -> Iterator[Frame]:
        index, repeats = FrameIndex(), RepeatWatch()
        step = 1.0 / (self._container_fps or 25.0)
        resized = 0
        played, length = array("d"), step
        with self._open() as decoder:
            clock = Clock(self._time_base, step)
            for number, picture in enumerate(decoder.pictures()):
                index.add(picture)
                played.append(clock.seconds(picture.pts))
                length = max(step, float((picture.duration or 0) * self._time_base))
                resized += (picture.width, picture.height) != self._geometry.stored
                frame = self._frame(number, self._time(number, played[-1]), picture)
                repeats.add(frame.gray if frame.few is None else frame.few, picture.key_frame)
                yield frame
            lead = lead_of(decoder, clock.origin)
        index.exact &= not (decoder.undecodable or decoder.stopped or decoder.order.decode_times)
        self._index, self._played, self._lead = index, played, lead
        self._known = (*self._opened, *picture_notices(self._pixel_shape, decoder.interlaced))
        repaired = 0 if self._fps else clock.repaired
        last = played[-1] if played else 0.0
        self._note_repeats(repeats, self._time(len(played) - 1, last))
        self.damage = tuple(self._damage_lines(decoder, last + length, repaired, resized))

    def _time(self, number: int, played: float) -> float:
        return number / self._fps if self._fps else played

    def _frame(self, number: int, time: float, picture: av.VideoFrame) -> Frame:
        if (picture.width, picture.height) != self._geometry.stored:
            picture = picture.reformat(*self._geometry.stored)
        if self._bits < 16 and largest_of(picture) >> self._bits:
            self._cut.add(number)
        gray = gray_of(picture, self._geometry, self._bits)
        colour = partial(rgb_of, picture, self._geometry, self._bits)
        stored = partial(yuv_of, picture, self._geometry)
        return Frame(number, time, gray, colour, stored, sparse(gray))

    def _damage_lines(
        self, decoder: Decoder, seconds: float, repaired: int, resized: int
    ) -> Iterator[str]:
        stated, there = self._stated_frames, decoder.packets
        if stores_decode_times(decoder) and self._container_fps:
            # It counts skipped frames as well, for which there is no packet.
            there = max(there, round((self._lead + seconds) * self._container_fps))
        if stated and there < stated:
            yield f"the file ends early: {there} of {stated} stated frames are there"
        elif self._stated_s and seconds < self._stated_s - self._slack_s:
            yield f"the file ends early: {seconds:.2f} of {self._stated_s:.2f} s are there"
        elif decoder.stopped:
            yield f"reading stopped before the end: {decoder.stopped}"
        if decoder.undecodable:
            yield f"{decoder.undecodable} packets could not be decoded"
        if decoder.corrupt:
            yield f"{decoder.corrupt} frames are damaged"
        if repaired:
            yield f"{repaired} timestamps were missing or did not rise, and were repaired"
        if resized:
            yield f"{resized} frames have another size than the first and were scaled to it"

    def _frames(self, indices: Sequence[int]) -> Iterator[Frame]:
        """After a complete first pass this seeks to the keyframe before each frame, checked by
        timestamp; where timestamps do not identify frames, or no first pass was made, it decodes
        from the start. Frames in between are decoded, not converted."""
        wanted = list(indices)
        index = self.index
        if index is not None:
            done = 0
            for frame in self._seek_frames(index, wanted):
                yield frame
                done += 1
            wanted = wanted[done:]
        if wanted:
            yield from self._scan_frames(wanted)

    def _seek_frames(self, index: FrameIndex, wanted: list[int]) -> Iterator[Frame]:
        """Frames found by seeking; ends early where the file does not keep to the index."""
        with self._open(again=True) as decoder:
            decoder.order.display_times = True  # or the index would not be exact
            pictures = decoder.pictures()
            at, picture = -1, None
            for target in wanted:
                key = index.keyframe_before(target)
                if key - at > _SEEK_GAIN and target > at:
                    try:
                        decoder.seek(index.pts[key])
                    except av.error.FFmpegError:  # a file without an index
                        return
                    pictures = decoder.pictures()
                    at = -1
                while at < target or picture is None:
                    picture = next(pictures, None)
                    found = index.find(picture.pts) if picture is not None else None
                    if picture is None or found is None or found > target:
                        return
                    at = found
                yield self._frame(target, self._time(target, self._played[target]), picture)

    def _scan_frames(self, wanted: list[int]) -> Iterator[Frame]:
        clock = self._clock()
        place = 0
        number = -1
        # Of a damaged file other numbers of threads lose other pictures: it is read as it was.
        with self._open() as decoder:
            for number, picture in enumerate(decoder.pictures()):
                time = clock.seconds(picture.pts)
                while place < len(wanted) and wanted[place] == number:
                    yield self._frame(number, self._time(number, time), picture)
                    place += 1
                if place == len(wanted):
                    return
        raise IndexError(f"expected frames up to {wanted[-1]}, got {number + 1} in {self.path}")
