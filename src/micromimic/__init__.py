"""Candidate micro-expressions in video: when they start, peak and end, what they show, and why.

Example:
    >>> import micromimic
    >>> micromimic.uf1(["calm", "tense"], ["calm", "calm"])
    0.3333333333333333

``micromimic.analyze("video.mp4").events`` is the main job, ``micromimic.recognize(onset, apex)``
names the movement between two frames, ``micromimic.live(0)`` watches a camera, and
``micromimic.evaluate({"mine": model}, "manifest.csv")`` tests a model without leaks. What is public
stands in ``__all__``, here and in the rooms ``datasets``, ``evaluation``, ``models``, ``spotting``
and ``synthesis``; each name is loaded when it is first used.
"""

import os
import warnings
from typing import Any

import lazy_loader

from micromimic import _former

# Nothing is sent, by no dependency either: ONNX Runtime reads this as it is imported, which the
# package does in `models.runtime` alone. Processes that are started from here inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.2.0"

_former.install()
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name == "EMOTIONS":
        warnings.warn(
            "micromimic.EMOTIONS is micromimic.THREE.names from now on: a model or a manifest may "
            "have other classes",
            DeprecationWarning,
            stacklevel=2,
        )
        return _public("THREE").names
    return _public(name)
