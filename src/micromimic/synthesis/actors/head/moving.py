"""Videos of rendered heads: lids and lips really open, the head really turns.

A `ClipPlan` says what happens and when, as for the clips of `synthesis.clips`; here it moves a mesh
in three dimensions. Every frame is drawn anew: face units shift the vertices, the head turns, light
falls on the moved surface, and a depth buffer decides what hides what. Eyes, nose and mouth
are drawn more finely than the rest, since that is where edges move.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.synthesis.actors.head.camera import (
    Camera,
    Points,
    Window,
    is_seen,
    rasterise,
)
from micromimic.synthesis.actors.head.layers import (
    MIDDLE_HEIGHT,
    Background,
    Layers,
    fine_window,
    lay_over,
    paste,
)
from micromimic.synthesis.actors.head.mesh import Part, Person, make_person
from micromimic.synthesis.actors.head.paint import Atlas, paint_atlas
from micromimic.synthesis.actors.head.still_faces import data_folder, draw_person, head_data
from micromimic.synthesis.actors.head.still_paint import Looks
from micromimic.synthesis.actors.head.still_render import shade
from micromimic.synthesis.databases.identities import GRAY_WEIGHTS
from micromimic.synthesis.nuisance import Pose, Sensor
from micromimic.synthesis.schedule import ClipConfig, ClipPlan

__all__ = ["Head", "HeadScene", "Studio", "draw_studio", "make_head", "render_head"]

Array = NDArray[np.float64]
Plane = NDArray[np.float32]
Triples = NDArray[np.int32]

_FACE_PX: Final = 15.0 / 0.287
"""Pixels of `ClipConfig.face_px` for one pixel a canonical unit."""
_TEXELS: Final = 2.0  # atlas pixels in an image pixel
_NOSE_DEPTH: Final = 8.0  # canonical units that ``ClipConfig.yaw_px`` is told for
_LIGHT: Final = 1.12
_SHINE: Final = 150.0  # grey level of skin that highlights are told for


@dataclass(frozen=True)
class Studio:
    """How a head is filmed, beside what a `ClipConfig` says.

    Args:
        distance: of the camera, canonical units; a metre is 240.
        azimuth, elevation: of the lamp, radians; None keeps the person's own.
        ambient: share of light from everywhere; None keeps the person's own.
        blur: standard deviation of the lens, image pixels.
        exposure: factor of the brightness.
    """

    distance: float = 260.0
    azimuth: float | None = None
    elevation: float | None = None
    ambient: float | None = None
    blur: float = 0.45
    exposure: float = 1.0

    def __post_init__(self) -> None:
        if self.distance < 100.0 or self.blur <= 0.0 or self.exposure <= 0.0:
            raise ValueError(
                "expected a distance of at least 100 units and a blur and exposure above 0, got "
                f"{self.distance}, {self.blur} and {self.exposure}"
            )


@dataclass(frozen=True)
class Head:
    """A person ready to be filmed: `make_head` makes it.

    Args:
        seed: who.
        person: the head at rest and how it moves.
        looks: colours and light.
        atlas: its painted surfaces, for pictures of ``unit_px`` pixels a canonical unit.
        studio: how it is filmed.
        unit_px: image pixels in a canonical unit.
    """

    seed: int
    person: Person
    looks: Looks
    atlas: Atlas
    studio: Studio
    unit_px: float


def draw_studio(seed: int) -> Studio:
    """Another camera and another light for each person.

    >>> draw_studio(3) == draw_studio(3) != draw_studio(4)
    True
    """
    rng = np.random.default_rng([seed, 5])
    return Studio(
        distance=float(rng.uniform(190.0, 340.0)),
        azimuth=float(rng.uniform(-0.75, 0.75)),
        elevation=float(rng.uniform(0.25, 0.75)),
        ambient=float(rng.uniform(0.45, 0.65)),
        blur=float(rng.uniform(0.35, 0.6)),
        exposure=float(rng.uniform(0.85, 1.05)),
    )


def make_head(seed: int, config: ClipConfig | None = None, studio: Studio | None = None) -> Head:
    """A person for clips of a size.

    Args:
        seed: who; the same seed gives the person that `mesh_faces.mesh_face` portrays.
        config: the clips' settings, of which size and colour matter here.
        studio: camera and light.

    Raises:
        MissingExtraError: without the ``faces3d`` extra.
        InputError: if the package's data are not those known.
    """
    config = config or ClipConfig()
    rng = np.random.default_rng([seed, 3])
    shape, looks = draw_person(head_data(data_folder()), rng)
    person = make_person(shape)
    unit_px = config.face_px / _FACE_PX
    atlas = paint_atlas(person.mesh, looks, _TEXELS * unit_px, config.colour, rng)
    return Head(seed, person, looks, atlas, studio or Studio(), unit_px)


def render_head(
    plan: ClipPlan, head: Head, *, frames: range | None = None
) -> Iterator[NDArray[np.uint8]]:
    """The frames of a clip: (H, W) grey or (H, W, 3) RGB, uint8, one at a time.

    The same plan and head give the same bytes on one machine.

    Args:
        plan: the clip.
        head: who plays it; made for clips of this size.
        frames: which of the clip's frames; None is all.

    Raises:
        InputError: if the head was made for another size, or the plan wants a second face.
        MissingExtraError: with an OpenCV before 5.
    """
    scene = HeadScene(plan, head)
    sensor = Sensor(plan)
    for number in range(plan.config.frames) if frames is None else frames:
        time = number / plan.config.fps
        yield sensor.expose(scene.picture(time), time)


class HeadScene:
    """A plan and a head made ready.

    Args:
        plan: the clip.
        head: who plays it.

    Raises:
        InputError: if they do not go together.
    """

    def __init__(self, plan: ClipPlan, head: Head) -> None:
        config = plan.config
        check_fit(config, head)
        self.plan = plan
        self.head = head
        middle = (config.face_x * config.width, MIDDLE_HEIGHT * config.height)
        self.camera = Camera(head.unit_px, middle, head.studio.distance)
        self.pose = Pose(plan, np.array(middle))
        self._peaks = [self._scale(move.recipe.weights, move.peak_px) for move in plan.movements]
        self._background = Background(config, head)
        self._whole = Window(0, 0, config.width, config.height)
        self._layers = Layers(head)

    def _scale(self, weights: NDArray[np.float32], peak_px: float) -> NDArray[np.float32]:
        """(n_units,) pixels, so that the skin's largest displacement is ``peak_px``."""
        person = self.head.person
        seen = person.visible
        shift = np.tensordot(weights, person.units[:, seen, :2], axes=1)
        largest = float(np.hypot(shift[:, 0], shift[:, 1]).max())
        return np.asarray(weights * (peak_px / largest), dtype=np.float32)

    def closure(self, time: float) -> float:
        """How closed the lids are, 0 to 1."""
        return self.plan.closure(time)

    def units_px(self, time: float) -> NDArray[np.float32]:
        """(n_units,) largest displacement of each action unit at a time, blinks aside, px."""
        parts = [
            peak * np.float32(move.envelope(time))
            for move, peak in zip(self.plan.movements, self._peaks, strict=True)
        ]
        return np.asarray(sum(parts, self.plan.speech_weights(time)), dtype=np.float32)

    def weights(self, time: float) -> NDArray[np.float32]:
        """(n_units,) the same in canonical units, lids closed by blinks with them."""
        moved = self.units_px(time) / np.float32(self.head.unit_px)
        return np.asarray(np.maximum(moved, self.head.person.closing(self.closure(time))))

    def field(self, movement: int) -> Plane:
        """What one movement does to the resting face at its apex.

        Args:
            movement: number among the plan's movements.

        Returns:
            (h, w, 2) displacement of the skin, px, on every second pixel: entry (i, j) belongs to
            the point (2 j + 0.5, 2 i + 0.5); 0 where no skin is seen.
        """
        person = self.head.person
        weights = self._peaks[movement] / np.float32(self.head.unit_px)
        rest, apex = (
            self.camera.project(vertices, 0.0, 0.0, np.eye(2, 3))
            for vertices in (person.rest, person.moved(weights))
        )
        shift = np.column_stack([apex.image - rest.image, np.zeros(len(rest.depth))])
        mesh = person.mesh
        front = np.ascontiguousarray(mesh.triangles[mesh.of(Part.SKIN, Part.EYE)], np.int32)
        found, _ = rasterise(rest, front, shift.astype(np.float32), self._whole)
        size = (-(-self._whole.width // 2), -(-self._whole.height // 2))
        return np.asarray(
            cv2.resize(found[..., :2], size, interpolation=cv2.INTER_AREA), dtype=np.float32
        )

    def points(self, vertices: Array, time: float) -> Points:
        """Where vertices lie in the picture at a time."""
        radians = 1.0 / (_NOSE_DEPTH * self.head.unit_px)
        yaw, pitch = self.pose.yaw(time) * radians, self.pose.pitch(time) * radians
        return self.camera.project(vertices, yaw, pitch, self.pose.matrix(time))

    def picture(self, time: float) -> Plane:
        """(H, W) or (H, W, 3) grey levels before the sensor."""
        absent = any(a <= time < b for a, b in self.plan.config.absent)
        seen = self._background.wall if absent else self._person(time)
        studio = self.head.studio
        return np.asarray(cv2.GaussianBlur(seen, (0, 0), studio.blur) * studio.exposure)

    def _person(self, time: float) -> Plane:
        """The same before the lens."""
        vertices = self.head.person.moved(self.weights(time))
        points = self.points(vertices, time)
        painted = Points(
            points.image[self.head.atlas.vertices], points.depth[self.head.atlas.vertices]
        )
        values = self._values(vertices)
        out = self._background.picture(self.pose.matrix(time))
        colour, depth = self._draw(painted, values, self._layers.whole, self._whole)
        lay_over(out, colour, is_seen(depth))
        for part in self._layers.windows:
            window = fine_window(painted.image[part.vertices], self._whole, part.fine)
            if window is None:
                continue
            colour, depth = self._draw(painted, values, part.triangles, window)
            if len(part.lashes):
                self._draw_lashes(colour, painted, part.lashes, window)
            paste(out, colour, is_seen(depth), window)
        return out

    def _values(self, vertices: Array) -> Plane:
        """(r, 3) of painted vertices: place in the atlas, and light."""
        head, atlas, studio = self.head, self.head.atlas, self.head.studio
        looks = head.looks
        normals = head.person.normals(vertices)
        factor, shine = shade(
            normals,
            azimuth=looks.azimuth if studio.azimuth is None else studio.azimuth,
            elevation=looks.elevation if studio.elevation is None else studio.elevation,
            ambient=looks.ambient if studio.ambient is None else studio.ambient,
            gloss=20.0,
        )
        light = (_LIGHT * factor + shine / np.float32(_SHINE))[atlas.vertices]
        light = np.where(atlas.parts == Part.EYE, np.float32(1.0), light)
        light = light * self._layers.hollow
        return np.column_stack([atlas.places, light]).astype(np.float32)

    def _draw(
        self, points: Points, values: Plane, triangles: NDArray[np.int32], window: Window
    ) -> tuple[Plane, Plane]:
        found, depth = rasterise(points, triangles, values, window)
        x, y, light = cv2.split(found)
        colour = np.asarray(cv2.remap(self.head.atlas.picture, x, y, cv2.INTER_LINEAR))
        colour *= light if colour.ndim == 2 else light[..., None]
        return colour, depth

    def _draw_lashes(
        self,
        colour: Plane,
        points: Points,
        triangles: NDArray[np.int32],
        window: Window,
    ) -> None:
        """Darken what lies behind the lashes; in place."""
        values = np.repeat(self._layers.roots[:, None], 3, axis=1)
        # before everything: lashes touch the lids, and which is nearer would flicker
        found, _ = rasterise(points, triangles, values, window, both_sides=True)
        cover = np.minimum(found[..., 0] * np.float32(0.9), np.float32(0.8))
        dark = (0.3 * self.head.looks.hair).astype(np.float32)
        if colour.ndim == 2:
            colour += (np.float32(dark @ np.array(GRAY_WEIGHTS, np.float32)) - colour) * cover
        else:
            colour += (dark - colour) * cover[..., None]


def check_fit(config: ClipConfig, head: Head) -> None:
    """Raise unless the head was made for such clips.

    Raises:
        InputError: if its size or colour is another, or a second face is wanted.
    """
    colour = head.atlas.picture.ndim == 3
    if abs(config.face_px / _FACE_PX - head.unit_px) > 1e-6 or config.colour != colour:
        wanted = f"{config.face_px:g} px, {'RGB' if config.colour else 'grey'}"
        got = f"{head.unit_px * _FACE_PX:g} px, {'RGB' if colour else 'grey'}"
        raise InputError(
            f"expected a head for faces of {wanted}, got {got}; make it from the plan's config"
        )
    if config.second_face > 0.0:
        raise InputError(
            f"expected one face in a rendered clip, got second_face {config.second_face}; set it "
            "to 0 or take the photographed actor"
        )
