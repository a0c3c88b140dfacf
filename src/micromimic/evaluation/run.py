"""A protocol from samples to predictions: every clip is tested once, by a model that never saw its
subject (or, for ``hde``, its database)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, get_args

import cloudpickle
import numpy as np
from joblib import delayed
from numpy.typing import NDArray

import micromimic
from micromimic.core.errors import InputError
from micromimic.core.progress import Progress
from micromimic.core.splits import check_learnable, grouped, hde, loso
from micromimic.core.workers import Workers, on_workers, run_tasks
from micromimic.evaluation.identity import identity_of, splits_text
from micromimic.evaluation.one_fold import (
    Fold,
    FoldResult,
    RunFolder,
    best_epoch,
    digest_of_file,
    run_fold,
    shuffled_order,
    shuffled_within,
)
from micromimic.evaluation.predictions import Predictions
from micromimic.models.base import EarlyStopping, FitRun, init_of
from micromimic.models.fitting import configure, parts_of
from micromimic.models.registry import make_model
from micromimic.models.samples import UNKNOWN, FittedTo, Samples
from micromimic.preparation.clip import PrepareConfig

Protocol = Literal["loso", "hde", "cv", "apply"]


@dataclass(frozen=True)
class RunConfig:
    """What decides a run's outcome beside the data."""

    # a name, as `models.registry.make_model` takes it; a model given beside it bears it
    model: str = "flow-capsnet"
    # ``loso`` leaves one subject out, ``hde`` one database, ``cv`` splits as a scikit-learn
    # splitter does, ``apply`` tests a trained model without training
    protocol: Protocol = "loso"
    # where weights start; for ``apply`` the trained file, or "default" for what ships
    init: str | Path = "default"
    seed: int = 0  # of everything drawn
    epochs: int | None = None  # None takes the model's own number
    # early stopping on subjects of the training part; None trains all epochs
    stop: EarlyStopping | None = None
    # leave this many groups of subjects out instead of single ones (``loso`` only)
    groups: int | None = None
    leaky: bool = False  # keep scores of each epoch, for the report of what selection would claim
    # train on labels shuffled within each training part, the shuffle of this number from 1; what is
    # tested keeps its true class. None trains on the true labels
    shuffle: int | None = None
    device: str | None = None  # of networks; None takes what is there
    prepare: PrepareConfig = field(default_factory=PrepareConfig)  # how clips are prepared
    # set the model to the article's way (`models.base.ClipClassifier.as_article`)
    article: bool = False
    code: str = ""  # digest of the plug-in file that the model comes from
    allow_overlap: bool = False  # go on where ``init`` was fitted to some of the clips or subjects

    def __post_init__(self) -> None:
        object.__setattr__(self, "init", init_of(self.init))
        if self.protocol not in get_args(Protocol):
            raise InputError(
                f"expected protocol loso, hde or apply, got {self.protocol!r}; pass one of them"
            )
        if self.groups is not None and self.protocol != "loso":
            raise InputError(
                f"expected groups of subjects with protocol loso, got {self.protocol}; "
                "leave --groups out"
            )
        if self.groups is not None and self.groups < 2:
            raise InputError(f"expected two groups of subjects or more, got {self.groups}")
        if self.protocol == "apply" and (self.leaky or self.stop or self.epochs or self.shuffle):
            raise InputError(
                "expected no training options with protocol apply, which trains nothing; "
                "leave --epochs, --early-stopping and --report-leaky out"
            )
        if self.seed < 0 or (self.epochs is not None and self.epochs < 1):
            raise InputError(
                f"expected a seed from 0 and epochs from 1, got {self.seed}, {self.epochs}"
            )
        if self.shuffle is not None and self.shuffle < 1:
            raise InputError(f"expected shuffles numbered from 1, got {self.shuffle}")


@dataclass(frozen=True)
class RunResult:
    """What a run says."""

    predictions: Predictions  # one a clip, in the order of the samples
    # the same, had each fold kept the epoch that is best on its test part; None where not asked
    # for, or the model has no epochs
    leaky: Predictions | None
    folds: tuple[Fold, ...]  # folds, results: what was trained and tested, and what came of each
    results: tuple[FoldResult, ...]
    resumed: int  # folds that an earlier call had ended
    # what its starting weights were fitted to of these clips, or that it is not known; empty where
    # all is well. A label for every table
    doubt: str = ""
    # that a model which is not ours says something else of the first fold once it has seen the
    # others; empty where it does not. A label, too
    unsteady: str = ""


