"""What disturbs a clip: the head's wander, the light, the sensor."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import compose
from micromimic.synthesis.schedule import ClipPlan, stream

_FLICKER_HZ: Final = 100.3
_LIGHT_PERIOD_S: Final = 17.0
# (share, Hz) of the slow waves that make up each motion of the head
_WAVES: Final = {
    "x": ((0.5, 0.031), (0.35, 0.083), (0.15, 0.21)),
    "y": ((0.5, 0.05), (0.3, 0.11), (0.2, 0.27)),
    "roll": ((0.6, 0.04), (0.4, 0.12)),
    "yaw": ((0.7, 0.06), (0.3, 0.17)),
}
_SWAY_HZ: Final = (1.1, 1.2)
# A head nods about the neck: its face goes down, and what is nearer to the camera a little more.
_NOD_PITCH: Final = 0.4


class Pose:
    """Where the head is at a time; it rolls about ``pivot``, an image point."""

    def __init__(self, plan: ClipPlan, pivot: NDArray[np.float64]) -> None:
        self._plan = plan
        self._pivot = pivot
        rng = stream(plan.seed, "pose")
        self._phases = {n: rng.uniform(0.0, 2 * np.pi, len(waves)) for n, waves in _WAVES.items()}
        self._sway_phases = rng.uniform(0.0, 2 * np.pi, len(_SWAY_HZ))

    def _wave(self, name: str, time: float) -> float:
        return sum(
            share * float(np.sin(2 * np.pi * hertz * time + phase))
            for (share, hertz), phase in zip(_WAVES[name], self._phases[name], strict=True)
        )

    def shift(self, time: float) -> NDArray[np.float64]:
        """(2,) displacement of the head, image pixels."""
        config = self._plan.config
        sway = [
            amount * np.sin(2 * np.pi * hertz * time + phase)
            for amount, hertz, phase in zip(
                config.sway_px, _SWAY_HZ, self._sway_phases, strict=True
            )
        ]
        x = config.drift_px * self._wave("x", time) + sway[0]
        y = config.drift_px * self._wave("y", time) + sway[1]
        total = np.array([x, y + self._plan.nod_px(time)])
        for move in self._plan.head_moves:
            total += move.weight(time) * np.array(move.shift)
        return total

    def yaw(self, time: float) -> float:
        """Parallax, pixels for 8 canonical units of depth."""
        return self._plan.config.yaw_px * self._wave("yaw", time)

    def pitch(self, time: float) -> float:
        """Parallax down of nods, pixels for 8 canonical units of depth."""
        return _NOD_PITCH * self._plan.nod_px(time)

    def matrix(self, time: float) -> NDArray[np.float64]:
        """(2, 3) rigid map from the resting face to the image."""
        angle = np.deg2rad(self._plan.config.drift_deg) * self._wave("roll", time)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0]])
        turn[:, 2] = self._pivot + self.shift(time)
        return compose(turn, np.column_stack([np.eye(2), -self._pivot]))


class Sensor:
    """Light and noise: turns a rendered picture into a recorded frame."""

    def __init__(self, plan: ClipPlan) -> None:
        config = plan.config
        self._config = config
        self._rng = stream(plan.seed, "noise")
        self._phase = float(self._rng.uniform(0.0, 2 * np.pi))
        # one sheet of noise, seen through another window each frame: drawing 300,000 normal
        # numbers a frame would take as long as everything else
        shape = (2 * config.height, 2 * config.width) + ((3,) if config.colour else ())
        self._sheet = self._rng.standard_normal(shape, dtype=np.float32)
        self._sheet *= config.noise_sd

    def gain(self, time: float) -> float:
        """Brightness of the light at a time, 1 on average."""
        config = self._config
        slow = config.light_drift * np.sin(2 * np.pi * time / _LIGHT_PERIOD_S + self._phase)
        quick = config.flicker * np.sin(2 * np.pi * _FLICKER_HZ * time)
        return float(1.0 + slow + quick)

    def expose(self, picture: NDArray[np.float32], time: float) -> NDArray[np.uint8]:
        """The recorded frame; call once a frame, in order."""
        height, width = picture.shape[:2]
        top = int(self._rng.integers(self._sheet.shape[0] - height + 1))
        left = int(self._rng.integers(self._sheet.shape[1] - width + 1))
        noise = self._sheet[top : top + height, left : left + width]
        recorded = cv2.addWeighted(picture, self.gain(time), noise, 1.0, 0.0, dtype=cv2.CV_8U)
        return np.asarray(recorded, dtype=np.uint8)
