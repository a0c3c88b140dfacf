"""What was planted: the truth of synthetic clips, and its JSON (``micromimic.truth/1``)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE
from micromimic.core.types import Interval
from micromimic.synthesis.schedule import ClipPlan, Movement

T = TypeVar("T")

TRUTH_SCHEMA: Final = "micromimic.truth/1"


@dataclass(frozen=True)
class PlantedEvent:
    """One planted expression; frames are the nearest to the planted times.

    Args:
        onset_frame, apex_frame, offset_frame: from 0.
        label: class.
        action_units: FACS notation.
        peak_px: largest displacement, image pixels.
    """

    onset_frame: int
    apex_frame: int
    offset_frame: int
    label: str
    action_units: tuple[str, ...]
    peak_px: float

    def interval(self, fps: float) -> Interval:
        """The event in seconds."""
        return Interval(self.onset_frame / fps, self.apex_frame / fps, self.offset_frame / fps)

    def to_dict(self) -> dict[str, Any]:
        """One entry of ``events`` in ``truth.json``."""
        return {
            "onset_frame": self.onset_frame,
            "apex_frame": self.apex_frame,
            "offset_frame": self.offset_frame,
            "label": self.label,
            "action_units": list(self.action_units),
            "peak_px": self.peak_px,
        }


@dataclass(frozen=True)
class ClipTruth:
    """What one clip holds; all spans are (first, last) frames.

    Args:
        path: the video, relative to ``truth.json``.
        fps, frames: of the video.
        events: planted micro-expressions by onset.
        blinks, macros, head_moves, speech: planted disturbances.
        seed: of the clip.
        expressions: what the macro-expressions show, in the order of ``macros``.
        actor: ``photo`` or ``mesh``.
        identity: who, for a mesh.
        arrays: landmarks, poses and flows (`synthesis.tracks`), relative to ``truth.json``.
    """

    path: str
    fps: float
    frames: int
    events: tuple[PlantedEvent, ...]
    blinks: tuple[tuple[int, int], ...] = ()
    macros: tuple[tuple[int, int], ...] = ()
    head_moves: tuple[tuple[int, int], ...] = ()
    seed: int | None = None
    speech: tuple[tuple[int, int], ...] = ()
    expressions: tuple[PlantedEvent, ...] = ()
    actor: str = "photo"
    identity: int | None = None
    arrays: str | None = None

    def intervals(self) -> tuple[Interval, ...]:
        """The events in seconds."""
        return tuple(event.interval(self.fps) for event in self.events)

    def to_dict(self) -> dict[str, Any]:
        """One entry of ``clips`` in ``truth.json``."""
        return {
            "path": self.path,
            "fps": self.fps,
            "frames": self.frames,
            "events": [event.to_dict() for event in self.events],
            "blinks": [list(span) for span in self.blinks],
            "macros": [list(span) for span in self.macros],
            "head_moves": [list(span) for span in self.head_moves],
            "speech": [list(span) for span in self.speech],
            "expressions": [event.to_dict() for event in self.expressions],
            "seed": self.seed,
            "actor": self.actor,
            "identity": self.identity,
            "arrays": self.arrays,
        }


def truth_of(plan: ClipPlan, path: str) -> ClipTruth:
    """The truth of a planned clip that is written to ``path``."""
    fps, last = plan.config.fps, plan.config.frames - 1

    def frame(time: float) -> int:
        return min(last, round(time * fps))

    def expression(move: Movement) -> PlantedEvent:
        return PlantedEvent(
            frame(move.onset),
            frame(move.apex),
            frame(move.offset),
            move.recipe.label,
            move.recipe.action_units,
            move.peak_px,
        )

    macros = tuple(expression(move) for move in plan.movements if move.kind == "macro")
    return ClipTruth(
        path,
        fps,
        plan.config.frames,
        tuple(expression(move) for move in plan.micro),
        tuple((frame(b.start), frame(b.end)) for b in plan.blinks),
        tuple((macro.onset_frame, macro.offset_frame) for macro in macros),
        tuple((frame(h.start), frame(h.end)) for h in plan.head_moves),
        plan.seed,
        tuple((frame(span.start), frame(span.end)) for span in plan.speech),
        macros,
    )


def truth_document(clips: list[ClipTruth]) -> dict[str, Any]:
    """The content of ``truth.json``."""
    return {"schema": TRUTH_SCHEMA, "clips": [clip.to_dict() for clip in clips]}


def read_truth(path: str | Path) -> list[ClipTruth]:
    """Read a ``truth.json``.

    Raises:
        InputError: if the file is missing or holds something else.
    """
    return load_truth(path, TRUTH_SCHEMA, lambda content: [_clip(e) for e in content["clips"]])


def load_truth(path: str | Path, schema: str, build: Callable[[dict[str, Any]], T]) -> T:
    """Read a ``truth.json`` of a schema.

    Args:
        path: the file.
        schema: that it must name.
        build: makes the result of its content.

    Raises:
        InputError: if the file is missing or holds something else.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("schema") != schema:
            raise InputError(
                f"expected schema {schema} in {path}, got another; pass its truth.json"
            )
        return build(content)
    except OSError as error:
        raise InputError(
            f"expected to read {path}, got {error.strerror or error}; check the path"
        ) from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"expected a truth.json, got {path} with a fault ({error!r}); write it again"
        ) from None


def _clip(entry: dict[str, Any]) -> ClipTruth:
    def spans(name: str) -> tuple[tuple[int, int], ...]:
        return tuple((int(a), int(b)) for a, b in entry.get(name, ()))

    return ClipTruth(
        str(entry["path"]),
        float(entry["fps"]),
        int(entry["frames"]),
        tuple(_event(event) for event in entry["events"]),
        spans("blinks"),
        spans("macros"),
        spans("head_moves"),
        entry.get("seed"),
        spans("speech"),
        tuple(_event(event) for event in entry.get("expressions", ())),
        str(entry.get("actor", "photo")),
        entry.get("identity"),
        entry.get("arrays"),
    )


def _event(event: dict[str, Any]) -> PlantedEvent:
    if event["label"] not in THREE:
        raise ValueError(f"label must be one of {THREE.names}, got {event['label']!r}")
    return PlantedEvent(
        int(event["onset_frame"]),
        int(event["apex_frame"]),
        int(event["offset_frame"]),
        event["label"],
        tuple(str(unit) for unit in event["action_units"]),
        float(event["peak_px"]),
    )
