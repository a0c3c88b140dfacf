"""One person's face through a video: found, locked on, stabilised, lost, found again.

Landmarks locate the face at the start and check it every two seconds; between them the template
of `face.align` carries it. A scene cut ends a stretch. Nothing of a frame is kept but numbers.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import (
    apply_affine,
    canonical_to_image,
    canvas_to_unit,
    compose,
    invert_affine,
    scale_of,
)
from micromimic.core.sparse import sparse
from micromimic.face.align import (
    FaceLayout,
    Gray,
    Registration,
    Template,
    face_layout,
    fit_affine,
    reduce_face,
    warp,
)
from micromimic.face.identity import FaceIdentity
from micromimic.face.landmarks import (
    Box,
    DlibLandmarks,
    LandmarkBackend,
    box_area,
    landmark_box,
    overlap,
)
from micromimic.face.people import Wanted
from micromimic.face.signals import N_CELLS, FaceRow, FaceSignals, SignalLog

SIDE: Final = 16  # blocks a side, whose means are compared
LEAST_CHANGE: Final = 1.0  # grey levels: what changes less on average is noise
MOST_ALIKE: Final = 0.96  # neighbouring frames that correlate better show one scene
UNLIKE: Final = 0.5  # those that correlate worse never do, whatever the frames before did
SUDDEN: Final = 4.0  # a cut changes so many times more than any of the frames before it
_BEFORE: Final = 6


class CutWatch:
    """Says where a recording goes on with another picture.

    Light that changes, a moving head and a moving camera leave neighbouring frames alike, or come
    about over several. Dissolves do, too, and are no cuts here.

    >>> watch = CutWatch()
    >>> ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    >>> [watch.add(picture) for picture in (ramp, ramp + 9, ramp.T.copy(), ramp.T.copy())]
    [False, False, True, False]
    """

    def __init__(self) -> None:
        self._blocks: NDArray[np.float32] | None = None
        self._changes: deque[float] = deque(maxlen=_BEFORE)

    def add(self, gray: NDArray[np.uint8]) -> bool:
        """Whether a cut lies between the frame before and this one."""
        blocks = cv2.resize(sparse(gray), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        centred = np.asarray(blocks, np.float32).ravel()
        centred -= centred.sum() / centred.size
        before, self._blocks = self._blocks, centred
        if before is None:
            return False
        change = cv2.norm(before, centred, cv2.NORM_L1) / centred.size
        usual = max(self._changes, default=0.0)
        self._changes.append(change)
        if change < LEAST_CHANGE:
            return False
        spread = cv2.norm(before) * cv2.norm(centred) + 1e-6
        alike = float(before @ centred) / spread
        return alike < UNLIKE or (alike < MOST_ALIKE and change > SUDDEN * usual)


RIGID = slice(27, 48)  # landmarks of nose and eyes: what expressions move least


@dataclass(frozen=True)
class TrackingConfig:
    resolution: float = 4.0  # canvas pixels a canonical unit
    check_interval: float = 2.0  # seconds between checks by the detector
    search_interval: float = 0.3  # seconds between searches while no face is tracked
    renew_interval: float = 1.0  # seconds between renewals of the template
    average: float = 0.06  # seconds of frames averaged into a template
    coast: float = 0.1  # seconds for which a face that no longer matches may come back unsearched
    min_similarity: float = 0.6  # correlation with the template below which a frame does not match
    same_similarity: float = 0.85  # below it, who is seen is looked up sooner, where it matters
    # sizes to which a frame's long side is scaled for detection, in order
    long_sides: tuple[int, ...] = (320, 640, 1280)
    # canonical units between tracked and detected eyes and nose: beyond, the face counts as lost...
    max_landmark_error: float = 2.5
    anchor_error: float = 0.8  # ...or the tracked face is put back to the detected


@dataclass
class _Lock:
    segment: int
    layout: FaceLayout
    template: Template
    canvas_to_image: NDArray[np.float64]
    reduction: int
    started: float
    renewed: float
    checked: float
    matched: float
    offset: NDArray[np.float32] = field(default_factory=lambda: np.zeros((N_CELLS, 2), np.float32))
    recent: deque[tuple[float, Gray, NDArray[np.float32]]] = field(default_factory=deque)
    eyes: deque[tuple[float, float]] = field(default_factory=deque)
    failed_checks: int = 0


class FaceTracker:
    """Follows the largest, most persistent face, or only the one ``wanted``. Feed frames in order
    with ``update``; ``finish`` returns the measurements of the person with the largest sum of face
    area over time. Other people are counted, their frames are gaps. ``keep_s``: seconds of
    measurements kept for ``finish``, for sessions without an end; None keeps all."""

    def __init__(
        self,
        config: TrackingConfig | None = None,
        backend: LandmarkBackend | None = None,
        *,
        keep_s: float | None = None,
        wanted: Wanted | None = None,
    ) -> None:
        self.config = config or TrackingConfig()
        self._wanted = wanted
        self._backend: LandmarkBackend = backend or DlibLandmarks()
        self._cuts = CutWatch()
        self._identity = FaceIdentity()
        self._log = SignalLog(keep_s)
        self._row: FaceRow | None = None
        self.canvas: Gray | None = None  # the last frame's stabilised face, with its full margin
        self._segments = 0
        self._past: dict[int, float] = {}
        self._lock: _Lock | None = None
        self._landmarks: dict[int, NDArray[np.float64]] = {}
        self._person: dict[int, int] = {}
        self._area: dict[int, float] = {}
        self._others: list[int] = []  # the two largest counts
        self._searched = -np.inf
        self._searches = 0
        self._previous_time: float | None = None

    def prepare(self) -> None:
        """Load what the first face would wait for."""
        angle = np.linspace(0, 2 * np.pi, 68)
        ring = 32 + 16 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        self._identity.embed(np.zeros((64, 64), np.uint8), ring)

    def update(self, gray: Gray, time: float, few: Gray | None = None) -> FaceRow | None:
        """What the next frame shows of the face; None where it is lost. ``few``: the frame's pixels
        as `sparse` takes them, where they are at hand."""
        self._row = self.canvas = None
        step = 0.0 if self._previous_time is None else time - self._previous_time
        self._previous_time = time
        if self._cuts.add(gray if few is None else few) and self._lock is not None:
            self._release()  # who is in the other picture is looked up at once
        lock = self._lock
        if lock is None or not self._follow(lock, gray, time, step):
            self._search(gray, time)
        self._log.add(time, self._row)
        return self._row

    def chosen(self) -> int:
        """The person with the largest sum of face area over time so far; -1 before the first."""
        totals = self._totals()
        return max(totals, key=lambda person: totals[person]) if totals else -1

    def person_of(self, segment: int) -> int:
        """Whose face a stretch of tracking shows, people numbered in order of appearance."""
        return self._person[segment]

    def shape_of(self, segment: int) -> NDArray[np.float64]:
        """(68, 2) landmarks of a stretch of tracking, canonical units."""
        return self._landmarks[segment]

    def _totals(self) -> dict[int, float]:
        totals = dict(self._past)
        for segment, person in self._person.items():
            totals[person] = totals.get(person, 0.0) + self._area.get(segment, 0.0)
        return totals

    def finish(self) -> FaceSignals:
        """All measurements of the chosen person that are kept; others count as gaps."""
        chosen = self.chosen()
        kept = {s: p for s, p in self._landmarks.items() if self._person[s] == chosen}
        # A face beside the tracked one counts when two checks agree, or the only one saw it.
        beside = self._others
        at_once = beside[min(1, len(beside) - 1)] if beside else 0
        return self._log.signals(kept, max(at_once, len(self._totals()) - 1, 0))

    def _follow(self, lock: _Lock, gray: Gray, time: float, step: float) -> bool:
        """Register one frame; False when the lock was given up."""
        result = self._register(lock, gray, step)
        if result is None or result.similarity < self.config.min_similarity:
            if time - lock.matched <= self.config.coast:
                return True
            self._release()
            return False
        lock.matched = time
        lock.canvas_to_image = result.canvas_to_image
        self._measure(lock, result, gray, time, step)
        changed = self._wanted is not None and result.similarity < self.config.same_similarity
        due = self.config.search_interval if changed else self.config.check_interval
        if time - lock.checked >= due:
            self._check(lock, gray, time)
        return True

    def _release(self) -> None:
        """Give the face up, and search in the next picture that is looked at."""
        self._lock = None
        self._searched = -np.inf

    def _register(
        self, lock: _Lock, gray: Gray, step: float, *, affine: bool = False
    ) -> Registration | None:
        size = lock.layout.size
        image, to_reduced = reduce_face(gray, lock.canvas_to_image, size, lock.reduction)
        if image is None:
            return None
        # Slow cameras move the face further between frames than two steps can follow.
        iterations = 2 if step < 1 / 60 else 5
        start = compose(to_reduced, lock.canvas_to_image)
        least = self.config.min_similarity
        result = lock.template.find(image, start, iterations, least, affine=affine)
        if not 0.5 < scale_of(result.canvas_to_image) / scale_of(start) < 2:
            return None
        back = compose(invert_affine(to_reduced), result.canvas_to_image)
        return Registration(result.canvas, back, result.similarity, result.brightness)

    def _measure(
        self, lock: _Lock, result: Registration, gray: Gray, time: float, step: float
    ) -> None:
        motion = lock.template.cell_motion(result.canvas)
        eye = lock.template.eye_change(result.canvas)
        displacement = motion / np.float32(lock.layout.resolution) + lock.offset
        transform = compose(result.canvas_to_image, lock.layout.from_unit)
        light, match = result.brightness, result.similarity
        self.canvas = result.canvas
        self._row = FaceRow(time, lock.segment, displacement, eye, light, match, transform)
        width = float(scale_of(result.canvas_to_image)) * lock.layout.size
        self._area[lock.segment] += width**2 * max(step, 1e-6)
        lock.eyes.append((time, eye))
        while time - lock.eyes[0][0] > 2.0:
            lock.eyes.popleft()
        lock.recent.append((time, result.canvas, displacement))
        while len(lock.recent) > 1 and time - lock.recent[0][0] >= self.config.average:
            lock.recent.popleft()
        self._renew(lock, gray, time, result.similarity)

    def _renew(self, lock: _Lock, gray: Gray, time: float, similarity: float) -> None:
        """Replace the template by the mean of the last frames, in a quiet moment."""
        first = lock.renewed == lock.started
        age = time - lock.renewed
        # The very first template is one noisy frame: replace it as soon as an average exists.
        due = 2 * self.config.average if first else self.config.renew_interval
        if similarity < 0.9:
            due = min(due, 0.25)  # the head has turned: an old template misleads
        if age < due:
            return
        levels = [level for _, level in lock.eyes]
        lately = [level for seen, level in lock.eyes if time - seen <= 0.25]
        quiet = max(lately) <= 2.0 * float(np.median(levels)) + 0.02
        if not quiet and age < due + 1.0:
            return
        turned = self._register(lock, gray, 0.0, affine=True) if quiet else None
        if turned is not None and turned.similarity < similarity:
            turned = None
        _rebuild(lock, time, None if turned is None else turned.canvas_to_image)

    def _check(self, lock: _Lock, gray: Gray, time: float) -> None:
        """Let the detector confirm the face, and count others."""
        lock.checked = time
        gray = np.ascontiguousarray(gray)  # as libraries of landmarks want it
        transform = compose(lock.canvas_to_image, lock.layout.from_unit)
        expected = apply_affine(transform, lock.layout.landmarks)
        here = landmark_box(expected)
        boxes = self._detect(gray, here)
        mine = [box for box in boxes if overlap(box, here) > 0.2]
        others = [box for box in boxes if overlap(box, here) <= 0.2]
        self._others = sorted([*self._others, len(others)], reverse=True)[:2]
        if not mine:
            lock.failed_checks += 1
            if lock.failed_checks >= 3:
                self._lock = None
            return
        lock.failed_checks = 0
        points = self._backend.landmarks(gray, mine[0])
        seen = apply_affine(invert_affine(transform), points)
        error = np.linalg.norm(seen[RIGID] - lock.layout.landmarks[RIGID], axis=1).mean()
        if error > self.config.max_landmark_error or self._elsewhere(gray, time, mine[0], others):
            self._release()
        elif error > self.config.anchor_error:
            # Turns of the head add up to a misplaced face: put it back, displacement goes on.
            moved = compose(transform, fit_affine(lock.layout.landmarks[RIGID], seen[RIGID]))
            to_unit = canvas_to_unit(lock.layout.resolution)
            _rebuild(lock, time, compose(moved, to_unit))

    def _elsewhere(self, gray: Gray, time: float, mine: Box, others: list[Box]) -> bool:
        """Whether another face is to be followed: a much larger one, or the one wanted."""
        if self._wanted is None:
            return any(box_area(box) > 2 * box_area(mine) for box in others)
        return not self._wanted.is_at(mine, gray, time)

    def _detect(self, gray: Gray, around: Box | None = None) -> list[Box]:
        """Boxes of all faces, at the first scale that finds one; for a check, at one fine scale."""
        longest = max(gray.shape)
        sides = [side for side in self.config.long_sides if side <= 2 * longest]
        if around is not None:
            # Where the known face shows with some 100 pixels, and smaller ones beside it too.
            width = max(around[2] - around[0], 1.0)
            enough = [side for side in sides if side >= 640 and side * width / longest >= 100]
            sides = enough[:1] or sides[-1:]
        elif self._searches % 3:
            sides = sides[:2]
        for side in sides:
            boxes = self._backend.detect(gray, side)
            if boxes:
                return boxes
        return []

    def _search(self, gray: Gray, time: float) -> None:
        """Look for a face and lock on to the largest."""
        if time - self._searched < self.config.search_interval:
            return
        self._searched = time
        gray = np.ascontiguousarray(gray)  # as in `_check`
        landmarks = self._locate(gray, time)
        lock = None if landmarks is None else self._lock_on(gray, landmarks, time)
        result = None if lock is None else self._register(lock, gray, 0.0)
        self._lock = None if result is None else lock
        if lock is not None and result is not None:
            self._measure(lock, result, gray, time, 0.0)

    def _locate(self, gray: Gray, time: float) -> NDArray[np.float64] | None:
        """(68, 2) landmarks of the face to lock on to, None where there is none."""
        if self._wanted is not None:
            face = self._wanted.find(gray, time)
            return None if face is None else face.landmarks
        boxes = self._detect(gray)
        self._searches = 0 if boxes else self._searches + 1
        return self._backend.landmarks(gray, boxes[0]) if boxes else None

    def _lock_on(self, gray: Gray, landmarks: NDArray[np.float64], time: float) -> _Lock | None:
        try:
            transform = canonical_to_image(landmarks)
        except ValueError:
            return None  # a degenerate shape is no face
        if np.linalg.det(transform[:, :2]) <= 0:
            return None
        resolution = self.config.resolution
        layout = face_layout(apply_affine(invert_affine(transform), landmarks), resolution)
        if len(layout.rigid) < 200:
            return None
        canvas_to_image = compose(transform, canvas_to_unit(resolution))
        reduction = max(1, int(scale_of(canvas_to_image)))
        image, to_reduced = reduce_face(gray, canvas_to_image, layout.size, reduction)
        if image is None:
            return None
        picture = Template.picture(image, compose(to_reduced, canvas_to_image), layout)
        segment = self._segments
        self._segments += 1
        self._forget()
        self._person[segment] = 0 if self._wanted else self._identity.identify(gray, landmarks)
        self._area[segment] = 0.0
        self._landmarks[segment] = layout.landmarks
        return _Lock(
            segment,
            layout,
            Template(picture, layout),
            canvas_to_image,
            reduction,
            started=time,
            renewed=time,
            checked=-np.inf,  # the next frame counts others beside this face
            matched=time,
        )

    def _forget(self) -> None:
        """Fold stretches of which no row is kept into the sums, or days would fill the memory."""
        first = self._log.first_segment()
        for segment in [s for s in self._person if s < first]:
            person = self._person.pop(segment)
            self._past[person] = self._past.get(person, 0.0) + self._area.pop(segment)
            del self._landmarks[segment]


def _rebuild(lock: _Lock, time: float, canvas_to_image: NDArray[np.float64] | None) -> None:
    """Make the last frames' mean the template; displacement goes on from where it is.
    ``canvas_to_image``: (2, 3) where the face lies from now on; None leaves it."""
    if not lock.recent:
        return
    picture = np.stack([canvas for _, canvas, _ in lock.recent]).mean(0, dtype=np.float32)
    lock.offset = np.stack([moved for _, _, moved in lock.recent]).mean(0)
    if canvas_to_image is not None:
        change = compose(invert_affine(lock.canvas_to_image), canvas_to_image)
        size = lock.layout.size
        picture = warp(picture, change, (size, size)).astype(np.float32)
        lock.canvas_to_image = canvas_to_image
        lock.recent.clear()
    lock.template = Template(picture, lock.layout)
    lock.renewed = time
