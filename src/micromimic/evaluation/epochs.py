"""What runs said of every clip after each epoch: the rows that an audit is made from.

Nothing here trains: they come from `evaluation.run`, or from a table that any training code can
write (`evaluation.epochs_file`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from micromimic.evaluation.folds import Fold, FoldResult
from micromimic.evaluation.predictions import ClipKey
from micromimic.labels import EMOTIONS
from micromimic.models.learner import Samples


@dataclass(frozen=True, eq=False)
class EpochRun:
    """One training run, seen after each epoch.

    Args:
        seed: of the run.
        shuffle: number of the shuffle of its training labels; 0 where they were the true ones.
        clips: n clips, sorted by (dataset, subject, clip).
        folds: (n,) which fold tested each.
        truth: (n,) true class numbers, order ``labels.EMOTIONS``.
        epochs: numbers of the epochs, ascending.
        guesses: (epochs, n) predicted class numbers. A fold that ended earlier than others keeps
            its last answer.
        ended: (n,) how many epochs each clip's fold really had.
        probabilities: (epochs, n, 3), where they are known.

    Raises:
        ValueError: if shapes do not fit, or clips are not sorted.
    """

    seed: int
    shuffle: int
    clips: tuple[ClipKey, ...]
    folds: NDArray[np.int64]
    truth: NDArray[np.int64]
    epochs: tuple[int, ...]
    guesses: NDArray[np.int64]
    ended: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        count = len(self.clips)
        columns = {self.folds.shape, self.truth.shape, self.ended.shape}
        if columns != {(count,)} or self.guesses.shape != (len(self.epochs), count):
            raise ValueError(
                f"expected columns of {count} clips and guesses of {len(self.epochs)} epochs, got "
                f"{sorted(columns)} and {self.guesses.shape}"
            )
        if any(a >= b for a, b in zip(self.clips, self.clips[1:], strict=False)):
            raise ValueError("expected clips sorted and each once")

    @property
    def subjects(self) -> tuple[str, ...]:
        """(n,) whose each clip is, qualified: ``samm/006``."""
        return tuple(f"{dataset}/{subject}" for dataset, subject, _ in self.clips)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(epochs, n) where the predicted class is the true one."""
        return np.asarray(self.guesses == self.truth, np.bool_)


def epochs_of_run(
    samples: Samples,
    folds: Sequence[Fold],
    results: Sequence[FoldResult],
    *,
    seed: int,
    shuffle: int = 0,
) -> EpochRun | None:
    """The epochs of a run of `evaluation.run.run_protocol`, counted from 1.

    Args:
        samples: all clips, with their true classes.
        folds, results: of the run, in one order.
        seed, shuffle: to write down.

    Returns:
        None where the model has no epochs, or they were not kept.
    """
    parts = [result.epochs for result in results if result.epochs is not None]
    if len(parts) < len(results):
        return None
    longest = max(len(part) for part in parts)
    chances = np.zeros((longest, len(samples), len(EMOTIONS)))
    number = np.zeros(len(samples), np.int64)
    ended = np.zeros(len(samples), np.int64)
    for fold, part in zip(folds, parts, strict=True):
        last = np.repeat(part[-1:], longest - len(part), axis=0)
        chances[:, fold.test] = np.concatenate([part, last])
        number[fold.test] = fold.number
        ended[fold.test] = len(part)
    keys = [_key(samples, row) for row in range(len(samples))]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    chances = chances[:, order]
    return EpochRun(
        seed=seed,
        shuffle=shuffle,
        clips=tuple(keys[row] for row in order),
        folds=number[order],
        truth=samples.targets[order],
        epochs=tuple(range(1, longest + 1)),
        guesses=np.asarray(chances.argmax(2), np.int64),
        ended=ended[order],
        probabilities=chances,
    )


def best_epoch(right: NDArray[np.bool_]) -> int:
    """The epoch that the published code of the method keeps: most clips of the *test* part right.

    Args:
        right: (epochs, n) where the predicted class is the true one.

    Returns:
        Its place, the first of equals.

    >>> best_epoch(np.array([[True, False], [True, True], [True, True]]))
    1
    """
    return int(right.sum(1).argmax())


def _key(samples: Samples, row: int) -> ClipKey:
    dataset, who = str(samples.datasets[row]), str(samples.subjects[row])
    clip = str(samples.clips[row]).removeprefix(f"{who}/")
    return dataset, who.removeprefix(f"{dataset}/"), clip
