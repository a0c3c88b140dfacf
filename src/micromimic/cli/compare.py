"""`micromimic compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from micromimic.cli.console import say


def compare(
    first: Annotated[Path, typer.Argument(help="A run's folder or predictions.csv.")],
    second: Annotated[Path, typer.Argument(help="Another of the same clips.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the permutations.")] = 0,
) -> None:
    """Test whether two runs differ: paired, by subjects."""
    from micromimic.evaluation.comparison import compare_runs
    from micromimic.evaluation.metrics import uar, uf1
    from micromimic.evaluation.predictions import Predictions

    runs = [
        Predictions.read(path / "predictions.csv" if path.is_dir() else path)
        for path in (first, second)
    ]
    for score in (uf1, uar):
        say(compare_runs(runs[0], runs[1], score, seed=seed).text(str(first), str(second)))
