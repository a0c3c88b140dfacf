"""Every model in one table, on synthetic databases: from rendering to table 3 by one command.

    python benchmarks/models.py --out DIR [--clips-per-class N] [--groups N] [--epochs N] [--jobs N]

Renders three databases, indexes them, prepares the clips, evaluates every registered model with
groups of subjects left out, and writes ``DIR/tables.md``. Networks on face crops get only
``--epochs`` passes, since a CPU needs about a second an image: their rows show that they run, not
what they can do. Everything is synthetic and made with the action-unit fields that the shipped
model was trained on, so all figures are upper bounds for flow models. An interrupted run goes on
where it stopped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from micromimic.core.errors import MicromimicError
from micromimic.core.files import write_whole
from micromimic.core.workers import Workers
from micromimic.datasets.manifest import write_manifest
from micromimic.datasets.megc2019 import composite, table1
from micromimic.evaluation.evaluate import Evaluation, evaluate_run
from micromimic.evaluation.report.tables import tables_md
from micromimic.evaluation.run import RunConfig
from micromimic.models.registry import entry, list_models
from micromimic.synthesis.databases.write import synth_databases


def make_manifest(out: Path, clips_per_class: int, seed: int, jobs: int) -> Path:
    """Render and index, unless an earlier call did."""
    manifest, folder = out / "composite.csv", out / "databases"
    if manifest.is_file():
        return manifest
    if not folder.is_dir():
        synth_databases(folder, clips_per_class=clips_per_class, seed=seed, jobs=jobs)
    found = composite(folder / "smic", folder / "casme2", folder / "samm")
    print(table1(found.clips), flush=True)
    write_manifest(manifest, found.clips)
    return manifest


def run_one(manifest: Path, name: str, out: Path, options: argparse.Namespace) -> Evaluation:
    """Evaluate one model and print its line."""
    faces = entry(name).view == "faces"
    config = RunConfig(
        model=name,
        seed=options.seed,
        groups=options.groups,
        epochs=options.epochs if faces else None,
        init=options.init,
    )
    began = time.monotonic()
    result = evaluate_run(manifest, config, out / name, workers=Workers(options.jobs))
    scores = result.metrics["composite"]
    low, high = scores["uf1_ci95"]
    print(
        f"{name:22s} UF1 {scores['uf1']:.3f} [{low:.3f}, {high:.3f}]  UAR {scores['uar']:.3f}  "
        f"{time.monotonic() - began:6.0f} s",
        flush=True,
    )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--clips-per-class", type=int, default=10)
    parser.add_argument("--groups", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=1, help="of networks on face crops")
    parser.add_argument("--init", default="default", choices=("default", "none"))
    parser.add_argument("--models", nargs="+", default=list(list_models()))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        manifest = make_manifest(options.out, options.clips_per_class, options.seed, options.jobs)
        results = [run_one(manifest, name, options.out, options) for name in options.models]
        write_whole(options.out / "tables.md", tables_md([r.summary for r in results]))
    except MicromimicError as error:
        print(error, file=sys.stderr)
        return 1
    print(options.out / "tables.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
