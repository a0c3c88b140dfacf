"""A face's movement since its onset, made large enough to be seen.

Dense flow from the onset to each frame, freed from what is left of the head's own motion and from
noise, times a factor: the frame's pixels are carried on along it. One factor holds for a whole
movement, so that it still rises and falls as it did; it is lowered where the picture would fold.

Flow is Farneback's: on planted movements of a twentieth of a unit it sees .73 (1.5 units wide) to
.91 (3 units wide) of them whatever the light, in 4 ms; DIS at that speed saw .59, TV-L1 .75 in 70.

Source: after Lagrangian motion magnification, Liu et al. 2005, doi 10.1145/1073204.1073223; flow by
polynomial expansion, Farneback 2003, doi 10.1007/3-540-45103-X_50.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import MOUTH, UNITS, canvas_to_unit
from micromimic.motion.flow import remove_rigid, rigid_units

Rgb = NDArray[np.uint8]
Field = NDArray[np.float32]

_STRIDE: Final = 6
_WINDOW: Final = 3.0  # canonical units
_FACE: Final = (16.0, 17.5)  # half width and half height, canonical units
_SHORTEST_SIDE: Final = 32
_STEEPEST: Final = 0.7  # largest slope of a displacement that is warped: from 1 on, a picture folds
_INVERSIONS: Final = 6  # at slopes of 0.7 the last step is a sixth of the first


@dataclass(frozen=True)
class MagnifyConfig:
    factor: float = 8.0  # times the movement, at most
    largest: float = 2.5  # canonical units that any point is moved, at most
    # canvas pixels a unit for flow; pictures of more are scaled down for it
    resolution: float = 4.0
    smooth: float = 0.6  # canonical units, Gaussian neighbourhood over which flow is averaged
    average: float = 0.012  # seconds either side over which flow is averaged
    # canonical units of flow below which nothing moves; noise is not made large
    quiet: float = 0.015


class Magnifier:
    """Magnifies frames of one movement against its onset. ``onset``: (S, S, 3) uint8 RGB, the
    stabilised face at the onset; ``apex``: (S, S, 3) uint8 RGB, the same crop at the apex: it
    decides the factor; ``factor``: times the movement that is shown."""

    def __init__(
        self,
        onset: Rgb,
        apex: Rgb,
        pixels_per_unit: float,
        margin: float,
        config: MagnifyConfig | None = None,
    ) -> None:
        side = onset.shape[0]
        if onset.shape != (side, side, 3) or apex.shape != onset.shape or side < _SHORTEST_SIDE:
            raise ValueError(
                f"faces must be square, of one size and at least {_SHORTEST_SIDE} pixels, got "
                f"{onset.shape} and {apex.shape}"
            )
        self.config = config or MagnifyConfig()
        self._shape = side
        share = min(1.0, self.config.resolution / pixels_per_unit)
        self._side = max(_SHORTEST_SIDE, round(side * share))
        self._resolution = pixels_per_unit * self._side / side
        self._rigid = rigid_units(self._side, self._resolution, margin)[::_STRIDE, ::_STRIDE]
        self._face = _face_weight(self._side, self._resolution, margin)
        self._onset = self._gray(onset)
        axes = (np.arange(n, dtype=np.float32) for n in (self._side, side))
        # (n, n, 2) coordinates x, y of all pixels, of the flow and of the picture
        self._grid, self._fine = (np.stack(np.meshgrid(a, a), axis=-1) for a in axes)
        self._known: deque[tuple[float, Field]] = deque()
        self._waiting: deque[tuple[float, Rgb]] = deque()
        uv = self.flow(apex)
        room = self.config.largest / max(float(np.hypot(uv[..., 0], uv[..., 1]).max()), 1e-6)
        fitting = min(room, _STEEPEST / self._slope(uv))  # neither tears nor moves a point too far
        self.factor = float(np.clip(fitting, 1.0, self.config.factor))

    def _gray(self, picture: Rgb) -> NDArray[np.uint8]:
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        if gray.shape[0] != self._side:
            gray = cv2.resize(gray, (self._side, self._side), interpolation=cv2.INTER_AREA)
        return np.asarray(gray, dtype=np.uint8)

    def flow(self, picture: Rgb) -> Field:
        """Where each point of the onset's face has gone. ``picture``: (S, S, 3) uint8 RGB. Returns
        (s, s, 2) canonical units, right and down, on the flow's own canvas."""
        window = round(_WINDOW * self._resolution)
        uv = cv2.calcOpticalFlowFarneback(
            self._onset,
            self._gray(picture),
            None,
            pyr_scale=0.5,
            levels=3,
            winsize=window,
            iterations=2,
            poly_n=5,
            poly_sigma=1.1,
            flags=0,
        )
        uv = cv2.GaussianBlur(uv, (0, 0), self.config.smooth * self._resolution)
        return np.asarray((uv - self._head(uv)) * self._face / self._resolution, np.float32)

    def _head(self, uv: Field) -> Field:
        """The translation and rotation of the whole face, fitted on every sixth point."""
        coarse = np.moveaxis(uv[::_STRIDE, ::_STRIDE], 2, 0)
        rigid = coarse - remove_rigid(coarse, self._rigid)
        # It is affine, so that three corners say all of it.
        rows, columns = (_STRIDE * (n - 1) for n in rigid.shape[1:])
        down = (rigid[:, -1, 0] - rigid[:, 0, 0]) / rows
        right = (rigid[:, 0, -1] - rigid[:, 0, 0]) / columns
        y, x = np.mgrid[0 : self._side, 0 : self._side]
        field = rigid[:, 0, 0] + y[..., None] * down + x[..., None] * right
        return np.asarray(field, dtype=np.float32)

    def _slope(self, uv: Field) -> float:
        """Largest change of displacement along a unit of length."""
        steps = [np.diff(uv, axis=axis) for axis in (0, 1)]
        steepest = max(float(np.abs(step).sum(axis=2).max()) for step in steps)
        return float(max(steepest * self._resolution, 1e-6))

    def push(self, picture: Rgb, time: float) -> Iterator[Rgb]:
        """Take the next frame; out come those whose neighbours are all known. ``picture``: (S, S,
        3) uint8 RGB, the same crop as the onset's. Returns (S, S, 3) uint8: a frame for each frame
        that was pushed, in order."""
        self._known.append((time, self.flow(picture)))
        self._waiting.append((time, picture))
        while self._waiting and self._waiting[0][0] + self.config.average < time:
            yield self._next()

    def finish(self) -> Iterator[Rgb]:
        """The frames that are still waiting for neighbours."""
        while self._waiting:
            yield self._next()

    def _next(self) -> Rgb:
        time, picture = self._waiting.popleft()
        while self._known[0][0] < time - self.config.average:
            self._known.popleft()
        near = [uv for known, uv in self._known if known <= time + self.config.average]
        return self.warp(picture, np.mean(near, axis=0, dtype=np.float32))

    def warp(self, picture: Rgb, uv: Field) -> Rgb:
        """One frame with its movement made larger. ``picture``: (S, S, 3) uint8 RGB; ``uv``: (s, s,
        2) its flow, canonical units. Returns (S, S, 3) uint8."""
        more = self._more(uv)
        if not more.any():
            return picture.copy()
        # Inverted where flow lives: finer steps would not make it truer, only slower.
        pixels = more * np.float32(self._resolution)
        place = self._grid
        for _ in range(_INVERSIONS):
            place = self._grid - cv2.remap(
                pixels, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
        scale = self._shape / self._side
        shift = cv2.resize(
            (place - self._grid) * np.float32(scale),
            (self._shape, self._shape),
            interpolation=cv2.INTER_LINEAR,
        )
        place = shift + self._fine
        warped = cv2.remap(picture, place, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(warped, dtype=np.uint8)

    def _more(self, uv: Field) -> Field:
        """What is added to a displacement: nothing to noise, less and less to large movement."""
        size = np.hypot(uv[..., 0], uv[..., 1])[..., None]
        loud = size**2 / (size**2 + self.config.quiet**2)
        held = np.sqrt(1 + (0.5 * self.factor * size / self.config.largest) ** 4)
        more = np.asarray((self.factor - 1) * loud / held * uv, np.float32)
        steepest = self._slope(more)
        if steepest > _STEEPEST:
            # A closing lid moves further than skin can be stretched: held back there alone.
            more = more * self._spared(more)
            steepest = self._slope(more)
        return np.asarray(more * min(1.0, _STEEPEST / steepest), np.float32)

    def _spared(self, uv: Field) -> Field:
        """(s, s, 1) share of a displacement that leaves slopes below the limit, around each."""
        slopes = [np.abs(np.gradient(uv, axis=axis)).sum(axis=2) for axis in (0, 1)]
        share = _STEEPEST / np.maximum(np.maximum(*slopes) * self._resolution, _STEEPEST)
        reach = 2 * round(self._resolution) + 1
        share = cv2.erode(share.astype(np.float32), np.ones((reach, reach), np.uint8))
        share = cv2.GaussianBlur(share, (0, 0), 0.5 * self._resolution)
        return np.asarray(share[..., None], np.float32)


def _face_weight(side: int, resolution: float, margin: float) -> Field:
    """(side, side, 1) 1 on the face, fading to 0 around it: a bare wall has no flow to trust."""
    to_unit = canvas_to_unit(resolution, margin)
    axis = to_unit[0, 0] * np.arange(side) + to_unit[0, 2]
    x, y = np.meshgrid(axis, axis)
    away = np.hypot((x - MOUTH[0]) / _FACE[0], (y - UNITS / 2) / _FACE[1])
    return np.asarray(np.clip((1.15 - away) / 0.3, 0, 1)[..., None], np.float32)


def magnified(magnifier: Magnifier, frames: Iterable[tuple[Rgb, float]]) -> Iterator[Rgb]:
    """All frames of a clip, magnified. ``frames``: (S, S, 3) uint8 RGB and seconds."""
    for picture, time in frames:
        yield from magnifier.push(picture, time)
    yield from magnifier.finish()
