"""A protocol from samples to predictions: every clip is tested once, by a model that never saw its
subject (or, for ``hde``, its database)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

import micromimic
from micromimic.errors import InputError
from micromimic.evaluation.epochs import best_epoch
from micromimic.evaluation.folder import RunFolder, digest_of_file
from micromimic.evaluation.folds import Fold, FoldResult, run_fold
from micromimic.evaluation.predictions import Prediction, predictions_of
from micromimic.evaluation.shuffling import ShuffledLearner, shuffled_order
from micromimic.evaluation.splits import check_learnable, grouped, hde, loso
from micromimic.labels import EMOTIONS
from micromimic.models.learner import EarlyStopping, FitOptions, Init, Report, Samples
from micromimic.models.registry import entry
from micromimic.preparation.clip import PrepareConfig
from micromimic.workers import Workers, on_workers, run_tasks

Protocol = Literal["loso", "hde", "apply"]


@dataclass(frozen=True)
class RunConfig:
    """What decides a run's outcome beside the data.

    Args:
        model: a registered name.
        protocol: ``loso`` leaves one subject out, ``hde`` one database, ``apply`` tests a trained
            model without training.
        init: where weights start; for ``apply`` the trained file, or "default" for what ships.
        seed: of everything drawn.
        epochs: None takes the model's own number.
        stop: early stopping on subjects of the training part; None trains all epochs.
        groups: leave this many groups of subjects out instead of single ones (``loso`` only).
        leaky: keep scores of each epoch, for the report of what selection would claim.
        shuffle: train on labels shuffled within each training part, the shuffle of this number from
            1; what is tested keeps its true class. None trains on the true labels.
        device: of networks; None takes what is there.
        prepare: how clips are prepared.

    Raises:
        InputError: if the protocol is unknown or options contradict each other.
    """

    model: str = "flow-capsnet"
    protocol: Protocol = "loso"
    init: Init = "default"
    seed: int = 0
    epochs: int | None = None
    stop: EarlyStopping | None = None
    groups: int | None = None
    leaky: bool = False
    shuffle: int | None = None
    device: str | None = None
    prepare: PrepareConfig = field(default_factory=PrepareConfig)

    def __post_init__(self) -> None:
        if self.protocol not in get_args(Protocol):
            raise InputError(
                f"expected protocol loso, hde or apply, got {self.protocol!r}; pass one of them"
            )
        if self.groups is not None and self.protocol != "loso":
            raise InputError(
                f"expected groups of subjects with protocol loso, got {self.protocol}; "
                "leave --groups out"
            )
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
    """What a run says.

    Args:
        predictions: one a clip, in the order of the samples.
        leaky: the same, had each fold kept the epoch that is best on its test part; None where not
            asked for, or the model has no epochs.
        folds: of the run.
        results: what came of each, in their order.
        seconds: that the folds took, each on its own.
        resumed: folds that an earlier call had ended.
    """

    predictions: tuple[Prediction, ...]
    leaky: tuple[Prediction, ...] | None
    folds: tuple[Fold, ...]
    results: tuple[FoldResult, ...]
    seconds: float
    resumed: int


def folds_of(samples: Samples, config: RunConfig) -> tuple[Fold, ...]:
    """The folds of a protocol.

    Raises:
        InputError: if there is one subject, one class, or (for ``hde``) one database only; or a
            fold would train on a single class.
    """
    check_learnable(samples.subjects, samples.labels)
    if config.protocol == "hde":
        splits = hde(samples.datasets)
    elif config.groups is not None:
        splits = grouped(samples.subjects, config.groups, config.seed)
    else:
        splits = loso(samples.subjects)
    folds = tuple(Fold(k, train, test) for k, (train, test) in enumerate(splits))
    for fold in folds:
        classes = np.unique(samples.targets[fold.train])
        if len(classes) < 2:
            tested = ", ".join(sorted(set(samples.subjects[fold.test].tolist()))[:3])
            raise InputError(
                f"expected two classes to train on in every fold, got only "
                f"{EMOTIONS[classes[0]]} where {tested} is tested; add clips of other subjects"
            )
    return folds


def run_protocol(
    samples: Samples,
    config: RunConfig,
    out: Path,
    *,
    workers: Workers | None = None,
    report: Report | None = None,
    log_dir: Path | None = None,
) -> RunResult:
    """Run all folds that are not in ``out`` yet, and put the predictions together.

    Args:
        samples: encoded for ``config.model``.
        config: what to run; protocol ``loso`` or ``hde``.
        out: the run's folder.
        workers: where folds run; None is this process.
        report: told ("folds", done, total).
        log_dir: TensorBoard's folder.

    Raises:
        InputError: nothing to learn or nobody to test; ``out`` holds another run.
        WorkerLostError: a worker was killed; ended folds are kept.
    """
    workers = workers or Workers()
    learner = entry(config.model).learner()
    if config.shuffle is not None:
        order = shuffled_order(samples.clips, config.seed, config.shuffle)
        learner = ShuffledLearner(learner, order)
    folds = folds_of(samples, config)
    folder = RunFolder(out, record_of(samples, config))
    done = {f.number: r for f in folds if (r := folder.load(f, samples)) is not None}
    resumed = len(done)
    if report:
        report("folds", resumed, len(folds))

    def options(fold: Fold) -> FitOptions:
        return FitOptions(
            seed=config.seed,
            init=config.init,
            epochs=config.epochs,
            stop=config.stop,
            # a resumed fold would have lost the scores of its first epochs
            checkpoint=None if config.leaky else folder.checkpoint(fold).absolute(),
            log_dir=log_dir and log_dir / f"fold-{fold.number:03d}",
            device=config.device,
        )

    left = [fold for fold in folds if fold.number not in done]
    tasks = (
        delayed(run_fold)(learner, samples, fold, options(fold), config.leaky) for fold in left
    )
    try:
        with on_workers(workers):
            for result in run_tasks(tasks) if left else ():
                folder.save(result, folds[result.number], samples)
                done[result.number] = result
                if report:
                    report("folds", len(done), len(folds))
    except BaseException:
        folder.abandon_if_empty()
        raise
    seconds = sum(result.seconds for result in done.values())
    return RunResult(
        _together(samples, folds, {n: r.probabilities for n, r in done.items()}, config.seed),
        _leaky(samples, folds, done, config.seed) if config.leaky else None,
        folds,
        tuple(done[fold.number] for fold in folds),
        seconds,
        resumed,
    )


def record_of(samples: Samples, config: RunConfig) -> dict[str, object]:
    """Everything that decides a run's outcome, for ``run.json``."""
    learner = entry(config.model).learner()
    init = config.init
    decides = asdict(config)
    return {
        **decides.pop("prepare"),
        **decides,
        "init": f"{init.name} {digest_of_file(init)}" if isinstance(init, Path) else init,
        "settings": dict(learner.settings),
        # the same --init starts from random weights where ImageNet's are not to be had
        "fallback_start": learner.warning(init) is not None,
        "data": samples.digest(),
        "clips": len(samples),
        "subjects": len(set(samples.subjects.tolist())),
        "version": micromimic.__version__,
    }


def _together(
    samples: Samples,
    folds: tuple[Fold, ...],
    probabilities: dict[int, NDArray[np.float64]],
    seed: int,
) -> tuple[Prediction, ...]:
    rows: dict[int, Prediction] = {}
    for fold in folds:
        part = predictions_of(
            samples.take(fold.test), probabilities[fold.number], fold=fold.number, seed=seed
        )
        rows |= dict(zip(fold.test.tolist(), part, strict=True))
    return tuple(rows[row] for row in sorted(rows))


def _leaky(
    samples: Samples, folds: tuple[Fold, ...], done: dict[int, FoldResult], seed: int
) -> tuple[Prediction, ...] | None:
    """What the published code does: each fold keeps the epoch that is best on its test part."""
    best: dict[int, NDArray[np.float64]] = {}
    for fold in folds:
        epochs = done[fold.number].epochs
        if epochs is None:
            return None
        best[fold.number] = epochs[best_epoch(epochs.argmax(2) == samples.targets[fold.test])]
    return _together(samples, folds, best, seed)
