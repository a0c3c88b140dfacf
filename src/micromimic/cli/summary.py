"""Results as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from micromimic.core.results import Analysis
    from micromimic.core.types import MicroExpression


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 2) -> str:
    """Columns aligned; numbers to the right.

    >>> print(text_table(["onset", "class"], [["1.5", "tense"], ["12.25", "calm"]]))
      onset  class
        1.5  tense
      12.25  calm
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(_numeric(cell) for cell in column[1:]) for column in columns]
    lines = []
    for row in (header, *rows):
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        lines.append((" " * indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def _numeric(cell: str) -> bool:
    return cell.replace(".", "", 1).replace("%", "").strip("+-").isdigit() or cell in ("", "-")


def analysis_text(name: str, analysis: Analysis, folder: Path) -> str:
    """What `analyze` prints for one input: candidates, warnings, where the report lies."""
    source = analysis.source
    count, longer = len(analysis.micro), len(analysis.macro)
    more = f" and {longer} longer expression{'' if longer == 1 else 's'}" if longer else ""
    lines = [
        f"{name}: {count or 'no'} candidate{'' if count == 1 else 's'}{more} in "
        f"{source.duration_s:.1f} s of {source.width}x{source.height} at {source.fps:.4g} fps; "
        f"face in {analysis.found_ratio:.0%} of {source.frames} frames"
    ]
    if analysis.events:
        rows = [_row(event) for event in analysis.events]
        # models without capsules do not say where a class comes from
        told = [k for k in range(len(_HEADER)) if any(row[k] for row in rows)]
        lines.append(text_table([_HEADER[k] for k in told], [[r[k] for k in told] for r in rows]))
    rejected = analysis.spotting.rejected_counts()
    if rejected:
        counted = ", ".join(f"{reason} {number}" for reason, number in rejected.items())
        lines.append(f"  not reported: {counted}")
    lines += [f"  warning: {warning.message} [{warning.code}]" for warning in analysis.warnings]
    lines.append(f"  report: {folder / 'report.html'}")
    return "\n".join(lines)


_HEADER = (
    *("onset s", "apex s", "offset s", "class", "p", "sure", "strength", "where", "looks like"),
    "kind",
)


def _row(event: MicroExpression) -> list[str]:
    where = max(event.regions, key=lambda cell: event.regions[cell]) if event.regions else ""
    span = event.interval
    return [
        *(f"{time:.3f}" for time in (span.onset, span.apex, span.offset)),
        event.label,
        f"{event.probabilities[event.label]:.2f}",
        "no" if event.uncertain else "yes",
        f"{event.strength:.1f}",
        where.replace("_", " "),
        ", ".join(str(found) for found in event.action_units),
        "longer" if event.kind == "macro" else "",
    ]
