"""How well does a model that never saw a real map name real ones? The table, with its controls.

    python benchmarks/recognition.py [--manifest FILE] [--seeds N] [--files FILE ...]

Trains the flow model once a seed on synthetic maps only, then measures it on the flow maps of a
manifest: all of them, each database, the half of the subjects that choices looked at
(``development``), and the other half. Also the shipped weights, cosine to synthetic mean maps, and
the majority of each database. ``--files`` takes models that `python tools/weights flow` has written
instead of training (about five minutes a seed). Intervals are 95 % over subjects. Training needs
the extras ``train`` and ``faces3d``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MicromimicError
from micromimic.evaluation.development import development_rows
from micromimic.models.onnx import load_model
from micromimic.models.registry import create
from published_maps import default_manifest, part_of  # puts tools/ on the path
from weights.real_maps import (
    FlowMapSet,
    Scores,
    majority_per_database,
    measure,
    read_flow_maps,
)


def scored(data: FlowMapSet, probabilities: NDArray[np.floating]) -> list[Scores]:
    """All maps, each database, and the two halves of the subjects."""
    table = measure(data, probabilities)
    seen = development_rows(data.subjects)
    for name, rows in (("development", seen), ("other half", ~seen)):
        if rows.any():
            part = measure(part_of(data, rows), probabilities[rows])
            table.append(replace(part[0], scope=name))
    return table


def trained(seeds: int, folder: Path) -> Iterator[Path]:
    """A model file a training seed, 0, 1, ..."""
    # torch is needed for training only
    import torch  # noqa: PLC0415

    from weights.config import FlowConfig  # noqa: PLC0415
    from weights.flow import train_flow  # noqa: PLC0415

    torch.set_num_threads(1)
    for seed in range(seeds):
        yield train_flow(folder / f"{seed}.onnx", FlowConfig(seed=seed))


def show(name: str, table: list[Scores]) -> None:
    """Print one line a scope."""
    for row in table:
        print(
            f"{name:28s} {row.scope:11s} {row.n:4d}  "
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
            f"{f'mean of {len(rows)} seeds':28s} {rows[0].scope:11s} {rows[0].n:4d}  "
            f"{f1.mean():.3f} +- {f1.std():.3f}       {recall.mean():.3f} +- {recall.std():.3f}"
            f"       {gap:.3f}"
        )


def main() -> int:
    """Print the table; exit code 1 if the maps cannot be read."""
    parser = argparse.ArgumentParser(description="Recognition of real flow maps.")
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--seeds", type=int, default=5, help="models to train (default 5)")
    parser.add_argument("--files", type=Path, nargs="+", metavar="FILE", help="instead of training")
    options = parser.parse_args()
    try:
        data = read_flow_maps(options.manifest)
        print(
            f"{'model':28s} {'maps of':11s} {'n':>4s}  {'UF1 [95 %]':21s}  {'UAR [95 %]':21s}  ECE"
        )
        show("majority per database", scored(data, majority_per_database(data)))
        for name in ("flow-template", "flow-capsnet"):
            title = f"{name} (shipped)" if name == "flow-capsnet" else f"{name} (control)"
            show(title, scored(data, create(name).probabilities(data.maps)))
        tables = []
        with tempfile.TemporaryDirectory() as folder:
            files = options.files or trained(options.seeds, Path(folder))
            for seed, file in enumerate(files):
                table = scored(data, load_model(file).probabilities(data.maps))
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
