"""Analyses, copies and prepared clips on a dask cluster of processes, some of which are killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.cli.main import main
from micromimic.core.workers import Workers, on_workers
from micromimic.datasets.manifest import Clip
from micromimic.evaluation.run import RunConfig, run_protocol
from micromimic.motion.spotting.config import SpottingConfig
from micromimic.preparation.cache import file_of, prepare_all
from micromimic.report.write import FILES
from micromimic.synthesis.clips import ClipConfig, plan_clip, render, write_clip

from ..scheduler_file import address_in
from ..waiting import wait_for
from .test_run import make_samples

pytestmark = pytest.mark.needs("cluster")

CLIP = ClipConfig(
    seconds=3.0, fps=30.0, width=320, height=240, face_px=220.0, events_per_minute=20,
    macros_per_minute=0, blinks_per_minute=0, head_moves_per_minute=0, peak_px=2.0,
)  # fmt: skip
VIDEOS = 3


@dataclass
class Cluster:
    """A scheduler, and workers that may be killed."""

    address: str
    start_worker: Callable[[], subprocess.Popen[bytes]]
    workers: list[subprocess.Popen[bytes]]

    @property
    def words(self) -> list[str]:
        return ["--backend", "dask", "--scheduler", self.address]

    def kill_one(self) -> None:
        """One worker goes, and another comes where it was the last."""
        lost = self.workers.pop()
        lost.send_signal(signal.SIGKILL)
        assert lost.wait() == -signal.SIGKILL
        if not self.workers:
            self.workers.append(self.start_worker())


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    from distributed import Client

    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    common = ("--scheduler-file", str(file), "--host", "127.0.0.1")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with ExitStack() as stack:

        def start(name: str, *words: str) -> subprocess.Popen[bytes]:
            line = [sys.executable, "-m", f"distributed.cli.{name}", *common, *words]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            process = subprocess.Popen(line, cwd=folder, env=environment, **quiet)
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        def start_worker() -> subprocess.Popen[bytes]:
            return start("dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard",
                         "--local-directory", str(folder))  # fmt: skip

        scheduler = start("dask_scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        wait_for(lambda: address_in(file) or scheduler.poll() is not None)
        address = address_in(file)
        assert address is not None, "no scheduler"
        workers = [start_worker(), start_worker()]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield Cluster(address, start_worker, workers)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    write_clip(folder / "v0.mp4", CLIP, seed=1)
    for number in range(1, VIDEOS):
        (folder / f"v{number}.mp4").write_bytes((folder / "v0.mp4").read_bytes())
    return folder


def whole(out: Path) -> dict[str, int]:
    """Inputs with all of their files, and when they were written."""
    found = {path.parent.name for path in out.glob("[!.]*/events.json")}
    assert all((out / name / file).is_file() for name in found for file in FILES)
    return {name: (out / name / "events.json").stat().st_mtime_ns for name in found}


def test_a_folder_of_videos_goes_on_where_it_was_killed(
    cluster: Cluster, videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)  # workers are elsewhere: relative names must reach them whole
    words = ["analyze", os.path.relpath(videos), "--out", "out", *cluster.words, "--continue"]
    process = subprocess.Popen(
        [sys.executable, "-m", "micromimic", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()  # the first is complete
    process.kill()
    noted = process.stderr.read().decode()
    process.communicate()
    assert "dask dashboard: http://127.0.0.1:" in noted
    before = whole(Path("out"))
    assert before
    assert main(words) == 0
    after = whole(Path("out"))
    assert sorted(after) == [f"v{number}" for number in range(VIDEOS)]
    assert {name: after[name] for name in before} == before
    said = capfd.readouterr().out
    assert f"of {VIDEOS} inputs are complete in out already" in said
    assert f"{VIDEOS} of {VIDEOS} inputs analysed" in said
    here = analyze(videos / "v0.mp4", config=AnalyzeConfig(spotting=SpottingConfig()))
    found = [json.loads(Path("out", name, "events.json").read_text()) for name in after]
    wanted = json.loads(json.dumps(here.to_dict()["events"]))
    assert [entry["events"] for entry in found] == [wanted] * VIDEOS

    # what changed since, or was made of something else, is not taken for complete
    os.utime(videos / "v1.mp4")
    (Path("out") / "v2" / "curve.csv").unlink()
    assert main(["analyze", str(videos), "--out", "out", "--continue"]) == 0
    assert f"1 of {VIDEOS} inputs are complete in out already" in capfd.readouterr().out
    assert whole(Path("out"))["v0"] == after["v0"]
    assert whole(Path("out"))["v1"] > after["v1"]


def test_sensitivity_on_a_cluster_finds_what_it_finds_here(
    cluster: Cluster, videos: Path, tmp_path: Path
) -> None:
    words = ["sensitivity", str(videos / "v0.mp4"), "--sizes", ".7", "--per-size", "1"]
    there, here = tmp_path / "there", tmp_path / "here"
    assert main([*words, "--out", str(there), *cluster.words]) == 0
    # the recording as it is needs no second analysis
    copies = shutil.ignore_patterns("size-*")
    shutil.copytree(there / "sensitivity.parts", here / "sensitivity.parts", ignore=copies)
    assert main([*words, "--out", str(here)]) == 0
    assert (there / "sensitivity.csv").read_bytes() == (here / "sensitivity.csv").read_bytes()


def test_preparation_loses_a_worker_and_no_clip(cluster: Cluster, tmp_path: Path) -> None:
    plan = plan_clip(replace(CLIP, colour=True), 2)
    pictures = list(render(plan, frames=range(0, 18, 2)))
    clips = []
    for number in range(6):
        folder = tmp_path / f"s{number}"
        folder.mkdir()
        for k, picture in enumerate(pictures):
            brighter = np.clip(picture.astype(int) + number, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"img{k}.bmp"), brighter[..., ::-1])
        clips.append(Clip("db", f"s{number}", "c", "a", "frames", folder, apex=6, fps=15.0))

    def kill_one(done: int, total: int | None, stage: str) -> None:
        if done == 1:
            cluster.kill_one()

    there, here = tmp_path / "there", tmp_path / "here"
    with on_workers(Workers(backend="dask", scheduler=cluster.address)):
        assert prepare_all(clips, ("faces",), there, progress=kill_one) == []
    assert prepare_all(clips, ("faces",), here) == []
    for clip in clips:
        kept = file_of(clip, "faces", there)
        assert kept.read_bytes() == file_of(clip, "faces", here).read_bytes()


@pytest.mark.needs("train")
def test_a_run_loses_a_worker_and_no_fold(cluster: Cluster, tmp_path: Path) -> None:
    samples, config, out = make_samples(), RunConfig(model="flow-svm"), tmp_path / "run"

    def kill_one(done: int, total: int | None, stage: str) -> None:
        if done == 1:
            cluster.kill_one()

    where = Workers(backend="dask", scheduler=cluster.address)
    result = run_protocol(samples, config, out, workers=where, progress=kill_one)
    local = run_protocol(samples, config, tmp_path / "local")
    assert result.predictions.equals(local.predictions)
    kept = sorted(path.name for path in (out / "folds").glob("*.npz"))
    assert kept == [f"{k:04d}.npz" for k in range(6)]
