"""Spotting from the commands: our spotter on long videos, and somebody's own results."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from micromimic.analysis.long_videos import run as spotting
from micromimic.analysis.long_videos.run import audit_events, evaluate_spotting, score_events
from micromimic.cli.main import main
from micromimic.core.errors import InputError, LabelError
from micromimic.evaluation.spotting import read_found
from micromimic.media.video import VideoWriter, open_source
from micromimic.synthesis.clips import ClipConfig, write_clip

from ..model_files import describe, write_model

CONFIG = ClipConfig(
    seconds=6.0, fps=50.0, width=320, height=240, face_px=225.0, peak_px=2.0,
    events_per_minute=20.0, macros_per_minute=0, blinks_per_minute=0, head_moves_per_minute=0,
)  # fmt: skip
FIRST = 101
"""Number of the first picture of the folder."""
EVENTS = ["dataset", "subject", "video", "onset", "apex", "offset", "kind", "label"]
VIDEOS = ["dataset", "subject", "clip", "label", "kind", "path", "fps", "onset", "offset"]


def table(path: Path, header, rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    """A video and a folder of numbered pictures, with their events; a third video without any."""
    place = tmp_path_factory.mktemp("long")
    rows = []
    for subject, seed, first in (("1", 3, 0), ("2", 5, FIRST)):
        truth = write_clip(place / f"{subject}.mp4", CONFIG, seed)
        rows += [
            ["mine", subject, "v1", e.onset_frame + first, "", e.offset_frame + first, "micro",
             e.label]
            for e in truth.events
        ]  # fmt: skip
    write_clip(place / "still.mp4", ClipConfig(**{**vars(CONFIG), "events_per_minute": 0.0}), 7)
    (place / "frames").mkdir()
    with open_source(place / "2.mp4") as source:
        for frame in source:
            cv2.imwrite(str(place / "frames" / f"img{FIRST + frame.index}.png"), frame.gray)
    table(
        place / "long.csv",
        VIDEOS[:7],
        [
            ["mine", "1", "v1", "", "video", "1.mp4", ""],
            ["mine", "2", "v1", "", "frames", "frames", "50"],
            ["mine", "2", "v2", "", "video", "still.mp4", ""],
        ],
    )
    return table(place / "long.events.csv", EVENTS, rows)


@pytest.fixture(scope="module")
def analyses():
    """What `run` found in each video, by its key."""
    return {}


@pytest.fixture(scope="module")
def run(rendered, analyses, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "out"
    real = spotting._analyse

    def keeping(video, config):
        analyses[video.key] = real(video, config)
        return analyses[video.key]

    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(spotting, "_analyse", keeping)
        return evaluate_spotting(rendered, out), out


def test_long_videos_are_spotted_named_and_scored(run, rendered):
    result, out = run
    found = result.metrics["candidates"]["all"]
    assert (found["videos"], found["videos_without_events"], found["subjects"]) == (3, 1, 2)
    assert found["minutes"] == pytest.approx(3 * 6 / 60)
    assert result.metrics["kinds"] == ["micro"]
    assert found["micro"]["recall"] > 0.6 and found["micro"]["precision"] > 0.6
    assert found["micro"]["strs"]["strict"]["naming_f1"] > 0
    # the folder's frames are numbered as its pictures are
    numbered = [s.onset for v in result.videos if v.key == "mine/2/v1" for s in v.found]
    assert numbered and min(numbered) >= FIRST
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    assert {
        "tables.md", "metrics.json", "events.csv", "curve.csv", "curve.png", "megc/mine_pred.csv",
        "megc/mine_strs.csv",
    } <= names  # fmt: skip
    assert "threshold of training subjects" in (out / "tables.md").read_text("utf-8")
    kept = json.loads((out / "metrics.json").read_text("utf-8"))
    assert set(kept["thresholds"]["micro"]) == {"mine/1", "mine/2"}


def test_our_own_events_score_as_the_run_did(run, rendered):
    result, out = run
    again = score_events(out / "events.csv", rendered)
    assert again.metrics == result.metrics


def test_a_killed_run_goes_on(run, analyses, rendered, tmp_path, monkeypatch):
    """Ended after the first video; the next call analyses the others only."""
    result, _ = run
    analysed = []

    def dying(video, config):
        if analysed:
            raise KeyboardInterrupt
        analysed.append(video.key)
        return analyses[video.key]

    monkeypatch.setattr(spotting, "_analyse", dying)
    with pytest.raises(KeyboardInterrupt):
        evaluate_spotting(rendered, tmp_path / "out")

    def counting(video, config):
        analysed.append(video.key)
        return analyses[video.key]

    monkeypatch.setattr(spotting, "_analyse", counting)
    again = evaluate_spotting(rendered, tmp_path / "out")
    assert analysed == [video.key for video in again.videos]
    assert again.resumed == 1
    assert again.metrics == result.metrics
    with pytest.raises(InputError, match="same run as before"):
        evaluate_spotting(rendered, tmp_path / "out", sensitivity="high")


def test_a_video_file_keeps_its_own_times(rendered):
    """The rate that its container states is for minutes; only the manifest's own overrides it."""
    truth = spotting.read_truth(rendered)
    assert [video.fps for video in truth.videos] == [None, 50.0, None]
    assert [video.last for video in truth.videos] == [299, FIRST + 299, 299]
    assert list(truth.minutes.values()) == pytest.approx([0.1] * 3)


