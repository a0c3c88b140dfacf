"""What was planted: the truth of synthetic clips, and its JSON (``micromimic.truth/1``)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from micromimic.core.errors import InputError
from micromimic.core.labels import THREE
from micromimic.core.types import Interval
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
    # landmarks, poses and flows (`synthesis.tracks`), relative to ``truth.json``
    arrays: str | None = None

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
    named |= {name: entry[name] for name in rest if name in entry}
    return ClipTruth(
        str(entry["path"]),
        float(entry["fps"]),
        int(entry["frames"]),
        tuple(_event(event) for event in entry["events"]),
        expressions=tuple(_event(event) for event in entry.get("expressions", ())),
        **named,
    )


def _event(event: dict[str, Any]) -> PlantedEvent:
    if event["label"] not in THREE:
        raise ValueError(f"label must be one of {THREE.names}, got {event['label']!r}")
    onset, apex, offset = (int(event[f"{name}_frame"]) for name in ("onset", "apex", "offset"))
    return PlantedEvent(
        onset,
        apex,
        offset,
        event["label"],
        tuple(str(unit) for unit in event["action_units"]),
        float(event["peak_px"]),
    )
