"""What is drawn where: which triangles, the finely drawn windows, and what lies behind the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.head.camera import Window
from micromimic.synthesis.actors.head.mesh import MIDDLE, Part
from micromimic.synthesis.actors.head.still_paint import long_hair
from micromimic.synthesis.databases.identities import GRAY_WEIGHTS
from micromimic.synthesis.schedule import ClipConfig

if TYPE_CHECKING:
    from micromimic.synthesis.actors.head.moving import Head

Array = NDArray[np.float64]
Plane = NDArray[np.float32]
Triples = NDArray[np.int32]

MIDDLE_HEIGHT: Final = 0.53125
"""Where the middle of the face lies, share of the picture's height."""
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
_BOXES: Final[
    tuple[tuple[tuple[float, float, float, float], tuple[int, int], tuple[Part, ...]], ...]
] = (
    ((-11.8, 3.6, -2.6, 9.0), (3, 4), _EYE),
    ((2.6, 3.6, 11.8, 9.0), (3, 4), _EYE),
    ((-5.2, 9.4, 5.2, 19.4), (2, 2), (Part.SKIN,)),
    ((-7.0, 18.4, 7.0, 25.2), (2, 4), _MOUTH),
)
"""What is drawn finely: left, top, right and bottom in canonical units of the unshaped head, from
the midline; samples in a pixel, across and down; and what is seen there. Edges that lie before
something else (lids, the nose, lips) would else move in steps, by up to .05 px."""


class Fine(NamedTuple):
    """A finely drawn part.

    Args:
        triangles: (m, 3) those that may reach into it.
        vertices: those that it must hold.
        lashes: (l, 3) triangles of lashes.
        fine: samples in a pixel, across and down.
    """

    triangles: Triples
    vertices: NDArray[np.intp]
    lashes: Triples
    fine: tuple[int, int]


class Layers:
    """Which triangles are drawn where.

    Attributes:
        whole: (m, 3) skin that may face the camera; the windows cover the rest.
        windows: both eyes, the nose and the mouth.
        roots: (r,) strength of lashes at painted vertices.
        hollow: (r,) how much of the light comes into the mouth.
    """

    def __init__(self, head: Head) -> None:
        mesh, atlas, person = head.person.mesh, head.atlas, head.person
        base = mesh.base[atlas.vertices]
        facing = person.normals(person.rest)[mesh.triangles][..., 2].max(1)
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
            self.windows.append(
                Fine(
                    np.ascontiguousarray(atlas.triangles[near & drawn & mesh.of(*parts)]),
                    np.flatnonzero(inside & (atlas.parts == Part.SKIN)),
                    np.ascontiguousarray(atlas.triangles[near & (lash & (Part.EYE in parts))]),
                    fine,
                )
            )
        self.roots = mesh.roots[atlas.vertices]
        self.hollow = _hollow(base[:, 2], atlas.parts)


def _hollow(depth: Array, parts: NDArray[np.int8]) -> NDArray[np.float32]:
    """(r,) share of the light that reaches a painted vertex: little of it, deep in the mouth."""
    front = depth[parts == Part.LIP].max()
    share = np.clip(np.exp((depth - front) / _HOLLOW), 0.06, 1.0)
    teeth, inside = parts == Part.TEETH, np.isin(parts, (Part.MOUTH, Part.TONGUE))
    light = np.where(teeth, np.minimum(1.15 * share, 0.95), np.where(inside, 0.75 * share, 1.0))
    return light.astype(np.float32)


class Background:
    """The wall, and long hair before it, which moves with the head."""

    def __init__(self, config: ClipConfig, head: Head) -> None:
        rng = np.random.default_rng([head.seed, 4])
        looks = head.looks
        y, x = np.mgrid[0 : config.height, 0 : config.width].astype(np.float32)
        self._size = (config.width, config.height)
        slope = rng.normal(0.0, 0.12, 2)
        shade_ = 1.0 + slope[0] * (x / config.width - 0.5) + slope[1] * (y / config.height - 0.5)
        grain = cv2.GaussianBlur(rng.standard_normal(x.shape, dtype=np.float32), (0, 0), 1.0)
        wall = looks.wall * (shade_ + 0.01 * grain / grain.std())[..., None]
        self.wall = _gray(wall.astype(np.float32), config.colour)
        self._hair: tuple[Plane, Plane] | None = None
        if looks.long_hair:
            middle = np.array([config.face_x * config.width, MIDDLE_HEIGHT * config.height])
            # it hangs behind the face, and so looks smaller to a near camera
            share = head.unit_px * head.studio.distance / (head.studio.distance + _HAIR_BEHIND)
            unit = (np.stack([x, y], -1) - middle) / share + np.array(MIDDLE)
            colour, cover = long_hair(unit.astype(np.float32), head.unit_px, looks, rng)
            self._hair = _gray(colour, config.colour), cover

    def picture(self, pose: Array) -> Plane:
        """A fresh copy at a pose."""
        out = self.wall.copy()
        if self._hair is not None:
            colour, cover = (
                cv2.warpAffine(
                    plane, pose, self._size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
                for plane in self._hair
            )
            put(out, colour, cover)
        return out


def _gray(picture: Plane, colour: bool) -> Plane:
    return picture if colour else picture @ np.array(GRAY_WEIGHTS, dtype=np.float32)


def put(out: Plane, colour: Plane, cover: Plane) -> None:
    """Lay one picture over another; in place."""
    out += (colour - out) * (cover if out.ndim == 2 else cover[..., None])


def lay_over(out: Plane, colour: Plane, seen: NDArray[np.bool_]) -> None:
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


def paste(out: Plane, fine: Plane, seen: NDArray[np.bool_], window: Window) -> None:
    """Put a finely drawn window into the picture, softly at its border; in place."""
    size = (window.width, window.height)
    small = np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), dtype=np.float32)
    rise = [
        np.clip(np.minimum(steps + 1, count - steps) / _FEATHER, 0.0, 1.0)
        for count in (window.height, window.width)
        for steps in (np.arange(count),)
    ]
    cover = np.multiply.outer(*rise).astype(np.float32)
    if not seen.all():  # a corner that a wide-open mouth has drawn the window out to
        whole = cv2.resize(seen.view(np.uint8) * np.uint8(255), size, interpolation=cv2.INTER_AREA)
        cover *= whole == 255
    put(out[window.area], small, cover)
