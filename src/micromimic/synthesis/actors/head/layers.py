"""What is drawn where: which triangles, the finely drawn windows, and what lies behind the head."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.base import MIDDLE_HEIGHT, Array, Mask, Picture, cover, in_gray
from micromimic.synthesis.actors.head.atlas import Atlas
from micromimic.synthesis.actors.head.data import Numbers
from micromimic.synthesis.actors.head.mesh import MIDDLE, Part, Shape
from micromimic.synthesis.actors.head.paint import long_hair
from micromimic.synthesis.actors.head.person import Looks
from micromimic.synthesis.actors.head.raster import Window
from micromimic.synthesis.schedule import ClipConfig

Triples = NDArray[np.int32]
Box = tuple[float, float, float, float]

_PIXEL: Final = np.array([0.034, 0.932, 0.034], dtype=np.float32)
"""The variance of samples spread over a pixel, two or three along its side."""
_FEATHER: Final = 4  # image pixels over which the finely drawn windows pass into the rest
_AWAY: Final = -0.25  # of the normal towards the camera, from which on skin is never seen
_AWAY_INSIDE: Final = -0.8  # the same at lids and lips, which roll
_HAIR_BEHIND: Final = 12.0  # canonical units that long hair hangs behind the eyes
_HOLLOW: Final = 4.5  # canonical units of depth over which the mouth gets dark
_AROUND: Final = 2.5  # canonical units around a box from which triangles may reach into it
_EYE: Final = (Part.SKIN, Part.EYE)
_MOUTH: Final = (Part.SKIN, Part.LIP, Part.MOUTH, Part.TEETH, Part.TONGUE)
_BOXES: Final[tuple[tuple[Box, tuple[int, int], tuple[Part, ...]], ...]] = (
    ((-11.8, 3.6, -2.6, 9.0), (3, 4), _EYE),
    ((2.6, 3.6, 11.8, 9.0), (3, 4), _EYE),
    ((-5.2, 9.4, 5.2, 19.4), (2, 2), (Part.SKIN,)),
    ((-7.0, 18.4, 7.0, 25.2), (2, 4), _MOUTH),
)
"""What is drawn finely: left, top, right and bottom in canonical units of the unshaped head, from
the midline; samples in a pixel, across and down; and what is seen there. Edges that lie before
something else (lids, the nose, lips) would else move in steps, by up to .05 px."""


class Fine(NamedTuple):
    triangles: Triples  # (m, 3) those that may reach into it
    vertices: Numbers  # those that it must hold
    lashes: Triples  # (l, 3) triangles of lashes
    fine: tuple[int, int]  # samples in a pixel, across and down


class Layers:
    """Which triangles are drawn where."""

    def __init__(self, shape: Shape, atlas: Atlas) -> None:
        mesh = shape.mesh
        base = mesh.base[atlas.vertices]
        facing = shape.normals(shape.rest)[mesh.triangles][..., 2].max(1)
        skin = mesh.of(Part.SKIN)
        self.whole = np.ascontiguousarray(atlas.triangles[skin & (facing > _AWAY)])
        lash = mesh.of(Part.LASH)
        drawn = ~lash & (~skin | (facing > _AWAY_INSIDE))
        self.windows: list[Fine] = []
        centres = base[atlas.triangles].mean(1)[:, :2]
        for (left, top, right, bottom), fine, parts in _BOXES:
            low, high = np.array([MIDLINE + left, top]), np.array([MIDLINE + right, bottom])
            near = ((centres > low - _AROUND) & (centres < high + _AROUND)).all(1)
            inside = ((base[:, :2] > low) & (base[:, :2] < high)).all(1) & (base[:, 2] > -4.0)
            seen = np.ascontiguousarray(atlas.triangles[near & drawn & mesh.of(*parts)])
            vertices = np.flatnonzero(inside & (atlas.parts == Part.SKIN))
            lashes = np.ascontiguousarray(atlas.triangles[near & (lash & (Part.EYE in parts))])
            self.windows.append(Fine(seen, vertices, lashes, fine))
        self.roots = mesh.roots[atlas.vertices]  # (r,) strength of lashes at painted vertices
        self.hollow = _hollow(base[:, 2], atlas.parts)


def _hollow(depth: Array, parts: NDArray[np.int8]) -> Picture:
    """(r,) share of the light that reaches a painted vertex: little of it, deep in the mouth."""
    front = depth[parts == Part.LIP].max()
    share = np.clip(np.exp((depth - front) / _HOLLOW), 0.06, 1.0)
    teeth, inside = parts == Part.TEETH, np.isin(parts, (Part.MOUTH, Part.TONGUE))
    light = np.where(teeth, np.minimum(1.15 * share, 0.95), np.where(inside, 0.75 * share, 1.0))
    return light.astype(np.float32)


class Background:
    """The wall, and long hair before it, which moves with the head."""

    def __init__(
        self, config: ClipConfig, looks: Looks, unit_px: float, distance: float, seed: int
    ) -> None:
        rng = np.random.default_rng([seed, 4])
        y, x = np.mgrid[0 : config.height, 0 : config.width].astype(np.float32)
        self._size = (config.width, config.height)
        slope = rng.normal(0.0, 0.12, 2)
        light = 1.0 + slope[0] * (x / config.width - 0.5) + slope[1] * (y / config.height - 0.5)
        grain = cv2.GaussianBlur(rng.standard_normal(x.shape, dtype=np.float32), (0, 0), 1.0)
        wall = looks.wall * (light + 0.01 * grain / grain.std())[..., None]
        wall = wall.astype(np.float32)
        self.wall = wall if config.colour else in_gray(wall)
        self._hair: tuple[Picture, Picture] | None = None
        if looks.long_hair:
            middle = np.array([config.face_x * config.width, MIDDLE_HEIGHT * config.height])
            # it hangs behind the face, and so looks smaller to a near camera
            share = unit_px * distance / (distance + _HAIR_BEHIND)
            unit = (np.stack([x, y], -1) - middle) / share + np.array(MIDDLE)
            colour, there = long_hair(unit.astype(np.float32), unit_px, looks, rng)
            self._hair = (colour if config.colour else in_gray(colour)), there

    def picture(self, pose: Array) -> Picture:
        """A fresh copy at a pose."""
        out = self.wall.copy()
        if self._hair is not None:
            linear, replicate = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
            colour, there = (
                cv2.warpAffine(plane, pose, self._size, flags=linear, borderMode=replicate)
                for plane in self._hair
            )
            cover(out, colour, there)
        return out


def lay_over(out: Picture, colour: Picture, seen: Mask) -> None:
    """Lay the head over what is behind it, its outline rounded; in place."""
    np.copyto(out, colour, where=seen if out.ndim == 2 else seen[..., None])
    kernel = np.ones((3, 3), np.uint8)
    edge = cv2.morphologyEx(seen.view(np.uint8), cv2.MORPH_GRADIENT, kernel).view(bool)
    soft = np.asarray(cv2.blur(out, (3, 3)), dtype=np.float32)
    # the mean over a pixel, which finely drawn parts have by themselves: else their borders, which
    # keep to whole pixels, would show as a change of sharpness
    cv2.sepFilter2D(out, cv2.CV_32F, _PIXEL, _PIXEL, dst=out)
    np.copyto(out, soft, where=edge if out.ndim == 2 else edge[..., None])


def fine_window(places: Array, whole: Window, fine: tuple[int, int]) -> Window | None:
    """The finely drawn part around some points, on whole pixels; None outside the picture."""
    low = np.floor(places.min(0)).astype(int)
    high = np.ceil(places.max(0)).astype(int)
    left, top = max(int(low[0]), 0), max(int(low[1]), 0)
    right, bottom = min(int(high[0]), whole.width), min(int(high[1]), whole.height)
    if right - left < 4 * _FEATHER or bottom - top < 4 * _FEATHER:
        return None
    return Window(left, top, right - left, bottom - top, fine)


def paste(out: Picture, fine: Picture, seen: Mask, window: Window) -> None:
    """Put a finely drawn window into the picture, softly at its border; in place."""
    size = (window.width, window.height)
    small = np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    sides = [np.arange(count) for count in (window.height, window.width)]
    rise = [np.clip(np.minimum(at + 1, at[::-1] + 1) / _FEATHER, 0.0, 1.0) for at in sides]
    share = np.multiply.outer(*rise).astype(np.float32)
    if not seen.all():  # a corner that a wide-open mouth has drawn the window out to
        whole = cv2.resize(seen.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
        share *= whole == 255
    cover(out[window.area], small, share)
