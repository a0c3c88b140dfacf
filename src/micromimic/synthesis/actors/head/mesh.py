"""The head as a moving mesh: skin, eyeballs, lashes, teeth, tongue.

Of the base mesh the head is kept with everything that opening lids and lips uncover; its face units
move skin, lashes, lower teeth and tongue alike. A vertex is at *rest* where the person's shape puts
it; a face unit shifts it in three dimensions. Lengths are canonical units, x to the right in the
picture, y up, z towards the camera, from the middle of the face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR
from micromimic.face.units import MIDLINE, UNIT_NAMES
from micromimic.synthesis.actors.base import Array, Mask, Picture
from micromimic.synthesis.actors.head.data import (
    HeadData,
    Numbers,
    head_data,
    normals_of,
    sample_mask,
    unit_motion,
)
from micromimic.synthesis.actors.head.raster import Camera, Window, look, rasterise

MIDDLE: Final = (MIDLINE, 13.5)
"""Canonical point that lies at the origin."""
LENGTHENED: Final = 0.92
"""Distance of the eyes against the canonical one: these faces are longer than that, and so the mean
scale fits."""
_LOWEST: Final = 56.0  # canonical y down to which the body is kept
_BACK: Final = -30.0  # canonical z from which on it is
_PROBE: Final = 12  # pixels a canonical unit at which it is looked at to see what is hidden
_CLEARANCE: Final = 1.03  # least distance of a lid from the eyeball's centre, in its radii
_FAR_AWAY: Final = 2000.0  # of a camera without perspective, canonical units
_STILL_OPEN: Final = 0.01  # of the eyeballs' visible area that closed lids may leave
_LIDS: Final = np.array([name in ("45L", "45R") for name in UNIT_NAMES])
_LOWER_LASHES: Final = 0.3  # strength against the upper ones
_REACH: Final = 1.6  # radii within which skin belongs to the lids


class Part(IntEnum):
    """What a triangle belongs to."""

    SKIN = 0
    EYE = 1
    LIP = 2  # the inside of the lips, hidden while they are closed
    MOUTH = 3
    TEETH = 4
    TONGUE = 5
    LASH = 6


_GROUPS: Final = {
    "helper-r-eye": Part.EYE,
    "helper-l-eye": Part.EYE,
    "helper-upper-teeth": Part.TEETH,
    "helper-lower-teeth": Part.TEETH,
    "helper-tongue": Part.TONGUE,
    "helper-r-eyelashes-1": Part.LASH,
    "helper-r-eyelashes-2": Part.LASH,
    "helper-l-eyelashes-1": Part.LASH,
    "helper-l-eyelashes-2": Part.LASH,
}


@dataclass(frozen=True)
class HeadMesh:
    """What all heads share."""

    numbers: Numbers  # (n,) vertices of the whole mesh that are kept
    base: Array  # (n, 3) unshaped, canonical units with y down, as painters use them
    triangles: Numbers  # (m, 3)
    parts: NDArray[np.int8]  # (m,) values of `Part`
    motions: Picture  # (n_units, n, 3) by action units, the mesh's own lengths
    eyes: tuple[Numbers, ...]  # vertices of the right and the left eyeball
    lids: tuple[Numbers, ...]  # vertices of the skin around each
    roots: Picture  # (n,) for upper lashes 1 at the lid and 0 at the tip, less for lower, else 0

    def of(self, *parts: Part) -> Mask:
        return np.isin(self.parts, [int(part) for part in parts])


@cache
def head_mesh() -> HeadMesh:
    """Read the head: about three seconds, once a process."""
    head = head_data()
    place = head.base[head.skin]
    skin = head.skin[(place[..., 1] < _LOWEST).all(1) & (place[..., 2] > _BACK).any(1)]
    helpers = [head.groups[name] for name in _GROUPS]
    numbers, flat = np.unique(np.concatenate([skin, *helpers]), return_inverse=True)
    kinds = zip(helpers, _GROUPS.values(), strict=True)
    of_helpers = [np.full(len(triangles), part, np.int8) for triangles, part in kinds]
    parts = np.concatenate([_skin_parts(head, skin), *of_helpers])
    triangles = flat.reshape(-1, 3)
    base = head.base[numbers]
    eyes = tuple(np.searchsorted(numbers, np.unique(balls)) for balls in helpers[:2])
    skin_vertices = np.unique(triangles[parts == Part.SKIN])
    sideways = (head.base[:, 0] - MIDLINE) / INTEROCULAR
    motions = [unit_motion(head, name, sideways)[numbers] for name in UNIT_NAMES]
    return HeadMesh(
        numbers,
        base,
        triangles,
        parts,
        np.stack(motions).astype(np.float32),
        eyes,
        tuple(_near(base, eye, skin_vertices) for eye in eyes),
        _roots(base, triangles[parts == Part.LASH], eyes),
    )


@dataclass(frozen=True)
class Shape:
    """One person's head at rest, and how it moves."""

    mesh: HeadMesh
    rest: Array  # (n, 3) vertices
    # (n_units, n, 3) motion of each action unit; its largest displacement in the picture, anywhere
    # on the visible skin, is 1
    units: Picture
    full: Picture  # (n_units,) the same for the face unit as it was drawn: the whole movement
    visible: Numbers  # vertices of the skin that the camera sees at rest
    shut: float = 1.0  # share of the lids' whole movement at which this person's lids meet

    def closing(self, closure: float) -> Picture:
        """(n_units,) weights of lids that are this far closed, 0 to 1."""
        weights = np.where(_LIDS, self.full, 0.0) * (self.shut * closure)
        return np.asarray(weights, dtype=np.float32)

    def moved(self, weights: NDArray[np.floating]) -> Array:
        """(n, 3) vertices when each unit moves the skin by this much, canonical units."""
        acting = np.flatnonzero(weights)
        if not len(acting):
            return self.rest
        shift = np.tensordot(weights[acting].astype(np.float32), self.units[acting], axes=1)
        return self._clear_of_eyes(self.rest + shift)

    def _clear_of_eyes(self, vertices: Array) -> Array:
        """Lids slide over the eyeball; a face unit alone would cut straight through it."""
        for eye, lid in zip(self.mesh.eyes, self.mesh.lids, strict=True):
            centre, radius = _ball(self.rest[eye])
            away = vertices[lid] - centre
            distance = np.linalg.norm(away, axis=1)
            inside = (distance < _CLEARANCE * radius) & (away[:, 2] > 0)
            clear = _CLEARANCE * radius / distance[inside, None]
            vertices[lid[inside]] = centre + away[inside] * clear
        return vertices

    def normals(self, vertices: Array) -> Array:
        return normals_of(vertices, self.mesh.triangles)


