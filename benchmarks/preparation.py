"""Seconds that the preparation of one clip takes, by view and by size of the frames.

    python benchmarks/preparation.py [--frames 70] [--repeat 3] [--ending jpg]

A synthetic clip of one movement at 200 frames/s is rendered (not measured) and stored as single
frames, as the databases are. One thread; the landmark models are loaded beforehand, which takes
the time printed first, once a process. ``stored`` is the whole of ``prepare_all`` for one clip,
stamp and file included; ``kept`` is the check of a clip that needs nothing.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2

from micromimic.datasets.manifest import Clip
from micromimic.face.landmarks import DlibLandmarks
from micromimic.models.samples import View
from micromimic.preparation.cache import prepare_all
from micromimic.preparation.clip import prepare_clip
from micromimic.synthesis.clips import plan_clip, render
from micromimic.synthesis.schedule import single_movement

FPS = 200.0
SIZES = ((320, 240), (640, 480))
VIEWS: tuple[View, ...] = ("flow", "faces", "volume")


def fastest(action: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest run."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - start)
    return best


def clip_of(folder: Path, width: int, height: int, frames: int, ending: str) -> Clip:
    """A clip of this size: the face as large in the picture as in the databases' raw frames."""
    config = single_movement(1.0 * width / 640, FPS)
    config = replace(config, width=width, height=height, face_px=0.5 * width, colour=True)
    plan = plan_clip(config, 1)
    middle = round(plan.micro[0].apex * FPS)
    first = middle - frames // 2
    for number, picture in enumerate(render(plan, frames=range(first, first + frames)), first):
        cv2.imwrite(str(folder / f"img{number}.{ending}"), picture[..., ::-1])
    return Clip("synthetic", "s1", "c1", "positive", "frames", folder, fps=FPS)


def store_anew(clip: Clip, cache: Path) -> None:
    """Prepare a clip that is not in the cache."""
    for file in cache.iterdir():
        file.unlink()
    prepare_all([clip], VIEWS, cache)


def main() -> None:
    """Render, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=70)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--ending", default="jpg")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    start = time.perf_counter()
    backend = DlibLandmarks()
    print(f"machine: {platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
          f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"landmark models loaded in {time.perf_counter() - start:.2f} s; "
          f"clips of {options.frames} frames ({options.ending}), apex spotted\n")  # fmt: skip
    print("| frames | flow | faces | volume | all three | stored | kept | files |")
    print("|---|---|---|---|---|---|---|---|")
    asked: list[tuple[View, ...]] = [*((view,) for view in VIEWS), VIEWS]
    for width, height in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            frames = Path(folder) / "frames"
            frames.mkdir()
            clip = clip_of(frames, width, height, options.frames, options.ending)
            row = [
                fastest(partial(prepare_clip, clip, views, backend=backend), options.repeat)
                for views in asked
            ]
            cache = Path(folder) / "cache"
            prepare_all([clip], VIEWS, cache)
            kept = fastest(partial(prepare_all, [clip], VIEWS, cache), options.repeat)
            size = sum(file.stat().st_size for file in cache.iterdir()) / 2**20
            stored = fastest(partial(store_anew, clip, cache), options.repeat)
        cells = " | ".join(f"{seconds:.2f} s" for seconds in (*row, stored))
        print(f"| {width}x{height} | {cells} | {1e3 * kept:.0f} ms | {size:.1f} MiB |", flush=True)


if __name__ == "__main__":
    main()
