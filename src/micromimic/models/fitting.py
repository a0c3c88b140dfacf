"""Any scikit-learn classifier as runs use it: set up, fitted, and asked."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline

from micromimic.core.errors import ModelError
from micromimic.models.base import Array, ClipClassifier, EarlyStopping, FitRun, init_of
from micromimic.models.registry import foreign_code

_TOLERANCE = 1e-3


def parts_of(model: Any) -> Iterator[tuple[str, ClipClassifier]]:
    """Our classifiers in a model, with the prefix of their parameters."""
    if isinstance(model, ClipClassifier):
        yield "", model
    for name, value in model.get_params(deep=True).items():
        if isinstance(value, ClipClassifier):
            yield f"{name}__", value


def configure(
    model: Any,
    name: str,
    *,
    init: str | Path = "default",
    epochs: int | None = None,
    stop: EarlyStopping | None = None,
) -> Any:
    """The model with what a run says of its training; what it has no use for is left out."""
    init, taken = init_of(init), False
    for prefix, part in parts_of(model):
        known = part.get_params(deep=False)
        given = {"init": None if init == "default" else init, "epochs": epochs, "stop": stop}
        for key, value in given.items():
            if value is not None and key in known:
                model.set_params(**{prefix + key: value})
                taken |= key == "init"
    if init not in ("default", "none") and not taken:
        raise ModelError(
            f"expected no initial weights for {name}, got {init}; leave --init out, or use "
            "--protocol apply to test a trained file"
        )
    return model


def seeded(model: Any, seed: int) -> Any:
    """The model with every ``random_state`` that is None set."""
    found = model.get_params(deep=True)
    names = [n for n, v in found.items() if n.split("__")[-1] == "random_state" and v is None]
    return model.set_params(**dict.fromkeys(names, seed)) if names else model


def fit_model(
    model: Any,
    name: str,
    X: NDArray[np.generic],
    y: NDArray[np.str_],
    groups: NDArray[np.str_],
    run: FitRun,
) -> Any:
    """Fit a model, and give it groups and the run where it takes them."""
    vectors = ", or begin a pipeline with FlowVectors() for rows of numbers" * (X.ndim > 2)
    with _foreign(model, f"{name} to train on {len(y)} clips {X.shape[1:]}", vectors):
        return model.fit(X, y, **_arguments(model, groups, run))


def probabilities_of(model: Any, name: str, X: NDArray[np.generic], labels: Sequence[str]) -> Array:
    """(n, k) probabilities in the order of ``labels``; 0 for a label that it was not trained on."""
    with _foreign(model, f"probabilities of {name}"):
        found = np.asarray(model.predict_proba(X), np.float64)
    classes = [str(label) for label in model.classes_]
    fits = found.shape == (len(X), len(classes)) and bool((found >= 0).all())
    if not fits or not np.allclose(found.sum(1), 1, atol=_TOLERANCE) or set(classes) - set(labels):
        raise ModelError(
            f"expected {name} to give probabilities ({len(X)}, {len(classes)}) of "
            f"{', '.join(labels)} that sum to 1, got {found.shape} of {', '.join(classes)}; "
            "correct its predict_proba"
        )
    whole = np.zeros((len(X), len(labels)))
    whole[:, [list(labels).index(label) for label in classes]] = found
    return whole


def _arguments(model: Any, groups: NDArray[np.str_], run: FitRun) -> dict[str, Any]:
    if isinstance(model, GridSearchCV | RandomizedSearchCV):
        return {"groups": groups}
    if isinstance(model, Pipeline):
        last, step = model.steps[-1]
        return {f"{last}__{key}": value for key, value in _arguments(step, groups, run).items()}
    known = inspect.signature(model.fit).parameters
    return {key: value for key, value in (("groups", groups), ("run", run)) if key in known}


def _foreign(model: Any, expected: str, hint: str = "") -> AbstractContextManager[None]:
    """What a model that is not ours raises becomes one line."""
    ours = isinstance(model, ClipClassifier)
    return nullcontext() if ours else foreign_code(expected, f"correct the model{hint}")
