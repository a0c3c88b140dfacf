"""The demo: the whole way from planted movement to a report."""

import json
from dataclasses import replace

import pytest

from micromimic.analysis.demo import DEMO_CLIP, DEMO_SEED, run_demo
from micromimic.core.errors import OutputError
from micromimic.core.labels import THREE
from micromimic.report.write import FILES
from micromimic.synthesis.schedule import plan_clip
from micromimic.synthesis.truth import read_truth

SHORT = replace(
    DEMO_CLIP, seconds=6.6, fps=100.0, width=320, height=240, face_px=225.0, peak_px=1.5
)
"""The demo's clip with three events, half the frames, and a quarter of their pixels."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    calls = []
    out = tmp_path_factory.mktemp("demo") / "out"
    return run_demo(out, progress=lambda *a: calls.append(a), clip=SHORT), out, calls


def test_demo_clip_shows_all_classes_and_a_blink():
    plan = plan_clip(DEMO_CLIP, DEMO_SEED)
    assert {move.recipe.label for move in plan.micro} == set(THREE)
    assert len(plan.blinks) == 1
    assert DEMO_CLIP.fps == 200


def test_demo_finds_what_it_planted(demo):
    result, _, _ = demo
    score = result.score
    assert score.planted == 3
    assert len(score.pairs) >= score.planted - 1
    assert score.found - len(score.pairs) <= 1
    assert score.median_error_frames("apex") <= 4
    assert result.right_classes >= len(score.pairs) - 1


def test_demo_writes_clip_truth_and_results(demo):
    result, out, calls = demo
    assert result.clip == out / "demo.mp4" and result.clip.stat().st_size > 0
    assert read_truth(out / "truth.json") == [result.truth]
    assert {path.name for path in result.folder.iterdir()} >= set(FILES)
    events = json.loads((result.folder / "events.json").read_text())["events"]
    assert len(events) == result.score.found
    assert {stage for _, _, stage in calls} >= {"render", "tracking"}
    assert sorted(path.name for path in out.iterdir()) == ["demo", "demo.mp4", "truth.json"]


def test_demo_table_says_what_happened(demo):
    result, _, _ = demo
    text = str(result)
    onsets = []
    for planted, found in result.rows:
        onsets.append((planted or found).onset_frame)
        assert str((planted or found).apex_frame) in text
        if planted and found:
            assert f"{found.apex_frame - planted.apex_frame:+d}" in text
    assert onsets == sorted(onsets)
    assert f"{len(result.score.pairs)} of 3 planted" in text
    assert str(result.folder / "report.html") in text


def test_demo_says_when_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="expected to write"):
        run_demo(tmp_path / "file" / "demo")
