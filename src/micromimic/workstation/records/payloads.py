"""What each decision of a coder must and may say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, get_args

from micromimic.core.errors import RefusedError
from micromimic.workstation.records.scheme import Scheme
from micromimic.workstation.records.values import note

Action = Literal[
    "accept", "reject", "relabel", "move", "add", "code", "remove", "comment", "done", "undo",
    "redo",
]  # fmt: skip
CodingMode = Literal["open", "blind", "imported"]
"""How a decision was made: the machine's answer in view, before it was shown, or elsewhere."""
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
DECIDING: Final[frozenset[str]] = frozenset({"accept", "reject", "relabel", "move"})
"""Actions that decide whether a machine's event is there."""
FRAMES: Final = ("onset_frame", "apex_frame", "offset_frame")
CODES: Final = ("units", "certainty", "tags")
"""What a scheme lets a coder say beside the class."""
LONGEST_NOTE: Final = 2000
"""Characters of a comment."""

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "relabel": ("label",),
    "add": ("label", *FRAMES),
    "comment": ("note",),
}
_ONE_OF: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "move": (FRAMES, "frame"),
    "code": (CODES, "code"),
}
"""Of these at least one, and what to call them."""
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "accept": ("label", *FRAMES, *CODES, "note"),
    "reject": ("note",),
    "relabel": ("label", *CODES, "note"),
    "move": (*FRAMES, *CODES, "note"),
    "add": ("label", *FRAMES, *CODES, "note"),
    "code": (*CODES, "note"),
    "remove": ("note",),
    "comment": ("note",),
    "done": (),
    "undo": (),
    "redo": (),
}


def checked_payload(action: Action, given: Mapping[str, Any], scheme: Scheme) -> dict[str, Any]:
    """A payload as it is stored: names and types checked, and what it says against the scheme; not
    whether frames fit.
    """
    extra = sorted(set(given) - set(_ALLOWED[action]))
    missing = [name for name in _NEEDED.get(action, ()) if name not in given]
    several, what = _ONE_OF.get(action, ((), ""))
    if several and not set(several) & set(given):
        missing = [what]
    if extra or missing:
        allowed = ", ".join(_ALLOWED[action]) or "nothing more"
        got = ", ".join(extra) if extra else f"no {', '.join(missing)}"
        raise RefusedError(f"expected {allowed} for {action}, got {got}; correct the request")
    checks: dict[str, Callable[[Any], Any]] = {
        "label": scheme.label,
        "units": scheme.coded_units,
        "certainty": scheme.coded_certainty,
        "tags": scheme.coded_tags,
        "note": partial(note, longest=LONGEST_NOTE),
    }
    return {
        name: checks[name](value) if name in checks else _frame(name, value)
        for name, value in given.items()
    }


def _frame(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusedError(
            f"expected {name} to be a whole number, got {value!r}; count frames from 0"
        )
    return value
