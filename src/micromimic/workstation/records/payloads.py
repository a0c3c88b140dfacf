"""What each decision of a coder must and may say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from micromimic.core.errors import RefusedError

Action = Literal[
    "accept", "reject", "relabel", "move", "add", "remove", "comment", "done", "undo", "redo"
]
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
FRAMES: Final = ("onset_frame", "apex_frame", "offset_frame")
LONGEST_NOTE: Final = 2000
"""Characters of a comment."""

_NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "relabel": ("label",),
    "add": ("label", *FRAMES),
    "comment": ("note",),
}
_ALLOWED: Final[Mapping[str, tuple[str, ...]]] = {
    "accept": ("note",),
    "reject": ("note",),
    "relabel": ("label", "note"),
    "move": (*FRAMES, "note"),
    "add": ("label", *FRAMES, "note"),
    "remove": ("note",),
    "comment": ("note",),
    "done": (),
    "undo": (),
    "redo": (),
}


def check_payload(action: Action, given: Mapping[str, Any], labels: Sequence[str]) -> None:
    """Check names and types, labels against the classes there are; not whether frames fit.

    >>> check_payload("relabel", {"label": "tense"}, ["calm", "tense"])
    >>> check_payload("accept", {"label": "tense"}, ["calm", "tense"])
    Traceback (most recent call last):
    ...
    micromimic.core.errors.RefusedError: expected note for accept, got label; correct the request
    """
    extra = sorted(set(given) - set(_ALLOWED[action]))
    missing = [name for name in _NEEDED.get(action, ()) if name not in given]
    if action == "move" and not set(FRAMES) & set(given):
        missing = ["frame"]
    if extra or missing:
        allowed = ", ".join(_ALLOWED[action]) or "nothing more"
        got = ", ".join(extra) if extra else f"no {', '.join(missing)}"
        raise RefusedError(f"expected {allowed} for {action}, got {got}; correct the request")
    if "label" in given and given["label"] not in labels:
        raise RefusedError(
            f"expected a label among {', '.join(labels)}, got {given['label']!r}; use one of them"
        )
    for name in FRAMES:
        if name in given and (isinstance(given[name], bool) or not isinstance(given[name], int)):
            raise RefusedError(
                f"expected {name} to be a whole number, got {given[name]!r}; count frames from 0"
            )
    if "note" in given:
        _check_note(given["note"])


def _check_note(note: object) -> None:
    """Databases differ in which characters they take: these none of them does."""
    odd = isinstance(note, str) and any(
        (c < " " and c not in "\n\t") or 0xD800 <= ord(c) <= 0xDFFF for c in note
    )
    if not isinstance(note, str) or odd or len(note) > LONGEST_NOTE:
        got = (
            "control characters" if odd else f"{len(note)}" if isinstance(note, str) else "no text"
        )
        raise RefusedError(
            f"expected a note of at most {LONGEST_NOTE} printable characters, got {got}; shorten it"
        )
