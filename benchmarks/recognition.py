"""How well does a model that never saw a real map name real ones? The table, with its controls.

    python benchmarks/recognition.py [--manifest FILE] [--seeds N] [--maps N] [--epochs N]

Trains the flow model once a seed on synthetic maps only, then measures it on the flow maps of a
manifest; also the shipped weights, cosine to synthetic mean maps, and the majority of each
database. Intervals are 95 % over subjects. Needs the ``train`` extra unless ``--seeds 0``.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from micromimic.errors import MicromimicError
from micromimic.evaluation.flow_maps import (
    FlowMapSet,
    Scores,
    majority_per_database,
    measure,
    read_flow_maps,
)
from micromimic.models.onnx import load_model
from micromimic.models.registry import create

ROOT = Path(__file__).resolve().parents[1]


def default_manifest() -> Path:
    """``shared`` beside the repository, or the folder that MICROMIMIC_SHARED names."""
    shared = Path(os.environ.get("MICROMIMIC_SHARED", ROOT.parent / "shared"))
    return shared / "data" / "flow_maps" / "manifest.csv"


def trained_rows(data: FlowMapSet, seeds: int, maps: int, epochs: int) -> Iterator[list[Scores]]:
    """One table a training seed, 0, 1, ..."""
    # torch is needed for training only
    import torch  # noqa: PLC0415

    from micromimic.training.fit import TrainConfig  # noqa: PLC0415
    from micromimic.training.flow import train_flow  # noqa: PLC0415

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            config = TrainConfig(seed=seed, maps=maps, epochs=epochs)
            file = train_flow(Path(folder) / f"{seed}.onnx", config)
            yield measure(data, load_model(file).probabilities(data.maps))


def show(name: str, table: list[Scores]) -> None:
    """Print one line a scope."""
    for row in table:
        print(
            f"{name:28s} {row.scope:10s} {row.n:4d}  "
            f"{row.uf1:.3f} [{row.uf1_ci95[0]:.3f}, {row.uf1_ci95[1]:.3f}]  "
            f"{row.uar:.3f} [{row.uar_ci95[0]:.3f}, {row.uar_ci95[1]:.3f}]  "
            f"{row.calibration_error:.3f}",
            flush=True,
        )


def show_mean(tables: list[list[Scores]]) -> None:
    """Print the mean and standard deviation over seeds."""
    for rows in zip(*tables, strict=True):
        f1 = np.array([row.uf1 for row in rows])
        recall = np.array([row.uar for row in rows])
        gap = np.mean([row.calibration_error for row in rows])
        print(
            f"{f'mean of {len(rows)} seeds':28s} {rows[0].scope:10s} {rows[0].n:4d}  "
            f"{f1.mean():.3f} +- {f1.std():.3f}       {recall.mean():.3f} +- {recall.std():.3f}"
            f"       {gap:.3f}"
        )


def main() -> int:
    """Print the table; exit code 1 if the maps cannot be read."""
    parser = argparse.ArgumentParser(description="Recognition of real flow maps.")
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--seeds", type=int, default=3, help="models to train (default 3)")
    parser.add_argument("--maps", type=int, default=12000, help="synthetic maps a model")
    parser.add_argument("--epochs", type=int, default=10, help="passes over them")
    options = parser.parse_args()
    try:
        data = read_flow_maps(options.manifest)
        print(
            f"{'model':28s} {'maps of':10s} {'n':>4s}  {'UF1 [95 %]':21s}  {'UAR [95 %]':21s}  ECE"
        )
        show("majority per database", measure(data, majority_per_database(data)))
        for name in ("flow-template", "flow-capsnet"):
            title = f"{name} (shipped)" if name == "flow-capsnet" else f"{name} (control)"
            show(title, measure(data, create(name).probabilities(data.maps)))
        tables = []
        for seed, table in enumerate(
            trained_rows(data, options.seeds, options.maps, options.epochs)
        ):
            show(f"flow-capsnet seed {seed}", table)
            tables.append(table)
        if tables:
            show_mean(tables)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
