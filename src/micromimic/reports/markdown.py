"""Cells and rows of Markdown tables of scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from micromimic.evaluation.scores import COMPOSITE, DATABASES
from micromimic.reports.article import TITLES

NOTHING: Final = "–"
"""In a cell that has no value."""


def ordered(scopes: Collection[str]) -> list[str]:
    """Databases in the article's order, then others by name."""
    known = [name for name in DATABASES if name in scopes]
    return [*known, *sorted(set(scopes) - set(known) - {COMPOSITE})]


def title(scope: str) -> str:
    """A database as people write it.

    >>> title("casme2"), title("own")
    ('CASME II', 'own')
    """
    return cell(TITLES.get(scope, scope))


def score_cells(
    metrics: Mapping[str, Any], columns: Sequence[str], *, interval: bool = True
) -> list[str]:
    """UF1 and UAR of each column."""
    cells = []
    for scope in columns:
        for score in ("uf1", "uar"):
            if scope not in metrics:
                cells.append(NOTHING)
                continue
            ends = metrics[scope][f"{score}_ci95"] if interval else None
            value = metrics[scope][score]
            cells.append(f"{value:.3f}" if ends is None else with_range(value, *ends))
    return cells


def with_range(value: float, low: float, high: float) -> str:
    """A score and its interval.

    >>> with_range(0.7404, 0.66, 0.811)
    '0.740 [0.66, 0.81]'
    """
    return f"{value:.3f} [{low:.2f}, {high:.2f}]"


def cell(text: str) -> str:
    r"""Text that cannot end a cell.

    >>> print(cell("a|b"))
    a\|b
    """
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
