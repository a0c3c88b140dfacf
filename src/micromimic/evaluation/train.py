"""From a manifest to a trained model in one file that `analyze --model` opens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from micromimic.core.errors import InputError, ModelError, OutputError
from micromimic.core.files import write_whole
from micromimic.core.labels import LabelSet
from micromimic.core.splits import check_learnable, grouped
from micromimic.core.workers import Workers
from micromimic.evaluation.evaluate import cache_of, load, read_clips
from micromimic.evaluation.former import former_call
from micromimic.evaluation.metrics import uar, uf1
from micromimic.models.base import ClipClassifier, EarlyStopping, FitRun
from micromimic.models.calibrate import calibrate
from micromimic.models.fitting import configure, fit_model, seeded
from micromimic.models.onnx import Calibration, RecognitionModel, VolumeModel, open_model
from micromimic.models.registry import make_model, require_extra
from micromimic.models.samples import FittedTo, Samples, View

FOLDS: Final = 5
"""Groups of subjects; each is held out once to calibrate on."""
VERSION: Final = "1.0"
TOLERANCE: Final = 1e-3
"""Of probabilities, between a model and its file."""


@dataclass(frozen=True)
class Trained:
    """What training wrote and says."""

    path: Path  # the ONNX file
    weights: Path | None  # to fine-tune from with --init; None where the ONNX file itself is
    clips: int  # trained on
    subjects: int
    checked: int  # clips of subjects held out to calibrate on
    uf1: float  # on those, by models that never saw them
    uar: float
    left_out: tuple[str, ...]  # clips that could not be prepared, with reasons


def _with_options(
    manifest: str | Path, model: str, out: str | Path, options: Any, **given: Any
) -> Trained:
    return train(manifest, model, out, **options.by_name(), **given)


@former_call(
    lambda args: len(args) > 3,
    _with_options,
    "train(manifest, model, out, seed=..., init=...) takes by name what FitOptions held",
)
def train(
    manifest: str | Path,
    model: str,
    out: str | Path,
    *,
    labels: str | LabelSet = "three",
    init: str | Path = "default",
    seed: int = 0,
    epochs: int | None = None,
    stop: EarlyStopping | None = None,
    run: FitRun | None = None,
    workers: Workers | None = None,
    cache: str | Path | None = None,
) -> Trained:
    """Train one model on all clips of a manifest, calibrate it, and write it as ONNX.

    Temperature and the margin of doubt come from models trained without the subjects that they are
    asked about: five groups of subjects are held out in turn (one group only for networks on face
    crops, which take long). The file then holds a model trained on everybody, and the digests of
    the clips and the names of the people that it was fitted to.

    Parameters
    ----------
    manifest : str | Path
        CSV as in `datasets.manifest`.
    model : str
        a name, as `models.registry.make_model` takes it.
    out : str | Path
        the ONNX file.
    labels : str | LabelSet
        the scheme of labels.
    init, seed, epochs, stop : str | Path, int, int | None, EarlyStopping | None
        what decides the outcome beside the clips.
    run : FitRun | None
        how it is trained; its checkpoint is kept beside ``out`` until the end.
    workers : Workers | None
        where clips are prepared.
    cache : str | Path | None
        prepared clips; None is ``<manifest's name>.prepared`` beside it.

    Raises
    ------
    InputError
        the manifest is wrong, or there is nothing to learn.
    ModelError
        the model is unknown or cannot be written as ONNX, or the file would not say what the model
        says.
    OutputError
        if the file cannot be written, or has the ending of its weights.
    MissingExtraError
        without the ``train`` extra.
    """
    require_extra()
    manifest, out, run = Path(manifest), Path(out), run or FitRun()
    beside, checkpoint = written_beside(out)
    name, fresh, _ = make_model(model)
    if not isinstance(fresh, ClipClassifier):
        raise ModelError(
            f"expected a model that can be written as ONNX, got {name}, a "
            f"{type(fresh).__name__}; keep it with joblib, or train one of micromimic models"
        )
    fresh = seeded(configure(fresh, name, init=init, epochs=epochs, stop=stop), seed)
    clips, known = read_clips(manifest, labels)
    check_learnable([clip.who for clip in clips], [clip.label for clip in clips])
    place = Path(cache) if cache else cache_of(manifest)
    loaded = load(clips, fresh, place, workers, run.progress, labels=known)
    samples = loaded.samples
    check_learnable(samples.subjects, samples.labels)
    started = fresh.started_from()
    fitted_to = None if started is None else (started | FittedTo.of(samples)).to_json()
    scores, rows = _held_out(fresh, name, samples, seed, run)
    fitted = _fitted(clone(fresh), name, samples, replace(run, checkpoint=checkpoint))
    calibration = calibrate(scores, np.searchsorted(fitted.classes_, samples.labels[rows]))
    about = _about(fitted, name, samples, calibration, init, seed)
    content = fitted.to_onnx({**about, "fitted_to": fitted_to})
    some = samples.take(np.arange(min(8, len(samples))))
    _check(open_model(content, out), some, fitted.scores(some.inputs), fitted.view)
    write_whole(out, content)
    weights = None
    if hasattr(fitted, "state"):
        weights = beside
        write_whole(weights, fitted.state(fitted_to))
    checkpoint.unlink(missing_ok=True)
    guess = fitted.classes_[scores.argmax(1)]
    return Trained(
        path=out,
        weights=weights,
        clips=len(samples),
        subjects=len(set(samples.subjects.tolist())),
        checked=len(rows),
        uf1=uf1(samples.labels[rows], guess),
        uar=uar(samples.labels[rows], guess),
        left_out=loaded.left_out,
    )


def _about(
    fitted: Any, name: str, samples: Samples, calibration: Calibration, init: str | Path, seed: int
) -> dict[str, object]:
    """What the file says of itself."""
    people = len(set(samples.subjects.tolist()))
    databases = ", ".join(sorted(set(samples.datasets.tolist())))
    return {
        "name": name,
        "version": VERSION,
        "trained_on": f"{len(samples)} clips of {people} subjects ({databases}), "
        f"init {Path(init).name}, seed {seed}",
        "classes": fitted.classes_.tolist(),
        "view": fitted.view,
        "encoder": fitted.encoder,
        "temperature": calibration.temperature,
        "margin": calibration.margin,
        "seed": seed,
    }


def _fitted(model: Any, name: str, samples: Samples, run: FitRun) -> Any:
    return fit_model(model, name, samples.inputs, samples.labels, samples.subjects, run)


def _held_out(
    model: Any, name: str, samples: Samples, seed: int, run: FitRun
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores of clips by models that never saw their subjects, and the clips' row numbers."""
    classes = np.unique(samples.labels)
    groups = min(FOLDS, len(set(samples.subjects.tolist())))
    wanted = 1 if model.view == "faces" else groups
    scores: list[NDArray[np.float64]] = []
    rows: list[NDArray[np.int64]] = []
    aside = replace(run, checkpoint=None, log_dir=None, each_epoch=None)
    for train, test in grouped(samples.subjects, groups, seed):
        # a model that lacks a class gives no score of it to calibrate by
        if len(rows) == wanted or len(np.unique(samples.labels[train])) < len(classes):
            continue
        fitted = _fitted(clone(model), name, samples.take(train), aside)
        scores.append(fitted.scores(samples.inputs[test]))
        rows.append(test)
    if not rows:
        raise InputError(
            "expected every class among the subjects that are left when some are held out, got "
            "one that a single group has; add subjects"
        )
    return np.concatenate(scores), np.concatenate(rows)


def _check(
    model: RecognitionModel, samples: Samples, scores: NDArray[np.float64], view: View
) -> None:
    """The file must say what the model says."""
    if isinstance(model, VolumeModel):  # volumes themselves are not at hand, their descriptors are
        features = np.asarray(samples.inputs, np.float32)
        found = model.calibration.probabilities(model.scores_of_features(features))
    else:
        found = model.probabilities(samples.inputs if view == "flow" else samples.inputs[:, 0])
    off = np.abs(found - model.calibration.probabilities(scores)).max()
    if off > TOLERANCE:
        raise ModelError(
            f"expected the ONNX file to say what the model says, got probabilities {off:.1e} off; "
            "report this with your versions of torch and onnxruntime"
        )


def written_beside(out: Path) -> tuple[Path, Path]:
    """The weights to fine-tune from, and the fit's checkpoint, beside a model's file."""
    weights = out.with_suffix(".pt")
    if weights == out:
        raise OutputError(
            f"expected a name for an ONNX file, got {out}, where its weights would be written; use "
            f"--out {out.with_suffix('.onnx')}"
        )
    return weights, out.with_name(f".{out.name}.ckpt")