def model_of(config: RunConfig, model: Any = None) -> Any:
    """The model that a run trains: the given one, or that of the name, with the run's options."""
    if model is None:
        model = make_model(config.model).model
    made = configure(model, config.model, init=config.init, epochs=config.epochs, stop=config.stop)
    return made.as_article() if config.article and hasattr(made, "as_article") else made


def folds_of(samples: Samples, config: RunConfig, cv: Any = None) -> tuple[Fold, ...]:
    """The folds of a protocol."""
    check_learnable(samples.subjects, samples.labels)
    if config.protocol == "cv" and cv is None:
        raise InputError("expected a splitter with protocol cv, got none; pass cv=GroupKFold(5)")
    if cv is not None:
        try:
            found = list(cv.split(samples.inputs, samples.labels, samples.subjects))
        except ValueError as error:
            text = " ".join(str(error).split())
            raise InputError(
                f"expected folds by {cv}, got: {text}; pass another splitter"
            ) from None
        splits = [(_places(train), _places(test)) for train, test in found]
        _check_splits(samples, splits, cv)
    elif config.protocol == "hde":
        splits = list(hde(samples.datasets))
    elif config.groups is not None:
        splits = list(grouped(samples.subjects, config.groups, config.seed))
    else:
        splits = list(loso(samples.subjects))
    folds = tuple(Fold(k, train, test) for k, (train, test) in enumerate(splits))
    for fold in folds:
        classes = np.unique(samples.labels[fold.train])
        if len(classes) < 2:
            tested = ", ".join(sorted(set(samples.subjects[fold.test].tolist()))[:3])
            raise InputError(
                f"expected two classes to train on in every fold, got only "
                f"{classes[0]} where {tested} is tested; add clips of other subjects"
            )
    return folds


def _places(rows: Any) -> NDArray[np.int64]:
    """Row numbers in order, of such or of a mask."""
    found = np.asarray(rows)
    return np.flatnonzero(found) if found.dtype == bool else np.sort(found)


def _check_splits(
    samples: Samples, splits: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], cv: Any
) -> None:
    times = np.zeros(len(samples), np.int64)
    for train, test in splits:
        both = sorted(set(samples.subjects[train]) & set(samples.subjects[test]))
        if both:
            raise InputError(
                f"expected folds that keep subjects together, got {both[0]} trained on and tested "
                f"by {cv}; use LeaveOneGroupOut, GroupKFold or StratifiedGroupKFold"
            )
        times[test] += 1
    if (times != 1).any():
        row = int((times != 1).argmax())
        raise InputError(
            f"expected folds that test every clip once, got {samples.clips[row]} {times[row]} "
            f"times by {cv}; use LeaveOneGroupOut, GroupKFold or StratifiedGroupKFold"
        )


def run_protocol(
    samples: Samples,
    config: RunConfig,
    out: Path,
    *,
    model: Any = None,
    cv: Any = None,
    workers: Workers | None = None,
    progress: Progress | None = None,
    log_dir: Path | None = None,
) -> RunResult:
    """Run all folds that are not in ``out`` yet, and put the predictions together."""
    model, config = _model_and_config(model, config)
    doubt = _doubts(model, samples, config)
    order = config.shuffle and shuffled_order(samples.clips, config.seed, config.shuffle)
    folds = folds_of(samples, config, cv)
    folder = RunFolder(out, record_of(samples, config, model, folds if cv else ()))
    done = {f.number: r for f in folds if (r := folder.load(f, samples)) is not None}
    resumed = len(done)
    if progress:
        progress(resumed, len(folds), "folds")
    packed = cloudpickle.dumps(model)  # with the code of a plug-in file or a notebook

    def task(fold: Fold, *, keep: bool = True) -> Any:
        run = FitRun(
            # a resumed fold would have lost the scores of its first epochs
            checkpoint=folder.checkpoint(fold).absolute() if keep and not config.leaky else None,
            log_dir=log_dir / f"fold-{fold.number:03d}" if log_dir and keep else None,
            device=config.device,
        )
        labels = order and shuffled_within(samples.take(fold.train), order).labels
        given = (config.model, packed, samples, fold, config.seed, run)
        return delayed(run_fold)(*given, each_epoch=config.leaky, labels=labels)

    left = [fold for fold in folds if fold.number not in done]
    try:
        with on_workers(workers or Workers()):
            for result in run_tasks(map(task, left)) if left else ():
                folder.save(result, folds[result.number], samples)
                done[result.number] = result
                if progress:
                    progress(len(done), len(folds), "folds")
            again = replace(folds[0], number=len(folds))  # kept beside the folds
            if not _ours(model) and folder.load(again, samples) is None:
                for result in run_tasks([task(folds[0], keep=False)]):
                    folder.save(result, again, samples)
    except BaseException:
        folder.abandon_if_empty()
        raise
    return RunResult(
        _together(samples, folds, {n: r.probabilities for n, r in done.items()}, config.seed),
        _leaky(samples, folds, done, config.seed) if config.leaky else None,
        folds,
        tuple(done[fold.number] for fold in folds),
        resumed,
        doubt,
        _steadiness(done[0], folder.load(again, samples)),
    )


