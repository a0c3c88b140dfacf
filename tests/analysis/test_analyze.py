"""The main job end to end on a rendered clip with known truth."""

import json
import os

import numpy as np
import pytest

import micromimic
from micromimic.analysis.analyze import AnalyzeConfig, _decoders, analyze
from micromimic.core.errors import InputError, NoFaceError
from micromimic.core.results import EVENTS_SCHEMA, table_columns
from micromimic.evaluation.spotting import match_events
from micromimic.media.video import VideoWriter
from micromimic.synthesis.clips import ClipConfig, write_clip

CONFIG = ClipConfig(
    seconds=10.0, fps=100.0, width=320, height=240, face_px=225.0, peak_px=1.5,
    events_per_minute=18.0, macros_per_minute=12.0, blinks_per_minute=6.0, blinks_apart=True,
    head_moves_per_minute=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "planted.mp4"
    truth = write_clip(path, CONFIG, seed=3)
    return path, truth


@pytest.fixture(scope="module")
def result(clip):
    seen = []
    made = analyze(clip[0], progress=lambda done, total, stage: seen.append((done, total, stage)))
    return made, seen


def test_planted_movements_are_found_and_named(clip, result):
    analysis, _ = result
    truth = clip[1]
    score = match_events(
        truth.intervals(), [event.interval for event in analysis.micro],
        fps=CONFIG.fps, duration_s=CONFIG.seconds,
    )  # fmt: skip
    assert score.recall >= 0.6
    assert len(analysis.micro) <= len(truth.events) + 1
    assert score.median_error_frames("apex") <= 3


def test_the_json_is_the_contract(result):
    analysis, _ = result
    document = json.loads(json.dumps(analysis.to_dict(), allow_nan=False))
    assert set(document) == {
        "schema", "source", "face", "warnings", "model", "events", "counts",
        "indicators", "limits", "held_back", "settings",
    }  # fmt: skip
    assert document["schema"] == EVENTS_SCHEMA
    assert set(document["source"]) == {"path", "fps", "frames", "duration_s", "width", "height"}
    assert document["source"]["frames"] == CONFIG.frames
    assert document["source"]["fps"] == pytest.approx(100)
    assert document["face"] == {"found_ratio": 1.0, "others_seen": 0}
    assert set(document["model"]) == {"name", "version", "trained_on"}
    for event in document["events"]:
        assert set(event) == {
            "onset_s", "apex_s", "offset_s", "onset_frame", "apex_frame", "offset_frame",
            "label", "probabilities", "uncertain", "strength", "regions",
            "action_units", "amplitude", "false_alarm_rate_per_hour", "kind",
        }  # fmt: skip
        assert event["onset_frame"] < event["apex_frame"] < event["offset_frame"]
        assert event["apex_s"] == pytest.approx(event["apex_frame"] / 100, abs=1e-6)
        assert sum(event["probabilities"].values()) == pytest.approx(1, abs=1e-3)
        assert sum(event["regions"].values()) == pytest.approx(1, abs=1e-2)
        assert set(event["regions"]) == set(micromimic.CELLS)
    assert any(event["amplitude"] for event in document["events"])
    for limit in document["limits"].values():
        assert 0 < limit["p10_units"] <= limit["median_units"]
        assert 0 < limit["open_share"] <= 1 and 0 < limit["seconds"] <= CONFIG.seconds


def test_evidence_shows_the_face_at_onset_and_apex(result):
    analysis, _ = result
    for event in analysis.events:
        proof = event.evidence
        assert proof.onset_face.ndim == 3 and proof.onset_face.shape[2] == 3
        size = round((28 + 2 * proof.margin) * proof.pixels_per_unit)
        assert proof.apex_face.shape == (size, size, 3)
        difference = np.abs(proof.onset_face.astype(int) - proof.apex_face).mean()
        assert difference < 12, "the crops are stabilised"
        assert proof.votes is not None and proof.votes.sum() == pytest.approx(1, abs=1e-4)
        assert np.isfinite(proof.flow.uv).all()


def test_what_was_held_back_has_its_ends_and_its_pictures(clip, result):
    analysis, _ = result
    spans = [event.interval for event in analysis.events]
    for item, entry in zip(analysis.held_back, analysis.to_dict()["held_back"], strict=True):
        assert item.onset_frame < item.apex_frame < item.offset_frame
        apart = (item.interval.offset < s.onset or s.offset < item.interval.onset for s in spans)
        assert all(apart)
        assert item.onset_face.shape == item.apex_face.shape and item.apex_face.shape[2] == 3
        assert np.abs(item.onset_face.astype(int) - item.apex_face).mean() < 12, "stabilised"
        assert entry["apex_s"] == pytest.approx(entry["apex_frame"] / 100, abs=1e-6)
    assert analysis.held_back
    assert sum(analysis.spotting.rejected_counts().values()) >= len(analysis.held_back)


def test_the_frame_is_a_table(result):
    analysis, _ = result
    frame = analysis.to_frame()
    assert list(frame.columns) == ["video", *table_columns(analysis.model.labels)]
    assert len(frame) == len(analysis.events)


def test_progress_counts_every_frame(result):
    _, seen = result
    tracking = [done for done, _, stage in seen if stage == "tracking"]
    assert tracking == sorted(tracking)
    assert tracking[-1] == CONFIG.frames


def test_analysis_is_deterministic(clip, result):
    again = analyze(clip[0], config=AnalyzeConfig(evidence=False))
    assert again.to_dict() == result[0].to_dict()
    assert all(event.evidence is None for event in again.events)


def _write(path, frames, fps=25.0):
    with VideoWriter(path, fps, frames[0].shape[1], frames[0].shape[0]) as writer:
        for frame in frames:
            writer.write(frame)


def test_no_face_is_one_clear_error(tmp_path):
    path = tmp_path / "wall.mp4"
    _write(path, [np.full((96, 128), 90, np.uint8)] * 8)
    with pytest.raises(NoFaceError, match="found none in 8 frames") as caught:
        analyze(path)
    assert "\n" not in str(caught.value)


def test_one_frame_is_no_video(tmp_path):
    path = tmp_path / "one.mp4"
    _write(path, [np.full((96, 128), 90, np.uint8)])
    with pytest.raises(InputError, match="at least two frames"):
        analyze(path)


def test_a_slow_camera_is_warned_about(tmp_path):
    path = tmp_path / "slow.mp4"
    config = ClipConfig(seconds=4.0, fps=10.0, events_per_minute=0, macros_per_minute=0,
                        blinks_per_minute=0, head_moves_per_minute=0)  # fmt: skip
    write_clip(path, config, seed=0)
    codes = {warning.code for warning in analyze(path).warnings}
    assert "frame_rate" in codes


@pytest.mark.parametrize("name", ["WolfgangLanger_Pexels.mp4", "face_noface.mov"])
def test_real_videos_run_through(shared_videos, name):
    analysis = analyze(shared_videos / name)
    assert analysis.source.frames > 100
    if name == "face_noface.mov":
        # The face leaves at 2.8 s and does not come back: a gap, never the last landmarks.
        gone = analysis.track.times > 3.0
        assert not analysis.track.found[gone].any()
        assert np.isnan(analysis.track.landmarks[gone]).all()
        assert any(warning.code == "face_lost" for warning in analysis.warnings)
    else:
        assert analysis.found_ratio > 0.95
        assert analysis.others_seen == 0


def test_ffmpeg_has_the_cores_that_are_given_to_this_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not those of the machine, of which a container or a batch system gives some."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert _decoders() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert _decoders() == 63  # the decoder knows how many are of use
