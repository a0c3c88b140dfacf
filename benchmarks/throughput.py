"""What a whole ``analyze`` takes: against decoding alone, and against another checkout.

    python benchmarks/throughput.py [--clips FOLDER] [--video FILE ...] [--repeat 5]
    python benchmarks/throughput.py --against ../other/src
    python benchmarks/throughput.py --start

Synthetic clips are rendered first (not measured) and stored as a camera would, H.264 at quality 18;
``--clips`` keeps them for the next time, ``--video`` measures one's own. Everything is a process of
its own from a cold start, run in turn, so that other work on the machine meets all alike: decoding
by PyAV and nothing else, by ``open_source``, and ``micromimic analyze`` with its report. Medians of
the runs, and the ratios of each round, with their range. On a machine with other work the
processor time is the one to trust.

``--against`` puts another checkout (``git worktree add``) into the turns and compares what both
found; it ends with 1 where the events differ. ``--start``: the fastest ``--help``, first tracked
frame, and ``recognize`` in a loop. Where a frame's time goes: `profile_frame.py`.
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from typing import Any

# Standard library only: a child's peak memory starts at its parent's.

SRC = Path(__file__).resolve().parents[1] / "src"

RENDER = """
import sys
from micromimic.media.video import VideoWriter
from micromimic.synthesis import clips
width, height, fps, seconds = map(float, sys.argv[2:])
size = int(width), int(height)
config = clips.ClipConfig(seconds=seconds, fps=fps, width=size[0], height=size[1])
with VideoWriter(sys.argv[1], fps, *size, lossless=False, crf=18) as writer:
    for frame in clips.render(clips.plan_clip(config, 1)):
        writer.write(frame)
"""
PYAV = """
import sys, av
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.thread_type = "AUTO"
    for frame in container.decode(stream):
        pass
"""
DECODE = """
import sys
from micromimic.media.video import open_source
with open_source(sys.argv[1]) as source:
    for frame in source:
        pass
"""
RECOGNIZE = """
import statistics, sys, time
from itertools import islice
from micromimic import recognize
from micromimic.media.video import open_source
with open_source(sys.argv[1]) as source:
    pictures = [frame.gray.copy() for frame in islice(source, 11)]
spent = []
for _ in range(21):
    start = time.perf_counter(), time.process_time()
    recognize(pictures[0], pictures[-1])
    spent.append((time.perf_counter() - start[0], time.process_time() - start[1]))
print(*spent[0], *map(statistics.median, zip(*spent[1:])))
"""


@dataclass(frozen=True)
class Spent:
    """What one process took."""

    processor: float  # seconds, of all its threads
    wall: float  # seconds
    mib: float  # peak memory


def spend(command: Sequence[str], source: Path = SRC, output: Any = subprocess.DEVNULL) -> Spent:
    """Run Python with this ``command`` line on a checkout's ``src``."""
    environment = {**os.environ, "PYTHONPATH": str(source.resolve())}
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        running = subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=output, stderr=errors
        )
        _, status, used = os.wait4(running.pid, 0)
        wall = time.perf_counter() - start
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode:
            errors.seek(0)
            trace = errors.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"expected success, got {running.returncode}: {command}\n{trace}")
    return Spent(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)


def clip(folder: Path, size: str, fps: float, seconds: float) -> Path:
    """A synthetic clip as a camera stores it, rendered unless it is there. ``size``: 640x480."""
    path = folder / f"{size}_{fps:g}_{seconds:g}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"rendering {path.name}", file=sys.stderr)
        spend(["-c", RENDER, str(path), *size.split("x"), str(fps), str(seconds)])
    return path


def analyze(video: Path, out: Path) -> list[str]:
    return ["-m", "micromimic", "analyze", str(video), "--out", str(out), "--again"]


