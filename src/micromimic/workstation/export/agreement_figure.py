"""Agreement as a figure: each value as a dot on a line from -1 or 0 to 1, with its interval."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from micromimic.evaluation.study_agreement import AgreementRow, Estimate, StudyAgreement
from micromimic.report.rendering import environment

_FOLDER: Final = Path(__file__).parents[1] / "templates"
_GROUPS: Final = {"pooled": "All", "tier": "Kind", "class": "Class", "mode": "Coded"}
_MODES: Final = {"open": "after the machine's answer", "blind": "without the machine's answer"}
_FIGURES: Final = (
    ("kappa", "Cohen's kappa"),
    ("ac1", "Gwet's AC1"),
    ("f1", "F1 of events"),
)


def agreement_svg(found: StudyAgreement) -> str:
    """The pooled row, the tiers, classes and modes, each with kappa, AC1 and F1; of the pooled one
    the ICC of the boundaries too."""
    lines: list[tuple[str, Estimate | None]] = []
    for row in found.rows:
        if row.group in _GROUPS:
            lines.append((_title(row), None))
            lines += [(words, getattr(row, name)) for name, words in _FIGURES]
        if row.group == "pooled":
            lines += [(f"ICC of {name}", timing.icc) for name, timing in row.timing.items()]
    known = [e.low if e.low is not None else e.value for _, e in lines if e is not None]
    return (
        environment(_FOLDER)
        .get_template("agreement.svg.jinja")
        .render(
            lines=lines,
            least=-1.0 if any(value is not None and value < 0 for value in known) else 0.0,
            words=_words,
            title=f"Agreement of {found.first} and {found.second}",
            about=f"{_counted(found.recordings, 'recording')}, overlap {found.overlap:g} or more",
        )
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _title(row: AgreementRow) -> str:
    counted = _counted(row.matched, "matched event")
    if row.group != "class":  # each of which is compared with the rest, over all candidates
        counted = f"{_counted(row.candidates, 'candidate')}, {counted}"
    if row.group == "pooled":
        return f"All: {counted}"
    return f"{_GROUPS[row.group]} {_MODES.get(row.title, row.title)}: {counted}"


def _words(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.2f}".replace("-", "\u2212")
