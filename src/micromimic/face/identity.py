"""Who a face is: dlib's 128-D embedding, so that a person who returns is known again."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Embedding = NDArray[np.float64]

SAME_PERSON = 0.6  # embeddings nearer than this are one person (dlib's published threshold)

_TURN = threading.Lock()


class FaceIdentity:
    """Numbers people in order of appearance. The first face has nobody to be distinguished from: it
    is kept as a picture, and embedded when there is a second. Source: dlib's face recognition model
    (ResNet, triplet loss), dlib.net."""

    def __init__(self) -> None:
        self._first: Gray | None = None
        self._people: list[list[Embedding]] = []

    def embed(self, gray: Gray, landmarks: NDArray[np.floating]) -> Embedding:
        """(128,) embedding of the face with these (68, 2) landmarks."""
        return _embedding(_upright(gray, landmarks))

    def identify(self, gray: Gray, landmarks: NDArray[np.floating]) -> int:
        """Number of the person with this face; a new one if nobody known is near."""
        face = _upright(gray, landmarks)
        if self._first is None:
            self._first = face
            return 0
        if not self._people:
            self._people.append([_embedding(self._first)])
        embedding = _embedding(face)
        distances = [
            min(float(np.linalg.norm(embedding - known)) for known in views)
            for views in self._people
        ]
        person = int(np.argmin(distances))
        if distances[person] >= SAME_PERSON:
            self._people.append([embedding])
            return len(self._people) - 1
        if len(self._people[person]) < 5:
            self._people[person].append(embedding)
        return person


def _upright(gray: Gray, landmarks: NDArray[np.floating]) -> Gray:
    """(150, 150) picture of a face as the network looks at it."""
    import dlib  # noqa: PLC0415 - as below

    points = dlib.points()
    for x, y in np.rint(landmarks).astype(int):
        points.append(dlib.point(int(x), int(y)))
    low, high = landmarks.min(0), landmarks.max(0)
    box = dlib.rectangle(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    shape = dlib.full_object_detection(box, points)
    return np.asarray(dlib.get_face_chip(np.ascontiguousarray(gray), shape))


def _embedding(face: Gray) -> Embedding:
    picture = np.repeat(face[:, :, None], 3, axis=2)
    with _TURN:  # the network's layers hold what it computes
        return np.asarray(_encoder().compute_face_descriptor(picture), dtype=np.float64)


@cache
def _encoder() -> Any:
    """The process's one network of 22 MB."""
    import dlib  # noqa: PLC0415 - heavy; only when a face must be distinguished from another
    import face_recognition_models as models  # noqa: PLC0415

    return dlib.face_recognition_model_v1(models.face_recognition_model_location())
