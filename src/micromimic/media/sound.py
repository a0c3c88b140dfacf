"""The sound of a video, laid sample by sample on the time of its pictures.

Whatever of it is odd or damaged becomes silence and a line for people, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from micromimic.core.closing import Closing
from micromimic.media.clock import JUMP_BACK_S
from micromimic.media.decoding.decoder import is_default, open_container, packets_of

RATE: Final = 48_000  # samples a second of what is handed out
PEAKS_PER_S: Final = 100
_PER_PEAK: Final = RATE // PEAKS_PER_S
_SLACK_S: Final = 0.02  # between a timestamp and the samples so far: more is a gap, or an overlap
_ODD: Final = (av.error.FFmpegError, ValueError, ArithmeticError, IndexError, MemoryError)
"""What FFmpeg and PyAV raise on sound that they cannot read, or not put into another form."""

Samples = NDArray[np.float32]  # (channels, n) within -1 and 1


class SoundTrack(Closing):
    """Mono or stereo at ``RATE``, from the first picture on: a track that begins late begins with
    silence, gaps are silent, what overlaps or lies before the first picture is left out.

    ``layout`` is ``mono`` or ``stereo``, or empty where no sound is to be had; ``peaks`` the
    loudest sample of each 1 / ``PEAKS_PER_S`` s that was handed out, 0 to 255.
    """

    def __init__(self, path: Path, first_picture_s: float, *, in_step: bool = True) -> None:
        """``first_picture_s``: the first picture's place on the container's clock; ``in_step``:
        the pictures keep to that clock."""
        self.layout = self._left_out = ""
        self.peaks = bytearray()
        self._first_picture = first_picture_s
        self._place = 0  # samples that are handed out or wait
        self._undecodable = 0
        self._stopped = ""
        self._rest: Samples = np.zeros((1, 0), np.float32)
        self._container = None
        try:
            self._container = open_container(path)
        except _ODD as error:
            self._left_out = f"it cannot be opened ({error})"
            return
        tracks = self._container.streams.audio
        streams = [track for track in tracks if track.codec_context is not None]
        if tracks and not in_step:
            self._left_out = "its frame rate was given against the file's own timing"
        elif tracks and not streams:
            self._left_out = "it is of an unknown kind"
        elif tracks:
            self._stream = max(streams, key=is_default)
            self._begin()

    def _begin(self) -> None:
        """Open the track, and see that there is something in it."""
        placed = self._placed()
        first = next(placed, None)
        if first is None:
            self._left_out = f"it cannot be decoded ({self._stopped or 'nothing in it can'})"
            return
        self._rest = np.zeros((len(first[1]), 0), np.float32)
        self.layout = "mono" if len(first[1]) == 1 else "stereo"
        self._blocks = self._laid(chain([first], placed))

    @property
    def problem(self) -> str:
        """One line on what of the sound is left out so far; empty where nothing is."""
        if self._left_out:
            return f"the video is shown without its sound: {self._left_out}"
        if self._stopped:
            place = f"after {self._place / RATE:.1f} s"
            return f"the sound is silent {place}: it cannot be read ({self._stopped})"
        if self._undecodable:
            return f"the sound is silent in places: {self._undecodable} parts of it are damaged"
        return ""

    def until(self, seconds: float) -> Iterator[Samples]:
        """What comes next of the sound, up to this time from the first picture; may end before."""
        end = round(seconds * RATE)
        while self.layout and self._handed_out < end:
            if not self._rest.shape[1]:
                block = next(self._blocks, None)
                if block is None:
                    return
                self._rest = block
            count = end - self._handed_out
            part, self._rest = self._rest[:, :count], self._rest[:, count:]
            self._note_peaks(self._handed_out - part.shape[1], part)
            yield part

    @property
    def _handed_out(self) -> int:
        return self._place - int(self._rest.shape[1])

    def _note_peaks(self, start: int, part: Samples) -> None:
        before = start % _PER_PEAK
        end = before + part.shape[1]
        loud = np.zeros(end + -end % _PER_PEAK, np.float32)
        loud[before:end] = np.abs(part).max(0)
        peaks = np.rint(loud.reshape(-1, _PER_PEAK).max(1) * 255).astype(np.uint8)
        if before:
            peaks[0] = max(self.peaks.pop(), peaks[0])
        self.peaks += peaks.tobytes()

    def _laid(self, placed: Iterable[tuple[int, Samples]]) -> Iterator[Samples]:
        """Blocks without gaps or overlaps, from 0 on; silence of any length a second at a time."""
        for start, block in placed:
            while start > self._place:
                silence = np.zeros((len(block), min(start - self._place, RATE)), np.float32)
                self._place += silence.shape[1]
                yield silence
            new = block[:, self._place - start :]
            self._place += new.shape[1]
            if new.shape[1]:
                yield new

    def _placed(self) -> Iterator[tuple[int, Samples]]:
        """Blocks, and the sample that each begins at: below 0 before the first picture."""
        resampler: av.AudioResampler | None = None
        kind: tuple[str, str, int] | None = None
        begin = end = 0.0  # seconds: of the stretch without a gap, so far
        shift = 0.0  # seconds, of clocks that started again
        count, place = 0, 0  # samples of that stretch as stored; of the next block
        layout = ""
        try:
            for frame in self._decoded():
                kind_before, kind = kind, (frame.format.name, frame.layout.name, frame.sample_rate)
                if resampler is None or kind != kind_before:
                    layout = layout or ("mono" if frame.layout.nb_channels == 1 else "stereo")
                    resampler = av.AudioResampler("fltp", layout, RATE)
                time = end
                if frame.pts is not None and frame.time_base is not None:
                    time = float(frame.pts * frame.time_base) - self._first_picture + shift
                if kind_before and end - time > JUMP_BACK_S:
                    shift += end - time
                    time = end
                if abs(time - end) > _SLACK_S or kind != kind_before:
                    begin, count, place = time, 0, round(time * RATE)
                count += frame.samples
                end = begin + count / frame.sample_rate
                frame.pts = None
                for resampled in resampler.resample(frame):
                    block = resampled.to_ndarray()
                    if not np.abs(block).max(initial=0.0) <= 1:  # too loud, or no numbers
                        block = np.clip(np.nan_to_num(block), -1.0, 1.0)
                    yield place, block.astype(np.float32, copy=False)
                    place += block.shape[1]
        except _ODD as error:
            self._stopped = getattr(error, "strerror", None) or str(error) or type(error).__name__

    def _decoded(self) -> Iterator[av.AudioFrame]:
        context = self._stream.codec_context
        assert self._container is not None
        for packet in packets_of(self._container, self._stream):
            try:
                yield from context.decode(packet)
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self._undecodable += packet.size > 0

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
