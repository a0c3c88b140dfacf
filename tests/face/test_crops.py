"""Cuts of the face: each pixel where it belongs, and the same in training and in use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from micromimic.analysis.analyze import AnalyzeConfig, track
from micromimic.analysis.second_pass import second_pass
from micromimic.core.canonical import apply_affine
from micromimic.datasets.manifest import Clip
from micromimic.face.crops import face_crop, volume_frame
from micromimic.face.landmarks import DlibLandmarks
from micromimic.media.video import Frame
from micromimic.models.samples import View
from micromimic.motion.spotting.cells import Spotted
from micromimic.preparation.clip import prepare_clip
from micromimic.synthesis.clips import plan_clip, render
from micromimic.synthesis.schedule import single_movement

FPS = 100.0
VIEWS: tuple[View, ...] = ("flow", "faces", "volume")
CONFIG = replace(
    single_movement(1.6, FPS), width=320, height=240, face_px=225.0, colour=True, drift_px=4.0
)


def test_crops_equal_a_slow_reference() -> None:
    """Each pixel of a crop is the picture where its centre falls."""
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.uniform(0, 255, (180, 200)).astype(np.float32), (0, 0), 3)
    picture = np.clip(picture * 4 - 380, 0, 255).astype(np.uint8)
    place = np.array([[3.9, 0.3, 32.0], [-0.2, 3.8, 21.0]])
    for crop, (height, width) in (
        (face_crop(picture, place)[..., 1], (224, 224)),
        (volume_frame(picture, place), (170, 140)),
    ):
        for row, column in rng.integers(0, 140, (60, 2)):
            unit = np.array([-5 + 38 * (column + 0.5) / width, -3 + 38 * (row + 0.5) / height])
            x, y = np.clip(apply_affine(place, unit), 0, [199, 179])
            left, top = min(int(x), 198), min(int(y), 178)
            square = picture[top : top + 2, left : left + 2].astype(float)
            across = square[:, 0] + (x - left) * (square[:, 1] - square[:, 0])
            wanted = across[0] + (y - top) * (across[1] - across[0])
            # OpenCV samples at 1/32 pixel; half a pixel of the crop would be ten times that
            assert abs(float(crop[row, column]) - wanted) < 1.5


class _FrameList:
    """Frames in memory, as `analyze` reads them again."""

    def __init__(self, pictures: list[np.ndarray]) -> None:
        grays = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
        self.expected_frames = len(pictures)
        self.frames = [
            Frame(k, k / FPS, grays[k], lambda k=k: pictures[k]) for k in range(len(pictures))
        ]

    def __iter__(self):
        return iter(self.frames)

    def frames_at(self, indices):
        return (self.frames[index] for index in indices)


def test_analyze_sees_what_training_saw(tmp_path: Path) -> None:
    """The same movement, prepared as a clip and found in a video, gives the same views."""
    plan, backend = plan_clip(CONFIG, 2), DlibLandmarks()
    move = plan.micro[0]
    onset, apex, offset = (round(t * FPS) for t in (move.onset, move.apex, move.offset))
    lead = onset - 40
    pictures = list(render(plan, frames=range(lead, offset + 20)))
    source: Any = _FrameList(pictures)
    config = AnalyzeConfig()
    signals, _, _ = track(source, config.tracking, lambda *_: None, backend)
    event = Spotted(onset - lead, apex - lead, offset - lead, 9.0)
    for number in range(event.onset, event.offset + 1):
        cv2.imwrite(str(tmp_path / f"img{number}.png"), pictures[number][..., ::-1])
    row = Clip("casme2", "s", "c", "positive", "frames", tmp_path, apex=event.apex, fps=FPS)
    mine = prepare_clip(row, VIEWS, backend=backend)
    for view in VIEWS:
        wanted = AnalyzeConfig(flow=config.flow, average=config.average, evidence=False)
        pictures = next(second_pass(source, signals, [event], wanted, view))
        seen, trained = np.asarray(pictures.view, float), np.asarray(mine.view(view), float)
        if view == "flow":
            for a, b in zip(seen[:2], trained[:2], strict=True):
                assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
        else:
            trained = trained[0] if view == "faces" else trained
            assert seen.shape == trained.shape
            # landmarks of two frames differ by half a pixel, more is not allowed
            assert np.corrcoef(seen.ravel(), trained.ravel())[0, 1] > 0.97
            assert abs(seen.mean() - trained.mean()) < 2
