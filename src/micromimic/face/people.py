"""Who is in a video: looked for now and then, told apart, and numbered by how large they are seen.

A face is who it looks like, and where it was a moment ago; two faces of one picture are two people,
however alike.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.progress import Progress
from micromimic.face.align import Gray
from micromimic.face.identity import SAME_PERSON, FaceIdentity
from micromimic.face.landmarks import Box, DlibLandmarks, LandmarkBackend, box_area, overlap
from micromimic.media.frames import FrameSource

EVERY_S: Final = 1.0
MOST_LOOKS: Final = 600
_SIDES: Final = (640, 1280)  # to which a picture's long side is scaled, the larger only downwards
_NEAR: Final = 0.15  # distance that a face gains where somebody was a moment ago
_VIEWS: Final = 5  # embeddings kept of a person
_TWICE: Final = 0.3  # overlap of two boxes, found at two scales, that are one face

Embedding = NDArray[np.float64]
Landmarks = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Face:
    """One face of one picture."""

    box: Box
    landmarks: Landmarks  # (68, 2) pixels
    embedding: Embedding  # (128,)


@dataclass
class Person:
    """Somebody who was seen."""

    times: list[float] = field(default_factory=list)  # seconds, rising
    frames: list[int] = field(default_factory=list)  # their numbers
    boxes: list[Box] = field(default_factory=list)  # where the face was then
    views: list[Embedding] = field(default_factory=list)
    area: float = 0.0  # of all boxes

    def see(self, face: Face, frame: int, time: float) -> None:
        self.times.append(time)
        self.frames.append(frame)
        self.boxes.append(face.box)
        self.area += box_area(face.box)
        if len(self.views) < _VIEWS:
            self.views.append(face.embedding)

    def largest(self) -> tuple[int, Box]:
        """The frame in which the face was seen largest, and where."""
        return max(zip(self.frames, self.boxes, strict=True), key=lambda seen: box_area(seen[1]))

    def distance(self, face: Face) -> float:
        return min(float(np.linalg.norm(face.embedding - view)) for view in self.views)

    def box_near(self, time: float, within: float) -> Box | None:
        """Where the person was at the nearest look, unless that is too far away in time."""
        place = bisect_left(self.times, time)
        around = range(max(0, place - 1), min(len(self.times), place + 1))
        nearest = min(around, key=lambda k: abs(self.times[k] - time), default=None)
        near = nearest is not None and abs(self.times[nearest] - time) <= within
        return self.boxes[nearest] if near and nearest is not None else None


class FaceFinder:
    """All faces of a picture, each once, with what tells people apart."""

    def __init__(self, backend: LandmarkBackend | None = None) -> None:
        self._backend: LandmarkBackend = backend or DlibLandmarks()
        self._identity = FaceIdentity()

    def faces(self, gray: Gray) -> list[Face]:
        gray = np.ascontiguousarray(gray)  # as libraries of landmarks want it
        found: list[Box] = []
        for side in _SIDES[: 1 if max(gray.shape) < _SIDES[1] else 2]:
            for box in self._backend.detect(gray, side):
                if all(overlap(box, other) < _TWICE for other in found):
                    found.append(box)
        faces = []
        for box in found:
            landmarks = self._backend.landmarks(gray, box)
            faces.append(Face(box, landmarks, self._identity.embed(gray, landmarks)))
        return faces


def whose(
    faces: Sequence[Face], people: Sequence[Person], time: float, within: float
) -> dict[int, int]:
    """Which of the people each face is, by number in both lists; no person has two faces."""
    if not faces or not people:
        return {}
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415 - half a second of each start

    distances = np.array([[person.distance(face) for person in people] for face in faces])
    costs = distances.copy()
    for column, person in enumerate(people):
        before = person.box_near(time, within)
        if before is not None:
            costs[:, column] -= [_NEAR * overlap(face.box, before) for face in faces]
    pairs = zip(*linear_sum_assignment(costs), strict=True)
    return {int(f): int(p) for f, p in pairs if distances[f, p] < SAME_PERSON}


@dataclass(frozen=True)
class People:
    """Everybody in a video, who is seen largest and longest first: person 1 is ``persons[0]``."""

    persons: tuple[Person, ...]
    looks: int  # pictures that were looked at
    every_s: float  # seconds between them
    backend: LandmarkBackend | None = None

    def wanted(self, number: int) -> Wanted:
        """Finds one of them again in any picture; InputError where there are fewer."""
        count = len(self.persons)
        if not 1 <= number <= count:
            raise InputError(
                f"expected a person from 1 to {count}, got {number}; people are numbered by how "
                "large and long they are seen"
                if count
                else "expected a face in the video, found none; use a turned, cropped or larger "
                "version"
            )
        return Wanted(self, number - 1, FaceFinder(self.backend))


@dataclass(frozen=True)
class Wanted:
    """One person of several, for a tracker that is to follow nobody else."""

    people: People
    index: int
    finder: FaceFinder

    def find(self, gray: Gray, time: float) -> Face | None:
        """The person's face in a picture; None where it does not show."""
        return self._look(gray, time).get(self.index)

    def is_at(self, box: Box, gray: Gray, time: float) -> bool:
        """Whether nothing speaks against this being the person's face: neither somebody else's face
        there, nor the person's own elsewhere."""
        there = self._look(gray, time)
        mine = there.get(self.index)
        if mine is not None:
            return overlap(mine.box, box) > _TWICE
        return all(overlap(face.box, box) < _TWICE for face in there.values())

    def _look(self, gray: Gray, time: float) -> dict[int, Face]:
        faces = self.finder.faces(gray)
        known = whose(faces, self.people.persons, time, 1.5 * self.people.every_s)
        return {person: faces[face] for face, person in known.items()}


def find_people(
    frames: FrameSource,
    backend: LandmarkBackend | None = None,
    progress: Progress | None = None,
) -> People:
    """Look through a video, a picture a second or every so many seconds of a long one.

    Who is seen once only, of at least four pictures, is taken for a mistake of the detector.
    """
    finder, persons, looks = FaceFinder(backend), list[Person](), 0
    rate, count = frames.nominal_fps or 25.0, frames.expected_frames
    every = max(EVERY_S, (count or 0) / rate / MOST_LOOKS)
    for frame in frames:
        if frame.time < looks * every - 0.5 / rate:
            continue
        faces = finder.faces(frame.gray)
        known = whose(faces, persons, frame.time, 1.5 * every)
        for number, face in enumerate(faces):
            if number not in known:
                persons.append(Person())
            persons[known.get(number, -1)].see(face, frame.index, frame.time)
        looks += 1
        if progress is not None:
            progress(frame.index, count, "people")
    least = 2 if looks >= 4 else 1
    seen = sorted((p for p in persons if len(p.times) >= least), key=lambda p: -p.area)
    return People(tuple(seen), looks, every, backend)