def in_turn(commands: Mapping[str, Callable[[], Spent]], repeat: int) -> dict[str, list[Spent]]:
    runs: dict[str, list[Spent]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, run in commands.items():
            runs[name].append(run())
    return runs


def tabulate(title: str, runs: Mapping[str, list[Spent]]) -> None:
    """Print medians, and the last row over each one before."""
    print(f"\n| {title} | processor s | wall s | peak MiB |\n|---|---|---|---|")
    columns = {name: list(zip(*map(astuple, each), strict=True)) for name, each in runs.items()}
    for name, values in columns.items():
        processor, wall, mib = map(median, values)
        print(f"| {name} | {processor:.2f} | {wall:.2f} | {mib:.0f} |")
    *others, (last, mine) = columns.items()
    for name, theirs in others:
        cells = []
        for spent, base in zip(mine, theirs, strict=True):
            ratios = [a / b for a, b in zip(spent, base, strict=True)]
            cells.append(f"**{median(ratios):.2f}** ({min(ratios):.2f}-{max(ratios):.2f})")
        print(f"| {last} / {name} | {' | '.join(cells)} |")


def compared(video: Path, other: Path | None, out: Path, repeat: int) -> bool:
    """Print what an analysis takes; whether both checkouts found the same."""
    theirs, ours = out / "theirs", out / "ours"
    commands = {
        "PyAV alone": lambda: spend(["-c", PYAV, str(video)]),
        "decoding alone": lambda: spend(["-c", DECODE, str(video)]),
    }
    if other is not None:
        source = other
        commands["other"] = lambda: spend(analyze(video, theirs), source)
    commands["analyze"] = lambda: spend(analyze(video, ours))
    tabulate(video.name, in_turn(commands, repeat))
    found = events_in(ours)
    print(f"\n{len(found)} events")
    if other is None:
        return True
    before = events_in(theirs)
    gone = [event for event in before if not any(is_same(event, known) for known in found)]
    new = [event for event in found if not any(is_same(event, known) for known in before)]
    print(f"{len(before)} of the other, {len(before) - len(gone)} the same: class and kind equal, "
          "onset, apex and offset within a frame")  # fmt: skip
    for sign, event in [*(("-", event) for event in gone), *(("+", event) for event in new)]:
        print(f"    {sign} {event['kind']} {event['label']} {frames_of(event)}")
    return not gone and not new


def events_in(out: Path) -> list[dict[str, Any]]:
    (path,) = out.rglob("events.json")
    return list(json.loads(path.read_text(encoding="utf-8"))["events"])


def frames_of(event: Mapping[str, Any]) -> list[int]:
    return [event[f"{moment}_frame"] for moment in ("onset", "apex", "offset")]


def is_same(event: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    near = all(abs(a - b) <= 1 for a, b in zip(frames_of(event), frames_of(other), strict=True))
    return near and all(event[key] == other[key] for key in ("kind", "label"))


def starts(video: Path, source: Path, folder: Path, repeat: int) -> None:
    """Print how soon the first answers come: the fastest of several, wall / processor time."""
    inside = [str(Path(__file__).with_name("profile_frame.py")), "--first", "--inside"]
    marks = folder / "marks.json"
    runs = []
    for _ in range(repeat):
        helped = spend(["-m", "micromimic", "--help"], source)
        command = [*inside, str(marks), "--began", str(time.monotonic_ns())]
        spend([*command, *analyze(video, folder / "out")[2:]], source)
        first = json.loads(marks.read_text(encoding="utf-8"))["first frame"]
        with tempfile.TemporaryFile("w+") as printed:
            spend(["-c", RECOGNIZE, str(video)], source, printed)
            printed.seek(0)
            calls = map(float, printed.read().split())
        began = (first["wall"] / 1e9, first["processor"] / 1e9)
        runs.append([helped.wall, helped.processor, *began, *calls])
    best = [f"{1e3 * min(values):.0f}" for values in zip(*runs, strict=True)]
    cells = [" / ".join(best[k : k + 2]) for k in range(0, len(best), 2)]
    print(f"| {source} | {' | '.join(cells)} |")


def machine() -> str:
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    kind = platform.processor() or platform.machine()
    return f"{kind}, {cores} cores, load {os.getloadavg()[0]:.1f}"


def main() -> int:
    """Render, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, default=200.0)
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x720"], metavar="WxH")
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="keep rendered clips there")
    parser.add_argument("--video", type=Path, nargs="+", help="instead of rendered clips")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--against", type=Path, metavar="SRC", help="of another checkout")
    parser.add_argument("--start", action="store_true", help="how soon the first answers come")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        videos = options.video or [
            clip(options.clips or folder, size, options.fps, options.seconds)
            for size in options.sizes[: 1 if options.start else None]
        ]
        print(f"machine: {machine()}")
        if options.start:
            print("\n| ms, wall / processor | --help | first frame | first recognize | the next |")
            print("|---|---|---|---|---|")
            for source in [*filter(None, [options.against]), SRC]:
                starts(videos[0], source, folder, options.repeat)
            return 0
        same = [
            compared(video, options.against, folder / str(number), options.repeat)
            for number, video in enumerate(videos)
        ]
    return 0 if all(same) else 1


if __name__ == "__main__":
    sys.exit(main())
