"""One way to make a page: Jinja2 templates that escape whatever they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from micromimic.core.strict_json import json_text, printable


def environment(folder: Path) -> Environment:
    """The templates of a folder; unknown names are errors, and no text breaks the file."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _printable(value: Any) -> Any:
    """What no file can carry is replaced in whatever a template shows."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    plain = value.isascii() and value.isprintable()  # as pictures are, which are long
    return value if plain else printable(value)


def embedded_json(value: object) -> Markup:
    """JSON that can stand inside a script element: no ``<``, ``>`` or ``&`` as such.

    >>> print(embedded_json({"a": "</script>"}))
    {"a":"\\u003c/script\\u003e"}
    """
    raw = json_text(value, digits=9, separators=(",", ":"))
    safe = raw.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(safe)
