"""The command line as people meet it: exit codes, one line an error, nothing half-written."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO

import av
import numpy as np
import pandas as pd
import pytest

import micromimic
from micromimic.analysis.inputs import expand_inputs
from micromimic.cli.analyze import Job, analyse_one, analysis_text, longest_first
from micromimic.cli.app import GROUPS, PARTS
from micromimic.cli.console import text_table
from micromimic.cli.main import main
from micromimic.cli.progress import show_progress
from micromimic.core.results import Analysis
from micromimic.media.video import VideoWriter
from micromimic.synthesis.clips import ClipConfig, render
from micromimic.synthesis.schedule import plan_clip

from ..sample_analysis import empty_analysis, sample_analysis

TITLES = {f"{title}:" for title in GROUPS}
FILES = {"events.json", "events.csv", "events.eaf", "curve.csv", "report.html"}
# A child that does not take Ctrl-C because its parent ignores it would test nothing.
DRIVER = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from micromimic.cli.main import main; sys.exit(main())"
)


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    from skimage.data import astronaut

    return np.ascontiguousarray(astronaut()[:300, 60:400, 1])


def write_clip(path: Path, frames: list[np.ndarray], fps: float = 100) -> Path:
    height, width = frames[0].shape[:2]
    with VideoWriter(path, fps, width, height) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def noisy(photograph: np.ndarray, count: int, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    grain = rng.normal(0, 1.5, (8, *photograph.shape))
    return [np.clip(photograph + grain[i % 8], 0, 255).astype(np.uint8) for i in range(count)]


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory, photograph: np.ndarray) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "face.mp4", noisy(photograph, 60))


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], tmp_path: Path):
    """Run in this process; gives exit code, stdout, stderr, and the results folder."""

    def run(*arguments: object) -> tuple[int, str, str, Path]:
        out = tmp_path / "out"
        words = [str(a) for a in arguments]
        if words[:1] == ["analyze"] and "--out" not in words:
            words += ["--out", str(out)]
        code = main(words)
        said = capfd.readouterr()
        return code, said.out, said.err, out

    return run


def error_lines(stderr: str) -> list[str]:
    assert "Traceback" not in stderr
    return [line for line in stderr.splitlines() if line.startswith("micromimic: error: ")]


def left_behind(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


# --- usage


@pytest.mark.parametrize(
    "words",
    [
        ["bogus"],
        ["analyze"],
        ["analyze", "--fps", "0", "x.mp4"],
        ["analyze", "--fps", "nan", "x.mp4"],
        ["analyze", "--fps", "fast", "x.mp4"],
        ["analyze", "--jobs", "0", "x.mp4"],
        ["analyze", "--bogus", "x.mp4"],
        ["synth", "clips"],
        ["synth", "clips", "--out", "x", "--count", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_2(command, words: list[str]) -> None:
    code, out, err, _ = command(*words)
    assert code == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert len(error_lines(err)) == 1
    assert "; try micromimic" in err


def test_help_names_every_command(command) -> None:
    code, out, err, _ = command("--help")
    assert (code, err) == (0, "")
    assert "--version" in out
    groups = [part.splitlines() for part in out.split("\n\n")]
    listed = [[line.split()[0] for line in part[1:]] for part in groups if part[0] in TITLES]
    assert listed == [list(names) for names in GROUPS.values()]
    for name, parts in PARTS.items():
        section = command(name, "--help")[1].split("Commands:\n")[1]
        assert [line.split()[0] for line in section.splitlines()] == list(parts)
    assert command("--version")[1] == f"micromimic {micromimic.__version__}\n"
    assert command()[0] == 2


def test_models_are_listed(command) -> None:
    code, out, _, _ = command("models")
    assert code == 0
    assert any(line.split()[:3] == ["flow-capsnet", "flow", "yes"] for line in out.splitlines())


# --- inputs


def test_inputs_are_expanded(tmp_path: Path) -> None:
    videos, frames = tmp_path / "talks", tmp_path / "s1.v2"
    videos.mkdir()
    frames.mkdir()
    for name in ("b10.mp4", "b2.MOV", ".hidden.mp4", "notes.txt"):
        (videos / name).touch()
    for name in ("1.png", "2.png"):
        (frames / name).touch()
    found = expand_inputs([videos, frames, tmp_path / "gone.avi"])
    assert [(i.name, i.problem) for i in found] == [
        ("b2", None),
        ("b10", None),
        ("s1.v2", None),
        ("gone", found[-1].problem),
    ]
    assert "does not exist" in str(found[-1].problem)
    (videos / "poster.png").touch()
    mixed = expand_inputs([videos])
    assert len(mixed) == 1
    assert "got both" in str(mixed[0].problem)


def study(folder: Path) -> Path:
    """Two people's sessions in folders of their own, and what is beside them."""
    for name in ("P01/s1.mp4", "P01/s2.mp4", "P02/s1.mp4", "P02/notes/s1.mov", ".trash/x.mp4"):
        path = folder / "study" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (folder / "study" / "P01" / "frames").mkdir()
    for k in range(3):
        (folder / "study" / "P01" / "frames" / f"{k}.png").touch()
    return folder / "study"


