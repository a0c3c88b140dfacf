"""What a rendered head looks like: one picture (an *atlas*) that every triangle points into.

Skin, hair, brows and lips are painted on the unshaped mesh as seen from the front, so that a place
of the skin keeps its colour whatever moves; what cannot be seen there (the inside of the lips, the
mouth, teeth, tongue) and the eyeballs have patches of their own beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.base import Array, Mask, Picture, in_gray
from micromimic.synthesis.actors.head import paint
from micromimic.synthesis.actors.head.data import head_data
from micromimic.synthesis.actors.head.mesh import HeadMesh, Part
from micromimic.synthesis.actors.head.person import Looks
from micromimic.synthesis.actors.head.raster import look

_LEFT, _TOP, _WIDTH, _HEIGHT = -10.0, -24.0, 47.0, 72.0
"""The front of the unshaped head, canonical units."""
_EYE: Final = 4.6  # half the side of the eyeballs' patch
_PATCH: Final = 8.0  # sides of the patches of the mouth
_TEETH: Final = np.array([222.0, 212.0, 194.0])
_TONGUE: Final = np.array([150.0, 78.0, 76.0])
_CHIN: Final = 27.0  # canonical y down to which corners are darkened
_MARGIN: Final = 4  # pixels around a patch


class _Patch(NamedTuple):
    """A place in the atlas, pixels."""

    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Atlas:
    # (h, w) or (h, w, 3) colour before light falls on it; eyeballs as they are seen
    picture: Picture
    # (r,) the mesh's vertex that each painted vertex is: those on the border of two parts are there
    # twice
    vertices: NDArray[np.intp]
    places: Picture  # (r, 2) pixels of the picture
    triangles: NDArray[np.int32]  # (m, 3) of the painted vertices, order of the mesh's
    parts: NDArray[np.int8]  # (r,) values of `Part`


def paint_atlas(
    mesh: HeadMesh, looks: Looks, resolution: float, colour: bool, rng: np.random.Generator
) -> Atlas:
    """Paint a person, ``resolution`` atlas pixels a canonical unit."""
    front = _front(mesh, looks, resolution, rng)
    side = round(2 * _EYE * resolution) + 2 * _MARGIN
    patches = _lay_out(front.shape[1], side, round(_PATCH * resolution))
    width = patches[Part.EYE].left + side
    picture = np.zeros((front.shape[0], width, 3), np.float32)
    picture[:, : front.shape[1]] = front
    eye = patches[Part.EYE]
    picture[eye.top : eye.top + side, eye.left :] = _eye_patch(side, resolution, looks)
    shades = {
        Part.LIP: looks.skin * np.array([0.80, 0.58, 0.56]),
        Part.MOUTH: paint.MOUTH_INSIDE * 1.6,
        Part.TEETH: _TEETH,
        Part.TONGUE: _TONGUE,
        Part.LASH: 0.3 * looks.hair,
    }
    for part, shade in shades.items():
        patch = patches[part]
        grain = rng.standard_normal((patch.side, patch.side, 1), dtype=np.float32)
        soft = cv2.GaussianBlur(grain, (0, 0), 0.12 * resolution)[..., None]
        area = np.s_[patch.top : patch.top + patch.side, patch.left : patch.left + patch.side]
        picture[area] = shade * (1.0 + 0.03 * soft / soft.std())
    pairs = mesh.parts[:, None].astype(np.int64) * len(mesh.base) + mesh.triangles
    unique, flat = np.unique(pairs, return_inverse=True)
    parts, vertices = np.divmod(unique, len(mesh.base))
    places = _places(mesh.base[vertices], parts, patches, resolution)
    if not colour:
        picture = in_gray(picture)
    return Atlas(
        np.ascontiguousarray(picture),
        vertices,
        places.astype(np.float32),
        np.ascontiguousarray(flat.reshape(-1, 3), dtype=np.int32),
        parts.astype(np.int8),
    )


def _lay_out(left: int, eye: int, side: int) -> dict[Part, _Patch]:
    """The eyeballs' patch on top, the others below it."""
    patches = {Part.EYE: _Patch(left, 0, eye)}
    small = (Part.LIP, Part.MOUTH, Part.TEETH, Part.TONGUE, Part.LASH)
    for number, part in enumerate(small):
        patches[part] = _Patch(left, eye + number * side, side)
    return patches


