"""The people of the synthetic databases, by number.

``warped`` ones are made of the runtime's photograph, ``mesh`` ones rendered (``faces3d`` extra).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from micromimic.synthesis.actors.face import Face
from micromimic.synthesis.actors.head.still import mesh_face
from micromimic.synthesis.actors.photo import PhotoActor
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.actors.warped import warped_face
from micromimic.synthesis.anny_units import draw_fields

FaceKind = Literal["mesh", "warped"]


def make_face(kind: FaceKind, seed: int, portrait: Portrait) -> Face:
    """A person's face; the same seed gives the same person on one machine."""
    return warped_face(seed, portrait) if kind == "warped" else mesh_face(seed, portrait)


def make_actor(kind: FaceKind, seed: int, portrait: Portrait) -> PhotoActor:
    """A person: a face and how its action units move it."""
    return PhotoActor(
        make_face(kind, seed, portrait), draw_fields(np.random.default_rng([seed, 1]))
    )
