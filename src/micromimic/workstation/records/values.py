"""Values from outside, checked before they reach the database: both databases then agree."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from micromimic.core.errors import NotFoundError, RefusedError

LONGEST_LINE: Final = 64
LONGEST_NAME: Final = 255
LONGEST_NOTE: Final = 10_000
LARGEST_BIGINT: Final = 2**63 - 1
RESERVED_CODERS: Final = frozenset({"machine"})
"""Not a person: the name under which the machine's own answer is compared and exported."""
_ID: Final = re.compile(r"[0-9a-f]{32}")
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def new_id() -> str:
    return uuid.uuid4().hex


def known_id(text: str, what: str) -> str:
    """An id as it came, or `NotFoundError` where it can be none."""
    if isinstance(text, str) and _ID.fullmatch(text):
        return text
    raise not_found(what, text)


def not_found(what: str, text: object) -> NotFoundError:
    return NotFoundError(
        f"expected the {what} of a record, got {str(text)[:40]!r}; it may have been removed"
    )


def line(text: str, what: str, longest: int = LONGEST_LINE, *, empty: bool = False) -> str:
    """One line of printable text without space around it."""
    clean = text.strip()
    if not (len(clean) <= longest and (clean or empty) and clean.isprintable()):
        raise RefusedError(
            f"expected {what} of {0 if empty else 1} to {longest} printable characters, "
            f"got {text[:70]!r}; write it on one line"
        )
    return clean


def note(text: object, longest: int = LONGEST_NOTE) -> str:
    """Text of several lines, without control characters, which not every database takes."""
    if not isinstance(text, str):
        got = "no text"
    elif len(text) > longest:
        got = f"{len(text)}"
    elif _UNWRITABLE.search(text):
        got = "control characters"
    else:
        return text.strip()
    raise RefusedError(
        f"expected a note of at most {longest} printable characters, got {got}; shorten it"
    )


def one_line(text: str, longest: int = 1000) -> str:
    """A message made fit for a row: no line breaks, nothing unwritable, not too long."""
    return " ".join(_UNWRITABLE.sub(" ", text).split())[:longest]


def coder(name: str) -> str:
    """The name of the person who decides; never one that stands for the machine."""
    clean = line(name, "a coder's name")
    if clean.casefold() in RESERVED_CODERS:
        raise RefusedError(f"expected a person's name as coder, got {clean!r}; choose another")
    return clean


def moment(value: datetime, what: str) -> datetime:
    try:
        if value.tzinfo is not None:
            return value.astimezone(UTC)
    except OverflowError:
        pass  # the first or the last day of the calendar, in a zone that moves it out
    raise RefusedError(f"expected {what} as a time with its zone, got {value}; add one, as +00:00")


def rate(value: float) -> float:
    if math.isfinite(value) and value > 0:
        return value
    raise RefusedError(f"expected a frame rate above 0, got {value}; leave it out if unsure")


def count(value: int, what: str) -> int:
    """A whole number from 0."""
    if 0 <= value <= LARGEST_BIGINT:
        return int(value)
    raise RefusedError(f"expected {what} from 0 to {LARGEST_BIGINT}, got {value}; choose another")


def share(value: float) -> float:
    """Above 0, at most 1."""
    if 0 < value <= 1:
        return float(value)
    raise RefusedError(f"expected an overlap above 0 and at most 1, got {value}; 0.5 is usual")


def second(value: float, what: str) -> float:
    """A time within a video."""
    if math.isfinite(value) and value >= 0:
        return round(float(value), 6)
    raise RefusedError(f"expected {what} as seconds from 0, got {value}; correct it")


def matching(value: str, pattern: str, what: str, remedy: str = "use one") -> str:
    if re.fullmatch(pattern, value):
        return value
    raise RefusedError(f"expected {what}, got {value[:70]!r}; {remedy}")


_name_or_none: Final = partial(line, longest=LONGEST_NAME, empty=True)
_CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "code": partial(line, what="a subject's code"),
    "note": note,
    "study.mode": partial(matching, pattern="open|blind", what="a mode among open, blind"),
    "overlap": share,
    "condition": partial(line, what="a condition", empty=True),
    "tier": partial(line, what="a marker's row"),
    "label": partial(_name_or_none, what="a marker's label"),
    "onset_s": partial(second, what="a marker's beginning"),
    "offset_s": partial(second, what="a marker's end"),
    "markers.origin": partial(_name_or_none, what="where a marker comes from"),
    "title": partial(_name_or_none, what="a title"),
    "consent_noted_by": partial(_name_or_none, what="who noted the consent"),
    "consent_note": note,
    "consent_noted_at": partial(moment, what="when consent was noted"),
    "name": partial(line, what="a name", longest=LONGEST_NAME),
    "extension": partial(  # never a path
        matching,
        pattern=r"\.[a-z0-9]{1,8}",
        what="a file ending such as .mp4",
        remedy="rename the file",
    ),
    "size_bytes": partial(count, what="a size in bytes"),
    "sha256": partial(
        matching,
        pattern="[0-9a-f]{64}",
        what="a SHA-256 of 64 hex digits",
        remedy="compute it anew",
    ),
    "fps": rate,
    "recordings.origin": partial(
        matching, pattern="upload|live", what="an origin among upload, live"
    ),
    "expires_at": partial(moment, what="the end of retention"),
    "stage": partial(one_line, longest=100),
    "done": partial(count, what="a count"),
    "total": partial(count, what="a count"),
    "error": one_line,
}
CHECKED: Final = tuple({name.rpartition(".")[2] for name in _CHECKS})
"""Columns whose values are checked; a name without a table is checked alike wherever it stands."""


def checked(column: str, value: Any, table: str) -> Any:
    """A value as this column of a table takes it, else `RefusedError`; None is left to it."""
    check = _CHECKS.get(f"{table}.{column}") or _CHECKS.get(column)
    return value if value is None or check is None else check(value)
