"""Predictions written row by row in tests, as the table that the package takes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from micromimic.evaluation.predictions import Predictions


def table(rows: Any) -> Any:
    """Lists of rows as a table; in a dict each of them; anything else as it is."""
    if isinstance(rows, dict):
        return {name: table(value) for name, value in rows.items()}
    if isinstance(rows, list | tuple) and rows and hasattr(rows[0], "probabilities"):
        return Predictions.of_rows(rows)
    return rows


def takes_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, given lists of rows for tables."""

    @wraps(function)
    def called(*given: Any, **more: Any) -> Any:
        return function(*map(table, given), **{name: table(value) for name, value in more.items()})

    return called
