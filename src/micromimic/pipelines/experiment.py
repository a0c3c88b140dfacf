"""From a manifest to figures that can be trusted, and from a manifest to a trained model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from micromimic.datasets.made_up import is_marked
from micromimic.datasets.manifest import Clip, read_manifest
from micromimic.errors import InputError, RandomWeightsWarning
from micromimic.evaluation.controls import all_controls
from micromimic.evaluation.folder import RunFolder
from micromimic.evaluation.predictions import predictions_of, write_predictions
from micromimic.evaluation.reliability import reliability_of
from micromimic.evaluation.run import RunConfig, folds_of, record_of, run_protocol
from micromimic.evaluation.scores import metrics_of
from micromimic.evaluation.splits import check_learnable
from micromimic.files import write_whole
from micromimic.models.learner import Encoder, Report, Samples, View
from micromimic.models.onnx import load_model
from micromimic.models.registry import create, entry
from micromimic.preparation.cache import PrepareConfig, load_samples, prepare_all
from micromimic.reports.figures import confusion_figure, coverage_figure, reliability_figure
from micromimic.reports.recognition_tables import RunSummary, tables_md
from micromimic.reports.tables import printable
from micromimic.training.extra import require_extra
from micromimic.workers import Workers, on_workers

FLOW_KINDS = ("flow_map", "frames", "video")


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation wrote and says.

    Args:
        folder: where it lies.
        summary: for the tables.
        metrics: as in ``metrics.json``.
        left_out: clips that could not be prepared, with reasons.
        resumed: folds that an earlier call had ended.
        seconds: that the folds took, each on its own.
    """

    folder: Path
    summary: RunSummary
    metrics: Mapping[str, Any]
    left_out: tuple[str, ...]
    resumed: int
    seconds: float


@dataclass(frozen=True)
class Loaded:
    """Clips made ready for a model.

    Args:
        samples: encoded.
        maps: (n, 3, 28, 28) their flow maps, for the control; None where clips have none.
        left_out: clips that could not be prepared, with reasons.
    """

    samples: Samples
    maps: NDArray[np.float32] | None
    left_out: tuple[str, ...]


class _FlowView:
    """Flow maps as they are."""

    view: View = "flow"

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.asarray(clip, np.float32)


def evaluate(
    manifest: Path,
    config: RunConfig,
    out: Path,
    *,
    workers: Workers | None = None,
    cache: Path | None = None,
    report: Report | None = None,
    log: bool = False,
) -> Evaluation:
    """Evaluate one model on a manifest's clips, leak-free.

    Args:
        manifest: CSV as in `datasets.manifest`.
        config: model, protocol and what decides the outcome.
        out: the run's folder: predictions.csv, metrics.json, tables.md, and the figures confusion,
            reliability and coverage (.png, .svg). A killed run continues there.
        workers: where folds and clips run; None is this process.
        cache: prepared clips; None is ``<manifest's name>.prepared`` beside it.
        report: told (stage, done, total).
        log: write TensorBoard's files to ``out/tensorboard``.

    Raises:
        InputError: the manifest is wrong, nothing is left to learn from, or ``out`` holds another
            run.
        ModelError: the model is unknown or its file unusable.
        MissingExtraError: without the ``train`` extra.
    """
    require_extra()  # its figure needs the extra too, and should not be what fails at the end
    workers = workers or Workers()
    known = entry(config.model)
    clips = read_manifest(manifest)
    place = cache or cache_of(manifest)
    if config.protocol == "apply":
        return _apply(clips, config, out, workers, place, report)
    check_learnable([clip.who for clip in clips], [clip.label for clip in clips])
    learner = known.learner()
    if text := learner.warning(config.init):
        warnings.warn(text, RandomWeightsWarning, stacklevel=2)
    loaded = load(clips, learner, place, workers, report, config.prepare)
    samples = loaded.samples
    result = run_protocol(
        samples,
        config,
        out,
        workers=workers,
        report=report,
        log_dir=out / "tensorboard" if log else None,
    )
    splits = [(fold.train, fold.test) for fold in result.folds]
    summary = RunSummary(
        name=config.model,
        predictions=list(result.predictions),
        protocol=config.protocol if config.groups is None else f"loso, {config.groups} groups",
        init=printable(str(config.init)),
        seed=config.seed,
        controls=all_controls(samples, splits, loaded.maps, config.seed),
        leaky=None if result.leaky is None else list(result.leaky),
        notes=_notes(config, loaded),
        synthetic=any(is_marked(clip) for clip in clips),
    )
    return _write(out, summary, loaded.left_out, result.resumed, result.seconds)


def cache_of(manifest: Path) -> Path:
    """Where prepared clips are kept: beside the manifest, where who removes one sees the other."""
    return manifest.with_name(f"{manifest.stem}.prepared")


