"""Action units in words and as a part of an event's card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from micromimic.core.types import MicroExpression, UnitEvidence
from micromimic.report.sections import text

UNIT_WORDS: Final[Mapping[str, str]] = {
    "1": "inner brow raiser",
    "2": "outer brow raiser",
    "4": "brow lowerer",
    "5": "upper lid raiser",
    "6": "cheek raiser",
    "7": "lid tightener",
    "9": "nose wrinkler",
    "10": "upper lip raiser",
    "12": "lip corner puller",
    "14": "dimpler",
    "15": "lip corner depressor",
    "16": "lower lip depressor",
    "17": "chin raiser",
    "18": "lip pucker",
    "20": "lip stretcher",
    "23": "lip tightener",
    "24": "lip pressor",
    "25": "lips part",
    "26": "jaw drop",
    "28": "lip suck",
    "45": "blink",
}
"""Names of the Facial Action Coding System."""


def looks_like(event: MicroExpression) -> str:
    """The units of an event in one line, as ``AU12 left, AU6``; empty where none stands out."""
    return ", ".join(str(found) for found in event.action_units)


def units_block(event: MicroExpression) -> str:
    """What stands on the card: each unit with its name and probability."""
    if not event.action_units:
        return (
            '<div class="regions units"><h4>Action units</h4>'
            '<p class="hint">No action unit stands out.</p></div>'
        )
    rows = "".join(_row(found) for found in event.action_units)
    return (
        f'<div class="regions units"><h4>Action units it looks like</h4><ul>{rows}</ul>'
        '<p class="hint">Probability that the unit acts; left and right are the person’s own.</p>'
        "</div>"
    )


def _row(found: UnitEvidence) -> str:
    word = UNIT_WORDS.get(found.unit, "")
    return (
        f'<li><span><b class="unit">{text(str(found))}</b> {text(word)}</span>'
        '<span class="track"><span class="fill" style="width:'
        f'{100 * found.probability:.1f}%"></span></span><b>{found.probability:.2f}</b></li>'
    )
