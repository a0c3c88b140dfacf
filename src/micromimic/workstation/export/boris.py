"""One recording as a project of BORIS with one observation: a coder's events, and the markers.

A behaviour is a state or a point, and a state of one name, subject and modifiers cannot begin again
before it has ended: what overlaps so has a modifier that tells it apart. BORIS has no apex: it
stands in the comment, where `imports.boris` finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from micromimic.core.strict_json import json_text

VERSION: Final = "7.0"
_STATE: Final = "State event"
_POINT: Final = "Point event"


@dataclass(frozen=True)
class Behaviour:
    """Something that was seen, in seconds of a player; a point where it ends where it begins."""

    category: str
    code: str
    start: float
    end: float
    comment: str = ""
    modifiers: str = ""

    @property
    def kind(self) -> str:
        return _POINT if self.start == self.end else _STATE


def boris_project(
    found: Sequence[Behaviour],
    *,
    name: str,
    observation: str,
    fps: float,
    length: float,
    written: datetime,
) -> str:
    """The text of a ``.boris`` file on one video of this name."""
    codes = _codes(found)
    events: list[list[Any]] = []
    for item, modifiers in zip(found, _told_apart(found), strict=True):
        code = codes[item.category, item.code, item.kind]
        ends = (item.start,) if item.kind == _POINT else (item.start, item.end)
        for place, time in enumerate(ends):
            comment = "" if place else item.comment
            events.append([round(time, 6), "", code, modifiers, comment, round(time * fps)])
    ethogram = {
        str(number): {
            "type": kind,
            "key": "",
            "code": code,
            "description": "",
            "category": category,
            "modifiers": {},
            "excluded": "",
            "coding map": "",
        }
        for number, ((category, _, kind), code) in enumerate(codes.items())
    }
    project = {
        "time_format": "seconds",
        "project_date": written.isoformat(timespec="seconds"),
        "project_name": name,
        "project_description": "written by micromimic",
        "project_format_version": VERSION,
        "subjects_conf": {},
        "behavioral_categories": list(dict.fromkeys(item.category for item in found)),
        "behaviors_conf": ethogram,
        "observations": {
            observation: _observation(
                name, sorted(events, key=lambda e: e[0]), fps, length, written
            )
        },
        "independent_variables": {},
        "coding_map": {},
        "behaviors_coding_map": [],
        "converters": {},
    }
    return json_text(project, indent=1, ensure_ascii=False) + "\n"


def apex_comment(seconds: float) -> str:
    """The apex as a comment.

    >>> apex_comment(1.25)
    'apex 1.250000 s'
    """
    return f"apex {seconds:.6f} s"


def _codes(found: Iterable[Behaviour]) -> dict[tuple[str, str, str], str]:
    """A code of its own for each category, name and kind: BORIS knows a behaviour by its code."""
    codes: dict[tuple[str, str, str], str] = {}
    for item in found:
        key = item.category, item.code, item.kind
        if key not in codes:
            code = item.code
            if code in codes.values():
                code = f"{item.code} ({item.category})"
            while code in codes.values():
                code += " *"
            codes[key] = code
    return codes


def _told_apart(found: Sequence[Behaviour]) -> list[str]:
    """Modifiers by which states that overlap are two."""
    ends: dict[tuple[str, str, str, int], float] = {}
    texts = [""] * len(found)
    for place in sorted(range(len(found)), key=lambda k: found[k].start):
        item, lane = found[place], 0
        while item.start <= ends.get((item.category, item.code, item.modifiers, lane), -1.0):
            lane += 1
        if item.kind == _STATE:
            ends[item.category, item.code, item.modifiers, lane] = item.end
        texts[place] = "|".join(
            filter(None, (item.modifiers, f"at once {lane + 1}" if lane else ""))
        )
    return texts


def _observation(
    name: str, events: list[list[Any]], fps: float, length: float, written: datetime
) -> dict[str, Any]:
    return {
        "file": {"1": [name], **{str(player): [] for player in range(2, 9)}},
        "type": "MEDIA",
        "date": written.isoformat(timespec="seconds"),
        "description": "",
        "time offset": 0.0,
        "events": events,
        "observation time interval": [0, 0],
        "independent_variables": {},
        "visualize_spectrogram": False,
        "close_behaviors_between_videos": False,
        "media_info": {
            "length": {name: length},
            "fps": {name: fps},
            "hasVideo": {name: True},
            "hasAudio": {name: False},
            "offset": {"1": 0.0},
        },
    }
