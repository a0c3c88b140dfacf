"""From a manifest to a trained model in one file that `analyze --model` opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from micromimic.datasets.manifest import read_manifest
from micromimic.errors import InputError, ModelError, OutputError
from micromimic.evaluation.metrics import uar, uf1
from micromimic.evaluation.parallel import Workers
from micromimic.evaluation.splits import check_learnable, grouped
from micromimic.files import write_whole
from micromimic.labels import EMOTIONS
from micromimic.models.learner import FitOptions, Learner, Samples, View
from micromimic.models.onnx import open_model
from micromimic.models.recognizers import RecognitionModel, VolumeModel
from micromimic.models.registry import entry
from micromimic.pipelines.experiment import cache_of, load
from micromimic.training.calibrate import calibrate
from micromimic.training.extra import require_extra

FOLDS: Final = 5
"""Groups of subjects; each is held out once to calibrate on."""
VERSION: Final = "1.0"
TOLERANCE: Final = 1e-3
"""Of probabilities, between a model and its file."""


@dataclass(frozen=True)
class Trained:
    """What training wrote and says.

    Args:
        path: the ONNX file.
        weights: a file to fine-tune from with ``--init``; None where the ONNX file itself is, or
            the model has none.
        clips, subjects: trained on.
        checked: clips of subjects held out to calibrate on.
        uf1, uar: on those, by models that never saw them.
        left_out: clips that could not be prepared, with reasons.
    """

    path: Path
    weights: Path | None
    clips: int
    subjects: int
    checked: int
    uf1: float
    uar: float
    left_out: tuple[str, ...]


def train(
    manifest: Path,
    model: str,
    out: Path,
    options: FitOptions,
    *,
    workers: Workers | None = None,
    cache: Path | None = None,
) -> Trained:
    """Train one model on all clips of a manifest, calibrate it, and write it as ONNX.

    Temperature and the margin of doubt come from models trained without the subjects that they are
    asked about: five groups of subjects are held out in turn (one group only for networks on face
    crops, which take long). The file then holds a model trained on everybody.

    Args:
        manifest: CSV as in `datasets.manifest`.
        model: a registered name.
        out: the ONNX file.
        options: of the fit; its checkpoint is kept beside ``out`` until the end.
        workers: where clips are prepared.
        cache: prepared clips; None is ``<manifest's name>.prepared`` beside it.

    Raises:
        InputError: the manifest is wrong, or there is nothing to learn.
        ModelError: the model is unknown, or the file would not say what the model says.
        OutputError: if the file cannot be written, or has the ending of its weights.
        MissingExtraError: without the ``train`` extra.
    """
    require_extra()
    beside, checkpoint = written_beside(out)
    learner = entry(model).learner()
    clips = read_manifest(manifest)
    check_learnable([clip.who for clip in clips], [clip.label for clip in clips])
    loaded = load(clips, learner, cache or cache_of(manifest), workers, options.report)
    samples = loaded.samples
    check_learnable(samples.subjects, samples.labels)
    scores, rows = _held_out(learner, samples, options)
    calibration = calibrate(scores, samples.targets[rows])
    fitted = learner.fit(samples, replace(options, checkpoint=checkpoint))
    people = len(set(samples.subjects.tolist()))
    databases = ", ".join(sorted(set(samples.datasets.tolist())))
    metadata = {
        "name": model,
        "version": VERSION,
        "trained_on": f"{len(samples)} clips of {people} subjects ({databases}), "
        f"init {_init_name(options)}, seed {options.seed}",
        "classes": list(EMOTIONS),
        "view": learner.view,
        "encoder": learner.encoder,
        "temperature": calibration.temperature,
        "margin": calibration.margin,
        "seed": options.seed,
    }
    content = fitted.to_onnx(metadata)
    some = samples.take(np.arange(min(8, len(samples))))
    _check(open_model(content, out), some, fitted.scores(some.inputs), learner.view)
    write_whole(out, content)
    weights = None
    if hasattr(fitted, "state"):
        weights = beside
        write_whole(weights, fitted.state())
    checkpoint.unlink(missing_ok=True)
    truth = samples.labels[rows]
    guess = np.asarray(EMOTIONS)[scores.argmax(1)]
    return Trained(
        path=out,
        weights=weights,
        clips=len(samples),
        subjects=people,
        checked=len(rows),
        uf1=uf1(truth, guess),
        uar=uar(truth, guess),
        left_out=loaded.left_out,
    )


def _held_out(
    learner: Learner, samples: Samples, options: FitOptions
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores of clips by models that never saw their subjects, and the clips' row numbers."""
    groups = min(FOLDS, len(set(samples.subjects.tolist())))
    wanted = 1 if learner.view == "faces" else groups
    scores: list[NDArray[np.float64]] = []
    rows: list[NDArray[np.int64]] = []
    aside = replace(options, checkpoint=None, log_dir=None, each_epoch=None)
    for train, test in grouped(samples.subjects, groups, options.seed):
        if len(rows) == wanted or len(np.unique(samples.targets[train])) < 2:
            continue
        fitted = learner.fit(samples.take(train), aside)
        scores.append(fitted.scores(samples.inputs[test]))
        rows.append(test)
    if not rows:
        raise InputError(
            "expected two classes among the subjects that are left when some are held out, got "
            "one; add subjects"
        )
    return np.concatenate(scores), np.concatenate(rows)


def _check(
    model: RecognitionModel, samples: Samples, scores: NDArray[np.float64], view: View
) -> None:
    """The file must say what the model says.

    Raises:
        ModelError: if it does not.
    """
    if isinstance(model, VolumeModel):  # volumes themselves are not at hand, their descriptors are
        features = np.asarray(samples.inputs, np.float32)
        said = model.calibration.probabilities(model.scores_of_features(features))
    else:
        said = model.probabilities(samples.inputs if view == "flow" else samples.inputs[:, 0])
    off = np.abs(said - model.calibration.probabilities(scores)).max()
    if off > TOLERANCE:
        raise ModelError(
            f"expected the ONNX file to say what the model says, got probabilities {off:.1e} off; "
            "report this with your versions of torch and onnxruntime"
        )


def written_beside(out: Path) -> tuple[Path, Path]:
    """The weights to fine-tune from, and the fit's checkpoint, beside a model's file.

    Raises:
        OutputError: the weights would take the model's own place.
    """
    weights = out.with_suffix(".pt")
    if weights == out:
        raise OutputError(
            f"expected a name for an ONNX file, got {out}, where its weights would be written; use "
            f"--out {out.with_suffix('.onnx')}"
        )
    return weights, out.with_name(f".{out.name}.ckpt")


def _init_name(options: FitOptions) -> str:
    return options.init.name if isinstance(options.init, Path) else options.init
