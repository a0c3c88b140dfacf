"""Curves for the report: compact data for the page's script, and the small charts on the cards."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from micromimic.core.labels import CELLS
from micromimic.core.results import STATED_UNITS, Analysis
from micromimic.core.types import Interval, MotionCurve
from micromimic.report.palette import place_of
from micromimic.report.words import CELL_WORDS, REGION_WORDS, reason

Array = NDArray[np.float64]

SCORE_POINTS: Final = 40_000
"""At most so many of the score's points are in a report: 3 minutes at 200 frames a second."""
_BINS: Final = 1_000
"""Of each cell's curve and each region's limit; two points a bin."""
_PAD_S: Final = 0.6
_NAMED: Final = 2  # of the ten cells: those that moved most
_LEAST: Final = 0.01
"""Of the stated size: what is drawn of a detection limit is not smaller."""
_SHOWN: Final = (1, 99)
"""Per cent of all limits that lie on the scale."""


def minmax(
    times: NDArray[np.floating], values: NDArray[np.floating], bins: int
) -> tuple[Array, Array]:
    """Thin a curve to at most two points a bin, keeping every bin's minimum and maximum.

    NaN is a gap, and a bin with nothing but NaN stays one; a curve that is short enough is kept.

    >>> t = np.arange(8.0)
    >>> minmax(t, np.array([0.0, 5, 1, 0, 0, -3, 1, 2]), bins=2)
    (array([0., 1., 5., 7.]), array([ 0.,  5., -3.,  2.]))
    """
    if bins < 1:
        raise ValueError(f"expected at least one bin, got {bins}")
    t, y = np.array(times, dtype=np.float64), np.array(values, dtype=np.float64)
    if len(t) <= 2 * bins:
        return t, y
    edges = np.linspace(0, len(t), bins + 1).astype(int)
    starts, lengths = edges[:-1], np.diff(edges)
    gap = np.repeat(np.logical_and.reduceat(np.isnan(y), starts), lengths)
    keep = []
    for most in (np.fmin, np.fmax):
        places = np.flatnonzero(gap | (y == np.repeat(most.reduceat(y, starts), lengths)))
        keep.append(places[np.searchsorted(places, starts)])  # the first of each bin
    rows = np.unique(keep)
    return t[rows], y[rows]


def _curve(
    times: NDArray[np.floating], values: NDArray[np.floating], bins: int, k: int
) -> dict[str, Any]:
    """A curve, thinned, in whole numbers: ``t`` in steps of 0.1 ms, each from the one before,
    ``y`` in steps of 1 / ``k``, None in a gap. So little is left of it when it is deflated."""
    t, y = minmax(times, values, bins)
    steps = np.diff(np.round(t * 1e4).astype(np.int64), prepend=0)
    codes = [round(value * k) if isfinite(value) else None for value in y.tolist()]
    return {"t": steps.tolist(), "y": codes, "k": k}


