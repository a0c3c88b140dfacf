"""Benchmark: what models claim where there is nothing to learn, labels dealt anew to all clips.

    python benchmarks/permuted_labels.py [--manifest FILE] [--models ...] [--permutations N]

Leave one subject out. What a model scores above chance (UF1 .33 with three classes) comes from a
leak; one of some 300 clips varies by .03 a permutation, hence the mean. A model that leans on the
commonest class of the training part is below chance: it is the rarer one in the test part.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from loso import show_mean
from micromimic.core.errors import MicromimicError
from micromimic.core.workers import Workers
from micromimic.datasets.manifest import read_manifest
from micromimic.evaluation.evaluate import load
from micromimic.evaluation.run import RunConfig, model_of, run_protocol
from micromimic.models.registry import entry, list_models
from micromimic.models.views import encoder_of
from published_maps import default_manifest


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    flow = [name for name in list_models() if entry(name).view == "flow"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=default_manifest())
    parser.add_argument("--models", nargs="+", default=flow)
    parser.add_argument("--permutations", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    try:
        clips = read_manifest(options.manifest)
        for model in options.models:
            config = RunConfig(model=model)
            samples = load(clips, encoder_of(model_of(config)), Path(tempfile.gettempdir())).samples
            runs = []
            for number in range(options.permutations):
                order = np.random.default_rng(number).permutation(len(samples))
                dealt = replace(samples, targets=samples.targets[order])
                with tempfile.TemporaryDirectory() as folder:
                    out = Path(folder) / "run"
                    runs.append(run_protocol(dealt, config, out, workers=Workers(options.jobs)))
            show_mean(f"{model}, labels permuted", [run.predictions for run in runs])
    except MicromimicError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
