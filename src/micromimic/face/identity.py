"""Who a face is: dlib's 128-D embedding, so that a person who returns is known again."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SAME_PERSON = 0.6  # embeddings nearer than this are one person (dlib's published threshold)

_TURN = threading.Lock()


class FaceIdentity:
    """Numbers people in order of appearance. Source: dlib's face recognition model (ResNet, triplet
    loss), dlib.net."""

    def __init__(self) -> None:
        self._people: list[list[NDArray[np.float64]]] = []

    def embed(
        self, gray: NDArray[np.uint8], landmarks: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """(128,) embedding of the face with these (68, 2) landmarks."""
        import dlib  # noqa: PLC0415 - as below

        points = dlib.points()
        for x, y in np.rint(landmarks).astype(int):
            points.append(dlib.point(int(x), int(y)))
        low, high = landmarks.min(0), landmarks.max(0)
        box = dlib.rectangle(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        shape = dlib.full_object_detection(box, points)
        rgb = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
        with _TURN:  # the network's layers hold what it computes
            return np.asarray(_encoder().compute_face_descriptor(rgb, shape), dtype=np.float64)

    def identify(self, embedding: NDArray[np.float64]) -> int:
        """Number of the person with this embedding; a new one if nobody known is near."""
        distances = [
            min(float(np.linalg.norm(embedding - known)) for known in views)
            for views in self._people
        ]
        if distances and min(distances) < SAME_PERSON:
            person = int(np.argmin(distances))
            if len(self._people[person]) < 5:
                self._people[person].append(embedding)
            return person
        self._people.append([embedding])
        return len(self._people) - 1


@cache
def _encoder() -> Any:
    """The process's one network of 22 MB."""
    import dlib  # noqa: PLC0415 - heavy; only when a face must be distinguished from another
    import face_recognition_models as models  # noqa: PLC0415

    return dlib.face_recognition_model_v1(models.face_recognition_model_location())
