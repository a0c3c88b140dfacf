"""What is each part of the generator worth? Nuisances, recipes, faces, measured flow.

    python benchmarks/ablations.py [--learner svm|network] [--rows NAME ...] [--seeds N]
        [--maps N] [--asked N] [--real-only]

Each row trains on synthetic maps drawn in another way, half of them with the stronger nuisances, as
the shipped model is, and asks three times: trained on own faces about mesh ones and the other way
round (harder maps, drawn in the usual way), and trained on both about the development half of the
real flow maps (`evaluation.development`; the other half is not looked at). Mean of the seeds; the
same seed means the same draws in all rows, so rows are compared by the difference to the first.

What holds for synthetic questions is only how far faces matter: they were made by the nuisances
that the first row trains with, so any other row can only lose there. Needs the ``train`` extra.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MicromimicError
from micromimic.core.labels import THREE
from micromimic.evaluation.development import development_rows
from micromimic.evaluation.metrics import uar, uf1
from micromimic.models.svm import FlowSvm
from micromimic.synthesis.maps import Faces, MapConfig, generate_maps
from micromimic.synthesis.measured import MeasuredConfig, measured_maps
from published_maps import default_manifest  # puts tools/ on the path
from weights.real_maps import FlowMapSet, read_flow_maps

Maps = NDArray[np.float32]
Ask = Callable[[Maps], NDArray[np.floating]]

OFF: Mapping[str, Mapping[str, Any]] = {
    "amplitude": {"amplitude": (1.0, 1.0)},
    "asymmetry": {"asymmetry": 0.0},
    "leak": {"leak": 0.0},
    "strays": {"stray_probability": 0.0},
    "blink": {"blink_probability": 0.0},
    "crop shift": {"crop_shift": (0.0, 0.0)},
    "crop scale": {"crop_scale": (0.0, 0.0)},
    "crop rotation": {"crop_rotation": 0.0},
    "crop shear": {"crop_shear": 0.0},
    "crop warp": {"crop_warp": 0.0},
    "head motion": {"rigid_level": 0.0},
    "parallax": {"depth_parallax": 0.0},
    "translation": {"translation": 0.0},
    "noise": {"noise": (1e-6, 1e-6)},
    "noise patches": {"noise_patchiness": 0.0},
    "gain patches": {"gain_patchiness": 0.0},
    "boundary": {"boundary_probability": 0.0},
    "blur": {"blur": (0.3,)},
}
HARDER: Mapping[str, Mapping[str, Any]] = {
    "amplitude": {"amplitude": (0.25, 1.4)},
    "asymmetry": {"asymmetry": 0.36},
    "leak": {"leak": 0.5},
    "strays": {"stray_probability": 0.7, "stray_strength": 0.3},
    "blink": {"blink_probability": 1.0, "blink_strength": 0.9},
    "crop shift": {"crop_shift": (1.6, 2.0)},
    "crop scale": {"crop_scale": (0.12, 0.14)},
    "crop rotation": {"crop_rotation": 0.1},
    "crop shear": {"crop_shear": 0.06},
    "crop warp": {"crop_warp": 1.0},
    "head motion": {"rigid_level": 0.24},
    "parallax": {"depth_parallax": 2.0},
    "translation": {"translation": 0.6},
    "noise": {"noise": (0.06, 0.7)},
    "noise patches": {"noise_patchiness": 1.2},
    "gain patches": {"gain_patchiness": 0.4},
    "boundary": {"boundary_probability": 1.0, "boundary_motion": 0.3},
    "blur": {"blur": (0.75, 1.1, 1.6)},
}


@dataclass(frozen=True)
class Row:
    """One way to draw training maps.

    Args:
        change: of `MapConfig`.
        faces: of maps asked about real ones.
        measured: share of the training maps that our own estimator measured on rendered frames;
            with the usual settings, whatever ``change`` says.
    """

    change: Mapping[str, Any] = field(default_factory=dict)
    faces: Faces = "both"
    measured: float = 0.0


def all_rows() -> dict[str, Row]:
    """Every row by name; the first is what the others are compared with."""
    rows = {"as shipped": Row()}
    everything = {name: value for part in OFF.values() for name, value in part.items()}
    rows["no nuisance"] = Row(everything)
    crops = {n: v for name, part in OFF.items() if name.startswith("crop") for n, v in part.items()}
    rows["no crop error"] = Row(crops)
    rows |= {f"no {name}": Row(change) for name, change in OFF.items()}
    rows |= {f"harder {name}": Row(change) for name, change in HARDER.items()}
    rows["simple recipes"] = Row({"recipes": "simple"})
    rows["one own face"] = Row({"identities": 1})
    rows["48 own faces"] = Row({"identities": 48})
    rows["own faces only"] = Row(faces="own")
    rows["mesh faces only"] = Row(faces="mesh")
    rows["half measured"] = Row(measured=0.5)
    rows["measured only"] = Row(measured=1.0)
    return rows


def draw(row: Row, faces: Faces, count: int, seed: int) -> tuple[Maps, list[str]]:
    """Training maps of a row: half of the drawn ones with stronger nuisances."""
    config = replace(MapConfig(faces=faces), **row.change)
    seen = round(count * row.measured)
    sizes = (count - seen - (count - seen) // 2, (count - seen) // 2)
    pieces, labels = [], []
    for number, size in enumerate(sizes):
        part = [THREE.names[k % 3] for k in range(size)]
        labels += part
        settings = config if number == 0 else config.harder()
        pieces.append(generate_maps(part, 2 * seed + number, settings))
    if seen:
        maps, names = measured_pool(faces)
        chosen = np.random.default_rng(seed).permutation(len(names))[:seen]
        pieces.append(maps[chosen])
        labels += [names[k] for k in chosen]
    return np.concatenate(pieces), labels


@lru_cache(maxsize=3)
def measured_pool(faces: Faces) -> tuple[Maps, list[str]]:
    """1200 measured maps of own or mesh fields, or all 2400: minutes, so every row shares them."""
    if faces == "both":
        (maps, names), (more, further) = measured_pool("own"), measured_pool("mesh")
        return np.concatenate([maps, more]), names + further
    labels: list[str] = [THREE.names[k % 3] for k in range(300)]
    config = MeasuredConfig(maps=MapConfig(faces=faces))
    # in pieces, so that 48 people take part
    pieces = [measured_maps(labels, seed, config).maps for seed in range(100, 104)]
    return np.concatenate(pieces), labels * len(pieces)


def train(learner: str, maps: Maps, labels: list[str], seed: int) -> Ask:
    """A trained model, as a function of raw maps."""
    if learner == "svm":
        return FlowSvm().fit(maps, labels).scores
    # torch is needed for this learner only
    import torch  # noqa: PLC0415

    from weights.config import FlowConfig  # noqa: PLC0415
    from weights.distillation import mirrored_lengths, train_network  # noqa: PLC0415
    from weights.flow_maps import MapSet  # noqa: PLC0415

    torch.set_num_threads(1)
    network = train_network(MapSet(maps, tuple(labels)), FlowConfig(), seed)
    return lambda asked: mirrored_lengths(network, asked)


def scores(truth: NDArray[np.str_], said: NDArray[np.floating]) -> tuple[float, float]:
    """UF1 and UAR."""
    guess = THREE.decode(said.argmax(1))
    return uf1(truth, guess, THREE), uar(truth, guess, THREE)


def measure_row(row: Row, options: argparse.Namespace, real: FlowMapSet, seed: int) -> list[float]:
    """UF1 own to mesh, mesh to own (not a number where left out); UF1 and UAR on the real half."""
    found = []
    asked: list[str] = [THREE.names[k % 3] for k in range(options.asked)]
    directions: tuple[tuple[Faces, Faces], ...] = (("own", "mesh"), ("mesh", "own"))
    for known, unknown in directions:
        if options.real_only:
            found.append(float("nan"))
            continue
        ask = train(options.learner, *draw(row, known, options.maps, seed), seed)
        found.append(scores(np.asarray(asked), ask(_asked_about(unknown, len(asked), seed)))[0])
    ask = train(options.learner, *draw(row, row.faces, options.maps, seed), seed)
    return [*found, *scores(real.labels, ask(real.maps))]


@lru_cache(maxsize=64)
def _asked_about(faces: Faces, count: int, seed: int) -> Maps:
    """Harder maps in the usual way, the same for every row."""
    labels: list[str] = [THREE.names[k % 3] for k in range(count)]
    return generate_maps(labels, 900 + seed, MapConfig(faces=faces).harder())


def development_half(manifest: Path) -> FlowMapSet:
    """The maps that choices may look at."""
    data = read_flow_maps(manifest)
    kept = development_rows(data.subjects)
    return FlowMapSet(
        maps=data.maps[kept],
        labels=data.labels[kept],
        datasets=data.datasets[kept],
        subjects=data.subjects[kept],
        clips=data.clips[kept],
    )


def main() -> int:
    """Print the table, a row at a time; exit code 1 if the maps cannot be read."""
    rows = all_rows()
    parser = argparse.ArgumentParser(description="What each part of the generator is worth.")
    parser.add_argument("--learner", choices=("svm", "network"), default="svm")
    parser.add_argument("--rows", nargs="+", choices=tuple(rows), metavar="NAME", default=None)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--maps", type=int, default=1500, help="training maps (default 1500)")
    parser.add_argument("--asked", type=int, default=900, help="maps asked about (default 900)")
    parser.add_argument(
        "--real-only", action="store_true", help="leave out own to mesh and mesh to own"
    )
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    options = parser.parse_args()
    try:
        real = development_half(options.manifest)
        print(f"{len(real.labels)} real maps of {len(set(real.subjects))} subjects")
        print("| row | own to mesh | mesh to own | real UF1 | real UAR | difference of UF1 |")
        print("|---|---|---|---|---|---|")
        first: NDArray[np.float64] | None = None
        for name in options.rows or rows:
            table = np.array(
                [measure_row(rows[name], options, real, seed) for seed in range(options.seeds)]
            )
            first = table if first is None else first
            gap = table[:, 2] - first[:, 2]
            cells = [
                "-" if np.isnan(m) else f"{m:.3f} ± {s:.3f}"
                for m, s in zip(table.mean(0), table.std(0), strict=True)
            ]
            print(f"| {name} | {' | '.join(cells)} | {gap.mean():+.3f} |", flush=True)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
