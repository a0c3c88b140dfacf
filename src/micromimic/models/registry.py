"""Models by name: a dictionary and a decorator.

Every name has a *learner*, which trains on labelled clips; some have a *shipped* model, which was
trained on synthetic motion and works without any data of the user's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import ModelError
from micromimic.models.learner import Learner, ModelEntry, View


class MapClassifier(Protocol):
    """Anything that names flow maps."""

    def probabilities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) class probabilities, order ``labels.EMOTIONS``, of (n, 3, 28, 28) raw maps."""
        ...


LearnerT = TypeVar("LearnerT", bound=Callable[[], Learner])
ShippedT = TypeVar("ShippedT", bound=Callable[[], MapClassifier])

_ENTRIES: dict[str, ModelEntry] = {}
_SHIPPED: dict[str, Callable[[], MapClassifier]] = {}
# the modules that register models; imported on the first look-up, not before, and free of torch
_HOMES: Final = (
    "micromimic.models.templates",
    "micromimic.models.onnx",
    "micromimic.models.catalogue",
    "micromimic.training.catalogue",
)


def register(name: str, about: str, view: View) -> Callable[[LearnerT], LearnerT]:
    """Give a learner's factory (a class or a function without arguments) a name.

    Args:
        name: as users say it.
        about: one line for ``micromimic models``.
        view: what of a clip the model looks at.

    Raises:
        ModelError: if the name is taken.
    """

    def decorate(factory: LearnerT) -> LearnerT:
        if name in _ENTRIES:
            raise ModelError(f"expected a new model name, got {name!r}, which is taken; rename it")
        _ENTRIES[name] = ModelEntry(name, about, view, factory)
        return factory

    return decorate


def ship(name: str) -> Callable[[ShippedT], ShippedT]:
    """Say that a model of this name works as installed.

    Raises:
        ModelError: if the name is taken.
    """

    def decorate(factory: ShippedT) -> ShippedT:
        if name in _SHIPPED:
            raise ModelError(f"expected a new model name, got {name!r}, which is taken; rename it")
        _SHIPPED[name] = factory
        return factory

    return decorate


def list_models() -> tuple[str, ...]:
    """Registered names, sorted.

    >>> "flow-capsnet" in list_models(), "lbp-top-svm" in list_models()
    (True, True)
    """
    return tuple(sorted(_entries()))


def list_shipped() -> tuple[str, ...]:
    """Names of the models that work as installed, sorted.

    >>> list_shipped()
    ('flow-capsnet', 'flow-template')
    """
    _entries()
    return tuple(sorted(_SHIPPED))


def entry(name: str) -> ModelEntry:
    """What is known of a name.

    Raises:
        ModelError: if the name is unknown; the message lists the known ones.

    >>> entry("resnet")
    Traceback (most recent call last):
    ...
    micromimic.errors.ModelError: expected one of ...; got 'resnet'
    """
    known = _entries()
    if name not in known:
        raise ModelError(f"expected one of {', '.join(sorted(known))}; got {name!r}")
    return known[name]


def create(name: str) -> MapClassifier:
    """The shipped model of that name.

    Raises:
        ModelError: if the name is unknown, or nothing is shipped under it.
    """
    entry(name)
    if name not in _SHIPPED:
        raise ModelError(
            f"expected one of {', '.join(sorted(_SHIPPED))}, which work as installed; "
            f"got {name!r}; train it, or pass a trained file"
        )
    return _SHIPPED[name]()


def _entries() -> dict[str, ModelEntry]:
    for home in _HOMES:
        import_module(home)
    return _ENTRIES
