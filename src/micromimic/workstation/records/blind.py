"""A study coded blind to the machine: what a coder is shown before deciding; pure functions.

Of an undecided event of the machine nothing but a window of some seconds that holds it: no class,
no probability, no unit, and no boundary, for the window is placed by a hash. The curve stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from micromimic.core.strict_json import json_text
from micromimic.workstation.records.review import FrameTimes, Review, ReviewedEvent, is_masked

WINDOW_S: Final = 2.0
"""Length of a window; twice that, or four times, where the event is nearly as long itself."""
MARGIN_S: Final = 1.0
"""By how much a window is longer than its event, at least."""
OPEN_INDICATORS: Final = (
    *("observed_s", "found_ratio", "noise_px", "gated_s", "blinks_per_minute"),
    *("movement_vs_baseline", "cannot_tell"),
)
"""Numbers of a recording that say nothing of its events' classes or places."""
_HELD_BACK: Final = ("rejected", "held_back")
"""Movements that were seen and not reported: the machine's too."""


def masked_review(review: Review, times: FrameTimes) -> Review:
    """A review without what the machine says of events that its coder has not decided."""
    events = [
        _masked(event, review.recording_id, times)
        if is_masked(event, blind=True, done=review.done)
        else event
        for event in review.events
    ]
    ordered = sorted(events, key=lambda event: event.onset_frame)
    return replace(review, events=tuple(ordered))


def masked_indices(events: Iterable[ReviewedEvent]) -> frozenset[int]:
    """Places in ``events.json`` of a review's masked events."""
    return frozenset(int(event.key[1:]) for event in events if event.masked)


def masked_content(content: Mapping[str, Any], masked: Collection[int]) -> dict[str, Any]:
    """``events.json`` or ``review.json`` before a coder is done: null for each masked event."""
    events = [None if n in masked else one for n, one in enumerate(content.get("events", ()))]
    shown = {**content, "events": events}
    if indicators := content.get("indicators"):
        shown["indicators"] = {k: indicators[k] for k in OPEN_INDICATORS if k in indicators}
    return {**shown, **{name: [] for name in _HELD_BACK if name in content}}


def _masked(event: ReviewedEvent, recording_id: str, times: FrameTimes) -> ReviewedEvent:
    start, end = _window(event, recording_id, times)
    frames = start, (start + end) // 2, end
    return event.at(
        frames,
        map(times.seconds, frames),
        label="",
        machine=None,
        kind="micro",  # else it would tell how long the event is
        masked=True,
    )


def _window(event: ReviewedEvent, recording_id: str, times: FrameTimes) -> tuple[int, int]:
    """First and last frame of what is shown of an event: always the same."""
    seconds = WINDOW_S
    while seconds < event.offset_s - event.onset_s + MARGIN_S:
        seconds *= 2  # in steps, for a length that fits would tell the event's own
    length = max(round(seconds * times.fps), event.offset_frame - event.onset_frame)
    spare = length - (event.offset_frame - event.onset_frame)
    # what the coder cannot know is hashed with it: else the place would tell the onset
    hidden = json_text(event.machine, sort_keys=True)
    digest = sha256(f"{recording_id} {event.key} {hidden}".encode()).digest()
    before = spare * int.from_bytes(digest[:4], "big") // 2**32
    start = max(0, min(event.onset_frame - before, times.frames - 1 - length))
    return start, min(start + length, times.frames - 1)
