"""Pictures and short clips of each event's face, as it was and with its movement made larger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import follow
from micromimic.core.errors import InputError
from micromimic.core.files import write_whole
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
    first, last = event.onset_frame, event.offset_frame
    start = int(np.searchsorted(times, times[first] - MARGIN_S - 1e-9))
    stop = int(np.searchsorted(times, times[last] + MARGIN_S + 1e-9)) - 1
    segment = segments[event.apex_frame]
    while first > start and segments[first - 1] == segment:
        first -= 1
    while last < stop and segments[last + 1] == segment:
        last += 1
    return range(first, last + 1)


def magnifier_of(event: MicroExpression) -> Magnifier:
    proof = evidence_of(event)
    return Magnifier(proof.onset_face, proof.apex_face, proof.pixels_per_unit, proof.margin)


def write_clips(
    frames: FrameSource, event: MicroExpression, track: FaceTrack, rate: float, folder: Path
) -> None:
    """Write ``onset.jpg``, ``apex.jpg``, ``face.mp4`` and ``magnified.mp4`` of an event, which must
    have its evidence; ``rate`` is frames a second of the clips."""
    proof, wanted = evidence_of(event), clip_range(event, track)
    write_faces(proof.onset_face, proof.apex_face, folder)
    magnifier = magnifier_of(event)
    place = shape = np.asarray(track.transforms[event.onset_frame], np.float64)
    times = [float(time) for time in track.times[wanted.start : wanted.stop]]
    side = proof.onset_face.shape[0]

    def clip(name: str) -> ProxyWriter:
        return ProxyWriter(folder / name, side, side, rate=rate, crf=_CRF, long_side=side)

    with clip("face.mp4") as plain, clip("magnified.mp4") as large:

        def write_large(pictures: Iterable[NDArray[np.uint8]]) -> None:
            for picture in pictures:
                large.write(picture, times[large.frames] - times[0])

        for frame, time in zip(_read(frames, list(wanted)), times, strict=True):
            own = np.asarray(track.transforms[frame.index], np.float64)
            if np.isfinite(own).all():  # within an event single frames may be lost: the last holds
                place = follow(shape, own)
            face = face_canvas(frame.rgb(), place, proof.pixels_per_unit, proof.margin)
            plain.write(face, time - times[0])
            write_large(magnifier.push(face, time - times[0]))
        write_large(magnifier.finish())


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
        _write_picture(folder / f"{number}.jpg", np.asarray(small, np.uint8))


def write_faces(onset: NDArray[np.uint8], apex: NDArray[np.uint8], place: Path) -> None:
    for name, picture in (("onset", onset), ("apex", apex)):
        _write_picture(place / f"{name}.jpg", picture)


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
