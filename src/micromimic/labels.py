"""The three classes, the ten facial cells and the face's parts, by name and in a fixed order."""

from __future__ import annotations

from typing import Literal

Emotion = Literal["negative", "positive", "surprise"]

EMOTIONS: tuple[Emotion, ...] = ("negative", "positive", "surprise")
"""Class order everywhere: model outputs, probabilities, confusion matrices."""

CELLS: tuple[str, ...] = (
    "mouth_corner_right",
    "mouth_corner_left",
    "chin",
    "nose_wing_right",
    "nose_wing_left",
    "outer_eye_right",
    "outer_eye_left",
    "brow_right",
    "brow_centre",
    "brow_left",
)
"""The article's ten cells; right and left are the person's own, so *right* is image-left."""

REGIONS: tuple[str, ...] = ("forehead", "eyes", "nose", "mouth", "chin")
"""Parts of the face, from above."""