def test_a_video_without_a_face_counts_with_nothing_found(tmp_path):
    with VideoWriter(tmp_path / "grey.mp4", 30.0, 320, 240, lossless=True) as writer:
        for _ in range(40):
            writer.write(np.full((240, 320), 128, np.uint8))
    table(tmp_path / "e.csv", VIDEOS[:7], [["d", "1", "v", "", "video", "grey.mp4", ""]])
    events = table(tmp_path / "e.events.csv", EVENTS, [["d", "1", "v", 9, "", 20, "micro", ""]])
    result = evaluate_spotting(events, tmp_path / "out")
    assert result.metrics["candidates"]["all"]["micro"]["fn"] == 1
    assert any("No face, and so nothing, is found in d/1/v" in note for note in result.notes)


def test_the_command_says_the_same(run, rendered, tmp_path, capsys):
    result, _ = run
    arguments = ["evaluate", rendered, "--protocol", "spotting", "--out", tmp_path / "o"]
    assert main([*map(str, arguments), "--jobs", "2"]) == 0
    said = capsys.readouterr().out
    assert "3 videos (1 without an event) of 2 subjects, 0.3 minutes." in said
    f1 = result.metrics["candidates"]["all"]["micro"]["f1"]
    assert f"{f1:.3f}" in said and "as published" in said
    assert json.loads((tmp_path / "o" / "metrics.json").read_text("utf-8"))["candidates"] == (
        json.loads(json.dumps(result.metrics["candidates"]))
    )


def test_thresholds_may_go_by_how_rare_chance_makes_it(run, rendered, tmp_path):
    out = shutil.copytree(run[1], tmp_path / "out")
    result = evaluate_spotting(rendered, out, score_by="rate")
    assert result.resumed == 3  # nothing is analysed again
    frame = pd.read_csv(out / "events.csv")
    known = frame["false_alarm_rate_per_hour"].notna()
    assert known.any()
    assert (frame["score"][known] == -frame["false_alarm_rate_per_hour"][known]).all()
    assert score_events(out / "events.csv", rendered).metrics == result.metrics


