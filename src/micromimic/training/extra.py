"""Whether what training needs is installed."""

from __future__ import annotations

from importlib.util import find_spec

from micromimic.errors import MissingExtraError


def require_extra() -> None:
    """Check that what training needs is installed.

    Raises:
        MissingExtraError: if a package of the ``train`` extra is missing.
    """
    for package in ("torch", "torchvision", "onnx", "sklearn", "matplotlib"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f"expected the package {package}, got none; pip install 'micromimic[train]'"
            )
