"""Models by name: ours, those of installed packages, and a function of a Python file.

Every name makes an estimator that trains on labelled clips; some have a *shipped* model too, which
was trained on synthetic motion and works without any data of the user's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import MicromimicError, MissingExtraError, ModelError
from micromimic.models.samples import View

GROUP: Final = "micromimic.models"
"""Entry points of packages that bring models: ``name = "package.module:function"``."""
TRAINING: Final = ("torch", "torchvision", "onnx", "matplotlib")
"""Packages of the ``train`` extra that training and its reports need."""

FactoryT = TypeVar("FactoryT", bound=Callable[[], Any])


class MapClassifier(Protocol):
    def probabilities(self, maps: NDArray[np.generic]) -> NDArray[np.float64]:
        """(n, k) class probabilities of (n, 3, 28, 28) raw maps."""
        ...


@dataclass(frozen=True)
class ModelEntry:
    name: str
    about: str  # one line
    view: View | str  # what of a clip it looks at; empty where only making it would tell
    make: Callable[[], Any] = field(repr=False)  # imports what it needs when called
    shipped: Callable[[], MapClassifier] | None = None  # the model that works as installed


def _estimator(family: str, variant: str = "") -> Any:
    """One of ours; imports what it needs, so that listing names stays quick, and free of torch."""
    if family in ("flow network", "face network"):
        require_extra()
    if family == "flow network":
        from micromimic.models.training.flow import FlowNet  # noqa: PLC0415

        return FlowNet(variant)
    if family == "face network":
        from micromimic.models.training.faces import FaceNet  # noqa: PLC0415

        return FaceNet(variant)
    if family == "ensemble":
        from micromimic.models.ensemble import FlowEnsemble  # noqa: PLC0415

        return FlowEnsemble()
    if family == "template":
        from micromimic.models.templates import FlowTemplate  # noqa: PLC0415

        return FlowTemplate()
    from micromimic.models.svm import DescriptorSvm, FlowSvm  # noqa: PLC0415

    return DescriptorSvm(variant) if variant else FlowSvm()


def _shipped(name: str) -> MapClassifier:
    if name == "flow-template":
        from micromimic.models.templates import TemplateClassifier  # noqa: PLC0415

        return TemplateClassifier()
    from micromimic.models.onnx import load_model  # noqa: PLC0415

    return load_model()


_OURS: Final = (
    ModelEntry("flow-capsnet", "compact capsule network on onset-to-apex flow (default)", "flow",
               partial(_estimator, "flow network", "flow-capsnet"),
               partial(_shipped, "flow-capsnet")),
    ModelEntry("flow-cnn", "the same convolutions without capsules", "flow",
               partial(_estimator, "flow network", "flow-cnn")),
    ModelEntry("flow-ensemble", "kernel machine about the shipped synthetic networks", "flow",
               partial(_estimator, "ensemble")),
    ModelEntry("flow-template", "cosine to the classes' mean flow maps, the control", "flow",
               partial(_estimator, "template"), partial(_shipped, "flow-template")),
    ModelEntry("flow-svm", "kernel SVM on centred flow maps", "flow",
               partial(_estimator, "svm")),
    *(
        ModelEntry(f"{name}-svm", about, "volume", partial(_estimator, "svm", name))
        for name, about in (
            ("lbp-top", "LBP-TOP and SVM, the article's baseline"),
            ("lbp-sip", "LBP with six intersection points and SVM"),
            ("hog-top", "HOG on three orthogonal planes and SVM"),
            ("higo-top", "histograms of image gradient orientation and SVM"),
        )
    ),
    *(
        ModelEntry(name, about, "faces", partial(_estimator, "face network", name))
        for name, about in (
            ("capsnet-resnet18", "the article's CapsuleNet, ResNet18 stem"),
            ("capsnet-vgg11", "the article's CapsuleNet, VGG11 stem"),
            ("capsnet-mobilenetv2", "CapsuleNet, MobileNetV2 stem"),
            ("resnet18", "ResNet18 on the apex, the article's baseline"),
            ("vgg11", "VGG11 on the apex, the article's baseline"),
        )
    ),
)  # fmt: skip
_ENTRIES: dict[str, ModelEntry] = {known.name: known for known in _OURS}


def register(name: str, about: str, view: View = "flow") -> Callable[[FactoryT], FactoryT]:
    """Give a class or a function without arguments that makes an estimator a name.

    Parameters
    ----------
    name : str
        as users say it.
    about : str
        one line for ``micromimic models``.
    view : View
        what of a clip the model looks at.

    Raises
    ------
    ModelError
        if the name is taken.
    """

    def decorate(factory: FactoryT) -> FactoryT:
        if name in _entries():
            raise ModelError(f"expected a new model name, got {name!r}, which is taken; rename it")
        _ENTRIES[name] = ModelEntry(name, about, view, factory)
        return factory

    return decorate


def list_models() -> tuple[str, ...]:
    """Names, sorted.

    Examples
    --------
    >>> "flow-capsnet" in list_models(), "lbp-top-svm" in list_models()
    (True, True)
    """
    return tuple(sorted(_entries()))


def list_shipped() -> tuple[str, ...]:
    """Names of the models that work as installed, sorted.

    Examples
    --------
    >>> list_shipped()
    ('flow-capsnet', 'flow-template')
    """
    return tuple(sorted(name for name, known in _entries().items() if known.shipped))


def entry(name: str) -> ModelEntry:
    known = _entries()
    if name not in known:
        raise ModelError(
            f"expected one of {', '.join(sorted(known))}, or FILE.py:FUNCTION; got {name!r}"
        )
    return known[name]


def create(name: str) -> MapClassifier:
    """The shipped model of that name.

    Raises
    ------
    ModelError
        if the name is unknown, or nothing is shipped under it.

    Examples
    --------
    >>> create("flow-template").probabilities(np.ones((2, 3, 28, 28))).shape
    (2, 3)
    """
    shipped = entry(name).shipped
    if shipped is None:
        raise ModelError(
            f"expected one of {', '.join(list_shipped())}, which work as installed; "
            f"got {name!r}; train it, or pass a trained file"
        )
    return shipped()


class Chosen(NamedTuple):
    name: str  # for tables and folders
    model: Any  # an estimator of one's own
    code: str = ""  # digest of the plug-in file that it comes from


def make_model(text: str) -> Chosen:
    """What ``--model`` asks for: a registered name, an entry point's, or ``FILE.py:FUNCTION``, a
    function without arguments (or a class) that gives an estimator.

    Raises
    ------
    ModelError
        the name is unknown, the file cannot be run or has no such function, or what it gives is no
        classifier with probabilities.

    Examples
    --------
    >>> make_model("flow-svm").model
    FlowSvm()
    """
    file, colon, function = text.rpartition(":")
    if not (colon and file.endswith(".py")):
        return Chosen(text, check_model(text, _made(text, entry(text).make)))
    module = _module_of(Path(file))
    factory = getattr(module, function, None)
    if not callable(factory):
        known = [
            n for n, v in vars(module).items() if callable(v) and v.__module__ == module.__name__
        ]
        raise ModelError(
            f"expected a function {function!r} in {file}, found "
            f"{', '.join(known) or 'none'}; pass {file}:NAME"
        )
    name = Path(file).stem if function == "make_model" else f"{Path(file).stem}-{function}"
    code = blake2b(Path(file).read_bytes(), digest_size=16).hexdigest()
    return Chosen(name, check_model(text, _made(text, factory)), code)


def check_model(name: str, model: Any) -> Any:
    """The model, if it is a classifier that can be trained anew and gives probabilities."""
    from sklearn.base import clone  # noqa: PLC0415 - slow to import; few need it

    lacks = [what for what in ("fit", "predict_proba", "get_params") if not hasattr(model, what)]
    if isinstance(model, type) or lacks:
        got = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        missing = f" without {lacks[0]}" if lacks else ", not an object of it"
        raise ModelError(
            f"expected a scikit-learn classifier from {name}, got {got}{missing}; return an "
            "estimator with fit and predict_proba (CalibratedClassifierCV gives one to others)"
        )
    with foreign_code(
        f"a classifier from {name} that scikit-learn can clone",
        "let its constructor only keep what it is given",
    ):
        return clone(model)


def require_extra() -> None:
    for package in TRAINING:
        if find_spec(package) is None:
            raise MissingExtraError(
                f"expected the package {package}, got none; pip install 'micromimic[train]'"
            )


def _entries() -> dict[str, ModelEntry]:
    """Ours and those of installed packages; a name that is ours stays ours."""
    others = {point.name: _brought(point) for point in entry_points(group=GROUP)}
    return {**others, **_ENTRIES}


def _brought(point: EntryPoint) -> ModelEntry:
    about = f"of the package {point.dist.name if point.dist else point.module}"
    return ModelEntry(point.name, about, "", lambda: point.load()())  # noqa: PLW0108 - when made


@contextmanager
def foreign_code(expected: str, remedy: str = "correct it") -> Iterator[None]:
    """What somebody else's code raises becomes one line."""
    try:
        yield
    except MicromimicError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelError(f"expected {expected}, got {_one_line(error)}; {remedy}") from error


def _made(name: str, factory: Callable[[], Any]) -> Any:
    with foreign_code(f"a classifier from {name}"):
        return factory()


def _module_of(file: Path) -> ModuleType:
    """Run a file as a module that travels to other processes by its content."""
    import cloudpickle  # noqa: PLC0415 - slow to import

    if not file.is_file():
        raise ModelError(f"expected a Python file at {file}, found none; check --model")
    spec = spec_from_file_location(f"micromimic_plugin_{file.stem}", file)
    assert spec is not None and spec.loader is not None  # the name ends in .py
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever foreign code raises
        del sys.modules[module.__name__]
        raise ModelError(
            f"expected a Python file that runs, got {_one_line(error)} in {file}; correct it"
        ) from error
    cloudpickle.register_pickle_by_value(module)
    return module


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}".rstrip(": ")
