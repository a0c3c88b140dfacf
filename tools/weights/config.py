"""How the two shipped models are trained. Imports no torch: the command says its defaults by it."""

from __future__ import annotations

from dataclasses import dataclass

from micromimic.synthesis.maps import Faces
from micromimic.synthesis.recipes import Recipes


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What both have in common.

    Args:
        seed: decides maps, initial weights and order; the same seed gives the same model.
        recipes: which combinations of action units make a class (`synthesis.recipes`).
        epochs: passes over the maps; there is no early stopping.
        batch: maps a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: of AdamW.
        validation: synthetic maps for each validation set.
    """

    seed: int = 0
    recipes: Recipes = "full"
    epochs: int = 5
    batch: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 1e-3
    validation: int = 3000


@dataclass(frozen=True, kw_only=True)
class FlowConfig(TrainConfig):
    """Of flow-capsnet; what was tried instead stands in ``docs/experiments.md``.

    Args:
        maps: drawn training maps (`synthesis.maps`) of each teacher.
        measured: training maps that our own estimator measured on rendered frames
            (`synthesis.measured`), of warped and of mesh faces (``faces3d`` extra); all teachers
            see them.
        faces: where the action units' fields come from.
        shares: of the classes, order of `labels.THREE`: between even ones and those of the
            composite database (.57, .25, .19), which is where people meet the model.
        teachers: networks that learn from classes, ``epochs`` passes each.
        lessons: the shipped network's passes over all maps, learning what the teachers say.
    """

    maps: int = 1500
    measured: int = 3000
    faces: Faces = "mesh"
    shares: tuple[float, float, float] = (0.42, 0.30, 0.28)
    teachers: int = 8
    lessons: int = 6


@dataclass(frozen=True, kw_only=True)
class UnitConfig(TrainConfig):
    """Of flow-units.

    Args:
        maps: synthetic training maps, classes in equal parts.
        harder_share: how many of them have the stronger nuisances of `MapConfig.harder`.
        one_sided_weight: how much more a movement of one side counts than one of both when sides
            are learnt: nine in ten movements are of both, and a network may call all of them so.
    """

    maps: int = 24000
    harder_share: float = 0.5
    one_sided_weight: float = 3.0
    epochs: int = 10
    validation: int = 6000