def named(*paths: object) -> list[str]:
    return [item.name for item in expand_inputs([str(path) for path in paths])]


def test_folders_are_searched_and_names_stay_apart(tmp_path: Path) -> None:
    folder = study(tmp_path)
    inside = ["P01/s1", "P01/s2", "P02/s1", "P02/notes/s1"]
    assert named(folder) == inside
    assert named(folder / "P01", folder / "P02") == inside
    assert named(folder / "P01" / "s1.mp4", folder / "P02") == ["P01/s1", "P02/s1", "P02/notes/s1"]
    assert named(folder / "P01") == ["s1", "s2"], "as ever, where names do not clash"
    assert named(folder / "P01" / "s1.mp4", folder / "P01") == ["s1", "s2"], "the same file once"
    (folder / "P01" / "s2.mov").touch()
    assert named(folder / "P01") == ["s1", "s2.mov", "s2.mp4"]
    for path in folder.rglob("*.m[po]*"):
        path.unlink()
    assert named(folder) == ["P01/frames"], "folders of frames, where there are no videos"
    (empty,) = expand_inputs([folder / "P02"])
    assert "in study/P02 and its subfolders, got none" in str(empty.problem).replace(
        str(tmp_path) + "/", ""
    )


def test_paths_are_checked_before_the_first_analysis(command, clip: Path, tmp_path: Path) -> None:
    address = "https://example.com/x.mp4"
    code, _, err, folder = command("analyze", clip, tmp_path / "gone.mp4", address)
    assert code == 1
    lines = err.splitlines()
    assert [line.split(": ")[2] for line in lines[:2]] == ["gone", "x"]
    assert f"got the address {address}; download" in lines[1]
    assert lines[2] == "[1/1] face: started" or lines[2] == "face: started"
    assert "gone: started" not in err and "x: started" not in err
    assert left_behind(folder) == ["all_events.csv", "face", "summary.csv"]


# --- one input


def test_analyze_writes_everything(command, clip: Path) -> None:
    code, out, err, folder = command("analyze", clip)
    assert code == 0
    assert left_behind(folder) == ["face"]
    assert set(left_behind(folder / "face")) == FILES
    assert re.search(r"^face: .* face in 100% of 60 frames", out)
    assert "candidate micro-expressions in " in out
    assert f"report: {folder / 'face' / 'report.html'}" in out
    assert re.fullmatch(r"face: started\nface: finished in \S+ s, \d+ frames/s\n", err)
    events = json.loads((folder / "face" / "events.json").read_text())
    assert events["schema"] == "micromimic.events/1"
    assert events["source"]["frames"] == 60