@pytest.mark.needs("train")
def test_a_model_that_knows_the_tested_subjects_is_refused(rendered, tmp_path):
    fitted = {"clips": [], "subjects": ["mine/2"]}
    file = write_model(
        tmp_path / "m.onnx", "flow", details={**describe("flow"), "fitted_to": fitted}
    )
    video = [["mine", "2", "v2", "", "video", rendered.parent / "still.mp4", ""]]
    table(tmp_path / "e.csv", VIDEOS[:7], video)
    events = table(tmp_path / "e.events.csv", EVENTS, [["mine", "2", "v2", 9, "", 20, "micro", ""]])
    with pytest.raises(InputError, match="fitted to 1 of these subjects .mine/2.; train one"):
        evaluate_spotting(events, tmp_path / "out", model=file)
    result = evaluate_spotting(events, tmp_path / "out", model=str(file), allow_overlap=True)
    assert "fitted to 1 of these subjects" in (tmp_path / "out" / "tables.md").read_text("utf-8")
    assert result.name == "linear-flow"


def test_a_model_of_other_classes_than_the_table_s_is_refused(rendered, tmp_path):
    rows = [["mine", "1", "v1", 10, "", 20, "micro", "joyful"]]
    (tmp_path / "long.csv").write_text(
        (rendered.parent / "long.csv").read_text("utf-8").replace("1.mp4", "../none.mp4"), "utf-8"
    )
    events = table(tmp_path / "e.events.csv", EVENTS, rows)
    with pytest.raises(LabelError, match="got 'joyful'"):
        evaluate_spotting(events, tmp_path / "out", videos=rendered.parent / "long.csv")
    with pytest.raises(InputError, match="none.mp4"):
        evaluate_spotting(events, tmp_path / "out", videos=tmp_path / "long.csv")
    assert not (tmp_path / "out").exists()


def test_what_is_no_sensitivity_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected sensitivity low, normal, high, got 'hihg'"):
        evaluate_spotting(tmp_path / "e.csv", tmp_path / "out", sensitivity="hihg")


def test_from_synthetic_long_videos_to_scores(tmp_path, capsys):
    """Made, indexed, spotted, scored again from the table that was written, and audited."""
    data, manifest, out = tmp_path / "data", tmp_path / "long.csv", tmp_path / "out"
    events = tmp_path / "long.events.csv"
    steps = (
        ["synth", "databases", "--out", data, "--names", "casme3-long", "--clips-per-class", "2",
         "--seconds", "6"],
        ["datasets", "index", f"casme3-long={data / 'casme3-long'}", "--out", manifest],
        ["evaluate", events, "--protocol", "spotting", "--out", out],
        ["score", out / "events.csv", "--truth", events, "--out", tmp_path / "again"],
        ["audit", out / "events.csv", "--truth", events, "--out", tmp_path / "audit"],
    )  # fmt: skip
    for step in steps:
        assert main([*map(str, step)]) == 0
    said = capsys.readouterr().err
    assert "These videos are synthetic" in said
    assert "Frame rate of 2 of 2 videos: Only " in said
    first, again = (
        json.loads((folder / "metrics.json").read_text("utf-8"))
        for folder in (out, tmp_path / "again")
    )
    assert first["kinds"] == ["micro", "macro"]
    assert first["candidates"]["all"]["micro"]["tp"] > 0
    assert all(first[part] == again[part] for part in ("candidates", "chosen", "thresholds"))
    assert "These videos are synthetic" in (out / "tables.md").read_text("utf-8")


# --- somebody's own events, without a video ---


