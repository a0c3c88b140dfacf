"""`micromimic demo`: planted against found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from micromimic.cli.console import say
from micromimic.cli.outputs import check_writable
from micromimic.cli.progress import show_progress


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the clip and its report.")] = Path(
        "micromimic-demo"
    ),
) -> None:
    """Plant micro-expressions in a public-domain face, find them, and compare."""
    check_writable(out)
    from micromimic.analysis.demo import run_demo

    with show_progress("demo") as progress:
        result = run_demo(out, progress=progress)
    say(str(result))
