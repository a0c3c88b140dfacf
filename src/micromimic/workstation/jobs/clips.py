"""Pictures and short clips of each event's face, as it was and with its movement made larger."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import follow
from micromimic.core.errors import InputError, OutputError
from micromimic.core.files import write_whole
from micromimic.core.progress import Progress
from micromimic.core.results import Analysis
from micromimic.core.types import Evidence, FaceTrack, MicroExpression
from micromimic.face.align import face_canvas
from micromimic.face.people import People
from micromimic.media.video import Frame, FrameSource
from micromimic.media.writer import ProxyWriter
from micromimic.motion.magnify import Magnifier

MARGIN_S: Final = 0.2
"""Seconds before the onset and after the offset in a clip."""

_CRF: Final = 17  # the finest movement is what these clips are for
_JPEG_QUALITY: Final = 92
_PERSON_SIDE: Final = 160  # pixels along the longer side of a person's picture


def evidence_of(event: MicroExpression) -> Evidence:
    if event.evidence is None:
        raise ValueError("expected events with evidence, got one without; analyse with evidence")
    return event.evidence


def clip_range(event: MicroExpression, track: FaceTrack) -> range:
    """The frames of an event's clips: with some rest around, within its stretch of tracking."""
    times, segments = track.times, track.segments
    start = int(np.searchsorted(times, event.interval.onset - MARGIN_S - 1e-9))
    stop = int(np.searchsorted(times, event.interval.offset + MARGIN_S + 1e-9)) - 1
    first, last = event.onset_frame, event.offset_frame
    segment = segments[event.apex_frame]
    while first > start and segments[first - 1] == segment:
        first -= 1
    while last < stop and segments[last + 1] == segment:
        last += 1
    return range(first, last + 1)


class _EventClips:
    """Both clips of one event, written as its frames come by."""

    def __init__(self, event: MicroExpression, track: FaceTrack, folder: Path, rate: float) -> None:
        proof = evidence_of(event)
        self.frames = clip_range(event, track)
        self._track = track
        self._proof = proof
        self._shape = np.asarray(track.transforms[event.onset_frame], np.float64)
        self._place = self._shape
        self._start = float(track.times[self.frames.start])
        self._times: list[float] = []
        self._written = 0
        side = proof.onset_face.shape[0]
        self._magnifier = Magnifier(
            proof.onset_face, proof.apex_face, proof.pixels_per_unit, proof.margin
        )
        self.factor = self._magnifier.factor
        with ExitStack() as stack:
            self._face, self._large = (
                stack.enter_context(
                    ProxyWriter(folder / name, side, side, rate=rate, crf=_CRF, long_side=side)
                )
                for name in ("face.mp4", "magnified.mp4")
            )
            self._stack = stack.pop_all()

    def take(self, frame: Frame) -> None:
        place = np.asarray(self._track.transforms[frame.index], np.float64)
        if np.isfinite(place).all():  # within an event single frames may be lost: the last holds
            self._place = follow(self._shape, place)
        face = face_canvas(
            frame.rgb(), self._place, self._proof.pixels_per_unit, self._proof.margin
        )
        time = frame.time - self._start
        self._times.append(time)
        self._face.write(face, time)
        self._write_large(self._magnifier.push(face, time))

    def _write_large(self, pictures: Iterable[NDArray[np.uint8]]) -> None:
        for picture in pictures:
            self._large.write(picture, self._times[self._written])
            self._written += 1

    def finish(self) -> None:
        self._write_large(self._magnifier.finish())
        self._stack.close()

    def discard(self) -> None:
        self._face.discard()
        self._large.discard()


def write_clips(
    frames: FrameSource,
    events: Sequence[MicroExpression],
    track: FaceTrack,
    rate: float,
    folder: Path,
    progress: Progress,
) -> list[float]:
    """Write ``onset.jpg``, ``apex.jpg``, ``face.mp4`` and ``magnified.mp4`` of each event.

    Each event, which must have its evidence, gets a folder named by its index; ``frames`` is the
    open source that was analysed, ``rate`` frames a second of the clips. Returns the factor by
    which each movement is magnified.
    """
    ranges = [clip_range(event, track) for event in events]
    wanted = sorted(set().union(*ranges))
    factors: list[float] = []
    active: list[_EventClips] = []
    done = 0
    try:
        for frame in _read(frames, wanted):
            while len(factors) < len(events) and ranges[len(factors)].start <= frame.index:
                clips = _begin(events[len(factors)], track, folder / str(len(factors)), rate)
                factors.append(clips.factor)
                active.append(clips)
            for clips in active:
                clips.take(frame)
            for clips in [c for c in active if c.frames[-1] == frame.index]:
                clips.finish()
                active.remove(clips)
                done += 1
                progress(done, len(events), "pictures")
    finally:
        for clips in active:
            clips.discard()
    return factors


def write_held_back(analysis: Analysis, folder: Path) -> None:
    """Write ``onset.jpg`` and ``apex.jpg`` of each movement held back, by its index."""
    for index, item in enumerate(analysis.held_back):
        if item.onset_face is not None and item.apex_face is not None:
            write_faces(item.onset_face, item.apex_face, folder / str(index))


def write_people(frames: FrameSource, people: People, folder: Path) -> None:
    """Write ``N.jpg`` of each person: the face where it was seen largest."""
    best = sorted((*person.largest(), number) for number, person in enumerate(people.persons, 1))
    for frame, (_, box, number) in zip(
        _read(frames, [index for index, _, _ in best]), best, strict=True
    ):
        left, top, right, bottom = box
        wide, high = 0.25 * (right - left), 0.35 * (bottom - top)
        rows = slice(max(0, int(top - high)), int(bottom + high))
        picture = frame.rgb()[rows, max(0, int(left - wide)) : int(right + wide)]
        side = _PERSON_SIDE / max(picture.shape[:2])
        size = (max(1, round(picture.shape[1] * side)), max(1, round(picture.shape[0] * side)))
        small = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
        _make_folder(folder)
        _write_picture(folder / f"{number}.jpg", np.asarray(small, np.uint8))


def write_faces(onset: NDArray[np.uint8], apex: NDArray[np.uint8], place: Path) -> None:
    _make_folder(place)
    for name, picture in (("onset", onset), ("apex", apex)):
        _write_picture(place / f"{name}.jpg", picture)


def _make_folder(place: Path) -> None:
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"expected to write pictures to {place}, got {error.strerror}; make room there"
        ) from error


def _write_picture(path: Path, rgb: NDArray[np.uint8]) -> None:
    _, data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    write_whole(path, data.tobytes())


def _read(frames: FrameSource, wanted: list[int]) -> Iterable[Frame]:
    try:
        yield from frames.frames_at(wanted)
    except IndexError:
        raise InputError(
            "expected the same frames again in the third pass, the file ended before; the file "
            "changed while it was read - analyse a copy"
        ) from None


def _begin(event: MicroExpression, track: FaceTrack, place: Path, rate: float) -> _EventClips:
    proof = evidence_of(event)
    write_faces(proof.onset_face, proof.apex_face, place)
    return _EventClips(event, track, place, rate)
