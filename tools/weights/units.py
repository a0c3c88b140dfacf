"""The shipped model of action units: trained on synthetic maps only, calibrated, written down.

Probabilities and thresholds are set across faces: networks trained on one source of synthetic
faces are asked about maps of the other source, plain and harder ones in equal parts. On faces that
were trained on, a network is right more often than on any others. No real map takes part.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from micromimic.core.files import write_whole
from micromimic.core.progress import Progress
from micromimic.evaluation.metrics import BINS, bins_of, calibration_error
from micromimic.models.action_units import NEVER, UnitCalibration
from weights.cards import filled, made_from, table
from weights.config import UnitConfig
from weights.units_maps import SIDED, TOLD, unit_training_maps
from weights.units_network import build_units_onnx, train_units
from weights.units_score import (
    HIGHEST,
    LOWEST,
    WORTH_TELLING,
    Asked,
    UnitFigures,
    across_sources,
    calibrate_units,
    own_faces,
    score_units,
)

VERSION: Final = "1.0"
"""Of the model: raised when weights, units or preprocessing change."""


def train_unit_model(out: Path, config: UnitConfig, progress: Progress | None = None) -> Path:
    """Train, calibrate, and write the ONNX file with its card (``.md``) beside it.

    The same settings give the same file on one machine.
    """
    # one half sets probabilities and thresholds, the other half tells how well they hold
    calibrating, across = across_sources(config, progress)
    calibration = calibrate_units(calibrating)
    network = train_units(unit_training_maps(config, progress=progress), config, progress)
    details = {
        "name": "flow-units",
        "version": VERSION,
        "trained_on": f"synthetic motion only ({config.maps} maps, "
        f"seed {config.seed}{made_from(config.recipes)})",
        "units": list(TOLD),
        "sided": list(SIDED),
        "slope": list(calibration.slope),
        "offset": list(calibration.offset),
        "threshold": list(calibration.threshold),
        "seed": config.seed,
    }
    write_whole(out, build_units_onnx(network, details))
    sets = {"other faces": across, **own_faces(network, config)}
    write_whole(out.with_suffix(".md"), _card(config, calibration, sets))
    return out


def _card(config: UnitConfig, calibration: UnitCalibration, sets: Mapping[str, Asked]) -> str:
    """The whole card, Markdown."""
    figures = {name: score_units(asked, calibration) for name, asked in sets.items()}
    rows = []
    for name, asked in sets.items():
        f, p = figures[name], calibration.probabilities(asked.scores.presence)
        bins = bins_of(p.ravel(), asked.truth.presence.ravel(), BINS, "width")
        rows.append(
            f"{name} | {len(p)} | {f.micro_f1:.3f} | {f.macro_f1:.3f} | {f.macro_auc:.3f} "
            f"| {f.side_accuracy:.3f} | {f.side_balanced:.3f} "
            f"| {calibration_error(bins):.3f}"
        )
    head = "maps | n | micro F1 | macro F1 | macro AUC | sides | balanced | calibration error"
    return filled(
        "units.md",
        config.recipes,
        version=VERSION,
        config=config,
        told=", ".join(TOLD),
        sided=", ".join(SIDED),
        lowest=LOWEST,
        highest=HIGHEST,
        worth_telling=WORTH_TELLING,
        sets=table(head, rows),
        units=_by_unit(figures["other faces"], calibration),
    )


def _by_unit(figures: UnitFigures, calibration: UnitCalibration) -> str:
    """A row a unit."""
    rows = []
    for row in figures.rows:
        sides = "" if np.isnan(row.sides) else f"{row.sides:.2f}"
        threshold = calibration.threshold[calibration.units.index(row.unit)]
        told = f"{threshold:.2f}" if threshold < NEVER else "never"
        rows.append(
            f"AU {row.unit} | {row.n} | {told} | {row.precision:.2f} "
            f"| {row.recall:.2f} | {row.f1:.2f} | {row.auc:.3f} | {sides}"
        )
    return table(
        "unit, other faces | maps | told from | precision | recall | F1 | AUC | sides", rows
    )
