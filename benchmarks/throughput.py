"""Frames a second of each stage and of the whole of ``analyze``, with peak memory.

    python benchmarks/throughput.py [--seconds 30] [--fps 200] [--video FILE] [--repeat 2]
    python benchmarks/throughput.py --against ../other/src --repeat 5

A synthetic 640x480 clip is rendered first (not measured) and stored as a camera would, H.264 at
quality 18; ``--video`` measures your own. Stages are timed alone, in one process;
the whole runs in a process of its own, from a cold start, so that its peak memory is its own.

``--against`` compares ``micromimic analyze`` of another checkout (``git worktree add``) with this
one's, whole processes in turn: medians of processor time, wall time and peak memory, and this one's
over the other's. On a machine with other work the processor time is the one to trust.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from micromimic.face.landmarks import DlibLandmarks
from micromimic.face.tracking import FaceTracker
from micromimic.media.video import VideoWriter, open_source
from micromimic.models.onnx import load_model
from micromimic.motion.flow import flow_of_spans
from micromimic.motion.spotting.cells import spot
from micromimic.synthesis import clips
from micromimic.synthesis.clips import ClipConfig

WHOLE = """
import json, resource, sys, time
start = time.perf_counter()
from micromimic.analysis.analyze import analyze
result = analyze(sys.argv[1])
middle = time.perf_counter()
from pathlib import Path
from micromimic.report.write import write_analysis
write_analysis(result, Path(sys.argv[2]))
end = time.perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"frames": result.source.frames, "events": len(result.events),
                  "analyze": middle - start, "all": end - start, "mib": peak}))
"""


def fastest(action: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest run."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - start)
    return best


def stage_times(video: Path, repeat: int) -> list[tuple[str, float, str]]:
    """Rows of (stage, seconds, per what)."""
    with open_source(video) as source:
        grays = [frame.gray for frame in source][:2000]
        times = [i / (source.nominal_fps or 200.0) for i in range(len(grays))]

    def decode() -> None:
        with open_source(video) as source:
            for _ in source:
                pass

    with open_source(video) as source:
        total = sum(1 for _ in source)
    backend = DlibLandmarks()

    def track() -> FaceTracker:
        tracker = FaceTracker(backend=backend)
        for gray, moment in zip(grays, times, strict=True):
            tracker.update(gray, moment)
        return tracker

    signals = track().finish()
    rng = np.random.default_rng(0)
    # Two frames of a face, 50 ms apart: a picture against itself would end TV-L1 at once.
    rows = np.flatnonzero(signals.found)
    first, second = rows[len(rows) // 2], rows[len(rows) // 2 + 10]
    shown = [(grays[row], signals.transform[row]) for row in (first, second)]
    model = load_model()
    maps = rng.normal(size=(1, 3, 28, 28)).astype(np.float32)
    return [
        ("decode", fastest(decode, repeat) / total, "frame"),
        ("track, stabilise, measure", fastest(track, repeat) / len(grays), "frame"),
        ("spot", fastest(lambda: spot(signals), repeat) / len(grays), "frame"),
        ("flow (TV-L1)", fastest(lambda: flow_of_spans(shown[:1], shown[1:]), repeat), "event"),
        ("classify", fastest(lambda: model.predict(maps), repeat), "event"),
    ]


def render(path: Path, config: ClipConfig) -> None:
    """A synthetic clip as a camera stores it."""
    size = (config.width, config.height)
    with VideoWriter(path, config.fps, *size, lossless=False, crf=18) as writer:
        for frame in clips.render(clips.plan_clip(config, 1)):
            writer.write(frame)


def whole(video: Path, out: Path) -> dict[str, float]:
    """A cold ``analyze`` in a process of its own."""
    command = [sys.executable, "-c", WHOLE, str(video), str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def compared(video: Path, other: Path, out: Path, repeat: int) -> None:
    """Print what this checkout and another take for a whole analysis."""
    sources = [other.resolve(), Path(__file__).resolve().parents[1] / "src"]
    spent: dict[Path, list[tuple[float, float, float]]] = {source: [] for source in sources}
    command = [sys.executable, "-m", "micromimic", "analyze", str(video), "--out", str(out)]
    for source in sources * repeat:
        start = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": str(source)}
        running = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            raise SystemExit(f"expected an analysis by {source}, got exit {running.returncode}")
        wall = time.perf_counter() - start
        spent[source].append((used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024))
    medians = [np.median(spent[source], axis=0) for source in sources]
    print("| | processor s | wall s | MiB |\n|---|---|---|---|")
    rows = zip(("other", "this", "ratio"), (*medians, medians[1] / medians[0]), strict=True)
    for name, (cpu, wall, mib) in rows:
        print(f"| {name} | {cpu:.2f} | {wall:.2f} | {mib:.{2 if name == 'ratio' else 0}f} |")


def help_seconds(repeat: int) -> float:
    """Fastest start of ``micromimic --help``."""
    command = [sys.executable, "-m", "micromimic", "--help"]
    return fastest(lambda: subprocess.run(command, check=True, capture_output=True), repeat)


def main() -> None:
    """Render, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--fps", type=float, default=200.0)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--against", type=Path, metavar="SRC", help="of another checkout")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = options.video or Path(folder) / "clip.mp4"
        if options.video is None:
            render(video, ClipConfig(seconds=options.seconds, fps=options.fps))
        print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
              f"load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
        if options.against:
            compared(video, options.against, Path(folder) / "out", options.repeat)
            return
        # First, while this process is small: a child's peak memory starts at its parent's.
        runs = [whole(video, Path(folder) / f"out{i}") for i in range(options.repeat)]
        print("| stage | ms | a second |\n|---|---|---|")
        for name, seconds, per in stage_times(video, options.repeat):
            print(f"| {name} | {1e3 * seconds:.2f} a {per} | {1 / seconds:.0f} {per}s |")
        best = min(runs, key=lambda run: run["analyze"])
        frames = best["frames"]
        print(f"| **analyze**, cold start | {1e3 * best['analyze'] / frames:.2f} a frame "
              f"| **{frames / best['analyze']:.0f} frames** |")  # fmt: skip
        print(f"| analyze and write the report | {1e3 * best['all'] / frames:.2f} a frame "
              f"| {frames / best['all']:.0f} frames |")  # fmt: skip
        print(f"\n{frames} frames, {best['events']} events, peak memory {best['mib']:.0f} MiB")
        print(f"micromimic --help: {help_seconds(5):.2f} s")


if __name__ == "__main__":
    main()
