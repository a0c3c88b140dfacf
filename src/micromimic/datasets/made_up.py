"""Which clips are synthetic: counts and layouts cannot tell, so the manifest says it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from micromimic.datasets.clip import Clip

COLUMN: Final = "synthetic"  # of the manifest: ``yes`` for clips that `synth databases` made
_LEVELS: Final = 4  # folders to look up: a user may point anywhere inside the database


def made_up(folder: Path) -> bool:
    """Whether a folder lies within what `micromimic synth databases` wrote."""
    for place in [folder.absolute(), *folder.absolute().parents][:_LEVELS]:
        try:
            content = json.loads((place / "truth.json").read_text(encoding="utf-8"))
            if content["schema"].startswith("micromimic.databases/"):
                return True
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            continue
    return False


def marked(clip: Clip) -> Clip:
    """The clip, with the manifest's mark that it is synthetic."""
    return replace(clip, extra={**clip.extra, COLUMN: "yes"})


def is_marked(clip: Clip) -> bool:
    """Whether the manifest says that the clip is synthetic."""
    return clip.extra.get(COLUMN) == "yes"
