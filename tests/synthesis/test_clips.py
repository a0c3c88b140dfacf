"""Synthetic clips: what the truth says is what the pixels do."""

import itertools
import json
import socket
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from micromimic.core.canonical import compose, invert_affine
from micromimic.core.errors import InputError, OutputError
from micromimic.core.labels import THREE
from micromimic.media.video import open_source
from micromimic.synthesis import clips
from micromimic.synthesis.actors.face import astronaut_face, photograph
from micromimic.synthesis.actors.photo import undo_displacement
from micromimic.synthesis.clips import (
    ClipConfig,
    plan_clip,
    planted_field,
    planted_poses,
    render,
    synth_clips,
    write_clip,
)
from micromimic.synthesis.recipes import sample_recipe
from micromimic.synthesis.schedule import BlinkEvent, Movement
from micromimic.synthesis.speech import Nod
from micromimic.synthesis.truth import read_truth, truth_of

STILL = ClipConfig(
    seconds=4.0,
    fps=50.0,
    peak_px=2.0,
    macros_per_minute=0.0,
    blinks_per_minute=0.0,
    head_moves_per_minute=0.0,
    noise_sd=0.0,
    drift_px=0.0,
    drift_deg=0.0,
    yaw_px=0.0,
    sway_px=(0.0, 0.0),
    light_drift=0.0,
    flicker=0.0,
)
"""Only the planted movement."""
SMALL = ClipConfig(seconds=4.0, fps=20.0, width=320, height=240, face_px=225.0, peak_px=1.0)


def frame_list(config, seed=0):
    return list(render(plan_clip(config, seed)))


@pytest.mark.parametrize("colour", [False, True])
def test_same_seed_same_bytes(colour):
    config = replace(SMALL, colour=colour)
    first, again, other = (frame_list(config, seed) for seed in (3, 3, 4))
    assert len(first) == config.frames == 80
    assert first[0].shape == ((240, 320, 3) if colour else (240, 320))
    assert first[0].dtype == np.uint8
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_the_plan_does_not_depend_on_rate_peak_or_size():
    plan = plan_clip(ClipConfig(), 5)
    for change in ({"fps": 100.0}, {"peak_px": 0.5}, {"noise_sd": 9.0}):
        other = plan_clip(ClipConfig(**change), 5)
        assert [m.apex for m in other.movements] == [m.apex for m in plan.movements]
        assert other.blinks == plan.blinks


def test_a_minute_holds_what_the_benchmark_promises():
    for seed in range(5):
        plan = plan_clip(ClipConfig(), seed)
        truth = truth_of(plan, "clip.mp4")
        assert (len(plan.micro), len(plan.movements) - len(plan.micro)) == (15, 4)
        assert (len(plan.blinks), len(plan.head_moves)) == (12, 2)
        assert sorted(e.label for e in truth.events) == sorted(THREE.names * 5)
        for move in plan.micro:
            assert 0.1499 <= move.offset - move.onset <= 0.5001
            assert min(move.apex - move.onset, move.offset - move.apex) >= 0.0399
        spans = sorted((m.onset, m.offset) for m in plan.movements)
        assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))
        assert spans[0][0] > 0 and spans[-1][1] < 60


def test_how_far_a_movement_a_blink_and_a_nod_are():
    recipe = sample_recipe("positive", np.random.default_rng(0))
    move = Movement("micro", 1.0, 1.2, 1.2, 1.5, 1.0, recipe)
    assert [round(move.envelope(t), 3) for t in (1.0, 1.1, 1.2, 1.35, 1.5)] == [0, 0.5, 1, 0.5, 0]
    held = replace(move, hold=1.3)
    assert [round(held.envelope(t), 3) for t in (1.25, 1.3, 1.4)] == [1, 1, 0.5]
    assert [BlinkEvent(0.0, 0.2).closure(t) for t in (0.035, 0.08, 0.19)] == [0.5, 1.0, 0.1]
    nod = Nod(1.0, 1.4, 3.0)
    assert [round(nod.share(t), 3) for t in (1.0, 1.1, 1.2, 1.4)] == [0.0, 0.5, 1.0, 0.0]


def test_pixels_move_as_planted():
    plan = plan_clip(STILL, 1)
    frames = list(render(plan))
    event = truth_of(plan, "clip.mp4").events[0]
    field = planted_field(plan, 0)
    assert np.hypot(field[..., 0], field[..., 1]).max() == pytest.approx(2.0, abs=1e-4)
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(
        frames[event.onset_frame], frames[event.apex_frame], None
    )
    # flow is seen from where a point started: the same frame of reference as the planted field
    seen = cv2.resize(cv2.GaussianBlur(flow, (0, 0), 3), None, fx=0.5, fy=0.5)
    planted = field * plan.micro[0].envelope(event.apex_frame / 50.0)
    face = np.s_[60:220, 90:240]
    correlation = np.corrcoef(seen[face].ravel(), planted[face].ravel())[0, 1]
    assert correlation > 0.9
    strong = np.hypot(planted[..., 0], planted[..., 1]) > 0.7
    ratio = (seen * planted)[strong].sum() / (planted**2)[strong].sum()
    assert 0.75 < ratio < 1.15


