"""Mean error of the apex in clips whose onset and offset are known, in frames at 200 fps.

    python benchmarks/apex.py [--clips 12] [--seed 0]

The article's rule on raw frames beside the stabilised, gain-normalised one, with a still head in
still light and with head and light drift. The middle frame is the control.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from micromimic.face.landmarks import DlibLandmarks
from micromimic.motion.apex import apex_of_clip
from micromimic.synthesis.clips import ClipConfig, plan_clip, render
from micromimic.synthesis.schedule import single_movement

FPS = 200.0


def config(peak: float, disturbed: bool) -> ClipConfig:
    """One movement in 2.5 s, with or without drift of head and light."""
    moving = single_movement(peak, FPS)
    if disturbed:
        return moving
    return replace(
        moving,
        drift_px=0.0,
        drift_deg=0.0,
        yaw_px=0.0,
        sway_px=(0.0, 0.0),
        light_drift=0.0,
        flicker=0.0,
    )


def errors(peak: float, disturbed: bool, clips: int, seed: int) -> dict[str, list[int]]:
    """Absolute apex errors by rule."""
    backend = DlibLandmarks()
    found: dict[str, list[int]] = {"article": [], "robust": [], "middle frame": []}
    for number in range(clips):
        plan = plan_clip(config(peak, disturbed), seed + number)
        move = plan.micro[0]
        onset, apex, offset = (round(t * FPS) for t in (move.onset, move.apex, move.offset))
        frames = [f for i, f in enumerate(render(plan)) if onset <= i <= offset]
        true = apex - onset
        found["article"].append(abs(apex_of_clip(frames, method="article", backend=backend) - true))
        found["robust"].append(abs(apex_of_clip(frames, backend=backend) - true))
        found["middle frame"].append(abs(len(frames) // 2 - true))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| disturbed | peak, px | article | robust | middle frame |\n|---|---|---|---|---|")
    for disturbed in (False, True):
        for peak in (0.5, 1.0, 2.0):
            row = errors(peak, disturbed, options.clips, options.seed)
            cells = " | ".join(
                f"{np.mean(row[name]):.1f}" for name in ("article", "robust", "middle frame")
            )
            print(f"| {'head and light' if disturbed else 'no'} | {peak:g} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