def make_shape(vertices: Array) -> Shape:
    """A person's head, of the vertices of the whole mesh (`person.draw_person`)."""
    mesh = head_mesh()
    head = head_data()
    right, left = vertices[head.right_eye].mean(0), vertices[head.left_eye].mean(0)
    scale = LENGTHENED * INTEROCULAR / (left[0] - right[0])
    rest = (vertices[mesh.numbers] - (left + right) / 2) * scale
    rest[:, 1] += MIDDLE[1] - EYE_LEFT[1]
    places = (rest[:, :2] * (1, -1) + 20.0) * _PROBE
    front = look(places, rest[:, 2], mesh.triangles, (40 * _PROBE, 40 * _PROBE))
    seen = np.unique(front.corners[mesh.parts[front.triangles] == Part.SKIN])
    moved = mesh.motions * np.float32(scale)
    full = np.hypot(moved[:, seen, 0], moved[:, seen, 1]).max(1)
    shape = Shape(mesh, rest, moved / full[:, None, None], full, seen)
    shape._clear_of_eyes(rest)  # a lid may touch already
    return replace(shape, shut=_where_lids_meet(shape))


def _where_lids_meet(shape: Shape) -> float:
    """The least share of the lids' movement at which hardly any of the eyeballs is seen."""
    mesh = shape.mesh
    triangles = np.ascontiguousarray(mesh.triangles[mesh.of(Part.SKIN, Part.EYE)], np.int32)
    is_eye = np.zeros((len(mesh.base), 3), np.float32)
    is_eye[np.concatenate(mesh.eyes)] = 1.0
    camera = Camera(_PROBE, (0.0, 0.0), _FAR_AWAY)
    middle = _PROBE * (MIDDLE[1] - EYE_LEFT[1])
    window = Window(round(-12 * _PROBE), round(-middle - 5 * _PROBE), 24 * _PROBE, 10 * _PROBE)

    def seen(share: float) -> float:
        points = camera.project(shape.moved(replace(shape, shut=share).closing(1.0)))
        return float(rasterise(points, triangles, is_eye, window)[0][..., 0].sum())

    most = _STILL_OPEN * seen(0.0)
    low, high = 0.3, 1.3
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if seen(middle) > most else (low, middle)
    return high


def _skin_parts(head: HeadData, skin: Numbers) -> NDArray[np.int8]:
    """Which of the skin is the inside of lips or mouth: what the masks say, and nobody sees."""
    parts = np.full(len(skin), Part.SKIN, np.int8)
    centre = head.uv[skin].mean(1)
    base = head.base
    seen = look((base[:, :2] + 20.0) * _PROBE, base[:, 2], skin, (1000, 1000))
    visible = np.zeros(len(skin), bool)
    visible[np.unique(seen.triangles)] = True
    parts[(sample_mask(head.lips, centre) > 0.3) & ~visible] = Part.LIP
    parts[sample_mask(head.mouth, centre) > 0.5] = Part.MOUTH
    return parts


def _ball(vertices: Array) -> tuple[Array, float]:
    """Centre and radius of an eyeball."""
    middle = (vertices.min(0) + vertices.max(0)) / 2
    return middle, float(np.ptp(vertices, axis=0).mean()) / 2


def _near(base: Array, eye: Numbers, skin: Numbers) -> Numbers:
    centre, radius = _ball(base[eye])
    far = np.linalg.norm(base[skin] - centre, axis=1)
    return np.asarray(skin[far < _REACH * radius])


def _roots(base: Array, lashes: Numbers, eyes: tuple[Numbers, ...]) -> Picture:
    """How near to the eyeball a lash's vertex is, against the others; less for the lower ones."""
    roots = np.zeros(len(base), np.float32)
    vertices = np.unique(lashes)
    centres = np.stack([base[eye].mean(0) for eye in eyes])
    far = np.linalg.norm(base[vertices][:, None] - centres, axis=2).min(1)
    low, high = np.percentile(far, (10, 90))
    below = np.clip((EYE_LEFT[1] + 0.6 - base[vertices, 1]) / 0.8, _LOWER_LASHES, 1.0)
    roots[vertices] = below * np.clip((high - far) / (high - low), 0.0, 1.0)
    return roots
