"""From a manifest to figures that can be trusted: one function, of the command and of Python."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from micromimic.core.errors import InputError, RandomWeightsWarning
from micromimic.core.files import write_whole
from micromimic.core.labels import THREE, LabelSet
from micromimic.core.progress import Progress
from micromimic.core.splits import check_learnable
from micromimic.core.strict_json import printable
from micromimic.core.workers import Backend, Workers, on_workers
from micromimic.datasets.clip import is_synthetic
from micromimic.datasets.manifest import Clip, labels_of_manifest, read_manifest
from micromimic.evaluation.by_database import metrics_of
from micromimic.evaluation.controls import PRIOR, all_controls, expected_scores
from micromimic.evaluation.former import former_call
from micromimic.evaluation.one_fold import RunFolder
from micromimic.evaluation.predictions import Predictions
from micromimic.evaluation.reliability import reliability_of
from micromimic.evaluation.report.figures import (
    confusion_figure,
    coverage_figure,
    reliability_figure,
)
from micromimic.evaluation.report.tables import RunSummary, tables_md
from micromimic.evaluation.run import (
    Protocol,
    RunConfig,
    RunResult,
    doubt_of,
    folds_of,
    model_of,
    record_of,
    run_protocol,
)
from micromimic.models.base import EarlyStopping
from micromimic.models.fitting import parts_of
from micromimic.models.onnx import load_model
from micromimic.models.registry import Chosen, check_model, create, entry, make_model, require_extra
from micromimic.models.samples import UNKNOWN, Encoder, FittedTo, Samples, View
from micromimic.models.views import AsItIs, encoder_of
from micromimic.preparation.cache import load_samples, prepare_all
from micromimic.preparation.clip import PrepareConfig

FLOW_KINDS = ("flow_map", "frames", "video")

Models = str | Sequence[str] | Mapping[str, Any] | Any
"""A name, several, an estimator, or estimators by name (None: the registered one of that name)."""


@dataclass(frozen=True)
class Evaluation:
    """What the evaluation of one model says, and wrote into its folder."""

    folder: Path
    summary: RunSummary
    metrics: Mapping[str, Any]  # as in metrics.json
    left_out: tuple[str, ...]  # clips that could not be prepared, with reasons
    resumed: int  # folds that an earlier call had ended


@dataclass(frozen=True)
class Loaded:
    """Clips made ready for a model."""

    samples: Samples
    maps: NDArray[np.float32] | None  # (n, 3, 28, 28), for the controls; None where there are none
    left_out: tuple[str, ...]  # clips that could not be prepared, with reasons


@former_call(
    lambda args: len(args) > 1 and isinstance(args[1], RunConfig),
    lambda *args, **given: evaluate_run(*args, **given),  # noqa: PLW0108 - it comes later
    "evaluate(models, data, protocol=..., out=...) gives predictions; evaluate_run is what it was",
)
def evaluate(
    models: Models,
    data: str | Path | Sequence[Clip],
    *,
    labels: str | LabelSet = "three",
    protocol: Protocol = "loso",
    cv: Any = None,
    groups: int | None = None,
    init: str | Path = "default",
    seed: int = 0,
    epochs: int | None = None,
    stop: EarlyStopping | None = None,
    allow_overlap: bool = False,
    prepare: PrepareConfig | None = None,
    out: str | Path | None = None,
    jobs: int = 1,
    backend: Backend = "loky",
    scheduler: str | None = None,
    cache: str | Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Predictions:
    """Evaluate models on clips, without any leak from the tested subject.

    Parameters
    ----------
    models : Models
        a name of ``micromimic models``, several, a scikit-learn classifier, or classifiers by name,
        None for the registered one of that name. One that starts with a view (`models.views`) says
        what it looks at; others are given flow maps (3, 28, 28). Every ``random_state`` that is
        None is set from ``seed`` and the fold.
    data : str | Path | Sequence[Clip]
        a manifest, or clips.
    labels : str | LabelSet
        the scheme of labels.
    protocol : Protocol
        ``loso``, ``hde`` or ``apply``; see `evaluation.run.RunConfig`.
    cv : Any
        a scikit-learn splitter that keeps groups together, in place of a protocol.
    groups : int | None
        leave so many groups of subjects out.
    init, epochs, stop : str | Path, int | None, EarlyStopping | None
        where weights of our models start, and how long they are trained.
    seed : int
        of everything drawn.
    allow_overlap : bool
        go on where ``init`` was fitted to clips or subjects of these.
    prepare : PrepareConfig | None
        how clips are prepared.
    out : str | Path | None
        folder of the results, a subfolder a model where there are several; a killed run continues
        there. None keeps nothing, and needs no extra for models that need none.
    jobs, backend, scheduler : int, Backend, str | None
        where folds and clips run.
    cache : str | Path | None
        prepared clips; None is ``<manifest's name>.prepared`` beside it.
    device : str | None
        of networks.
    progress : Progress | None
        called with (done, total, stage).

    Returns
    -------
    Predictions
        A pandas DataFrame, one row a clip and model, which scores, compares and draws itself.

    Raises
    ------
    InputError
        the manifest is wrong, nothing is left to learn from, folds leak, or ``out`` holds another
        run.
    ModelError
        a model is unknown, none, or fails; a file is unusable.
    MissingExtraError
        without an extra that a model or a figure needs.
    """
    chosen = chosen_models(models)
    clips, known = read_clips(data, labels)
    _check_splitter(cv, protocol)
    config = RunConfig(
        protocol="cv" if cv is not None else protocol,
        groups=groups,
        init=init,
        seed=seed,
        epochs=epochs,
        stop=stop,
        device=device,
        prepare=prepare or PrepareConfig(),
        allow_overlap=allow_overlap,
    )
    given: dict[str, Any] = {
        "labels": known,
        "cv": cv,
        "workers": Workers(jobs, backend, scheduler),
        "cache": _cache(data, cache),
        "progress": progress,
        "figures": out is not None,
    }
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder if out is None else out)
        results = []
        for name, model, code in chosen:
            own = place if len(chosen) == 1 else place / re.sub(r"[^\w.-]+", "_", name)
            named = replace(config, model=name, code=code)
            results.append(evaluate_run(clips, named, own, model=model, **given))
        if out is not None and len(results) > 1:
            write_tables(Path(out), results)
    summaries = [result.summary for result in results]
    joined: Predictions = pd.concat(
        [found.predictions.assign(model=found.name) for found in summaries], ignore_index=True
    )
    joined.attrs["synthetic"] = any(found.synthetic for found in summaries)
    return joined


def evaluate_run(
    data: str | Path | Sequence[Clip],
    config: RunConfig,
    out: Path,
    *,
    labels: str | LabelSet | None = "three",
    model: Any = None,
    cv: Any = None,
    workers: Workers | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
    log: bool = False,
    figures: bool = True,
) -> Evaluation:
    """Evaluate one model, and write what came of it."""
    if figures:
        require_extra()  # a figure needs it too, and should not be what fails at the end
    options: dict[str, Any] = {
        "cache": cache,
        "workers": workers,
        "progress": progress,
        "prepare": config.prepare,
    }
    if config.protocol == "apply":
        return _apply(data, labels, config, out, figures, options)
    model = model_of(config, model)
    clips, loaded = open_clips(model, data, labels, **options)
    samples = loaded.samples
    result = run_protocol(
        samples,
        config,
        out,
        model=model,
        cv=cv,
        workers=workers,
        progress=progress,
        log_dir=out / "tensorboard" if log else None,
    )
    splits = [(fold.train, fold.test) for fold in result.folds]
    protocol = str(cv) if cv is not None else config.protocol
    summary = RunSummary(
        name=_labelled(config.model, result.doubt, result.unsteady),
        predictions=result.predictions,
        protocol=protocol if config.groups is None else f"loso, {config.groups} groups",
        controls=all_controls(samples, splits, loaded.maps, config.seed),
        leaky=result.leaky,
        notes=_notes(config, model, loaded, result),
        init=printable(str(config.init)),
        seed=config.seed,
        synthetic=any(is_synthetic(clip) for clip in clips),
    )
    doubt = " ".join(filter(None, (result.doubt, result.unsteady)))
    return _write(out, summary, loaded.left_out, result.resumed, doubt, figures)


def open_clips(
    model: Any, data: str | Path | Sequence[Clip], labels: str | LabelSet | None, **options: Any
) -> tuple[tuple[Clip, ...], Loaded]:
    """The clips, made ready for a model that will train; what it warns of is said once.

    ``options`` are of `load`.
    """
    clips, known = read_clips(data, labels)
    check_learnable([clip.who for clip in clips], [clip.label for clip in clips])
    if text := warning_of(model, known):
        warnings.warn(text, RandomWeightsWarning, stacklevel=3)
    options["cache"] = _cache(data, options.get("cache"))
    return clips, load(clips, encoder_of(model), labels=known, **options)


def _check_splitter(cv: Any, protocol: str) -> None:
    """Before any work: a splitter, if there is one, and no protocol beside it."""
    fits = hasattr(cv, "split") and not isinstance(cv, type) and protocol in ("loso", "cv")
    if cv is not None and not fits:
        got = " ".join(f"cv={cv}".split())[:60]
        raise InputError(
            f"expected a scikit-learn splitter in place of a protocol, got {got} with protocol "
            f"{protocol}; pass cv=GroupKFold(5), or leave one of them out"
        )


def read_clips(
    data: str | Path | Sequence[Clip], labels: str | LabelSet | None = "three"
) -> tuple[tuple[Clip, ...], LabelSet | None]:
    """The clips of a manifest, and its label set; of clips None, where no set is given."""
    if labels is not None and not isinstance(labels, str | LabelSet):
        raise InputError(
            f"expected a scheme of labels or a LabelSet, got {type(labels).__name__}; pass its "
            "name, or names with commas between them"
        )
    if isinstance(data, str | Path):
        scheme = labels or "three"
        known = labels_of_manifest(data, scheme)
        if known.several:
            raise InputError(
                f"expected labels of which a clip has one, got {known.name}; choose another scheme"
            )
        return read_manifest(data, scheme), known
    clips = tuple(data) if isinstance(data, Iterable) else (data,)
    if not all(isinstance(clip, Clip) for clip in clips):
        raise InputError(
            f"expected a manifest or clips, got {type(data).__name__}; pass the path of the "
            "manifest, or what micromimic.read_manifest reads of it"
        )
    return clips, labels if isinstance(labels, LabelSet) else None


def warning_of(model: Any, labels: LabelSet | None) -> str | None:
    """What to say once before a model trains, if anything."""
    return model.warning(list(labels or ())) if hasattr(model, "warning") else None


def write_tables(out: Path, results: Sequence[Evaluation]) -> Path:
    """Write one ``tables.md`` of several models."""
    write_whole(out / "tables.md", tables_md([result.summary for result in results]))
    return out / "tables.md"


def cache_of(manifest: Path) -> Path:
    """Where prepared clips are kept: beside the manifest, where who removes one sees the other."""
    return manifest.with_name(f"{manifest.stem}.prepared")


def _cache(data: str | Path | Sequence[Clip], cache: str | Path | None) -> Path:
    if cache is not None:
        return Path(cache)
    if isinstance(data, str | Path):
        return cache_of(Path(data))
    if all(clip.kind == "flow_map" for clip in data):
        return Path()  # read where they lie
    raise InputError("expected a cache for prepared clips beside a list of clips; pass cache=")


def load(
    clips: Sequence[Clip],
    encoder: Encoder,
    cache: Path,
    workers: Workers | None = None,
    progress: Progress | None = None,
    prepare: PrepareConfig | None = None,
    labels: LabelSet | None = None,
) -> Loaded:
    """Prepare clips where they are not yet, and encode them."""
    with_flow = all(clip.kind in FLOW_KINDS for clip in clips)
    views: set[View] = {encoder.view} | ({"flow"} if with_flow else set())
    with on_workers(workers or Workers()):
        failures = prepare_all(clips, views, cache, config=prepare, progress=progress)
    lost = {failure.clip.key for failure in failures}
    left = [clip for clip in clips if clip.key not in lost]
    left_out = tuple(f"{failure.clip.key}: {failure.reason}" for failure in failures)
    if not left:
        raise InputError(f"expected clips that can be prepared, got none; the first: {left_out[0]}")
    samples = load_samples(left, encoder, cache, prepare, labels=labels)
    _check_contents(samples)
    maps = None
    if with_flow:
        same = encoder.view == "flow" and samples.inputs.shape[1:] == (3, 28, 28)
        flow = (
            samples if same else load_samples(left, AsItIs("flow"), cache, prepare, labels=labels)
        )
        maps = np.asarray(flow.inputs, np.float32)
    return Loaded(samples, maps, left_out)


def _check_contents(samples: Samples) -> None:
    """Refuse one picture under two names: it would be trained on and tested."""
    assert samples.contents is not None
    first: dict[str, str] = {}
    for clip, content in zip(samples.clips.tolist(), samples.contents.tolist(), strict=True):
        other = first.setdefault(content, clip) if content else clip
        if other != clip:
            raise InputError(
                f"expected each clip once, got {other} and {clip} with the same content; "
                "remove one, whatever it is named"
            )


def _apply(
    data: str | Path | Sequence[Clip],
    labels: str | LabelSet | None,
    config: RunConfig,
    out: Path,
    figures: bool,
    options: dict[str, Any],
) -> Evaluation:
    clips, known = read_clips(data, labels)
    options["cache"] = _cache(data, options["cache"])
    if config.init in ("none", "download"):
        raise InputError(
            f"expected --init default or a trained file with protocol apply, got {config.init}; "
            "there is nothing to apply"
        )
    file = config.init if isinstance(config.init, Path) else None
    if file is None:
        entry(config.model)
    model: Any = load_model(file) if file or config.model == "flow-capsnet" else None
    if model is None:
        model = create(config.model)  # says what ships
    if file is not None:  # which says what it is
        config = replace(config, model=printable(model.info.name))
    reader = _ViewOf(model)
    _check_labels(model, clips, file)
    loaded = load(clips, reader, labels=known, **options)
    samples = loaded.samples
    fitted_to = model.about.fitted_to if hasattr(model, "about") else FittedTo()
    doubt = doubt_of(fitted_to, samples, config)
    folder = RunFolder(out, {**record_of(samples, config), "settings": {"view": reader.view}})
    found = _in_order(reader.probabilities(samples.inputs), model, samples.label_set)
    rows = Predictions.of_samples(samples, found, fold=0, seed=config.seed)
    # the controls are trained leave-one-subject-out on the same clips: more than the model had
    controls, note = {}, "no controls: of one subject none can be left out to fit them"
    if len(set(samples.subjects.tolist())) > 1:
        splits = [(f.train, f.test) for f in folds_of(samples, replace(config, protocol="loso"))]
        controls = all_controls(samples, splits, loaded.maps, config.seed)
        note = "the controls are fitted leave-one-subject-out on these clips"
    summary = RunSummary(
        name=_labelled(config.model, doubt),
        predictions=rows,
        protocol=f"apply, {doubt}" if doubt else "apply",
        controls=controls,
        leaky=None,
        notes=(note, *([f"{config.init}: {doubt}"] if doubt else [])),
        init=printable(str(config.init)),
        seed=config.seed,
        synthetic=any(is_synthetic(clip) for clip in clips),
    )
    return _write(folder.path, summary, loaded.left_out, 0, doubt, figures)


def _check_labels(model: Any, clips: Sequence[Clip], file: Path | None) -> None:
    known = tuple(getattr(model, "labels", THREE))
    unknown = sorted({clip.label for clip in clips} - set(known))
    if unknown:
        raise InputError(
            f"expected clips labelled {', '.join(known)}, which {file or 'the model'} knows, got "
            f"{', '.join(unknown)}; choose the file's --labels"
        )


def _in_order(found: NDArray[np.float64], model: Any, labels: LabelSet) -> NDArray[np.float64]:
    """Probabilities in the order of the clips' label set; all else that a file knows is wrong."""
    known = list(getattr(model, "labels", labels))
    if known == list(labels):
        return found
    named = pd.DataFrame(found, columns=known).reindex(columns=list(labels), fill_value=0.0)
    whole = named.to_numpy(np.float64)
    return np.asarray(whole / np.maximum(whole.sum(1, keepdims=True), 1e-12))


