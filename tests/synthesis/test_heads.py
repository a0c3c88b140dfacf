"""Rendered heads: what the truth says is what the pixels do, in three dimensions too."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import shift as spline_shift

from micromimic.core.canonical import apply_affine
from micromimic.core.errors import InputError, MissingExtraError
from micromimic.face.landmarks import DlibLandmarks, box_area
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.actors.head.landmarks import head_landmarks
from micromimic.synthesis.actors.head.raster import Camera, Points, Window, look, rasterise
from micromimic.synthesis.clips import (
    PEOPLE,
    ClipOptions,
    clip_options,
    render,
    scene_of,
    synth_clips,
)
from micromimic.synthesis.recipes import Recipe
from micromimic.synthesis.schedule import BlinkEvent, clip_of_kind, plan_clip
from micromimic.synthesis.speech import SpeechSpan, Viseme
from micromimic.synthesis.truth import read_truth, tracks_of

from .test_clips import STILL as PHOTO_STILL

STILL = replace(PHOTO_STILL, fps=25.0, width=320, height=240, face_px=225.0)
"""Only the planted movement."""
RESTING = replace(STILL, events_per_minute=0.0)
needs_heads = pytest.mark.needs("faces3d")
RIGHT_EYE, INNER_LIPS = slice(36, 42), slice(60, 68)


@pytest.fixture(scope="module")
def head():
    pytest.importorskip("anny")
    from micromimic.synthesis.actors.head.moving import make_head

    return make_head(21, STILL)


def showing(plan, *units):
    """The plan with its only movement showing these units."""
    weights = np.array([name.rstrip("LR") in units for name in UNIT_NAMES], np.float32)
    recipe = Recipe("positive", units, weights)
    return replace(plan, movements=(replace(plan.movements[0], recipe=recipe),))


def opening(points):
    """Height over width of six or eight points of a slit, ends at 0 and the middle."""
    half = len(points) // 2
    across = np.hypot(*(points[half] - points[0]))
    return np.ptp(points[[1, half - 1, half + 1, -1], 1]) / across


def square(depth, side):
    corners = np.array([[-side, side], [side, side], [side, -side], [-side, -side]]) + 20.0
    return corners.astype(float), np.full(4, float(depth))


needs_opencv_5 = pytest.mark.skipif(not hasattr(cv2, "triangleRasterize"), reason="needs OpenCV 5")


@needs_opencv_5
@pytest.mark.parametrize("fine", [(1, 1), (3, 2)])
def test_raster_puts_samples_where_they_belong(fine):
    image, depth = square(50.0, 9.3)
    depth = depth + np.array([0.0, 12.0, 5.0, -8.0])
    values = np.column_stack([image, np.ones(4)]) / 1.0
    triangles = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    window = Window(4, 6, 30, 28, fine)
    # affine in the picture means divided by depth in perspective
    found, seen = rasterise(
        Points(image, np.full(4, 50.0)), triangles, values.astype(np.float32), window
    )
    rows, columns = np.nonzero(seen)
    centres = (np.column_stack([columns, rows]) + 0.5) / fine - 0.5 + (4, 6)
    assert np.abs(found[rows, columns, :2] - centres).max() < 0.02
    inside = np.abs(centres - 20.0).max(1)
    assert inside.max() < 9.4
    assert len(rows) == pytest.approx(18.6**2 * fine[0] * fine[1], rel=0.05)


@needs_opencv_5
def test_nearer_triangles_hide_farther_ones():
    far, near = square(60.0, 10.0), square(40.0, 4.0)
    points = Points(np.concatenate([near[0], far[0]]), np.concatenate([near[1], far[1]]))
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]], np.int32)
    values = np.repeat([[1.0, 0, 0], [2.0, 0, 0]], 4, axis=0).astype(np.float32)
    for order in (triangles, triangles[::-1].copy()):
        found, _ = rasterise(points, order, values, Window(0, 0, 40, 40))
        assert found[20, 20, 0] == pytest.approx(1.0, abs=1e-4)
        assert found[20, 28, 0] == pytest.approx(2.0, abs=1e-4)
        assert found[20, 35, 0] == 0.0


def test_a_pixel_sees_the_triangle_that_covers_it():
    square = np.array([[-9.0, -9], [-9, 9], [9, 9], [9, -9]])
    seen = look(square, np.zeros(4), np.array([[0, 1, 2], [0, 2, 3]]), (4, 6))
    assert len(seen.rows) == 24
    assert np.abs(seen.values(square) - np.column_stack([seen.columns, seen.rows])).max() < 1e-9


def test_camera_moves_what_is_near_more():
    camera = Camera(8.0, (100.0, 80.0), 250.0)
    nose, ear = np.array([[0.0, 0.0, 11.0]]), np.array([[0.0, 0.0, -5.0]])
    for yaw, pitch, axis in ((0.02, 0.0, 0), (0.0, 0.02, 1)):
        shifts = [
            (
                camera.project(point, yaw, pitch, np.eye(2, 3)).image
                - camera.project(point, 0.0, 0.0, np.eye(2, 3)).image
            )[0, axis]
            for point in (nose, ear)
        ]
        assert shifts[0] == pytest.approx(8 * 8 * 0.02 * 250 / 239, rel=0.02)
        assert shifts[1] < 0


def test_an_older_opencv_is_named(monkeypatch):
    monkeypatch.delattr(cv2, "triangleRasterize", raising=False)
    image, depth = square(50.0, 9.0)
    triangles, values = np.array([[0, 1, 2]], np.int32), np.zeros((4, 3), np.float32)
    with pytest.raises(MissingExtraError, match="expected OpenCV 5"):
        rasterise(Points(image, depth), triangles, values, Window(0, 0, 40, 40))


@needs_heads
def test_same_plan_same_bytes(head):
    from micromimic.synthesis.actors.head.moving import make_head

    plan = plan_clip(replace(STILL, noise_sd=2.0, drift_px=3.0, yaw_px=2.0), 3)
    first = list(render(plan, actor=head, frames=range(20, 23)))
    again = list(render(plan, actor=make_head(21, STILL), frames=range(20, 23)))
    other = next(render(plan, actor=make_head(22, STILL), frames=range(20, 21)))
    assert first[0].shape == (240, 320) and first[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert np.abs(first[0].astype(float) - other).mean() > 5


@needs_heads
def test_pixels_move_as_planted(head):
    plan = showing(plan_clip(STILL, 2), "6", "12")
    scene = scene_of(plan, head)
    field = scene.field(0)
    assert field.shape == (120, 160, 2)
    assert np.hypot(field[..., 0], field[..., 1]).max() == pytest.approx(2.0, rel=0.06)
    move = plan.micro[0]
    rest, apex = (
        np.clip(scene.picture(time), 0, 255).astype(np.uint8) for time in (0.0, move.apex)
    )
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(rest, apex, None)
    seen = cv2.resize(cv2.GaussianBlur(flow, (0, 0), 2), None, fx=0.5, fy=0.5)
    face = np.s_[35:105, 50:110]
    assert np.corrcoef(seen[face].ravel(), field[face].ravel())[0, 1] > 0.95
    strong = np.hypot(field[..., 0], field[..., 1]) > 0.7
    assert 0.6 < (seen * field)[strong].sum() / (field**2)[strong].sum() < 1.2


def shift_between(first, second):
    """(x, y) by which a patch has moved, by least squares on exactly resampled patches."""
    found = np.zeros(2)
    for _ in range(6):
        back = spline_shift(second, -found[::-1], order=5)
        inner = np.s_[6:-6, 6:-6]
        down, right = (slope[inner].ravel() for slope in np.gradient((first + back) / 2))
        error = (first - back)[inner].ravel()
        found += np.linalg.lstsq(-np.column_stack([right, down]), -error, rcond=None)[0]
    return found


@needs_heads
@pytest.mark.parametrize("move", [(0.3, 0.0), (0.5, 0.25), (0.0, 0.7)])
def test_all_of_the_face_moves_by_parts_of_a_pixel(head, move):
    scene = scene_of(plan_clip(RESTING, 0), head)
    still = scene.picture(0.0).astype(np.float64)
    pose = np.column_stack([np.eye(2), move])
    scene.pose.matrix = lambda time: pose
    moved = scene.picture(0.0).astype(np.float64)
    marks = scene.points(head_landmarks().of(head.shape.rest), 0.0).image
    for places in ([19, 21], [22, 24], [30, 31, 35], [36, 39], [42, 45], [48, 54]):
        (left, top), (right, bottom) = marks[places].min(0) - 10, marks[places].max(0) + 10
        patch = np.s_[round(top) : round(bottom), round(left) : round(right)]
        assert np.abs(shift_between(still[patch], moved[patch]) - move).max() < 0.03


@needs_heads
def test_nothing_moves_but_what_is_planted(head):
    plan = plan_clip(STILL, 2)
    scene = scene_of(plan, head)
    before, after = plan.micro[0].onset, plan.micro[0].offset
    first = scene.picture(0.0)
    assert np.array_equal(scene.picture(before - 0.01), first)
    assert np.array_equal(scene.picture(after + 0.01), first)
    assert np.abs(scene.picture((before + after) / 2) - first).max() > 5


@needs_heads
def test_lids_close_and_open(head):
    plan = replace(plan_clip(RESTING, 0), blinks=(BlinkEvent(1.0, 1.4),))
    tracks = tracks_of(scene_of(plan, head))
    eyes = np.array([opening(points[RIGHT_EYE]) for points in tracks.landmarks])
    assert eyes[0] > 0.18
    shut = int(tracks.closure.argmax())
    assert tracks.closure[shut] == 1.0 and eyes[shut] < 0.5 * eyes[0]
    assert np.argmin(eyes) == pytest.approx(shut, abs=2)
    assert eyes[-1] == pytest.approx(eyes[0])
    scene = scene_of(plan, head)
    open_, closed = scene.picture(0.0), scene.picture(shut / plan.config.fps)
    # an open eye has a white, an iris and a pupil; a closed one is skin
    low, high = tracks.landmarks[0][RIGHT_EYE].min(0), tracks.landmarks[0][RIGHT_EYE].max(0)
    middle = int(low[0] + high[0]) // 2
    box = np.s_[int(low[1]) + 1 : int(high[1] + low[1]) // 2 + 1, middle - 4 : middle + 5]
    assert open_[box].std() > 2.5 * closed[box].std()
    mouth = np.s_[160:200, 130:190]
    assert np.array_equal(open_[mouth], closed[mouth])


@needs_heads
def test_lips_part_and_show_the_inside(head):
    word = (
        Viseme(1.0, "", ()),
        Viseme(1.4, "a", (("26", 12.0), ("25", 3.0))),
        Viseme(1.8, "", ()),
    )
    plan = replace(plan_clip(RESTING, 0), speech=(SpeechSpan(word),))
    tracks = tracks_of(scene_of(plan, head))
    spoken = round(1.4 * plan.config.fps)
    gaps = np.ptp(tracks.landmarks[:, INNER_LIPS][:, [2, 6], 1], axis=1)
    assert gaps[0] < 2.5 and gaps[spoken] > 7.0
    assert tracks.units[spoken, UNIT_NAMES.index("26")] == pytest.approx(12.0)
    upper, lower = (tracks.landmarks[spoken, number] for number in (62, 66))
    between = np.s_[round(upper[1]) + 1 : round(lower[1]), round(upper[0])]
    scene = scene_of(plan, head)
    closed, said = scene.picture(0.0), scene.picture(1.4)
    # where there was lip and chin there is the dark of the mouth now
    assert said[between].min() < 0.5 * closed[between].min()
    assert np.abs(said - closed)[:60].max() < 0.01  # brows do not speak


@needs_heads
def test_the_head_turns_in_depth(head):
    plan = plan_clip(replace(RESTING, seconds=8.0, yaw_px=8.0), 4)
    tracks = tracks_of(scene_of(plan, head))
    nose = tracks.landmarks[:, 30, 0] - tracks.landmarks[:, 27, 0]
    a, b = int(nose.argmin()), int(nose.argmax())
    moved = tracks.landmarks[b] - tracks.landmarks[a]
    assert moved[30, 0] > 1.0 > moved[0, 0]  # towards one side; the ear, less or back
    scene = scene_of(plan, head)
    pictures = [
        np.clip(scene.picture(n / plan.config.fps), 0, 255).astype(np.uint8) for n in (a, b)
    ]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*pictures, None)
    inner = [*range(17, 48), 51, 57]
    places = tracks.landmarks[a][inner]
    seen = cv2.remap(flow, places[None], None, cv2.INTER_LINEAR)[0]
    assert np.median(np.abs(seen - moved[inner])) < 0.5


@needs_heads
def test_landmarks_and_pose_agree_with_a_detector(head):
    tracks = tracks_of(scene_of(plan_clip(replace(RESTING, seconds=2.0), 0), head))
    still = np.clip(scene_of(plan_clip(RESTING, 0), head).picture(0.0), 0, 255).astype(np.uint8)
    backend = DlibLandmarks()
    found = backend.landmarks(still, max(backend.detect(still, 320), key=box_area))
    far = np.hypot(*(found - tracks.landmarks[0]).T)
    eyes = np.hypot(*(found[36] - found[45]))
    assert far.mean() < 0.06 * eyes
    mouth = apply_affine(tracks.poses[0], np.array([13.4, 20.3]))
    assert np.hypot(*(mouth - found[[48, 54, 60, 64]].mean(0))) < 0.06 * eyes


@needs_heads
def test_heads_and_plans_must_go_together(head):
    from micromimic.synthesis.actors.head.moving import Studio

    for change in ({"face_px": 300.0}, {"colour": True}, {"second_face": 0.5}):
        plan = plan_clip(replace(STILL, **change), 0)
        with pytest.raises(InputError, match=r"^expected [^\n]*, got [^\n]*; "):
            next(render(plan, actor=head))
    with pytest.raises(ValueError, match="expected a distance"):
        Studio(distance=10.0)


@needs_heads
def test_an_absent_person_is_not_there(head):
    plan = plan_clip(replace(RESTING, absent=((1.0, 2.0),)), 0)
    scene = scene_of(plan, head)
    there, gone = scene.picture(0.5), scene.picture(1.5)
    assert there.std() > 20 > gone.std()
    tracks = tracks_of(scene_of(plan, head))
    assert np.isnan(tracks.landmarks[30]).all() and np.isfinite(tracks.landmarks[60]).all()


def test_photographed_landmarks_follow_the_pixels():
    config = replace(STILL, width=640, height=480, face_px=450.0, drift_px=4.0, seconds=2.5)
    plan = replace(showing(plan_clip(config, 1), "1", "2"), blinks=(BlinkEvent(0.2, 0.5),))
    tracks = tracks_of(scene_of(plan))
    assert tracks.landmarks.shape == (62, 68, 2) and tracks.flows.shape == (1, 240, 320, 2)
    move = plan.micro[0]
    still = np.round(apply_affine(tracks.poses[0], np.array([[5.9, 6.6], [20.9, 6.6]])), 1)
    eyes = tracks.landmarks[0, 36:48].reshape(2, 6, 2).mean(1)
    assert np.abs(still - eyes).max() < 6
    apex = round(move.apex * config.fps)
    wave = tracks.units[apex] / move.envelope(apex / config.fps)
    acting = {UNIT_NAMES[i].rstrip("LR") for i in np.flatnonzero(wave > 0.4)}
    assert acting <= {unit.lstrip("LR") for unit in move.recipe.action_units}
    lids = np.array([opening(points[RIGHT_EYE]) for points in tracks.landmarks])
    assert lids[int(tracks.closure.argmax())] < 0.6 * lids[0]
    # a landmark of the brow goes where the planted field and the pose take it
    rest = tracks.landmarks[0, 19] - tracks.poses[0][:, 2]
    moved = tracks.landmarks[apex, 19] - tracks.poses[apex][:, 2]
    assert np.hypot(*(moved - rest)) <= 2.3


def test_tracks_are_read_as_written(tmp_path):
    plan = plan_clip(replace(RESTING, seconds=2.0, width=640, height=480, face_px=450.0), 0)
    tracks = tracks_of(scene_of(plan))
    assert tracks.flows.shape == (0, 240, 320, 2)
    tracks.save(tmp_path / "clip.npz")
    with np.load(tmp_path / "clip.npz") as again:
        assert tuple(again["names"]) == UNIT_NAMES
        for name in ("landmarks", "poses", "closure", "units", "flows"):
            assert np.array_equal(again[name], getattr(tracks, name))


@needs_heads
def test_synth_clips_of_rendered_people(tmp_path):
    options = ClipOptions(kind="macro", actor="mesh", blinks=30.0, crf=20, arrays=True)
    truths = synth_clips(
        tmp_path / "out", count=1, seconds=4.0, fps=5.0, peak=1.0, seed=5, options=options
    )
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["clip_001.mp4", "clip_001.npz", "truth.json"]
    truth = truths[0]
    assert read_truth(tmp_path / "out" / "truth.json") == truths
    assert truth.actor == "mesh" and truth.identity == truth.seed % PEOPLE
    assert not truth.events and len(truth.expressions) == len(truth.macros) == 1
    assert truth.expressions[0].action_units
    with np.load(tmp_path / "out" / truth.arrays) as tracks:
        assert len(tracks["landmarks"]) == truth.frames == 20
    clip = json.loads((tmp_path / "out" / "truth.json").read_text())["clips"][0]
    assert len(clip["blinks"]) == 2 and clip["speech"] == []


def test_speech_and_kind_are_in_the_truth(tmp_path):
    options = clip_options(kind="speaking", blinks=0.0)
    (truth,) = synth_clips(
        tmp_path / "out", count=1, seconds=8.0, fps=5.0, peak=1.0, seed=1, options=options
    )
    plan = plan_clip(
        clip_of_kind("speaking", seconds=8.0, fps=5.0, blinks_per_minute=0.0), truth.seed
    )
    assert len(truth.speech) == len(plan.speech) > 0
    assert truth.speech[0][0] == round(plan.speech[0].start * 5)


@pytest.mark.parametrize(
    "wrong", [{"kind": "sleeping"}, {"actor": "robot"}, {"crf": 0}, {"blinks": -1.0}]
)
def test_options_are_checked(wrong):
    with pytest.raises(InputError, match=r"^expected [^\n]*, got [^\n]*; see micromimic synth"):
        clip_options(**wrong)
