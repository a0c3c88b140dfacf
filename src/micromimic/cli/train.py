"""`micromimic train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from micromimic.cli import options
from micromimic.cli.console import list_left_out, say, warn
from micromimic.cli.options import unset
from micromimic.cli.outputs import check_file, check_writable
from micromimic.cli.progress import show_progress

FEW_CLIPS: Final = 30
"""Fewer to calibrate on than this are worth a warning."""


def train(
    manifest: options.Manifest,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The model to write (.onnx).")],
    model: Annotated[str, typer.Option(metavar="NAME", help="A name of `micromimic models`.")] = (
        "flow-capsnet"
    ),
    labels: options.Labels = "three",
    init: options.InitName = "default",
    seed: options.Seed = 0,
    epochs: options.Epochs = None,
    jobs: options.Jobs = 1,
    cache: options.Cache = None,
    device: options.Device = None,
    tensorboard: Annotated[Path | None, unset("Write curves there.", metavar="DIR")] = None,
) -> None:
    """Train a model on all clips of a manifest, for `analyze --model` and `evaluate --init`."""
    from micromimic.evaluation.evaluate import read_clips, warning_of
    from micromimic.evaluation.train import train as train_model, written_beside
    from micromimic.models.base import FitRun
    from micromimic.models.fitting import configure
    from micromimic.models.registry import make_model

    workers = options.workers_of(jobs)
    check_file(out, *written_beside(out))
    if tensorboard is not None:
        check_writable(tensorboard)
    name, fresh, _ = make_model(model)
    configured = configure(fresh, name, init=init, epochs=epochs, stop=None)
    warn(warning_of(configured, read_clips(manifest, labels)[1]))
    with show_progress(f"{name}, training", unit="steps") as progress:
        result = train_model(
            manifest,
            model,
            out,
            labels=labels,
            init=init,
            seed=seed,
            epochs=epochs,
            run=FitRun(log_dir=tensorboard, device=device, progress=progress),
            workers=workers,
            cache=cache,
        )
    list_left_out(result.left_out)
    say(
        f"{model}: trained on {result.clips} clips of {result.subjects} subjects; on "
        f"{result.checked} clips of subjects held out to calibrate, UF1 {result.uf1:.3f}, "
        f"UAR {result.uar:.3f}"
    )
    if result.checked < FEW_CLIPS:
        warn(f"only {result.checked} clips to calibrate on: probabilities mean little")
    say(f"  model: {result.path} (micromimic analyze VIDEO --model {result.path})")
    if result.weights:
        say(f"  weights to fine-tune: {result.weights} (--init {result.weights})")
