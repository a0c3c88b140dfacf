"""What a batch costs: ``micromimic analyze FOLDER --jobs N``, and whether anything grows in it.

    python benchmarks/batch_cost.py [--files 8] [--seconds 6] [--jobs 1 2] [--repeat 3]
                                    [--videos FOLDER] [--against ../other/src]
    python benchmarks/batch_cost.py --growth --files 300 --seconds 2 --fps 50 --jobs 2

Whole processes in turn; medians of processor time (of all processes together) and wall time. N
jobs take N cores without loss where the processor time is that of one job, and what the further
processes take to start; wall times say it only on a machine without other work. ``--growth``
follows the memory, files and threads of a batch's processes (Linux).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from micromimic.media.video import VideoWriter
from micromimic.synthesis import clips
from micromimic.synthesis.clips import ClipConfig

SRC: Final = Path(__file__).resolve().parents[1] / "src"
_EVERY_S: Final = 0.5


class Cost(NamedTuple):
    """Of one batch."""

    processor_s: float  # of all its processes
    wall_s: float
    mib: float  # largest memory of one process


class Sample(NamedTuple):
    """Of a batch that runs: how many inputs are done, and what its processes have open."""

    done: int
    processes: int
    mib: float  # memory of the largest
    files: int  # most open in one
    threads: int  # most of one


def make_batch(folder: Path, files: int, config: ClipConfig) -> Path:
    """A folder of synthetic recordings of two faces; each is rendered once, and copied."""
    folder.mkdir(parents=True)
    for number in range(files):
        path = folder / f"clip{number + 1}.mp4"
        if number >= 2:
            shutil.copy(folder / f"clip{number % 2 + 1}.mp4", path)
            continue
        size = (config.width, config.height)
        with VideoWriter(path, config.fps, *size, lossless=False, crf=18) as writer:
            for frame in clips.render(clips.plan_clip(config, number)):
                writer.write(frame)
    return folder


def start(folder: Path, jobs: int, out: Path, source: Path = SRC) -> subprocess.Popen[bytes]:
    """``micromimic analyze`` of a folder by one checkout's code."""
    command = [sys.executable, "-m", "micromimic", "analyze", str(folder), "--out", str(out)]
    return subprocess.Popen(
        [*command, "--jobs", str(jobs)],
        env={**os.environ, "PYTHONPATH": str(source)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def batch_cost(folder: Path, jobs: int, source: Path = SRC) -> Cost:
    """Analyse a folder in processes of its own, from a cold start."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        running = start(folder, jobs, Path(out), source)
        _, status, used = os.wait4(running.pid, 0)  # with the workers that it has waited for
        wall = time.perf_counter() - began
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            raise SystemExit(f"expected a batch by {source}, got exit {running.returncode}")
    return Cost(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


def growth(folder: Path, jobs: int, source: Path = SRC) -> list[Sample]:
    """Follow a batch to its end, from the first result on; a sample for each further result."""
    samples: list[Sample] = []
    with tempfile.TemporaryDirectory() as out:
        running = start(folder, jobs, Path(out), source)
        while running.poll() is None:
            time.sleep(_EVERY_S)
            done = sum(1 for path in Path(out).iterdir() if path.is_dir() and path.name[0] != ".")
            if done > (samples[-1].done if samples else 0):
                seen = [found for pid in _tree(running.pid) if (found := _process(pid))]
                if seen:
                    samples.append(Sample(done, len(seen), *map(max, zip(*seen, strict=True))))
        if running.returncode:
            raise SystemExit(f"expected a batch by {source}, got exit {running.returncode}")
    return samples


def _tree(pid: int) -> list[int]:
    """A process and all that came of it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # it has ended
            if entry.name.isdecimal():
                status = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def _process(pid: int) -> tuple[float, int, int] | None:
    """Memory, open files and threads of a process; None where it has ended."""
    place = Path("/proc") / str(pid)
    try:
        pages = int((place / "statm").read_text().split()[1])
        files, threads = (sum(1 for _ in (place / name).iterdir()) for name in ("fd", "task"))
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20, files, threads


def print_costs(folder: Path, jobs: Sequence[int], sources: Sequence[Path], repeat: int) -> None:
    """Batches in turn, as a table; ratios are to the first number of jobs of the same code."""
    runs = [(source, count) for source in sources for count in jobs]
    spent: dict[tuple[Path, int], list[Cost]] = {run: [] for run in runs}
    for source, count in runs * repeat:
        spent[source, count].append(batch_cost(folder, count, source))
    medians = {run: Cost(*map(statistics.median, zip(*spent[run], strict=True))) for run in runs}
    print("| code | jobs | processor s | ratio | wall s | ratio | MiB of the largest process |")
    print("|---|---|---|---|---|---|---|")
    for (source, count), cost in medians.items():
        first = medians[source, jobs[0]]
        print(
            f"| {'this' if source == SRC else 'other'} | {count} | {cost.processor_s:.2f} "
            f"| {cost.processor_s / first.processor_s:.2f} | {cost.wall_s:.2f} "
            f"| {cost.wall_s / first.wall_s:.2f} | {cost.mib:.0f} |"
        )


def main() -> None:
    """Render, run, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--fps", type=float, default=200.0)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--videos", type=Path, metavar="FOLDER", help="instead of synthetic ones")
    parser.add_argument("--against", type=Path, metavar="SRC", help="of another checkout")
    parser.add_argument("--growth", action="store_true", help="one batch, followed to its end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.videos
        if folder is None:
            config = ClipConfig(seconds=options.seconds, fps=options.fps)
            folder = make_batch(Path(temporary) / "videos", options.files, config)
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
        if options.growth:
            samples = growth(folder, options.jobs[-1])
            print("| inputs done | processes | MiB | open files | threads |\n|---|---|---|---|---|")
            for sample in samples[:: max(1, len(samples) // 12)]:
                print(f"| {sample.done} | {sample.processes} | {sample.mib:.0f} "
                      f"| {sample.files} | {sample.threads} |")  # fmt: skip
            return
        sources = [*([options.against.resolve()] if options.against else []), SRC]
        print_costs(folder, options.jobs, sources, options.repeat)


if __name__ == "__main__":
    main()
