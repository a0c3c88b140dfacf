"""From the machine's events and one coder's decisions to what that coder sees: pure functions.

Decisions are only ever added. Undo is a decision that names the one it takes back, redo one that
names the one it brings back; any other decision clears what could be redone. To correct an event,
its class or its times, is to accept it. The machine's own entries are read, never changed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from micromimic.core.errors import RefusedError
from micromimic.core.labels import THREE
from micromimic.core.results import kind_of
from micromimic.core.types import LONGEST_MICRO_S, ExpressionKind
from micromimic.workstation.records.payloads import (
    ACTIONS,
    CODES,
    DECIDING,
    FRAMES,
    Action,
    CodingMode,
    checked_payload,
)
from micromimic.workstation.records.scheme import Scheme

if TYPE_CHECKING:
    from micromimic.workstation.records.models import Decision

EventStatus = Literal["pending", "accepted", "rejected"]
_SECONDS: Final = ("onset_s", "apex_s", "offset_s")
_THREE: Final = Scheme.of_labels(THREE.names)


@dataclass(frozen=True)
class FrameTimes:
    """When each frame of a recording was taken.

    ``times`` are the seconds of every frame where the rate varies, None where it is even.

    >>> FrameTimes(1000, 200.0).seconds(30), FrameTimes(3, 30.0, times=(0.0, 0.03, 0.2)).seconds(2)
    (0.15, 0.2)
    """

    frames: int
    fps: float
    start_s: float = 0.0
    times: Sequence[float] | None = None

    def __post_init__(self) -> None:
        if self.frames < 0 or not (self.fps > 0 and math.isfinite(self.fps)):
            raise ValueError(f"expected frames >= 0 and fps > 0, got {self.frames} and {self.fps}")
        if self.times is None:
            return
        if len(self.times) != self.frames:
            raise ValueError(f"times must be ({self.frames},), got ({len(self.times)},)")
        if any(b < a for a, b in zip(self.times, self.times[1:], strict=False)):
            raise ValueError("expected times in ascending order, got one that goes back")

    @classmethod
    def of(cls, review: Mapping[str, Any]) -> FrameTimes:
        """From the content of ``review.json``."""
        return cls(
            int(review["frames"]),
            float(review["fps"]),
            float(review.get("start_s") or 0.0),
            review.get("frame_times"),
        )

    @classmethod
    def of_media(cls, review: Mapping[str, Any]) -> FrameTimes | None:
        """Where a player of the video shows them; None where that is no other time."""
        media = review.get("media")
        return cls.of({**media, "frames": review["frames"]}) if media else None

    def seconds(self, frame: int) -> float:
        """Time of one frame, seconds to the microsecond."""
        if not 0 <= frame < self.frames:
            raise ValueError(f"expected a frame from 0 to {self.frames - 1}, got {frame}")
        if self.times is not None:
            return round(float(self.times[frame]), 6)
        return round(self.start_s + frame / self.fps, 6)

    def nearest(self, seconds: float) -> int:
        """The frame taken nearest to a time; the first or the last where it lies outside."""
        if self.times is None:
            frame = round((seconds - self.start_s) * self.fps)
        else:
            after = bisect_left(self.times, seconds)
            near = [n for n in (after - 1, after) if 0 <= n < self.frames]
            frame = min(near, key=lambda n: abs(self.times[n] - seconds), default=0)  # type: ignore[index]
        return max(0, min(frame, self.frames - 1))


@dataclass(frozen=True)
class ReviewedEvent:
    """An event as one coder sees it now.

    ``key`` is ``m0`` for the machine's first, ``c3`` for the one that decision 3 added. ``status``
    is ``pending`` until the coder has decided; an added event is accepted. Label, frames and
    seconds are the coder's where changed, else the machine's, which ``changed`` tells apart.
    ``machine`` is the machine's own entry of ``events.json``; None for an added event. ``kind`` is
    the machine's where onset and offset are; else ``macro`` from ``types.LONGEST_MICRO_S`` on.
    ``units``, ``certainty`` and ``tags`` are what the coder said beside the class. ``mode``: None
    while pending; ``blind`` where nothing in force was decided after the machine's answer was
    shown. ``masked``: the machine's answer is hidden, see `blind`.
    """

    key: str
    status: EventStatus
    label: str
    onset_frame: int
    apex_frame: int
    offset_frame: int
    onset_s: float
    apex_s: float
    offset_s: float
    note: str
    changed: bool
    decided_at: datetime | None
    machine: Mapping[str, Any] | None
    kind: ExpressionKind = "micro"
    units: Sequence[Mapping[str, Any]] = ()
    certainty: str = ""
    tags: Sequence[str] = ()
    mode: CodingMode | None = None
    masked: bool = False

    @property
    def added(self) -> bool:
        """By the coder, not found by the machine."""
        return self.key.startswith("c")

    def at(self, frames: Iterable[int], seconds: Iterable[float], **more: Any) -> ReviewedEvent:
        """The event with this onset, apex and offset, and whatever else changes."""
        places = dict(zip((*FRAMES, *_SECONDS), (*frames, *seconds), strict=True))
        return replace(self, **{**places, **more})


@dataclass(frozen=True)
class Review:
    """One coder's review of one recording.

    ``number`` is of the coder's last decision, 0 before the first; a new decision must name it.
    ``events`` are by onset, removed ones left out. ``undoable`` and ``redoable`` are the numbers of
    the decisions that undo or redo would concern. ``complete``: no micro-expression is pending.
    ``done``: the coder has marked it done, and decided nothing since; until then the others'
    decisions are hidden from this coder.
    """

    recording_id: str
    coder: str
    number: int
    events: tuple[ReviewedEvent, ...]
    undoable: int | None
    redoable: int | None
    complete: bool
    done: bool


@dataclass(frozen=True)
class Entry:
    """What a decision adds to the trail, checked and completed: columns of `models.Decision`."""

    action: Action
    event: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    target: int | None = None
    mode: CodingMode = "open"


def effective(decisions: Iterable[Decision]) -> tuple[Decision, ...]:
    """Those that count now: neither undone nor an undo or redo themselves, in their order."""
    return tuple(_stacks(decisions)[0])


def is_done(decisions: Iterable[Decision]) -> bool:
    """Whether the coder has marked the review done, and no decision in force came after."""
    in_force, _ = _stacks(decisions)
    return bool(in_force) and in_force[-1].action == "done"


def next_steps(decisions: Iterable[Decision]) -> dict[str, int | None]:
    """Numbers of the decisions that ``undo`` would take back and ``redo`` bring back, or None."""
    in_force, undone = _stacks(decisions)
    return {
        "undo": in_force[-1].number if in_force else None,
        "redo": undone[-1].number if undone else None,
    }


def reviewed(
    machine: Sequence[Mapping[str, Any]], decisions: Sequence[Decision], times: FrameTimes
) -> tuple[ReviewedEvent, ...]:
    """The events as one coder sees them, by onset; those removed are left out.

    ``machine`` are the ``events`` of ``events.json``, ``decisions`` one coder's by number.
    `RefusedError` where a decision does not fit, such as one on an event that is not there.
    """
    events = {f"m{k}": _event(f"m{k}", entry, entry) for k, entry in enumerate(machine)}
    for decision in effective(decisions):
        _apply(events, decision, times)
    order = attrgetter("onset_frame", "apex_frame", "added")
    return tuple(sorted(events.values(), key=lambda e: (*order(e), int(e.key[1:]))))


def make_review(
    recording_id: str,
    coder: str,
    machine: Sequence[Mapping[str, Any]],
    decisions: Sequence[Decision],
    times: FrameTimes,
) -> Review:
    events = reviewed(machine, decisions, times)
    steps = next_steps(decisions)
    return Review(
        recording_id=recording_id,
        coder=coder,
        number=decisions[-1].number if decisions else 0,
        events=events,
        undoable=steps["undo"],
        redoable=steps["redo"],
        complete=not any(map(_open, events)),
        done=is_done(decisions),
    )


def codings_in_force(decisions: Iterable[Decision]) -> list[dict[str, Any]]:
    """What a coder says of each event held to be there: its ``event``, and of ``label``, ``units``,
    ``certainty`` and ``tags`` what was said; a class that was not is the machine's.
    """
    said: dict[str, dict[str, Any]] = {}
    status: dict[str, str] = {}
    for decision in effective(decisions):
        key = f"c{decision.number}" if decision.action == "add" else decision.event
        if decision.action == "remove":
            del status[key]
        elif key:
            status[key] = _STATUS.get(decision.action) or status.get(key, "pending")
            said[key] = {**said.get(key, {}), **decision.payload, "event": key}
    return [said[key] for key, now in status.items() if now == "accepted"]


def check(
    machine: Sequence[Mapping[str, Any]],
    decisions: Sequence[Decision],
    times: FrameTimes,
    *,
    action: str,
    event: str = "",
    payload: Mapping[str, Any] | None = None,
    scheme: Scheme = _THREE,
    blind: bool = False,
) -> Entry:
    """Whether a decision may be added, and what exactly would be.

    ``payload`` is what the action needs of ``label``, ``onset_frame``, ``apex_frame``,
    ``offset_frame``, ``units``, ``certainty``, ``tags``, ``note``; values that are None count as
    left out. ``blind``: the study is coded blind to the machine. `RefusedError` where an action,
    event or label is unknown, frames are out of order or outside the video, something is missing or
    not asked for, or there is nothing to undo or redo.
    """
    if action not in ACTIONS:
        raise RefusedError(
            f"expected an action among {', '.join(ACTIONS)}, got {action!r}; use one of them"
        )
    given = {name: value for name, value in (payload or {}).items() if value is not None}
    given = checked_payload(action, given, scheme)
    mode: CodingMode = "blind" if blind else "open"
    if action in ("undo", "redo"):
        target = next_steps(decisions)[action]
        if target is None or event:
            got = f"event {event!r}" if event else "none"
            raise RefusedError(f"expected a decision to {action}, got {got}; nothing was changed")
        return Entry(action, target=target, mode=mode)
    events = {item.key: item for item in reviewed(machine, decisions, times)}
    if action == "done":
        _check_done(events.values(), event, decisions)
        return Entry(action, mode=mode)
    if blind and action in _STATUS and shown_before(decisions, event):
        mode = "open"
    if action == "add":
        if event:
            raise RefusedError(
                f"expected no event named for a new one, got {event!r}; leave it empty"
            )
        event = f"c{decisions[-1].number + 1 if decisions else 1}"
        _frames_of(given, None, times)
        return Entry(action, event, given, mode=mode)
    before = _known(events, event)
    if action == "remove":
        _check_removable(before)
    if action in ("accept", "relabel", "move"):
        if is_masked(before, blind=blind, done=is_done(decisions)):
            _check_own(action, given)
        if given.get("label", before.label) not in scheme.labels:
            raise RefusedError(
                f"expected a label among {', '.join(scheme.labels)} with {action}, got the "
                f"machine's {before.label!r} alone; accept it with one of them"
            )
        _frames_of(given, before, times)
    return Entry(action, event, given, mode=mode)


def is_masked(event: ReviewedEvent, *, blind: bool, done: bool) -> bool:
    """Whether the machine's answer to an event is hidden from the coder whose review it is."""
    return blind and not done and event.status == "pending" and event.machine is not None


