"""Models by name: a dictionary and a decorator."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from micromimic.errors import ModelError


class MapClassifier(Protocol):
    """Anything that names flow maps."""

    def probabilities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, 3) class probabilities, order ``labels.EMOTIONS``, of (n, 3, 28, 28) raw maps."""
        ...


Factory = Callable[[], MapClassifier]
FactoryT = TypeVar("FactoryT", bound=Factory)

_MODELS: dict[str, Factory] = {}
# the modules that register models; imported on the first look-up, not before
_HOMES = ("micromimic.models.templates", "micromimic.models.onnx")


def register(name: str) -> Callable[[FactoryT], FactoryT]:
    """Give a factory (a class or a function without arguments) a name.

    Raises:
        ModelError: if the name is taken.
    """

    def decorate(factory: FactoryT) -> FactoryT:
        if name in _MODELS:
            raise ModelError(f"expected a new model name, got {name!r}, which is taken; rename it")
        _MODELS[name] = factory
        return factory

    return decorate


def list_models() -> tuple[str, ...]:
    """Registered names, sorted.

    >>> list_models()
    ('flow-capsnet', 'flow-template')
    """
    for home in _HOMES:
        import_module(home)
    return tuple(sorted(_MODELS))


def create(name: str) -> MapClassifier:
    """Make the model of that name.

    Raises:
        ModelError: if the name is unknown; the message lists the known ones.

    >>> create("resnet")
    Traceback (most recent call last):
    ...
    micromimic.errors.ModelError: expected one of flow-capsnet, flow-template; got 'resnet'
    """
    known = list_models()
    if name not in known:
        raise ModelError(f"expected one of {', '.join(known)}; got {name!r}")
    return _MODELS[name]()
