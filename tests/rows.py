"""Predictions written row by row in tests, as the table that the package takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import wraps
from typing import Any

import numpy as np

from micromimic.core.labels import THREE
from micromimic.evaluation.predictions import REQUIRED, ClipKey, Predictions


@dataclass(frozen=True)
class Prediction:
    """One clip, predicted once; the fields are the columns of `Predictions`."""

    dataset: str
    subject: str
    clip: str
    fold: int
    seed: int
    y_true: str
    y_pred: str
    probabilities: tuple[float, ...]

    @property
    def who(self) -> str:
        return f"{self.dataset}/{self.subject}"

    @property
    def key(self) -> ClipKey:
        return self.dataset, self.subject, self.clip


def of_rows(rows: Iterable[Prediction]) -> Predictions:
    """A table of rows with the composite's classes."""
    listed = list(rows)
    columns = {f.name: [getattr(row, f.name) for row in listed] for f in fields(Prediction)}
    p = np.array(columns.pop("probabilities"), np.float64).reshape(-1, len(THREE))
    return Predictions({**columns, **{f"p_{n}": p[:, k] for k, n in enumerate(THREE)}}).checked()


def rows_in(frame: Predictions) -> list[Prediction]:
    """One object a row."""
    columns: list[list[Any]] = [frame[name].tolist() for name in REQUIRED]
    return list(map(Prediction, *columns, map(tuple, frame.probabilities.tolist())))


def table(rows: Any) -> Any:
    """Lists of rows as a table; in a dict each of them; anything else as it is."""
    if isinstance(rows, dict):
        return {name: table(value) for name, value in rows.items()}
    if isinstance(rows, list | tuple) and rows and hasattr(rows[0], "probabilities"):
        return of_rows(rows)
    return rows


def takes_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, given lists of rows for tables."""

    @wraps(function)
    def called(*given: Any, **more: Any) -> Any:
        return function(*map(table, given), **{name: table(value) for name, value in more.items()})

    return called
