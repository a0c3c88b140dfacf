"""What a recording's result says first, the same in report, list, review and command line.

A recording without candidates is a result too: how much of it could be judged, why the rest could
not, and what can be done about this very file. All from the content of ``events.json``, so that a
stored answer says it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CAUSES: Final[Mapping[str, str]] = {
    "head": "head movement",
    "speech": "speech",
    "blink": "blinks",
    "light": "changes of light",
    "edge": "start or end of a stretch",
    "lost": "face not seen",
}
"""Why time could not be judged."""
_LEAST_S: Final = 0.5
_LEAST_SHARE: Final = 0.05  # of the time that could not be judged; smaller causes are not named

Content = Mapping[str, Any]


def summary(content: Content) -> tuple[str, ...]:
    """The first sentences about a recording, of the content of its ``events.json``.

    >>> closed = {"edge": 1.4, "blink": 1.2, "head": 31.3, "speech": 7.6}
    >>> numbers = {"observed_s": {"value": 18.4}, "gated_s": {"value": closed}}
    >>> for sentence in summary({"source": {"duration_s": 60.0}, "face": {"found_ratio": 1.0},
    ...                          "events": [], "indicators": numbers}):
    ...     print(sentence)
    42 of 60 s could not be judged at this size: head movement 31 s, speech 8 s.
    No candidate micro-expressions in 18 s.
    """
    return (judged_sentence(content), found_sentence(content))


def unjudged(content: Content) -> dict[str, float]:
    """Seconds in which nothing of a micro-expression's size could be found, by cause; the most
    first. What no cause explains is the start or end of a stretch."""
    whole = float(content["source"]["duration_s"])
    seconds = {name: float(s) for name, s in (_value(content, "gated_s") or {}).items()}
    seconds["lost"] = (1 - float(content["face"]["found_ratio"])) * whole
    rest = whole - observed(content) - sum(seconds.values())
    seconds["edge"] = seconds.get("edge", 0.0) + max(0.0, rest)
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def observed(content: Content) -> float:
    """Seconds in which a movement of a micro-expression's size could have been found."""
    return float(_value(content, "observed_s") or 0.0)


def judged_sentence(content: Content) -> str:
    """How much of the recording could not be judged, and why."""
    whole = float(content["source"]["duration_s"])
    closed = max(0.0, whole - observed(content))
    if closed < _LEAST_S:
        return f"All of the {_s(whole)} s could be judged."
    causes = [
        f"{CAUSES.get(cause, cause)} {_s(seconds)} s"
        for cause, seconds in unjudged(content).items()
        if seconds >= max(_LEAST_S, _LEAST_SHARE * closed)
    ]
    because = f": {', '.join(causes)}" if causes else ""
    lead = "None" if observed(content) < _LEAST_S else _s(closed)
    of = f"of the {_s(whole)}" if lead == "None" else f"of {_s(whole)}"
    return f"{lead} {of} s could {'' if lead == 'None' else 'not '}be judged at this size{because}."


def found_sentence(content: Content) -> str:
    """What was found in the rest: candidates, longer expressions, and what was held back."""
    events = content["events"]
    longer = sum(event.get("kind") == "macro" for event in events)
    micro, held = len(events) - longer, sum((_value(content, "rejected") or {}).values())
    parts = [f"{_counted(micro, 'candidate micro-expression')} in {_s(observed(content))} s"]
    if longer:
        parts.append(_counted(longer, "longer expression"))
    if held:
        parts.append(f"{_counted(held, 'movement')} seen and not reported")
    text = ", ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _value(content: Content, name: str) -> Any:
    return (content.get("indicators") or {}).get(name, {}).get("value")


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _s(seconds: float) -> str:
    """Whole seconds where there are many of them.

    >>> _s(31.3), _s(7.62), _s(1.98), _s(0.0)
    ('31', '8', '2', '0')
    """
    return f"{seconds:.0f}" if seconds >= 1.95 or seconds == 0 else f"{seconds:.1f}"