def bad_input(kind: str, folder: Path, photograph: np.ndarray) -> list[object]:
    path = folder / "bad.mp4"
    if kind == "not a video":
        path.write_text("hello\n" * 100)
    elif kind == "zero bytes":
        path.touch()
    elif kind == "zero frames":
        with av.open(str(path), "w") as out:
            stream = out.add_stream("libx264", rate=25)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            out.start_encoding()
    elif kind == "no face":
        grass = np.random.default_rng(0).integers(0, 255, (20, 120, 160), np.uint8)
        write_clip(path, list(grass))
    elif kind in ("one frame", "different sizes", "no rate"):
        import cv2

        path = folder / "frames"
        path.mkdir()
        for i in range(1 if kind == "one frame" else 3):
            width = 64 if kind == "different sizes" and i == 2 else 60
            cv2.imwrite(str(path / f"{i}.png"), photograph[:60, :width])
        return [path] if kind == "no rate" else [path, "--fps", 25]
    elif kind == "empty folder":
        path = folder / "nothing"
        path.mkdir()
    return [path]


BAD = {
    "missing": "does not exist; check the path",
    "not a video": "expected a video",
    "zero bytes": "0 bytes",
    "zero frames": "frames|cannot be opened|video stream",
    "no face": "expected a face .* found none",
    "one frame": "at least two frames",
    "different sizes": "expected every frame to be 60x60 .* got 64x60 in .*2.png",
    "no rate": "--fps",
    "empty folder": "at least two frames .* got none",
}


@pytest.mark.parametrize("kind", list(BAD))
def test_bad_input_is_one_line_and_1(
    command, kind: str, tmp_path: Path, photograph: np.ndarray
) -> None:
    code, out, err, folder = command("analyze", *bad_input(kind, tmp_path, photograph))
    assert code == 1
    assert out == ""
    lines = error_lines(err)
    assert len(lines) == 1
    assert re.search(BAD[kind], lines[0])
    assert "expected" in lines[0]
    assert "; " in lines[0]
    assert "MICROMIMIC_DEBUG" not in lines[0]
    assert left_behind(folder) == []


def test_one_bad_input_spares_the_others(command, clip: Path, tmp_path: Path) -> None:
    missing = tmp_path / "gone.mp4"
    code, out, err, folder = command("analyze", missing, clip)
    assert code == 1
    assert [line.split(": ")[2] for line in error_lines(err)] == ["gone"]
    assert left_behind(folder) == ["all_events.csv", "face", "summary.csv"]
    assert "1 of 2 inputs analysed" in out


TABLE = """video,subject,session,condition,date
P01/s1.mp4,P01,first,control,2026-11-20
s2,P01,second,stress,
P02/s1.mp4,P02,first,"=stress",2026-11-21
"""


def test_everybody_in_a_video_has_results_of_their_own(command, tmp_path: Path) -> None:
    config = ClipConfig(
        seconds=3.2, fps=10.0, width=320, height=240, second_face=0.7, face_px=150.0, face_x=0.33,
        blinks_per_minute=0, head_moves_per_minute=0,
    )  # fmt: skip
    video = write_clip(tmp_path / "pair.mp4", list(render(plan_clip(config, 6))), 10)
    code, _, err, results = command("analyze", video, "--person", "all")
    assert code == 0, err
    folder = results / "pair"
    assert sorted(p.name for p in folder.iterdir()) == ["people.json", "person1", "person2"]
    made = [json.loads((folder / f"person{n}" / "events.json").read_text()) for n in (1, 2)]
    assert [content["settings"]["person"] for content in made] == [1, 2]
    assert [content["face"]["found_ratio"] for content in made] == [1.0, 1.0]
    curves = [pd.read_csv(folder / f"person{n}" / "curve.csv") for n in (1, 2)]
    assert not np.allclose(curves[0]["score"], curves[1]["score"], equal_nan=True)
    summary = pd.read_csv(results / "summary.csv")
    assert summary["folder"].tolist() == ["pair/person1", "pair/person2"]
    assert summary["person"].tolist() == [1, 2]
    assert "1 of 1 inputs are complete" in command("analyze", video, "--person", "all")[1]
    code, _, err, _ = command("analyze", video, "--person", "3")
    assert code == 1 and "expected a person from 1 to 2, got 3" in err
    assert command("analyze", video, "--person", "everybody")[0] == 2
    assert command("analyze", video, "--person", "2", "--inject", "1")[0] == 2


