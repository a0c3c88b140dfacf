"""Cells, registration and tracking, against planted truth."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from micromimic.core.canonical import (
    anchor_points,
    apply_affine,
    canonical_to_image,
    canvas_to_unit,
    compose,
    invert_affine,
)
from micromimic.core.labels import CELLS
from micromimic.face.align import Template, face_layout, reduce_face, warp
from micromimic.face.cells import cell_boxes, cell_pixels
from micromimic.face.identity import SAME_PERSON, FaceIdentity
from micromimic.face.landmarks import DlibLandmarks
from micromimic.face.people import FaceFinder
from micromimic.face.tracking import CutWatch, FaceTracker
from micromimic.motion.apex import locate, to_gray
from micromimic.synthesis.clips import ClipConfig, plan_clip, render


@pytest.fixture(scope="module")
def backend():
    return DlibLandmarks()


@pytest.fixture(scope="module")
def portrait(backend):
    """A grey picture three times the astronaut's face, and its landmarks."""
    import cv2

    gray = to_gray(skimage.data.astronaut())[20:200, 120:330]
    gray = cv2.resize(gray, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return gray, backend.landmarks(gray, backend.detect(gray, 420)[0])


def test_canonical_map_takes_anchors_to_their_places(portrait):
    _, landmarks = portrait
    units = apply_affine(invert_affine(canonical_to_image(landmarks)), anchor_points(landmarks))
    np.testing.assert_allclose(units, [(5.9, 6.6), (20.9, 6.6), (13.4, 20.3)], atol=1e-9)


def test_cells_follow_the_definition(portrait):
    _, landmarks = portrait
    boxes = dict(zip(CELLS, cell_boxes(landmarks), strict=True))
    side = np.linalg.norm(landmarks[54] - landmarks[48]) / 2
    for box in boxes.values():
        np.testing.assert_allclose(box[2:] - box[:2], side)
    centre = {name: (box[:2] + box[2:]) / 2 for name, box in boxes.items()}
    np.testing.assert_allclose(centre["mouth_corner_right"], landmarks[48])
    np.testing.assert_allclose(centre["mouth_corner_left"], landmarks[54])
    assert boxes["chin"][3] == pytest.approx(landmarks[8][1])
    np.testing.assert_allclose(centre["nose_wing_left"], centre["mouth_corner_left"] - [0, side])
    assert boxes["outer_eye_right"][2] == pytest.approx(landmarks[36][0])
    assert boxes["outer_eye_left"][0] == pytest.approx(landmarks[45][0])
    np.testing.assert_allclose(centre["brow_left"] - centre["brow_centre"], [side, 0])
    assert centre["brow_right"][0] < centre["brow_left"][0]


def test_cell_pixels_stay_inside_the_canvas():
    boxes = np.array([[-5.0, -5, 5, 5], [95, 95, 105, 105], [40, 40, 50, 50]])
    pixels = cell_pixels(boxes, 100)
    assert pixels.shape == (3, 100)
    assert pixels.min() >= 0 and pixels.max() < 100 * 100
    assert pixels[2, 0] == 40 * 100 + 40


def _locked(portrait):
    gray, landmarks = portrait
    transform = canonical_to_image(landmarks)
    layout = face_layout(apply_affine(invert_affine(transform), landmarks), 4.0)
    matrix = compose(transform, canvas_to_unit(4.0))
    return gray, layout, matrix, Template(Template.picture(gray, matrix, layout), layout)


def test_registration_recovers_a_small_affine_motion_and_ignores_light(portrait):
    import cv2

    gray, _, matrix, template = _locked(portrait)
    angle = np.deg2rad(1.2)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * 1.01
    centre = np.array([200.0, 180.0])
    motion = np.column_stack([turn, centre - turn @ centre + [1.3, -0.8]])
    moved = cv2.warpAffine(gray, motion, gray.shape[::-1], flags=cv2.INTER_CUBIC)
    moved = np.clip(moved * 0.9 + 8, 0, 255).astype(np.uint8)
    result = template.register(moved, matrix, 10)
    face = np.array([[40.0, 40], [128, 40], [84, 110], [60, 80], [110, 80]])
    expected = apply_affine(motion, apply_affine(matrix, face))
    error = np.linalg.norm(apply_affine(result.canvas_to_image, face) - expected, axis=1)
    assert error.max() < 0.12
    assert result.similarity > 0.99


@pytest.mark.parametrize("shift", [(0.3, 0.0), (0.0, -0.25), (0.12, 0.08)])
def test_cell_motion_measures_subpixel_shifts(portrait, shift):
    gray, layout, matrix, template = _locked(portrait)
    shifted = matrix.copy()
    shifted[:, 2] -= matrix[:, :2] @ np.array(shift)
    canvas = warp(gray, shifted, (layout.size, layout.size))
    motion = template.cell_motion(canvas)
    np.testing.assert_allclose(np.median(motion, axis=0), shift, atol=0.05)


def test_coarse_shift_finds_a_jump(portrait):
    gray, layout, matrix, template = _locked(portrait)
    jump = compose(matrix, np.array([[1.0, 0, -9], [0, 1.0, 6]]))
    shift = template.coarse_shift(warp(gray, jump, (layout.size, layout.size)))
    np.testing.assert_allclose(shift[:, 2], [9, -6], atol=1.0)


def test_reduced_face_keeps_coordinates(portrait):
    gray, landmarks = portrait
    matrix = compose(canonical_to_image(landmarks), canvas_to_unit(2.0))
    small, to_small = reduce_face(gray, matrix, 84, 2)
    direct = warp(gray, matrix, (84, 84)).astype(float)
    through = warp(small, compose(to_small, matrix), (84, 84)).astype(float)
    assert np.abs(direct - through)[10:-10, 10:-10].mean() < 6
    assert np.corrcoef(direct.ravel(), through.ravel())[0, 1] > 0.985


def _track(config, seed, backend, keep=lambda i: True):
    tracker = FaceTracker(backend=backend)
    for i, frame in enumerate(render(plan_clip(config, seed))):
        if keep(i):
            tracker.update(frame, i / config.fps)
    return tracker.finish()


CALM = {
    "seconds": 3.0, "fps": 50.0, "macros_per_minute": 0, "blinks_per_minute": 0,
    "head_moves_per_minute": 0, "events_per_minute": 0,
}  # fmt: skip


def test_rigid_parts_alone_are_what_the_canvas_shows_there(portrait):
    gray, layout, matrix, template = _locked(portrait)
    turned = matrix + np.array([[0.011, -0.02, 1.3], [0.02, 0.011, -2.7]])
    whole = warp(gray, turned, (layout.size, layout.size)).take(layout.rigid).astype(int)
    apart = np.abs(template._rigid_pixels(gray, turned) - whole)
    assert apart.max() <= 1  # rounded the other way
    assert (apart > 0).mean() < 0.001


def test_tracking_follows_the_drifting_head(backend):
    config = ClipConfig(**CALM)
    signals = _track(config, 4, backend)
    assert signals.found.all()
    assert signals.others_seen == 0
    assert len(np.unique(signals.segments)) == 1
    assert 110 < np.median(signals.interocular()) < 145
    # Landmark jitter must not reach the signal: a still face stays still to 0.05 px.
    moved = signals.displacement * signals.pixels_per_unit()[:, None, None]
    noise = np.abs(np.diff(moved, axis=0))
    assert np.median(noise) < 0.05
    track = signals.track()
    assert track.landmarks.shape == (150, 68, 2)
    assert np.isfinite(track.boxes).all()


def test_no_template_holds_a_closing_lid(backend):
    """A template renewed in mid blink hid the blinks after it."""
    config = ClipConfig(**{**CALM, "seconds": 10.0, "blinks_per_minute": 60.0})
    plan = plan_clip(config, 7)
    signals = _track(config, 7, backend)
    times = signals.times
    lids = np.zeros(len(times), bool)
    for blink in plan.blinks:
        lids |= (times > blink.start - 0.05) & (times < blink.end + 0.05)
    assert len(plan.blinks) >= 8
    assert np.median(signals.eye_change[~lids]) < 0.1
    assert signals.eye_change[~lids].max() < 0.25
    for blink in plan.blinks:
        during = (times > blink.start) & (times < blink.end)
        assert signals.eye_change[during].max() > 0.3


def test_a_misplaced_face_is_put_back_at_the_next_check(backend):
    config = ClipConfig(**CALM)
    tracker = FaceTracker(backend=backend)
    frames = list(render(plan_clip(config, 8)))
    for i, frame in enumerate(frames):
        if i == 60:  # as turns of the head would, by 1.5 units
            lock = tracker._lock
            lock.canvas_to_image[:, 2] += lock.canvas_to_image[:, :2] @ [6.0, 0.0]
            picture = warp(frame, lock.canvas_to_image, 2 * (lock.layout.size,))
            lock.template = Template(picture.astype(np.float32), lock.layout)
        tracker.update(frame, i / config.fps)
    signals = tracker.finish()
    shift = signals.transform[:, 0, 2] / signals.pixels_per_unit()
    assert abs(shift[70] - shift[50]) > 1.2, "the face was misplaced"
    assert abs(shift[-1] - shift[50]) < 0.4, "and put back"
    assert len(np.unique(signals.segments)) == 1
    moved = np.abs(np.diff(signals.displacement, axis=0)).max(axis=(1, 2))
    assert moved[105:].max() < 0.1, "without a jump in displacement"


def test_an_absent_face_is_a_gap_and_the_same_person_returns(backend):
    config = ClipConfig(**CALM, absent=((1.0, 1.8),))
    signals = _track(config, 5, backend)
    times = signals.times
    gone = (times >= 1.05) & (times < 1.78)
    assert not signals.found[gone].any()
    assert signals.found[times < 0.99].all()
    assert signals.found[times > 2.2].all()
    assert signals.others_seen == 0, "the returning face is the same person"
    assert np.isnan(signals.displacement[gone]).all()


def test_the_larger_of_two_faces_is_followed_and_the_other_counted(backend):
    config = ClipConfig(**CALM, second_face=0.55, face_px=300.0, face_x=0.35)
    signals = _track(config, 6, backend)
    assert signals.found.mean() > 0.95
    assert signals.others_seen == 1
    # 300 px of face crop put the eyes 86 px apart.
    assert 72 < np.median(signals.interocular()) < 100


def framed(frame, zoom, right):
    """The same scene by another camera."""
    import cv2

    height, width = frame.shape
    away = [(1 - zoom) * width / 2 + right, (1 - zoom) * height / 2]
    matrix = np.array([[zoom, 0, away[0]], [0, zoom, away[1]]])
    return cv2.warpAffine(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)


@pytest.mark.parametrize(
    "other",
    [lambda g: framed(g, 1.4, 30), lambda g: framed(g, 1.1, 20), lambda g: g[:, ::-1].copy()],
    ids=["closer", "beside", "mirrored"],
)
def test_a_cut_ends_a_stretch(backend, other):
    """A jump that registration could follow, too, and one after which it coasted."""
    frames = list(render(plan_clip(ClipConfig(**CALM), 4)))
    tracker = FaceTracker(backend=backend)
    for i, frame in enumerate(frames):
        tracker.update(other(frame) if 50 <= i < 100 else frame, i / 50)
    signals = tracker.finish()
    assert signals.found.all(), "looked up anew at once"
    assert np.flatnonzero(np.diff(signals.segments)).tolist() == [49, 99]
    assert signals.others_seen == 0


def test_what_is_no_cut(backend, portrait):
    """Light that comes and goes, a quick turn, a hand: they are in one scene."""
    config = ClipConfig(**{**CALM, "head_moves_per_minute": 20.0})
    watch = CutWatch()
    for i, frame in enumerate(render(plan_clip(config, 4))):
        dim = 0.6 if 30 <= i < 60 else 1.0
        assert not watch.add((dim * frame).astype(np.uint8)), i
    rng = np.random.default_rng(1)
    watch = CutWatch()
    for i in range(60):
        shaken = framed(portrait[0], 1.0, rng.normal(0, 6))
        assert not watch.add(shaken) or i < 3, "a camera that shakes"


def test_a_video_of_cuts_only(backend, monkeypatch):
    """Cuts all the time; without a face they are no reason to search more often."""
    looked = []
    monkeypatch.setattr(backend, "detect", lambda *_: looked.append(1) or [])
    rng = np.random.default_rng(3)
    watch, tracker = CutWatch(), FaceTracker(backend=backend)
    for i in range(30):
        tracker.update(rng.integers(0, 255, (120, 160), np.uint8), i / 100)
    assert len(looked) <= 3
    found = [watch.add(rng.integers(0, 255, (6, 8), np.uint8).repeat(20, 0).repeat(20, 1))
             for _ in range(30)]  # fmt: skip
    assert found == [False] + [True] * 29


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if "VmRSS" in line) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc on this system")
def test_any_number_of_backends_costs_one_model(backend, portrait):
    gray, _ = portrait
    before = resident_mb()
    many = [DlibLandmarks() for _ in range(20)]
    marks = [one.landmarks(gray, one.detect(gray, 420)[0]) for one in many]
    assert resident_mb() - before < 50  # one model takes a hundred
    assert all(np.array_equal(found, marks[0]) for found in marks)


