"""Files and folders named after what came in, and what is left where a run was killed."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st

from micromimic.analysis.inputs import Input, expand_inputs
from micromimic.cli.analyze import Job, analyse_one, run
from micromimic.cli.main import main
from micromimic.core import files
from micromimic.core.errors import InputError, OutputError
from micromimic.core.files import begun, sweep_left, write_whole
from micromimic.core.labels import THREE
from micromimic.core.workers import Workers
from micromimic.datasets.manifest import Clip, write_manifest
from micromimic.evaluation.evaluate import evaluate
from micromimic.media.writer import VideoWriter
from micromimic.models.onnx import SHIPPED
from micromimic.preparation.cache import prepare_all
from micromimic.report.write import FILES, write_analysis
from micromimic.synthesis.databases.write import synth_databases

from ..sample_analysis import empty_analysis

POSIX = pytest.mark.skipif(os.name != "posix", reason="names and locks of POSIX systems")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ---------------------------------------------------------------------------------- names


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="/\x00"), min_size=1, max_size=12))
@example("...mp4")
@example("..mp4")
@example(".mp4")
@example("a..mp4")
def test_results_of_a_video_are_in_a_folder_of_their_own(name: str) -> None:
    if name in (".", ".."):
        return  # folders
    (item,) = expand_inputs([Path("no such folder") / name])
    assert os.path.normpath(f"/out/{item.name}") == f"/out/{item.name}"


def test_a_name_of_dots_keeps_its_ending() -> None:
    given = ["...mp4", "..mp4", "talk.mp4"]
    assert [item.name for item in expand_inputs(given)] == ["...mp4", "..mp4", "talk"]


def test_the_longest_name_that_a_disk_takes(tmp_path: Path) -> None:
    folder = tmp_path / ("n" * 255)
    analysis = empty_analysis()
    write_analysis(analysis, folder)
    write_analysis(analysis, folder)
    assert names(folder) == set(FILES)
    write_whole(tmp_path / ("f" * 255), "x")
    video = tmp_path / f"{'v' * 251}.mp4"
    with VideoWriter(video, 25, 64, 48) as writer:
        writer.write(np.zeros((48, 64), np.uint8))
    assert names(tmp_path) == {folder.name, "f" * 255, video.name}


@pytest.mark.parametrize(
    ("name", "got"), [("taken", "Not a directory"), ("n" * 256, "File name too long")]
)
@POSIX
def test_a_folder_that_cannot_be_is_refused_before_the_analysis(
    tmp_path: Path, name: str, got: str
) -> None:
    (tmp_path / "taken").write_text("x")
    outcome = analyse_one(Input(tmp_path / "no video", name), Job(tmp_path), None)
    assert got in outcome.error
    assert outcome.error.startswith("expected to write results to ")


@POSIX
def test_a_link_to_a_name_that_is_no_utf8_leads_to_the_video(tmp_path: Path) -> None:
    video = tmp_path / os.fsdecode(b"caf\xe9 100%.mp4")
    folder = tmp_path / "out"
    write_analysis(empty_analysis(str(video)), folder)
    media = ET.parse(folder / "events.eaf").find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None
    place = unquote_to_bytes(media.attrib["MEDIA_URL"].removeprefix("file://"))
    assert place == os.fsencode(video)
    beside = unquote_to_bytes(media.attrib["RELATIVE_MEDIA_URL"])
    assert beside == b"../" + os.fsencode(video.name)


@POSIX
def test_a_name_that_is_no_utf8_is_printed(tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"caf\xe9.mp4")
    command = [
        sys.executable,
        "-m",
        "micromimic",
        "analyze",
        str(name),
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run(command, check=False, capture_output=True)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith(b"micromimic: error: caf\\udce9: expected ")


# ---------------------------------------------------------------------------------- killed


KILLED = """
import os, signal, sys
from pathlib import Path
from micromimic.core.files import begun
folder = Path(sys.argv[1])
with begun(folder, as_folder=True) as staging, begun(folder) as file, begun(folder, ".mp4") as film:
    (staging / "report.html").write_text("a face")
    file.write_text("a face")
    film.write_text("a face")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def leave(folder: Path) -> None:
    """What a process killed in the middle leaves; and what an earlier version left."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(folder)) == 3
    old = folder / ".talk.0123abcd.part"
    old.mkdir()
    (old / "report.html").write_text("a face")


@POSIX
def test_what_a_killed_run_left_is_gone_after_the_next_into_that_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    leave(out)
    (out / ".hidden.part").write_text("somebody else's")
    (out / "notes.part").write_text("somebody else's")
    missing = Input(tmp_path / "no video.mp4", "x")
    assert run([missing], Job(out), Workers()) == 1
    assert names(out) == {".hidden.part", "notes.part"}


@POSIX
def test_whatever_writes_first_into_a_folder_sweeps_it(tmp_path: Path) -> None:
    def film(folder: Path) -> None:
        with VideoWriter(folder / "v.mp4", 25, 64, 48) as writer:
            writer.write(np.zeros((48, 64), np.uint8))

    for number, write in enumerate(
        (
            film,
            lambda folder: write_whole(folder / "v.mp4", "x"),
            lambda folder: write_analysis(empty_analysis(), folder / "v.mp4"),
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        leave(folder)
        write(folder)
        assert names(folder) == {"v.mp4"}


@POSIX
def test_a_folder_with_nothing_but_leftovers_counts_as_empty(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    leave(tmp_path)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="something in it"):
        synth_databases(tmp_path, clips_per_class=1, faces="warped")
    assert names(tmp_path) == {"mine.txt"}


@POSIX
def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    with (
        begun(tmp_path, as_folder=True) as staging,
        begun(tmp_path) as file,
        VideoWriter(tmp_path / "v.mp4", 25, 64, 48) as writer,
    ):
        writer.write(np.zeros((48, 64), np.uint8))
        script = (
            "import sys; from pathlib import Path; from micromimic.core.files import sweep_left; "
        )
        script += "sys.exit(sweep_left(Path(sys.argv[1])))"
        assert (
            subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False).returncode
            == 0
        )
        assert names(tmp_path) == {staging.name, file.name, writer.temporary.name}
    assert names(tmp_path) == {"v.mp4"}


def test_without_locks_it_is_age_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    monkeypatch.setattr(files, "_locked", lambda path, wait: nullcontext(None))
    old, new = (tmp_path / f".micromimic-{digit * 16}.part" for digit in "ab")
    for path in (old, new):
        path.write_text("x")
    hours_ago = old.stat().st_mtime - 7200
    os.utime(old, (hours_ago, hours_ago))
    assert sweep_left(tmp_path) == 1
    assert names(tmp_path) == {new.name}


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="expected to write"):
        write_whole(tmp_path / "file" / "deeper", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="expected to write"):
        write_whole(tmp_path / "folder", "x")
    assert names(tmp_path) == {"file", "folder"}


# ------------------------------------------------------------- other commands' outputs

TOO_LONG = "n" * 256


def said(*words: object) -> str:
    """The last line of a command that fails, run in this process."""
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        assert main(list(map(str, words))) == 1
    return errors.getvalue().splitlines()[-1]


def flow_manifest(folder: Path) -> Path:
    """Twelve flow maps of four people."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        assert cv2.imwrite(
            str(folder / f"{number}.png"), rng.integers(90, 160, (28, 28, 3), np.uint8)
        )
        label = THREE.names[number % 3]
        rows.append(f"smic,s{number // 3},{number},{label},flow_map,{number}.png")
    path = folder / "m.csv"
    path.write_text("\n".join(["dataset,subject,clip,label,kind,path", *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    "words",
    [
        ("synth", "clips", "--count", 1, "--out"),
        ("synth", "databases", "--out"),
        ("demo", "--out"),
        ("evaluate", "m.csv", "--out"),
        ("audit", "m.csv", "--model", "flow-template", "--out"),
        ("train", "m.csv", "--model", "flow-template", "--out"),
        ("train", "m.csv", "--model", "flow-template", "--out", "m.onnx", "--tensorboard"),
        ("export", "--data", "d", "--coder", "kim", "--out"),
        ("datasets", "figures", "m.csv", "--out"),
        ("datasets", "prepare", "m.csv", "--cache"),
        ("datasets", "index", "--smic", ".", "--out"),
    ],
    ids=lambda words: " ".join(map(str, words[:2])),
)
@pytest.mark.parametrize("place", ["", "deeper/"])
@POSIX
def test_a_name_too_long_is_refused_before_the_work(
    words: tuple[object, ...], place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flow_manifest(tmp_path)
    before = names(tmp_path)
    line = said(*words, place + TOO_LONG)
    assert line.startswith("micromimic: error: expected to write results to ")
    assert "File name too long" in line
    assert names(tmp_path) == before


@pytest.mark.parametrize("name", ["n" * 250 + ".onnx", "n" * 253, "m.pt", "there"])
@POSIX
def test_a_model_and_what_lies_beside_it_have_names(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too long with what is added to it; its weights in its own place; a folder's."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    flow_manifest(tmp_path)
    (tmp_path / "there").mkdir()
    before = names(tmp_path)
    line = said("train", "m.csv", "--model", "flow-capsnet", "--init", "none", "--out", name)
    assert line.startswith("micromimic: error: expected ") and line.endswith("m.onnx") == (
        name == "m.pt"
    )
    assert "unexpected" not in line and names(tmp_path) == before


@POSIX
def test_prepared_clips_are_refused_a_place_before_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").mkdir()
    assert cv2.imwrite(str(tmp_path / "f" / "1.png"), np.zeros((64, 64), np.uint8))
    clip = Clip("smic", "s", "c", "negative", "frames", tmp_path / "f", fps=100.0)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("work has begun")

    monkeypatch.setattr("micromimic.preparation.cache.prepare_clip", never)
    with pytest.raises(OutputError, match="File name too long"):
        prepare_all([clip], ["flow"], tmp_path / TOO_LONG)


@POSIX
def test_a_manifest_names_what_is_no_utf8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    clip = Clip("smic", "s", "c", "negative", "frames", folder, fps=100.0)
    with pytest.raises(InputError, match=r"UTF-8 in a table, got 'smic,s,c,.*caf\\udce9.*'"):
        write_manifest(tmp_path / "m.csv", [clip])
    assert names(tmp_path) == set()


@POSIX
def test_a_run_tells_where_weights_started_under_any_name(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    manifest = flow_manifest(tmp_path)
    start = tmp_path / os.fsdecode(b"caf\xe9.onnx")
    shutil.copyfile(SHIPPED, start)
    out = tmp_path / os.fsdecode(b"r\xfcn")
    evaluate("flow-capsnet", manifest, protocol="apply", init=start, out=out)
    assert "caf\ufffd.onnx" in (tmp_path / os.fsdecode(b"r\xfcn") / "tables.md").read_text("utf-8")


def test_names_of_downloads_fit_a_header_and_a_disk() -> None:
    pytest.importorskip("fastapi")
    from micromimic.workstation.routes.export import _plain
    from micromimic.workstation.uploads import shown_name

    for name in ("..", ".", ".mp4", "...mp4", "a/../b", "\u202e", "%2e%2e", "caf\udce9", "x" * 300,
                 'a"; filename="b', "a\r\nSet-Cookie: b"):  # fmt: skip
        given = _plain(shown_name(name).rsplit(".", 1)[0])
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}", given), (name, given)
