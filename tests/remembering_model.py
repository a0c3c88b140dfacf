"""Two classifiers that cheat: what they were once trained on outlives the fold."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

MEMORY: dict[bytes, str] = {}


class Remembering(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Answers with the label that it has ever seen with an input, in whatever fold."""

    def fit(self, X: Any, y: Any) -> Remembering:
        self.classes_ = np.unique(y)
        MEMORY.update((row.tobytes(), label) for row, label in zip(X, y, strict=True))
        return self

    def predict_proba(self, X: Any) -> Any:
        known = [MEMORY.get(row.tobytes(), self.classes_[0]) for row in X]
        return np.array([[float(name == label) for label in self.classes_] for name in known])


class Drawing(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Draws its answers from a generator that nobody has seeded."""

    def fit(self, X: Any, y: Any) -> Drawing:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.random.default_rng().dirichlet(np.ones(len(self.classes_)), len(X))
