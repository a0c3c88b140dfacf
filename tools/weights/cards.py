"""Model cards: Markdown templates beside this file, filled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from micromimic.synthesis.recipes import Recipes

WITHOUT: Final[dict[str, Recipes]] = {"casme2": "samm", "samm": "casme2"}
"""The recipes that are left when a database's annotation table is left out."""
_SOURCES: Final[dict[Recipes, str]] = {
    "casme2": "annotation table of CASME II alone combines",
    "samm": "annotation table of SAMM alone combines",
    "simple": "textbooks combine",
}


def filled(template: str, recipes: Recipes, **values: object) -> str:
    """A card: in the template ``{name}`` stands for a value, ``{source}`` for who combines action
    units so, ``{without}`` for the command's option that says so."""
    text = Path(__file__).with_name(template).read_text(encoding="utf-8")
    without = next((f" --without {name}" for name, left in WITHOUT.items() if left == recipes), "")
    source = _SOURCES.get(recipes, "annotation tables of CASME II and SAMM combine")
    return text.format(source=source, without=without, **values)


def made_from(recipes: Recipes) -> str:
    """What a model file says of its training data beside their number.

    >>> made_from("full"), made_from("samm")
    ('', ', recipes: samm')
    """
    return "" if recipes == "full" else f", recipes: {recipes}"


def table(head: str, rows: Iterable[str]) -> str:
    """A Markdown table of rows that are joined by bars already.

    >>> print(table("a | b", ["1 | 2"]))
    | a | b |
    |---|---|
    | 1 | 2 |
    """
    line = "|---" * (head.count("|") + 1) + "|"
    return "\n".join([f"| {head} |", line, *(f"| {row} |" for row in rows)])
