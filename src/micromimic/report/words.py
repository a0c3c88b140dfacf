"""How the report says things: lengths of time, numbers, and the names of what it speaks of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from micromimic.core.labels import CELLS
from micromimic.core.results import RegionLimit
from micromimic.core.summary import PARTS, REASONS, share_words
from micromimic.core.types import UnitEvidence

CELL_WORDS: Final = {
    cell: " ".join([*cell.split("_")[-1:], *cell.split("_")[:-1]]) for cell in CELLS
} | {"brow_centre": "centre of the brows"}
"""The ten face regions in words; right and left are the person's own."""

REGION_WORDS: Final = {region: words.capitalize() for region, words in PARTS.items()}

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


def reason(code: str) -> tuple[str, str]:
    """Name and meaning of why something was not reported or judged."""
    return REASONS.get(code, (code, ""))


def unit_text(found: UnitEvidence) -> str:
    """An action unit with its number, its side and its name.

    >>> unit_text(UnitEvidence("12", "left", 0.7, 0.8)), unit_text(UnitEvidence("6", "both", 1, 1))
    ('AU 12 left, lip corner puller', 'AU 6, cheek raiser')
    """
    side = "" if found.side == "both" else f" {found.side}"
    name = UNIT_WORDS.get(found.unit, "")
    return f"AU {found.unit}{side}{f', {name}' if name else ''}"


def clock(seconds: float) -> str:
    """Minutes, seconds and milliseconds.

    >>> clock(64.3656), clock(59.9996)
    ('1:04.366', '1:00.000')
    """
    whole = round(seconds * 1000)
    return f"{whole // 60000}:{whole % 60000 / 1000:06.3f}"


def duration(seconds: float) -> str:
    """A length of time in the units that suit it.

    >>> duration(42.31), duration(600.2)
    ('42.3 s', '10 min 0 s')
    """
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{int(round(seconds) // 60)} min {round(seconds) % 60} s"


def number(value: float) -> str:
    """Three significant digits without an exponent.

    >>> number(7.0171), number(0.0123), number(142.2)
    ('7.02', '0.0123', '142')
    """
    if value == 0:
        return "0"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def pixels(value: float) -> str:
    """A length as people say it.

    >>> pixels(0.04), pixels(1.56), pixels(11.4)
    ('0.04', '1.6', '11')
    """
    digits = 2 if value < 0.095 else 1 if value < 9.95 else 0
    return f"{value:.{digits}f}"


def chance(per_hour: float) -> str:
    """How often chance does as well.

    >>> chance(0.31), chance(38.4), chance(0.002)
    ('0.3', '38', 'fewer than 0.1')
    """
    if per_hour < 0.1:
        return "fewer than 0.1"
    return f"{per_hour:.1f}" if per_hour < 9.95 else f"{per_hour:.0f}"


def limit_sentence(limit: RegionLimit, size: str) -> str:
    """What one region would have shown; ``size`` is the stated size in pixels, as text.

    >>> limit = RegionLimit((0.1, 0.2, 0.6), (0.5, 1.0, 3.0), 55.0, 0.917)
    >>> limit_sentence(limit, "1.5")
    'movements of 1.0 px found half the time at a typical moment; of 1.5 px, in 92 % of the time.'
    """
    half, share = limit.pixels[1], limit.share
    typical = (
        f"movements of {pixels(half)} px found half the time at a typical moment"
        if np.isfinite(half)
        else "nothing found at a typical moment, whatever its size"
    )
    seen = f"in {share_words(share)} of the time" if share else "never"
    return f"{typical}; of {size} px, {seen}."