def shown_before(decisions: Iterable[Decision], event: str) -> bool:
    """Whether a coder of a blind study has been shown what the machine says of an event.

    So it is once it was decided, though that was undone since; once the recording was marked done;
    and all of it where the study was open when the coder was there.
    """
    decided: set[str] = set()
    for decision in decisions:
        while_open = decision.mode == "open" and decision.event not in decided
        if decision.action == "done" or while_open:
            return True
        if decision.action in DECIDING and decision.event.startswith("m"):
            decided.add(decision.event)
    return event in decided


def _stacks(decisions: Iterable[Decision]) -> tuple[list[Decision], list[Decision]]:
    """Decisions in force, and those undone that can still be brought back; the last is next."""
    done: list[Decision] = []
    undone: list[Decision] = []
    for decision in decisions:
        if decision.action == "undo":
            _move_top(done, undone, decision)
        elif decision.action == "redo":
            _move_top(undone, done, decision)
        else:
            done.append(decision)
            undone.clear()
    return done, undone


def _move_top(source: list[Decision], target: list[Decision], decision: Decision) -> None:
    top = source[-1].number if source else None
    if top is None or top != decision.target:
        raise RefusedError(
            f"expected {decision.action} {decision.number} of {decision.coder} to concern "
            f"decision {top}, got {decision.target}; the trail is damaged, restore a backup"
        )
    target.append(source.pop())


