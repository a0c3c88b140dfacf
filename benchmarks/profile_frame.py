"""Where each microsecond of a frame goes, and what the ends of a recording take.

    python benchmarks/profile_frame.py [--clips FOLDER] [--src ../other/src] [--sizes 640x480 ...]

Runs ``micromimic analyze`` whole, in a process of its own, on one and on two cores, with the parts
in ``PARTS`` wrapped as their modules are imported: nothing is imported earlier than it would be.
Processor time is counted by thread, and in each thread by the innermost wrapped part; what the
counting takes is measured and subtracted. ``rest`` is what a thread does outside of them: Python's
loops, mostly. Threads that are not Python's are the decoder's. What a checkout does not
have is named below its table. Needs Linux.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import inspect
import json
import os
import re
import runpy
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial, wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from throughput import SRC, analyze, clip, machine, spend

Counts = dict[str, dict[str, list[int]]]  # by thread and part: ns, calls, calls of parts inside

PARTS = {
    "micromimic.media.decoding.decoder": {"Decoder.pictures": "PyAV"},
    "micromimic.media.decoding.pixels": {"gray_of": "conversion to grey"},
    "micromimic.media.decoding.repeats": {"RepeatWatch.add": "repeat watch"},
    "micromimic.core.mailbox": {
        "Mailbox.offer": "from thread to thread",
        "Mailbox.__next__": "from thread to thread",
    },
    "micromimic.face.tracking": {
        "CutWatch.add": "cut watch",
        "FaceTracker.update": "tracking: rest",
    },
    "micromimic.face.align": {
        "reduce_face": "face made smaller",
        "Template.find": "registration",
        "Template.cell_motion": "cells and eyes",
        "Template.eye_change": "cells and eyes",
        "Template.__init__": "template renewal",
        "Template.picture": "template renewal",
    },
    "micromimic.face.landmarks": {
        "DlibLandmarks.detect": "detection, landmarks, identity",
        "DlibLandmarks.landmarks": "detection, landmarks, identity",
    },
    "micromimic.face.identity": {"FaceIdentity.embed": "detection, landmarks, identity"},
    "micromimic.motion.spotting.dense.measure": {
        "DenseMeter.add": "face for the dense flow",
        "FlowMeter.__call__": "dense flow",
        "project": "dense flow: coordinates",
    },
    "micromimic.analysis.quality": {
        "blockiness": "quality of the picture",
        "grey_levels": "quality of the picture",
    },
}
MARKS: dict[str, dict[str, tuple[str | None, str | None]]] = {  # on entering, on leaving
    "micromimic.analysis.analyze": {"analyze": ("begun", None), "track": (None, "last frame")},
    "micromimic.face.tracking": {"FaceTracker.update": (None, "first frame")},
    "micromimic.motion.spotting.joined": {"find": (None, "found")},
    "micromimic.report.write": {"write_analysis": ("evidence", "report")},
}
SUMS = ("**processor**", "**wall**", "of it waiting")
ENDS = {  # marks in order, and what has ended there
    "begun": "imports, input looked at",
    "first frame": "until the first frame is tracked",
    "last frame": "",
    "found": "find",
    "evidence": "second pass",
    "report": "report",
    "end": "exit",
}


class Meter:
    """Inside the measured process: counts by thread, and writes them when the report is there."""

    def __init__(self, out: Path, began: int, first: bool) -> None:
        self.out, self.began, self.first = out, began, first
        self.counts: Counts = {}
        self.marks: dict[str, Any] = {}
        self.missing = {f"{module}.{name}" for module in PARTS for name in PARTS[module]}
        self._here = threading.local()
        self._ended: dict[threading.Thread, int] = {}
        self._inner = self._outer = 0.0
        if not first:
            self._calibrate()

    def part(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """``call`` with its processor time counted as ``name``."""
        if inspect.isgeneratorfunction(call):

            @wraps(call)
            def steps(*args: Any, **given: Any) -> Iterator[Any]:
                advance = self.part(call(*args, **given).__next__, name)
                while True:
                    try:
                        item = advance()
                    except StopIteration:
                        return
                    yield item

            return steps

        def counted(*args: Any, **given: Any) -> Any:
            try:
                stack, sums = self._here.stack, self._here.sums
            except AttributeError:
                stack, sums = self._enter_thread()
            inside = [0, 0]
            stack.append(inside)
            start = time.thread_time_ns()
            try:
                return call(*args, **given)
            finally:
                spent = time.thread_time_ns() - start
                stack.pop()
                stack[-1][0] += spent
                stack[-1][1] += 1
                mine = sums.setdefault(name, [0, 0, 0])
                mine[0] += spent - inside[0]
                mine[1] += 1
                mine[2] += inside[1]

        return counted

    def _enter_thread(self) -> tuple[list[list[int]], dict[str, list[int]]]:
        # Of what lies in no part, "" keeps what is inside, to be taken off the thread's total.
        sums = self.counts.setdefault(name_of(threading.current_thread()), {})
        base = sums.setdefault("", [0, 0, 0])
        self._here.stack, self._here.sums = [base], sums
        return self._here.stack, sums

    def _calibrate(self) -> None:
        """What one counted call adds to its own part, and to the one around it."""
        calls = 2000
        nothing = self.part(lambda: None, "nothing")
        self.part(lambda: [nothing() for _ in range(calls)], "around")()
        sums = self.counts.pop(name_of(threading.current_thread()))
        del self._here.stack
        self._inner = sums["nothing"][0] / calls
        self._outer = sums["around"][0] / calls

    def mark(
        self, call: Callable[..., Any], enter: str | None, leave: str | None
    ) -> Callable[..., Any]:
        @wraps(call)
        def marked(*args: Any, **given: Any) -> Any:
            if enter is not None:
                self.note(enter)
            result = call(*args, **given)
            if leave is not None and not (leave == "first frame" and result is None):
                self.note(leave)
            return result

        return marked

    def note(self, mark: str) -> None:
        """Keep all counts as they are at this moment."""
        if mark in self.marks:
            return
        threads: dict[str, int] = {}
        for thread in {*threading.enumerate(), *self._ended}:
            clock = self._ended.get(thread)
            if clock is None and thread.ident is not None:
                clock = time.clock_gettime_ns(time.pthread_getcpuclockid(thread.ident))
            threads[name_of(thread)] = threads.get(name_of(thread), 0) + (clock or 0)
        parts: dict[str, dict[str, float]] = {}
        for name, total in threads.items():
            sums = dict(self.counts.get(name, {}))
            covered, _, inside = sums.pop("", [0, 0, 0])
            parts[name] = {part: self._corrected(*counted) for part, counted in sums.items()}
            parts[name]["rest"] = self._corrected(total - covered, 0, inside)
        process = time.process_time_ns()
        own = process - sum(threads.values())
        wall = time.monotonic_ns() - self.began
        self.marks[mark] = {"wall": wall, "processor": process, "parts": parts, "not Python": own}
        if mark == "report" or (self.first and mark == "first frame"):
            content = {**self.marks, "missing": sorted(self.missing)}
            self.out.write_text(json.dumps(content), encoding="utf-8")
            if self.first:
                os._exit(0)

    def _corrected(self, spent: int, calls: int, inside: int) -> float:
        return spent - calls * self._inner - inside * self._outer

    def watch_threads(self) -> None:
        """Keep what a thread took when it ends."""
        run = threading.Thread.run

        def counted(thread: threading.Thread) -> None:
            try:
                run(thread)
            finally:
                self._ended[thread] = time.thread_time_ns()

        threading.Thread.run = counted  # type: ignore[assignment, method-assign]


def name_of(thread: threading.Thread) -> str:
    if thread is threading.main_thread():
        return "main"
    return re.sub(r"[-_ ]*\d+( .*)?$", "", thread.name).removeprefix("micromimic-")


class Wrapping(importlib.abc.MetaPathFinder):
    """Wraps what ``PARTS`` and ``MARKS`` name, once their module is imported."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in PARTS and fullname not in MARKS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_wrap(module: ModuleType) -> None:
                execute(module)
                self._wrap(module)

            spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]
        return spec

    def _wrap(self, module: ModuleType) -> None:
        meter = self._meter
        for name, part in PARTS.get(module.__name__, {}).items():
            if not meter.first and replace_in(module, name, partial(meter.part, name=part)):
                meter.missing.discard(f"{module.__name__}.{name}")
        for name, (enter, leave) in MARKS.get(module.__name__, {}).items():
            replace_in(module, name, partial(meter.mark, enter=enter, leave=leave))


