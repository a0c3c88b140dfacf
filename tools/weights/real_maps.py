"""Published flow maps: the manifest read, and the table of a model's scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.labels import LabelSet, labels_like
from micromimic.datasets.manifest import read_manifest
from micromimic.evaluation.metrics import expected_calibration_error, uar, uf1
from micromimic.evaluation.resampling import subject_bootstrap
from micromimic.models.preprocess import read_flow_png


@dataclass(frozen=True)
class FlowMapSet:
    """Real flow maps with their truth."""

    maps: NDArray[np.float32]  # (n, 3, 28, 28) u, v, strain, 0 to 255
    labels: NDArray[np.str_]  # (n,) class names
    datasets: NDArray[np.str_]  # (n,)
    subjects: NDArray[np.str_]  # (n,) qualified by database
    clips: NDArray[np.str_]  # (n,)

    @property
    def label_set(self) -> LabelSet:
        """The classes."""
        return labels_like(self.labels)


@dataclass(frozen=True)
class Scores:
    """One row of a table; intervals are 95 % over subjects."""

    scope: str
    n: int
    uf1: float
    uf1_ci95: tuple[float, float]
    uar: float
    uar_ci95: tuple[float, float]
    calibration_error: float


def read_flow_maps(manifest: str | Path) -> FlowMapSet:
    """Read the flow maps that a manifest lists; its rows of another kind are left out."""
    clips = [clip for clip in read_manifest(Path(manifest)) if clip.kind == "flow_map"]
    if not clips:
        raise InputError(f"expected rows of kind flow_map in {manifest}, got none; list flow maps")
    return FlowMapSet(
        maps=np.stack([read_flow_png(clip.path) for clip in clips]),
        labels=np.array([clip.label for clip in clips]),
        datasets=np.array([clip.dataset for clip in clips]),
        subjects=np.array([clip.who for clip in clips]),
        clips=np.array([clip.clip for clip in clips]),
    )


def measure(
    data: FlowMapSet, probabilities: NDArray[np.floating], draws: int = 2000
) -> list[Scores]:
    """Scores of all maps and of each database, by (n, k) probabilities in the order of classes."""
    names = data.label_set
    predicted = names.decode(probabilities.argmax(1))
    scopes = {"composite": np.ones(len(data.labels), bool)}
    scopes |= {name: data.datasets == name for name in sorted(set(data.datasets.tolist()))}
    table = []
    for scope, rows in scopes.items():
        truth, guess, who = data.labels[rows], predicted[rows], data.subjects[rows].tolist()
        ends = [
            subject_bootstrap(truth, guess, who, score, labels=names, draws=draws)
            for score in (uf1, uar)
        ]
        error = expected_calibration_error(truth, probabilities[rows], labels=names)
        values = uf1(truth, guess, names), uar(truth, guess, names)
        table.append(Scores(scope, len(truth), values[0], ends[0], values[1], ends[1], error))
    return table


def majority_per_database(data: FlowMapSet) -> NDArray[np.float64]:
    """(n, k) certainty for each database's commonest class: what knowing the database is worth."""
    names = data.label_set
    targets = names.encode(data.labels)
    out = np.zeros((len(targets), len(names)))
    for name in set(data.datasets.tolist()):
        rows = data.datasets == name
        out[rows, np.bincount(targets[rows], minlength=len(names)).argmax()] = 1.0
    return out