def chosen_models(models: Models) -> tuple[Chosen, ...]:
    """Estimators with their names, checked before any work."""
    if isinstance(models, str):
        found = [make_model(models)]
    elif isinstance(models, Mapping):
        found = [
            make_model(name) if model is None else Chosen(name, check_model(name, model))
            for name, model in models.items()
        ]
    elif isinstance(models, Sequence):
        nameless = [model for model in models if not isinstance(model, str)]
        if nameless:
            raise InputError(
                f"expected names in a list of models, got a {type(nameless[0]).__name__}; pass "
                "classifiers by name, as {'mine': model}"
            )
        found = [make_model(name) for name in models]
    else:
        name = type(models).__name__
        found = [Chosen(name, check_model(name, models))]
    names = [one.name for one in found]
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"expected models of different names, got {', '.join(names) or 'none'}; name each once"
        )
    return tuple(found)


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
        """(n, k) of encoded rows."""
        rows = inputs if self.view == "volume" else self._model.probabilities(inputs)
        return np.asarray(rows, np.float64)


def _labelled(name: str, doubt: str, unsteady: str = "") -> str:
    """A model's name in tables, which says what its weights had seen of the clips."""
    overlap = f" (OVERLAP: {doubt})" if doubt and doubt != UNKNOWN else ""
    return name + overlap + (" (NOT REPEATABLE)" if unsteady else "")