def test_threads_may_share_a_backend(backend, portrait):
    gray, _ = portrait

    def look(side: int) -> tuple[object, bytes]:
        boxes = backend.detect(gray, side)
        return boxes, backend.landmarks(gray, boxes[0]).tobytes()

    sides = [320 + 16 * k for k in range(16)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, sides)) == [look(side) for side in sides]


def test_libraries_of_landmarks_get_pictures_in_one_piece(backend, portrait):
    """A decoder's picture, whose rows lie apart, is what tracking takes."""
    gray, _ = portrait
    wide = np.zeros((len(gray), gray.shape[1] + 24), np.uint8)
    wide[:, : gray.shape[1]] = gray
    apart = wide[:, : gray.shape[1]]
    asked = []

    class Strict:
        def detect(self, gray, long_side):
            asked.append(gray.flags.c_contiguous)
            return backend.detect(gray, long_side)

        def landmarks(self, gray, box):
            asked.append(gray.flags.c_contiguous)
            return backend.landmarks(gray, box)

    tracker = FaceTracker(backend=Strict())
    for frame in range(80):  # long enough for a check
        assert tracker.update(apart, frame / 25) is not None
    searched = len(asked)
    assert searched > 3
    assert len(FaceFinder(Strict()).faces(apart)) == 1
    assert locate(apart, Strict()).shape == (68, 2)
    assert len(asked) > searched and all(asked)


