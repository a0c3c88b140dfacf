"""Agreement as a figure: each value as a dot on a line from -1 or 0 to 1, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from micromimic.evaluation.study_agreement import AgreementRow, Estimate, StudyAgreement
from micromimic.report.rendering import environment

_FOLDER: Final = Path(__file__).parents[1] / "templates"
_LEFT: Final = 250
_RIGHT: Final = 70
_WIDTH: Final = 720
_STEP: Final = 22
_GROUPS: Final = {"pooled": "All", "tier": "Kind", "class": "Class", "mode": "Coded"}
_MODES: Final = {"open": "after the machine's answer", "blind": "without the machine's answer"}
_FIGURES: Final = (
    ("kappa", "Cohen's kappa"),
    ("ac1", "Gwet's AC1"),
    ("f1", "F1 of events"),
)


@dataclass(frozen=True)
class _Line:
    """One value: where it stands in the picture, and what is written beside it."""

    y: float
    label: str
    head: bool
    words: str
    x: float | None = None
    low: float | None = None
    high: float | None = None


def agreement_svg(found: StudyAgreement) -> str:
    """The pooled row, the tiers, classes and modes, each with kappa, AC1 and F1; of the pooled one
    the ICC of the boundaries too."""
    rows = [row for row in found.rows if row.group in _GROUPS]
    values: list[tuple[str, Estimate | None]] = []
    for row in rows:
        values.append((_title(row), None))
        values += [(words, getattr(row, name)) for name, words in _FIGURES]
        if row.group == "pooled":
            values += [(f"ICC of {name}", timing.icc) for name, timing in row.timing.items()]
    known = [e.low if e.low is not None else e.value for _, e in values if e is not None]
    least = -1.0 if any(value is not None and value < 0 for value in known) else 0.0

    def place(value: float | None) -> float | None:
        share = None if value is None else (value - least) / (1 - least)
        return None if share is None else round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    lines = [
        _Line(
            y=(k + 1.5) * _STEP,
            label=label,
            head=estimate is None,
            words="" if estimate is None else _words(estimate.value),
            **({} if estimate is None else {n: place(v) for n, v in _ends(estimate)}),
        )
        for k, (label, estimate) in enumerate(values)
    ]
    ticks = [
        (place(least + k * (1 - least) / 4), f"{least + k * (1 - least) / 4:.2g}") for k in range(5)
    ]
    return (
        environment(_FOLDER)
        .get_template("agreement.svg.jinja")
        .render(
            lines=lines,
            ticks=ticks,
            width=_WIDTH,
            bottom=(len(lines) + 1.5) * _STEP,
            height=(len(lines) + 3) * _STEP,
            title=f"Agreement of {found.first} and {found.second}",
            about=f"{_counted(found.recordings, 'recording')}, overlap {found.overlap:g} or more",
        )
    )


def _ends(estimate: Estimate) -> tuple[tuple[str, float | None], ...]:
    return ("x", estimate.value), ("low", estimate.low), ("high", estimate.high)


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
