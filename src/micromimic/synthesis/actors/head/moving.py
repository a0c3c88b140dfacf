"""Heads in three dimensions: lids and lips really open, the head really turns.

A plan moves a mesh. Every frame is drawn anew: face units shift the vertices, the head turns, light
falls on the moved surface, and a depth buffer decides what hides what. Eyes, nose and mouth are
drawn more finely than the rest, since that is where edges move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from micromimic.core.canonical import anchor_points
from micromimic.core.errors import InputError
from micromimic.face.align import fit_affine
from micromimic.synthesis.actors.base import (
    ANCHORS,
    MIDDLE_HEIGHT,
    NOSE_DEPTH,
    Array,
    Mask,
    Picture,
    Scene,
    cover,
    in_gray,
)
from micromimic.synthesis.actors.head import layers
from micromimic.synthesis.actors.head.atlas import Atlas, paint_atlas
from micromimic.synthesis.actors.head.data import head_data
from micromimic.synthesis.actors.head.landmarks import head_landmarks
from micromimic.synthesis.actors.head.mesh import Part, Shape, make_shape
from micromimic.synthesis.actors.head.paint import shade
from micromimic.synthesis.actors.head.person import Lamp, Looks, draw_lamp, draw_person
from micromimic.synthesis.actors.head.raster import Camera, Points, Window, rasterise
from micromimic.synthesis.schedule import FACE_WIDTH, ClipConfig, ClipPlan

_TEXELS: Final = 2.0  # atlas pixels in an image pixel
_LIGHT: Final = 1.12
_SHINE: Final = 150.0  # grey level of skin that highlights are given for


@dataclass(frozen=True)
class Studio:
    """How a head is filmed, beside what a `ClipConfig` says."""

    distance: float = 260.0  # of the camera, canonical units; a metre is 240
    lamp: Lamp | None = None  # None keeps the person's own
    blur: float = 0.45  # standard deviation of the lens, image pixels
    exposure: float = 1.0  # factor of the brightness

    def __post_init__(self) -> None:
        if self.distance < 100.0 or self.blur <= 0.0 or self.exposure <= 0.0:
            raise ValueError(
                "expected a distance of at least 100 units and a blur and exposure above 0, got "
                f"{self.distance}, {self.blur} and {self.exposure}"
            )


@dataclass(frozen=True)
class Head:
    """A person ready to be filmed: `make_head` makes it."""

    seed: int  # who
    shape: Shape
    looks: Looks
    atlas: Atlas  # its painted surfaces, for pictures of ``unit_px`` pixels a canonical unit
    studio: Studio
    unit_px: float  # image pixels in a canonical unit

    def scene(self, plan: ClipPlan) -> HeadScene:
        config = plan.config
        colour = self.atlas.picture.ndim == 3
        if abs(config.face_px / FACE_WIDTH - self.unit_px) > 1e-6 or config.colour != colour:
            wanted = f"{config.face_px:g} px, {'RGB' if config.colour else 'grey'}"
            got = f"{self.unit_px * FACE_WIDTH:g} px, {'RGB' if colour else 'grey'}"
            raise InputError(
                f"expected a head for faces of {wanted}, got {got}; make it from the plan's config"
            )
        if config.second_face > 0.0:
            raise InputError(
                f"expected one face in a rendered clip, got second_face {config.second_face}; set "
                "it to 0 or take the photographed actor"
            )
        return HeadScene(plan, self)


def draw_studio(seed: int) -> Studio:
    """Another camera and another light for each person."""
    rng = np.random.default_rng([seed, 5])
    return Studio(
        distance=float(rng.uniform(190.0, 340.0)),
        lamp=draw_lamp(rng),
        blur=float(rng.uniform(0.35, 0.6)),
        exposure=float(rng.uniform(0.85, 1.05)),
    )


def draw_head(seed: int, config: ClipConfig) -> Head:
    """A person with a camera and a light of their own."""
    return make_head(seed, config, draw_studio(seed))


def make_head(seed: int, config: ClipConfig | None = None, studio: Studio | None = None) -> Head:
    """A person for clips of a size and colour; the same that `still.mesh_face` portrays."""
    config = config or ClipConfig()
    rng = np.random.default_rng([seed, 3])
    vertices, looks = draw_person(head_data(), rng)
    shape = make_shape(vertices)
    unit_px = config.face_px / FACE_WIDTH
    atlas = paint_atlas(shape.mesh, looks, _TEXELS * unit_px, config.colour, rng)
    return Head(seed, shape, looks, atlas, studio or Studio(), unit_px)


class HeadScene(Scene):
    """A plan and a head made ready."""

    def __init__(self, plan: ClipPlan, head: Head) -> None:
        config, distance = plan.config, head.studio.distance
        self.head = head
        middle = (config.face_x * config.width, MIDDLE_HEIGHT * config.height)
        peaks = [self._scaled(move.recipe.weights, move.peak_px) for move in plan.movements]
        super().__init__(plan, np.array(middle), peaks)
        self._camera = Camera(head.unit_px, middle, distance)
        self._background = layers.Background(config, head.looks, head.unit_px, distance, head.seed)
        self._whole = Window(0, 0, config.width, config.height)
        self._layers = layers.Layers(head.shape, head.atlas)

    def _scaled(self, weights: Picture, peak_px: float) -> Picture:
        """(n_units,) pixels, so that the skin's largest displacement is ``peak_px``."""
        shape = self.head.shape
        shift = np.tensordot(weights, shape.units[:, shape.visible, :2], axes=1)
        largest = float(np.hypot(shift[:, 0], shift[:, 1]).max())
        return np.asarray(weights * (peak_px / largest), dtype=np.float32)

    def _vertices(self, time: float) -> Array:
        """(n, 3) under expressions, speech and blinks."""
        moved = self.units_px(time) / np.float32(self.head.unit_px)
        lids = self.head.shape.closing(self.plan.closure(time))
        return self.head.shape.moved(np.maximum(moved, lids))

    def _field_at_apex(self, movement: int) -> Picture:
        shape = self.head.shape
        weights = self._peaks[movement] / np.float32(self.head.unit_px)
        rest, apex = (self._camera.project(v) for v in (shape.rest, shape.moved(weights)))
        shift = np.column_stack([apex.image - rest.image, np.zeros(len(rest.depth))])
        chosen = shape.mesh.triangles[shape.mesh.of(Part.SKIN, Part.EYE)]
        front = np.ascontiguousarray(chosen, np.int32)
        found, _ = rasterise(rest, front, shift.astype(np.float32), self._whole)
        size = (-(-self._whole.width // 2), -(-self._whole.height // 2))
        small = cv2.resize(found[..., :2], size, interpolation=cv2.INTER_AREA)
        return np.asarray(small, dtype=np.float32)

    def points(self, vertices: Array, time: float) -> Points:
        """Where vertices lie in the picture at a time."""
        radians = 1.0 / (NOSE_DEPTH * self.head.unit_px)
        yaw, pitch = self.pose.yaw(time) * radians, self.pose.pitch(time) * radians
        return self._camera.project(vertices, yaw, pitch, self.pose.matrix(time))

    def landmarks(self, time: float) -> Array:
        """(68, 2) points of the moved surface."""
        return self.points(head_landmarks().of(self._vertices(time)), time).image

    def face_pose(self, time: float) -> Array:
        """(2, 3) canonical units to image pixels, through eyes and mouth."""
        rest = self.points(head_landmarks().of(self.head.shape.rest), time)
        return fit_affine(ANCHORS, anchor_points(rest.image))

    def picture(self, time: float) -> Picture:
        seen = self._background.wall if self.plan.is_absent(time) else self._person(time)
        studio = self.head.studio
        return np.asarray(cv2.GaussianBlur(seen, (0, 0), studio.blur) * studio.exposure)

    def _person(self, time: float) -> Picture:
        vertices = self._vertices(time)
        points, painted = self.points(vertices, time), self.head.atlas.vertices
        points = Points(points.image[painted], points.depth[painted])
        values = self._values(vertices)
        out = self._background.picture(self.pose.matrix(time))
        layers.lay_over(out, *self._draw(points, values, self._layers.whole, self._whole))
        for part in self._layers.windows:
            window = layers.fine_window(points.image[part.vertices], self._whole, part.fine)
            if window is None:
                continue
            colour, seen = self._draw(points, values, part.triangles, window)
            if len(part.lashes):
                self._draw_lashes(colour, points, part.lashes, window)
            layers.paste(out, colour, seen, window)
        return out

    def _values(self, vertices: Array) -> Picture:
        """(r, 3) of painted vertices: place in the atlas, and light."""
        head, atlas = self.head, self.head.atlas
        lamp = head.studio.lamp or head.looks.lamp
        factor, shine = shade(head.shape.normals(vertices), lamp, 20.0)
        light = (_LIGHT * factor + shine / np.float32(_SHINE))[atlas.vertices]
        light = np.where(atlas.parts == Part.EYE, np.float32(1.0), light) * self._layers.hollow
        return np.column_stack([atlas.places, light]).astype(np.float32)

    def _draw(
        self, points: Points, values: Picture, triangles: layers.Triples, window: Window
    ) -> tuple[Picture, Mask]:
        found, seen = rasterise(points, triangles, values, window)
        x, y, light = cv2.split(found)
        colour = np.asarray(cv2.remap(self.head.atlas.picture, x, y, cv2.INTER_LINEAR))
        colour *= light if colour.ndim == 2 else light[..., None]
        return colour, seen

    def _draw_lashes(
        self, colour: Picture, points: Points, triangles: layers.Triples, window: Window
    ) -> None:
        """Darken what lies behind the lashes; in place."""
        values = np.repeat(self._layers.roots[:, None], 3, axis=1)
        # before everything: lashes touch the lids, and which is nearer would flicker
        found, _ = rasterise(points, triangles, values, window, both_sides=True)
        share = np.minimum(found[..., 0] * np.float32(0.9), np.float32(0.8))
        dark = (0.3 * self.head.looks.hair).astype(np.float32)
        cover(colour, dark if colour.ndim == 3 else in_gray(dark), share)
