"""What a person looks at to judge one event: pictures as data URIs, and what moved in words."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from PIL import Image, WebPImagePlugin

from micromimic.core.canonical import INTEROCULAR, UNITS
from micromimic.core.errors import OutputError
from micromimic.core.labels import CELLS
from micromimic.core.types import Evidence, MicroExpression
from micromimic.report.overlays import (
    BOX,
    Picture,
    arrows_path,
    cells_path,
    change,
    difference_gain,
    draw_difference,
    heat_layer,
    magnification,
    scaled,
)
from micromimic.report.words import CELL_WORDS

_PAIRS: Final = {
    "mouth_corner": "both mouth corners",
    "nose_wing": "both nose wings",
    "outer_eye": "both outer eyes",
    "brow": "both brows",
}
_OTHER_SIDE: Final = {"right": "left", "left": "right"}
FULL_WIDTH: Final = 360
SMALLEST_WIDTH: Final = 132
SMALL_WIDTH: Final = 208
"""Of what is shown in short: longer expressions, movements that were held back."""
FULL_EVENTS: Final = 11
"""Up to so many events have pictures of full width; with more they are smaller."""
MOST_EVENTS: Final = 80
_SOFT: Final = 0.6
_SOFT_LEAST: Final = 104
"""What is smooth anyway has this share of the width, and no fewer pixels than that."""


@dataclass(frozen=True)
class FacePair:
    """The face at onset and apex as data URIs of one size in pixels."""

    onset: str
    apex: str
    width: int
    height: int
    box: tuple[int, int]  # width and height of an SVG that is laid over


@dataclass(frozen=True)
class Pictures(FacePair):
    """What is laid over the apex, too, and the factors to print beside it."""

    cells: str  # SVG paths
    arrows: str
    heat: str | None  # data URIs
    difference: str
    arrow_gain: float
    difference_gain: float


def picture_width(events: int) -> int:
    """Width of each picture, smaller with many events so that a report stays easy to send.

    >>> picture_width(3), picture_width(48), picture_width(1000)
    (360, 172, 132)
    """
    if events <= FULL_EVENTS:
        return FULL_WIDTH
    return max(SMALLEST_WIDTH, round(FULL_WIDTH * math.sqrt(FULL_EVENTS / events)))


def pictured(events: Mapping[int, MicroExpression]) -> set[int]:
    """Which events (by position) get pictures: those with evidence, at most the 80 strongest."""
    known = [(e.strength, k) for k, e in events.items() if e.evidence is not None]
    return {k for _, k in sorted(known, reverse=True)[:MOST_EVENTS]}


def data_uri(image: Picture, **how: int) -> str:
    """A picture (H, W, 3) RGB or (H, W, 4) RGBA as a WebP data URI: half the bytes of a JPEG as
    good."""
    data = io.BytesIO()
    try:
        # OpenCV has no ``method``; 6 takes twice as long as 4 and gains one byte in a hundred.
        Image.fromarray(image).save(
            data, WebPImagePlugin.WebPImageFile.format, **{"quality": 70, "method": 4, **how}
        )
    except (ValueError, OSError) as error:
        raise OutputError(
            f"expected a picture that WebP can hold, got {image.shape}; analyse without evidence"
        ) from error
    return "data:image/webp;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def pictures(evidence: Evidence, width: int = FULL_WIDTH) -> Pictures:
    """All pictures of one event; the onset and the apex are bare, to be looked at in turn."""
    faces = evidence.onset_face, evidence.apex_face
    gain = magnification(evidence.flow)
    onset, apex = (scaled(face, max(_SOFT_LEAST, round(_SOFT * width))) for face in faces)
    changed = change(onset, apex)
    difference = difference_gain(changed)
    heat = None if evidence.votes is None else heat_layer(evidence.votes, evidence.margin)
    return Pictures(
        **vars(face_pair(*faces, width, evidence.margin)),
        cells=cells_path(evidence.cells, evidence.margin),
        arrows=arrows_path(evidence.flow, gain, evidence.margin),
        heat=None if heat is None else data_uri(heat, quality=50, alpha_quality=50),
        difference=data_uri(draw_difference(onset, changed, difference)),
        arrow_gain=gain,
        difference_gain=difference,
    )


def face_pair(
    onset: Picture | None, apex: Picture | None, width: int = SMALL_WIDTH, margin: float = 5.0
) -> FacePair | None:
    """The two faces; None where there are no pictures."""
    if onset is None or apex is None:
        return None
    first, second = scaled(onset, width), scaled(apex, width)
    wide, height = round(BOX * (UNITS + 2 * margin)), first.shape[0]
    box = wide, round(wide * height / width)
    return FacePair(data_uri(first), data_uri(second), width, height, box)


@dataclass(frozen=True)
class CellMove:
    """How one cell moved: canonical units right and down, and its size."""

    cell: str
    right: float
    down: float

    @property
    def size(self) -> float:
        return float(np.hypot(self.right, self.down))


def cell_moves(evidence: Evidence) -> list[CellMove]:
    """Mean flow of each cell, the strongest first; cells outside the square are left out."""
    uv = np.asarray(evidence.flow.uv, dtype=np.float64)
    moves = []
    for cell, (left, top, right, bottom) in zip(CELLS, evidence.cells.tolist(), strict=True):
        columns = slice(max(0, round(left)), min(UNITS, round(right)))
        rows = slice(max(0, round(top)), min(UNITS, round(bottom)))
        part = uv[:, rows, columns]
        if part.size:
            u, v = part.reshape(2, -1).mean(axis=1).tolist()
            moves.append(CellMove(cell, u, v))
    return sorted(moves, key=lambda move: -move.size)


def direction(move: CellMove) -> str:
    """In words, seen from the person: up or down, outwards or inwards from the face's midline.

    >>> direction(CellMove("mouth_corner_left", 0.3, -0.3)), direction(CellMove("chin", 0.0, 0.2))
    ('up and outwards', 'down')
    """
    words = []
    if abs(move.down) >= 0.38 * move.size:
        words.append("down" if move.down > 0 else "up")
    if abs(move.right) >= 0.38 * move.size:
        side = 1 if move.cell.endswith("_left") else -1 if move.cell.endswith("_right") else 0
        if side:
            words.append("outwards" if move.right * side > 0 else "inwards")
        else:
            words.append("to the person's left" if move.right > 0 else "to the person's right")
    return " and ".join(words)


def what_moved(evidence: Evidence) -> str:
    """One sentence: the three cells that moved most from onset to apex, where to and how far.

    Movements are means over a cell, in per cent of the distance between the eyes.
    """
    moves = [m for m in cell_moves(evidence) if m.size > 0]
    if not moves:
        return "No face region moved measurably between onset and apex."
    strong = [m for m in moves if m.size >= 0.5 * moves[0].size][:3]
    parts: list[str] = []
    done: set[str] = set()
    for move in strong:
        if move.cell in done:
            continue
        stem, _, side = move.cell.rpartition("_")
        mirror = f"{stem}_{_OTHER_SIDE.get(side, side)}"
        twin = next((m for m in strong if m.cell == mirror and m is not move), None)
        name, size = f"the {CELL_WORDS[move.cell]}", move.size
        if twin is not None and direction(twin) == direction(move):
            done.add(mirror)
            name, size = _PAIRS[stem], (move.size + twin.size) / 2
        parts.append(f"{name} {direction(move)} by {100 * size / INTEROCULAR:.1f} %")
    listed = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return f"From onset to apex: {listed} of the eye distance (means over the ten face regions)."