def _places(base: Array, parts: Array, patches: dict[Part, _Patch], resolution: float) -> Array:
    """(r, 2) atlas pixels of painted vertices."""
    edge = np.array([_WIDTH, _HEIGHT]) * resolution - 3
    places = np.clip((base[:, :2] - (_LEFT, _TOP)) * resolution - 0.5, 2, edge)
    for part, patch in patches.items():
        chosen = parts == int(part)
        corner = np.array([patch.left, patch.top])
        if part == Part.EYE:
            side = np.sign(base[chosen, 0] - MIDLINE)
            x = MIDLINE + side * INTEROCULAR / 2
            centre = np.column_stack([x, np.full(len(side), EYE_LEFT[1])])
            inside = (base[chosen, :2] - centre + _EYE) * resolution - 0.5 + _MARGIN
        else:
            # any place will do, but one that moves with the vertex
            spread = (base[chosen, :2] - base[chosen, :2].min(0)) % (0.9 * _PATCH)
            inside = np.clip(spread * resolution, _MARGIN, patch.side - _MARGIN)
        places[chosen] = corner + np.clip(inside, 1, patch.side - 2)
    return places


def _front(mesh: HeadMesh, looks: Looks, resolution: float, rng: np.random.Generator) -> Picture:
    """(h, w, 3) the unshaped head from the front, before light falls on it."""
    shape = (round(_HEIGHT * resolution), round(_WIDTH * resolution))
    base = mesh.base
    places = (base[:, :2] - (_LEFT, _TOP)) * resolution - 0.5
    skin = mesh.triangles[mesh.of(Part.SKIN, Part.LIP)]
    seen = look(places, base[:, 2] * resolution, skin, shape)
    canvas = paint.Canvas(seen, resolution, base, head_data().uv[mesh.numbers], rng)
    colour, _ = paint.colours(canvas, looks)
    picture = seen.picture(colour.astype(np.float32))
    there = seen.picture(np.ones(len(colour), np.float32)) > 0.5
    picture = _fill(picture, there)
    heights = seen.values(base[:, 2:] * resolution)[:, 0]
    depth = seen.picture(heights, float(heights.min()))
    dark = paint.occlusion(depth, resolution, 0.12, 0.2)
    # a chin before a neck is no corner of the skin
    y = np.arange(shape[0], dtype=np.float32)[:, None] / resolution + _TOP
    fade = np.clip((_CHIN - y) / 2.0, 0.0, 1.0)
    picture *= np.where(there, 1.0 + (dark - 1.0) * fade, 1.0)[..., None].astype(np.float32)
    eye = _eye_openings(mesh, places, resolution, shape)
    paint.draw_lashes(picture, eye, resolution, looks)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.8), dtype=np.float32)


def _eye_openings(
    mesh: HeadMesh, places: Array, resolution: float, shape: tuple[int, int]
) -> Picture:
    """(h, w) 1 where the eyeballs are seen on the unshaped head."""
    middle = mesh.base[mesh.triangles].mean(1)
    chosen = mesh.of(Part.SKIN, Part.EYE) & (np.abs(middle[:, 1] - EYE_LEFT[1]) < 6.0)
    chosen &= middle[:, 2] > -6.0
    seen = look(places, mesh.base[:, 2] * resolution, mesh.triangles[chosen], shape)
    return seen.picture((mesh.parts[chosen][seen.triangles] == Part.EYE).astype(np.float32))


def _eye_patch(side: int, resolution: float, looks: Looks) -> Picture:
    axis = (np.arange(side) + 0.5 - _MARGIN) / resolution - _EYE
    x, y = np.meshgrid(MIDLINE + INTEROCULAR / 2 + axis, EYE_LEFT[1] + axis)
    base = np.column_stack([x.ravel(), y.ravel()])
    return paint.eye_colours(base, looks).reshape(side, side, 3).astype(np.float32)


def _fill(picture: Picture, there: Mask) -> Picture:
    """Give every empty pixel the colour of the nearest one that is not."""
    _, labels = cv2.distanceTransformWithLabels(
        (~there).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(there)
    table = np.zeros((int(labels.max()) + 1, 3), np.float32)
    table[labels[rows, columns]] = picture[rows, columns]
    return np.asarray(table[labels], dtype=np.float32)
