"""The motion at one frame, known at once: displacement from the last moments' rest."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import CELLS
from micromimic.motion.spotting.bumps import Array, mad
from micromimic.motion.spotting.config import SpottingConfig

REST_S: Final = 1.4
"""Seconds whose median is the rest, as `bumps.local_rest`; here they all lie in the past."""
REST_RATE: Final = 40.0
NOISE_RATE: Final = 20.0
NOISE_S: Final = 30.0
LEARN_S: Final = 4.0  # seconds of a face from which its noise is learnt


class LiveCurve:
    """How far the ten cells are from rest, frame by frame.

    >>> score, cells = LiveCurve().point(0.0, np.zeros((10, 2), np.float32))
    >>> score, cells.shape
    (None, (10,))
    """

    def __init__(self, config: SpottingConfig | None = None) -> None:
        self._config = config or SpottingConfig()
        self._recent: deque[tuple[float, Array]] = deque()
        self._rest: Array = np.zeros((len(CELLS), 2))
        self.forget_noise()

    def forget_noise(self) -> None:
        """Another person: learn the noise anew."""
        self._off_rest: deque[Array] = deque(maxlen=round(NOISE_S * NOISE_RATE))
        self._sampled = -np.inf
        self._learnt = -np.inf
        self._noise: Array | None = None
        self.start_stretch()

    def start_stretch(self) -> None:
        """Displacement counts from another zero now."""
        self._recent.clear()

    def point(
        self, time: float, displacement: NDArray[np.floating]
    ) -> tuple[float | None, NDArray[np.float64]]:
        """Score and cells of the next frame. ``displacement``: (10, 2) canonical units. Returns the
        root mean square of the strongest cells in multiples of their noise (None while that is
        being learnt), and (10,) displacements from rest, canonical units."""
        moved = np.asarray(displacement, np.float64)
        if not self._recent or time - self._recent[-1][0] >= 0.98 / REST_RATE:
            self._recent.append((time, moved))
            while time - self._recent[0][0] > REST_S:
                self._recent.popleft()
            self._rest = np.median([past for _, past in self._recent], axis=0)
        off = moved - self._rest
        if time - self._sampled >= 0.98 / NOISE_RATE:
            self._remember(time, off)
        length = np.linalg.norm(off, axis=1)
        if self._noise is None:
            return None, length
        energy = np.sort(((off / self._noise) ** 2).sum(-1))
        return float(np.sqrt(energy[-self._config.top_cells :].mean())), length

    def _remember(self, time: float, off: Array) -> None:
        self._sampled = time
        self._off_rest.append(off)
        enough = len(self._off_rest) >= LEARN_S * NOISE_RATE
        if enough and time - self._learnt >= 1.0:
            self._learnt = time
            self._noise = mad(np.array(self._off_rest)) + self._config.noise_floor
