"""`micromimic demo`: planted against found."""

from __future__ import annotations

from pathlib import Path

from micromimic.cli.analyze import check_writable
from micromimic.cli.console import say
from micromimic.cli.progress import show_progress


def run(out: Path) -> int:
    """Run the demo, say what was planted and found, return the exit code."""
    check_writable(out)
    from micromimic.analysis.demo import run_demo

    with show_progress("demo") as progress:
        result = run_demo(out, progress=progress)
    say(str(result))
    return 0
