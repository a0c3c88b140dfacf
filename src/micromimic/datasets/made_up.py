"""Which clips are synthetic: counts and layouts cannot tell, so the manifest says it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Final

from micromimic.datasets.clip import Clip

COLUMN: Final = "synthetic"
"""Of the manifest: ``yes`` for clips that `micromimic synth databases` made."""

_TRUTH: Final = "truth.json"
_SCHEMA: Final = "micromimic.databases/"
_LEVELS: Final = 4  # folders to look up: a user may point anywhere inside the database


def made_up(folder: Path) -> bool:
    """Whether a folder lies within what `micromimic synth databases` wrote."""
    places = [folder.absolute(), *folder.absolute().parents][:_LEVELS]
    return any(_says_so(place / _TRUTH) for place in places)


def marked(clip: Clip) -> Clip:
    """The clip, with the manifest's mark that it is synthetic."""
    return replace(clip, extra={**clip.extra, COLUMN: "yes"})


def is_marked(clip: Clip) -> bool:
    """Whether the manifest says that the clip is synthetic."""
    return clip.extra.get(COLUMN) == "yes"


def _says_so(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and str(content.get("schema", "")).startswith(_SCHEMA)
