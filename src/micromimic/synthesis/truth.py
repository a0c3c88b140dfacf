"""What was planted: the truth of synthetic clips.

``truth.json`` (``micromimic.truth/1``) says what and when; `Tracks`, arrays beside it, where each
landmark lies, how the head is posed, how far each action unit has moved, and what each
micro-expression does to the face at its apex.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE
from micromimic.core.types import Interval
from micromimic.face.units import UNIT_NAMES
from micromimic.synthesis.actors.base import Scene
from micromimic.synthesis.schedule import ClipPlan, Movement

Span = tuple[int, int]

TRUTH_FILE: Final = "truth.json"
TRUTH_SCHEMA: Final = "micromimic.truth/1"


@dataclass(frozen=True)
class PlantedEvent:
    """One planted expression; frames are the nearest to the planted times, from 0."""

    onset_frame: int
    apex_frame: int
    offset_frame: int
    label: str  # class
    action_units: tuple[str, ...]  # FACS notation
    peak_px: float  # largest displacement, image pixels

    def interval(self, fps: float) -> Interval:
        return Interval(self.onset_frame / fps, self.apex_frame / fps, self.offset_frame / fps)


@dataclass(frozen=True)
class ClipTruth:
    """What one clip holds; all spans are (first, last) frames."""

    path: str  # the video, relative to ``truth.json``
    fps: float
    frames: int
    events: tuple[PlantedEvent, ...]  # planted micro-expressions by onset
    blinks: tuple[Span, ...] = ()
    macros: tuple[Span, ...] = ()
    head_moves: tuple[Span, ...] = ()
    speech: tuple[Span, ...] = ()
    # what the macro-expressions show, in the order of ``macros``
    expressions: tuple[PlantedEvent, ...] = ()
    seed: int | None = None
    actor: str = "photo"  # ``photo`` or ``mesh``
    identity: int | None = None  # who, for a mesh
    arrays: str | None = None  # the archive (`Tracks`), relative to ``truth.json``

    def intervals(self) -> tuple[Interval, ...]:
        return tuple(event.interval(self.fps) for event in self.events)


def truth_of(plan: ClipPlan, path: str) -> ClipTruth:
    """The truth of a planned clip that is written to ``path``."""
    fps, last = plan.config.fps, plan.config.frames - 1

    def frame(time: float) -> int:
        return min(last, round(time * fps))

    def expression(move: Movement) -> PlantedEvent:
        onset, apex, offset = (frame(time) for time in (move.onset, move.apex, move.offset))
        label, units = move.recipe.label, move.recipe.action_units
        return PlantedEvent(onset, apex, offset, label, units, move.peak_px)

    macros = tuple(expression(move) for move in plan.movements if move.kind == "macro")
    return ClipTruth(
        path,
        fps,
        plan.config.frames,
        tuple(expression(move) for move in plan.micro),
        blinks=tuple((frame(b.start), frame(b.end)) for b in plan.blinks),
        macros=tuple((macro.onset_frame, macro.offset_frame) for macro in macros),
        head_moves=tuple((frame(h.start), frame(h.end)) for h in plan.head_moves),
        speech=tuple((frame(span.start), frame(span.end)) for span in plan.speech),
        expressions=macros,
        seed=plan.seed,
    )


def truth_document(clips: list[ClipTruth]) -> dict[str, Any]:
    return {"schema": TRUTH_SCHEMA, "clips": [asdict(clip) for clip in clips]}


def read_truth(path: str | Path) -> list[ClipTruth]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("schema") != TRUTH_SCHEMA:
            raise InputError(
                f"expected schema {TRUTH_SCHEMA} in {path}, got another; pass its truth.json"
            )
        return [_clip(entry) for entry in content["clips"]]
    except OSError as error:
        raise InputError(
            f"expected to read {path}, got {error.strerror or error}; check the path"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected a truth.json, got {path} with a fault ({error!r}); write it again"
        ) from None


def _clip(entry: dict[str, Any]) -> ClipTruth:
    named: dict[str, Any] = {
        name: tuple((int(a), int(b)) for a, b in entry.get(name, ()))
        for name in ("blinks", "macros", "head_moves", "speech")
    }
    rest = ("seed", "actor", "identity", "arrays")
    return ClipTruth(
        str(entry["path"]),
        float(entry["fps"]),
        int(entry["frames"]),
        tuple(_event(event) for event in entry["events"]),
        expressions=tuple(_event(event) for event in entry.get("expressions", ())),
        **named,
        **{name: entry[name] for name in rest if name in entry},
    )


def _event(event: dict[str, Any]) -> PlantedEvent:
    if event["label"] not in THREE:
        raise ValueError(f"label must be one of {THREE.names}, got {event['label']!r}")
    onset, apex, offset = (int(event[f"{name}_frame"]) for name in ("onset", "apex", "offset"))
    units = tuple(str(unit) for unit in event["action_units"])
    return PlantedEvent(onset, apex, offset, event["label"], units, float(event["peak_px"]))


class Tracks(NamedTuple):
    """One clip's arrays; pixels are the video's, frames without the person are NaN."""

    landmarks: NDArray[np.float32]  # (frames, 68, 2) the iBUG/300-W points, px
    # (frames, 2, 3) canonical units to px, for the face without its expression
    poses: NDArray[np.float64]
    closure: NDArray[np.float32]  # (frames,) how closed the lids are, 0 to 1
    # (frames, n_units) largest displacement of each of ``UNIT_NAMES`` by expressions and speech
    # (lids: ``closure``), px
    units: NDArray[np.float32]
    flows: NDArray[np.float32]  # (events, h, w, 2) of each micro-expression, as of `Scene.field`

    def save(self, path: Path) -> None:
        """Write a NumPy archive, with the units' names beside the arrays."""
        with path.open("wb") as file:
            np.savez_compressed(file, names=np.array(UNIT_NAMES), **self._asdict())


def tracks_of(scene: Scene) -> Tracks:
    """The arrays of a clip."""
    plan = scene.plan
    times = plan.times
    landmarks = np.array([scene.landmarks(time) for time in times], dtype=np.float32)
    poses = np.array([scene.face_pose(time) for time in times])
    for number, time in enumerate(times):
        if plan.is_absent(time):
            landmarks[number], poses[number] = np.nan, np.nan
    flows = [scene.field(event) for event in range(len(plan.micro))]
    shape = (0, -(-plan.config.height // 2), -(-plan.config.width // 2), 2)
    return Tracks(
        landmarks,
        poses,
        np.array([plan.closure(time) for time in times], dtype=np.float32),
        np.array([scene.units_px(time) for time in times], dtype=np.float32),
        np.stack(flows) if flows else np.zeros(shape, np.float32),
    )