def _notes(config: RunConfig, model: Any, loaded: Loaded, result: RunResult) -> tuple[str, ...]:
    notes = []
    taken = {key for _, part in parts_of(model) for key in part.get_params(deep=False)}
    if config.stop is not None and "stop" in taken:
        notes.append("early stopping on subjects held out of the training part")
    if config.epochs is not None and "epochs" in taken:
        notes.append(f"{config.epochs} epochs")
    if config.prepare.apex != "annotated":
        notes.append(f"apex by the rule {config.prepare.apex!r}")
    if config.article:
        notes.append("in the article's way")
    if loaded.left_out:
        notes.append(f"{len(loaded.left_out)} clips could not be prepared and are left out")
    if result.doubt:
        notes.append(f"starting weights {config.init}: {result.doubt}")
    if result.unsteady:
        notes.append(result.unsteady)
    return tuple(notes)


def _write(
    out: Path,
    summary: RunSummary,
    left_out: tuple[str, ...],
    resumed: int,
    doubt: str,
    figures: bool,
) -> Evaluation:
    metrics = metrics_of(summary.predictions)
    metrics["controls"] = {name: metrics_of(rows) for name, rows in summary.controls.items()}
    if PRIOR in summary.controls:  # one draw says little: beside it what draws score on average
        for scope, expected in expected_scores(summary.controls[PRIOR]).items():
            metrics["controls"][PRIOR][scope]["expected"] = expected
    metrics["reliability"] = reliability_of(summary.predictions)
    if doubt:
        metrics["doubt"] = doubt
    summary.predictions.write(out / "predictions.csv")
    if summary.leaky is not None:
        metrics["leaky"] = {
            "not_comparable": "keeps the epoch that is best on the test subject",
            **metrics_of(summary.leaky),
        }
        summary.leaky.write(out / "predictions-leaky.csv")
    write_whole(out / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_whole(out / "tables.md", tables_md([summary]))
    if figures:
        beside = False if summary.synthetic else None
        confusion_figure(summary.predictions, out / "confusion", beside_article=beside)
        reliability_figure(summary.predictions, out / "reliability", title=summary.name)
        coverage_figure(summary.predictions, out / "coverage", title=summary.name)
    return Evaluation(out, summary, metrics, left_out, resumed)
