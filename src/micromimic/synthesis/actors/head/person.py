"""Who a rendered head is: ancestry, sex, age, build, features, and the looks that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from micromimic.synthesis.actors.base import Array
from micromimic.synthesis.actors.head.data import RACES, HeadData

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
# colours are RGB, 0 to 255; of each ancestry
_SKINS: Final = np.array([(128.0, 90.0, 70.0), (214.0, 168.0, 134.0), (222.0, 176.0, 152.0)])
_HAIRS: Final = np.array([(26.0, 22.0, 21.0), (44.0, 31.0, 25.0), (92.0, 62.0, 40.0)])
_BLOND: Final = np.array([156.0, 122.0, 78.0])
_GRAY: Final = np.array([150.0, 147.0, 143.0])
_IRISES: Final = np.array([(58.0, 36.0, 24.0), (92.0, 66.0, 38.0), (88.0, 112.0, 130.0)])


class Lamp(NamedTuple):
    """Where light comes from: radians from the camera, and the share that comes from everywhere."""

    azimuth: float
    elevation: float
    ambient: float


@dataclass(frozen=True)
class Looks:
    """What is not shape; colours are RGB, 0 to 255."""

    skin: Array
    hair: Array
    iris: Array
    shirt: Array
    wall: Array
    brow: float  # strength of the brows, 0 to 1
    brow_width: float  # their height, canonical units
    brow_rise: float  # shift of the brows downward, canonical units
    long_hair: bool  # hair down to the shoulders
    hairline: float  # height of the hair's edge over the brow, canonical units, upward
    beard: float  # shadow of a shaven beard, 0 to 1
    rouge: float  # redness of the lips, 0 to 1
    lines: float  # folds of age, 0 to 1
    lamp: Lamp


def draw_person(head: HeadData, rng: np.random.Generator) -> tuple[Array, Looks]:
    """(n, 3) vertices of the whole mesh in its own lengths, and the looks."""
    ancestry = rng.dirichlet([0.5] * len(RACES))
    female, old = float(rng.beta(0.3, 0.3)), float(rng.uniform(0.0, 0.6))
    vertices = _shape(head, ancestry, female, old, rng)
    return vertices, _draw_looks(ancestry, female, old, rng)


def draw_lamp(rng: np.random.Generator) -> Lamp:
    ranges = ((-0.75, 0.75), (0.25, 0.75), (0.45, 0.65))
    return Lamp(*(float(rng.uniform(low, high)) for low, high in ranges))


def grown(
    head: HeadData, ancestry: Array, female: float, old: float, muscle: float, weight: float
) -> Array:
    """(n, 3) vertices of an adult whose features nobody has shaped yet; shares of 0 to 1."""
    vertices = head.vertices.copy()
    for sex, of_sex in (("female", female), ("male", 1 - female)):
        for age, of_age in (("young", 1 - old), ("old", old)):
            share = of_sex * of_age
            for race, amount in zip(RACES, ancestry, strict=True):
                vertices += share * amount * head.target(f"macrodetails/{race}-{sex}-{age}")
            for m, of_m in (("minmuscle", 1 - muscle), ("maxmuscle", muscle)):
                for w, of_w in (("minweight", 1 - weight), ("maxweight", weight)):
                    name = f"macrodetails/universal-{sex}-{age}-{m}-{w}"
                    vertices += share * of_m * of_w * head.target(name)
    return vertices


def _shape(
    head: HeadData, ancestry: Array, female: float, old: float, rng: np.random.Generator
) -> Array:
    muscle, weight = rng.uniform(0.2, 0.8), rng.uniform(0.1, 0.6)
    vertices = grown(head, ancestry, female, old, muscle, weight)
    for name, directions in _FEATURES.items():
        amount = float(np.clip(rng.normal(0.0, _SHAPE), -_LIMIT, _LIMIT))
        end = directions[int(amount > 0)]
        vertices += abs(amount) * head.target(f"{name}-{end}")
        room, stem = name.split("/")
        if stem.startswith("l-"):
            vertices += abs(amount) * head.target(f"{room}/r-{stem[2:]}-{end}")
    return vertices


def _draw_looks(ancestry: Array, female: float, old: float, rng: np.random.Generator) -> Looks:
    skin = np.exp(ancestry @ np.log(_SKINS)) * rng.uniform(0.88, 1.08)
    hair = np.exp(ancestry @ np.log(_HAIRS)) * rng.uniform(0.7, 1.2)
    light = ancestry[2]
    if rng.random() < 0.35 * light:
        hair = _BLOND * rng.uniform(0.7, 1.1)
    hair = hair + (_GRAY - hair) * float(np.clip(2.0 * (old - 0.45), 0.0, 1.0) ** 1.5)
    blue = rng.random() < 0.6 * light
    iris = _IRISES[2] if blue else _IRISES[int(rng.random() < 0.5 * light)]
    male = 1.0 - female
    return Looks(
        skin=skin,
        hair=hair,
        iris=iris * rng.uniform(0.85, 1.15),
        shirt=rng.uniform(40.0, 190.0) * (1.0 + rng.normal(0.0, 0.2, 3)).clip(0.5, 1.5),
        wall=rng.uniform(90.0, 190.0) * (1.0 + rng.normal(0.0, 0.04, 3)),
        brow=float(rng.uniform(0.55, 0.85) + 0.1 * male),
        brow_width=float(rng.uniform(0.55, 0.8) + 0.25 * male),
        brow_rise=float(rng.normal(0.0, 0.25) + 0.3 * male),
        long_hair=bool(rng.random() < 0.8 * female),
        hairline=float(rng.uniform(8.5, 10.5) + 2.0 * male * old),
        beard=float(male * rng.uniform(0.0, 0.9)),
        rouge=float(rng.uniform(0.1, 0.5) + 0.4 * female * rng.random()),
        lines=old,
        lamp=draw_lamp(rng),
    )