def _model_and_config(model: Any, config: RunConfig) -> tuple[Any, RunConfig]:
    """The model with the run's options, and what its plug-in file holds."""
    if model is None:
        named = make_model(config.model)
        model, config = named.model, replace(config, code=named.code)
    return model_of(config, model), config


def _doubts(model: Any, samples: Samples, config: RunConfig) -> str:
    starts = [part.started_from() for _, part in parts_of(model)]
    return ", ".join(sorted({doubt_of(start, samples, config) for start in starts} - {""}))


UNSTEADY: Final = (
    "The first fold, run again at the end, came out otherwise for {} of {} clips: the model draws "
    "at random beyond random_state, or it remembers from fold to fold what it was trained on."
)


def _ours(model: Any) -> bool:
    """A model, and all that it was given, that is known to begin each fold anew."""
    given = (v for v in model.get_params(deep=True).values() if callable(v) or hasattr(v, "fit"))
    homes = [type(model).__module__, *(str(getattr(v, "__module__", "")) for v in given)]
    return all(home.startswith("micromimic.") for home in homes)


def _steadiness(first: FoldResult, again: FoldResult | None) -> str:
    """Whether the model says the same of the first fold once it has seen the others."""
    if again is None:
        return ""
    apart = np.abs(first.probabilities - again.probabilities).max(1) > 1e-3
    return UNSTEADY.format(np.count_nonzero(apart), len(apart)) if apart.any() else ""


def doubt_of(fitted_to: FittedTo | None, samples: Samples, config: RunConfig) -> str:
    """What weights were fitted to of the clips tested, in words; empty if nothing.

    ``fitted_to`` is None where their file does not say.
    """
    if fitted_to is None:
        return UNKNOWN
    overlap = fitted_to.overlap(FittedTo.of(samples)) or ""
    if overlap and not config.allow_overlap:
        raise InputError(
            f"expected weights that never saw the clips and people tested, got {config.init}, "
            f"{overlap}; test on others, or pass --allow-overlap to have it in every table"
        )
    return overlap


def record_of(
    samples: Samples, config: RunConfig, model: Any = None, folds: Sequence[Fold] = ()
) -> dict[str, object]:
    """Everything that decides a run's outcome, for ``run.json``; ``model`` is None where none
    trains.
    """
    decides = asdict(config)
    init = config.init
    return {
        **decides.pop("prepare"),
        **decides,
        "init": f"{init.name} {digest_of_file(init)}" if isinstance(init, Path) else init,
        **({} if model is None else identity_of(model)),
        **({"folds": splits_text(folds)} if folds else {}),
        "data": samples.digest(),
        "labels": str(samples.label_set),
        "clips": len(samples),
        "subjects": len(set(samples.subjects.tolist())),
        "version": micromimic.__version__,
    }


def _together(
    samples: Samples,
    folds: tuple[Fold, ...],
    probabilities: dict[int, NDArray[np.float64]],
    seed: int,
) -> Predictions:
    found = np.zeros((len(samples), len(samples.label_set)))
    numbers = np.zeros(len(samples), np.int64)
    for fold in folds:
        found[fold.test] = probabilities[fold.number]
        numbers[fold.test] = fold.number
    return Predictions.of_samples(samples, found, fold=numbers, seed=seed)


def _leaky(
    samples: Samples, folds: tuple[Fold, ...], done: dict[int, FoldResult], seed: int
) -> Predictions | None:
    """What the published code does: each fold keeps the epoch that is best on its test part."""
    best: dict[int, NDArray[np.float64]] = {}
    for fold in folds:
        epochs = done[fold.number].epochs
        if epochs is None:
            return None
        best[fold.number] = epochs[best_epoch(epochs.argmax(2) == samples.targets[fold.test])]
    return _together(samples, folds, best, seed)
