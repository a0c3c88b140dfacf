"""What a live session says, message by message, and to whom; each becomes one line of JSON.

Times are seconds from the session's first frame; frame numbers count received frames from 0,
dropped ones included. Every listener has a mailbox of its own, so that none can hold up another.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from micromimic.core.mailbox import Mailbox
from micromimic.core.results import ModelInfo, event_to_dict
from micromimic.core.strict_json import json_text, tidy
from micromimic.core.types import FloatArray, MicroExpression

LIVE_SCHEMA: Final = "micromimic.live/1"

State = Literal["waiting", "no_face", "learning", "watching", "lost_source"]
"""``waiting`` for a first frame; ``no_face``; ``learning`` this face's noise; ``watching``;
``lost_source``: the camera or stream is gone and is being retried."""


@dataclass(frozen=True)
class Started:
    """The first message."""

    source: str
    """What is watched, for people."""
    model: ModelInfo
    """Which model names the events."""
    policy: str
    """What happens when the machine cannot keep up, in one sentence."""

    def to_dict(self) -> dict[str, Any]:
        about = {"source": self.source, "model": self.model.to_dict(), "policy": self.policy}
        return {"type": "start", "schema": LIVE_SCHEMA, **about}


@dataclass(frozen=True)
class FaceShape:
    """A face was locked on: its shape in canonical units, valid until the next such message."""

    segment: int
    """Number of the unbroken stretch of tracking."""
    landmarks: FloatArray
    """(68, 2) canonical units."""
    cells: FloatArray
    """(10, 4) left, top, right, bottom, canonical units, order ``labels.CELLS``."""

    def to_dict(self) -> dict[str, Any]:
        return {"type": "face", **tidy(vars(self), 3)}


@dataclass(frozen=True)
class CurvePoint:
    """The motion at one frame, known at once: displacement from the last seconds' rest."""

    frame: int
    """Of the frame."""
    time: float
    found: bool
    """The face was tracked; else the rest is None."""
    segment: int = -1
    """Stretch of tracking, as in ``FaceShape``."""
    score: float | None = None
    """Root mean square of the three strongest cells' displacement from their local rest, in
    multiples of its own noise; None while that noise is being learnt."""
    cells: FloatArray | None = None
    """(10,) each cell's displacement from its local rest, canonical units."""
    transform: FloatArray | None = None
    """(2, 3) canonical units to image pixels."""
    latency_s: float = 0.0
    """From the frame's arrival to this message."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "type": "curve",
            "frame": self.frame,
            "time_s": round(self.time, 6),
            "found": self.found,
            "segment": self.segment,
            "score": tidy(self.score, 4),
            "cells": tidy(self.cells, 5),
            "transform": tidy(self.transform, 4),
            "latency_ms": round(1000 * self.latency_s, 3),
        }


@dataclass(frozen=True)
class LiveEvent:
    """A candidate, within half a second of its offset or, late, at a second look."""

    number: int
    """From 1, in order of reporting."""
    event: MicroExpression
    """As in an analysis; ``evidence`` where pictures are wanted."""
    delay_s: float
    """From the offset to this message, in the source's time."""
    late: bool
    """Found while this face's noise was being learnt, or only at the second look: the half second
    does not hold."""
    segment: int
    """Stretch of tracking."""

    def to_dict(self) -> dict[str, Any]:
        """One line of JSON: the fields of ``events.json``, with ``id``, ``delay_s``, ``late``."""
        return {
            "type": "event",
            "id": self.number,
            "delay_s": round(self.delay_s, 4),
            "late": self.late,
            "segment": self.segment,
            **event_to_dict(self.event),
        }


@dataclass(frozen=True)
class Settled:
    """The second look at an event, with all of its future known."""

    number: int
    """Of the event."""
    kept: bool
    """Confirmed, or withdrawn."""
    reason: str = ""
    """Why it was withdrawn, as ``results.Rejected``; ``gone`` if it no longer stands out."""

    def to_dict(self) -> dict[str, Any]:
        kind = "confirmed" if self.kept else "withdrawn"
        return {"type": kind, "id": self.number, "reason": self.reason}


@dataclass(frozen=True)
class Status:
    """How the session is doing, once a second."""

    time: float
    """Of the last frame."""
    state: State
    """What it is doing."""
    fps: float
    """Rate of the processed frames over the last seconds."""
    source_fps: float
    """Rate at which frames arrived."""
    received: int
    """Frames since the start."""
    processed: int
    dropped: int
    thinning: int
    """Every how many-th frame is taken now; 1 means all of them."""
    shortest_s: float | None
    """The shortest movement that the processed rate can still resolve."""
    latency_ms: Mapping[str, float]
    """``median`` and ``p95`` from a frame's arrival to its point of the curve."""
    events: int
    """Reported so far."""
    detail: str = ""
    """One line where something is wrong, else empty."""

    def to_dict(self) -> dict[str, Any]:
        content = vars(self) | {
            "fps": round(self.fps, 2),
            "source_fps": round(self.source_fps, 2),
            "shortest_s": tidy(self.shortest_s, 4),
            "latency_ms": tidy(self.latency_ms, 3),
        }
        return {"type": "status", "time_s": round(content.pop("time"), 6), **content}


@dataclass(frozen=True)
class Ended:
    """The last message: why it ended, and the counts."""

    reason: str
    received: int
    processed: int
    dropped: int
    events: int
    withdrawn: int

    def to_dict(self) -> dict[str, Any]:
        return {"type": "end", **vars(self)}


LiveMessage = Started | FaceShape | CurvePoint | LiveEvent | Settled | Status | Ended


def json_line(message: LiveMessage) -> str:
    """A message as one line of strict JSON; numbers that are not finite become null."""
    return json_text(message.to_dict())


MOST_PASSING: Final = 4000  # messages of passing interest that wait for a slow listener
_REPLAYED: Final = (Started, FaceShape, Status)
_DRAWN: Final = (CurvePoint, FaceShape)
_PASSING: Final = (*_DRAWN, Status)


class Listeners:
    """Hands every message to every listener, and never waits for one. Who reads too slowly loses
    points of the curve, shapes and statuses, the oldest half at once; events, confirmations and the
    end never."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._boxes: dict[Mailbox[LiveMessage], bool] = {}
        self._last: dict[type, LiveMessage] = {}
        self._ended = False

    def add(self, most: int = MOST_PASSING, *, curve: bool = True) -> Mailbox[LiveMessage]:
        """Begin to listen, until the mailbox is closed: first the last start, shape and status."""
        box = Mailbox[LiveMessage](most, passes=lambda item: isinstance(item, _PASSING))
        with self._lock:
            for kind in _REPLAYED:
                if kind in self._last and (curve or kind not in _DRAWN):
                    box.put(self._last[kind])
            self._boxes[box] = curve
            if self._ended:
                box.end()
        return box

    def put(self, message: LiveMessage) -> None:
        """Hand a message to everyone; after the end it is let go."""
        drawn = isinstance(message, _DRAWN)
        with self._lock:
            if isinstance(message, _REPLAYED):
                self._last[type(message)] = message
            gone = [
                box
                for box, curve in self._boxes.items()
                if (curve or not drawn) and not box.put(message)
            ]
            for box in gone:
                del self._boxes[box]

    def end(self) -> None:
        with self._lock:
            self._ended = True
            for box in self._boxes:
                box.end()
