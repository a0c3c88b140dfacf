"""Where faces are and their 68 landmarks (iBUG/300-W order), behind one small interface."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


_LOADING = threading.Lock()
_IDLE: deque[Any] = deque()  # face detectors that no thread is searching with


class LandmarkBackend(Protocol):
    """What tracking needs of a landmark library; dlib is the default. Pictures come in one piece
    of memory and are not to be written to."""

    def detect(self, gray: Gray, long_side: int) -> list[Box]:
        """Boxes of all faces, searched with the frame's long side scaled to ``long_side``."""
        ...

    def landmarks(self, gray: Gray, box: Box) -> NDArray[np.float64]:
        """(68, 2) landmarks in pixels of the face in ``box``."""
        ...


class DlibLandmarks:
    """dlib's HOG detector and 68-point shape predictor.

    Its detector sees faces of 80 pixels and more at the scale it searches. The landmarks are
    integers with about half a pixel of jitter: they locate a face, they do not measure motion. The
    68-point model was trained on 300-W, whose licence excludes commercial use.

    Any number of these costs one model: all share the process's predictor and its detectors, of
    which there are as many as ever searched at once. So one may be used by several threads.

    Source: Kazemi & Sullivan, CVPR 2014, doi 10.1109/CVPR.2014.241.
    """

    def __init__(self) -> None:
        with _LOADING:
            self._predictor = _predictor()
            with _detector():  # made now, so that no first frame waits for it
                pass

    def detect(self, gray: Gray, long_side: int) -> list[Box]:
        """Boxes of all faces, largest first."""
        scale = long_side / max(gray.shape)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = (
            gray if scale == 1 else cv2.resize(gray, None, fx=scale, fy=scale, interpolation=method)
        )
        with _detector() as search:
            rectangles = search(np.ascontiguousarray(small), 0)
        found = [
            (r.left() / scale, r.top() / scale, (r.right() + 1) / scale, (r.bottom() + 1) / scale)
            for r in rectangles
        ]
        return sorted(found, key=box_area, reverse=True)

    def landmarks(self, gray: Gray, box: Box) -> NDArray[np.float64]:
        import dlib  # noqa: PLC0415 - as below

        rectangle = dlib.rectangle(*(round(edge) for edge in box))
        shape = self._predictor(np.ascontiguousarray(gray), rectangle)
        return np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float64)


@cache
def _predictor() -> Any:
    """The 68-point model: 100 MB, 0.3 s to read, in which dlib lets no other thread work, and not
    changed by use."""
    import dlib  # noqa: PLC0415 - heavy; only on use
    import face_recognition_models as models  # noqa: PLC0415

    return dlib.shape_predictor(models.pose_predictor_model_location())


@contextmanager
def _detector() -> Iterator[Any]:
    """A face detector of one's own for a search, which changes it; making one takes 0.2 s."""
    import dlib  # noqa: PLC0415 - as above

    try:
        found = _IDLE.pop()
    except IndexError:
        found = dlib.get_frontal_face_detector()
    try:
        yield found
    finally:
        _IDLE.append(found)


def box_area(box: Box) -> float:
    """Area in square pixels."""
    return (box[2] - box[0]) * (box[3] - box[1])


def overlap(a: Box, b: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (box_area(a) + box_area(b) - shared)


def landmark_box(landmarks: NDArray[np.floating]) -> Box:
    """The box around landmarks."""
    low, high = landmarks.min(0), landmarks.max(0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
