"""What every model that can be trained looks like from outside: a scikit-learn classifier.

A constructor takes only what decides the outcome; how a fit is run (progress, checkpoints, device)
is a `FitRun`. ``fit`` sees the rows that it is given, so nothing of a held-out subject can leak.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from micromimic.core.errors import InputError, ModelError, RandomWeightsWarning
from micromimic.core.progress import Progress
from micromimic.models.samples import FittedTo, View, softmax

Array = NDArray[np.float64]
Rows = NDArray[np.generic]
Init = Literal["default", "none", "download"] | Path
"""Where weights start: the model's own default, random, fetched by torchvision, or a file."""


def init_of(init: str | Path) -> Init:
    """Where weights start: one of the three words, or else a file."""
    if init in ("default", "none", "download"):
        return cast("Init", init)
    return Path(init)


@dataclass(frozen=True)
class EarlyStopping:
    """Stop by subjects held out of the *training* part; the test subject is never seen.

    Parameters
    ----------
    share : float
        of the training subjects to hold out.
    patience : int
        epochs without a better UF1 on them before training ends.

    Examples
    --------
    >>> EarlyStopping(patience=3)
    EarlyStopping(share=0.2, patience=3)
    """

    share: float = 0.2
    patience: int = 5


@dataclass(frozen=True)
class FitRun:
    """How one fit is run, never what comes out of it; what a model has no use for, it ignores.

    Parameters
    ----------
    checkpoint : Path | None
        a file to write now and then and to resume from; None keeps none.
    each_epoch : Callable[[int, Any], None] | None
        called after each epoch with its number (from 0) and the model as it is.
    progress : Progress | None
        told how far it is.
    log_dir : Path | None
        folder for TensorBoard; None logs nothing.
    device : str | None
        ``cpu``, ``cuda``...; None takes what is there.
    threads : int | None
        of the CPU; None takes what there are. Folds take 1: then their figures do not depend on how
        many run side by side.

    Examples
    --------
    >>> FitRun(device="cpu").threads is None
    True
    """

    checkpoint: Path | None = None
    each_epoch: Callable[[int, Any], None] | None = None
    progress: Progress | None = None
    log_dir: Path | None = None
    device: str | None = None
    threads: int | None = None


def other_head(known: Iterable[str], labels: Iterable[str]) -> str:
    return (
        f"expected labels that the starting weights know ({', '.join(known)}), got "
        f"{', '.join(labels)}: THE LAST LAYER STARTS AT RANDOM, the others as they are"
    )


class ClipClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the models: a scikit-learn classifier of encoded clips.

    A subclass gives ``_fit`` (or ``fit``, which begins with `begin`) and ``scores``. Rows are what
    ``encode`` makes of clips; y are labels, groups the subjects (None: nobody can be told from
    another, so nobody is held out inside the fit).

    Attributes
    ----------
    view : View
        what of a clip it looks at.
    encoder : str | None
        name in `features.DESCRIPTORS` of what ``encode`` does; None where it does nothing.
    temperature : float
        ``softmax(scores / temperature)`` gives probabilities; a constant of the model's kind, not
        fitted to the data.
    classes_ : NDArray[np.str_]
        the labels of the training rows, in order.
    """

    view: View = "flow"
    encoder: str | None = None
    temperature: float = 1.0
    classes_: NDArray[np.str_]

    def encode(self, clip: NDArray[np.generic]) -> NDArray[np.generic]:
        """One clip's view as one row; the map itself, (3, 28, 28), if nothing else is said."""
        return np.asarray(clip, np.float32)

    def warning(self, labels: Sequence[str]) -> str | None:
        """What to say once before training on such labels, if anything."""
        return None

    def as_article(self) -> Self:
        """Itself, set to the article's way where it has other settings (docs/article.md)."""
        return self

    def starts_from(self) -> tuple[Path, ...]:
        """The files that its weights start from."""
        return ()

    def started_from(self) -> FittedTo | None:
        """What its starting weights were fitted to; None where that is not known."""
        from micromimic.models.onnx import load_model  # noqa: PLC0415 - slow to import; few need it

        files = self.starts_from()
        return load_model(files[0]).about.fitted_to if files else FittedTo()

    def fit(
        self, X: Rows, y: ArrayLike, groups: ArrayLike | None = None, *, run: FitRun | None = None
    ) -> Self:
        """Train.

        Parameters
        ----------
        X : Rows
            (n, ...) encoded clips.
        y : ArrayLike
            (n,) labels.
        groups : ArrayLike | None
            (n,) whose each clip is; None holds nobody out inside the fit.
        run : FitRun | None
            how it is run.

        Raises
        ------
        InputError
            if there are fewer than two classes.
        ModelError
            if starting weights do not fit.
        MissingExtraError
            without the ``train`` extra where it is needed.
        """
        targets, people = self.begin(X, y, groups)
        self._fit(np.asarray(X), targets, people, run or FitRun())
        return self

    def _fit(
        self, X: Rows, targets: NDArray[np.int64], people: NDArray[np.str_], run: FitRun
    ) -> None:
        """Train on (n, ...) rows, (n,) places among ``classes_`` and (n,) names of people."""
        raise NotImplementedError

    def scores(self, X: Rows) -> Array:
        """(n, k) of (n, ...) rows, order ``classes_``; higher speaks for the class."""
        raise NotImplementedError

    def decision_function(self, X: Rows) -> Array:
        """The scores; of two classes (n,), the second less the first, as scikit-learn has it."""
        found = self.scores(X)
        return found[:, 1] - found[:, 0] if found.shape[1] == 2 else found

    def predict_proba(self, X: Rows) -> Array:
        """(n, k) probabilities, order ``classes_``."""
        return softmax(self.scores(X), self.temperature)

    def predict(self, X: Rows) -> NDArray[np.str_]:
        """(n,) labels."""
        return np.asarray(self.classes_[self.scores(X).argmax(1)])

    def to_onnx(self, metadata: Mapping[str, object]) -> bytes:
        """An ONNX file that `models.onnx.load_model` opens; metadata is stored inside."""
        raise ModelError(
            f"expected a model that can be written as ONNX, got {type(self).__name__}; train "
            "another, or keep this one with joblib"
        )

    def begin(
        self, X: Rows, y: ArrayLike, groups: ArrayLike | None
    ) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
        """Take the classes; (n,) places among them, and (n,) groups.

        Raises
        ------
        InputError
            if there are fewer than two classes.
        ValueError
            if lengths differ.
        """
        labels = np.asarray(y)
        people = np.zeros(len(labels), "U1") if groups is None else np.asarray(groups, np.str_)
        if not len(X) == len(labels) == len(people):
            raise ValueError(
                f"expected a label and a group a row, got {len(X)}, {len(labels)}, {len(people)}"
            )
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            got = f"only {self.classes_[0]}" if len(self.classes_) else "no clips"
            raise InputError(
                f"expected clips of two classes or more to train on, got {got}; add clips of others"
            )
        if text := self.warning(self.classes_.tolist()):
            warnings.warn(text, RandomWeightsWarning, stacklevel=3)
        return targets.astype(np.int64), people
