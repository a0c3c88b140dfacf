"""The viewer's modules as one script: inline modules cannot import each other."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_IMPORT: Final = re.compile(r'^import (?:\{[^}]*\} from )?"\./([\w-]+\.js)";\n', re.MULTILINE)
_COMMENT: Final = re.compile(r"^ *(?://.*|/\*\*(?:.|\n)*?\*/)\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function|class|const)\b)", re.MULTILINE)
_DECLARED: Final = re.compile(
    r"^(?:async )?(?:function|class|const|let) (?:\{([^}]+)\}|(\w+))", re.MULTILINE
)


def viewer_style() -> str:
    """The style sheet of the viewer's parts, after the page's own."""
    return _text("viewer.css")


def _text(name: str) -> str:
    return (files("micromimic.report") / "viewer" / name).read_text(encoding="utf-8")


@cache
def report_script(entry: str = "report.js") -> str:
    """A module and all that it imports, each once and after what it needs, for an inline script;
    comments on lines of their own are left out.

    Imports name what they take from ``"./file.js"``; exports stand before a declaration; no name is
    declared by two files.

    Raises
    ------
    ValueError
        If a module is written in any other way.
    """
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        for needed in _IMPORT.findall(_text(name)):
            visit(needed)
        order.append(name)

    visit(entry)
    parts = [_EXPORT.sub("", _IMPORT.sub("", _text(name))) for name in order]
    script = _COMMENT.sub("", "".join(parts))
    names = [one for match in _DECLARED.findall(script) for one in match if one]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"expected each name declared once, got {twice} twice; rename one")
    if left := re.search(r"^(?:import|export)\b.*|</script.*", script, re.MULTILINE):
        raise ValueError(f"expected named imports and exports, got {left[0]!r}; write it so")
    return script
