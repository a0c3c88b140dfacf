"""How well action units are told, and what a network's logits are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    f1_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
)

from micromimic.core.progress import Progress
from micromimic.models.action_units import NEVER, UnitCalibration, UnitScores
from micromimic.synthesis.maps import Faces, MapConfig
from weights.config import UnitConfig
from weights.units_maps import SIDED, TOLD, UnitTruth, unit_maps, unit_training_maps
from weights.units_network import UnitNet, scores_of, train_units

LOWEST: Final = 0.2
HIGHEST: Final = 0.8
"""Limits of a threshold: a unit that is rare in the synthetic maps may be common in a video."""
WORTH_TELLING: Final = 0.2
"""A unit whose F1 on other faces is below this at its threshold is never told."""
# added to the training seed, so that no validation map shares a draw with a training map
_ACROSS: Final = 700_000
_OWN: Final = 800_000


class Asked(NamedTuple):
    """A network's scores of maps, and what is in them."""

    scores: UnitScores
    truth: UnitTruth

    def take(self, rows: NDArray[np.bool_] | NDArray[np.integer]) -> Asked:
        """These maps only."""
        scores = UnitScores(*(part[rows] for part in self.scores))
        return Asked(scores, self.truth.take(rows))


def joined(parts: Sequence[Asked]) -> Asked:
    """Several sets as one, their maps taking turns if they are of one length."""
    scores, truth = (
        [np.concatenate(column) for column in zip(*columns, strict=True)]
        for columns in zip(*parts, strict=True)
    )
    turns = np.concatenate([np.arange(len(part.truth.presence)) for part in parts])
    return Asked(UnitScores(*scores), UnitTruth(*truth)).take(np.argsort(turns, kind="stable"))


def across_sources(config: UnitConfig, progress: Progress | None = None) -> tuple[Asked, Asked]:
    """What networks say about faces of a source that they were not trained on.

    Two networks are trained, each on half as many maps of one source, and each is asked about
    plain and harder maps of the other. Two halves with the same make-up: one to calibrate with, one
    to check on.
    """
    half = replace(config, maps=config.maps // 2)
    directions: tuple[tuple[Faces, Faces], ...] = (("own", "mesh"), ("mesh", "own"))
    parts: list[Asked] = []
    for known, unknown in directions:
        network = train_units(unit_training_maps(half, known, progress), half, progress)
        parts += _ask(network, config, _ACROSS, config.validation // 2, unknown).values()
    everything = joined(parts)
    # classes take turns by threes and the four sets by fours: twelve rows hold all kinds
    first = np.arange(len(everything.truth.presence)) // 12 % 2 == 0
    return everything.take(first), everything.take(~first)


def own_faces(network: UnitNet, config: UnitConfig) -> dict[str, Asked]:
    """What the finished network says about new maps of the sources that it was trained on."""
    return _ask(network, config, _OWN, config.validation, "both")


def _ask(
    network: UnitNet, config: UnitConfig, first: int, count: int, faces: Faces
) -> dict[str, Asked]:
    """What a network says of new maps, plain and harder ones."""
    plain = MapConfig(faces=faces, recipes=config.recipes)
    asked = {}
    for number, (name, maps) in enumerate((("plain", plain), ("harder", plain.harder()))):
        drawn = unit_maps(count, first + 2 * config.seed + number, maps)
        asked[name] = Asked(scores_of(network, drawn.maps), drawn.truth)
    return asked


class UnitRow(NamedTuple):
    """How well one unit is told; sides is NaN for units of the midline."""

    unit: str
    n: int
    precision: float
    recall: float
    f1: float
    auc: float
    sides: float


class UnitFigures(NamedTuple):
    """Scores of one set of maps."""

    rows: tuple[UnitRow, ...]  # the units that act at least once, in order
    micro_f1: float  # of all units' hits together
    macro_f1: float  # means over ``rows``
    macro_auc: float
    side_accuracy: float  # right sides, share of the units that act, are told, and can act on one
    side_balanced: float  # the mean of that over both, left, right


def calibrate_units(asked: Asked) -> UnitCalibration:
    """Probabilities by logistic regression of each unit's logit (Platt), thresholds by F1.

    A unit that is not `WORTH_TELLING`, or acts nowhere, gets the threshold 1, which no probability
    reaches. ``asked``: about faces that were not trained on.
    """
    slopes, offsets, thresholds = [], [], []
    for k in range(len(TOLD)):
        logits, acts = asked.scores.presence[:, k], asked.truth.presence[:, k]
        if not acts.any():
            slopes.append(1.0)
            offsets.append(0.0)
            thresholds.append(NEVER)
            continue
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
    p = calibration.probabilities(asked.scores.presence)
    told = p >= np.array(calibration.threshold)
    return score_told(asked.truth, told, asked.scores.sides.argmax(2), p)


def score_told(
    truth: UnitTruth,
    told: NDArray[np.bool_],
    sides: NDArray[np.integer],
    probabilities: NDArray[np.floating] | None = None,
) -> UnitFigures:
    """Scores of (n, units) told.

    ``sides``: (n, sided) 0 both, 1 left, 2 right; counted where the unit acts and is told.
    ``probabilities``: (n, units) for the area under the ROC curve, which is NaN without them.
    """
    acts, nan = truth.presence, float("nan")
    where = [TOLD.index(unit) for unit in SIDED]
    known, right = (told & acts)[:, where], sides == truth.sides
    each = precision_recall_fscore_support(acts, told, average=None, zero_division=0.0)
    rows = []
    for k in np.flatnonzero(acts.any(0)).tolist():
        precision, recall, f1, n = (score[k] for score in each)
        column = where.index(k) if k in where else 0
        seen = right[known[:, column] & (k in where), column]
        auc = nan
        if probabilities is not None and not acts[:, k].all():
            auc = roc_auc_score(acts[:, k], probabilities[:, k])
        sided = float(seen.mean()) if seen.size else nan
        rows.append(UnitRow(TOLD[k], int(n), precision, recall, f1, float(auc), sided))
    kinds = [right[known & (truth.sides == side)] for side in range(3)]
    aucs = [row.auc for row in rows if not np.isnan(row.auc)]
    return UnitFigures(
        rows=tuple(rows),
        micro_f1=float(f1_score(acts, told, average="micro", zero_division=0.0)),
        macro_f1=float(np.mean([row.f1 for row in rows])) if rows else nan,
        macro_auc=float(np.mean(aucs)) if aucs else nan,
        side_accuracy=float(right[known].mean()) if known.any() else nan,
        side_balanced=float(np.mean([kind.mean() for kind in kinds if kind.size])),
    )