def test_movement_starts_peaks_and_ends_when_the_truth_says():
    config = replace(STILL, fps=200.0, seconds=2.5, width=320, height=240, face_px=225.0)
    plan = plan_clip(config, 2)
    frames = np.array(list(render(plan)), dtype=np.float32)
    event = truth_of(plan, "clip.mp4").events[0]
    change = np.abs(frames - frames[0]).mean((1, 2))
    assert change[: event.onset_frame].max() == 0.0
    assert change[event.offset_frame + 1 :].max() == 0.0
    assert abs(int(change.argmax()) - event.apex_frame) <= 1
    half = (event.onset_frame + event.apex_frame) // 2
    assert 0.3 < change[half] / change.max() < 0.7


def test_inverse_warp_is_exact():
    plan = plan_clip(replace(STILL, peak_px=2.0), 1)
    field = planted_field(plan, 0)
    y, x = np.mgrid[0 : field.shape[0], 0 : field.shape[1]].astype(np.float32)
    points = np.stack([2 * x + 0.5, 2 * y + 0.5], axis=-1)
    rest = undo_displacement(points, field, 5)
    places = (rest - 0.5) / 2
    moved = np.stack(
        [
            cv2.remap(field[..., c], places[..., 0], places[..., 1], cv2.INTER_LINEAR)
            for c in (0, 1)
        ],
        axis=-1,
    )
    assert np.abs(rest + moved - points).max() < 0.005


def test_head_moves_as_posed():
    config = replace(
        STILL, drift_px=5.0, drift_deg=1.5, events_per_minute=0.0, seconds=8.0, fps=5.0
    )
    plan = plan_clip(config, 3)
    frames = list(render(plan))
    poses = planted_poses(plan)
    first, last = poses[0], poses[-1]
    back = compose(last, invert_affine(first))
    undone = cv2.warpAffine(frames[-1], back, (640, 480), flags=cv2.INTER_LINEAR + 16)
    inside = np.s_[40:-40, 40:-40]
    as_is = np.abs(frames[0].astype(float) - frames[-1])[inside].mean()
    after = np.abs(frames[0].astype(float) - undone)[inside].mean()
    assert as_is > 3.0
    assert after < 1.0


def test_light_and_noise_have_the_stated_strength():
    config = replace(
        STILL, events_per_minute=0.0, noise_sd=2.0, light_drift=0.03, seconds=17.0, fps=5.0
    )
    frames = np.array(frame_list(config), dtype=np.float32)
    light = frames.mean((1, 2)) / frames.mean()
    assert 1.02 < light.max() < 1.04 and 0.96 < light.min() < 0.98
    noise = (frames[1] / light[1] - frames[0] / light[0])[100:300, 200:400]
    assert noise.std() == pytest.approx(2.0 * np.sqrt(2), rel=0.15)


def test_blink_closes_the_eyes_and_nothing_else():
    face = astronaut_face(450)
    closed = face.blink(1.0)
    changed = np.abs(closed - face.picture) > 3.0
    rows, columns = np.nonzero(changed)
    centres = (face.anchors[:2] + 0.5) * 2 - 0.5
    near = [np.hypot(columns - x, rows - y) < 90 for x, y in centres]
    assert np.logical_or(*near).all()
    for x, y in centres.astype(int):
        pupil = face.picture[y - 6 : y + 6, x - 6 : x + 6].mean()
        assert pupil < 100
        # skin lies where the pupil was
        assert closed[y - 6 : y + 6, x - 6 : x + 6].mean() > pupil + 50
    assert np.array_equal(face.blink(0.0), face.picture)
    with pytest.raises(ValueError, match="closure must be"):
        face.blink(1.5)


def test_blinks_can_be_kept_apart():
    config = ClipConfig(seconds=20, blinks_per_minute=18, blinks_apart=True)
    for seed in range(10):
        plan = plan_clip(config, seed)
        assert len(plan.blinks) == 6
        for blink in plan.blinks:
            assert all(blink.end < m.onset or m.offset < blink.start for m in plan.movements)


def detected(frame):
    dlib = pytest.importorskip("dlib")
    return len(dlib.get_frontal_face_detector()(frame, 0))


def test_people_come_and_go():
    config = replace(STILL, fps=5.0, absent=((1.0, 2.0),))
    frames = frame_list(config)
    assert [detected(frames[i]) for i in (0, 5, 9, 10)] == [1, 0, 0, 1]


def test_a_bystander_is_a_second_face():
    config = replace(STILL, fps=5.0, seconds=2.0, face_px=300.0, face_x=0.33, second_face=0.7)
    frames = frame_list(config)
    assert detected(frames[0]) == 2


