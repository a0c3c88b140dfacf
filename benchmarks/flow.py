"""How well the onset-to-apex flow map recovers a planted displacement field.

    python benchmarks/flow.py [--clips 12] [--seed 100]

Rendered clips with drift of head and light; each end is the mean of five frames, as in ``analyze``
at 200 frames a second. Correlation over the face's square between the 28 x 28 map and the planted
field (nothing removed from the truth), and the size of the strongest parts against the truth's.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.analysis.recognize import flow_between
from micromimic.core.canonical import apply_affine
from micromimic.face.landmarks import DlibLandmarks
from micromimic.synthesis.actors.face import astronaut_face
from micromimic.synthesis.clips import plan_clip, planted_field, render
from micromimic.synthesis.schedule import ClipPlan, single_movement

FPS = 200.0


def true_map(plan: ClipPlan) -> NDArray[np.float64]:
    """(2, 28, 28) the planted field at the apex, canonical units."""
    config = plan.config
    face = astronaut_face(config.face_px, config.width, config.height, centre_x=config.face_x)
    centres = np.stack(np.meshgrid(np.arange(28) + 0.5, np.arange(28) + 0.5), -1)
    pixels = apply_affine(face.to_image, centres.reshape(-1, 2)).reshape(28, 28, 2)
    lattice = ((pixels - 0.5) / 2).astype(np.float32)
    field = planted_field(plan, 0)
    sampled = cv2.remap(field, lattice[..., 0], lattice[..., 1], cv2.INTER_LINEAR)
    return np.asarray(np.moveaxis(sampled @ np.linalg.inv(face.to_image[:, :2]).T, 2, 0))


def mean_frame(frames: dict[int, NDArray[np.uint8]], centre: int) -> NDArray[np.uint8]:
    """The mean of five frames."""
    stack = np.stack([frames[centre + k] for k in range(-2, 3)])
    return np.asarray(np.rint(stack.mean(0)), dtype=np.uint8)


def measure(peak: float, seed: int, backend: DlibLandmarks) -> tuple[float, float]:
    """Correlation and size of one recovered map."""
    plan = plan_clip(single_movement(peak, FPS), seed)
    onset, apex = (round(t * FPS) for t in (plan.micro[0].onset, plan.micro[0].apex))
    frames = {i: f for i, f in enumerate(render(plan)) if i <= apex + 2}
    ends = mean_frame(frames, onset), mean_frame(frames, apex)
    measured = flow_between(*ends, backend=backend).uv
    truth = true_map(plan)
    strong = np.abs(truth) > 0.6 * np.abs(truth).max()
    size = float(np.abs(measured[strong]).mean() / np.abs(truth[strong]).mean())
    return float(np.corrcoef(measured.ravel(), truth.ravel())[0, 1]), size


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=12)
    parser.add_argument("--seed", type=int, default=100)
    options = parser.parse_args()
    backend = DlibLandmarks()
    print("| peak, px | correlation, mean | lowest | size against truth |\n|---|---|---|---|")
    for peak in (0.5, 1.0, 2.0):
        rows = [measure(peak, options.seed + i, backend) for i in range(options.clips)]
        found, size = np.array(rows).T
        print(
            f"| {peak:g} | {found.mean():.2f} | {found.min():.2f} | {size.mean():.2f} |", flush=True
        )


if __name__ == "__main__":
    main()