def _runs(here: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First places of runs of True, and first places after them."""
    edges = np.diff(here.astype(int), prepend=0, append=0)
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def lost_spans(found: NDArray[np.bool_], times: NDArray[np.floating]) -> list[tuple[float, float]]:
    """Stretches without the face, in seconds.

    >>> lost_spans(np.array([True, False, False, True]), np.array([0.0, 1.0, 2.0, 3.0]))
    [(1.0, 3.0)]
    """
    starts, stops = _runs(~np.asarray(found, bool))
    last = len(times) - 1
    return [
        (float(times[a]), float(times[min(b, last)])) for a, b in zip(starts, stops, strict=True)
    ]


def closed_spans(
    times: NDArray[np.floating], values: NDArray[np.floating]
) -> list[tuple[float, float]]:
    """Where a region's limit is infinite, seconds; the times are in even steps.

    >>> closed_spans(np.arange(4.0), np.array([0.2, np.inf, np.inf, np.nan]))
    [(1.0, 3.0)]
    """
    starts, stops = _runs(np.isposinf(values))
    ends = np.append(times, 2 * times[-1] - times[-2])
    return [
        (round(float(a), 3), round(float(b), 3))
        for a, b in zip(times[starts], ends[stops], strict=True)
    ]


def drawn_data(analysis: Analysis) -> dict[str, Any]:
    """Everything that the page's script draws, JSON-ready."""
    labels = analysis.model.labels
    return {
        **timeline_data(analysis),
        "limits": limits_data(analysis),
        "classes": [{"name": name, "place": place_of(name, labels)} for name in labels],
    }


def timeline_data(analysis: Analysis) -> dict[str, Any]:
    """The score, the ten cells, and what was found, rejected and not seen over time."""
    curve, spotting = analysis.curve, analysis.spotting
    ends = (float(curve.times[0]), float(curve.times[-1])) if len(curve.times) else (0.0, 0.0)
    cells = []
    for name, values in zip(CELLS, curve.cells.T, strict=True):
        words = CELL_WORDS[name]
        cells.append(
            {"name": words[0].upper() + words[1:], **_curve(curve.times, values, _BINS, 10_000)}
        )
    gated = [span for span in spotting.gated_spans if span.cause != "blink"]
    lost = lost_spans(analysis.track.found, analysis.track.times)
    return {
        "start": ends[0],
        "stop": ends[1],
        "threshold": round(float(spotting.threshold), 4),
        "score": _curve(curve.times, curve.score, SCORE_POINTS // 2, 100),
        "cells": cells,
        "events": [
            {
                "on": round(event.interval.onset, 4),
                "apex": round(event.interval.apex, 4),
                "off": round(event.interval.offset, 4),
                "label": event.label,
                "p": round(float(event.probabilities[event.label]), 3),
                "uncertain": bool(event.uncertain),
                "kind": event.kind,
            }
            for event in analysis.events
        ],
        "blinks": [[round(blink.start, 3), round(blink.end, 3)] for blink in spotting.blinks],
        "gated": [[round(s.start, 3), round(s.end, 3), reason(s.cause)[0].lower()] for s in gated],
        "lost": [[round(a, 3), round(b, 3)] for a, b in lost],
        "rejected": [
            [round(item.peak, 3), reason(item.reason)[0].lower()] for item in spotting.rejected
        ],
    }


def limits_data(analysis: Analysis) -> dict[str, Any] | None:
    """The detection limits over time by region, in pixels; None where there are none."""
    if analysis.limits is None or not analysis.region_limits():
        return None
    times, scale = np.asarray(analysis.limits.times, np.float64), analysis.pixels_per_unit()
    stated = STATED_UNITS * scale
    step = float(np.median(np.diff(times)))
    grid = np.arange(times[0], times[-1] + step / 2, step)  # with the moments without the face
    rows, finite = [], [np.array([stated])]
    for name, values in analysis.limits.at(grid).items():
        # a scale of logarithms has no zero
        drawn = np.where(np.isfinite(values), np.maximum(values * scale, _LEAST * stated), np.nan)
        finite.append(drawn[np.isfinite(drawn)])
        rows.append(
            {
                "name": REGION_WORDS[name],
                "closed": closed_spans(grid, values),
                **_curve(grid, drawn, _BINS, 1000),
            }
        )
    low, high = np.percentile(np.concatenate(finite), _SHOWN)
    return {
        "stated": stated,
        "scale": scale,
        "low": float(min(low, stated / 2)),
        "high": float(max(high, stated * 2)),
        "rows": rows,
    }


@dataclass(frozen=True)
class Chart:
    """A small chart of one event: SVG paths in a box of 1000 x 300, its texts as HTML beside it."""

    on: float
    apex: float
    off: float
    level: float
    """The horizontal line's place: the threshold, or zero."""
    lines: list[tuple[str, str]]
    """Style class and path data, the hindmost first."""
    ticks: list[tuple[float, str]]
    """Per cent of the width, and seconds."""
    legend: list[str]


def score_chart(curve: MotionCurve, interval: Interval, threshold: float) -> Chart:
    """The score around one event."""
    start, stop, near = _window(curve, interval)
    score = curve.score[near]
    finite = score[np.isfinite(score)]
    top = 1.18 * max(float(finite.max()) if len(finite) else 0.0, 1.35 * threshold, 1e-9)
    path = _path(1000 / (stop - start) * (curve.times[near] - start), 300 * (1 - score / top), 0.7)
    return _chart(interval, start, stop, 300 * (1 - threshold / top), [("line", path)])


def cells_chart(curve: MotionCurve, interval: Interval) -> Chart | None:
    """The ten cells around one event, those that moved most drawn in front and named."""
    start, stop, near = _window(curve, interval)
    during = (curve.times >= interval.onset) & (curve.times <= interval.offset)
    inside = np.nan_to_num(np.abs(np.asarray(curve.cells, dtype=np.float64)[during]))
    if not len(inside):
        return None
    order = np.argsort(-inside.max(axis=0), kind="stable").tolist()
    cells = np.asarray(curve.cells, dtype=np.float64)[near]
    high = 1.15 * max(float(np.nanmax(cells, initial=0.0)), 1e-6)
    low = min(float(np.nanmin(cells, initial=0.0)), -0.06 * high)
    x, y = 1000 / (stop - start) * (curve.times[near] - start), 300 * (high - cells) / (high - low)
    others = "".join(_path(x, y[:, k], 3.0) for k in order[_NAMED:])
    first = [(f"cell first-{n + 1}", _path(x, y[:, order[n]], 1.0)) for n in range(_NAMED)]
    lines = [("cell", others), *reversed(first)]
    names = [CELL_WORDS[CELLS[k]] for k in order[:_NAMED]]
    return _chart(interval, start, stop, 300 * high / (high - low), lines, names)


def _window(curve: MotionCurve, interval: Interval) -> tuple[float, float, NDArray[np.bool_]]:
    pad = max(_PAD_S, 0.8 * interval.duration)
    start, stop = interval.onset - pad, interval.offset + pad
    near = (curve.times >= start) & (curve.times <= stop)
    return start, stop, np.asarray(near, dtype=bool)


def _chart(
    interval: Interval,
    start: float,
    stop: float,
    level: float,
    lines: list[tuple[str, str]],
    legend: list[str] | None = None,
) -> Chart:
    scale = 1000 / (stop - start)
    on, apex, off = (scale * (t - start) for t in (interval.onset, interval.apex, interval.offset))
    return Chart(on, apex, off, level, lines, _ticks(start, stop), legend or [])


def _path(x: NDArray[np.floating], y: NDArray[np.floating], within: float) -> str:
    """SVG path data in whole units, no further than ``within`` from the curve: 3 are about a
    pixel. Each point is from the one before, a NaN lifts the pen."""
    parts = []
    for start, stop in zip(*_runs(np.isfinite(y)), strict=True):
        points = np.stack([x[start:stop], y[start:stop]], axis=1).astype(np.float32)
        kept = np.rint(cv2.approxPolyDP(points, within, closed=False)[:, 0]).astype(int)
        steps = " ".join(f"{a} {b}" for a, b in np.diff(kept, axis=0).tolist())
        parts.append(f"M{kept[0, 0]} {kept[0, 1]}{steps and 'l'}{steps}")
    return "".join(parts).replace(" -", "-")


def _ticks(start: float, stop: float) -> list[tuple[float, str]]:
    raw = (stop - start) / 5
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999))
    digits = 1 if step >= 0.1 else 2
    numbers = range(int(np.ceil(start / step)), int(stop / step) + 1)
    places = [
        (100 * (k * step - start) / (stop - start), f"{k * step:.{digits}f}") for k in numbers
    ]
    return [(place, text) for place, text in places if 2 < place < 96]
