"""Train the shipped flow model on synthetic maps only, calibrate it, and write it down.

Run ``python -m micromimic.training.flow --help``. Needs the ``train`` extra.

Temperature and the margin of doubt are set on synthetic maps from a generator with stronger
nuisances than the training maps have (`MapConfig.harder`): real maps are harder than synthetic
ones, and probabilities fitted to easy maps would be overconfident on them. No real map takes part
in training, calibration, or any choice between settings.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.progress import TimeRemainingColumn as Remaining

from micromimic.errors import MicromimicError, MissingExtraError
from micromimic.evaluation.flow_maps import FlowMapSet, measure, read_flow_maps
from micromimic.evaluation.metrics import expected_calibration_error, uar, uf1
from micromimic.labels import EMOTIONS
from micromimic.models.onnx import Calibration, load_model
from micromimic.synthesis.maps import MapConfig
from micromimic.training.calibrate import calibrate
from micromimic.training.card import SyntheticFigures, card_text

if TYPE_CHECKING:
    from micromimic.models.flow_capsnet import FlowCapsNet
    from micromimic.training.fit import MapSet, TrainConfig

VERSION = "1.0"
"""Of the model: raised when weights, classes or preprocessing change."""

Report = Callable[[str, int, int], None]
# added to the training seed, so that no validation map shares a draw with a training map
_PLAIN, _HARD = 500_000, 700_000


def require_extra() -> None:
    """Check that what training needs is installed.

    Raises:
        MissingExtraError: if torch or onnx is missing.
    """
    for package in ("torch", "onnx"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f"expected the package {package}, got none; pip install 'micromimic[train]'"
            )


def train_flow(
    out: Path, config: TrainConfig, data: FlowMapSet | None = None, report: Report | None = None
) -> Path:
    """Train, calibrate, and write the ONNX file with ``MODEL_CARD.md`` beside it.

    Args:
        out: the ONNX file.
        config: settings; the same ones give the same file on one machine.
        data: real maps to measure the finished model on; they decide nothing.
        report: told (stage, done, total).

    Returns:
        ``out``.

    Raises:
        MissingExtraError: without the ``train`` extra.
        OutputError: if a file cannot be written.
    """
    require_extra()
    # torch is imported here, after the check, so that its absence is told in one line
    from micromimic.training.export import build_onnx, write_whole  # noqa: PLC0415
    from micromimic.training.fit import synthetic_set, train_network  # noqa: PLC0415

    network = train_network(
        synthetic_set(config.maps, config.seed, MapConfig(), report), config, report
    )
    plain = synthetic_set(config.validation, _PLAIN + config.seed, MapConfig())
    hard = synthetic_set(config.validation, _HARD + config.seed, MapConfig().harder())
    calibration, figures = _validate(network, plain, hard)
    details = {
        "name": "flow-capsnet",
        "version": VERSION,
        "trained_on": f"synthetic motion only ({config.maps} maps, seed {config.seed})",
        "classes": list(EMOTIONS),
        "temperature": calibration.temperature,
        "margin": calibration.margin,
        "seed": config.seed,
    }
    write_whole(out, build_onnx(network, details).SerializeToString(deterministic=True))
    measured = None if data is None else measure(data, load_model(out).probabilities(data.maps))
    card = card_text(config, VERSION, calibration, figures, measured)
    write_whole(out.with_name("MODEL_CARD.md"), card.encode("utf-8"))
    return out


def _validate(
    network: FlowCapsNet, plain: MapSet, hard: MapSet
) -> tuple[Calibration, tuple[SyntheticFigures, SyntheticFigures]]:
    """Calibrate on one half of the hard set; figures on what calibration has not seen."""
    from micromimic.training.fit import MapSet, mirrored_lengths  # noqa: PLC0415

    half = len(hard.labels) // 2
    calibration = calibrate(mirrored_lengths(network, hard.maps[:half]), hard.targets[:half])
    rest = MapSet(hard.maps[half:], hard.labels[half:])

    def figures(name: str, data: MapSet) -> SyntheticFigures:
        p = calibration.probabilities(mirrored_lengths(network, data.maps))
        guess = np.asarray(EMOTIONS)[p.argmax(1)]
        ordered = np.sort(p, axis=1)
        sure = ordered[:, 2] - ordered[:, 1] >= calibration.margin
        right = guess == np.asarray(data.labels)
        return SyntheticFigures(
            name=name,
            n=len(guess),
            uf1=uf1(data.labels, guess),
            uar=uar(data.labels, guess),
            calibration_error=expected_calibration_error(data.labels, p),
            sure_share=float(sure.mean()),
            sure_accuracy=float(right[sure].mean()) if sure.any() else float("nan"),
        )

    return calibration, (figures("as trained", plain), figures("harder", rest))


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar on a terminal, one line a stage elsewhere."""
    console = Console(stderr=True)
    tasks: dict[str, TaskID] = {}
    if not console.is_terminal:

        def line(stage: str, done: int, total: int) -> None:
            if done >= total:
                console.print(f"{stage}: {total} done")

        yield line
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console) as bar:

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done)

        yield advance


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 1 failed, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m micromimic.training.flow",
        description="Train the flow model on synthetic motion maps; write ONNX and a model card.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the ONNX file")
    parser.add_argument("--seed", type=int, default=0, help="decides everything (default 0)")
    parser.add_argument("--maps", type=int, default=12000, help="training maps (default 12000)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over them (default 10)")
    parser.add_argument(
        "--validation", type=int, default=3000, help="maps a validation set (default 3000)"
    )
    parser.add_argument(
        "--measure",
        type=Path,
        metavar="MANIFEST",
        help="real flow maps to measure the finished model on; they decide nothing",
    )
    options = parser.parse_args(arguments)
    if min(options.maps, options.validation) < 128 or options.epochs < 1 or options.seed < 0:
        parser.error("expected at least 128 maps, 128 for validation, 1 epoch, a seed from 0")
    try:
        require_extra()
        import torch  # noqa: PLC0415 - see train_flow

        from micromimic.training.fit import TrainConfig  # noqa: PLC0415

        torch.set_num_threads(1)
        config = TrainConfig(
            seed=options.seed,
            maps=options.maps,
            epochs=options.epochs,
            validation=options.validation,
        )
        # read before training: a wrong path should not cost a minute
        data = read_flow_maps(options.measure) if options.measure else None
        with _progress() as report:
            train_flow(options.out, config, data, report)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing was written\n")
        return 130
    sys.stdout.write(f"{options.out}\n{options.out.with_name('MODEL_CARD.md')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
