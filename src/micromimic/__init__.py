"""Candidate micro-expressions in video: when they start, peak and end, what they show, and why.

Example:
    >>> import micromimic
    >>> micromimic.EMOTIONS
    ('negative', 'positive', 'surprise')

``micromimic.analyze("video.mp4").events`` is the main job, ``micromimic.recognize(onset, apex)``
names the movement between two frames, ``micromimic.live(0)`` watches a camera. Heavy parts are
imported on first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from micromimic.labels import CELLS, EMOTIONS

# Nothing is sent, by no dependency either: ONNX Runtime reads this as it is imported, which the
# package does in `models.runtime` alone. Processes that are started from here inherit it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from micromimic.motion.apex import apex_of_clip
    from micromimic.pipelines.analyze import AnalyzeConfig, analyze
    from micromimic.pipelines.live import LiveConfig, live
    from micromimic.pipelines.recognize import recognize
    from micromimic.results import Analysis

__version__ = "0.1.0"

__all__ = [
    "CELLS",
    "EMOTIONS",
    "Analysis",
    "AnalyzeConfig",
    "LiveConfig",
    "__version__",
    "analyze",
    "apex_of_clip",
    "live",
    "recognize",
]

_LAZY = {
    "Analysis": "micromimic.results",
    "AnalyzeConfig": "micromimic.pipelines.analyze",
    "LiveConfig": "micromimic.pipelines.live",
    "analyze": "micromimic.pipelines.analyze",
    "apex_of_clip": "micromimic.motion.apex",
    "live": "micromimic.pipelines.live",
    "recognize": "micromimic.pipelines.recognize",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'micromimic' has no attribute {name!r}")
    return getattr(import_module(_LAZY[name]), name)
