"""What every trainable model looks like from outside: one interface, whatever is inside.

A `Learner` turns labelled samples into a `Fitted` model. It sees the samples of the training part
only, so nothing that it does can leak from the held-out subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import InputError
from micromimic.labels import EMOTIONS

View = Literal["flow", "faces", "volume"]
"""What of a clip a model looks at.

``flow``: (3, 28, 28) float32, raw u, v, strain from onset to apex.
``faces``: (k, 224, 224, 3) uint8 RGB, face crops: the apex first, then its neighbours (k = 1 where
only one picture exists, else 5).
``volume``: (T, 170, 140) uint8 grey, the face from onset to offset, registered to the onset.
"""

Init = Literal["default", "none", "download"] | Path
"""Where weights start: the model's own default, random, fetched by torchvision, or a file."""

Report = Callable[[str, int, int], None]
"""Told (stage, done, total)."""


@dataclass(frozen=True)
class Samples:
    """Labelled, encoded clips, row by row.

    Args:
        inputs: (n, ...) what the learner's ``encode`` made of each clip.
        targets: (n,) int64 class numbers, order ``labels.EMOTIONS``.
        datasets: (n,) database names.
        subjects: (n,) qualified by database, as ``samm/006``.
        clips: (n,) qualified, as ``samm/006/006_1_2``.
    """

    inputs: NDArray[np.generic]
    targets: NDArray[np.int64]
    datasets: NDArray[np.str_]
    subjects: NDArray[np.str_]
    clips: NDArray[np.str_]

    def __post_init__(self) -> None:
        lengths = {len(self.inputs), len(self.targets), len(self.datasets)}
        lengths |= {len(self.subjects), len(self.clips)}
        if len(lengths) != 1:
            raise ValueError(f"expected columns of one length, got {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.targets)

    def take(self, rows: NDArray[np.integer]) -> Samples:
        """The rows of these numbers, in their order."""
        return Samples(
            self.inputs[rows],
            self.targets[rows],
            self.datasets[rows],
            self.subjects[rows],
            self.clips[rows],
        )

    def digest(self) -> str:
        """A fingerprint of names, classes and inputs: a run or a checkpoint knows its data by it.

        >>> Samples(np.zeros((1, 2)), np.zeros(1, np.int64), np.array(["smic"]),
        ...         np.array(["smic/s01"]), np.array(["smic/s01/s01_ne_01"])).digest()
        '...'
        """
        sums = blake2b(digest_size=16)
        sums.update("\n".join(map(str, self.clips)).encode())
        sums.update(f"{self.inputs.dtype}{self.inputs.shape}".encode())
        sums.update(np.ascontiguousarray(self.targets).tobytes())
        for row in self.inputs:  # one by one: face crops are large, and may lie in several places
            sums.update(np.ascontiguousarray(row).tobytes())
        return sums.hexdigest()

    @property
    def labels(self) -> NDArray[np.str_]:
        """(n,) class names."""
        return np.asarray(EMOTIONS)[self.targets]


class Fitted(Protocol):
    """A trained model."""

    def scores(self, inputs: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) of (n, ...) encoded inputs; higher speaks for the class; not calibrated."""
        ...

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """An ONNX file that `models.onnx.load_model` opens; metadata is stored inside."""
        ...


@dataclass(frozen=True)
class EarlyStopping:
    """Stop by subjects held out of the *training* part; the test subject is never seen.

    Args:
        share: of the training subjects to hold out.
        patience: epochs without a better UF1 on them before training ends.
    """

    share: float = 0.2
    patience: int = 5


@dataclass(frozen=True)
class FitOptions:
    """How one fit is run; what a learner has no use for, it ignores.

    Args:
        seed: decides initial weights, order and augmentation.
        init: where weights start.
        epochs: passes over the data; None is the learner's own number.
        stop: early stopping; None trains all epochs and keeps the last.
        checkpoint: a file to write now and then and to resume from; None keeps none.
        each_epoch: called after each epoch with its number (from 0) and the model as it is. A side
            channel for reports: it never changes the outcome.
        report: progress.
        log_dir: folder for TensorBoard; None logs nothing.
        device: ``cpu``, ``cuda``...; None takes what is there.
        threads: of the CPU; None takes what there are. Folds take 1: then their figures do not
            depend on how many run side by side.
    """

    seed: int = 0
    init: Init = "default"
    epochs: int | None = None
    stop: EarlyStopping | None = None
    checkpoint: Path | None = None
    each_epoch: Callable[[int, Fitted], None] | None = None
    report: Report | None = None
    log_dir: Path | None = None
    device: str | None = None
    threads: int | None = None


class Encoder(Protocol):
    """What a model makes of one clip before it looks at any label.

    Attributes:
        view: what of a clip it looks at.
    """

    view: View

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """One clip's view as one row of `Samples.inputs`: no labels, no other clips."""
        ...


class Learner(Encoder, Protocol):
    """A model that can be trained.

    Attributes:
        temperature: ``softmax(scores / temperature)`` gives probabilities; a constant of the
            model's kind, not fitted to the data.
        settings: what decides its outcome beside data and options, for the record of a run.
        encoder: name in `features.DESCRIPTORS` of what ``encode`` does; None where it does nothing.
    """

    temperature: float
    settings: Mapping[str, object]
    encoder: str | None

    def warning(self, init: Init) -> str | None:
        """What to say once before training with ``init``, if anything."""
        ...

    def fit(self, samples: Samples, options: FitOptions) -> Fitted:
        """Train.

        Raises:
            ModelError: if ``options.init`` is a file that does not fit.
            MissingExtraError: without the ``train`` extra where it is needed.
        """
        ...


@dataclass(frozen=True)
class ModelEntry:
    """A registered name.

    Args:
        name: as users say it.
        about: one line.
        learner: makes the learner; imports what it needs when called.
        view: what of a clip it looks at.
    """

    name: str
    about: str
    view: View
    learner: Callable[[], Learner] = field(repr=False)


def expect_classes(samples: Samples) -> None:
    """Check that there is something to learn.

    Raises:
        InputError: if all samples are of one class.
    """
    if len(np.unique(samples.targets)) < 2:
        raise InputError(
            "expected two classes or more to train on, got one; add clips of another class"
        )


def softmax(scores: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """(n, 3) probabilities of (n, 3) scores.

    >>> softmax(np.array([[1.0, 1.0, 1.0]])).round(3)
    array([[0.333, 0.333, 0.333]])
    """
    scaled = np.asarray(scores, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True))
