"""Damaged and malicious videos through the real worker: each job ends as a result or one line.

``MICROMIMIC_FUZZ_RUNS=500 pytest tests/test_decoder_fuzz.py`` tries more of them than the few of
every day; run n is the same on every machine (``MICROMIMIC_FUZZ_FIRST`` starts at another).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from pathlib import Path
from uuid import uuid4

import av
import numpy as np
import pytest

pytest.importorskip("sqlalchemy")

from micromimic.synthesis.clips import ClipConfig, write_clip
from micromimic.workstation.jobs.confinement import Limits
from micromimic.workstation.jobs.results import RESULTS
from micromimic.workstation.jobs.runner import JobRunner
from micromimic.workstation.jobs.supervise import TimeLimits
from micromimic.workstation.records import jobs, recordings, reviews
from micromimic.workstation.records.database import Store, open_store
from micromimic.workstation.records.models import Consent, Recording
from micromimic.workstation.settings import Settings

from ..mutations import mutated

pytestmark = pytest.mark.needs("web")
RUNS = int(os.environ.get("MICROMIMIC_FUZZ_RUNS", "2"))
FIRST = int(os.environ.get("MICROMIMIC_FUZZ_FIRST", "0"))
PATIENCE_S = 300.0
CLIP = ClipConfig(
    seconds=2.0, fps=15.0, width=320, height=240, face_px=220.0, peak_px=2.0,
    events_per_minute=30.0, macros_per_minute=0.0, blinks_per_minute=0.0,
    head_moves_per_minute=0.0,
)  # fmt: skip


def test_mutations_differ_and_repeat() -> None:
    original = np.random.default_rng(1).bytes(50_000) + b"mdat" + bytes(1000)
    made = [mutated(original, run) for run in range(30)]
    assert len(set(made)) == 30 and original not in made
    assert made == [mutated(original, run) for run in range(30)]


def originals(folder: Path, request: pytest.FixtureRequest) -> list[bytes]:
    write_clip(folder / "clip.mp4", CLIP, 5, crf=16, preset="superfast")
    # With its index in front, and in a container that needs none: more of the damage is decoded.
    files = [folder / "front.mp4", folder / "clip.mkv"]
    for path in files:
        options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
        with (
            av.open(str(folder / "clip.mp4")) as source,
            av.open(str(path), "w", options=options) as sink,
        ):
            stream = sink.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    sink.mux(packet)
    try:
        real = request.getfixturevalue("shared_videos")
    except pytest.skip.Exception:  # without them, the synthetic clip alone
        pass
    else:
        files += sorted(real.iterdir())
    return [path.read_bytes() for path in files]


def add(store: Store, name: str, data: bytes) -> Recording:
    recording_id = uuid4().hex
    store.folder(recording_id).mkdir(parents=True)
    (store.folder(recording_id) / "video.mp4").write_bytes(data)
    return recordings.add_recording(
        store,
        id=recording_id,
        name=name,
        extension=".mp4",
        size_bytes=len(data),
        sha256="0" * 64,
        consent=Consent(given=True),
        expires_at=None,
    )


def test_every_damaged_video_ends_its_job(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    sources = originals(tmp_path, request)
    settings = Settings(tmp_path / "data", max_seconds=60, memory_mb=1500)
    # The synthetic ones are small: they take three runs of four.
    cases = {
        f"run {run}": mutated(sources[run % 2 if run % 4 else run // 4 % len(sources)], run)
        for run in range(FIRST, FIRST + RUNS)
    }
    with open_store(settings.data) as store:
        bad = [add(store, name, data) for name, data in cases.items()]
        good = add(store, "whole", sources[0])
        limits = Limits(memory_mb=1500, cpu_s=240, file_mb=500)
        asyncio.run(_work_off(store, settings, limits))
        for recording in bad:
            _check_end(store, recording)
        after = recordings.get_recording(store, good.id).job
        assert (after.status, after.error) == ("done", "")
        assert not list(settings.data.glob("recordings/*/.work-*"))
        assert not [t for t in threading.enumerate() if t.name.startswith("micromimic")]


async def _work_off(store: Store, settings: Settings, limits: Limits) -> None:
    stepped = asyncio.Event()
    times = TimeLimits(300.0, 120.0)
    runner = JobRunner(store, settings, limits=limits, times=times, on_step=stepped.set)
    await runner.start()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while jobs.list_jobs(store, "queued") or jobs.list_jobs(store, "running"):
                stepped.clear()
                await stepped.wait()
    finally:
        await runner.stop()


def _check_end(store: Store, recording: Recording) -> None:
    job = recordings.get_recording(store, recording.id).job
    names = {p.name for p in store.folder(recording.id).iterdir()}
    if "MICROMIMIC_FUZZ_RUNS" in os.environ:  # who asks for more wants to see them
        sys.stderr.write(f"{recording.name}: {job.status} {job.error}\n")
    if job.status == "done":
        assert names >= {*RESULTS, "video.mp4"}
        assert reviews.get_analysis(store, recording.id) is not None
    else:
        assert job.status == "failed"
        assert names == {"video.mp4"}
        assert job.error.startswith("expected ") and "\n" not in job.error, job.error
        assert "server's own" not in job.error  # every failure is the worker's
        assert str(store.data) not in job.error
