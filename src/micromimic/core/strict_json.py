"""Values as strict JSON carries them: the one place where NaN becomes null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def tidy(value: Any, digits: int | None = 6) -> Any:
    """The same value, of any depth, with plain types that strict JSON can carry.

    NaN and infinities become None, numpy scalars and arrays become Python numbers and lists, floats
    are rounded to so many digits.

    >>> tidy({"a": np.float32(0.1), "b": float("nan"), "c": (np.int64(3), True)})
    {'a': 0.1, 'b': None, 'c': [3, True]}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return value if digits is None else round(value, digits)
    if isinstance(value, Mapping):
        return {str(key): tidy(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(item, digits) for item in value]
    return value


def json_text(value: Any, digits: int | None = None, **how: Any) -> str:
    """A value as strict JSON, made `tidy` first; ``how`` is what ``json.dumps`` takes.

    >>> json_text({"a": float("inf"), "b": 0.25})
    '{"a": null, "b": 0.25}'
    """
    if digits is None:
        try:  # most are tidy already, and some come two hundred times a second
            return json.dumps(value, allow_nan=False, **how)
        except (TypeError, ValueError):
            pass
    return json.dumps(tidy(value, digits), allow_nan=False, **how)


def printable(text: str) -> str:
    """Text that any file can carry: control characters and undecodable bytes become U+FFFD.

    >>> printable("a\\x00b")
    'a\\ufffdb'
    """
    return "".join(
        c
        if c >= " " and not 0xD800 <= ord(c) <= 0xDFFF and c not in "\x7f\ufffe\uffff"
        else "\ufffd"
        for c in text
    )
