"""What a recording's result says first, the same in report, list, review and command line.

A recording without candidates is a result too: how much of it could be judged, why the rest could
not, and what can be done about this very file. All from the content of ``events.json``, so that a
stored answer says it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from micromimic.core.results import STATED_UNITS

REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "blink": ("Blink", "the lids closed with it"),
    "head": ("Head movement", "the head moved too fast to tell face from head"),
    "light": ("Change of light", "the brightness changed with it"),
    "macro": ("Longer movement", "lasts longer, or the face does not return to where it was"),
    "short": ("Too short or too small", "less than the recording resolves"),
    "speech": ("Speech", "the mouth moved on and on, as in speaking or chewing"),
    "crowded": ("One of many in a row", "or no stronger than the seconds around it"),
    "lost": ("Start or end of a stretch", "too near to where the face comes or goes"),
    "edge": ("Start or end of a stretch", "no past or no future to compare with"),
}
"""Why movements are not reported, or time cannot be judged: name and meaning."""

CAUSES: Final[Mapping[str, str]] = {
    "head": "head movement",
    "speech": "speech",
    "blink": "blinks",
    "light": "changes of light",
    "edge": "start or end of a stretch",
    "lost": "face not seen",
}
"""Why time could not be judged, in the middle of a sentence."""
_COPIES: Final = frozenset({"frame_rate", "small_face", "compression", "repeated_frames"})
"""Warnings that the original of a copy may not have."""
_OPEN: Final[Mapping[str, str]] = {
    "head": "Where the head is still the recording can be judged: see the unshaded parts of the "
    "timeline.",
    "speech": "The pauses between words can be judged: see the unshaded parts of the timeline.",
    "lost": "If somebody else or a part of the picture was followed, crop the video to the face.",
}
"""What still serves where much of the time is closed."""
PARTS: Final[Mapping[str, str]] = {
    "forehead": "brows",
    "eyes": "lids",
    "nose": "nose",
    "mouth": "mouth",
    "chin": "chin",
}
"""Regions of the face in the middle of a sentence."""
_LEAST_S: Final = 0.5
_LEAST_SHARE: Final = 0.05  # of the time that could not be judged; smaller causes are not named

Content = Mapping[str, Any]


def summary(content: Content) -> tuple[str, ...]:
    """The first sentences about a recording, of the content of its ``events.json``: what was found,
    and how much could not be judged; where there is no candidate, the latter first, and at the end
    what would have been found.

    >>> closed = {"edge": 1.4, "blink": 1.2, "head": 31.3, "speech": 7.6}
    >>> numbers = {"observed_s": {"value": 18.4}, "gated_s": {"value": closed}}
    >>> for sentence in summary({"source": {"duration_s": 60.0}, "face": {"found_ratio": 1.0},
    ...                          "events": [], "indicators": numbers}):
    ...     print(sentence)
    42 of 60 s could not be judged at this size: head movement 31 s, speech 8 s.
    No candidate micro-expressions in 18 s.
    """
    judged, found = judged_sentence(content), found_sentence(content)
    if any(event.get("kind") != "macro" for event in content["events"]):
        return found, judged
    return tuple(filter(None, (judged, found, limits_sentence(content))))


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
    if observed(content) < _LEAST_S:
        return f"Nothing of the {_s(whole)} s could be judged{because}."
    return f"{_s(closed)} of {_s(whole)} s could not be judged at this size{because}."


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


def limits_sentence(content: Content) -> str:
    """In how much of the time a movement of the stated size would have been found, by region; empty
    where that is not known."""
    limits = content.get("limits") or {}
    scales = [at["median_px"] / at["median_units"] for at in limits.values() if at["median_units"]]
    if not limits:
        return ""
    shares = sorted(((at["open_share"] or 0.0, name) for name, at in limits.items()), reverse=True)
    size = f" ({STATED_UNITS * scales[0]:.1f} px)" if scales else ""
    if not shares[0][0]:
        return (
            f"A movement of a micro-expression's usual size{size} would nowhere on this face have "
            "been found half the time: only larger ones."
        )
    parts = [f"{share_words(share)} at the {PARTS[name]}" for share, name in shares if share]
    if never := [PARTS[name] for share, name in shares if not share]:
        parts.append(f"never at the {' or the '.join(never)}")
    return (
        f"While the face was seen, a movement of a micro-expression's usual size{size} would have "
        f"been found half the time in so much of it: {', '.join(parts)}."
    )


def advice(content: Content) -> tuple[str, ...]:
    """What can be done with this very file, a sentence each; the most useful first."""
    whole = float(content["source"]["duration_s"])
    closed, codes = unjudged(content), {item["code"] for item in content["warnings"]}
    held = [item["reason"] for item in content.get("held_back", ())]
    events = content["events"]
    longer = sum(event.get("kind") == "macro" for event in events)
    found = []
    if longer and longer == len(events):
        found.append(
            f"Look at the {_those(longer, 'longer expression')}: no micro-expressions, but what "
            "this face did show."
        )
    if held and (not events or observed(content) < whole / 2):
        found.append(
            f"Look at the {_those(len(held), 'strong movement')} that "
            f"{'was' if len(held) == 1 else 'were'} held back: a person sees at once what only the "
            "rules have stopped."
        )
    found += [text for cause, text in _OPEN.items() if closed.get(cause, 0.0) > whole / 4]
    if codes & _COPIES:
        found.append(
            "If this is a converted, scaled or sent copy, analyse the camera's own file: it may be "
            "faster, larger or less compressed."
        )
    if not events:
        found.append(
            "A higher sensitivity (analyze --sensitivity high) lists weaker movements too, more of "
            "them made by chance."
        )
    return tuple(found)


def share_words(share: float) -> str:
    """A share of the time as people say it.

    >>> share_words(0.917), share_words(0.997), share_words(0.004), share_words(0.0)
    ('92 %', 'over 99 %', 'under 1 %', 'never')
    """
    if 0.99 < share < 1:
        return "over 99 %"
    if 0 < share < 0.01:
        return "under 1 %"
    return f"{100 * share:.0f} %" if share else "never"


def _value(content: Content, name: str) -> Any:
    return (content.get("indicators") or {}).get(name, {}).get("value")


def _counted(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _those(number: int, noun: str) -> str:
    """
    >>> _those(1, "movement"), _those(3, "movement")
    ('movement', '3 movements')
    """
    return noun if number == 1 else _counted(number, noun)


def _s(seconds: float) -> str:
    """Whole seconds where there are many of them.

    >>> _s(31.3), _s(7.62), _s(1.98), _s(0.0)
    ('31', '8', '2', '0')
    """
    return f"{seconds:.0f}" if seconds >= 1.95 or seconds == 0 else f"{seconds:.1f}"
