"""Train the shipped flow model on synthetic maps only, calibrate it, and write it down.

Run ``python -m micromimic.training.flow --help``. Needs the ``train`` extra.

Temperature and the margin of doubt are set across faces: networks trained on one source of
synthetic faces are asked about harder maps of the other source. On faces that were trained on, a
network is right more often than on any others, and probabilities fitted there would be
overconfident on real people. No real map takes part in training or calibration.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import MicromimicError
from micromimic.evaluation.flow_maps import FlowMapSet, measure, read_flow_maps
from micromimic.evaluation.metrics import expected_calibration_error, uar, uf1
from micromimic.files import write_whole
from micromimic.labels import EMOTIONS
from micromimic.models.onnx import Calibration, load_model
from micromimic.synthesis.maps import MapConfig
from micromimic.training.calibrate import calibrate
from micromimic.training.card import SyntheticFigures, card_text
from micromimic.training.extra import require_extra
from micromimic.training.progress import Report, training_progress

if TYPE_CHECKING:
    from micromimic.training.fit import TrainConfig

VERSION = "2.1"
"""Of the model: raised when weights, classes or preprocessing change."""

# added to the training seed, so that no validation map shares a draw with a training map
_PLAIN, _HARD, _ACROSS = 500_000, 700_000, 900_000


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
    from micromimic.training.committee import (  # noqa: PLC0415
        across_faces,
        lessons_of,
        train_model,
    )
    from micromimic.training.export import build_onnx  # noqa: PLC0415
    from micromimic.training.fit import mirrored_lengths, synthetic_set  # noqa: PLC0415

    network = train_model(lessons_of(config, report), config, report)
    lengths, targets = across_faces(config, _ACROSS + config.seed, report)
    # one half sets temperature and margin, the other half tells how well they hold
    half = len(targets) // 2
    calibration = calibrate(lengths[:half], targets[:half])
    figures = []
    for name, settings, seed in (
        ("plain", MapConfig(), _PLAIN),
        ("harder", MapConfig().harder(), _HARD),
    ):
        asked = synthetic_set(config.validation, seed + config.seed, settings)
        said = mirrored_lengths(network, asked.maps)
        figures.append(_figures(name, calibration, said, asked.targets))
    figures.append(_figures("harder, other faces", calibration, lengths[half:], targets[half:]))
    details = {
        "name": "flow-capsnet",
        "version": VERSION,
        "trained_on": "synthetic motion only "
        f"({config.maps * config.teachers} drawn and {config.measured} measured maps, "
        f"seed {config.seed})",
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


def _figures(
    name: str,
    calibration: Calibration,
    lengths: NDArray[np.float64],
    targets: NDArray[np.int64],
) -> SyntheticFigures:
    """One row of the card's synthetic table."""
    p = calibration.probabilities(lengths)
    truth, guess = np.asarray(EMOTIONS)[targets], np.asarray(EMOTIONS)[p.argmax(1)]
    ordered = np.sort(p, axis=1)
    sure = ordered[:, 2] - ordered[:, 1] >= calibration.margin
    return SyntheticFigures(
        name=name,
        n=len(guess),
        uf1=uf1(truth, guess),
        uar=uar(truth, guess),
        calibration_error=expected_calibration_error(truth, p),
        sure_share=float(sure.mean()),
        sure_accuracy=float((guess == truth)[sure].mean()) if sure.any() else float("nan"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 0 done, 1 failed, 2 usage."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if min(options.maps, options.validation) < 128 or options.seed < 0:
        parser.error("expected at least 128 maps, 128 for validation, a seed from 0")
    if min(options.teachers, options.epochs, options.lessons) < 1:
        parser.error("expected at least 1 teacher, 1 epoch and 1 lesson")
    if options.measured < 0:
        parser.error(f"expected --measured from 0, got {options.measured}")
    try:
        require_extra()
        import torch  # noqa: PLC0415 - see train_flow

        from micromimic.training.fit import TrainConfig  # noqa: PLC0415

        torch.set_num_threads(1)
        config = TrainConfig(
            seed=options.seed,
            maps=options.maps,
            measured=options.measured,
            epochs=options.epochs,
            teachers=options.teachers,
            lessons=options.lessons,
            validation=options.validation,
        )
        # read before training: a wrong path should not cost a minute
        data = read_flow_maps(options.measure) if options.measure else None
        with training_progress() as report:
            train_flow(options.out, config, data, report)
    except MicromimicError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped before the end\n")
        return 130
    sys.stdout.write(f"{options.out}\n{options.out.with_name('MODEL_CARD.md')}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m micromimic.training.flow",
        description="Train the flow model on synthetic motion maps; write ONNX and a model card.",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the ONNX file")
    parser.add_argument("--seed", type=int, default=0, help="decides everything (default 0)")
    parser.add_argument(
        "--teachers", type=int, default=8, help="networks that the model learns from (default 8)"
    )
    parser.add_argument(
        "--maps", type=int, default=1500, help="drawn maps of each teacher (default 1500)"
    )
    parser.add_argument(
        "--measured",
        type=int,
        default=3000,
        help="maps measured on rendered frames, 13 a second (default 3000; needs faces3d)",
    )
    parser.add_argument(
        "--epochs", type=int, default=5, help="a teacher's passes over its maps (default 5)"
    )
    parser.add_argument(
        "--lessons", type=int, default=6, help="the model's passes over all maps (default 6)"
    )
    parser.add_argument(
        "--validation", type=int, default=3000, help="maps a validation set (default 3000)"
    )
    parser.add_argument(
        "--measure",
        type=Path,
        metavar="MANIFEST",
        help="real flow maps to measure the finished model on; they decide nothing",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
