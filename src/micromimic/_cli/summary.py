"""Results as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from micromimic.results import Analysis


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], indent: int = 2) -> str:
    """Columns aligned; numbers to the right.

    >>> print(text_table(["onset", "class"], [["1.5", "surprise"], ["12.25", "negative"]]))
      onset  class
        1.5  surprise
      12.25  negative
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
    count = len(analysis.events)
    lines = [
        f"{name}: {count or 'no'} candidate{'' if count == 1 else 's'} in "
        f"{source.duration_s:.1f} s of {source.width}x{source.height} at {source.fps:.4g} fps; "
        f"face in {analysis.found_ratio:.0%} of {source.frames} frames"
    ]
    if count:
        rows = [_row(event) for event in analysis.to_dict()["events"]]
        # models without capsules do not say where a class comes from
        columns = None if any(row[-1] for row in rows) else -1
        lines.append(text_table(_HEADER[:columns], [row[:columns] for row in rows]))
    rejected = analysis.spotting.rejected_counts()
    if rejected:
        told = ", ".join(f"{reason} {number}" for reason, number in rejected.items())
        lines.append(f"  not reported: {told}")
    lines += [f"  warning: {warning.message} [{warning.code}]" for warning in analysis.warnings]
    lines.append(f"  report: {folder / 'report.html'}")
    return "\n".join(lines)


_HEADER = ("onset s", "apex s", "offset s", "class", "p", "sure", "strength", "where")


def _row(event: dict[str, object]) -> list[str]:
    probabilities, regions = event["probabilities"], event["regions"]
    assert isinstance(probabilities, dict)
    assert isinstance(regions, dict)
    where = max(regions, key=lambda cell: float(regions[cell])) if regions else ""
    return [
        *(f"{event[key]:.3f}" for key in ("onset_s", "apex_s", "offset_s")),
        str(event["label"]),
        f"{probabilities[event['label']]:.2f}",
        "no" if event["uncertain"] else "yes",
        f"{event['strength']:.1f}",
        where.replace("_", " "),
    ]
