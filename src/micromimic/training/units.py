"""Train the shipped model of action units on synthetic maps only, calibrate it, write it down.

Run ``python -m micromimic.training.units --help``. Needs the ``train`` extra.

Probabilities and thresholds are set across faces: networks trained on one source of synthetic
faces are asked about maps of the other source, plain and harder ones in equal parts. On faces that
were trained on, a network is right more often than on any others. No real map takes part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from micromimic.errors import MicromimicError
from micromimic.files import write_whole
from micromimic.training.extra import require_extra
from micromimic.training.progress import Report, training_progress

if TYPE_CHECKING:
    from micromimic.training.units_fit import UnitTrainConfig

VERSION = "1.0"
"""Of the model: raised when weights, units or preprocessing change."""


def train_unit_model(out: Path, config: UnitTrainConfig, report: Report | None = None) -> Path:
    """Train, calibrate, and write the ONNX file with its card beside it.

    Args:
        out: the ONNX file; the card bears its name with the ending ``.md``.
        config: settings; the same ones give the same file on one machine.
        report: told (stage, done, total).

    Returns:
        ``out``.

    Raises:
        MissingExtraError: without the ``train`` extra.
        OutputError: if a file cannot be written.
    """
    require_extra()
    # torch is imported here, after the check, so that its absence is told in one line
    from micromimic.training.units_card import units_card  # noqa: PLC0415
    from micromimic.training.units_export import build_units_onnx  # noqa: PLC0415
    from micromimic.training.units_fit import SIDED, TOLD, train_units, unit_training_maps  # noqa: PLC0415
    from micromimic.training.units_score import (  # noqa: PLC0415
        across_sources,
        calibrate_units,
        own_faces,
    )

    # one half sets probabilities and thresholds, the other half tells how well they hold
    calibrating, across = across_sources(config, report)
    calibration = calibrate_units(calibrating)
    network = train_units(unit_training_maps(config, report=report), config, report)
    details = {
        "name": "flow-units",
        "version": VERSION,
        "trained_on": f"synthetic motion only ({config.maps} maps, seed {config.seed})",
        "units": list(TOLD),
        "sided": list(SIDED),
        "slope": list(calibration.slope),
        "offset": list(calibration.offset),
        "threshold": list(calibration.threshold),
        "seed": config.seed,
    }
    model = build_units_onnx(network, details)
    write_whole(out, model.SerializeToString(deterministic=True))
    card = units_card(config, VERSION, calibration, across, own_faces(network, config))
    write_whole(out.with_suffix(".md"), card)
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 1 failed, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m micromimic.training.units",
        description="Train the model of action units on synthetic maps; write ONNX and a card.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the ONNX file")
    parser.add_argument("--seed", type=int, default=0, help="decides everything (default 0)")
    parser.add_argument("--maps", type=int, default=24000, help="training maps (default 24000)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over them (default 10)")
    parser.add_argument(
        "--validation", type=int, default=6000, help="maps a validation set (default 6000)"
    )
    options = parser.parse_args(arguments)
    if options.maps < 600 or options.validation < 2000 or options.epochs < 1 or options.seed < 0:
        parser.error("expected at least 600 maps, 2000 for validation, 1 epoch, a seed from 0")
    try:
        require_extra()
        import torch  # noqa: PLC0415 - see train_unit_model

        from micromimic.training.units_fit import UnitTrainConfig  # noqa: PLC0415

        torch.set_num_threads(1)
        config = UnitTrainConfig(
            seed=options.seed,
            maps=options.maps,
            epochs=options.epochs,
            validation=options.validation,
        )
        with training_progress() as report:
            train_unit_model(options.out, config, report)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped before the end\n")
        return 130
    sys.stdout.write(f"{options.out}\n{options.out.with_suffix('.md')}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
