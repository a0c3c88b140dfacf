"""Markdown documents from their templates, and the cells and rows of their tables of scores."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from micromimic.datasets.databases import databases
from micromimic.evaluation.article import COMPOSITE, TITLES
from micromimic.evaluation.by_database import databases_of
from micromimic.evaluation.development import DEVELOPMENT, OTHER

NOTHING: Final = "–"
"""In a cell that has no value."""


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def document(template: str, /, **values: Any) -> str:
    """The text of a document; its tables are texts already."""
    return _templates().get_template(f"{template}.md.jinja").render(values)


def title(scope: str) -> str:
    """A database as people write it."""
    if scope in (DEVELOPMENT, OTHER):
        return scope.capitalize()
    own = databases().get(scope)
    return cell(TITLES.get(scope) or (own.title if own else scope))


def score_cells(
    metrics: Mapping[str, Any], columns: Sequence[str], *, interval: bool = True
) -> list[str]:
    """UF1 and UAR of each column."""

    def text(scope: str, score: str) -> str:
        ends = metrics[scope][f"{score}_ci95"] if interval else None
        return with_range(metrics[scope][score], ends)

    return pairs_of_cells(columns, metrics, text)


def pairs_of_cells(
    columns: Sequence[str], known: Collection[str], text: Callable[[str, str], str]
) -> list[str]:
    """Cells of (scope, ``uf1``) and (scope, ``uar``) of each column; dashes where not known."""
    return [
        text(scope, score) if scope in known else NOTHING
        for scope in columns
        for score in ("uf1", "uar")
    ]


def with_range(value: float, interval: Sequence[float] | None) -> str:
    """A score and its interval: ``0.740 [0.66, 0.81]``."""
    ends = "" if interval is None else f" [{interval[0]:.2f}, {interval[1]:.2f}]"
    return f"{value:.3f}{ends}"


def with_sign(difference: float, interval: Sequence[float] | None) -> str:
    """A difference and its interval: ``+0.083 [-0.004, +0.111]``."""
    ends = "" if interval is None else f" [{interval[0]:+.3f}, {interval[1]:+.3f}]"
    return f"{difference:+.3f}{ends}"


def cell(text: str) -> str:
    """Text that cannot end a cell."""
    return text.replace("|", "\\|")


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: names to the left, figures to the right.

    >>> print(grid(["Method", "UF1"], [["svm", "0.740"]]))
    | Method | UF1 |
    | --- | ---: |
    | svm | 0.740 |
    """
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def columns_of(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Scopes of some runs' scores: all clips, each database, then the halves, where known."""
    scopes = {scope for found in metrics for scope in found}
    return [COMPOSITE, *databases_of(scopes), *(n for n in (DEVELOPMENT, OTHER) if n in scopes)]


def score_head(first: str, columns: Sequence[str]) -> list[str]:
    """Header of a table of `score_cells`."""
    return [first, *(f"{title(c)} {score}" for c in columns for score in ("UF1", "UAR"))]


def methods_table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Scores of runs by database, of `by_database.metrics_of` by the run's name."""
    columns = columns_of(list(metrics.values()))
    rows = [[f"**{cell(n)}**", *score_cells(found, columns)] for n, found in metrics.items()]
    return grid(score_head("Method", columns), rows)