def replace_in(
    module: ModuleType, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> bool:
    """Replace a function, or a method of a class, where it is there."""
    owner: Any = module
    *around, last = name.split(".")
    for each in around:
        owner = getattr(owner, each, None)
    call = None if owner is None else inspect.getattr_static(owner, last, None)
    if isinstance(call, staticmethod):
        setattr(owner, last, staticmethod(wrap(call.__func__)))
    elif inspect.isfunction(call):
        setattr(owner, last, wrap(call))
    else:
        return False
    return True


def inside(out: Path, began: int, cores: int | None, first: bool, command: list[str]) -> None:
    """Run the command line in this process, measured. ``first``: end at the first frame."""
    if cores is not None:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    meter = Meter(out, began, first)
    meter.watch_threads()
    sys.meta_path.insert(0, Wrapping(meter))
    sys.argv = ["micromimic", *command]
    runpy.run_module("micromimic", run_name="__main__", alter_sys=True)


def profile(video: Path, source: Path, cores: int, folder: Path) -> dict[str, Any]:
    """The marks of one whole analysis."""
    out, began = folder / "marks.json", time.monotonic_ns()
    command = ["--inside", str(out), "--began", str(began), "--cores", str(cores)]
    spent = spend([__file__, *command, *analyze(video, folder / video.stem)[2:]], source)
    marks = json.loads(out.read_text(encoding="utf-8"))
    marks["end"] = {"wall": 1e9 * spent.wall, "processor": 1e9 * spent.processor}
    (events,) = (folder / video.stem).rglob("events.json")
    marks["frames"] = json.loads(events.read_text(encoding="utf-8"))["source"]["frames"]
    return dict(marks)


def frame_rows(marks: dict[str, Any]) -> dict[tuple[str, str], float]:
    """Microseconds a frame by thread and part, while frames are tracked. Other threads are ahead
    of the main one: of theirs all is counted from where the recording is opened."""
    begun, first, last = (marks[name] for name in ("begun", "first frame", "last frame"))
    frames: int = marks["frames"]
    rows: dict[tuple[str, str], float] = {}
    rows["decoder", "FFmpeg's threads"] = (last["not Python"] - begun["not Python"]) / frames
    for thread, parts in last["parts"].items():
        known = (first if thread == "main" else begun)["parts"].get(thread, {})
        count = frames - 1 if thread == "main" else frames
        for part, spent in parts.items():
            rows[thread, part] = (spent - known.get(part, 0)) / count
    rows = {key: spent / 1e3 for key, spent in rows.items() if abs(spent) >= 50}
    main = sum(spent for (thread, _), spent in rows.items() if thread == "main")
    wall = (last["wall"] - first["wall"]) / (frames - 1) / 1e3
    sums = [("all", sum(rows.values())), ("all", wall), ("main", wall - main)]
    return rows | {(thread, name): spent for (thread, spent), name in zip(sums, SUMS, strict=True)}


def end_rows(marks: dict[str, Any]) -> dict[str, str]:
    """Milliseconds of wall and processor time of everything but the frames."""
    rows: dict[str, str] = {}
    before: dict[str, float] = {"wall": 0, "processor": 0}
    for mark, label in ENDS.items():
        if mark not in marks:
            continue
        spent = [(marks[mark][key] - before[key]) / 1e6 for key in ("wall", "processor")]
        rows[label or "frames"] = "{:.0f} / {:.0f}".format(*spent)
        before = marks[mark]
    rows["**whole**"] = "{wall:.0f} / {processor:.0f}".format(
        **{key: spent / 1e6 for key, spent in marks["end"].items()}
    )
    return rows


def tables(title: str, columns: dict[str, dict[str, Any]]) -> None:
    """Print both tables of one size."""
    frames = [frame_rows(marks) for marks in columns.values()]
    named = [part for module in PARTS.values() for part in module.values()]
    known = ["decoder", "read", "main", "flow", "FFmpeg's threads", *named, "rest", *SUMS]
    order = {key: place for place, key in enumerate(known)}

    def rank(key: str) -> int:
        return order.get(key, len(order))

    keys = sorted(
        {key for column in frames for key in column},
        key=lambda key: (key[1] in SUMS, key[1] in SUMS or rank(key[0]), rank(key[1])),
    )
    head = " | ".join(columns)
    print(f"\n| {title}: thread | part, us a frame | {head} |\n|---|---|{'---|' * len(columns)}")
    for thread, part in keys:
        cells = [f"{column.get((thread, part), 0):.1f}" for column in frames]
        print(f"| {thread} | {part} | {' | '.join(cells)} |")
    ends = [end_rows(marks) for marks in columns.values()]
    print(f"\n| {title}: ms, wall / processor | {head} |\n|---|{'---|' * len(columns)}")
    for label in dict.fromkeys(label for column in ends for label in column):
        print(f"| {label} | {' | '.join(column.get(label, '-') for column in ends)} |")
    missing = {name for marks in columns.values() for name in marks["missing"]}
    if missing:
        print(f"\nNot in this checkout, or not used: {', '.join(sorted(missing))}.")


def main() -> None:
    """Render, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="keep rendered clips there")
    parser.add_argument("--src", type=Path, default=SRC, help="of another checkout")
    parser.add_argument("--sizes", nargs="+", default=["640x480", "1280x720", "1920x1080"])
    parser.add_argument("--fps", type=float, nargs="+", default=[100.0, 200.0])
    parser.add_argument("--on", type=int, nargs="+", default=[1, 2], metavar="CORES")
    parser.add_argument("--seconds", type=float, default=15.0)
    for name, kind in (("--inside", Path), ("--began", int), ("--cores", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--first", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options.inside, options.began, options.cores, options.first, options.command)
        return
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            columns = {}
            for fps in options.fps:
                video = clip(options.clips or Path(folder), size, fps, options.seconds)
                for cores in options.on:
                    name = f"{fps:g} frames/s, {cores} core{'s' * (cores > 1)}"
                    columns[name] = profile(video, options.src, cores, Path(folder))
            tables(size, columns)


if __name__ == "__main__":
    main()
