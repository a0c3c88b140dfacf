"""Views of a clip as scikit-learn transformers: a pipeline that starts with one looks at it.

Each is stateless: ``encode`` makes one row of one clip when clips are loaded, ``transform`` makes
features of rows in each fit.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from micromimic.core.errors import ModelError
from micromimic.models.preprocess import center
from micromimic.models.samples import Encoder, View
from micromimic.motion.features import DESCRIPTORS
from micromimic.motion.tim import interpolate

Rows = NDArray[np.generic]


class AsItIs:
    """A view without change, for models that do not say how they look."""

    def __init__(self, view: View = "flow") -> None:
        self.view = view

    def encode(self, clip: Rows) -> Rows:
        """The view itself."""
        return np.asarray(clip, np.float32 if self.view == "flow" else np.uint8)


class _ViewStep(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    view: View = "flow"

    def encode(self, clip: Rows) -> Rows:
        """One clip as one row."""
        return AsItIs(self.view).encode(clip)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Nothing is learnt."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True


class FlowMaps(_ViewStep):
    """Flow maps, (n, 3, 28, 28): u, v and strain from onset to apex.

    Parameters
    ----------
    centred : bool
        each channel about its median and by its spread, as our models see them.

    Examples
    --------
    >>> FlowMaps().fit_transform(np.random.default_rng(0).normal(size=(2, 3, 28, 28))).shape
    (2, 3, 28, 28)
    """

    def __init__(self, *, centred: bool = True) -> None:
        self.centred = centred

    def transform(self, X: Rows) -> Rows:
        """Maps of raw maps."""
        return center(X) if self.centred else np.asarray(X, np.float32)


class FlowVectors(_ViewStep):
    """u and v of centred flow maps as vectors, (n, 1568).

    Examples
    --------
    >>> FlowVectors().fit_transform(np.random.default_rng(0).normal(size=(2, 3, 28, 28))).shape
    (2, 1568)
    """

    def transform(self, X: Rows) -> Rows:
        """Vectors of raw maps."""
        return center(X)[:, :2].reshape(len(X), -1)


class Faces(_ViewStep):
    """Face crops at the apex, (n, 224, 224, 3) uint8 RGB.

    Examples
    --------
    >>> Faces().fit_transform(np.zeros((2, 5, 224, 224, 3), np.uint8)).shape
    (2, 224, 224, 3)
    """

    view: View = "faces"

    def transform(self, X: Rows) -> Rows:
        """The apex of (n, k, 224, 224, 3) crops."""
        return X[:, 0] if X.ndim == 5 else X


class Volumes(_ViewStep):
    """Clips as volumes of one length, (n, frames, 170, 140) uint8, interpolated in time.

    Parameters
    ----------
    frames : int
        of each.

    Examples
    --------
    >>> Volumes(frames=4).encode(np.zeros((9, 170, 140), np.uint8)).shape
    (4, 170, 140)
    """

    view: View = "volume"

    def __init__(self, *, frames: int = 10) -> None:
        self.frames = frames

    def encode(self, clip: Rows) -> Rows:
        """(frames, 170, 140) of (T, 170, 140)."""
        return interpolate(np.asarray(clip, np.uint8), self.frames)

    def transform(self, X: Rows) -> Rows:
        """Volumes as they are; lists of them of any length, interpolated."""
        return X if isinstance(X, np.ndarray) else np.stack([self.encode(clip) for clip in X])


class Descriptors(_ViewStep):
    """A descriptor of each clip, (n, d).

    Parameters
    ----------
    name : str
        in `features.DESCRIPTORS`, as ``lbp-top``.

    Examples
    --------
    >>> Descriptors("hog-top").encode(np.zeros((5, 170, 140), np.uint8)).ndim
    1
    """

    view: View = "volume"

    def __init__(self, name: str = "lbp-top") -> None:
        self.name = name

    def encode(self, clip: Rows) -> Rows:
        """(d,) of (T, 170, 140) uint8.

        Raises
        ------
        ModelError
            if the descriptor is unknown.
        """
        if self.name not in DESCRIPTORS:
            raise ModelError(f"expected one of {', '.join(DESCRIPTORS)}; got {self.name!r}")
        return DESCRIPTORS[self.name](np.asarray(clip))

    def transform(self, X: Rows) -> Rows:
        """Descriptors as they are, (n, d); those of volumes, of any length each."""
        if isinstance(X, np.ndarray) and X.ndim == 2:
            return X
        return np.stack([self.encode(clip) for clip in X])


def encoder_of(model: Any) -> Encoder:
    """What makes rows of clips for a model: itself, the first step of its pipeline, what it wraps.

    A model that does not say what it looks at is given flow maps.

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.linear_model import LogisticRegression
    >>> encoder_of(make_pipeline(Descriptors("hog-top"), LogisticRegression())).view
    'volume'
    """
    while not hasattr(model, "encode"):
        if steps := getattr(model, "steps", None):
            model = steps[0][1]
        elif hasattr(model, "estimator") and model.estimator is not None:
            model = model.estimator
        else:
            return AsItIs(getattr(model, "view", "flow"))
    found: Encoder = model
    return found
