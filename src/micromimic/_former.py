"""Modules under the names that documentation of 0.1 and 0.2's development gave them.

A finder at the end of the import system's list: it is asked only for what exists nowhere else.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.abc import Loader, MetaPathFinder
else:
    Loader = MetaPathFinder = object  # importing them takes as long as the package without them

MOVED: Final = {
    "canonical": "core.canonical",
    "errors": "core.errors",
    "evaluation.parallel": "core.workers",
    "evaluation.scores": "evaluation.development",
    "evaluation.statistics": "evaluation.comparison",
    "features": "motion.features",
    "labels": "core.labels",
    "media.live_camera": "media.live.camera",
    "media.live_open": "media.live.open",
    "models.learner": "evaluation.former",
    "pipelines.analyze": "analysis.analyze",
    "pipelines.experiment": "evaluation.evaluate",
    "pipelines.live": "analysis.live.session",
    "pipelines.live_messages": "analysis.live.messages",
    "pipelines.recognize": "analysis.recognize",
    "pipelines.sensitivity": "analysis.sensitivity.run",
    "pipelines.spotting": "analysis.long_videos.run",
    "pipelines.training": "evaluation.train",
    "reports.elan": "report.elan",
    "reports.write": "report.write",
    "results": "core.results",
    "synthesis.nuisance": "synthesis.clip_nuisances",
    "synthesis.tracks": "synthesis.truth",
    "training.torch_adapter": "models.training.torch_adapter",
    "types": "core.types",
    "workers": "core.workers",
}
"""Module of the package, then and now."""
_FOLDERS: Final = {name.split(".")[0] for name in MOVED if "." in name} - {
    "evaluation",
    "media",
    "models",
    "synthesis",
}


class _Former(Loader):
    def create_module(self, spec: ModuleSpec) -> None:
        pass  # the usual kind

    def exec_module(self, module: ModuleType) -> None:
        _, _, old = module.__name__.partition(".")
        if old in _FOLDERS:
            return
        new = f"micromimic.{MOVED[old]}"
        warnings.warn(
            f"{module.__name__} is {new} now, and its old name will go",
            DeprecationWarning,
            stacklevel=2,
        )
        here = {k: v for k, v in vars(import_module(new)).items() if not k.startswith("__")}
        vars(module).update(here)


class FormerNames(MetaPathFinder):
    """Finds modules by their former names, with a warning: ``import micromimic.errors``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, old = fullname.partition(".")
        if package != "micromimic" or not (old in MOVED or old in _FOLDERS):
            return None
        return ModuleSpec(fullname, _Former(), is_package=old in _FOLDERS)


def install() -> None:
    """Let the import system ask here last."""
    if not any(isinstance(finder, FormerNames) for finder in sys.meta_path):
        sys.meta_path.append(FormerNames())