def test_no_events_and_few_frames():
    nothing = plan_clip(replace(SMALL, events_per_minute=0.0), 0)
    assert truth_of(nothing, "x.mp4").events == ()
    slow = plan_clip(replace(SMALL, fps=10.0, seconds=8.0), 0)
    truth = truth_of(slow, "x.mp4")
    assert len(truth.events) == 2 and truth.frames == 80
    assert all(e.onset_frame <= e.apex_frame <= e.offset_frame < 80 for e in truth.events)
    assert len(list(render(slow))) == 80


def test_odd_sizes_render():
    frames = frame_list(replace(SMALL, width=321, height=241, seconds=2.0))
    assert frames[0].shape == (241, 321)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seconds": 1.0}, "at least 2 s"),
        ({"fps": 2.0}, "at least 2 s at 5"),
        ({"peak_px": 0.0}, "peak above 0"),
        ({"peak_px": 40.0}, "at most 9.0 px"),
        ({"events_per_minute": 90.0}, "for each movement"),
    ],
)
def test_impossible_clips_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        ClipConfig(**change)


def test_too_many_blinks_are_refused():
    with pytest.raises(ValueError, match="room for"):
        plan_clip(ClipConfig(seconds=4.0, blinks_per_minute=600.0), 0)


def test_written_clip_is_lossless(tmp_path):
    truth = write_clip(tmp_path / "clip.mp4", SMALL, 6)
    with open_source(tmp_path / "clip.mp4") as source:
        read = [frame.gray for frame in source]
    assert truth.path == "clip.mp4" and truth.frames == len(read)
    for frame, expected in zip(read, frame_list(SMALL, 6), strict=True):
        assert np.array_equal(frame, expected)


def test_synth_clips_keeps_the_contract(tmp_path):
    calls = []
    out = tmp_path / "new" / "clips"
    truths = synth_clips(
        out, count=2, seconds=2.0, fps=25.0, peak=1.5, seed=1, progress=lambda *a: calls.append(a)
    )
    assert sorted(p.name for p in out.iterdir()) == ["clip_001.mp4", "clip_002.mp4", "truth.json"]
    content = json.loads((out / "truth.json").read_text())
    assert content["schema"] == "micromimic.truth/1"
    clip = content["clips"][0]
    assert (clip["path"], clip["fps"], clip["frames"]) == ("clip_001.mp4", 25.0, 50)
    assert set(clip["events"][0]) == {
        *("onset_frame", "apex_frame", "offset_frame"),
        *("label", "action_units", "peak_px"),
    }
    assert clip["events"][0]["peak_px"] == 1.5
    assert read_truth(out / "truth.json") == truths
    assert calls[-1] == (100, 100, "render")
    assert truths[0].events != truths[1].events
    again = synth_clips(tmp_path / "again", count=1, seconds=2.0, fps=25.0, peak=1.5, seed=1)
    assert again[0] == truths[0]
    assert (tmp_path / "again/clip_001.mp4").read_bytes() == (out / "clip_001.mp4").read_bytes()


@pytest.mark.parametrize(
    ("problem", "raised"),
    [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "No space"), OutputError)],
)
def test_synth_clips_is_whole_or_absent(tmp_path, monkeypatch, problem, raised):
    real = clips.write_clip

    def failing(path, *args, **kwargs):
        if path.name == "clip_002.mp4":
            raise problem
        return real(path, *args, **kwargs)

    monkeypatch.setattr(clips, "write_clip", failing)
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("stays")
    for out in (tmp_path / "fresh", tmp_path / "kept"):
        with pytest.raises(raised):
            synth_clips(out, count=2, seconds=2.0, fps=5.0, peak=1.0, seed=0)
    assert not (tmp_path / "fresh").exists()
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("wrong", [{"count": 0}, {"peak": 99.0}, {"seconds": 0.5}])
def test_synth_clips_refuses_in_one_line(tmp_path, wrong):
    with pytest.raises(InputError, match=r"^expected [^\n]*, got"):
        synth_clips(tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["not json", "[]", '{"schema": "other/1", "clips": []}'])
def test_damaged_truth_is_refused(tmp_path, content):
    path = tmp_path / "truth.json"
    path.write_text(content)
    with pytest.raises(InputError, match="expected"):
        read_truth(path)
    with pytest.raises(InputError, match="No such file"):
        read_truth(tmp_path / "none.json")


def test_truth_needs_all_its_keys(tmp_path):
    path = Path(tmp_path / "truth.json")
    path.write_text('{"schema": "micromimic.truth/1", "clips": [{"path": "a.mp4"}]}')
    with pytest.raises(InputError, match="fps"):
        read_truth(path)


def test_the_face_needs_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("the face must come out of the installed package")

    monkeypatch.setattr(socket, "socket", refuse)
    photograph.cache_clear()
    assert astronaut_face(150, 200, 200).picture.shape == (400, 400)
