"""One way to make a page: Jinja2 templates that escape whatever they are given."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Any
from zlib import compress

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


def packed_json(value: object) -> Markup:
    """JSON for a script element, deflated, in base64: curves take a sixth of their text."""
    raw = json_text(value, digits=9, separators=(",", ":")).encode()
    return Markup(b64encode(compress(raw, 9)).decode("ascii"))