_STATUS: Final[Mapping[str, EventStatus]] = {
    "accept": "accepted",
    "reject": "rejected",
    "relabel": "accepted",
    "move": "accepted",
    "add": "accepted",
}


def _event(key: str, entry: Mapping[str, Any], machine: Mapping[str, Any] | None) -> ReviewedEvent:
    """One that nothing was decided on yet, of the machine's entry or a coder's with seconds."""
    onset, apex, offset = (int(entry[name]) for name in FRAMES)
    onset_s, apex_s, offset_s = (float(entry[name]) for name in _SECONDS)
    return ReviewedEvent(
        key=key,
        status="pending",
        label=str(entry["label"]),
        onset_frame=onset,
        apex_frame=apex,
        offset_frame=offset,
        onset_s=onset_s,
        apex_s=apex_s,
        offset_s=offset_s,
        note="",
        changed=False,
        decided_at=None,
        machine=machine,
        kind=_kind(onset_s, offset_s) if machine is None else kind_of(machine),
    )


def _kind(onset_s: float, offset_s: float) -> ExpressionKind:
    return "macro" if offset_s - onset_s > LONGEST_MICRO_S else "micro"


def _apply(events: dict[str, ReviewedEvent], decision: Decision, times: FrameTimes) -> None:
    """Put one decision into effect."""
    payload, action = decision.payload, decision.action
    if action == "done":
        return
    if action == "add":
        seconds = map(times.seconds, _frames_of(payload, None, times))
        entry = {**payload, **dict(zip(_SECONDS, seconds, strict=True))}
        event = _event(f"c{decision.number}", entry, None)
    else:
        event = _known(events, decision.event)
        if action == "remove":
            _check_removable(event)
            del events[event.key]
            return
        event = _corrected(event, payload, times)
    mode = event.mode
    if action in _STATUS:
        mode = decision.mode if mode in (None, decision.mode) else "open"
    said = {name: payload[name] for name in (*CODES, "note") if name in payload}
    events[event.key] = replace(
        event,
        status=_STATUS.get(action, event.status),
        decided_at=decision.decided_at,
        mode=mode,
        **said,
    )


