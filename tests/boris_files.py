"""Files as BORIS 7 and 8 write them."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

SMILE = ("smile", "State event", "mouth")
LOOK = ("look away", "Point event", "")
FPS = 200.0


def project(
    observations: dict[str, dict[str, Any]], behaviours: tuple[Any, ...] = (SMILE, LOOK)
) -> str:
    """A ``.boris`` project."""
    return json.dumps(
        {
            "time_format": "hh:mm:ss",
            "project_name": "study",
            "project_date": "2026-11-20T10:00:00",
            "project_format_version": "7.0",
            "project_description": "",
            "subjects_conf": {"0": {"key": "1", "name": "child", "description": ""}},
            "behavioral_categories": ["mouth"],
            "behaviors_conf": {
                str(k): {
                    "type": kind, "key": code[0], "code": code, "description": "",
                    "category": category, "modifiers": {}, "excluded": "", "coding map": "",
                }
                for k, (code, kind, category) in enumerate(behaviours)
            },
            "observations": observations,
            "independent_variables": {},
            "converters": {},
        },
        indent=1,
    )  # fmt: skip


def observation(
    events: list[list[Any]],
    media: tuple[str, ...] = ("/home/lab/interview.mp4",),
    fps: float = FPS,
    length: float = 20.0,
    **more: Any,
) -> dict[str, Any]:
    """One observation of a project."""
    return {
        "file": {"1": list(media), "2": []},
        "type": "MEDIA" if media else "LIVE",
        "date": "2026-11-20T10:00:00",
        "description": "",
        "time offset": 0.0,
        "events": events,
        "independent_variables": {},
        "media_info": {
            "length": dict.fromkeys(media, length),
            "fps": dict.fromkeys(media, fps),
            "hasVideo": dict.fromkeys(media, True),
            "hasAudio": dict.fromkeys(media, False),
            "offset": {"1": 0.0},
        },
        **more,
    }


EVENTS = [
    [1.0, "child", "smile", "left|None", "shy", 200],
    [2.5, "", "look away", "None", "", 500],
    [2.0, "child", "smile", "left|None", "", 400],
    [3.0, "", "smile", "", "", 600],
    [3.75, "", "smile", "", "", 750],
]
"""Two states and a point, as they were pressed."""
SEEN = [
    ("child - mouth", "smile", 1.0, 2.0, "left", "shy"),
    ("BORIS", "look away", 2.5, 2.5, "", ""),
    ("mouth", "smile", 3.0, 3.75, "", ""),
]
"""What they say."""

_SINGLE = (
    "Observation id,Observation date,Description,Observation duration,Observation type,Source,"
    "Time offset (s),Media duration (s),FPS,Subject,"
    "Observation duration by subject by observation,Behavior,Behavioral category,Modifiers,"
    "Behavior type,Time,Media file name,Image index,Image file path,Comment"
)
_AGGREGATED = (
    "Observation id,Observation date,Description,Media file,Total length,FPS,Subject,Behavior,"
    "Behavioral category,Modifiers,Behavior type,Start (s),Stop (s),Duration (s),Comment start,"
    "Comment stop"
)


def single_events(media: str = "interview.mp4", fps: float = FPS) -> str:
    """`EVENTS` as BORIS 8 exports single events."""
    rows = [
        ("o 1", "2026-11-20 10:00:00", "", "20.0", "Media file(s)", f"player #1:{media}", "0.0",
         "20.0", fps, subject or "No focal subject", "20.0", code, "mouth" * (code == "smile"),
         modifiers, edge, f"{time:.3f}", media, frame, "NA", note)
        for (time, subject, code, modifiers, note, frame), edge in zip(
            EVENTS, ("START", "POINT", "STOP", "START", "STOP"), strict=True)
    ]  # fmt: skip
    return _csv(_SINGLE, rows)


def aggregated_events(media: str = "interview.mp4", fps: float = FPS) -> str:
    """The same as whole behaviours."""
    rows = [
        ("o 1", "2026-11-20 10:00:00", "", media, "20.0", fps, tier.partition(" - ")[0]
         if tier.startswith("child") else "No focal subject", label, "mouth" * (label == "smile"),
         modifiers, "POINT" if start == stop else "STATE", f"{start:.3f}", f"{stop:.3f}",
         "NA" if start == stop else stop - start, note, "")
        for tier, label, start, stop, modifiers, note in SEEN
    ]  # fmt: skip
    return _csv(_AGGREGATED, rows)


def old_events() -> str:
    """The same as BORIS 7 exports one observation: a heading, then the table."""
    heading = [
        ["Observation id", "o 1"], [""], ["Media file(s)"], ["Player #1", "interview.mp4"],
        ["Observation date", "2026-11-20 10:00:00"], ["Time offset (s)", "0.0"], [""],
        ["independent variables"], ["variable", "value"], [""],
    ]  # fmt: skip
    header = (
        "Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Modifiers,"
        "Comment,Status"
    )
    edges = ("START", "POINT", "STOP", "START", "STOP")
    rows = [
        (f"{time:.3f}", "interview.mp4", "20.0", FPS, subject, code, "mouth" * (code == "smile"),
         modifiers, note, edge)
        for (time, subject, code, modifiers, note, _), edge in zip(EVENTS, edges, strict=True)
    ]  # fmt: skip
    return _csv("", heading) + _csv(header, rows)


def _csv(header: str, rows: list[Any]) -> str:
    text = io.StringIO(newline="")
    if header:
        text.write(header + "\n")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
