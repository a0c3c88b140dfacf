"""How long a clip's descriptor takes, and how much slower plain loops are.

    python benchmarks/descriptors.py [--frames 70] [--repeat 20] [--skip-slow]

A clip of 170 x 140 pixels, one thread. Times are the least and the median of the repeats, first for
the clip as it is, then with temporal interpolation to ten frames (included in the time), as
``features.DESCRIPTORS`` does. The slow reference runs once, on the clip as it is.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray

from micromimic.motion import features

sys.path.append(str(Path(__file__).resolve().parents[1] / "tools"))
from slow_descriptors import slow_gradients, slow_lbp_sip, slow_lbp_top

Volume = NDArray[np.uint8]
FAST: dict[str, Callable[[Volume], NDArray[np.float32]]] = {
    "lbp-top": features.lbp_top,
    "lbp-sip": features.lbp_sip,
    "hog-top": features.hog_top,
    "higo-top": features.higo_top,
}
SLOW: dict[str, Callable[[Volume], NDArray[np.float32]]] = {
    "lbp-top": slow_lbp_top,
    "lbp-sip": slow_lbp_sip,
    "hog-top": partial(slow_gradients, weighted=True),
    "higo-top": partial(slow_gradients, weighted=False),
}


def make_clip(frames: int, seed: int = 0) -> Volume:
    """(frames, 170, 140) smooth texture that moves, with camera noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:170, :140]
    waves = rng.uniform(0.02, 0.3, (6, 2))
    shift = 2 * np.sin(np.linspace(0, np.pi, frames))
    clip = [sum(np.sin(a * (x + s) + b * y) for a, b in waves) for s in shift]
    noisy = 128 + 18 * np.stack(clip) + rng.normal(0, 2, (frames, 170, 140))
    return np.asarray(np.rint(noisy).clip(0, 255), np.uint8)


def milliseconds(work: Callable[[], object], repeat: int) -> NDArray[np.float64]:
    """(repeat,) times of one call."""
    work()
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return np.array(taken)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=70)
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--skip-slow", action="store_true")
    options = parser.parse_args()
    clip = make_clip(options.frames)
    print(
        f"| descriptor | length | {options.frames} frames, ms (least / median) "
        f"| with TIM to {features.FRAMES} | slow reference, ms | times faster | equal |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, fast in FAST.items():
        plain = milliseconds(partial(fast, clip), options.repeat)
        with_tim = milliseconds(partial(features.DESCRIPTORS[name], clip), options.repeat)
        found = fast(clip)
        print(
            f"| {name} | {found.size} | {plain.min():.1f} / {np.median(plain):.1f} "
            f"| {with_tim.min():.1f} / {np.median(with_tim):.1f} ",
            end="",
            flush=True,
        )
        if options.skip_slow:
            print("| - | - | - |")
            continue
        start = time.perf_counter()
        expected = SLOW[name](clip)
        taken = 1000 * (time.perf_counter() - start)
        equal = np.array_equal(found, expected)
        same = "to the bit" if equal else f"within {np.abs(found - expected).max():.1g}"
        print(f"| {taken:.0f} | {taken / np.median(plain):.0f} | {same} |")


if __name__ == "__main__":
    main()