def test_a_study_in_one_command_and_its_tables(command, clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    for name in ("P01/s1.mp4", "P01/s2.mp4", "P02/s1.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(clip.read_bytes())
    (folder / "P02" / "s9.mp4").write_text("no video")
    table = tmp_path / "study.csv"
    table.write_text(TABLE)
    words = ("analyze", folder, "--table", table)
    code, out, err, results = command(*words)
    assert code == 1 and "3 of 4 inputs analysed" in out
    assert len(out.splitlines()) == 3 * 2 + 2, "few lines a video"
    assert set(left_behind(results / "P01" / "s1")) == FILES
    summary = pd.read_csv(results / "summary.csv")
    assert summary["folder"].tolist() == ["P01/s1", "P01/s2", "P02/s1", "P02/s9"]
    assert summary["subject"].tolist()[:3] == ["P01", "P01", "P02"]
    assert summary["date"].tolist()[0] == "2026-11-20" and summary["date"].isna().tolist()[1]
    assert summary["candidates"].tolist()[:3] == [0, 0, 0] and summary["problem"].notna()[3]
    assert (summary["observed_s"][:3] + summary["not_judged_edge_s"][:3] <= 0.6).all()
    assert summary["warnings"][0].split()[-1] == "short_recording"
    assert "'=stress" in (results / "summary.csv").read_text(), "no formula"
    events = pd.read_csv(results / "all_events.csv")
    assert list(events.columns[:5]) == list(pd.read_csv(table).columns) and len(events) == 0

    made = (results / "P01" / "s1" / "events.json").stat().st_mtime_ns
    (results / "P02" / "s1" / "curve.csv").unlink()
    code, out, err, _ = command(*words)
    assert "2 of 4 inputs are complete in " in out and "P02/s1: started" in err
    assert (results / "P01" / "s1" / "events.json").stat().st_mtime_ns == made
    assert summary.equals(pd.read_csv(results / "summary.csv")), "skipped ones are in it"
    first = folder / "P01" / "s1.mp4"
    single = ("analyze", first, "--out", results / "P01")
    assert "1 of 1 inputs are complete" in command(*single)[1]
    assert "complete" not in command(*single, "--sensitivity", "high")[1], "other settings"
    assert "complete" not in command(*single, "--again", "--sensitivity", "high")[1]
    assert command(*single, "--again", "--continue")[0] == 2


def test_a_table_of_many_videos_looks_at_each_of_them_once(monkeypatch, tmp_path: Path) -> None:
    from micromimic.analysis import inputs
    from micromimic.datasets.assignments import Assignment

    looked: list[Path] = []
    real = inputs.place_of
    monkeypatch.setattr(inputs, "place_of", lambda path: looked.append(path) or real(path))
    videos = [inputs.Input(tmp_path / f"{n}/v{n}.mp4", f"v{n}") for n in range(300)]
    videos[7] = inputs.Input(tmp_path / "7/vue\u0301.mp4", "v7")
    rows = [Assignment(n, f"{n}/v{n}", f"P{n}") for n in range(300)]
    rows[7] = Assignment(7, "7/vu\u00e9", "P7")
    found = inputs.assign(rows, videos, tmp_path / "elsewhere" / "t.csv")
    assert [found[item.path].subject for item in videos] == [f"P{n}" for n in range(300)]
    assert len(looked) <= 600


def test_a_table_says_which_videos(command, clip: Path, tmp_path: Path) -> None:
    table = clip.parent / "one.csv"
    table.write_text("video;subject\nface.mp4;P01\n")
    code, _, _, results = command("analyze", "--table", table)
    assert code == 0 and pd.read_csv(results / "summary.csv")["subject"].tolist() == ["P01"]
    assert command("analyze")[0] == 2


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ("P01/s1.mp4,P01\nP09/s1.mp4,P09", "one input that is 'P09/s1.mp4' .line 3 .*got none"),
        ("s1.mp4,P01", "one input that is 's1.mp4'.*got .*P01/s1.mp4 and .*P02/s1.mp4"),
        ("P01/s1.mp4,P01\nP01/s1,P02", "one row for .*P01/s1.mp4, got lines 2 and 3"),
        ("P01/s1.mp4,", "expected a subject in line 2 .*, got nothing"),
    ],
)
def test_a_table_that_does_not_fit_is_one_line(
    command, tmp_path: Path, rows: str, wanted: str
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"video,subject\n{rows}\n")
    code, out, err, results = command("analyze", study(tmp_path), "--table", table)
    assert (code, out, len(error_lines(err))) == (1, "", 1)
    assert re.search(wanted, err.replace(str(tmp_path), "")), err
    assert not results.exists(), "nothing is begun"


