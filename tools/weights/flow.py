"""The shipped flow model: trained on synthetic maps only, calibrated, and written down.

Temperature and the margin of doubt are set across faces: networks trained on one source of
synthetic faces are asked about harder maps of the other source. On faces that were trained on, a
network is right more often than on any others, and probabilities fitted there would be
overconfident on real people. No real map takes part in training or calibration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.files import write_whole
from micromimic.core.labels import THREE
from micromimic.core.progress import Progress
from micromimic.evaluation.metrics import expected_calibration_error, uar, uf1
from micromimic.models.calibrate import CAUGHT, SURE_ACCURACY, calibrate
from micromimic.models.onnx import Calibration, load_model
from micromimic.models.training.export import export_network
from micromimic.synthesis.maps import MapConfig
from weights.cards import filled, made_from, table
from weights.config import FlowConfig
from weights.distillation import across_faces, mirrored_lengths, train_model
from weights.flow_maps import even_maps, lessons_of
from weights.real_maps import FlowMapSet, Scores, measure

VERSION: Final = "2.1"
"""Of the model: raised when weights, classes or preprocessing change."""

# added to the training seed, so that no validation map shares a draw with a training map
_PLAIN, _HARD, _ACROSS = 500_000, 700_000, 900_000


def train_flow(
    out: Path, config: FlowConfig, data: FlowMapSet | None = None, progress: Progress | None = None
) -> Path:
    """Train, calibrate, and write the ONNX file with ``MODEL_CARD.md`` beside it.

    The same settings give the same file on one machine. ``data``: real maps to measure the finished
    model on; they decide nothing.
    """
    network = train_model(lessons_of(config, progress), config, progress)
    lengths, targets = across_faces(config, _ACROSS + config.seed, progress)
    # one half sets temperature and margin, the other half tells how well they hold
    half = len(targets) // 2
    calibration = calibrate(lengths[:half], targets[:half])
    settings = MapConfig(recipes=config.recipes)
    figures = []
    for name, maps, seed in (("plain", settings, _PLAIN), ("harder", settings.harder(), _HARD)):
        asked = even_maps(config.validation, seed + config.seed, maps)
        found = mirrored_lengths(network, asked.maps)
        figures.append(_figures(name, calibration, found, asked.targets))
    figures.append(_figures("harder, other faces", calibration, lengths[half:], targets[half:]))
    details = {
        "name": "flow-capsnet",
        "version": VERSION,
        "trained_on": "synthetic motion only "
        f"({config.maps * config.teachers} drawn and {config.measured} measured maps, "
        f"seed {config.seed}{made_from(config.recipes)})",
        "classes": list(THREE),
        "temperature": calibration.temperature,
        "margin": calibration.margin,
        "seed": config.seed,
    }
    write_whole(out, export_network(network, "flow", details))
    measured = None if data is None else measure(data, load_model(out).probabilities(data.maps))
    write_whole(out.with_name("MODEL_CARD.md"), _card(config, calibration, figures, measured))
    return out


def _figures(
    name: str, calibration: Calibration, lengths: NDArray[np.float64], targets: NDArray[np.int64]
) -> str:
    """One row of the card's synthetic table."""
    p = calibration.probabilities(lengths)
    truth, guess = THREE.decode(targets), THREE.decode(p.argmax(1))
    ordered = np.sort(p, axis=1)
    sure = ordered[:, 2] - ordered[:, 1] >= calibration.margin
    right = float((guess == truth)[sure].mean()) if sure.any() else float("nan")
    return (
        f"{name} | {len(guess)} | {uf1(truth, guess, THREE):.3f} | {uar(truth, guess, THREE):.3f} "
        f"| {expected_calibration_error(truth, p, labels=THREE):.3f} | {sure.mean():.0%} "
        f"| {right:.0%}"
    )


def _card(
    config: FlowConfig,
    calibration: Calibration,
    figures: list[str],
    measured: list[Scores] | None,
) -> str:
    """The whole card, Markdown."""
    head = "generator | maps | UF1 | UAR | calibration error | not uncertain | of these right"
    lessons = "It learned the classes of these maps."
    if config.teachers > 1:
        lessons = f"""{config.teachers} networks of its kind, \
each with {config.maps} drawn maps of its own
and all measured ones, learned the classes. The network of this file learned what these say of all
maps on average, never a class itself (`tools/weights/distillation.py`): the mean errs less than any
of them, and one network can keep what it gains."""
    return filled(
        "flow.md",
        config.recipes,
        version=VERSION,
        config=config,
        drawn=config.teachers * config.maps,
        shares=", ".join(f"{share:g}" for share in config.shares),
        lessons=lessons,
        calibration=calibration,
        sure=SURE_ACCURACY,
        caught=CAUGHT,
        synthetic=table(head, figures),
        real=_real(measured),
    )


def _real(measured: list[Scores] | None) -> str:
    if measured is None:
        return "Not measured for this file; `--measure MANIFEST` does, after training."
    rows = (
        f"{row.scope} | {row.n} | {row.uf1:.3f} | {row.uf1_ci95[0]:.3f}-{row.uf1_ci95[1]:.3f} "
        f"| {row.uar:.3f} | {row.uar_ci95[0]:.3f}-{row.uar_ci95[1]:.3f} "
        f"| {row.calibration_error:.3f}"
        for row in measured
    )
    return f"""Measured once the file was finished, on onset-to-apex flow maps of the MEGC 2019
composite database. Intervals are 95 % over subjects (bootstrap).

{table("maps of | n | UF1 | | UAR | | calibration error", rows)}"""
