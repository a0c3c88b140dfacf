"""What decides a run beside its data: parameters, code, starting weights, versions of libraries."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import micromimic
from micromimic.evaluation.one_fold import digest_of_file
from micromimic.models.fitting import parts_of
from micromimic.models.samples import digest_of

_VERSIONED: Final = {"numpy", "scipy", "sklearn", "torch", "torchvision", "pandas", "builtins"}
"""Packages whose code is known by their version."""
_OURS: Final = ("models", "motion/features")
"""Rooms whose code decides what our models say."""
_TORCH: Final = re.compile(r"^\s*(?:import|from) torch\b", re.MULTILINE)


def identity_of(model: Any) -> dict[str, str]:
    """Everything that decides what a model says of given clips, by name.

    Further modules that a user's file imports are not looked at.
    """
    params = model.get_params(deep=True)
    sources = _sources(model)
    libraries = ["numpy", "scipy", "scikit-learn"]
    if any(_TORCH.search(text) for text in sources.values()):
        libraries.append("torch")
    weights = {str(file): digest_of_file(file) for _, part in parts_of(model)
               for file in part.starts_from() if file.is_file()}  # fmt: skip
    return {
        "estimator": type(model).__qualname__,
        **{f"parameter {name}": _text(value) for name, value in sorted(params.items())},
        "code of the model": _digest(sources),
        "starting weights": ", ".join(f"{Path(f).name} {d}" for f, d in weights.items()),
        **{f"version of {name}": version(name) for name in libraries},
    }


def _sources(model: Any) -> dict[str, str]:
    """The code of a model's classes and functions, by module."""
    found: dict[str, str] = {}
    for thing in (model, *model.get_params(deep=True).values()):
        if not (hasattr(thing, "get_params") or callable(thing) or _is_recipe(thing)):
            continue
        kind = thing if inspect.isroutine(thing) or isinstance(thing, type) else type(thing)
        for one in getattr(kind, "__mro__", (kind,)):
            top = str(one.__module__).split(".")[0]
            if top == "micromimic":
                found["micromimic"] = code_digest(*_OURS)
                found[one.__module__] = _source(one)
            elif top not in _VERSIONED and top not in sys.stdlib_module_names:
                found[one.__module__] = _source(one)
            elif top == "__main__":
                found["__main__"] = _source(one)
    return found


def _is_recipe(thing: Any) -> bool:
    return type(thing).__module__.startswith("micromimic.")


def _source(thing: Any) -> str:
    """The file that a class or function stands in; its own text where there is none."""
    try:
        return Path(inspect.getsourcefile(thing) or "").read_text(encoding="utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        try:
            return inspect.getsource(thing)
        except (OSError, TypeError):
            return f"{thing.__module__}.{thing.__qualname__}, whose source is not to be had"


@cache
def code_digest(*places: str) -> str:
    """A digest of our code in files and folders of the package."""
    root = Path(micromimic.__file__).parent
    found = [[root / p] if p.endswith(".py") else (root / p).rglob("*.py") for p in places]
    files = sorted(file for part in found for file in part)
    return _digest({str(f.relative_to(root)): f.read_text(encoding="utf-8") for f in files})


def _digest(texts: dict[str, str]) -> str:
    sums = blake2b(digest_size=16)
    for name, text in sorted(texts.items()):
        sums.update(f"{name}\n{text}\0".encode())
    return sums.hexdigest()


def _text(value: Any) -> str:
    """A parameter as text that is the same in every process."""
    if isinstance(value, Path):
        return f"{value.name} {digest_of_file(value)}" if value.is_file() else value.name
    if isinstance(value, np.ndarray):
        array: NDArray[Any] = value
        return digest_of(np.atleast_1d(array))
    if hasattr(value, "get_params"):
        return type(value).__qualname__
    if inspect.isroutine(value) or isinstance(value, type):
        return str(value.__qualname__)
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def splits_text(folds: Iterator[Any] | Any) -> str:
    """A digest of who is trained on and tested, for splitters of the user's own."""
    sums = blake2b(digest_size=16)
    for fold in folds:
        sums.update(fold.test.tobytes() + b"|" + fold.train.tobytes() + b"\0")
    return sums.hexdigest()