def test_jobs_do_the_same_as_one_after_the_other(command, clip: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    code, out, err, folder = command("analyze", clip, other, tmp_path / "gone.mp4", "--jobs", 2)
    assert code == 1
    assert left_behind(folder) == ["all_events.csv", "face", "other", "summary.csv"]
    assert len(error_lines(err)) == 1
    assert "2 of 3 inputs analysed" in out
    first, second = (
        json.loads((folder / n / "events.json").read_text()) for n in ("face", "other")
    )
    assert first["events"] == second["events"]


def test_workers_take_the_longest_first(clip: Path, tmp_path: Path) -> None:
    short, folder = tmp_path / "short.mp4", tmp_path / "frames"
    short.write_bytes(b"0")
    folder.mkdir()
    for name in ("1.png", "2.png"):
        (folder / name).write_bytes(bytes(clip.stat().st_size))
    inputs = expand_inputs([short, clip, folder])
    gone = replace(inputs[0], path=tmp_path / "gone.mp4")
    ordered = [item.path for item in longest_first([gone, *inputs])]
    assert ordered == [folder, clip, short, gone.path]


def open_here() -> tuple[int, int]:
    """Files and threads of this process."""
    files, threads = (len(list(Path("/proc/self", name).iterdir())) for name in ("fd", "task"))
    return files, threads


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts what Linux shows")
def test_many_inputs_leave_nothing_open(photograph: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    first = write_clip(folder / "0.mp4", noisy(photograph, 6))
    for number in range(1, 12):
        (folder / f"{number}.mp4").write_bytes(first.read_bytes())
    outcomes, seen = [], []
    for item in expand_inputs([folder]):
        outcomes.append(analyse_one(item, Job(tmp_path / "out"), None))
        seen.append(open_here())
    assert [outcome.error for outcome in outcomes] == [""] * 12
    assert seen[3] == seen[11]


def test_no_input_is_opened_before_its_turn(
    command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "night"
    folder.mkdir()
    for name in ("1.mp4", "2.mp4", "3.mp4"):
        (folder / name).write_bytes(clip.read_bytes())
    opened: list[tuple[str, int]] = []

    def watch(path: Path, *given: object, **named: object) -> IO[bytes]:
        if path.parent == folder:
            opened.append((path.stem, len(list((tmp_path / "out").glob("*/events.json")))))
        return real(path, *given, **named)

    real = Path.open
    monkeypatch.setattr(Path, "open", watch)
    code, *_ = command("analyze", folder)
    assert code == 0
    assert dict(reversed(opened)) == {"1": 0, "2": 1, "3": 2}


# --- inputs that are analysed, with a warning


def codes(folder: Path, name: str) -> set[str]:
    events = json.loads((folder / name / "events.json").read_text())
    return {warning["code"] for warning in events["warnings"]}


def test_truncated_file_is_analysed_with_a_warning(
    command, tmp_path: Path, photograph: np.ndarray
) -> None:
    path = tmp_path / "cut.mkv"
    write_clip(path, noisy(photograph, 90))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    code, out, _, folder = command("analyze", path)
    assert code == 0
    assert "limit: The file is damaged" in out
    assert "truncated" in codes(folder, "cut")


def test_slow_video_is_analysed_with_a_warning(
    command, tmp_path: Path, photograph: np.ndarray
) -> None:
    path = write_clip(tmp_path / "slow.mp4", noisy(photograph, 30), fps=10)
    code, _, _, folder = command("analyze", path)
    assert code == 0
    assert "frame_rate" in codes(folder, "slow")


def test_face_that_leaves_and_returns_is_a_gap(
    command, tmp_path: Path, photograph: np.ndarray
) -> None:
    face = noisy(photograph, 30)
    empty = noisy(np.full_like(photograph, 90), 30)
    path = write_clip(tmp_path / "gap.mp4", [*face, *empty, *face])
    code, _, _, folder = command("analyze", path)
    assert code == 0
    events = json.loads((folder / "gap" / "events.json").read_text())
    assert 0.4 < events["face"]["found_ratio"] < 0.9
    assert "face_lost" in codes(folder, "gap")


def test_two_faces_are_counted(command, tmp_path: Path, photograph: np.ndarray) -> None:
    import cv2

    smaller = cv2.resize(photograph[:, ::-1], (289, 255), interpolation=cv2.INTER_AREA)
    both = np.zeros((300, 340 + 289), np.uint8)
    both[:, :340] = photograph
    both[:255, 340:] = smaller
    path = write_clip(tmp_path / "pair.mp4", noisy(both, 80))
    code, _, _, folder = command("analyze", path)
    assert code == 0
    events = json.loads((folder / "pair" / "events.json").read_text())
    assert events["face"]["found_ratio"] == 1.0
    assert events["face"]["others_seen"] >= 1


def test_folder_of_frames(command, clip: Path, tmp_path: Path) -> None:
    import cv2

    frames = tmp_path / "frames"
    frames.mkdir()
    with av.open(str(clip)) as container:
        for i, picture in enumerate(container.decode(video=0)):
            cv2.imwrite(str(frames / f"img{i}.png"), picture.to_ndarray(format="gray"))
    code, _, _, folder = command("analyze", frames, "--fps", 100)
    assert code == 0
    events = json.loads((folder / "frames" / "events.json").read_text())
    assert events["source"]["fps"] == 100
    assert events["source"]["frames"] == 60


# --- output


@pytest.mark.parametrize("arguments", [["analyze", "x.mp4"], ["demo"], ["synth", "clips"]])
def test_read_only_output(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def refuse(*args: object, **kwargs: object) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)  # root may write anywhere
    code, out, err, _ = command(*arguments, "--out", tmp_path / "results")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "Permission denied" in err
    assert "choose another folder with --out" in err


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs Linux's read-only /sys")
def test_output_where_nobody_can_write(command, clip: Path) -> None:
    code, out, err, _ = command("analyze", clip, "--out", "/sys/kernel/micromimic")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == len(error_lines(err)) == 1


def test_output_in_place_of_a_file(command, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    code, _, err, _ = command("analyze", clip, "--out", tmp_path / "taken")
    assert code == 1
    assert len(error_lines(err)) == 1
    assert (tmp_path / "taken").read_text() == "mine"


def test_full_disk_keeps_what_is_complete(
    command, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import micromimic.report.page as module

    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes())
    whole = module.write_report

    def full(analysis: Analysis, path: Path) -> None:
        if "other" in analysis.source.path:
            path.write_text("half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        whole(analysis, path)

    monkeypatch.setattr(module, "write_report", full)
    code, _, err, folder = command("analyze", clip, other)
    assert code == 1
    assert len(error_lines(err)) == 1
    assert re.search("other: .*(full disk|No space)", err)
    assert left_behind(folder) == ["all_events.csv", "face", "summary.csv"]
    assert set(left_behind(folder / "face")) == FILES


def test_unexpected_errors_are_one_line_too(
    command, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import micromimic.analysis.analyze as module

    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(module, "analyze", fail)
    code, _, err, _ = command("analyze", clip)
    assert code == 1
    assert error_lines(err) == [
        "micromimic: error: face: unexpected RuntimeError: two lines; "
        "set MICROMIMIC_DEBUG=1 to see where"
    ]
    monkeypatch.setenv("MICROMIMIC_DEBUG", "1")
    assert "Traceback" in command("analyze", clip)[2]


# --- interruption and pipes, in a process of their own


@pytest.fixture(scope="session")
def long_clip(tmp_path_factory: pytest.TempPathFactory, photograph: np.ndarray) -> Path:
    """Long enough that Ctrl-C always comes first."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    return write_clip(path, noisy(photograph, 8) * 250, fps=200)


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_what_is_complete(
    clip: Path, long_clip: Path, tmp_path: Path, jobs: int
) -> None:
    out = tmp_path / "out"
    words = ["analyze", str(clip), str(long_clip), "--out", str(out), "--jobs", str(jobs)]
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said = process.stdout.readline()  # one is complete, and the other has only begun
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the whole group
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert f"micromimic: interrupted; 1 of 2 inputs are complete in {out}" in err.splitlines()
    assert left_behind(out) == ["face"]
    assert set(left_behind(out / "face")) == FILES
    assert said.startswith("face: ")


def test_closed_pipe_does_not_stop_the_work(clip: Path, tmp_path: Path) -> None:
    words = ["analyze", str(clip), "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait() == 0
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert set(left_behind(tmp_path / "out" / "face")) == FILES


# --- text


def test_summary_names_all_there_is_to_know() -> None:
    analysis = sample_analysis(evidence=False)
    text = analysis_text("talk", analysis, Path("out/talk"))
    assert text.startswith("talk: 60.0 s of 640x480 at 200 fps; face in 96% of 12000 frames")
    assert f"\n  {len(analysis.events)} candidate micro-expressions in 51 s" in text
    assert "AU 12 left, lip corner puller; AU 6, cheek raiser" in text
    assert "unsure" in text and "face_lost" not in text and "seen and not reported: blink 8" in text
    for event in analysis.events:
        assert f"{event.interval.apex:.3f}" in text
    for warning in analysis.warnings:
        assert warning.message in text
    assert text.endswith("report: " + str(Path("out/talk/report.html")))
    nothing = analysis_text("talk", empty_analysis(), Path("out"))
    assert nothing.splitlines()[1].startswith("  Nothing of the 60 s could be judged")


def test_tables_line_up() -> None:
    table = text_table(["n", "name"], [["1", "a"], ["100", "bb"]], indent=0)
    assert table.splitlines() == ["  n  name", "  1  a", "100  bb"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stage", ["tracking", "evidence"])
def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with show_progress("talk", refresh_s=0.0) as progress:
        if stage == "evidence":
            progress(1, 1, "tracking")
        for done in range(1, 6):
            progress(done * 1000, 5000, stage)
    last = screen.getvalue().rsplit("talk: ", 1)[1]  # what stood there in the end
    assert last.startswith(stage)
    assert "5000/5000" in last
    assert ("frames/s" if stage == "tracking" else "events/s") in last


def test_lines_elsewhere_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    with show_progress("talk") as progress:
        for done in range(5000):
            progress(done, None, "tracking")
    lines = screen.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == "talk: started"
    assert re.fullmatch(r"talk: finished in \S+ s, \d+ frames/s", lines[1])