@pytest.fixture
def annotated(tmp_path):
    """Two subjects, frames told by the manifest alone; the third video has no event."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    rows = [
        ["d", who, video, "", "frames", "pictures", "30", "1", "900"]
        for who, video in (("1", "1_a"), ("2", "2_a"), ("2", "2_b"))
    ]
    table(tmp_path / "long.csv", VIDEOS, rows)
    events = [
        ["d", "1", "1_a", 10, 15, 20, "micro", "disgust"],
        ["d", "1", "1_a", 100, "", 180, "macro", "happiness"],
        ["d", "2", "2_a", 50, "", 60, "micro", "surprise"],
    ]
    return table(tmp_path / "long.events.csv", EVENTS, events)


FOUND = ["dataset", "subject", "video", "onset", "offset", "kind", "label", "score"]
ROWS = [
    ["d", "1", "1_a", 9, 20, "micro", "negative", 5.0],
    ["d", "1", "1_a", 100, 170, "macro", "positive", 2.0],
    ["d", "2", "2_a", 51, 61, "micro", "surprise", 4.0],
    ["d", "2", "2_b", 400, 410, "micro", "surprise", 1.0],
]


def test_own_events_are_scored(annotated, tmp_path, capsys):
    file = table(tmp_path / "found.csv", FOUND, ROWS)
    out = tmp_path / "scores"
    assert main(["score", str(file), "--truth", str(annotated), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 videos (1 without an event) of 2 subjects, 1.5 minutes." in said
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    micro = metrics["candidates"]["all"]["micro"]
    assert (micro["tp"], micro["fp"], micro["fn"]) == (2, 1, 0)
    assert metrics["candidates"]["all"]["both"]["tp"] == 3
    assert micro["strs"]["strict"]["named"] == 2  # labels are merged as the scheme says
    assert micro["strs"]["published"]["fp"] == 0 < micro["strs"]["strict"]["fp"]
    # the tested subject's threshold is the other one's best
    assert metrics["thresholds"]["micro"] == {"d/1": 4.0, "d/2": None}
    assert metrics["chosen"]["all"]["micro"]["fp"] == 1
    curve = pd.read_csv(out / "curve.csv")
    assert curve[curve.kind == "micro"]["fp"].tolist() == [1, 1, 0, 0]
    assert curve.columns[0] == "kind" and (out / "curve.svg").is_file()


def test_a_submission_is_written_and_read_again(annotated, tmp_path):
    file = table(tmp_path / "found.csv", FOUND, ROWS)
    first = score_events(file, annotated, out=tmp_path / "out")
    sent = tmp_path / "out" / "megc" / "d_pred.csv"
    assert sent.read_text("utf-8").splitlines()[:3] == [
        "vid,pred_onset,pred_offset,type", "1_a,9,20,me", "1_a,100,170,mae"
    ]  # fmt: skip
    again = score_events(sent, annotated)
    assert [n for n in again.notes if "no column score" in n]
    assert again.metrics["chosen"] is None
    for scope in ("micro", "macro", "both"):
        one, two = (r.metrics["candidates"]["all"][scope] for r in (first, again))
        assert (one["tp"], one["fp"], one["f1_ci95"]) == (two["tp"], two["fp"], two["f1_ci95"])
    strs = read_found(tmp_path / "out" / "megc" / "d_strs.csv")
    assert strs["label"].tolist() == ["negative", "surprise", "surprise"]
    assert strs["subject"].tolist() == ["1", "2", "2"]


def test_events_of_a_kind_that_is_not_annotated_do_not_count(annotated, tmp_path):
    rows = [r.split(",") for r in annotated.read_text("utf-8").splitlines()[1:] if "macro" not in r]
    table(annotated, EVENTS, rows)
    result = score_events(table(tmp_path / "found.csv", FOUND, ROWS), annotated)
    assert set(result.metrics["candidates"]["all"]) & {"macro", "both"} == set()
    assert any("1 found events are of a kind that their database" in n for n in result.notes)


def test_what_a_database_does_not_annotate_does_not_count_there_only(annotated, tmp_path):
    """Another database has no longer expressions annotated, and one is found in it."""
    with (tmp_path / "long.csv").open("a", newline="") as file:
        csv.writer(file).writerow(["e", "5", "5_a", "", "frames", "pictures", "30", "1", "900"])
    with annotated.open("a", newline="") as file:
        csv.writer(file).writerow(["e", "5", "5_a", 10, "", 20, "micro", ""])
    found = [*ROWS, ["e", "5", "5_a", 100, 200, "macro", "positive", 9.0]]
    result = score_events(table(tmp_path / "found.csv", FOUND, found), annotated)
    scores = result.metrics["candidates"]
    assert scores["all"]["macro"]["fp"] == 0 and scores["d"]["macro"]["tp"] == 1
    assert "macro" not in scores["e"] and scores["e"]["micro"]["fn"] == 1
    assert any(n.startswith("1 found events are of a kind") for n in result.notes)


def test_a_database_without_any_event_counts_its_false_ones(annotated, tmp_path):
    """People who do nothing, filmed as a control; two of them have a video of one name."""
    with (tmp_path / "long.csv").open("a", newline="") as file:
        for who in ("7", "8"):
            csv.writer(file).writerow(["e", who, "a", "", "frames", "pictures", "30", "1", "900"])
    found = [*ROWS, ["e", "7", "a", 100, 200, "macro", "positive", 9.0],
             ["e", "8", "a", 10, 20, "micro", "", 8.0]]  # fmt: skip
    out = tmp_path / "out"
    result = score_events(table(tmp_path / "found.csv", FOUND, found), annotated, out=out)
    everything = result.metrics["candidates"]["all"]
    assert (everything["micro"]["fp"], everything["macro"]["fp"]) == (2, 1)
    assert not any("found events are of a kind" in n for n in result.notes)
    sent = out / "megc" / "e_pred.csv"
    assert sent.read_text("utf-8").splitlines()[:2] == [
        "subject,vid,pred_onset,pred_offset,type", "7,a,100,200,mae"
    ]  # fmt: skip
    again = score_events(sent, annotated).metrics["candidates"]["all"]
    assert (again["micro"]["fp"], again["macro"]["fp"]) == (1, 1)


@pytest.mark.parametrize("option", [["--groups", "3"], ["--labels", "any"], ["--early-stopping"]])
def test_options_that_spotting_has_no_use_for_are_refused(annotated, tmp_path, capsys, option):
    words = ["evaluate", str(annotated), "--protocol", "spotting", "--out", str(tmp_path / "o")]
    assert main([*words, *option]) == 2
    assert f"no {option[0]} with protocol spotting" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "long.csv"), "--score-by", "rate"]) == 2
    assert "no --score-by with protocol loso" in capsys.readouterr().err


def test_without_a_manifest_of_the_videos_it_says_what_is_missing(annotated, tmp_path):
    (tmp_path / "long.csv").unlink()
    result = score_events(table(tmp_path / "found.csv", FOUND, ROWS[:3]), annotated)
    assert any("There is no manifest of the videos" in n for n in result.notes)
    assert result.metrics["candidates"]["all"]["micro"]["false_per_minute"] is None
    with pytest.raises(InputError, match="expected a video that is annotated, got 'd/2/2_b'"):
        score_events(table(tmp_path / "found.csv", FOUND, ROWS), annotated)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"onset": 30}, "ends after it begins, got onset 30 and offset 20 in line 2"),
        ({"offset": 901}, "within the frames 1 to 900 of d/1/1_a, got 9 to 901 in line 2"),
        ({"onset": 0}, "within the frames 1 to 900"),
        ({"onset": -3}, "onset to be a frame number, got '-3' in line 2"),
        ({"onset": "9.5"}, "onset to be a frame number, got '9.5' in line 2"),
        ({"video": "9_z"}, "a video that is annotated, got 'd/1/9_z' in line 2"),
        ({"kind": "small"}, "a kind among micro, macro, got 'small' in line 2"),
        ({"score": "high"}, "score to be a number, got 'high' in line 2"),
        ({"label": "joyful"}, "got 'joyful'; correct it, in line 2"),
    ],
)
def test_wrong_events_are_one_clear_line(annotated, tmp_path, change, words, capsys):
    row = dict(zip(FOUND, ROWS[0], strict=True)) | change
    file = table(tmp_path / "found.csv", FOUND, [list(row.values())])
    with pytest.raises((InputError, LabelError), match=words):
        score_events(file, annotated)
    assert main(["score", str(file), "--truth", str(annotated)]) != 0
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_name_that_two_subjects_have_must_be_told_apart(annotated, tmp_path):
    rows = [["d", "3", "1_a", "", "frames", "pictures", "30", "1", "900"]]
    with (tmp_path / "long.csv").open("a", newline="") as file:
        csv.writer(file).writerows(rows)
    file = table(tmp_path / "found.csv", ["video", "onset", "offset"], [["1_a", 9, 20]])
    with pytest.raises(InputError, match="got d/1/1_a and d/3/1_a; add columns"):
        score_events(file, annotated)


def test_a_table_that_is_none_of_both(annotated, tmp_path):
    file = table(tmp_path / "found.csv", ["video", "start"], [["1_a", 9]])
    with pytest.raises(InputError, match="video, onset and offset .* got none named onset, offset"):
        score_events(file, annotated)


# --- the audit ---


def test_the_audit_names_what_each_choice_adds(annotated, tmp_path, capsys):
    rows = [[*row, 2] for row in ROWS]
    rows += [["d", "1", "1_a", 9, 20, "micro", "negative", 5.0, 1]]
    file = table(tmp_path / "found.csv", [*FOUND, "epoch"], rows)
    with pytest.raises(InputError, match="one epoch in .* got 2 epochs"):
        score_events(file, annotated)
    out = tmp_path / "audit"
    assert main(["audit", str(file), "--truth", str(annotated), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    for words in (
        "threshold chosen on training subjects", "best threshold of each test subject",
        "best epoch of each test subject", "videos without an event left out",
        "which no new person would show",
    ):  # fmt: skip
        assert words in said
    content = json.loads((out / "audit.json").read_text("utf-8"))
    added = {(r["kind"], r["choice"]): r["added"] for r in content["rows"]}
    assert added["micro", "training"] is None and added["micro", "without_empty"] > 0
    assert (out / "audit.md").read_text("utf-8").startswith("# Audit of found.csv")
    leaks, _ = audit_events(file, annotated)
    assert {leak.choice for leak in leaks if leak.honest} == {"everything", "training"}


# --- somebody's own predictions ---


@pytest.fixture
def manifest(tmp_path):
    rows = [
        ["d", who, clip, label, "video", "none.mp4"]
        for who, clip, label in (
            ("1", "a", "negative"), ("1", "b", "positive"), ("2", "a", "surprise"),
            ("2", "b", "negative"),
        )
    ]  # fmt: skip
    return table(tmp_path / "clips.csv", VIDEOS[:6], rows)


KEYS = ["dataset", "subject", "clip"]
ANSWERS = [["d", "1", "a", "disgust"], ["d", "1", "b", "negative"], ["d", "2", "a", "surprise"]]


def test_own_predictions_are_scored(manifest, tmp_path, capsys):
    file = table(tmp_path / "mine.csv", [*KEYS, "y_pred"], ANSWERS)
    out = tmp_path / "scores"
    assert main(["score", str(file), "--truth", str(manifest), "--out", str(out)]) == 0
    told = capsys.readouterr()
    assert "3 clips of 2 subjects" in told.out
    assert "1 of 4 clips of the manifest are not predicted" in told.err
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))["composite"]
    assert metrics["uf1"] == pytest.approx((2 / 3 + 0 + 1) / 3)  # disgust is the scheme's negative
    assert metrics["uar"] == pytest.approx((1 + 0 + 1) / 3)
    assert "0.556" in (out / "tables.md").read_text("utf-8")


def test_own_probabilities_are_scored(manifest, tmp_path):
    from micromimic.evaluation.score_file import score_predictions

    header = [*KEYS, "p_negative", "p_positive", "p_surprise"]
    rows = [["d", "1", "a", "0.7", "0.2", "0.1"], ["d", "2", "a", "0,1", "0,1", "0,8"]]
    result = score_predictions(table(tmp_path / "m.csv", header, rows), manifest)
    assert result.predictions["y_pred"].tolist() == ["negative", "surprise"]
    assert result.metrics["composite"]["accuracy"] == 1.0
    assert not any("probabilit" in text for text in result.notes)
    edited = table(tmp_path / "e.csv", [*header, "y_pred"], [[*row, "surprise"] for row in rows])
    noted = score_predictions(edited, manifest)
    assert noted.metrics["composite"]["accuracy"] == 0.5
    assert any(text.startswith("In 1 rows y_pred is not the class") for text in noted.notes)


@pytest.mark.parametrize(
    ("header", "row", "words"),
    [
        (["y_pred"], ["d", "1", "z", "negative"], "a clip of the manifest .* got d/1/z in line 2"),
        (["y_pred"], ["d", "1", "a", "joyful"], "a label among .* got 'joyful' in line 2"),
        (["y_pred"], ["d", "1", "a", "others"], "a label among .* got 'others' in line 2"),
        (["y_pred", "y_true"], ["d", "1", "a", "positive", "positive"], "the manifest's class"),
        (["fold"], ["d", "1", "a", "0"], "a column y_pred or probabilities"),
        (["p_negative", "p_positive"], ["d", "1", "a", ".5", ".5"], "expected probabilities p_"),
        (
            ["p_negative", "p_positive", "p_surprise"], ["d", "1", "a", ".9", ".9", ".1"],
            "sum to 1",
        ),
    ],
)  # fmt: skip
def test_wrong_predictions_are_one_clear_line(manifest, tmp_path, header, row, words, capsys):
    from micromimic.evaluation.score_file import score_predictions

    file = table(tmp_path / "mine.csv", [*KEYS, *header], [row])
    with pytest.raises((InputError, LabelError), match=words):
        score_predictions(file, manifest)
    assert main(["score", str(file), "--truth", str(manifest)]) != 0
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_clip_predicted_twice_is_refused(manifest, tmp_path):
    from micromimic.evaluation.score_file import score_predictions

    file = table(tmp_path / "mine.csv", [*KEYS, "y_pred"], [ANSWERS[0], ANSWERS[0]])
    with pytest.raises(InputError, match="each clip once, got d/1/a in line 2 and in line 3"):
        score_predictions(file, manifest)


def test_videos_are_analysed_only_if_all_can_be(rendered, tmp_path):
    """A folder without a rate and pictures without numbers are told before any work."""
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "a1.png").touch()
    (tmp_path / "frames" / "b1.png").touch()
    events = table(tmp_path / "e.events.csv", EVENTS, [["d", "1", "v", 1, "", 1, "micro", ""]])
    for fps, words in (("", "frames a second"), ("30", "numbered one after the other")):
        table(tmp_path / "e.csv", VIDEOS[:7], [["d", "1", "v", "", "frames", "frames", fps]])
        with pytest.raises(InputError, match=words):
            evaluate_spotting(events, tmp_path / "out")
    (tmp_path / "e.csv").unlink()
    with pytest.raises(InputError, match="manifest of the videos"):
        evaluate_spotting(events, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_video_that_breaks_is_no_quiet_gap(rendered, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes((rendered.parent / "1.mp4").read_bytes()[:200])
    table(tmp_path / "e.csv", VIDEOS[:7], [["d", "1", "v", "", "video", "broken.mp4", "50"]])
    events = table(tmp_path / "e.events.csv", EVENTS, [["d", "1", "v", 1, "", 9, "micro", ""]])
    with pytest.raises(InputError, match="broken"):
        evaluate_spotting(events, tmp_path / "out")
