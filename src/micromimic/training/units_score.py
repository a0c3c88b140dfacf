"""How well action units are told, and what a network's logits are worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, precision_recall_curve, roc_auc_score

from micromimic.models.action_units import NEVER, UnitCalibration, UnitScores
from micromimic.synthesis.maps import Faces, MapConfig
from micromimic.training.progress import Report
from micromimic.training.units_fit import (
    SIDED,
    TOLD,
    UnitNet,
    UnitTrainConfig,
    UnitTruth,
    said_of,
    train_units,
    unit_maps,
    unit_training_maps,
)

LOWEST: Final = 0.2
HIGHEST: Final = 0.8
"""Limits of a threshold: a unit that is rare in the synthetic maps may be common in a video."""
WORTH_TELLING: Final = 0.2
"""A unit whose F1 on other faces is below this at its threshold is never told."""
# added to the training seed, so that no validation map shares a draw with a training map
_ACROSS: Final = 700_000
_OWN: Final = 800_000


@dataclass(frozen=True)
class Asked:
    """What a network said of maps, and what is in them."""

    said: UnitScores
    truth: UnitTruth

    def take(self, rows: NDArray[np.bool_]) -> Asked:
        """These maps only."""
        said = UnitScores(self.said.presence[rows], self.said.sides[rows], self.said.shares[rows])
        return Asked(said, self.truth.take(rows))


def ask(network: UnitNet, count: int, seed: int, settings: MapConfig) -> Asked:
    """Draw maps and hear the network."""
    maps = unit_maps(count, seed, settings)
    return Asked(said_of(network, maps.maps), maps.truth)


def joined(parts: list[Asked]) -> Asked:
    """Several sets as one, their maps taking turns if they are of one length."""
    order = np.argsort(
        np.concatenate([np.arange(len(p.truth.presence)) for p in parts]), kind="stable"
    )

    def join(arrays: list[NDArray[np.generic]]) -> NDArray[np.generic]:
        return np.concatenate(arrays)[order]

    said = (join([p.said[k] for p in parts]) for k in range(3))
    truth = (
        join([getattr(p.truth, name) for p in parts]) for name in ("presence", "sides", "shares")
    )
    return Asked(UnitScores(*said), UnitTruth(*truth))  # type: ignore[arg-type]


def across_sources(config: UnitTrainConfig, report: Report | None = None) -> tuple[Asked, Asked]:
    """What networks say about faces of a source that they were not trained on.

    Two networks are trained, each on half as many maps of one source, and each is asked about
    plain and harder maps of the other.

    Returns:
        Two halves with the same make-up: one to calibrate with, one to check on.
    """
    half = replace(config, maps=config.maps // 2)
    directions: tuple[tuple[Faces, Faces], ...] = (("own", "mesh"), ("mesh", "own"))
    parts = []
    for known, unknown in directions:
        network = train_units(unit_training_maps(half, known, report), half, report)
        for number, settings in enumerate((MapConfig(), MapConfig().harder())):
            seed = _ACROSS + 2 * config.seed + number
            parts.append(
                ask(network, config.validation // 2, seed, replace(settings, faces=unknown))
            )
    everything = joined(parts)
    # classes take turns by threes and the four sets by fours: twelve rows hold all kinds
    first = np.arange(len(everything.truth.presence)) // 12 % 2 == 0
    return everything.take(first), everything.take(~first)


def own_faces(network: UnitNet, config: UnitTrainConfig) -> dict[str, Asked]:
    """What the finished network says about new maps of the sources that it was trained on."""
    return {
        name: ask(network, config.validation, _OWN + 2 * config.seed + number, settings)
        for number, (name, settings) in enumerate(
            (("plain", MapConfig()), ("harder", MapConfig().harder()))
        )
    }


@dataclass(frozen=True)
class UnitRow:
    """How well one unit is told; sides is NaN for units of the midline."""

    unit: str
    n: int
    precision: float
    recall: float
    f1: float
    auc: float
    sides: float


@dataclass(frozen=True)
class UnitFigures:
    """Scores of one set of maps.

    Args:
        rows: the units that act at least once, in order.
        micro_f1: of all units' hits together.
        macro_f1, macro_auc: means over ``rows``.
        side_accuracy: share of right sides among the units that act, are told, and can act on one.
        side_balanced: the mean of that over both, left, right.
    """

    rows: tuple[UnitRow, ...]
    micro_f1: float
    macro_f1: float
    macro_auc: float
    side_accuracy: float
    side_balanced: float


def calibrate_units(asked: Asked) -> UnitCalibration:
    """Probabilities by logistic regression of each unit's logit (Platt), thresholds by F1.

    A unit that is not `WORTH_TELLING` gets the threshold 1, which no probability reaches.

    Args:
        asked: about faces that were not trained on; every unit must act somewhere, and somewhere
            not.
    """
    slopes, offsets, thresholds = [], [], []
    for k in range(len(TOLD)):
        logits, acts = asked.said.presence[:, k], asked.truth.presence[:, k]
        fitted = LogisticRegression(C=1e3).fit(logits[:, None], acts)
        slopes.append(round(float(fitted.coef_[0, 0]), 4))
        offsets.append(round(float(fitted.intercept_[0]), 4))
        p = 1 / (1 + np.exp(-(slopes[-1] * logits + offsets[-1])))
        precision, recall, levels = precision_recall_curve(acts, p)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
        best = float(levels[f1[:-1].argmax()])
        best = round(min(max(best, LOWEST), HIGHEST), 3)
        thresholds.append(best if f1_score(acts, p >= best) >= WORTH_TELLING else NEVER)
    return UnitCalibration(TOLD, SIDED, tuple(slopes), tuple(offsets), tuple(thresholds))


def score_units(asked: Asked, calibration: UnitCalibration) -> UnitFigures:
    """Scores of what is told with these thresholds."""
    p = calibration.probabilities(asked.said.presence)
    told = p >= np.array(calibration.threshold)
    return score_told(asked.truth, told, asked.said.sides.argmax(2), p)


def score_told(
    truth: UnitTruth,
    told: NDArray[np.bool_],
    sides: NDArray[np.integer],
    probabilities: NDArray[np.floating] | None = None,
) -> UnitFigures:
    """Scores of units that were told.

    Args:
        truth: what acts.
        told: (n, units) True where a unit is told.
        sides: (n, sided) 0 both, 1 left, 2 right; counted where the unit acts and is told.
        probabilities: (n, units) for the area under the ROC curve, which is NaN without them.
    """
    rows, counts = [], np.zeros(3)
    known = np.zeros(truth.sides.shape, bool)
    right = sides == truth.sides
    for k, unit in enumerate(TOLD):
        acts = truth.presence[:, k]
        hits, extra = (told[:, k] & acts).sum(), (told[:, k] & ~acts).sum()
        counts += hits, extra, acts.sum() - hits
        if not acts.any():
            continue
        where = float("nan")
        if unit in SIDED:
            s = SIDED.index(unit)
            known[:, s] = told[:, k] & acts
            where = float(right[known[:, s], s].mean()) if known[:, s].any() else float("nan")
        auc = float("nan")
        if probabilities is not None and not acts.all():
            auc = float(roc_auc_score(acts, probabilities[:, k]))
        rows.append(
            UnitRow(
                unit=unit,
                n=int(acts.sum()),
                precision=float(hits / max(hits + extra, 1)),
                recall=float(hits / acts.sum()),
                f1=float(2 * hits / (hits + extra + acts.sum())),
                auc=auc,
                sides=where,
            )
        )
    kinds = [right[known & (truth.sides == side)] for side in range(3)]
    aucs = [row.auc for row in rows if not np.isnan(row.auc)]
    return UnitFigures(
        rows=tuple(rows),
        micro_f1=float(2 * counts[0] / max(2 * counts[0] + counts[1] + counts[2], 1)),
        macro_f1=float(np.mean([row.f1 for row in rows])) if rows else float("nan"),
        macro_auc=float(np.mean(aucs)) if aucs else float("nan"),
        side_accuracy=float(right[known].mean()) if known.any() else float("nan"),
        side_balanced=float(np.mean([kind.mean() for kind in kinds if kind.size])),
    )


def calibration_gap(
    probabilities: NDArray[np.floating], presence: NDArray[np.bool_], bins: int = 10
) -> float:
    """Expected calibration error over all units together, in equal-width bins.

    Args:
        probabilities: (n, units).
        presence: (n, units) truth.
        bins: how many.

    >>> calibration_gap(np.array([[0.8], [0.8]]), np.array([[True], [False]])).__round__(3)
    0.3
    """
    p, acts = probabilities.ravel(), presence.ravel()
    place = np.minimum((p * bins).astype(int), bins - 1)
    inside = [place == number for number in np.unique(place)]
    return float(sum(abs(p[one].mean() - acts[one].mean()) * one.mean() for one in inside))
