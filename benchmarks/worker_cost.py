"""Processor time of a recording's analysis on the workstation, and of ``micromimic analyze``.

    python benchmarks/worker_cost.py VIDEO... [--repeat 3] [--against ../other/src]

Whole processes in turn, as the server and the command line start them; medians of user and system
time. With ``--against`` the other checkout's worker is measured, too, against its own ``analyze``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from micromimic.workstation.jobs.process import COMMAND, worker_environment
from micromimic.workstation.jobs.worker import Task

SRC = Path(__file__).resolve().parents[1] / "src"


def workstation_cost(video: Path, source: Path = SRC) -> float:
    """Processor seconds of one worker, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        task = Task(str(video.resolve()), folder, video.name, os.getpid())
        environment = {**worker_environment(), "PYTHONPATH": str(source)}
        return _spent(COMMAND, environment, task.to_line())


def analyze_cost(video: Path, source: Path = SRC) -> float:
    """Processor seconds of ``micromimic analyze`` with its report."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "micromimic", "analyze", str(video), "--out", folder]
        return _spent(command, {**os.environ, "PYTHONPATH": str(source)})


def _spent(command: Sequence[str], environment: Mapping[str, str], line: bytes = b"") -> float:
    """User and system time of a process, its threads included; ``line`` goes to its stdin."""
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as running,
    ):
        assert running.stdin is not None and running.stdout is not None
        running.stdin.write(line)
        running.stdin.flush()  # and stays open: its end would be the server's
        last = ""
        for line_out in running.stdout:
            last = line_out.decode()
        _, status, used = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        if running.returncode or (line and json.loads(last) != {"finished": True}):
            errors.seek(0)
            raise SystemExit(f"expected an analysis, got {last or errors.read().decode()}")
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path, nargs="+")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="SRC", help="of another checkout")
    options = parser.parse_args()
    print("| video | checkout | analyze s | workstation s | ratio |\n|---|---|---|---|---|")
    for video in options.videos:
        sources = {"other": options.against, "this": SRC} if options.against else {"this": SRC}
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
        for name, source in list(sources.items()) * options.repeat:
            spent[name].append((analyze_cost(video, source), workstation_cost(video, source)))
        for name, runs in spent.items():
            alone, whole = (statistics.median(each) for each in zip(*runs, strict=True))
            ratio = f"{whole / alone:.2f}"
            print(f"| {video.name} | {name} | {alone:.1f} | {whole:.1f} | {ratio} |")


if __name__ == "__main__":
    main()
