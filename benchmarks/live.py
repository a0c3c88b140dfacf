"""Live analysis of a synthetic camera: dropped frames, latency, delay of events, against offline.

    python benchmarks/live.py [--seconds 60] [--fps 100 200] [--seed 1] [--cache DIR]

A 640x480 clip with all disturbances is rendered first (not measured; kept in ``--cache``), stored
as a camera would, H.264 at quality 18, and played at its own speed into a live session. The same
file is then analysed offline, and the events are compared frame by frame. Run it on a quiet
machine: the clock is real. ``--no-pace`` plays as fast as it can be taken and drops nothing: then
only the comparison and the processor's time mean anything.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from micromimic.analysis.analyze import AnalyzeConfig, analyze
from micromimic.analysis.live.messages import (
    CurvePoint,
    Ended,
    LiveEvent,
    Settled,
    Status,
)
from micromimic.analysis.live.session import LiveConfig, live
from micromimic.core.results import Analysis
from micromimic.core.types import MicroExpression
from micromimic.media.live.source import Arrival, FileSource, LiveSource
from micromimic.media.video import VideoWriter, open_source
from micromimic.synthesis import clips
from micromimic.synthesis.clips import ClipConfig

TOLERANCE = 2
"""Frames by which times may differ from offline analysis."""
MATCH_S = 0.15
"""Seconds between apexes of what is taken for one event."""


@dataclass
class Watched:
    """What one session said."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_mib: float = 0.0
    latency_s: list[float] = field(default_factory=list)
    events: dict[int, LiveEvent] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    withdrawn: dict[int, str] = field(default_factory=dict)
    end: Ended | None = None
    thinned: int = 1

    def delays(self) -> list[float]:
        """Seconds from offset to message of events in time."""
        return [item.delay_s for item in self.events.values() if not item.late]

    def confirmed(self) -> list[MicroExpression]:
        """Events that stood, by onset."""
        found = [item.event for number, item in self.events.items() if number in self.kept]
        return sorted(found, key=lambda event: event.onset_frame)


class Unpaced:
    """A file as fast as it is taken."""

    def __init__(self, path: Path) -> None:
        self.name, self.finite = str(path), True
        self._source = open_source(path)
        self._frames = iter(self._source)

    def next(self, timeout: float) -> Arrival | None:
        """The next frame."""
        frame = next(self._frames, None)
        if frame is None:
            raise EOFError
        return Arrival(frame, time.monotonic())

    def reopen(self) -> bool:
        """False."""
        return False

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def render(path: Path, config: ClipConfig, seed: int) -> None:
    """A synthetic clip as a camera stores it."""
    size = (config.width, config.height)
    with VideoWriter(path, config.fps, *size, lossless=False, crf=18) as writer:
        for frame in clips.render(clips.plan_clip(config, seed)):
            writer.write(frame)


def watch(source: LiveSource, *, may_drop: bool) -> Watched:
    """One session from the first frame to the last."""
    result = Watched()
    with live(source, config=LiveConfig(may_drop=may_drop)) as session:
        start, cpu = time.monotonic(), time.process_time()
        for message in session:
            if isinstance(message, CurvePoint):
                result.latency_s.append(message.latency_s)
            elif isinstance(message, LiveEvent):
                result.events[message.number] = message
            elif isinstance(message, Settled) and message.kept:
                result.kept.add(message.number)
            elif isinstance(message, Settled):
                result.withdrawn[message.number] = message.reason
            elif isinstance(message, Status):
                result.thinned = max(result.thinned, message.thinning)
            elif isinstance(message, Ended):
                result.end = message
        result.wall_s = time.monotonic() - start
        result.cpu_s = time.process_time() - cpu
        result.peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return result


def compare(watched: Watched, offline: Analysis) -> dict[str, object]:
    """Confirmed events against offline ones: counts, and the largest differences in frames."""
    window = MATCH_S * offline.source.fps
    left = watched.confirmed()
    differences, labels, missing = [], 0, []
    for event in offline.micro:
        near = [item for item in left if abs(item.apex_frame - event.apex_frame) <= window]
        if not near:
            missing.append(event.apex_frame)
            continue
        found = min(near, key=lambda item: abs(item.apex_frame - event.apex_frame))
        left.remove(found)
        labels += found.label == event.label
        differences.append(
            [
                abs(getattr(found, name) - getattr(event, name))
                for name in ("onset_frame", "apex_frame", "offset_frame")
            ]
        )
    table = np.array(differences).reshape(-1, 3)
    return {
        "offline": len(offline.micro),
        "matched": len(table),
        "same class": labels,
        "missing": missing,
        "extra": [item.apex_frame for item in left],
        "largest difference (onset, apex, offset)": tuple(table.max(0, initial=0).tolist()),
        f"beyond {TOLERANCE} frames": int((table > TOLERANCE).any(1).sum()),
    }


def report(fps: float, watched: Watched, comparison: dict[str, object], paced: bool) -> None:
    """Print one clip's figures."""
    end = watched.end
    assert end is not None
    latency = 1000 * np.array(watched.latency_s)
    delays = watched.delays()
    late = sum(item.late for item in watched.events.values())
    print(f"## {fps:g} frames/s\n")
    print(f"frames: {end.received} received, {end.processed} processed, {end.dropped} dropped, "
          f"one in {watched.thinned} taken at the least; ended: {end.reason}")  # fmt: skip
    if paced:
        print(f"latency, frame to curve: median {np.median(latency):.1f} ms, "
              f"p95 {np.percentile(latency, 95):.1f} ms, largest {latency.max():.0f}")  # fmt: skip
    if delays and paced:
        print(f"events out after their offset: median {np.median(delays):.2f} s, "
              f"largest {max(delays):.2f} s ({len(delays)} events; {late} more late: learning, "
              "or second look)")  # fmt: skip
    print(f"withdrawn at the second look: {sorted(watched.withdrawn.values()) or 'none'}")
    print("against offline analysis of the same file: "
          + ", ".join(f"{name} {value}" for name, value in comparison.items()))  # fmt: skip
    busy = watched.cpu_s / watched.wall_s
    print(f"processor: {1000 * watched.cpu_s / max(1, end.processed):.2f} ms a frame, "
          f"{busy:.2f} of one core over {watched.wall_s:.0f} s, decoding included; peak memory "
          f"so far {watched.peak_mib:.0f} MiB\n")  # fmt: skip


def main() -> None:
    """Render, watch, analyse, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fps", type=float, nargs="+", default=[100.0, 200.0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--no-pace", action="store_true")
    options = parser.parse_args()
    cv2.setNumThreads(1)  # as the commands do
    with tempfile.TemporaryDirectory() as folder:
        home = options.cache or Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        videos = {}
        for fps in options.fps:
            path = home / f"live_{fps:g}fps_{options.seconds:g}s_seed{options.seed}.mp4"
            if not path.exists():
                render(path, ClipConfig(seconds=options.seconds, fps=fps), options.seed)
            videos[fps] = path
        print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
              f"load {os.getloadavg()[0]:.1f}\n")  # fmt: skip
        print(f"policy: {LiveConfig(may_drop=not options.no_pace).policy}\n")
        sessions = {}
        for fps, path in videos.items():
            source = Unpaced(path) if options.no_pace else FileSource(path)
            sessions[fps] = watch(source, may_drop=not options.no_pace)
        for fps, watched in sessions.items():
            offline = analyze(videos[fps], config=AnalyzeConfig(evidence=False))
            report(fps, watched, compare(watched, offline), not options.no_pace)


if __name__ == "__main__":
    main()