def load(
    clips: Sequence[Clip],
    encoder: Encoder,
    cache: Path,
    workers: Workers | None = None,
    report: Report | None = None,
    prepare: PrepareConfig | None = None,
) -> Loaded:
    """Prepare clips where they are not yet, and encode them.

    Raises:
        InputError: a clip's kind cannot give what the model looks at, or no clip could be prepared.
    """
    with_flow = all(clip.kind in FLOW_KINDS for clip in clips)
    views: set[View] = {encoder.view} | ({"flow"} if with_flow else set())
    with on_workers(workers or Workers()):
        failures = prepare_all(clips, views, cache, config=prepare, progress=_turned(report))
    lost = {failure.clip.key for failure in failures}
    left = [clip for clip in clips if clip.key not in lost]
    left_out = tuple(f"{failure.clip.key}: {failure.reason}" for failure in failures)
    if not left:
        raise InputError(f"expected clips that can be prepared, got none; the first: {left_out[0]}")
    samples = load_samples(left, encoder, cache, prepare)
    maps = None
    if with_flow:
        same = encoder.view == "flow" and samples.inputs.shape[1:] == (3, 28, 28)
        flow = samples if same else load_samples(left, _FlowView(), cache, prepare)
        maps = np.asarray(flow.inputs, np.float32)
    return Loaded(samples, maps, left_out)


def _apply(
    clips: Sequence[Clip],
    config: RunConfig,
    out: Path,
    workers: Workers,
    cache: Path,
    report: Report | None,
) -> Evaluation:
    """Test a trained model as it is."""
    if config.init in ("none", "download"):
        raise InputError(
            f"expected --init default or a trained file with protocol apply, got {config.init}; "
            "there is nothing to apply"
        )
    file = config.init if isinstance(config.init, Path) else None
    model: Any = load_model(file) if file or config.model == "flow-capsnet" else None
    if model is None:
        model = create(config.model)  # says what ships
    reader = _ViewOf(model)
    loaded = load(clips, reader, cache, workers, report, config.prepare)
    samples = loaded.samples
    folder = RunFolder(out, {**record_of(samples, config), "settings": {"view": reader.view}})
    probabilities = reader.probabilities(samples.inputs)
    rows = predictions_of(samples, probabilities, fold=0, seed=config.seed)
    # the controls are trained leave-one-subject-out on the same clips: more than the model had
    controls, note = {}, "no controls: of one subject none can be left out to fit them"
    if len(set(samples.subjects.tolist())) > 1:
        splits = [(f.train, f.test) for f in folds_of(samples, replace(config, protocol="loso"))]
        controls = all_controls(samples, splits, loaded.maps, config.seed)
        note = "the controls are fitted leave-one-subject-out on these clips"
    summary = RunSummary(
        name=config.model,
        predictions=rows,
        protocol="apply",
        init=printable(str(config.init)),
        seed=config.seed,
        controls=controls,
        leaky=None,
        notes=(note,),
        synthetic=any(is_marked(clip) for clip in clips),
    )
    return _write(folder.path, summary, loaded.left_out, 0, 0.0)


def _turned(report: Report | None) -> Callable[[int, int | None, str], None] | None:
    """A report as preparation calls it: done, total, stage."""
    if report is None:
        return None
    tell = report
    return lambda done, total, stage: tell(stage, done, total or 0)


class _ViewOf:
    """A trained model, seen as what encodes clips for it."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.view: View = getattr(model, "view", "flow")

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """One row: flow maps and the apex's face as they are, a volume as its probabilities."""
        if self.view == "volume":
            return np.asarray(self._model.probabilities([clip])[0])
        return np.asarray(clip if self.view == "flow" else clip[0])

    def probabilities(self, inputs: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) of encoded rows."""
        rows = inputs if self.view == "volume" else self._model.probabilities(inputs)
        return np.asarray(rows, np.float64)


def _notes(config: RunConfig, loaded: Loaded) -> tuple[str, ...]:
    notes = []
    if config.stop is not None:
        notes.append("early stopping on subjects held out of the training part")
    if config.epochs is not None:
        notes.append(f"{config.epochs} epochs")
    if config.prepare.apex != "annotated":
        notes.append(f"apex by the rule {config.prepare.apex!r}")
    if loaded.left_out:
        notes.append(f"{len(loaded.left_out)} clips could not be prepared and are left out")
    return tuple(notes)


def _write(
    out: Path,
    summary: RunSummary,
    left_out: tuple[str, ...],
    resumed: int,
    seconds: float,
) -> Evaluation:
    """Write what every protocol writes."""
    metrics = metrics_of(summary.predictions)
    metrics["controls"] = {name: metrics_of(rows) for name, rows in summary.controls.items()}
    metrics["reliability"] = reliability_of(summary.predictions)
    write_predictions(out / "predictions.csv", summary.predictions)
    if summary.leaky is not None:
        metrics["leaky"] = {
            "not_comparable": "keeps the epoch that is best on the test subject",
            **metrics_of(summary.leaky),
        }
        write_predictions(out / "predictions-leaky.csv", summary.leaky)
    write_whole(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_whole(out / "tables.md", tables_md([summary]))
    beside = False if summary.synthetic else None
    confusion_figure(summary.predictions, out / "confusion", beside_article=beside)
    reliability_figure(summary.predictions, out / "reliability", title=summary.name)
    coverage_figure(summary.predictions, out / "coverage", title=summary.name)
    return Evaluation(out, summary, metrics, left_out, resumed, seconds)
