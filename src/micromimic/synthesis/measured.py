"""Flow maps measured by our own estimator on rendered pairs of frames, with known truth.

The maps of `synthesis.maps` are drawn: what an estimator makes of a movement is imitated by noise,
gain and blur. Here it is not imitated. A face is rendered at onset and at apex (`synthesis.clips`:
planted action units, drift and turn of the head, light, sensor noise), stored as JPEG now and then,
brought to the canonical face with a tracker's error and a crop's, and measured by `motion.flow`, as
`preparation` does it. Some ten a second on one core, nearly all of it flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.canonical import UNITS, apply_affine, compose
from micromimic.face.units import UNIT_NAMES
from micromimic.motion.flow import FlowConfig, flow_of_spans
from micromimic.synthesis.actors.people import FaceKind, make_face
from micromimic.synthesis.actors.photo import PhotoActor
from micromimic.synthesis.actors.portrait import Portrait
from micromimic.synthesis.anny_units import draw_fields
from micromimic.synthesis.clip_nuisances import Pose
from micromimic.synthesis.clips import render
from micromimic.synthesis.map_nuisances import CENTRE, Dice, crop
from micromimic.synthesis.maps import DrawnMaps, MapConfig, draw_movement
from micromimic.synthesis.recipes import Recipe
from micromimic.synthesis.schedule import ClipPlan, Movement, clip_of_kind

Pictures = Literal["mesh", "warped", "both"]

_FPS: Final = 200.0
_START: Final = 0.5  # seconds
_FACE_UNITS: Final = 52.3  # width of the face that ``ClipConfig.face_px`` means, canonical units
_SPAN_UNITS: Final = 44.0  # width of the rendered frame
# maps of one seed have other chance than drawn ones of the same seed
_STREAM: Final = 2_000_003
_CENTRE: Final = np.array(CENTRE)


@dataclass(frozen=True)
class MeasuredConfig:
    """What is rendered, and how it is filmed and followed; pairs are ranges."""

    # movements, crops and the size of the movement (``peak_units``), as for drawn maps; its
    # residues, noise, gain, blur and boundary take no part: the estimator has its own
    maps: MapConfig = field(default_factory=MapConfig)
    # whose face: the warped photograph, rendered heads (``faces3d`` extra), or both in turns
    pictures: Pictures = "warped"
    people: int = 12  # different faces drawn for one call; each moves by its own fields
    unit_px: tuple[float, float] = (3.5, 8.0)  # image pixels a canonical unit, one a person
    rise_s: tuple[float, float] = (0.06, 0.3)  # from onset to apex
    noise_sd: tuple[float, float] = (0.3, 1.5)  # of averaged frames, grey levels
    flicker: tuple[float, float] = (0.0, 0.03)  # of the light from frame to frame, share of it
    drift_px: float = 8.0  # largest excursions of the head's slow wander, at 4.4 pixels a unit
    drift_deg: float = 2.5
    yaw_px: float = 2.5
    jpeg_probability: float = 0.4  # chance that frames are stored as JPEG
    jpeg_quality: tuple[int, int] = (75, 98)
    lost_px: float = 0.1  # standard deviation of the tracker's error between onset and apex
    lost_deg: float = 0.1
    flow: FlowConfig = field(default_factory=FlowConfig)


def measured_maps(
    labels: Sequence[str], seed: int, config: MeasuredConfig | None = None, *, first: int = 0
) -> DrawnMaps:
    """Render and measure one movement for each label, as `maps.draw_maps` draws them."""
    settings = config or MeasuredConfig()
    maps = np.empty((len(labels), 3, UNITS, UNITS), np.float32)
    weights = np.empty((len(labels), len(UNIT_NAMES)), np.float32)
    names: list[tuple[str, ...]] = []
    actors = _actors(seed, settings) if labels else ()
    for row, label in enumerate(labels):
        dice = Dice(_STREAM + seed, (first + row,))
        rng = dice.generators[0]
        weights[row], acting = draw_movement(label, rng, settings.maps)
        names.append(acting)
        actor = actors[int(rng.integers(len(actors)))]
        plan = _plan(Recipe(label, acting, weights[row]), actor, rng, settings)
        maps[row] = _measure(plan, actor, dice, settings)
    return DrawnMaps(maps, weights, tuple(names))


@lru_cache(maxsize=1)
def _actors(seed: int, settings: MeasuredConfig) -> tuple[PhotoActor, ...]:
    """Faces drawn by the seed; whose fields they move by is drawn beside."""
    kinds: tuple[FaceKind, ...] = ("warped", "mesh")
    if settings.pictures != "both":
        kinds = (settings.pictures,)
    chances = [np.random.default_rng([_STREAM + seed, 0, n]) for n in range(settings.people)]
    return tuple(_actor(kinds[n % len(kinds)], rng, settings) for n, rng in enumerate(chances))


def _actor(kind: FaceKind, rng: np.random.Generator, settings: MeasuredConfig) -> PhotoActor:
    unit_px = float(rng.uniform(*settings.unit_px))
    side = round(_SPAN_UNITS * unit_px)
    portrait = Portrait(width=side, height=side, unit_px=unit_px, colour=False)
    face = make_face(kind, int(rng.integers(10_000)), portrait)
    return PhotoActor(face, draw_fields(rng, settings.maps.faces))


def _plan(
    recipe: Recipe, actor: PhotoActor, rng: np.random.Generator, settings: MeasuredConfig
) -> ClipPlan:
    """A clip of one movement; only its onset and its apex will be rendered."""
    height, width = (side // 2 for side in actor.face.picture.shape)
    unit_px = width / _SPAN_UNITS
    peak = unit_px * float(np.exp(rng.uniform(*np.log(settings.maps.peak_units))))
    rise = round(float(rng.uniform(*settings.rise_s)) * _FPS) / _FPS
    wander = unit_px / 4.4
    config = clip_of_kind(
        "neutral",
        seconds=2.0,
        fps=_FPS,
        width=width,
        height=height,
        face_px=_FACE_UNITS * unit_px,
        peak_px=peak,
        head_moves_per_minute=0.0,
        noise_sd=float(rng.uniform(*settings.noise_sd)),
        drift_px=settings.drift_px * wander,
        drift_deg=settings.drift_deg,
        yaw_px=settings.yaw_px * wander,
        flicker=float(rng.uniform(*settings.flicker)),
    )
    apex = _START + rise
    move = Movement("micro", _START, apex, apex, 2 * apex - _START, peak, recipe)
    return ClipPlan(config, int(rng.integers(2**31)), (move,), (), ())


def _measure(
    plan: ClipPlan, actor: PhotoActor, dice: Dice, settings: MeasuredConfig
) -> NDArray[np.float32]:
    """(3, 28, 28) what the estimator sees between onset and apex."""
    rng = dice.generators[0]
    move = plan.micro[0]
    first, last = round(move.onset * _FPS), round(move.apex * _FPS)
    frames = list(render(plan, actor=actor, frames=range(first, last + 1, last - first)))
    if rng.random() < settings.jpeg_probability:
        low, high = settings.jpeg_quality
        quality = int(rng.integers(low, high + 1))
        frames = [_as_jpeg(frame, quality) for frame in frames]
    pose = Pose(plan, apply_affine(actor.face.to_image, np.full(2, UNITS / 2)))
    seen = compose(actor.face.to_image, _misplaced(dice, settings.maps))
    onset = compose(pose.matrix(move.onset), seen)
    apex = compose(_lost(apply_affine(onset, _CENTRE), rng, settings), pose.matrix(move.apex))
    spans = [(frames[0], onset)], [(frames[1], compose(apex, seen))]
    return flow_of_spans(*spans, config=settings.flow).channels()


def _misplaced(dice: Dice, maps: MapConfig) -> NDArray[np.float64]:
    """(2, 3) from a slightly wrong crop's units to canonical ones."""
    cropped = crop(dice, replace(maps, crop_warp=0.0))
    linear = cropped.linear[0]
    return np.column_stack([linear, cropped.middle[0] - linear @ _CENTRE])


def _lost(
    pivot: NDArray[np.float64], rng: np.random.Generator, settings: MeasuredConfig
) -> NDArray[np.float64]:
    """(2, 3) the tracker's error between onset and apex, in the image."""
    turn = np.deg2rad(settings.lost_deg) * rng.normal()
    shift = settings.lost_px * rng.normal(size=2)
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, pivot + shift - linear @ pivot])


def _as_jpeg(frame: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    _, coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