def test_nothing_is_made_at_the_first_search_of_a_thread(backend, portrait, monkeypatch):
    import dlib

    gray, _ = portrait
    made = []
    real = dlib.get_frontal_face_detector
    monkeypatch.setattr(dlib, "get_frontal_face_detector", lambda: made.append(1) or real())
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(backend.detect, gray, 420).result()
    assert made == []


def test_people_are_numbered_as_if_each_had_been_embedded_at_once(backend, portrait):
    """The first face is, when the second comes."""
    gray, points = portrait
    nobody = np.random.default_rng(0).integers(0, 255, gray.shape, np.uint8)
    identity, seen = FaceIdentity(), [gray, nobody, gray, nobody]
    found = [identity.identify(picture, points) for picture in seen]
    views = [identity.embed(picture, points) for picture in seen]
    assert np.linalg.norm(views[0] - views[1]) > SAME_PERSON
    assert found == [0, 1, 0, 1]


def test_no_face_gives_no_found_frames(backend):
    tracker = FaceTracker(backend=backend)
    rng = np.random.default_rng(0)
    for i in range(5):
        tracker.update(rng.integers(0, 255, (120, 160), dtype=np.uint8), i / 25)
    signals = tracker.finish()
    assert len(signals.times) == 5
    assert not signals.found.any()