def _corrected(
    event: ReviewedEvent, payload: Mapping[str, Any], times: FrameTimes
) -> ReviewedEvent:
    """With a decision's class and frames; seconds are the machine's where it has them."""
    machine = event.machine
    label = str(payload.get("label", event.label))
    frames = _frames_of(payload, event, times)
    seconds = [times.seconds(frame) for frame in frames]
    if machine is None:
        return event.at(frames, seconds, label=label, kind=_kind(seconds[0], seconds[2]))
    own = {int(machine[f]): float(machine[s]) for f, s in zip(FRAMES, _SECONDS, strict=True)}
    mixed = [own.get(frame, clock) for frame, clock in zip(frames, seconds, strict=True)]
    if mixed == sorted(mixed):  # rates are rounded in files; never mix two clocks out of order
        seconds = mixed
    moved = frames != tuple(int(machine[name]) for name in FRAMES)
    return event.at(
        frames,
        seconds,
        label=label,
        changed=moved or label != machine["label"],
        kind=_kind(seconds[0], seconds[2]) if moved else kind_of(machine),
    )


def _frames_of(
    payload: Mapping[str, Any], before: ReviewedEvent | None, times: FrameTimes
) -> tuple[int, int, int]:
    """Onset, apex and offset after a decision: those given, else those before."""
    onset, apex, offset = (
        int(payload[name] if name in payload else getattr(before, name)) for name in FRAMES
    )
    if not 0 <= onset <= apex <= offset < times.frames:
        raise RefusedError(
            f"expected 0 <= onset <= apex <= offset <= {times.frames - 1}, got {onset}, {apex}, "
            f"{offset}; choose frames in that order"
        )
    return onset, apex, offset


def _known(events: Mapping[str, ReviewedEvent], key: str) -> ReviewedEvent:
    if key not in events:
        listed = ", ".join(sorted(events)[:8]) or "none there"
        raise RefusedError(f"expected an event of this review ({listed}), got {key!r}; reload it")
    return events[key]


def _check_own(action: str, given: Mapping[str, Any]) -> None:
    missing = [name for name in ("label", *FRAMES) if name not in given]
    if action != "accept" or missing:
        got = f"{action}" if action != "accept" else f"no {', '.join(missing)}"
        raise RefusedError(
            "expected accept with label and three frames of your own, since this study is coded "
            f"blind, got {got}; decide the event first"
        )


def _check_done(events: Iterable[ReviewedEvent], event: str, decisions: Sequence[Decision]) -> None:
    pending = sum(map(_open, events))
    if event or pending or is_done(decisions):
        left = f"{pending} undecided" if pending else "one marked done already"
        got = f"event {event!r}" if event else left
        raise RefusedError(
            f"expected a review with every micro-expression decided to mark done, got {got}; "
            "nothing was changed"
        )


def _open(event: ReviewedEvent) -> bool:
    """Whether it must be decided before a review is done: longer expressions need not."""
    return event.status == "pending" and event.kind == "micro"


def _check_removable(event: ReviewedEvent) -> None:
    if event.machine is not None:
        raise RefusedError(
            f"expected an event that you added, got the machine's {event.key}; reject it instead"
        )
