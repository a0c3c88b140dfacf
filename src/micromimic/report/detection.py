"""How small a movement would have been found: in words, and what the report's script draws."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import REGIONS
from micromimic.core.results import STATED_UNITS, Analysis, RegionLimit
from micromimic.core.types import MicroExpression
from micromimic.report.curves import minmax, packed, packed_times

REGION_WORDS: Final = {
    "forehead": "Brows",
    "eyes": "Lids",
    "nose": "Nose",
    "mouth": "Mouth",
    "chin": "Chin",
}
BINS: Final = 4_000
_LEAST: Final = 0.01
"""Of the stated size: what is drawn is not smaller."""
_SHOWN: Final = (1, 99)
"""Per cent of all limits that lie on the scale."""


def limits_data(analysis: Analysis) -> dict[str, Any] | None:
    """The limits over time by region, in pixels, ready for JSON; None where there are none."""
    if analysis.limits is None or not analysis.region_limits():
        return None
    times, scale = np.asarray(analysis.limits.times, np.float64), analysis.pixels_per_unit()
    least = _LEAST * STATED_UNITS * scale  # a scale of logarithms has no zero
    step = float(np.median(np.diff(times)))
    grid = np.arange(times[0], times[-1] + step / 2, step)  # with the moments without the face
    rows, finite = [], [np.array([STATED_UNITS * scale])]
    for name, values in analysis.limits.at(grid).items():
        pixels = np.where(np.isfinite(values), np.maximum(values * scale, least), np.nan)
        t, y = minmax(grid, pixels, BINS)
        finite.append(pixels[np.isfinite(pixels)])
        rows.append(
            {
                "name": REGION_WORDS[name],
                "first": round(float(t[0]), 5),
                "t": packed_times(t),
                "y": packed(y),
                "closed": closed_spans(grid, values),
            }
        )
    low, high = np.percentile(np.concatenate(finite), _SHOWN)
    size = STATED_UNITS * scale
    return {
        "stated": size,
        "scale": scale,
        "low": float(min(low, size / 2)),
        "high": float(max(high, size * 2)),
        "rows": rows,
    }


def closed_spans(
    times: NDArray[np.floating], values: NDArray[np.floating]
) -> list[tuple[float, float]]:
    """Where a region is closed, seconds.

    Args:
        times: (T,) in even steps.
        values: (T,) limits.

    >>> closed_spans(np.arange(4.0), np.array([0.2, np.inf, np.inf, np.nan]))
    [(1.0, 3.0)]
    """
    closed = np.isposinf(values).astype(int)
    turns = np.diff(closed, prepend=0, append=0)
    ends = np.append(times, 2 * times[-1] - times[-2])
    starts, stops = times[np.flatnonzero(turns == 1)], ends[np.flatnonzero(turns == -1)]
    return [(round(float(a), 3), round(float(b), 3)) for a, b in zip(starts, stops, strict=True)]


def limits_section(analysis: Analysis) -> str:
    """A sentence a region, and the place where the script draws the limits over time."""
    found = analysis.region_limits()
    if not found:
        return ""
    size = pixels_text(STATED_UNITS * analysis.pixels_per_unit())
    items = "".join(
        f"<li><b>{REGION_WORDS[name]}</b> {sentence(found[name], size)}</li>" for name in REGIONS
    )
    return (
        '<div class="detection"><h3>How small a movement would have been found</h3>'
        '<p class="hint">Detection limit: the movement of the skin that is found half the time, '
        "there and then, beside all else that this face does. For scale: a real "
        f"micro-expression moves it by some {STATED_UNITS:g} units, here {size} px (a unit is 1/15 "
        f'of the distance between the eyes).</p><ul class="limit-words">{items}</ul>'
        '<div id="limits-plot" class="plot"></div><ul class="legend"><li><span class="swatch '
        'stroke line" aria-hidden="true"></span>detection limit, px: lower is better</li><li>'
        f'<span class="swatch dash" aria-hidden="true"></span>{STATED_UNITS:g} units</li><li><span '
        'class="swatch gated" aria-hidden="true"></span>closed: nothing would be found</li></ul>'
        "</div>"
    )


def sentence(limit: RegionLimit, size: str) -> str:
    """What one region would have shown.

    Args:
        limit: of the region.
        size: ``STATED_UNITS`` in pixels, as text.

    >>> limit = RegionLimit((0.1, 0.2, 0.6), (0.5, 1.0, 3.0), 55.0, 0.917)
    >>> sentence(limit, "1.5")
    'movements of 1.0 px found half the time at a typical moment; of 1.5 px, in 92 % of the time.'
    """
    half = limit.pixels[1]
    typical = (
        f"movements of {pixels_text(half)} px found half the time at a typical moment"
        if np.isfinite(half)
        else "nothing found at a typical moment, whatever its size"
    )
    when = f"in {_percent(limit.share)} of the time" if limit.share else "never"
    return f"{typical}; of {size} px, {when}."


def chance_text(per_hour: float) -> str:
    """How often chance does as well.

    >>> chance_text(0.31), chance_text(38.4), chance_text(0.002)
    ('0.3', '38', 'fewer than 0.1')
    """
    if per_hour < 0.1:
        return "fewer than 0.1"
    return f"{per_hour:.1f}" if per_hour < 9.95 else f"{per_hour:.0f}"


def amplitude_text(event: MicroExpression) -> str:
    """How far the skin moved; empty where the dense flow did not see it."""
    seen = event.amplitude
    if seen is None:
        return ""
    return f"{seen.units:.2f} ± {seen.deviation:.2f} units ({pixels_text(seen.pixels)} px)"


def pixels_text(value: float) -> str:
    """A length as people say it.

    >>> pixels_text(0.04), pixels_text(1.56), pixels_text(11.4)
    ('0.04', '1.6', '11')
    """
    digits = 2 if value < 0.095 else 1 if value < 9.95 else 0
    return f"{value:.{digits}f}"


def _percent(share: float) -> str:
    if 0.99 < share < 1:
        return "over 99 %"
    return "under 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"
