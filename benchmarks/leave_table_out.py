"""What do the recipes owe to the tested database's own annotation table? Weights without it.

    python benchmarks/leave_table_out.py [--manifest FILE] [--seeds N] [--measured N] [--maps N]
                                         [--teachers N]

The combinations of action units that synthetic maps show follow the annotation tables of two
databases, so the shipped weights know how often the tested subjects' coders wrote what. Here
flow-capsnet is trained again on recipes that leave the tested database's table out, and, as the
control, on recipes that say both tables as directly (the shipped ones were rounded by hand), all
else alike. UF1 on that database's real flow maps, all and the two halves of its subjects, beside
the shipped model's; intervals are 95 % over subjects, and a difference is of the same clips.
Nothing else that tables may have shaped changes (shares of the classes, nuisances, epochs).
Training needs the extras ``train`` and ``faces3d``; measured maps take most of the time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MicromimicError
from micromimic.core.labels import THREE
from micromimic.evaluation.development import development_rows
from micromimic.evaluation.metrics import uf1
from micromimic.evaluation.resampling import subject_interval
from micromimic.models.onnx import load_model
from micromimic.synthesis.recipes import Recipes
from published_maps import default_manifest  # puts tools/ on the path
from weights.cards import WITHOUT
from weights.config import FlowConfig
from weights.real_maps import FlowMapSet, read_flow_maps

Guesses = NDArray[np.str_]
Score = Callable[[NDArray[np.int64]], float]


def trained(data: FlowMapSet, recipes: Recipes, options: argparse.Namespace, seed: int) -> Guesses:
    """What a network trained on these recipes names the maps; no temperature changes that."""
    import torch  # noqa: PLC0415 - needed here only

    from weights.distillation import mirrored_lengths, train_model  # noqa: PLC0415
    from weights.flow_maps import lessons_of  # noqa: PLC0415

    torch.set_num_threads(1)
    config = FlowConfig(
        seed=seed,
        recipes=recipes,
        maps=options.maps,
        measured=options.measured,
        teachers=options.teachers,
    )
    network = train_model(lessons_of(config), config)
    return THREE.decode(mirrored_lengths(network, data.maps).argmax(1))


def compared(data: FlowMapSet, database: str, named: dict[str, Guesses]) -> None:
    """Print one row a model and scope, and how much better the last is than the one before."""
    seen = development_rows(data.subjects)
    for scope, half in (("all", seen | True), ("development", seen), ("other half", ~seen)):
        rows = np.flatnonzero((data.datasets == database) & half)
        scores = {name: uf1_of(data.labels[rows], guess[rows]) for name, guess in named.items()}
        *_, control, without = scores.values()
        scores["difference of the last two"] = partial(minus, without, control)
        for name, score in scores.items():
            low, high = subject_interval(score, data.subjects[rows])
            value = score(np.arange(len(rows)))
            how = "+.3f" if name.startswith("difference") else ".3f"
            figures = (f"{value:{how}}", f"{low:{how}} to {high:{how}}")
            cells = database, scope, len(rows), name, *figures
            print("|", " | ".join(map(str, cells)), "|", flush=True)


def minus(one: Score, other: Score, rows: NDArray[np.int64]) -> float:
    """The difference of two scores."""
    return one(rows) - other(rows)


def uf1_of(truth: NDArray[np.str_], guess: Guesses) -> Score:
    """UF1 of any of these maps."""
    return lambda rows: uf1(truth[rows], guess[rows], THREE)


def main() -> int:
    """Print the table; exit code 1 if the maps cannot be read."""
    usual = FlowConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--seeds", type=int, default=1, help="networks a row, scored one by one")
    for name in ("maps", "measured", "teachers"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    options = parser.parse_args()
    try:
        data = read_flow_maps(options.manifest)
        shipped = THREE.decode(load_model().probabilities(data.maps).argmax(1))
        print(
            "| maps of | half | n | weights | UF1 | 95 % |\n|---|---|---|---|---|---|", flush=True
        )
        for seed in range(options.seeds):
            control = trained(data, "tables", options, seed)
            for database, recipes in WITHOUT.items():
                without = trained(data, recipes, options, seed)
                compared(
                    data,
                    database,
                    {
                        "shipped": shipped,
                        f"both tables, seed {seed}": control,
                        f"without its table, seed {seed}": without,
                    },
                )
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
